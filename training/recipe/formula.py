"""Formulas as data: parsed against a short list of what is allowed, computed over columns, never evaluated as code.

Formula.parse("0.5*x1**2 - 3*x2 + 5", inputs=("x1", "x2"))({"x1": ..., "x2": ...}) -> float64 (n_rows,)
"""

import ast
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.float64]

LONGEST = 512
MOST_NODES = 200
DEEPEST = 32

# Every number is a float64 before any arithmetic: 9**9**9 is inf at once, not an integer of a million digits.
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.Pow: np.power,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.USub: np.negative, ast.UAdd: np.positive}
COMPARISON: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
# name -> (function, number of arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "sqrt": (np.sqrt, 1),
    "exp": (np.exp, 1),
    "log": (np.log, 1),
    "abs": (np.abs, 1),
    "sin": (np.sin, 1),
    "cos": (np.cos, 1),
    "tan": (np.tan, 1),
    "tanh": (np.tanh, 1),
    "min": (np.minimum, 2),
    "max": (np.maximum, 2),
    "where": (np.where, 3),
}


class FormulaError(ValueError):
    """A text that is not a formula; the message says what is allowed instead."""


@dataclass(frozen=True)
class Formula:
    """A parsed formula. Its tree holds allowed nodes only."""

    text: str
    tree: ast.expr

    @classmethod
    def parse(cls, text: str, inputs: Collection[str]) -> Self:
        """Parse a formula over these input columns. Raises FormulaError where a part of it is not allowed."""
        if not text.isascii() or len(text) > LONGEST:
            found = f"{len(text)} characters" if text.isascii() else "a character that is not ASCII"
            raise FormulaError(f"a formula is at most {LONGEST} ASCII characters, and this has {found}")
        try:
            with warnings.catch_warnings(action="ignore"):  # Python's warnings about odd syntax would reach the log
                tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise FormulaError("a formula is one expression, such as 0.5*x1**2 - 3*x2 + 5") from None
        if (n_nodes := sum(1 for _ in ast.walk(tree))) > MOST_NODES:
            raise FormulaError(f"a formula has at most {MOST_NODES} parts, and this has {n_nodes}")
        _check(tree, frozenset(inputs), depth=1)
        return cls(text, tree)

    def __call__(self, columns: Mapping[str, Column]) -> Column:
        """Return one value a row, float64 (n_rows,); NaN or infinite where the formula has no value."""
        n_rows = len(next(iter(columns.values())))
        with np.errstate(all="ignore"):
            computed = np.asarray(_compute(self.tree, columns), dtype=np.float64)
        return np.broadcast_to(computed, (n_rows,)).copy()


def _check(node: ast.AST, inputs: frozenset[str], depth: int) -> None:
    if depth > DEEPEST:
        raise FormulaError(f"a formula nests at most {DEEPEST} deep: use fewer parentheses and signs")
    for child in _operands(node, inputs):
        _check(child, inputs, depth + 1)


def _operands(node: ast.AST, inputs: frozenset[str]) -> list[ast.expr]:
    """Return the operands of an allowed node. Raises FormulaError for any other node."""
    match node:
        case ast.Constant(value=value) if type(value) in (int, float):
            return []
        case ast.Name(id=name) if name in inputs:
            return []
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in BINARY:
            return [left, right]
        case ast.UnaryOp(op=operator, operand=operand) if type(operator) in UNARY:
            return [operand]
        case ast.Compare(left=left, ops=[comparison], comparators=[right]) if type(comparison) in COMPARISON:
            return [left, right]
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            if len(arguments) != FUNCTIONS[name][1]:
                raise FormulaError(f"{name} takes {FUNCTIONS[name][1]} argument(s), and has {len(arguments)} here")
            return arguments
        case ast.BinOp(op=ast.BitXor()):
            raise FormulaError("use ** for powers: x ** 2")
        case ast.Name():
            raise FormulaError(f"unknown name in the formula; the inputs are {', '.join(sorted(inputs))}")
    raise FormulaError(f"a formula has only + - * / **, comparisons, numbers, inputs and {', '.join(FUNCTIONS)}")


def _compute(node: ast.AST, columns: Mapping[str, Column]) -> Any:
    match node:
        case ast.Constant(value=value):
            return _float(value)
        case ast.Name(id=name):
            return columns[name]
        case ast.BinOp(left=left, op=operator, right=right):
            return BINARY[type(operator)](_compute(left, columns), _compute(right, columns))
        case ast.UnaryOp(op=unary, operand=operand):
            return UNARY[type(unary)](_compute(operand, columns))
        case ast.Compare(left=left, ops=[comparison], comparators=[right]):
            compared = COMPARISON[type(comparison)](_compute(left, columns), _compute(right, columns))
            return np.asarray(compared, dtype=np.float64)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return FUNCTIONS[name][0](*(_compute(argument, columns) for argument in arguments))
    raise FormulaError("a formula was changed after it was checked")


def _float(value: Any) -> np.float64:
    try:
        return np.float64(value)
    except OverflowError:
        return np.float64(np.inf)
