"""Errors: the tree at the top of their module, and how they cross from one process into another by their code."""

import inspect
from types import ModuleType

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


def test_the_tree_in_the_docstring_has_every_error_below_its_base() -> None:
    assert drawn(errors) == bases_in(errors)


def bases_in(module: ModuleType) -> dict[str, str]:
    """Return the base of each error of a module, by name."""
    classes = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)]
    return {kind.__name__: kind.__bases__[0].__name__ for kind in classes}


def drawn(module: ModuleType) -> dict[str, str]:
    """Return the same as its docstring draws it: the base is the last one of a line that is indented less."""
    tree = inspect.getdoc(module) or ""
    bases: dict[str, str] = {}
    path = ["Exception"]
    for line in tree.partition("\n\n")[2].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = line.strip().split(" · ")
        bases |= dict.fromkeys(names, path[depth])
        path = [*path[: depth + 1], names[-1]]
    return bases
