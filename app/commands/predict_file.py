"""`patterns predict NAME --csv FILE`: answers a table of any length part by part, by the server or from the store."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import orjson
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from app.answering.engine import network_loader
from app.commands.answer_files import Columns, NoPlace, check_place, writing_to
from app.commands.predict import Server, ask_patiently, server_at
from app.commands.table_parts import Part, check_file, parts
from app.dialects import beyond
from app.dialects.levels import NO_LEVELS, Levels
from app.dialects.native import bodies
from app.dialects.ways import Way, settled
from app.formats.expected import Expected
from app.formats.media_types import ARROW, CSV
from app.formats.reply import ENDS, Reply, column_of_lists
from app.settings import Settings, load_settings
from models_store.errors import TableError
from models_store.storage.store import Store
from models_store.tables.csv_dialect import PLAIN, CsvDialect
from models_store.tables.csv_rows import reader_of

err = Console(stderr=True)

# A part is smaller than this by far.
ANY_NUMBER = 1 << 30
BY_DATATYPE: Mapping[str, Callable[[str], Any]] = {"BOOL": lambda text: text == "true", "INT64": int, "BYTES": str}


@dataclass(frozen=True)
class Asked:
    """The options of the command line that are about a table to be answered."""

    pattern: str
    path: Path
    out: Path | None = None
    version: int | None = None
    url: str | None = None
    probabilities: bool = False
    dialect: CsvDialect = PLAIN
    ignores_extra: bool = False
    """True if columns that the pattern does not know are ignored."""
    outside: Way | None = None
    """What becomes of rows outside what training saw; None: what the recipe says."""
    levels: Levels = NO_LEVELS


@dataclass(frozen=True)
class Answered:
    rows: int
    outside: int
    """Rows with a category that no training row had; if asked what becomes of them, all outside what training saw."""
    filled: int
    """Rows without a value that all training rows had, for which another stands in."""
    version: int
    source: str
    way: Way | None
    """What became of the rows outside."""


@dataclass(frozen=True)
class Remarked:
    """Numbers of rows: outside what training saw, and without a value that all training rows had."""

    outside: int = 0
    filled: int = 0

    @classmethod
    def in_headers(cls, said: Callable[[str], str | None]) -> Self:
        return cls(*(int(said(f"x-pattern-{name}-rows") or 0) for name in ("outside", "filled")))

    def __add__(self, other: "Remarked") -> "Remarked":
        return Remarked(self.outside + other.outside, self.filled + other.filled)


@dataclass(frozen=True)
class Answerer:
    """One version of a pattern, which answers parts: columns by name, and what is remarked on their rows."""

    answer: Callable[[Part], tuple[Columns, Remarked]]
    inputs: tuple[str, ...]
    labels: tuple[str, ...]
    version: int
    source: str
    way: Way | None
    """What becomes of rows outside."""


def answer_file(asked: Asked) -> Answered:
    """Answer each row of the file, in its order, and write the answers. The rows come as an iterator of parts.

    The server at `asked.url` (by default that of the settings) is asked or, where none listens, the store. One version
    answers all rows. Raises NoPlace, WrongAddress, TableError, Refused, and all that a prediction raises.
    """
    if asked.out is not None:
        check_place(asked.out)
        if asked.levels.confidence is not None and asked.out.suffix.lower() == ".npy":
            raise NoPlace("--out: an npy file has no place for sets of labels; write .csv, .jsonl, .parquet or .arrow")
    check_file(asked.path, asked.dialect)
    answerer = _answerer(asked)
    n_rows, remarked = 0, Remarked()
    with writing_to(asked.out, answerer.labels) as writer, _bar() as bar:
        task = bar.add_task(asked.path.name, total=1.0, rows=0)
        for part in parts(asked.path, asked.dialect, answerer.inputs):
            with part.placed():
                columns, found_there = answerer.answer(part)
                part.check(len(next(iter(columns.values()))))
            writer.write(columns)
            n_rows, remarked = n_rows + len(next(iter(columns.values()))), remarked + found_there
            bar.update(task, completed=part.share, rows=n_rows)
        if not n_rows:
            raise TableError(f"{asked.path.name}: the table has columns and no rows")
    return Answered(n_rows, remarked.outside, remarked.filled, answerer.version, answerer.source, answerer.way)


def _answerer(asked: Asked) -> Answerer:
    settings = load_settings()
    server = server_at(asked.url, settings)
    try:
        return ask_patiently(server, asked.pattern, asked.version, lambda: _of_server(server, asked))
    except OSError:
        return _of_store(settings, asked, f"from the store; no server at {server.address}")


def _bar() -> Progress:
    shown = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    rows = TextColumn("{task.fields[rows]:,} rows")
    return Progress(SpinnerColumn(), *shown, rows, TimeRemainingColumn(), console=err, transient=True)


# -- from the store ------------------------------------------------------------------------------------------------


def _of_store(settings: Settings, asked: Asked, source: str) -> Answerer:
    store = Store(settings.store, network_loader(settings))
    version = store.champion(asked.pattern) if asked.version is None else asked.version
    bundle = store.load(asked.pattern, version).bundle
    expected = Expected.of(bundle.predictor.encoder, bundle.beside)
    if asked.ignores_extra:
        expected = expected.ignoring_extra
    likely = asked.probabilities and bundle.labels is not None

    asked.levels.check(bundle)
    is_sure = asked.levels.asked is not None
    way = beyond.way_of(asked.outside, bundle, is_sure=is_sure)

    def answer(part: Part) -> tuple[Columns, Remarked]:
        question = bodies.read(part.body, part.media_type, expected, ANY_NUMBER)
        question, answers = beyond.answered(bundle, way, question, is_sure=is_sure)
        outside = bundle.unseen(question.rows) if question.outside is None else question.outside
        sure = asked.levels.sureness(bundle, question.rows, answers)
        columns = Reply(bundle, answers, likely, ends=sure.ends, members=sure.members).columns
        return columns, Remarked(len(outside), len(bundle.filled(question.rows)))

    return Answerer(answer, bundle.inputs, bundle.labels or (), version, source, way)


# -- by a server ---------------------------------------------------------------------------------------------------


def _of_server(server: Server, asked: Asked) -> Answerer:
    summary = server.said(f"/patterns/{asked.pattern}")
    version = summary["champion"] if asked.version is None else asked.version
    described = server.said(f"/v2/models/{asked.pattern}/versions/{version}")
    reads: dict[str, Callable[[str], Any]]
    reads = {output["name"]: BY_DATATYPE.get(output["datatype"], float) for output in described["outputs"]}
    likely = asked.probabilities and summary["task"] == "classification"
    path = f"/predict/{asked.pattern}?version={version}" + ("&probabilities=true" if likely else "")
    path += "&extra=ignore" if asked.ignores_extra else ""
    path += f"&outside={asked.outside}" if asked.outside is not None else ""
    path += "".join(f"&{said}" for said in asked.levels.query)
    reads |= {f"{name}_set": json.loads for name in reads}

    def answer(part: Part) -> tuple[Columns, Remarked]:
        content, headers = server.answered(path, part.body, part.media_type)
        if part.media_type == CSV:
            return _from_csv(content, reads), Remarked.in_headers(headers.get)
        if part.media_type == ARROW:
            return _from_arrow(content), Remarked.in_headers(headers.get)
        said = orjson.loads(content)
        remarked = Remarked(len(said.get("outside", ())), len(said.get("filled", ())))
        return _from_json(said, summary["outputs"]), remarked

    source = f"from the server at {server.address}"
    inputs = tuple(column["name"] for column in described["inputs"])
    way = _way(server.said(f"/patterns/{asked.pattern}/versions/{version}")["card"], asked)
    return Answerer(answer, inputs, tuple(summary["classes"] or ()), version, source, way)


def _way(card: dict[str, Any], asked: Asked) -> Way | None:
    """Return what becomes of rows outside by a server with this card."""
    return settled(asked.outside or card.get("outside"), is_sure=asked.levels.asked is not None)


def _from_csv(content: bytes, reads: Mapping[str, Callable[[str], Any]]) -> Columns:
    names, *rows = reader_of(content.decode())
    cells = zip(names, zip(*rows, strict=True), strict=True)
    return {name: _column([reads.get(name, float)(cell) for cell in column]) for name, column in cells}


def _from_arrow(content: bytes) -> Columns:
    table = pa.ipc.open_stream(content).read_all()
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def _from_json(said: dict[str, Any], outputs: Sequence[str]) -> Columns:
    """Return the answers to records, to rows, or to bare values, which have the layout of the question."""
    rows = [_record(row, outputs) for row in said["outputs"]]
    for row, likely in zip(rows, said.get("probabilities", ()), strict=False):
        by_output = _record(likely, outputs)
        row |= {f"{output}={label}": p for output, by_label in by_output.items() for label, p in by_label.items()}
    for row, ends in zip(rows, said.get("intervals", ()), strict=False):
        pairs = {output: zip(ENDS, pair, strict=True) for output, pair in _record(ends, outputs).items()}
        row |= {f"{output}_{end}": value for output, pair in pairs.items() for end, value in pair}
    for row, sets in zip(rows, said.get("sets", ()), strict=False):
        row |= {f"{output}_set": labels for output, labels in _record(sets, outputs).items()}
    return {name: _column([row[name] for row in rows]) for name in rows[0]}


def _record(row: Any, outputs: Sequence[str]) -> dict[str, Any]:
    if isinstance(row, dict) and row.keys() == set(outputs):
        return row
    # One output may stand without a list around it, and be a list itself: an interval, or a set.
    are_all = isinstance(row, list) and len(row) == len(outputs)
    return dict(zip(outputs, row if are_all else [row], strict=True))


def _column(cells: list[Any]) -> Any:
    if isinstance(cells[0], list):
        return column_of_lists(cells)
    return np.array(cells, dtype=object if isinstance(cells[0], str) else None)
