"""A closed form as people and programs read it: LaTeX, and a function in Python."""

import ast

from training.recipe.formula import Formula

GREEK = {
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "theta",
    "lambda",
    "mu",
    "nu",
    "phi",
    "psi",
    "rho",
    "sigma",
    "tau",
}
NAMED = {"log": r"\ln", "exp": r"\exp", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "tanh": r"\tanh"}
BUILT_IN = {"abs", "min", "max"}
SUM, PRODUCT, SIGN, POWER, ATOM = range(5)


def python(formula: Formula, output: str, inputs: tuple[str, ...]) -> str:
    """Return a function of Python's own `math`, such as `def y(x1, x2): …`."""
    tree = ast.parse(formula.text, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in BUILT_IN:
            node.func = ast.Attribute(ast.Name("math", ast.Load()), node.func.id, ast.Load())
    return f"import math\n\n\ndef {output}({', '.join(inputs)}):\n    return {ast.unparse(tree)}\n"


def latex(formula: Formula) -> str:
    return _latex(formula.tree)[0]


def _latex(node: ast.expr) -> tuple[str, int]:
    """Return the LaTeX of a part, and how tightly it holds together."""
    match node:
        case ast.Constant(value=value):
            return _number(float(str(value))), ATOM
        case ast.Name(id=name):
            return _name(name), ATOM
        case ast.UnaryOp(operand=operand):
            return f"-{_within(operand, PRODUCT)}", SIGN
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return rf"\frac{{{_latex(left)[0]}}}{{{_latex(right)[0]}}}", PRODUCT
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_within(left, ATOM)}^{{{_latex(right)[0]}}}", POWER
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            between = r" \cdot " if isinstance(right, ast.Constant) else r" \, "
            return f"{_within(left, PRODUCT)}{between}{_within(right, PRODUCT)}", PRODUCT
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_within(left, SUM)} + {_within(right, SUM)}", SUM
        case ast.BinOp(left=left, right=right):
            return f"{_within(left, SUM)} - {_within(right, PRODUCT)}", SUM
        case ast.Call(func=ast.Name(id="sqrt"), args=[inside]):
            return rf"\sqrt{{{_latex(inside)[0]}}}", ATOM
        case ast.Call(func=ast.Name(id="abs"), args=[inside]):
            return rf"\left|{_latex(inside)[0]}\right|", ATOM
        case ast.Call(func=ast.Name(id=name), args=arguments):
            inside_all = ", ".join(_latex(argument)[0] for argument in arguments)
            return rf"{NAMED.get(name, chr(92) + name)}\left({inside_all}\right)", POWER
    raise AssertionError(f"a closed form has no {type(node).__name__}")


def _within(node: ast.expr, least: int) -> str:
    text, tightness = _latex(node)
    return text if tightness >= least else rf"\left({text}\right)"


def _number(value: float) -> str:
    digits, _, exponent = f"{value:.15g}".partition("e")
    return rf"{digits} \cdot 10^{{{int(exponent)}}}" if exponent else digits


def _name(name: str) -> str:
    letters = name.rstrip("0123456789")
    index = name[len(letters) :]
    letters = letters.rstrip("_") if index else letters
    if letters in GREEK:
        shown = f"\\{letters}"
    else:
        escaped = letters.replace("_", r"\_")
        shown = escaped if len(letters) == 1 else rf"\mathrm{{{escaped}}}"
    return f"{shown}_{{{index}}}" if index else shown
