"""How often rows where no training row was are named, and fresh rows from inside: part of `benchmarks.honesty`.

    rows with a hole -> Region;  rows of the hole, and fresh rows from inside -> shares that are named -> figures

Of a table, rows are removed, and those in the middle of what was removed are asked: a tenth of the rows around one of
them in two columns, by their ranks; a corner of two columns; all rows of a combination of two categories. Two others
that are told more say how much there is to find: the same distances in the right two columns alone, and trees that have
learned from half of the rows that were removed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from models_store.arrays import Array
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.rows import InputEncoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.region.region import Region
from models_store.tables.table import Raw, Table, Values
from training.region import region_of

N_SPLITS, N_HOLES = 20, 20
# Of the trees that are told rows of the hole: how many, and the share of other rows that they may take for its rows.
N_TREES, FALSE_ALARMS = 50, 0.01
TRAINING, COLUMNS = (300, 1000, 4000), (2, 5, 10)
# A column with more values has ranks, one with fewer has combinations.
FEW_VALUES = 15
Rows = NDArray[np.bool_]
Source = Callable[[np.random.Generator, int, int, bool], Array]


def ring(rng: np.random.Generator, n_rows: int, n_columns: int, is_hole: bool) -> Array:
    """Return rows in a ring of two columns, or in its hole; the others are uniform."""
    rows = rng.uniform(-1, 1, (n_rows, n_columns))
    radius = rng.uniform(0, 0.35, n_rows) if is_hole else np.sqrt(rng.uniform(0.25, 1, n_rows))
    turn = rng.uniform(0, 2 * np.pi, n_rows)
    rows[:, 0], rows[:, 1] = radius * np.cos(turn), radius * np.sin(turn)
    return rows


def gap(rng: np.random.Generator, n_rows: int, n_columns: int, is_hole: bool) -> Array:
    """Return rows on both sides of a gap in one column, or in it; the others are uniform."""
    rows = rng.uniform(0, 1, (n_rows, n_columns))
    rows[:, 0] = rng.uniform(1.2, 1.8, n_rows) if is_hole else rows[:, 0] + 2 * (rng.random(n_rows) < 0.5)
    return rows


def shell(rng: np.random.Generator, n_rows: int, n_columns: int, is_hole: bool) -> Array:
    """Return rows between two spheres, or deep inside of both."""
    towards = rng.normal(size=(n_rows, n_columns))
    radius = rng.uniform(0, 0.35, n_rows) if is_hole else rng.uniform(0.7, 1, n_rows)
    rows: Array = towards / np.linalg.norm(towards, axis=1)[:, None] * radius[:, None]
    return rows


def clusters(rng: np.random.Generator, n_rows: int, n_columns: int, is_hole: bool) -> Array:
    """Return rows of two clusters, or half-way between them."""
    rows = rng.normal(size=(n_rows, n_columns))
    return rows * 0.3 if is_hole else rows + np.where(rng.random(n_rows) < 0.5, -4.0, 4.0)[:, None]


def correlated(rng: np.random.Generator, n_rows: int, n_columns: int, is_hole: bool) -> Array:
    """Return rows whose columns are all alike but for a fifth, or rows in which two are opposite."""
    rows = 0.2 * rng.normal(size=(n_rows, n_columns))
    if not is_hole:
        return rows + rng.normal(size=(n_rows, 1))
    rows[:, 0], rows[:, 1] = 1.5, -1.5
    return rows


SOURCES: Mapping[str, Source] = {
    "ring": ring,
    "gap": gap,
    "between spheres": shell,
    "two clusters": clusters,
    "correlated": correlated,
}


@dataclass(frozen=True, eq=False)
class Hole:
    """Rows to leave out of training, and those of them to ask; True (n_rows,) each."""

    removed: Rows
    asked: Rows
    columns: tuple[str, str]


def report(tables: Sequence[Path] = ()) -> None:
    """Print all figures."""
    for name, source in SOURCES.items():
        for n_rows in TRAINING:
            found = [_of_source(source, n_rows, m, seed) for m in COLUMNS for seed in range(N_SPLITS)]
            named, inside = (np.array(part).reshape(len(COLUMNS), -1).mean(axis=1) for part in zip(*found, strict=True))
            said = "; ".join(
                f"{n} columns: {hole:.1%}, fresh {fresh:.2%}"
                for n, hole, fresh in zip(COLUMNS, named, inside, strict=True)
            )
            print(f"outside, {name}, {n_rows} training rows, in the hole: {said}", flush=True)
    for path in tables:
        _report_table(path)


def _of_source(source: Source, n_rows: int, n_columns: int, seed: int) -> tuple[float, float]:
    """Return the shares that are named of rows in the hole, and of fresh rows from inside."""
    rng = np.random.default_rng(seed)
    rows = source(rng, n_rows, n_columns, False)
    names = tuple(f"x{place}" for place in range(n_columns))
    region = _region(rows, InputEncoder(names, 1, Scaler.fit("standard", rows)), seed)
    asked = [source(rng, n, n_columns, is_hole) for n, is_hole in ((500, True), (2000, False))]
    in_range = [some[((some >= rows.min(axis=0)) & (some <= rows.max(axis=0))).all(axis=1)] for some in asked]
    hole, fresh = (float((region.far(some) > 1).mean()) for some in in_range)
    return hole, fresh


def _region(rows: Raw, encoder: InputEncoder | TableEncoder, seed: int) -> Region:
    region = region_of(rows, encoder, seed)
    assert region is not None
    return region


# -- tables ------------------------------------------------------------------------------------------------------------


def _report_table(path: Path) -> None:
    frame = pl.read_csv(path, infer_schema_length=None, null_values=["NA", "", "?"])
    table = Table({name: _values(frame[name]) for name in frame.columns})
    alarms, micros = [], []
    for seed in range(N_SPLITS):
        order = np.random.default_rng(seed).permutation(len(table))
        fresh, train = order[: len(order) // 5], order[len(order) // 5 :]
        if (found := _named(table, train, fresh, seed)) is not None:
            alarms.append(found[0])
            micros.append(found[1] * 1e6)
    print(
        f"outside, {path.name}: fresh rows {np.mean(alarms):.2%} (at most {max(alarms):.2%} of {N_SPLITS} splits), "
        f"{np.median(micros):.0f} µs a row",
        flush=True,
    )
    for kind, draw in (("around a row", _around), ("corner", _corner), ("combination", _combination)):
        shares = np.array(list(_of_holes(table, draw)))
        if len(shares):
            (named, told, learned), whole = shares.mean(axis=0), np.mean(shares[:, 0] >= 0.95)
            print(
                f"outside, {path.name}, {kind}: {named:.0%} named; {whole:.0%} of {len(shares)} to 95 %; "
                f"{told:.0%} in the right columns alone, {learned:.0%} by trees that were told half of the hole",
                flush=True,
            )


def _of_holes(
    table: Table, draw: Callable[[Table, np.random.Generator], Hole | None]
) -> Iterator[tuple[float, float, float]]:
    """Yield the shares that are named: in all columns, in those of the hole alone, and by trees that know its rows."""
    for seed in range(N_HOLES):
        hole = draw(table, np.random.default_rng(seed))
        if hole is not None and hole.asked.sum() >= 5:
            train, asked = np.flatnonzero(~hole.removed), np.flatnonzero(hole.asked)
            found = _named(table, train, asked, seed)
            told = _named(Table({name: table.columns[name] for name in hole.columns}), train, asked, seed)
            if found is not None and told is not None:
                yield found[0], told[0], _by_trees(table, hole, seed)


def _by_trees(table: Table, hole: Hole, seed: int) -> float:
    """Return the share of the asked rows that trees take for rows of the hole, told those of the other half."""
    rows = np.stack([_as_numbers(values) for values in table.columns.values()], axis=1)
    half = np.random.default_rng(seed).integers(2, size=len(rows)).astype(bool)
    probable = np.empty(len(rows))
    for own in (half, ~half):
        trees = RandomForestClassifier(N_TREES, random_state=seed).fit(rows[~own], hole.removed[~own])
        probable[own] = trees.predict_proba(rows[own])[:, 1]
    limit = np.quantile(probable[~hole.removed], 1 - FALSE_ALARMS)
    return float((probable[hole.asked] > limit).mean())


def _as_numbers(values: Values) -> Array:
    if values.dtype != object:
        return np.asarray(values, np.float64)
    return np.unique([str(value) for value in values], return_inverse=True)[1].astype(np.float64)


def _named(table: Table, train: NDArray[np.int64], asked: NDArray[np.int64], seed: int) -> tuple[float, float] | None:
    """Return the share that is named of asked rows in each column's range, and seconds a row; None without any."""
    rows, other = table.take(train), table.take(asked)
    encoders = {
        name: CategoryEncoder.fit(values) if values.dtype == object else NumberEncoder.fit(values)
        for name, values in rows.columns.items()
    }
    region = _region(rows, TableEncoder(dict(encoders)), seed)
    beyond = np.stack([encoders[name].unknown(other.columns[name]) for name in encoders], axis=1).any(axis=1)
    other = other.take(np.flatnonzero(~beyond))
    if not len(other):
        return None
    began = perf_counter()
    far = region.far(other)
    return float((far > 1).mean()), (perf_counter() - began) / len(other)


