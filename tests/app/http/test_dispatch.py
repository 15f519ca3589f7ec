"""The two routers, ours and FastAPI's: whose address it is, probes, HEAD, and methods that are not allowed."""

from typing import Any

import httpx
import pytest

from app.errors import NotHere, WrongMethod
from app.http.dispatch import Address, Dialect, Dialects, anybody
from tests.app.over_http import (
    refusal,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/predict/line", "POST"),
        ("PUT", "/predict/line", "POST"),
        ("PUT", "/train", "GET, POST"),
        ("PATCH", "/train/1", "DELETE, GET"),
        ("POST", "/train/1/events", "GET"),
        ("POST", "/patterns", "GET"),
        ("PATCH", "/patterns/line", "DELETE, GET"),
        ("PUT", "/patterns/line/versions/1", "DELETE, GET"),
        ("POST", "/patterns/line/versions/1/history", "GET"),
        ("GET", "/patterns/line/labels/beta", "DELETE, PUT"),
        ("GET", "/patterns/line/rollback", "POST"),
        ("POST", "/livez", "GET, HEAD"),
        ("DELETE", "/", "GET"),
    ],
)
async def test_another_method_is_told_all_that_the_address_answers(
    shared: httpx.AsyncClient, method: str, path: str, allow: str
) -> None:
    answer = await shared.request(method, path)
    assert refusal(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_another_method_is_told_so_at_the_documentation_as_well(shared: httpx.AsyncClient, path: str) -> None:
    assert "GET" in (await shared.post(path)).headers["allow"]


# -- whose address it is -------------------------------------------------------------------------------------------


def test_an_address_alone_is_found_before_the_dialect_that_it_stands_among() -> None:
    async def handler(*_given: Any) -> Any: ...

    whole = Dialect([Address("GET", "/v9/models/{model}", handler, anybody)])
    alone = Dialect([Address("POST", "/v9/models/one", handler, anybody)], has_segments=False)
    for dialects in (Dialects([whole, alone]), Dialects([alone, whole])):
        assert dialects.of("/v9/models/one") is alone
        assert dialects.of("/v9/models/two") is dialects.of("/v9/nowhere") is whole
        assert dialects.of("/v8") is None
    with pytest.raises(WrongMethod):
        alone.found("GET", "/v9/models/one")


@pytest.mark.parametrize("path", ["/ping", "/health", "/v2/health/live", "/v2/health/ready", "/v2", "/v1/models"])
async def test_probes_may_ask_with_head(shared: httpx.AsyncClient, path: str) -> None:
    assert (await shared.head(path)).status_code == 200


# -- probes, of both routers ---------------------------------------------------------------------------------------

FASTAPI = ["/livez"]
DIALECTS = ["/v2/health/live", "/v2/health/ready", "/v2/models/line/ready", "/v1/models/line", "/ping", "/health"]


@pytest.mark.parametrize("path", [*FASTAPI, *DIALECTS])
async def test_a_probe_answers_get_and_head_and_tells_both_to_any_other_method(
    shared: httpx.AsyncClient, path: str
) -> None:
    for method in ("GET", "HEAD"):
        assert (await shared.request(method, path)).status_code == 200
    for method in ("POST", "DELETE", "SESAME"):
        answer = await shared.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("method", "path", "is_probe"),
    [
        ("GET", "/v9/ready", True),
        ("HEAD", "/v9/ready", True),
        ("POST", "/v9/ready", False),
        ("GET", "/v9/models/one", False),
        ("GET", "/v9/nowhere", False),
        ("GET", "/livez", False),
    ],
)
def test_an_address_says_itself_that_it_is_a_probe(method: str, path: str, is_probe: bool) -> None:
    async def handler(*_given: Any) -> Any: ...

    ready = Address("GET", "/v9/ready", handler, anybody, is_probe=True)
    dialects = Dialects([Dialect([ready, Address("GET", "/v9/models/{model}", handler, anybody)])])
    assert dialects.is_probe(method, path) == is_probe


def test_parts_of_a_path_are_found_by_their_names() -> None:
    async def handler(*_given: Any) -> Any: ...

    versions = Address("POST", "/v9/models/{model}/versions/{version}:predict", handler, anybody)
    dialect = Dialect([versions])
    assert dialect.found("POST", "/v9/models/a.b/versions/2:predict") == (versions, {"model": "a.b", "version": "2"})
    for path in ("/v9/models/a/b/versions/2:predict", "/v9/models//versions/2:predict", "/v9/models/a/versions/2"):
        with pytest.raises(NotHere):
            dialect.found("POST", path)
