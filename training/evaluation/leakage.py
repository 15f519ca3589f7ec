"""Columns that give the target away: one alone tells it, on rows that were not learned from as well.

Such a column usually holds the target in other words, or was written down after it, and is not there when it counts.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

from models_store.arrays import Array
from models_store.tables.table import Table, Values
from training.data.dataset import Dataset, Rows
from training.data.subsample import places

# Of labels, on training and on test rows; of numbers, the correlation.
ALMOST_ALL, ALMOST_A_LINE = 0.995, 0.9999
# A single column of few rows may tell them by chance; of many, a part says as much.
FEWEST_ROWS, MOST_ROWS = 20, 4_000


def giveaways(data: Dataset, seed: int) -> Iterator[str]:
    """Names of columns. A table of one column has nothing else to learn from, and a formula is meant to be told."""
    train, test = (rows.take(places(len(rows), MOST_ROWS, seed)) for rows in (data.train, data.test))
    if not isinstance(train.inputs, Table) or len(train.inputs.columns) < 2 or min(len(train), len(test)) < FEWEST_ROWS:
        return
    tells = _tells_labels if data.labels else _tells_numbers
    for name, kind in data.kinds.items():
        if kind != "text" and tells(name, train, test):
            yield name


def _tells_labels(name: str, train: Rows, test: Rows) -> bool:
    known, asked = _column(train, name), _column(test, name)
    numbers, expected = (rows.outputs[:, 0].astype(int) for rows in (train, test))
    if min(np.bincount(numbers).max() / len(numbers), np.bincount(expected).max() / len(expected)) >= ALMOST_ALL:
        return False
    answers = _by_value if known.dtype == object else _by_steps
    return all(
        (answers(known, numbers, rows) == labels).mean() >= ALMOST_ALL
        for rows, labels in ((known, numbers), (asked, expected))
    )


def _by_value(known: Values, numbers: NDArray[np.int_], asked: Values) -> NDArray[np.int_]:
    """The most frequent label of each value; -1 for one that training rows do not have."""
    seen: dict[Any, Counter[int]] = defaultdict(Counter)
    for value, number in zip(known, numbers.tolist(), strict=True):
        seen[value][number] += 1
    most = {value: counts.most_common(1)[0][0] for value, counts in seen.items()}
    return np.array([most.get(value, -1) for value in asked])


def _by_steps(known: Values, numbers: NDArray[np.int_], asked: Values) -> NDArray[np.int_]:
    """As many ranges as there are labels, and no more: with many, any column would know its own rows."""
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, len(np.unique(numbers))), random_state=0)
    answers: NDArray[np.int_] = tree.fit(_bounded(known), numbers).predict(_bounded(asked))
    return answers


def _bounded(values: Values) -> Array:
    """As scikit-learn wants them; it knows what to do with missing ones."""
    return np.clip(values.astype(np.float64), -1e30, 1e30).reshape(-1, 1)


def _tells_numbers(name: str, train: Rows, test: Rows) -> bool:
    return any(
        all(_correlation(_column(rows, name), rows.outputs[:, place]) > ALMOST_A_LINE for rows in (train, test))
        for place in range(train.outputs.shape[1])
    )


def _correlation(values: Values, outputs: Array) -> float:
    """Its size, over the rows that have the value; 0 where either does not vary."""
    if values.dtype == object:
        return 0.0
    numbers = values.astype(np.float64)
    is_known = np.isfinite(numbers)
    if 2 * is_known.sum() < len(numbers):
        return 0.0
    x, y = _centred(numbers[is_known]), _centred(outputs[is_known])
    return abs(float(x @ y)) / size if (size := float(np.sqrt((x @ x) * (y @ y)))) else 0.0


def _centred(values: Array) -> Array:
    """Between -2 and 2, so that no square overflows."""
    largest = float(np.abs(values).max(initial=0.0))
    scaled = values / largest if largest else values
    centred: Array = scaled - scaled.mean()
    return centred


def _column(rows: Rows, name: str) -> Values:
    assert isinstance(rows.inputs, Table)
    return rows.inputs.columns[name]