def _around(table: Table, rng: np.random.Generator) -> Hole | None:
    """Return the tenth of the rows that is nearest to one, in the ranks of two columns; to ask, those half as far."""
    pair = _two(rng, _many_valued(table))
    if pair is None:
        return None
    ranks = np.stack([_ranks(table.columns[name]) for name in pair], axis=1)
    away: Array = np.abs(ranks - ranks[rng.integers(len(ranks))]).max(axis=1)
    most = float(np.quantile(away, 0.1))
    return Hole(away <= most, away <= most / 2, pair)


def _corner(table: Table, rng: np.random.Generator) -> Hole | None:
    """Return the rows in the last 30 % of two columns, at ends that are drawn; to ask, those in the last 15 %."""
    pair = _two(rng, _many_valued(table))
    if pair is None:
        return None
    ranks = np.stack([_ranks(table.columns[name]) for name in pair], axis=1)
    inwards: Array = np.where(rng.random(2) < 0.5, 1 - ranks, ranks).min(axis=1)
    return Hole(inwards > 0.7, inwards > 0.85, pair)


def _combination(table: Table, rng: np.random.Generator) -> Hole | None:
    """Return all rows with the categories of one row in two columns, if there are others with each of them alone."""
    for _ in range(100):
        pair = _two(rng, [name for name, values in table.columns.items() if values.dtype == object])
        if pair is None:
            return None
        row = int(rng.integers(len(table)))
        alike = [table.columns[name] == table.columns[name][row] for name in pair]
        both = alike[0] & alike[1]
        if 0.02 <= both.mean() <= 0.25 and min((some & ~both).sum() for some in alike) >= 10:
            return Hole(both, both, pair)
    return None


def _two(rng: np.random.Generator, names: Sequence[str]) -> tuple[str, str] | None:
    if len(names) < 2:
        return None
    first, second = rng.choice(len(names), 2, replace=False).tolist()
    return names[first], names[second]


def _many_valued(table: Table) -> list[str]:
    return [
        name for name, values in table.columns.items() if values.dtype != object and len(np.unique(values)) > FEW_VALUES
    ]


def _ranks(values: Values) -> Array:
    order: Array = np.argsort(np.argsort(values, kind="stable"), kind="stable") / len(values)
    return order


def _values(series: pl.Series) -> Values:
    if series.dtype.is_numeric() and series.n_unique() > FEW_VALUES:
        numbers: Array = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return numbers
    cells = np.empty(len(series), dtype=object)
    cells[:] = series.cast(pl.String).to_list()
    return cells
