"""Tables to learn, as cells of text: ours is given them as a file has them, and peers what is prepared from them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.accuracy.targets import Target, Task
from models_store.tables import inference
from models_store.tables.narrowing import narrowed
from models_store.tables.table import MISSING

DELIMITERS = ",;\t|"
# Each of five folds then has a row of every label, and four to learn it from.
FEWEST_ROWS_OF_A_LABEL = 5
FEWEST_ROWS = 25


class NotComparable(Exception):
    """A table that cannot be compared on; the message says why."""


@dataclass(frozen=True)
class Table:
    """A table whose every row has a target. A classification has `labels`, in the order of their numbers."""

    name: str
    frame: pl.DataFrame
    """Cells as texts, missing ones null."""
    target: str
    labels: tuple[str, ...] = ()
    task: Task = "auto"
    """What the recipe of ours says, which is nothing unless the targets file does."""

    @cached_property
    def inputs(self) -> pl.DataFrame:
        return self.frame.drop(self.target)

    @cached_property
    def y(self) -> NDArray[np.float64]:
        """Numbers, or the numbers of the labels; float64 (n_rows,)."""
        cells = self.frame[self.target]
        if not self.labels:
            return cells.cast(pl.Float64).to_numpy()
        numbers = {label: float(number) for number, label in enumerate(self.labels)}
        return np.array([numbers[cell] for cell in cells])

    def csv(self, rows: NDArray[np.intp]) -> bytes:
        return self.frame[rows].write_csv().encode()

    def input_csv(self, rows: NDArray[np.intp]) -> bytes:
        return self.inputs[rows].write_csv().encode()


def of_file(path: Path, target: Target) -> Table:
    """Return the table of a CSV file. Raises NotComparable."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            header = file.readline()
        delimiter = max(DELIMITERS, key=header.count)
        frame = pl.read_csv(
            path, separator=delimiter, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise NotComparable(f"cannot be read: {str(error).splitlines()[0][:200]}") from None
    return of_frame(path.stem, frame, target)


def of_frame(name: str, frame: pl.DataFrame, target: Target) -> Table:
    """Return a table of cells of text, without the rows that nobody can be scored on. Raises NotComparable."""
    column = target.column
    if column not in frame.columns:
        raise NotComparable(f"has no column {column}; there are {', '.join(frame.columns)[:200]}")
    frame = frame.with_columns(pl.all().cast(pl.String))
    frame = frame.filter(pl.col(column).is_not_null() & ~pl.col(column).str.strip_chars().is_in(list(MISSING)))
    (facts,) = inference.facts(frame.select(narrowed(frame[column])))
    if facts.labels if target.task == "auto" else target.task == "classification":
        counts = frame[column].value_counts().filter(pl.col("count") >= FEWEST_ROWS_OF_A_LABEL)
        labels = tuple(sorted(counts[column]))
        if len(labels) < 2:
            raise NotComparable(f"{column} has fewer than 2 labels of {FEWEST_ROWS_OF_A_LABEL} rows at least")
        frame = frame.filter(pl.col(column).is_in(labels))
    else:
        labels = ()
        frame = frame.filter(pl.col(column).cast(pl.Float64, strict=False).is_finite().fill_null(value=False))
    if frame.height < FEWEST_ROWS:
        raise NotComparable(f"{frame.height} rows have a value of {column} to learn, and {FEWEST_ROWS} are the least")
    return Table(name, frame, column, labels, target.task)


# -- tables that need no file ----------------------------------------------------------------------------------------


def _of_arrays(name: str, inputs: NDArray[np.float64], target: pl.Series) -> Table:
    columns = {f"x{place}": inputs[:, place] for place in range(inputs.shape[1])}
    return of_frame(name, pl.DataFrame(columns).with_columns(target.alias("y")), Target("y"))


def _bundled(name: str) -> Callable[[], Table]:
    def table() -> Table:
        from sklearn import datasets  # deferred: it takes a second

        found = getattr(datasets, f"load_{name}")()
        labels = getattr(found, "target_names", None)
        target = found.target if labels is None else [f"{labels[number]}" for number in found.target]
        if name == "digits":
            target = [f"digit {number}" for number in found.target]
        return _of_arrays(name.replace("_", "-"), found.data, pl.Series(target))

    return table


def friedman() -> Table:
    """Return Friedman's first function, of 5 of 10 inputs, with noise of 1."""
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(3000, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return _of_arrays("friedman", x, pl.Series(y + rng.normal(size=len(y))))


def categories() -> Table:
    """Return sales by one of 1 500 shops, each with a level of its own, beside two numbers."""
    rng = np.random.default_rng(2)
    level, shop, x = rng.normal(0, 3, 1500), rng.integers(0, 1500, 8000), rng.normal(size=(8000, 2))
    y = level[shop] + 2 * np.sin(x[:, 0]) + x[:, 0] * x[:, 1] + rng.normal(size=8000)
    frame = pl.DataFrame({"shop": [f"shop {number}" for number in shop], "a": x[:, 0], "b": x[:, 1], "y": y})
    return of_frame("categories", frame, Target("y"))


def decades() -> Table:
    """Return amounts over five decades whose spread grows with them."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-1, 1, (4000, 4))
    y = np.exp(5 + 3 * x[:, 0] + 2 * x[:, 1] * x[:, 2] + 0.3 * rng.normal(size=4000))
    return _of_arrays("decades", x, pl.Series(y))


def counts() -> Table:
    """Return counts of a mean between 0.1 and 100."""
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, (4000, 5))
    y = rng.poisson(np.exp(1 + 2 * x[:, 0] + x[:, 1] * x[:, 2]))
    return _of_arrays("counts", x, pl.Series(y.astype(np.float64)))


def heavy_tails() -> Table:
    """Return numbers around a smooth surface, with the noise of Student's t of 2.5 degrees of freedom."""
    rng = np.random.default_rng(5)
    x = rng.uniform(-2, 2, (3000, 5))
    y = np.sin(2 * x[:, 0]) * 3 + x[:, 1] ** 2 + x[:, 2] * x[:, 3] + rng.standard_t(2.5, 3000)
    return _of_arrays("heavy-tails", x, pl.Series(y))


def rare() -> Table:
    """Return two labels, of which one stands in about 1 of 200 rows."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(9000, 6))
    chance = 1 / (1 + np.exp(-(x[:, 0] * 1.5 + x[:, 1] * x[:, 2] - 7)))
    target = pl.Series(np.where(rng.uniform(size=9000) < chance, "fault", "fine"))
    return _of_arrays("rare", x, target)


def ordered() -> Table:
    """Return five grades that follow one hidden score."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(2500, 6))
    score = x[:, 0] + np.sin(2 * x[:, 1]) + 0.5 * x[:, 2] * x[:, 3] + 0.6 * rng.logistic(size=2500)
    return _of_arrays("ordered", x, pl.Series([f"grade {number}" for number in np.digitize(score, [-2, -0.7, 0.7, 2])]))


def mixed() -> Table:
    """Return prices of things with missing values, a date, a short text, two categories and a flag."""
    rng = np.random.default_rng(8)
    size = 2000
    words = np.array(["old", "new", "rare", "broken", "large", "small", "fine", "plain", "red", "blue"])
    worth = rng.normal(size=len(words))
    told = rng.integers(0, len(words), (size, 6))
    area = np.exp(rng.normal(4, 0.5, size))
    day = rng.integers(0, 2000, size)
    place, kind = rng.integers(0, 12, size), rng.integers(0, 3, size)
    sold = rng.uniform(size=size) < 0.3
    no_area, no_kind = rng.uniform(size=size) < 0.1, rng.uniform(size=size) < 0.05
    y = area * (1 + 0.1 * kind) + 5 * worth[told].sum(axis=1) + 8 * np.sin(place) + day / 100 + 10 * sold
    frame = pl.DataFrame(
        {
            "area": [None if lost else round(value, 1) for value, lost in zip(area, no_area, strict=True)],
            "day": (np.datetime64("2018-01-01") + day).astype(str),
            "told": [" ".join(words[row]) for row in told],
            "place": [f"place {number}" for number in place],
            "kind": [None if lost else "abc"[k] for k, lost in zip(kind, no_kind, strict=True)],
            "sold": sold,
            "price": (y + rng.normal(0, 5, size)).round(2),
        }
    )
    return of_frame("mixed", frame, Target("price"))


NAMED: dict[str, Callable[[], Table]] = {
    **{name.replace("_", "-"): _bundled(name) for name in ("diabetes", "iris", "wine", "breast_cancer", "digits")},
    **{make.__name__.replace("_", "-"): make for make in (friedman, categories, decades, counts, heavy_tails)},
    **{make.__name__: make for make in (rare, ordered, mixed)},
}
