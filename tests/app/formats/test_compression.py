"""Compressed bodies, with an end to what they may become; answers compressed as they are asked for."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BodyTooLarge, Malformed, NotAcceptedType
from app.formats.compression import decoded, encoded, encoding_for


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_what_is_compressed_comes_back(content: bytes, encoding: str) -> None:
    assert decoded(encoded(content, encoding), encoding.upper(), 200) == content


def test_both_are_what_everybody_means_by_them() -> None:
    assert gzip.decompress(encoded(b"abc", "gzip")) == b"abc"
    assert zlib.decompress(encoded(b"abc", "deflate")) == b"abc"
    assert decoded(b"abc", "", 0) == decoded(b"abc", "identity", 0) == b"abc"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_few_bytes_cannot_become_many(encoding: str) -> None:
    bomb = encoded(b"\0" * 1_000_000, encoding)
    assert len(decoded(bomb, encoding, 1_000_000)) == 1_000_000
    with pytest.raises(BodyTooLarge):
        decoded(bomb, encoding, 999_999)


@pytest.mark.parametrize("content", [b"", b"abc", gzip.compress(b"abc")[:-1], gzip.compress(b"abc") * 2])
def test_what_is_not_whole_is_malformed(content: bytes) -> None:
    with pytest.raises(Malformed):
        decoded(content, "gzip", 100)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, deflate", "gzip,gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    with pytest.raises(NotAcceptedType):
        decoded(b"abc", encoding, 100)


@pytest.mark.parametrize(
    ("accepted", "small", "large"),
    [
        ("", "", ""),
        ("identity", "", ""),
        ("br, zstd", "", ""),
        ("gzip", "gzip", "gzip"),
        ("deflate", "deflate", "deflate"),
        ("gzip;q=0", "", ""),
        ("gzip, deflate, br", "", "gzip"),
        ("gzip;q=0.5, deflate;q=0.8", "", "deflate"),
        ("gzip;q=x, deflate", "", "deflate"),
    ],
)
def test_an_answer_is_compressed_if_that_was_meant(accepted: str, small: str, large: str) -> None:
    assert (encoding_for(accepted, 100), encoding_for(accepted, 10_000)) == (small, large)
