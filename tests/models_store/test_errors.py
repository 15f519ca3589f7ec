"""Errors: the tree at the top of their module is the tree of their classes."""

import inspect

from models_store import errors


def test_the_tree_in_the_docstring_has_every_error_below_its_base() -> None:
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    bases = {kind.__name__: kind.__bases__[0].__name__ for kind in classes}
    assert drawn(inspect.getdoc(errors) or "") == bases


def drawn(tree: str) -> dict[str, str]:
    """The base of each class: the last one of a line that is indented less."""
    bases: dict[str, str] = {}
    path = ["Exception"]
    for line in tree.partition("\n\n")[2].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = line.strip().split(" · ")
        bases |= dict.fromkeys(names, path[depth])
        path = [*path[: depth + 1], names[-1]]
    return bases
