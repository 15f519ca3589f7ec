"""Errors that cross from one process into another by their code."""

import pytest

from models_store import errors
from models_store.errors import (
    BundleUnreadable,
    DatasetGone,
    NotFinite,
    PatternServerError,
    StoreUnwritable,
    TableError,
    error_of,
)


@pytest.mark.parametrize("kind", [TableError, StoreUnwritable, BundleUnreadable, DatasetGone, NotFinite])
def test_an_error_arrives_as_the_same_class_with_the_same_message(kind: type[PatternServerError]) -> None:
    error = error_of(kind.code, "line 5: expected 2 fields, found 1")
    assert (type(error), error.code, str(error)) == (kind, kind.code, "line 5: expected 2 fields, found 1")


def test_every_code_stands_for_one_class() -> None:
    found = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, PatternServerError)]
    kinds = [kind for kind in found if kind is not PatternServerError]
    assert [type(error_of(kind.code, "")) for kind in kinds] == kinds


@pytest.mark.parametrize("code", ["unheard_of", "error", ""])
def test_a_code_that_this_process_does_not_know_is_an_error_without_a_class(code: str) -> None:
    error = error_of(code, "the loss is no longer a number")
    assert (type(error), str(error)) == (PatternServerError, "the loss is no longer a number")
