"""Answers out of fold, as a version keeps them."""

import io
from typing import Any

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


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        (b"PK\x03\x04 cut off", "not an npz file"),
        (npz(answers=ANSWERS, spread=ANSWERS), "missing|not a file in the archive|targets"),
        (npz(answers=ANSWERS, spread=ANSWERS, targets=ANSWERS[:2]), "do not fit"),
        (npz(answers=ANSWERS.astype(str), spread=ANSWERS, targets=ANSWERS), "expected float64"),
        (npz(answers=ANSWERS[0], spread=ANSWERS, targets=ANSWERS), "two dimensions"),
    ],
)
def test_a_damaged_file_is_refused(saved: bytes, words: str) -> None:
    with pytest.raises((BundleDamaged, KeyError), match=words):
        OutOfFold.from_bytes(saved)


def test_objects_are_not_unpickled() -> None:
    with pytest.raises(ValueError, match="allow_pickle"):
        OutOfFold.from_bytes(npz(answers=np.array([object()]), spread=ANSWERS, targets=ANSWERS))
