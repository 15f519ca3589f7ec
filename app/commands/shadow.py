"""`patterns shadow`: how far the answers of a shadow are from the champion's, as a running server has counted them."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console

from app.commands.drift import asked_of
from app.commands.wording import folding_table, number, share, words
from models_store.wording import counted

# The figures of an output, those of numbers before those of labels; and what its card says beside them.
NUMBERS = {"rmse": "RMSE of the differences", "mae": "mean size", "bias": "bias", "card": "the champion's test RMSE"}
LABELS = {"agreement": "same label", "distance": "distance", "card": "the champion's test accuracy"}


def shadow_of(pattern: str, since: str, url: str | None) -> dict[str, Any]:
    """Ask the server for the document. Raises WrongAddress, Refused, and NobodyListens."""
    return asked_of(f"/patterns/{pattern}/shadow", {"since": since}, url)


def print_shadow(out: Console, said: dict[str, Any]) -> None:
    out.print(
        f"[bold]{said['pattern']}[/] version {said['version']}, the shadow of version {said['champion']}   "
        f"{counted(said['rows'], 'row', 'rows')} compared since {said['since']}",
        highlight=False,
    )
    questions = counted(said["questions"], "live question", "live questions")
    told = [f"{said[name]:,} {name}" for name in ("copied", "dropped", "failed") if said[name] or name == "copied"]
    out.print(f"Of {questions}: {', '.join(told)}.", highlight=False)
    if not said["rows"]:
        out.print("Nothing was compared in this time.", highlight=False)
        return
    figures = LABELS if "agreement" in next(iter(said["outputs"].values())) else NUMBERS
    table = folding_table("answer", *figures.values(), box=SIMPLE_HEAD, pad_edge=False)
    for name, found in said["outputs"].items():
        table.add_row(words(name), *((share if figures is LABELS else number)(found[figure]) for figure in figures))
    out.print(table)
