"""JSON without its traps: what is accepted means one thing, and every other body is refused at once."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import Malformed
from app.formats import strict_json
from tests.app.over_http import JSON, message, post, refusal

pytestmark = pytest.mark.anyio

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(documents, st.booleans())
def test_what_json_writes_is_read_back(document: Any, ascii_only: bool) -> None:
    assert strict_json.loads(json.dumps(document, ensure_ascii=ascii_only).encode()) == document


@given(
    st.binary(max_size=40)
    | st.text(alphabet='{}[]",:-+.0123456789eEaNInfulltrs \\u\ufeff', max_size=20).map(str.encode)
)
def test_every_other_body_is_malformed_and_nothing_worse(body: bytes) -> None:
    try:
        document = strict_json.loads(body)
    except Malformed as error:
        assert len(str(error)) < 100
    else:
        assert document == json.loads(body)


MALFORMED = {
    "nothing": b"",
    "space": b"  \n ",
    "half an object": b'{"inputs": [[1]',
    "two documents": b'{"inputs": [1]} {"inputs": [1]}',
    "trailing comma": b'{"inputs": [1,]}',
    "comment": b'{"inputs": [1]} // sesame',
    "single quotes": b"{'inputs': [1]}",
    "unquoted": b"sesame",
    "NaN": b'{"inputs": [[NaN]]}',
    "Infinity": b'{"inputs": [[Infinity]]}',
    "-Infinity": b'{"inputs": [[-Infinity]]}',
    "leading zero": b'{"inputs": [01]}',
    "plus": b'{"inputs": [+1]}',
    "hexadecimal": b'{"inputs": [0x10]}',
    "no digit after the point": b'{"inputs": [1.]}',
    "the same key twice": b'{"inputs": [[1]], "inputs": [[2]]}',
    "the same column twice": b'{"inputs": {"x": 1, "x": 1}}',
    "the same column twice in a record": b'{"inputs": [{"x": 1}, {"x": 1, "x": 2}]}',
    "an escaped key twice": b'{"inputs": [1], "\\u0069nputs": [2]}',
    "100 000 lists": b"[" * 100_000,
    "100 000 objects": b'{"inputs":' * 100_000,
    "100 000 lists, closed": b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "5 000 digits": b'{"inputs": [' + b"9" * 5000 + b"]}",
    "minus 5 000 digits": b'{"inputs": [-' + b"9" * 5000 + b"]}",
    "UTF-16": '{"inputs": [1]}'.encode("utf-16"),
    "UTF-16 without a mark": '{"inputs": [1]}'.encode("utf-16-le"),
    "UTF-32": '{"inputs": [1]}'.encode("utf-32"),
    "a byte order mark": '{"inputs": [1]}'.encode("utf-8-sig"),
    "Latin-1": '{"inputs": {"é": 1}}'.encode("latin-1"),
    "half a character": '{"inputs": {"é": 1}}'.encode()[:14],
    "an overlong character": b'{"inputs": {"\xc0\xaf": 1}}',
    "a surrogate in UTF-8": b'{"inputs": {"\xed\xa0\x80": 1}}',
    "a null byte": b'{"inputs": [1]}\x00',
    "a control character in a string": b'{"inputs": {"x\n": 1}}',
    "a bad escape": b'{"inputs": {"\\x41": 1}}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_json_is_refused(shared: httpx.AsyncClient, body: bytes) -> None:
    # What opens more lists than there may be rows is refused unread.
    is_long = body.count(b"[") + body.count(b"{") > 10_000
    assert refusal(await post(shared, body, JSON)) == ((413, "too_many_rows") if is_long else (400, "malformed"))


async def test_the_refusal_says_where_the_json_ends_to_be_json(shared: httpx.AsyncClient) -> None:
    answer = await post(shared, b'{"inputs":\n  [1, sesame]}', JSON)
    assert refusal(answer) == (400, "malformed")
    assert message(answer) == "the body is not JSON: line 2, column 7"


# -- as other servers read it --------------------------------------------------------------------------------------


def test_tokens_that_are_no_numbers_are_read_where_a_protocol_has_them() -> None:
    for decoder in (strict_json.WITH_NAN, strict_json.WITH_NAN_AND_BYTES):
        assert repr(strict_json.loads(b"[NaN, Infinity, -Infinity, 1]", decoder)) == "[nan, inf, -inf, 1]"


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b'{"b64": ""}', ""),
        (b'[{"b64": "dMOp"}, {"x": {"b64": "YQ=="}}]', ["t\u00e9", {"x": "a"}]),
        (b'{"b64": 1}', {"b64": 1}),
        (b'{"b64": "YQ==", "x": 1}', {"b64": "YQ==", "x": 1}),
    ],
)
def test_an_object_of_base64_alone_is_a_text(body: bytes, document: Any) -> None:
    assert strict_json.loads(body, strict_json.WITH_NAN_AND_BYTES) == document
    assert isinstance(strict_json.loads(body, strict_json.WITH_NAN), dict | list)


@pytest.mark.parametrize("encoded", ["?", "YQ", "Y Q==", "/w==", "\u00e9"])
def test_base64_of_no_text_is_refused(encoded: str) -> None:
    with pytest.raises(Malformed, match="what stands under b64 is not the base64"):
        strict_json.loads(json.dumps({"b64": encoded}).encode(), strict_json.WITH_NAN_AND_BYTES)


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2}', b'{"b64": "YQ==", "b64": "YQ=="}', b"[" * 100_000, b"nan", b""])
def test_what_is_ambiguous_or_broken_is_refused_everywhere(body: bytes) -> None:
    for decoder in (strict_json.STRICT, strict_json.WITH_NAN, strict_json.WITH_NAN_AND_BYTES):
        with pytest.raises(Malformed):
            strict_json.loads(body, decoder)


# -- long bodies ---------------------------------------------------------------------------------------------------


@given(documents | st.lists(st.integers(-(10**30), 10**30) | st.just(2**64) | st.just(-(2**63) - 1)))
def test_a_long_body_is_read_as_a_short_one(document: Any) -> None:
    body = json.dumps(document).encode()
    read = strict_json.loads_large(body)
    assert read == document
    assert repr(read) == repr(strict_json.loads(body))


@pytest.mark.parametrize("body", [b"[1e400, -1e400]", b'[1, {"x": [1E999]}]', b'["\\ud800", 1]'])
def test_a_long_body_is_read_where_a_fast_reader_reads_none(body: bytes) -> None:
    assert strict_json.loads_large(body) == strict_json.loads(body)


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_long_body_is_refused_with_the_words_of_a_short_one(body: bytes) -> None:
    said = []
    for loads in (strict_json.loads, strict_json.loads_large):
        with pytest.raises(Malformed) as refusal:
            loads(body)
        said.append(str(refusal.value))
    assert said[0] == said[1]
