"""`patterns compare A B`: what the same rows say of two versions, of linear models and of trees.

The rows are the test rows that both keep their answers to, or those of a table with the target, which the networks that
are served answer alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from app.answering.engine import network_loader
from app.commands.card_tables import CALLED
from app.commands.store import open_store
from app.commands.table_parts import Refused, check_file, parts
from app.commands.wording import folding_table, number, share, words
from app.dialects.native import bodies
from app.formats.expected import Expected, ExpectedColumn
from app.settings import load_settings
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.card import PairedMetric
from models_store.comparison.versions import WORDS, Answered, Comparison, check_alike, compare, counted_rows
from models_store.encoding.outputs import LabelDecoder
from models_store.encoding.rows import TableEncoder
from models_store.errors import NotComparable, PatternServerError
from models_store.storage.store import Store
from models_store.tables.csv_dialect import PLAIN, CsvDialect
from models_store.tables.spelling import PLAIN as PLAINLY
from models_store.tables.table import Table as TableOfRows

NO_BASELINES = (
    "Linear models and trees answered the test rows alone, and are not kept with a version. To see them on these rows "
    "too, train with them as test rows: patterns train --csv FILE --test {name}"
)
# A part of a file is smaller than this by far.
ANY_NUMBER = 1 << 30


class BadVersion(PatternServerError):
    code = "bad_version"

    def __init__(self) -> None:
        super().__init__("a version is named NAME@NUMBER, such as tides@2; NAME alone is its champion")


@dataclass(frozen=True)
class Named:
    """A version of a pattern, as the command line names it."""

    pattern: str
    version: int

    def __str__(self) -> str:
        return f"{self.pattern}@{self.version}"

    @classmethod
    def of(cls, named: str, store: Store) -> "Named":
        """Read `NAME@NUMBER`, or `NAME` for its champion. Raises BadVersion, UnknownPattern, NoGoodVersion."""
        pattern, at, version = named.partition("@")
        if at and not (version.isascii() and version.isdecimal() and 0 < len(version) < 10 and int(version)):
            raise BadVersion
        return cls(pattern, int(version) if at else store.champion(pattern))


def compared(first: str, second: str, csv: Path | None = None, dialect: CsvDialect = PLAIN) -> Comparison:
    """Compare two versions on their test rows, or on those of a table.

    Raises BadVersion, NotComparable, TableError, Refused, and what the store raises.
    """
    store = open_store()
    both = [Named.of(named, store) for named in (first, second)]
    if both[0] == both[1]:
        raise NotComparable(f"{both[0]} is named twice", "name two versions, such as tides@1 tides@2")
    if csv is None:
        return compare(Answered.in_test({str(one): store.describe(one.pattern, one.version) for one in both}))
    settings = load_settings()
    loading = Store(settings.store, network_loader(settings))
    return compare(_answered({str(one): loading.load(one.pattern, one.version).bundle for one in both}, csv, dialect))


# -- rows of a table -----------------------------------------------------------------------------------------------


def _answered(bundles: dict[str, Bundle], path: Path, dialect: CsvDialect) -> Answered:
    check_alike({name: bundle.description for name, bundle in bundles.items()})
    check_file(path, dialect)
    one = next(iter(bundles.values()))
    targets: list[Array] = []
    answers: dict[str, list[Array]] = {name: [] for name in bundles}
    for part in parts(path, dialect, (*one.inputs, *one.outputs)):
        with part.placed():
            targets.append(_targets(one, part.body, part.media_type))
            for name, bundle in bundles.items():
                expected = Expected.of(bundle.predictor.encoder, bundle.beside).ignoring_extra
                rows = bodies.read(part.body, part.media_type, expected, ANY_NUMBER).rows
                answers[name].append(bundle.predict(rows))
    if not sum(map(len, targets)):
        raise Refused(f"{path.name}: the table has columns and no rows")
    joined = {name: np.concatenate(found) for name, found in answers.items()}
    note = NO_BASELINES.format(name=path.name)
    return Answered(np.concatenate(targets), joined, one.labels is not None, f"rows of {path.name}", note=note)


def _targets(bundle: Bundle, body: bytes, media_type: str) -> Array:
    """Return the targets of the rows of a body: raw numbers, or numbers of labels, float64 (n_rows, n_targets)."""
    encoder, decoder = bundle.predictor.encoder, bundle.predictor.decoder
    spelling = encoder.spelling if isinstance(encoder, TableEncoder) else PLAINLY
    kinds = [column.kind for column in bundle.card.outputs]
    columns = [ExpectedColumn(name, kind, False, spelling) for name, kind in zip(bundle.outputs, kinds, strict=True)]
    expected = Expected(bundle.outputs, tuple(columns), ignores_extra=True)
    rows = bodies.read(body, media_type, expected, ANY_NUMBER).rows
    assert isinstance(rows, TableOfRows)
    cells = [rows.columns[name] for name in bundle.outputs]
    if not isinstance(decoder, LabelDecoder):
        return np.stack([column.astype(np.float64) for column in cells], axis=1)
    return _numbers_of(cells[0].tolist(), decoder)


def _numbers_of(cells: list[object], decoder: LabelDecoder) -> Array:
    known = {value: float(place) for place, value in enumerate(decoder.values.tolist())}
    unknown = [row for row, cell in enumerate(cells) if cell not in known]
    if unknown:
        raise Refused(f"row {unknown[0]}: a label that training did not see; it saw {len(known)}, leave such rows out")
    return np.array([known[cell] for cell in cells])[:, None]


# -- the terminal --------------------------------------------------------------------------------------------------


def print_comparison(out: Console, found: Comparison) -> None:
    out.print(words(found.verdict), highlight=False)
    out.print(_figures(found))
    out.print(_differences(found))
    if found.note:
        out.print(words(found.note), style="dim", highlight=False)


def _figures(found: Comparison) -> Table:
    metrics = list(found.figures[found.first])
    spread = ["members differ by"] if found.spread else []
    table = folding_table(
        f"on {words(counted_rows(found.rows, found.rows_of))}", *(WORDS[metric] for metric in metrics), *spread
    )
    for name, figures in found.figures.items():
        cells = [_figure(metric, figures[metric]) for metric in metrics]
        apart = [number(found.spread[name]) if name in found.spread else "–"] if spread else []
        table.add_row(_called(name), *cells, *apart, style="bold" if name in (found.first, found.second) else None)
    return table


def _differences(found: Comparison) -> Table:
    table = folding_table("difference", "metric", "less the other's", "error", "95 %", "better")
    for between in found.differences:
        for metric, one in between.by.items():
            bounds = f"{number(one.low)} to {number(one.high)}"
            names = {"first": between.first, "second": between.second}
            better = _called(names[one.better]) if one.better else "may be chance"
            sides = f"{_called(between.first)}, {_called(between.second)}"
            table.add_row(sides, WORDS[metric], number(one.difference), number(one.error), bounds, better)
    return table


def _called(name: str) -> str:
    return words(CALLED.get(name, name))


def _figure(metric: PairedMetric, value: float) -> str:
    return share(value) if metric == "accuracy" else number(value)
