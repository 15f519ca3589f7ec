"""One table of errors, one shape for all of them; no input makes the server fail, or repeat what it was sent."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import app
from app import envelopes, errors, statuses
from models_store import errors as store_errors
from models_store.errors import PatternServerError
from models_store.storage.store import Store
from tests.app.over_http import (
    ARROW,
    CSV,
    JSON,
    NPY,
    SESAME,
    an_app,
    arrow_of,
    message,
    npy_of,
    post,
    refusal,
)
from tests.models_store.test_errors import bases_in, drawn
from training.recipe.base import RecipeError

pytestmark = pytest.mark.anyio

# -- the table -----------------------------------------------------------------------------------------------------


def classes_of(module: Any) -> set[type[PatternServerError]]:
    found = {value for value in vars(module).values() if isinstance(value, type)}
    return {kind for kind in found if issubclass(kind, PatternServerError) and kind is not PatternServerError}


def test_every_error_that_can_reach_a_route_has_a_status() -> None:
    assert classes_of(store_errors) | classes_of(errors) | {RecipeError} == set(statuses.STATUS)
    assert set(statuses.STATUS.values()) == {400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 501, 503, 504, 507}


def test_every_error_has_a_word_of_its_own() -> None:
    codes = [kind.code for kind in statuses.STATUS if kind is not errors.Unprocessable]
    assert len(set(codes)) == len(codes)
    assert all(code.isascii() and code.islower() for code in codes)


def test_the_tree_in_the_docstring_has_every_error_below_its_base() -> None:
    assert drawn(errors) == bases_in(errors)


def test_what_is_not_in_the_table_is_a_bug() -> None:
    assert [statuses.status_of(error) for error in (ValueError(), KeyError(), PatternServerError())] == [500, 500, 500]
    answer = envelopes.NATIVE.answer(ValueError(f"{SESAME} /etc/passwd"), "an-id")
    assert answer.status == 500
    assert json.loads(bytes(answer.body)) == {
        "error": {
            "code": "internal_error",
            "message": "the server has a fault here; its log says more under this request id",
            "request_id": "an-id",
        }
    }


# The HTTP protocol answers before there is a request that could raise an error.
ELSEWHERE = {"http/limits.py": {408, 429, 431}}


def test_statuses_of_errors_stand_in_the_table_alone() -> None:
    assert statuses_outside_the_table() == ELSEWHERE


def test_what_would_be_a_status_outside_the_table_is_found() -> None:
    written = {
        "Response(b'', 404)": 404,
        "Envelope(body, unprocessable=400)": 400,
        "error.status_code == 500": 500,
        "CODES = {401: 'UNAUTHENTICATED'}": 401,
        "LINE = '431 Request Header Fields Too Large'": 431,
    }
    assert {text: set(error_statuses(ast.parse(text))) for text in written} == {
        text: {status} for text, status in written.items()
    }


def statuses_outside_the_table() -> dict[str, set[int]]:
    root = Path(app.__file__).parent
    trees = {
        path.relative_to(root).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in root.rglob("*.py")
        if path.parent.name != "protos"
    }
    found = {name: set(error_statuses(tree)) for name, tree in trees.items() if name != "statuses.py"}
    return {name: numbers for name, numbers in found.items() if numbers}


def error_statuses(tree: ast.AST) -> Iterator[int]:
    """Yield numbers that are raised, answered, compared or looked up as a status, and texts that begin with one."""
    for node in ast.walk(tree):
        words = "Response|HTTPException|Envelope|status"
        if isinstance(node, ast.Call | ast.Compare) and re.search(words, ast.unparse(node)):
            parts = [part.value if isinstance(part, ast.keyword) else part for part in ast.iter_child_nodes(node)]
            yield from numbers_of_errors(parts)
        if isinstance(node, ast.Dict):
            yield from numbers_of_errors(node.keys)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.match(r"[45]\d\d\b", node.value):
            yield int(node.value[:3])


def numbers_of_errors(parts: Iterable[ast.AST | None]) -> Iterator[int]:
    constants = [part.value for part in parts if isinstance(part, ast.Constant)]
    yield from (value for value in constants if type(value) is int and 400 <= value < 600)


# -- the shape -----------------------------------------------------------------------------------------------------


def body_of(message: str, request_id: str) -> bytes:
    return bytes(envelopes.NATIVE.answer(errors.Malformed(message), request_id).body)


@given(st.text(max_size=3000), st.sampled_from(["a" * 64, "0f"]))
def test_a_body_is_ascii_and_short_whatever_the_message(text: str, request_id: str) -> None:
    body = body_of(text, request_id)
    said = json.loads(body)["error"]
    assert body.isascii()
    assert (said["code"], said["request_id"]) == ("malformed", request_id)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("column größe is missing; 2 × 1 were expected …",) * 2,
        ("列 температура 😀",) * 2,
        ("a\nb\x7f\u202e\ud800c", "a?b???c"),
        ("é" * 301, "é" * 300),
        ("😀" * 151, "😀" * 150),
        ('"' * 901, '"' * 900),
        ("a" * 901, "a" * 900),
    ],
)
def test_a_message_has_its_letters_whatever_their_alphabet(text: str, said: str) -> None:
    assert json.loads(body_of(text, "0f"))["error"]["message"] == said


@pytest.mark.parametrize("character", ["a", "\x7f", "é", "\U0001f600", "\ud800"])
def test_a_body_is_at_most_two_kilobytes_however_long_the_message(character: str) -> None:
    for length in (1499, 1500, 1501, 100_000):
        assert len(body_of(character * length, "a" * 64)) <= 2048


@pytest.mark.parametrize("character", ["\x00", "\n", '"', "\\"])
def test_a_body_is_at_most_two_kilobytes_whatever_must_be_escaped(character: str) -> None:
    assert len(body_of(character * 1500, "a" * 64)) <= 2048


@pytest.mark.parametrize("character", ["\x01", '"', "\\", "\u202e"])
async def test_fields_with_odd_names_make_no_odd_refusal(shared: httpx.AsyncClient, character: str) -> None:
    spec = {"name": "new", **{character * 64 + str(number): 1 for number in range(8)}}
    assert refusal(await shared.post("/train", json={"spec": spec})) == (422, "bad_recipe")


async def test_a_field_that_nobody_knows_is_not_repeated(shared: httpx.AsyncClient) -> None:
    answer = await shared.put("/patterns/line/labels/beta", json={"version": 1, SESAME: 1})
    assert refusal(answer)[0] == 422


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 200, ""),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/predict", 404, "not_found"),
        ("GET", "/predict/line/1", 404, "not_found"),
        ("POST", "/nowhere", 404, "not_found"),
        ("GET", "/page/nowhere.css", 404, "not_found"),
        ("GET", "/%00", 404, "not_found"),
        ("GET", "/" + "a" * 10_000, 404, "not_found"),
        ("GET", "/sesame?sesame=sesame", 404, "not_found"),
        ("TRACE", "/livez", 405, "method_not_allowed"),
        ("SESAME", "/livez", 405, "method_not_allowed"),
    ],
)
async def test_the_router_refuses_in_the_same_shape(
    shared: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await shared.request(method, path)
    assert answer.status_code == status
    if code:
        assert refusal(answer) == (status, code)


# -- names ---------------------------------------------------------------------------------------------------------

NAMES = [
    "unheard-of",
    "Line",
    "LINE",
    "line.",
    "line%20",
    "line%00",
    "line%0a",
    "1line",
    "-line",
    "l_ne",
    "l%C3%AFne",
    "%F0%9F%98%80",
    "%ff%fe",
    "%2e",
    "%2e%2e",
    "..%5c..",
    ".lock",
    ".quarantine",
    ".identity",
    "jobs.sqlite3",
    "stats",
    "docs",
    "a" * 63,
    "a" * 64,
    "a" * 8000,
    "<script>",
    "%22%27",
    "{pattern}",
]
ROUTES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/predict/{}", {"inputs": [1]}),
    ("GET", "/patterns/{}", None),
    ("GET", "/patterns/{}/sample", None),
    ("GET", "/patterns/{}/versions/1", None),
    ("GET", "/patterns/{}/versions/1/history", None),
    ("GET", "/patterns/{}/versions/1/plots/residuals.svg", None),
    ("PUT", "/patterns/{}/labels/beta", {"version": 1}),
    ("DELETE", "/patterns/{}/labels/beta", None),
    ("POST", "/patterns/{}/rollback", None),
    ("DELETE", "/patterns/{}/versions/1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_a_name_that_cannot_be_is_as_unknown_as_one_that_could(
    shared: httpx.AsyncClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    bodies = set()
    for name in NAMES:
        answer = await shared.request(method, path.format(name), json=body, headers={"x-request-id": "same"})
        assert refusal(answer) == (404, "unknown_pattern"), name
        bodies.add(answer.content)
    assert len(bodies) == 1


@pytest.mark.parametrize("path", ["/predict/../etc/passwd", "/predict/%2e%2e%2f%2e%2e%2fetc", "/predict/..%2fline"])
async def test_a_path_that_climbs_leads_nowhere(shared: httpx.AsyncClient, path: str) -> None:
    assert refusal(await shared.post(path, json={"inputs": [1]})) == (404, "not_found")


async def test_a_long_list_of_patterns_is_shortened() -> None:
    error = store_errors.UnknownPattern(f"{number:03}{'a' * 60}" for number in range(500))
    answer = envelopes.NATIVE.answer(error, "an-id")
    assert len(bytes(answer.body)) <= 2048
    assert message(httpx.Response(404, content=bytes(answer.body))).endswith(" and 490 more")


# -- anything at all -----------------------------------------------------------------------------------------------

TYPES = [JSON, CSV, NPY, ARROW, "", "text/plain", f"{JSON}; charset=utf-16", "\xff", "a/b;;;=", f"{CSV};{'x=y;' * 50}"]
STARTS = [
    b"",
    b'{"inputs": ',
    b'{"inputs": [[',
    b'{"inputs": {"x": ',
    b"x\n",
    b"x\n1\n",
    b'x\n"',
    npy_of(np.ones((2, 1)))[:-8],
    npy_of(np.ones((2, 1))),
    arrow_of(pa.table({"x": [1.0]}))[:-8],
    b"\xff\xfe",
    b"\xef\xbb\xbf",
]
bodies = st.tuples(st.sampled_from(STARTS), st.binary(max_size=40) | st.text(max_size=20).map(str.encode)).map(b"".join)


@settings(max_examples=100)
@given(bodies, st.sampled_from(TYPES), st.sampled_from(["", "version=1", "label=champion", "outside=1", "version=x"]))
async def test_whatever_is_sent_is_answered_or_refused_in_shape(
    shared: httpx.AsyncClient, body: bytes, content_type: str, query: str
) -> None:
    headers = [(b"content-type", content_type.encode("latin-1"))]
    answer = await shared.post(f"/predict/line?{query}", content=body, headers=headers)
    if answer.status_code != 200:
        status, _ = refusal(answer)
        assert status in (400, 413, 415, 422)


@settings(max_examples=100)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]),
    st.lists(
        st.sampled_from(["patterns", "predict", "line", "versions", "labels", "1", "plots", "train", "page", "%2e%2e"])
        | st.text(alphabet="az09-.~{}:@ é\x00%", max_size=6),
        max_size=6,
    ),
    bodies,
)
async def test_whatever_the_address_it_is_answered_or_refused_in_shape(
    shared: httpx.AsyncClient, method: str, segments: list[str], body: bytes
) -> None:
    path = "/".join(quote(segment, safe="%") for segment in segments)
    answer = await shared.request(method, f"http://testserver/{path}", content=body)
    assert answer.status_code < 500
    if answer.status_code >= 400 and method != "HEAD":
        refusal(answer)


@given(st.text(alphabet="SeCr3t-", min_size=12, max_size=40), st.sampled_from(STARTS), st.sampled_from(TYPES[:6]))
async def test_no_refusal_repeats_what_was_sent(
    shared: httpx.AsyncClient, secret: str, start: bytes, content_type: str
) -> None:
    answer = await post(shared, start + secret.encode(), content_type)
    refusal(answer)
    assert secret not in answer.text


async def test_a_bug_in_a_route_is_told_in_shape_and_logged(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = an_app(store)
    monkeypatch.setattr(app.state.parts.datasets, "list", lambda: 1 // 0)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get("/datasets")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "bug" in caplog.messages
