"""Closed forms of any shape: a text of the recipe's grammar, and one whose numbers are still free."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from models_store.arrays import Array
from training.closed_form.form import STEP
from training.closed_form.spelling import spelled
from training.closed_form.terms import Columns
from training.recipe.formula import Formula, FormulaError

# How the names of free numbers begin.
FREE = "free__"


@dataclass(frozen=True)
class Written:
    """A form with nothing in it that is still free."""

    text: str

    @property
    def n_terms(self) -> int:
        """The summands."""
        return sum(1 for _ in _summands(ast.parse(self.text, mode="eval").body))

    @property
    def freed(self) -> "Expression":
        return Expression.freed(self.text)

    def values(self, columns: Columns) -> Array:
        """Return float64 (n_rows,); NaN throughout where the text is no formula of these columns."""
        return _values(self.text, columns)


@dataclass(frozen=True)
class Expression:
    """A form whose numbers are free. `pattern` has names in their places: free__0, free__1, …"""

    pattern: str
    numbers: tuple[float, ...]

    @classmethod
    def freed(cls, text: str) -> Self:
        """Return the formula with all of its numbers but whole powers free."""
        freeing = _Freed()
        pattern = ast.unparse(freeing.visit(ast.parse(text, mode="eval")))
        return cls(pattern, tuple(freeing.numbers))

    @property
    def size(self) -> int:
        """The number of numbers that the data have decided."""
        return sum(number != 0 for number in self.numbers)

    @cached_property
    def n_parts(self) -> int:
        return sum(isinstance(node, ast.expr) for node in ast.walk(ast.parse(self.pattern)))

    @property
    def text(self) -> str:
        return ast.unparse(_Filled(self.numbers).visit(ast.parse(self.pattern, mode="eval")))

    def with_numbers(self, numbers: tuple[float, ...]) -> "Expression":
        return replace(self, numbers=numbers)

    def values(self, columns: Columns) -> Array:
        """Return float64 (n_rows,); NaN throughout where the text is longer than a formula may be."""
        shape = np.shape(next(iter(columns.values())))
        free = {f"{FREE}{place}": np.full(shape, number) for place, number in enumerate(self.numbers)}
        return _values(self.pattern, {**columns, **free})

    def steps(self, columns: Columns) -> Array:
        """Return a small step of each number, (n_numbers,)."""
        return STEP * np.maximum(np.abs(self.numbers), STEP)


class _Freed(ast.NodeTransformer):
    """Puts names where numbers stand, and remembers these."""

    def __init__(self) -> None:
        self.numbers: list[float] = []

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant) and isinstance(node.right.value, int):
            return ast.BinOp(self.visit(node.left), node.op, node.right)
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        self.numbers.append(float(str(node.value)))
        return ast.Name(f"{FREE}{len(self.numbers) - 1}", ast.Load())


class _Filled(ast.NodeTransformer):
    """Puts numbers where their names stand."""

    def __init__(self, numbers: tuple[float, ...]) -> None:
        self._numbers = numbers

    def visit(self, node: ast.AST) -> ast.AST:
        if not (isinstance(node, ast.Name) and node.id.startswith(FREE)):
            return self.generic_visit(node)
        number = self._numbers[int(node.id.removeprefix(FREE))]
        size = ast.parse(spelled(abs(number)) if number else "0", mode="eval").body
        return ast.UnaryOp(ast.USub(), size) if number < 0 else size


def _values(text: str, columns: Columns) -> Array:
    try:
        return Formula.parse(text, columns)(columns)
    except FormulaError:
        return np.full(len(next(iter(columns.values()))), np.nan)


def _summands(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
            yield from _summands(left)
            yield from _summands(right)
        case _:
            yield node
