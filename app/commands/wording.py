"""Numbers, values, tables and curves as text for a terminal."""

from math import floor, log10
from typing import Any

from rich.markup import escape
from rich.table import Column, Table

from models_store.card import AnyScore, LabelScore, Value

CURVE_WIDTH, CURVE_HEIGHT = 64, 8
LONGEST_TEXT = 24


def number(value: float | None) -> str:
    """Five significant digits; from 100 000 on, such as prices, all digits before the point."""
    if value is None:
        return "–"
    return f"{value:.0f}" if 1e5 <= abs(value) < 1e9 else f"{value:.5g}"


def share(value: float | None) -> str:
    """R² or accuracy; between 0.99 and 1 with enough digits to differ from 1, rounded down."""
    if value is None or not 0.99 < value < 1:
        return number(value)
    digits = min(15, 2 - floor(log10(1 - value)))
    return f"{floor(value * 10**digits) / 10**digits:.{digits}f}"


def headline(test: AnyScore) -> str:
    """The two most telling scores."""
    if isinstance(test, LabelScore):
        return f"test accuracy {share(test.accuracy)}, log loss {number(test.log_loss)}"
    return f"test RMSE {number(test.rmse)}, R² {share(test.r2)}"


def value_of(value: Value | int | None) -> str:
    """A cell of a table: numbers whole, texts short."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return words(value if len(value) <= LONGEST_TEXT else f"{value[: LONGEST_TEXT - 1]}…")
    # Python 3.11 has no is_integer of whole numbers.
    return f"{value:.10g}" if float(value).is_integer() else number(value)


def words(text: str) -> str:
    """Escape a text of a table, so that it is neither markup nor a control sequence of the terminal."""
    return escape("".join(letter if letter.isprintable() else " " for letter in text))


def folding_table(*headings: str, **options: Any) -> Table:
    """A table whose cells are folded where they are too long, and never cut."""
    return Table(*(Column(heading, overflow="fold") for heading in headings), **options)


def curve(values: list[float]) -> str:
    """A small plot in text, logarithmic: each column shows the last value of its share of the epochs."""
    columns = min(CURVE_WIDTH, len(values))
    levels = [log10(max(values[(place + 1) * len(values) // columns - 1], 1e-300)) for place in range(columns)]
    low, high = min(levels), max(levels)
    step = (high - low) / (CURVE_HEIGHT - 1) or 1.0
    heights = [round((level - low) / step) for level in levels]
    lines = ["".join("•" if height == row else " " for height in heights) for row in reversed(range(CURVE_HEIGHT))]
    labels = [f"{10**high:9.2g}", *[" " * 9] * (CURVE_HEIGHT - 2), f"{10**low:9.2g}"]
    return "\n".join(f"{label} ┤{line}" for label, line in zip(labels, lines, strict=True))
