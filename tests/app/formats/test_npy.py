"""Arrays in NumPy's format: plain floats are read as they are, and nothing else is ever built from the bytes."""

import io
import struct
import warnings
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.formats import npy
from app.formats.expected import Expected, ExpectedColumn
from models_store.arrays import Array
from models_store.errors import PatternServerError
from models_store.tables.table import Kind, Table, from_json
from tests.app.over_http import NPY, an_array, from_npy, message, npy_of, numbers, post, refusal, reply_of

pytestmark = pytest.mark.anyio

COLUMNS = Expected(("x1", "x2"))
WANTED = "the array must hold numbers, booleans or named fields"
FLOATS = {
    "<f4": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "<f8": st.floats(allow_nan=False, allow_infinity=False),
}


def headed(header: str, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """A file with this text for a header."""
    size = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + size + header.encode("latin-1") + data


def described(shape: object, descr: object = "<f8") -> str:
    return repr({"descr": descr, "fortran_order": False, "shape": shape})


@given(
    st.sampled_from(sorted(FLOATS)).flatmap(
        lambda dtype: st.tuples(
            st.just(dtype), st.lists(st.tuples(FLOATS[dtype], FLOATS[dtype]), min_size=1, max_size=9)
        )
    ),
    st.sampled_from("CF"),
    st.sampled_from("<>"),
)
def test_what_numpy_saves_is_read_and_answered_exactly(
    typed: tuple[str, list[tuple[float, float]]], order: Any, ends: Any
) -> None:
    dtype, table = typed
    saved = np.array(table, dtype=np.dtype(dtype).newbyteorder(ends), order=order)
    raw, write = npy.read(npy_of(saved), COLUMNS, 1000)
    rows = an_array(raw)
    assert rows.dtype == np.float64
    np.testing.assert_array_equal(rows, saved)
    answered = from_npy(write(numbers(COLUMNS.names, rows)))
    assert answered.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(answered, saved)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
async def test_all_versions_of_the_format_are_read(shared: httpx.AsyncClient, version: tuple[int, int]) -> None:
    target = io.BytesIO()
    np.lib.format.write_array(target, np.array([[2.0, 1.0]]), version=version)
    assert from_npy((await post(shared, target.getvalue(), NPY, "pair")).content).tolist() == [[4.0, 1.0]]


async def test_a_flat_array_is_the_column_of_a_pattern_with_one_input(shared: httpx.AsyncClient) -> None:
    assert from_npy((await post(shared, npy_of(np.array([1.0, 2.0, 5.0])), NPY)).content).tolist() == [[2], [4], [10]]


@pytest.mark.parametrize("dtype", ["i1", "u2", "<i4", ">i8", "<u8", "?", "<f2", ">f2", ">f4"])
async def test_whole_numbers_booleans_and_halves_are_read_and_answered_as_floats(
    shared: httpx.AsyncClient, dtype: str
) -> None:
    array = from_npy((await post(shared, npy_of(np.array([[1, 0], [1, 1]], dtype=dtype)), NPY, "pair")).content)
    assert array.dtype == np.dtype("<f4" if dtype == ">f4" else "<f8")
    assert array.tolist() == [[1.0, 1.0], [3.0, 0.0]]


async def test_named_fields_are_columns_in_any_order_and_are_answered_with_named_fields(
    shared: httpx.AsyncClient,
) -> None:
    array = np.array([(1, 2.0), (True, 0.5)], dtype=[("x2", "?"), ("x1", ">f4")])
    answer = from_npy((await post(shared, npy_of(array), NPY, "pair")).content)
    assert answer.dtype == np.dtype([("y1", "<f8"), ("y2", "<f8")])
    assert answer.tolist() == [(4.0, 1.0), (2.5, -0.5)]


TYPED: list[tuple[Kind, str, list[Any], list[Any]]] = [
    ("number", "<f4", [0.5, np.nan], [0.5, None]),
    ("number", "i1", [-3, 100], [-3, 100]),
    ("category", "<f2", [0.1, 3], ["0.1", "3"]),
    ("category", "U3", ["ä", ""], ["ä", None]),
    ("category", "S3", [b"abc", b"d"], ["abc", "d"]),
    ("category", "?", [True, False], ["true", "false"]),
    ("text", "U9", ["some", "words"], ["some", "words"]),
    ("boolean", "?", [True, False], [True, False]),
    ("date", "M8[D]", ["2024-05-31", "NaT"], ["2024-05-31", None]),
    ("date", "M8[h]", ["2024-05-31T18", "NaT"], ["2024-05-31T18:00", None]),
    ("date", ">M8[ns]", ["2024-05-31T18", "1969-12-31T23"], ["2024-05-31T18:00", "1969-12-31T23:00"]),
    ("duration", "m8[m]", [61, "NaT"], ["01:01:00", None]),
]


@pytest.mark.parametrize(("kind", "dtype", "given", "written"), TYPED)
@pytest.mark.parametrize("name", ["x", "größe", "温度"])
def test_fields_of_every_kind_are_read_as_json_would_write_them(
    kind: Kind, dtype: str, given: list[Any], written: list[Any], name: str
) -> None:
    array = np.empty(2, dtype=[(name, dtype)])
    array[name] = np.array(given, dtype)
    body = io.BytesIO()
    np.lib.format.write_array(body, array, (1, 0) if name != "温度" else (3, 0), allow_pickle=False)
    expected = Expected((name,), (ExpectedColumn(name, kind, takes_missing=True),))
    rows, _ = npy.read(body.getvalue(), expected, 10)
    assert isinstance(rows, Table)
    cells = [None if cell != cell else cell for cell in rows.columns[name].tolist()]
    assert cells == [None if one is None else from_json(kind, one) for one in written]


def test_labels_and_names_beyond_latin_are_answered_in_fields() -> None:
    array = np.zeros(2, dtype=[("x", "<f8")])
    _, write = npy.read(npy_of(array), Expected(("x",)), 10)
    answer = from_npy(write(reply_of({"温度": np.array(["heiß", "kalt"], dtype=object)}, are_labels=True)))
    assert answer.dtype == np.dtype([("温度", "<U4")])
    assert answer.tolist() == [("heiß",), ("kalt",)]


class Sesame:
    """An object that a pickle would build, and print a word while it does."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("sesame",)


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "malformed"),
    "half a magic": (b"\x93NUM", 400, "malformed"),
    "text": (b"sesame", 400, "malformed"),
    "a pickle": (b"\x80\x04\x8c\x06sesame.", 400, "malformed"),
    "a zip": (b"PK\x03\x04" + bytes(30), 400, "malformed"),
    "no header": (b"\x93NUMPY\x01\x00", 400, "malformed"),
    "half a header": (npy_of(np.zeros((1, 2)))[:40], 400, "malformed"),
    "a header that is no literal": (headed("sesame()"), 400, "malformed"),
    "a header that is no dictionary": (headed("[1, 2]"), 400, "malformed"),
    "a header with other keys": (headed("{'descr': '<f8'}"), 400, "malformed"),
    "a header of mixed keys": (headed("{1: 2, 'descr': '<f8'}"), 400, "malformed"),
    "a header with a null byte": (headed("\x00"), 400, "malformed"),
    "a header longer than NumPy allows": (headed(" " * 60_000), 400, "malformed"),
    "a header of endless length": (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", 400, "malformed"),
    "a header nested too deeply": (headed("-" * 9000 + "1"), 400, "malformed"),
    "an unknown type": (headed(described((1, 2), "sesame"), bytes(16)), 400, "malformed"),
    "a shape that is no tuple": (headed(described(2), bytes(16)), 400, "malformed"),
    "a shape of strings": (headed(described(("1", "2")), bytes(16)), 400, "malformed"),
    "a row too few": (npy_of(np.zeros((3, 2)))[:-16], 400, "malformed"),
    "a byte too few": (npy_of(np.zeros((3, 2)))[:-1], 400, "malformed"),
    "a byte too many": (npy_of(np.zeros((3, 2))) + b"\x00", 400, "malformed"),
    "a large shape and few bytes": (headed(described((1000, 2)), bytes(16)), 400, "malformed"),
    "a huge shape and few bytes": (headed(described((10**15, 2)), bytes(16)), 413, "too_many_rows"),
    "a shape beyond any memory": (headed(described((10**40, 2)), bytes(16)), 413, "too_many_rows"),
    "negative rows": (headed(described((-1, 2)), bytes(16)), 422, "bad_shape"),
    "two negatives": (headed(described((-1, -2)), bytes(16)), 422, "bad_shape"),
    "no rows": (npy_of(np.zeros((0, 2))), 422, "bad_shape"),
    "a scalar": (npy_of(np.array(1.0)), 422, "bad_shape"),
    "a flat array": (npy_of(np.zeros(2)), 422, "bad_shape"),
    "a column too few": (npy_of(np.zeros((3, 1))), 422, "bad_shape"),
    "a column too many": (npy_of(np.zeros((3, 3))), 422, "bad_shape"),
    "three axes": (npy_of(np.zeros((1, 2, 1))), 422, "bad_shape"),
    "long double": (npy_of(np.zeros((1, 2), dtype=np.longdouble)), 422, "bad_type"),
    "complex": (npy_of(np.zeros((1, 2), dtype=np.complex128)), 422, "bad_type"),
    "strings": (npy_of(np.array([["sesame", "1"]])), 422, "bad_type"),
    "dates": (npy_of(np.zeros((1, 2), dtype="M8[s]")), 422, "bad_type"),
    "fields in columns": (npy_of(np.zeros((1, 2), dtype=[("x1", "<f8")])), 422, "bad_shape"),
    "a field too few": (npy_of(np.zeros(1, dtype=[("x1", "<f8")])), 422, "missing_column"),
    "a field too many": (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", "i1"), ("x3", "i1")])), 422, "unknown_column"),
    "fields of texts": (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", "U6")])), 422, "bad_type"),
    "fields of moments": (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", "M8[D]")])), 422, "bad_type"),
    "fields of complex numbers": (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", "c16")])), 422, "bad_type"),
    "fields of arrays": (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", "f8", 2)])), 422, "bad_type"),
    "fields in fields": (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", [("x", "f8")])])), 422, "bad_type"),
    "fields with objects": (npy_of(np.array([(1.0, Sesame())], dtype=[("x1", "<f8"), ("x2", "O")])), 422, "bad_type"),
    "fields with a nan": (npy_of(np.array([(1.0, np.nan)], dtype=[("x1", "<f8"), ("x2", "<f4")])), 422, "not_a_number"),
    "objects, pickled": (npy_of(np.array([[Sesame(), 1.0]], dtype=object)), 422, "bad_type"),
    "nan": (npy_of(np.array([[1.0, np.nan]])), 422, "not_a_number"),
    "infinity": (npy_of(np.array([[-np.inf, 1.0]], dtype=np.float32)), 422, "not_a_number"),
}


@pytest.mark.parametrize(("body", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_plain_array_of_floats_is_refused(
    shared: httpx.AsyncClient, capfd: pytest.CaptureFixture[str], body: bytes, status: int, code: str
) -> None:
    answer = await post(shared, body, NPY, "pair")
    assert refusal(answer) == (status, code)
    assert "sesame" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (npy_of(np.zeros((3, 1))), "expected the shape (rows, 2), found (3, 1); the columns are x1, x2"),
        (npy_of(np.zeros(2)), "expected the shape (rows, 2), found (2,); the columns are x1, x2"),
        (npy_of(np.array(1.0)), "expected the shape (rows, 2), found (); the columns are x1, x2"),
        (headed(described((1, 2, 10**40, 4, 5))), "expected the shape (rows, 2), found (1, 2, ..., ...); the columns"),
        # More digits than Python writes out.
        (headed(f"{{'descr': '<f8', 'fortran_order': False, 'shape': (0x{'f' * 5000}, 3)}}"), "expected the shape"),
        (npy_of(np.zeros((1, 2), dtype="c16")), f"{WANTED}, found complex128"),
        (npy_of(np.zeros((1, 2), dtype="U3")), f"{WANTED}, found str96"),
        (npy_of(np.zeros(1, dtype=[("sesame", "<f8")])), "columns x1, x2 are missing"),
        (npy_of(np.zeros((1, 2), dtype=[("x1", "<f8")])), "expected the shape (rows,) of named fields, found (1, 2)"),
        (npy_of(np.zeros(1, dtype=[("x1", "<f8"), ("x2", "c16")])), "column x2 is of a type that is not read: complex"),
        (npy_of(np.zeros((3, 2)))[:-16], "an array of this shape takes 48 bytes, found 32"),
    ],
)
async def test_the_refusal_says_what_the_array_is(shared: httpx.AsyncClient, body: bytes, said: str) -> None:
    answer = await post(shared, body, NPY, "pair")
    refusal(answer)
    assert message(answer).startswith(said)


async def test_a_value_that_is_not_finite_is_named_by_row_and_column(shared: httpx.AsyncClient) -> None:
    answer = await post(shared, npy_of(np.array([[1.0, 2.0], [3.0, np.inf]])), NPY, "pair")
    assert message(answer) == "row 1, column x2: not a finite number"


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'shape': (1,\n",
        "(" * 3000,
        "  \n  {'descr'",
        described((1, 2), ()),
        described((1, 2), ("<f8",)),
    ],
)
async def test_a_header_that_numpy_stumbles_over_is_refused(shared: httpx.AsyncClient, header: str) -> None:
    assert refusal(await post(shared, headed(header, bytes(16)), NPY, "pair")) == (400, "malformed")


pieces = st.lists(
    st.sampled_from(
        [*"{}()[],:'L \n1-", "'descr'", "'fortran_order'", "'shape'", "'<f8'", "False", "(1, 2)", "b", "\\", "\x00"]
    ),
    max_size=25,
).map("".join)


@given(pieces, st.sampled_from([(1, 0), (2, 0)]))
def test_any_header_is_read_or_refused(header: str, version: tuple[int, int]) -> None:
    _read_or_refused(headed(header, bytes(16), version))


@pytest.mark.parametrize("version", [(0, 0), (4, 0), (9, 9), (255, 255)])
async def test_a_version_of_the_format_that_is_not_known_is_refused(
    shared: httpx.AsyncClient, version: tuple[int, int]
) -> None:
    answer = await post(shared, headed(described((1, 2)), bytes(16), version), NPY, "pair")
    assert refusal(answer) == (400, "malformed")
    assert message(answer) == "the body is not an npy file of version 1, 2 or 3"


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_gives_other_rows_or_a_refusal(place: int, value: int) -> None:
    changed = bytearray(npy_of(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])))
    changed[min(place, len(changed) - 1)] = value
    _read_or_refused(bytes(changed))


def test_a_signalling_nan_is_cast_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = _read_or_refused(headed(described((1, 2), "<f4"), b"\x00\x00\xa0\x7f" * 2))
    assert np.isnan(rows).all()


def _read_or_refused(body: bytes) -> Array:
    try:
        rows, _ = npy.read(body, COLUMNS, 1000)
    except PatternServerError as error:
        assert len(str(error)) < 100
        return np.empty((0, 2))
    assert an_array(rows).shape[1] == 2
    return an_array(rows)
