"""Answers out of fold, as a version keeps them."""

import contextlib
import io
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from models_store.errors import BundleDamaged
from models_store.out_of_fold import OutOfFold

ANSWERS = np.array([[0.2, 0.8], [0.5, 0.5], [0.9, 0.1]])
FOUND = OutOfFold(ANSWERS, ANSWERS / 10, np.array([[1.0], [0.0], [0.0]]))


def npz(**arrays: Any) -> bytes:
    target = io.BytesIO()
    np.savez(target, **arrays)
    return target.getvalue()


def test_what_was_kept_is_read_to_the_bit() -> None:
    restored = OutOfFold.from_bytes(FOUND.to_bytes())
    for name, values in vars(FOUND).items():
        np.testing.assert_array_equal(getattr(restored, name), values)


def test_some_rows_are_taken_of_all_three() -> None:
    some = FOUND.take(np.array([0, 2]))
    assert (some.answers.tolist(), some.targets.tolist()) == ([[0.2, 0.8], [0.9, 0.1]], [[1.0], [0.0]])
    assert len(some.spread) == 2


def archived(content: bytes) -> bytes:
    """A zip file whose three arrays are these bytes."""
    target = io.BytesIO()
    with ZipFile(target, "w", ZIP_DEFLATED) as archive:
        for name in vars(FOUND):
            archive.writestr(f"{name}.npy", content)
    return target.getvalue()


def npy(array: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=True)
    return target.getvalue()


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        (b"", "not an npz file"),
        (b"PK\x03\x04 cut off", "not an npz file"),
        (npy(ANSWERS), "not an npz file"),
        (npz(answers=ANSWERS, spread=ANSWERS), "not an npz file of its arrays"),
        (npz(answers=ANSWERS, spread=ANSWERS, targets=ANSWERS[:2]), "do not fit"),
        (npz(answers=ANSWERS.astype(str), spread=ANSWERS, targets=ANSWERS), "expected float64"),
        (npz(answers=ANSWERS[0], spread=ANSWERS, targets=ANSWERS), "two dimensions"),
        (archived(b"no array"), "not an npz file of its arrays"),
        (archived(npy(ANSWERS)[:-8]), "not an npz file of its arrays"),
        (archived(npy(ANSWERS).replace(b"(3, 2)", b"(3, 9)")), "not an npz file of its arrays"),
        # An object is never unpickled.
        (archived(npy(np.array([[object]]))), "expected float64"),
        (archived(bytes(1 << 27)), "would be 134217728 bytes; at most 67108864"),
    ],
)
def test_a_damaged_file_is_refused(saved: bytes, words: str) -> None:
    with pytest.raises(BundleDamaged, match=words):
        OutOfFold.from_bytes(saved)


def test_every_changed_byte_is_refused_or_read() -> None:
    saved = FOUND.to_bytes()
    for place in range(len(saved)):
        changed = bytearray(saved)
        changed[place] ^= 0xFF
        with contextlib.suppress(BundleDamaged):
            OutOfFold.from_bytes(bytes(changed))
