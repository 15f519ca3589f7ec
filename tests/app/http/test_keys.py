"""API keys, and pages from elsewhere."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from app.envelopes import NATIVE
from app.http.keys import check_predictor
from app.parts import parts_of
from models_store.storage.store import Store
from tests.app.over_http import JSON, addresses, an_app, message, outputs_of, refusal, serving
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line

pytestmark = pytest.mark.anyio
QUESTION = b'{"inputs": [1]}'


# -- keys ----------------------------------------------------------------------------------------------------------

PREDICT = ("POST", "/predict/line", QUESTION, 200)
# The last value is the status with the right key.
CHANGES = [
    ("POST", "/train", b"[]", 400),
    ("DELETE", "/train/nothing", b"", 404),
    ("PUT", "/patterns/line/labels/beta", b'{"version": 1}', 200),
    ("DELETE", "/patterns/line/labels/nothing", b"", 404),
    ("POST", "/patterns/line/rollback", b"", 409),
    ("DELETE", "/patterns/line/versions/1", b"", 409),
    ("DELETE", "/patterns/nothing", b"", 404),
    ("POST", "/patterns/import", b"no archive", 422),
    ("POST", "/patterns/line/outcomes", b"[]", 422),
    ("POST", "/datasets", b"[]", 415),
    ("DELETE", "/datasets/nothing", b"", 404),
]
LOOKS = ["/", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json", "/patterns", "/patterns/line", "/train"]


async def ask(
    client: httpx.AsyncClient, request: tuple[str, str, bytes, int], key: str | None, **headers: str
) -> httpx.Response:
    method, path, body, _ = request
    authorization = {"authorization": key} if key is not None else {}
    headers |= {"content-type": JSON, **authorization}
    return await client.request(method, path, content=body, headers=headers)


@pytest.fixture(scope="module")
async def locked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A client without keys of an app with both, on a store with one version of `line`."""
    store = Store(tmp_path_factory.mktemp("locked") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    store.publish(line())
    async with serving(store, admin_key="the-admin-key", predict_key="the-predict-key") as client:
        yield client


async def test_without_keys_everything_is_open(client: httpx.AsyncClient) -> None:
    for request in (PREDICT, *CHANGES):
        for key in (None, "Bearer anything", "Basic YTpi"):
            assert (await ask(client, request, key)).status_code == request[3], request


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "key_missing"),
        ("", 401, "key_missing"),
        ("Bearer", 401, "key_missing"),
        ("Bearer ", 401, "key_missing"),
        ("the-predict-key", 401, "key_missing"),
        ("Basic the-predict-key", 401, "key_missing"),
        ("Bearer sesame", 403, "key_wrong"),
        ("Bearer the-predict-ke", 403, "key_wrong"),
        ("Bearer the-predict-keyy", 403, "key_wrong"),
        ("Bearer THE-PREDICT-KEY", 403, "key_wrong"),
        ("Bearer the-predict-key the-admin-key", 403, "key_wrong"),
        ("Bearer the-predict-key", 200, None),
        ("bearer  the-predict-key ", 200, None),
        ("Bearer the-admin-key", 200, None),
    ],
)
async def test_predictions_ask_for_either_key(
    locked: httpx.AsyncClient, key: str | None, status: int, code: str | None
) -> None:
    answer = await ask(locked, PREDICT, key)
    assert answer.status_code == status
    if code is not None:
        assert refusal(answer) == (status, code)
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: f"{request[0]} {request[1]}")
async def test_changes_ask_for_the_admin_key(locked: httpx.AsyncClient, request_: tuple[str, str, bytes, int]) -> None:
    missing = await ask(locked, request_, None)
    assert refusal(missing) == (401, "key_missing")
    assert missing.headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer sesame", "Bearer the-predict-key"):
        assert refusal(await ask(locked, request_, wrong)) == (403, "key_wrong")
    assert (await ask(locked, request_, "Bearer the-admin-key")).status_code == request_[3]


