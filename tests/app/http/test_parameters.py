"""Addresses of the native API refuse parameters that they do not know, and those that are given twice."""

import httpx
import pytest

from app.main import ROUTERS
from app.routes import health, page
from app.routes.strict import StrictRoute
from tests.app.over_http import message, refusal

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/patterns/line/formula?format=latex", "there are version"),
        ("/patterns/line/drift?until=day", "there are since, version, label"),
        ("/patterns/line/export?too=onnx", "there are to, version, label"),
        ("/patterns?page=2", "this address takes none"),
        ("/patterns/nothing?page=2", "this address takes none"),
        ("/train?status=failed", "this address takes none"),
        ("/datasets?colum=x", "this address takes none"),
    ],
)
async def test_an_unknown_parameter_is_refused_with_the_known_ones(
    client: httpx.AsyncClient, path: str, known: str
) -> None:
    answer = await client.get(path)
    assert refusal(answer) == (422, "bad_parameter")
    assert message(answer) == f"there is no such parameter; {known}"


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("POST", "/predict/line?outside=warn&outside=clip", "outside: given 2 times; give it once"),
        ("POST", "/predict/line?version=1&version=1", "version: given 2 times; give it once"),
        ("POST", "/invocations?pattern=line&pattern=line", "pattern: given 2 times; give it once"),
        ("GET", "/patterns/line/drift?since=day&since=hour&since=day", "since: given 3 times; give it once"),
        ("POST", "/datasets?name=one&name=two", "name: given 2 times; give it once"),
    ],
)
async def test_a_parameter_is_given_once(client: httpx.AsyncClient, method: str, path: str, said: str) -> None:
    answer = await client.request(method, path, json={"inputs": [1]})
    assert said in answer.text and answer.status_code in (400, 422)


async def test_other_protocols_and_probes_may_bring_parameters_of_their_own(client: httpx.AsyncClient) -> None:
    rows = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP64", "data": [1]}]}
    assert (await client.post("/v2/models/line/infer?trace=1&trace=2", json=rows)).status_code == 200
    assert (await client.post("/v1/models/line:predict?trace=1", json={"instances": [[1]]})).status_code == 200
    for path in ("/livez?verbose=1", "/metrics?name=x&name=y", "/?utm=1"):
        assert (await client.get(path)).status_code == 200


def test_every_other_native_route_is_strict() -> None:
    strict = [route for router in ROUTERS if router not in (health.router, page.router) for route in router.routes]
    assert len(strict) > 20
    assert [route for route in strict if not isinstance(route, StrictRoute)] == []
