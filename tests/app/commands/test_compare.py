"""`patterns compare A B`: versions compared on their test rows, or on the rows of a table, within 80 columns."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from app.cli import cli
from app.commands.compare import BadVersion, compared, print_comparison
from app.commands.table_parts import Refused
from models_store.errors import NotComparable, PatternServerError, UnknownVersion
from models_store.storage.store import Store
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, that_errs
from tests.table_fakes import flowers, rents

WIDTH = 80


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Versions 1 and 2 of `line`, of which the second one is better; `flowers` and `rents`."""
    store = Store(tmp_path / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (that_errs(2.0), that_errs(1.0), flowers(), flowers("blossoms"), rents(), rents("more-rents")):
        store.publish(bundle)
    monkeypatch.setattr("app.commands.compare.network_loader", lambda _settings: LinearNetwork.from_bytes)
    monkeypatch.setenv("PATTERNS_STORE", str(store.root))
    return store


@pytest.mark.usefixtures("store")
def test_two_versions_are_told_apart_within_80_columns() -> None:
    console = Console(width=WIDTH, file=io.StringIO())
    print_comparison(console, compared("line@1", "line"))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= WIDTH
    said = re.sub(r"\s+", " ", text)
    assert said.startswith("line@2 is better than line@1: RMSE 1 against 2 on 40 test rows;")
    assert "│ line@1 │ 2 │ 2 │ 0.25 │" in said
    assert "│ linear model │ 3 │ 3 │ – │" in said


@pytest.mark.usefixtures("store")
def test_the_same_as_json_is_what_http_answers() -> None:
    done = CliRunner().invoke(cli, ["compare", "line@1", "line@2", "--json"])
    told = json.loads(done.stdout)
    assert (done.exit_code, told["figures"]["line@2"], told["rows_of"]) == (0, {"rmse": 1.0, "mae": 1.0}, "test rows")


@pytest.mark.usefixtures("store")
def test_rows_of_a_table_are_answered_by_both(tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    path.write_text("y,x,beside\n" + "".join(f"{2 * number + 1},{number},-\n" for number in range(12)))
    found = compared("line@1", "line@2", path)
    assert (found.rows, found.rows_of, found.figures["line@1"]) == (12, "rows of more.csv", {"rmse": 1.0, "mae": 1.0})
    assert found.verdict.startswith("line@1 and line@2 answer 12 rows of more.csv equally well")
    assert found.note.endswith("train with them as test rows: patterns train --csv FILE --test more.csv")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_labels_of_a_table_are_those_of_the_data(tmp_path: Path, ending: str) -> None:
    rows: list[dict[str, Any]] = [
        {"length": 1.5 + place, "width": None, "species": label}
        for place, label in enumerate(["setosa", "versicolor", "virginica"] * 4)
    ]
    path = tmp_path / f"more.{ending}"
    path.write_text(
        "\n".join(map(json.dumps, rows))
        if ending == "jsonl"
        else "\n".join(["length,width,species", *(f"{row['length']},,{row['species']}" for row in rows)])
    )
    found = compared("flowers", "blossoms", path)
    assert list(found.figures["flowers@1"]) == ["log_loss", "accuracy"]
    assert found.figures["flowers@1"] == found.figures["blossoms@1"]


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("first", "second", "rows", "error", "said"),
    [
        ("line@1", "line@1", None, NotComparable, "line@1 is named twice; name two versions"),
        ("line@0", "line@1", None, BadVersion, "NAME@NUMBER"),
        ("line@one", "line@1", None, BadVersion, "NAME@NUMBER"),
        ("line@1", "line@9", None, UnknownVersion, "line has no such version"),
        ("line@1", "rents", None, NotComparable, "line@1 answers y, and rents@1 answers rent"),
        ("flowers", "blossoms", "length,width,species\n1,2,setosa\n1,2,oak\n", Refused, "row 1: a label that training"),
        ("flowers", "blossoms", "length,width\n1,2\n", Refused, "column species is missing"),
        ("rents", "more-rents", "rooms,district,rent\n1,north,\n", Refused, "line 2, column rent: expected a number"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(
    tmp_path: Path, first: str, second: str, rows: str | None, error: type[PatternServerError], said: str
) -> None:
    path = None if rows is None else tmp_path / "rows.csv"
    if path is not None and rows is not None:
        path.write_text(rows)
    with pytest.raises(error, match=re.escape(said)):
        compared(first, second, path)
