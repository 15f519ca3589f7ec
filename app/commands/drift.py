"""`patterns drift`: what a running server was asked, beside what the training rows held."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from app.commands.predict import server_at
from app.commands.wording import folding_table, number, share, words
from app.settings import load_settings
from models_store.errors import PatternServerError
from models_store.wording import counted

# Eighths of a line, for histograms.
BARS = " ▁▂▃▄▅▆▇█"
VERDICTS = {True: "[yellow]drift[/]", False: "no", None: "–"}


class NobodyListens(PatternServerError):
    def __init__(self, address: str) -> None:
        super().__init__(f"no server at {address}; it is the one that knows what it was asked: give --url, or start it")


def drift_of(pattern: str, since: str, version: int | None, url: str | None) -> dict[str, Any]:
    """Ask the server for the document. Raises WrongAddress, Refused, and NobodyListens."""
    return asked_of(f"/patterns/{pattern}/drift", {"since": since} | ({"version": version} if version else {}), url)


def asked_of(path: str, query: Mapping[str, str | int], url: str | None) -> dict[str, Any]:
    """Return a document of the server. Raises as `drift_of` does."""
    server = server_at(url, load_settings())
    try:
        said: dict[str, Any] = server.said(f"{path}?{urlencode(query)}")
    except OSError:
        raise NobodyListens(server.address) from None
    return said


def print_drift(out: Console, said: dict[str, Any]) -> None:
    of_them = "" if said["rows"] == said["asked"] else f", {said['rows']} of them counted"
    rows = counted(said["asked"], "row", "rows")
    out.print(
        f"[bold]{said['pattern']}[/] version {said['version']}   {rows} since {said['since']}{of_them}",
        highlight=False,
    )
    if said["rows"] < said["rows_needed"]:
        out.print(f"A verdict takes {said['rows_needed']} rows.", highlight=False)
    out.print(_columns(said["columns"], "column"))
    out.print(_columns(said["outputs"], "answer"))
    if (known := said["outcomes"]) is not None:
        out.print(_sentence(known), highlight=False)


def _columns(columns: list[dict[str, Any]], heading: str) -> Table:
    """Return a table that 80 characters hold; only names are folded."""
    headings = (heading, "drift", "PSI", "beyond", "JS", "missing", "unseen", "outside", "training\nasked")
    shown = folding_table(*headings, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for column_shown in shown.columns[1:]:
        column_shown.no_wrap = True
    for column in columns:
        histogram = column["histogram"]
        largest = max(*histogram["training"], *histogram["asked"], 1e-9)
        shown.add_row(
            words(column["name"]),
            VERDICTS[column["drifted"]],
            *(_short(column[name]) for name in ("psi", "threshold", "js", "missing", "unseen", "outside")),
            "\n".join(_bars(histogram[name], largest) for name in ("training", "asked")),
        )
    return shown


def _short(value: float | None) -> str:
    if value is None:
        return "–"
    rounded = round(value, 4)
    return f"{rounded:.3g}" if rounded or not value else "<1e-4"


def _bars(shares: list[float], largest: float) -> str:
    """Return a bar for each bucket, as high as its share; anything but nothing is seen."""
    return "".join(BARS[max(int(share > 0), round(share / largest * (len(BARS) - 1)))] for share in shares)


def _sentence(known: dict[str, Any]) -> str:
    say = share if known["metric"] == "accuracy" else number
    verdict = {True: "worse than the card's", False: "as the card's", None: "beside the card's"}[known["worse"]]
    rows = counted(known["rows"], "row", "rows")
    return (
        f"{rows} whose right answers are known: {known['metric']} {say(known['value'])}, {verdict} {say(known['card'])}"
    )
