"""Formulas in the terms of sympy, which merges and orders their parts, and back.

sympy is of the extra `symbolic`: only the process of a symbolic regression imports this.
"""

import ast
from collections.abc import Callable, Collection, Iterator

import sympy

from training.closed_form.expression import FREE, Expression
from training.closed_form.spelling import spelled

FUNCTIONS: dict[str, Callable[..., sympy.Expr]] = {
    "sqrt": sympy.sqrt,
    "exp": sympy.exp,
    "log": sympy.log,
    "abs": sympy.Abs,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "tanh": sympy.tanh,
    "min": sympy.Min,
    "max": sympy.Max,
}
SUM, PRODUCT, POWER, ATOM = range(4)


def parsed(text: str, inputs: Collection[str]) -> sympy.Expr:
    """Return the expression of a text of the recipe's grammar, or of pyoperon's, which spells powers `^`.

    Decimals become floats, whole numbers and fractions of them stay exact. Raises ValueError where it has no value, or
    a part that is no input and none of FUNCTIONS.
    """
    names = {name: sympy.Symbol(name, real=True) for name in inputs}
    made = _parsed(ast.parse(text.replace("^", "**"), mode="eval").body, names)
    if not is_finite(made):
        raise ValueError("the formula has a part without a value")
    return made


def written(expression: sympy.Expr) -> str:
    """Return a text of the recipe's grammar."""
    return _text(expression, _spelled)[0]


def freed(expression: sympy.Expr) -> Expression:
    """Return the expression with its floats free; whole numbers and fractions are part of its pattern."""
    numbers: list[float] = []

    def named(number: float) -> str:
        numbers.append(number)
        return f"{FREE}{len(numbers) - 1}"

    pattern, _ = _text(expression, named)
    return Expression(pattern, tuple(numbers))


def is_finite(expression: sympy.Expr) -> bool:
    return not expression.has(sympy.nan, sympy.zoo, sympy.oo, sympy.I)


def shorter(expression: sympy.Expr) -> Iterator[sympy.Expr]:
    """Yield the expression with one part less: a summand, a factor, a sign, or a side of a minimum or a maximum."""
    arguments = expression.args
    if isinstance(expression, sympy.Add | sympy.Mul | sympy.Min | sympy.Max):
        for place, left_out in enumerate(arguments):
            rest = (*arguments[:place], *arguments[place + 1 :])
            yield expression.func(*rest)
            if left_out.is_Float and left_out < 0 and isinstance(expression, sympy.Mul):
                yield expression.func(sympy.Integer(-1), *rest)
    for place, argument in enumerate(arguments):
        for less in shorter(argument):
            yield expression.func(*arguments[:place], less, *arguments[place + 1 :])


def _parsed(node: ast.expr, names: dict[str, sympy.Symbol]) -> sympy.Expr:
    match node:
        case ast.Constant(value=int(value)):
            return sympy.Integer(value)
        case ast.Constant(value=float(value)):
            return sympy.Float(value)
        case ast.Name(id=name) if name in names:
            return names[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_parsed(operand, names)
        case ast.BinOp(left=left, op=operator, right=right):
            return _joined(operator, _parsed(left, names), _parsed(right, names))
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in FUNCTIONS:
            return FUNCTIONS[name](*(_parsed(argument, names) for argument in arguments))
    raise ValueError(f"a formula that is looked for has no {type(node).__name__}")


def _joined(operator: ast.operator, left: sympy.Expr, right: sympy.Expr) -> sympy.Expr:
    match operator:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return left * right
        case ast.Div():
            return left / right
    return left**right


def _text(node: sympy.Expr, spell: Callable[[float], str]) -> tuple[str, int]:
    """Return the text of a part, and how tightly it holds together; `spell` writes its floats."""

    def within(part: sympy.Expr, least: int) -> str:
        text, tightness = _text(part, spell)
        return text if tightness >= least else f"({text})"

    if node.is_Float or isinstance(node, sympy.NumberSymbol):
        text = spell(float(node))
        return text, PRODUCT if text.startswith("-") or "/" in text else ATOM
    if node.is_Integer:
        return str(node), PRODUCT if node < 0 else ATOM
    if node.is_Symbol:
        return node.name, ATOM
    if isinstance(node, sympy.Add):
        terms = " + ".join(within(term, PRODUCT) for term in node.as_ordered_terms())
        return terms.replace("+ -", "- "), SUM
    if isinstance(node, sympy.Mul) or node.is_Rational:
        return _product(node, within), PRODUCT
    if isinstance(node, sympy.Pow):
        return _power(node, within)
    name = next(name for name, function in FUNCTIONS.items() if function is node.func)
    first, *others = (_text(part, spell)[0] for part in sorted(node.args, key=str))
    # A minimum of three is that of one and of the other two.
    for other in others:
        first = f"{first}, {other}" if other is others[-1] else f"{first}, {name}({other}"
    return f"{name}({first})" + ")" * max(0, len(others) - 1), ATOM


def _product(node: sympy.Expr, within: Callable[[sympy.Expr, int], str]) -> str:
    number, rest = node.as_coeff_Mul()
    factors = [factor for factor in sympy.Mul.make_args(rest) if factor != 1]
    above, below = sympy.fraction(number) if number.is_Rational else (number, sympy.Integer(1))
    over = [within(factor, POWER) for factor in factors if not _is_below(factor)]
    under = [within(1 / factor, POWER) for factor in factors if _is_below(factor)]
    if below != 1:
        under.insert(0, str(below))
    # To sympy, a float is no whole number, even if it is one.
    sign = "-" if float(above) == -1 and over else ""
    if abs(float(above)) != 1 or not over:
        over.insert(0, within(above, PRODUCT))
    text = sign + "*".join(over)
    if not under:
        return text
    return f"{text}/{under[0]}" if len(under) == 1 else f"{text}/({'*'.join(under)})"


def _is_below(factor: sympy.Expr) -> bool:
    return isinstance(factor, sympy.Pow) and factor.exp.is_Rational and factor.exp < 0


def _power(node: sympy.Expr, within: Callable[[sympy.Expr, int], str]) -> tuple[str, int]:
    if _is_below(node):
        return f"1/{within(1 / node, POWER)}", PRODUCT
    if node.exp == sympy.Rational(1, 2):
        return f"sqrt({within(node.base, SUM)})", ATOM
    return f"{within(node.base, ATOM)}**{within(node.exp, ATOM)}", POWER


def _spelled(number: float) -> str:
    return f"-{spelled(-number)}" if number < 0 else spelled(number)
