"""Colours, and names of labels and rows, for all plots."""

from models_store.bundle import Description
from models_store.card import Value

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#777777"
LONGEST_NAME = 18


def rows_shown(described: Description) -> str:
    """Return words for the rows that a plot is drawn from."""
    shown, all_rows = len(described.evaluation.labels), described.card.test.rows
    return "test rows" if shown >= all_rows else f"the first {shown:,} of {all_rows:,} test rows"


def label_names(described: Description) -> list[str]:
    """Return the labels of a classification pattern, as `named` writes them."""
    return [named(value) for value in described.card.outputs[0].values or []]


def named(value: Value) -> str:
    """Return a label for people: 1 for 1.0, cut to fit a tick, and $ escaped, which would begin a formula."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.10g}" if isinstance(value, float) else value
    # Characters that cannot be printed are not allowed in an SVG either.
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    text = text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 1]}…"
    return text.replace("$", r"\$")