async def test_what_was_asked_is_shown_for_either_key(locked: httpx.AsyncClient) -> None:
    drift = ("GET", "/patterns/line/drift", b"", 404)  # a version without histograms
    assert refusal(await ask(locked, drift, None)) == (401, "key_missing")
    for key in ("the-predict-key", "the-admin-key"):
        assert refusal(await ask(locked, drift, f"Bearer {key}")) == (404, "no_profile")
    shadow = ("GET", "/patterns/line/shadow", b"", 404)
    assert refusal(await ask(locked, shadow, None)) == (401, "key_missing")
    assert refusal(await ask(locked, shadow, "Bearer the-predict-key")) == (404, "no_shadow")


async def test_the_words_for_a_missing_key_are_whole(locked: httpx.AsyncClient) -> None:
    assert "?" not in message(await ask(locked, PREDICT, None))


async def test_a_key_in_bytes_that_are_no_text_is_wrong(locked: httpx.AsyncClient) -> None:
    headers = [(b"authorization", b"Bearer \xff\x80"), (b"content-type", JSON.encode())]
    answer = await locked.post("/predict/line", content=QUESTION, headers=headers)
    assert refusal(answer) == (403, "key_wrong")


@pytest.mark.parametrize("path", LOOKS)
async def test_looking_is_open(locked: httpx.AsyncClient, path: str) -> None:
    assert (await locked.get(path)).status_code == 200


def test_no_route_that_changes_something_was_forgotten(store: Store) -> None:
    app = an_app(store)
    own = [(method, path) for method, path in addresses(app) if parts_of(app).dialects.envelope(path) is NATIVE]
    changing = {(method, path) for method, path in own if method not in ("GET", "HEAD", "OPTIONS")}
    # Predictions change nothing, in any protocol, and have a key of their own.
    predicting = [address for address in parts_of(app).dialects.addresses if address.guard is check_predictor]
    assert ("POST", "/predict/{pattern}") in {(address.method, address.path) for address in predicting}
    changing -= {(address.method, address.path) for address in predicting}
    listed = {re.sub("nothing|beta|line|1$", "", f"{method} {path}") for method, path, _, _ in CHANGES}
    assert {re.sub("{[a-z]+}", "", f"{method} {path}") for method, path in changing} == listed


async def test_without_a_predict_key_predictions_are_open(published: Store) -> None:
    async with serving(published, admin_key="the-admin-key") as client:
        assert await outputs_of(client, [1]) == [2.0]
        assert refusal(await ask(client, CHANGES[0], None)) == (401, "key_missing")


async def test_the_key_is_asked_for_before_the_body_is_looked_at(locked: httpx.AsyncClient) -> None:
    answer = await locked.put("/patterns/line/labels/beta", content=b"{", headers={"content-type": JSON})
    assert refusal(answer) == (401, "key_missing")


# -- pages from elsewhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    [
        "http://elsewhere.example",
        "https://elsewhere.example",
        "http://testserver.elsewhere.example",
        "http://testserver:81",
        "http://sesame@testserver",
        "http://TESTSERVE",
        "file://",
        "null",
        "testserver",
        "",
    ],
)
@pytest.mark.parametrize("request_", CHANGES, ids=lambda request: f"{request[0]} {request[1]}")
async def test_a_page_from_elsewhere_changes_nothing(
    shared: httpx.AsyncClient, request_: tuple[str, str, bytes, int], origin: str
) -> None:
    assert refusal(await ask(shared, request_, None, origin=origin)) == (403, "foreign_origin")


async def test_our_own_page_may_make_changes(client: httpx.AsyncClient) -> None:
    client.base_url = httpx.URL("http://localhost")
    for request in CHANGES:
        assert (await ask(client, request, None, origin="http://localhost")).status_code == request[3]


async def test_without_a_key_no_page_is_ours_under_another_name_of_this_machine(client: httpx.AsyncClient) -> None:
    client.base_url = httpx.URL("http://rebound.example")
    answer = await ask(client, CHANGES[0], None, origin="http://rebound.example")
    assert refusal(answer) == (403, "foreign_origin")


async def test_the_right_key_does_not_make_a_foreign_page_ours(locked: httpx.AsyncClient) -> None:
    answer = await ask(locked, CHANGES[0], "Bearer the-admin-key", origin="http://elsewhere.example")
    assert refusal(answer) == (403, "foreign_origin")


async def test_predictions_are_not_changes(shared: httpx.AsyncClient) -> None:
    assert (await ask(shared, PREDICT, None, origin="http://elsewhere.example")).status_code == 200
