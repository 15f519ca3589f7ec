"""Target leakage: input columns that alone predict the target almost without error, on test rows as well.

Such a column usually is the target in other words, or is known only after it, and so is missing when it counts.
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
from training.data.subsample import subsample

# The accuracy for labels, and the absolute correlation for numbers, from which on a column leaks; on training and test
# rows alike.
LEAKING_ACCURACY, LEAKING_CORRELATION = 0.995, 0.9999
# In fewer rows a column may predict the target by chance; of more rows, a subsample is as good.
FEWEST_ROWS, MOST_ROWS = 20, 4_000


def leaking_columns(data: Dataset, seed: int) -> Iterator[str]:
    """Yield the names of input columns that leak the target.

    None of a formula, whose outputs its inputs should predict, nor of a table with one input column.
    """
    train, test = (rows.take(subsample(len(rows), MOST_ROWS, seed)) for rows in (data.train, data.test))
    if not isinstance(train.inputs, Table) or len(train.inputs.columns) < 2 or min(len(train), len(test)) < FEWEST_ROWS:
        return
    predicts = _predicts_labels if data.labels else _predicts_numbers
    for name, kind in data.kinds.items():
        if kind != "text" and predicts(name, train, test):
            yield name


def _predicts_labels(name: str, train: Rows, test: Rows) -> bool:
    known, asked = _column(train, name), _column(test, name)
    numbers, expected = (rows.targets[:, 0].astype(int) for rows in (train, test))
    if min(np.bincount(numbers).max() / len(numbers), np.bincount(expected).max() / len(expected)) >= LEAKING_ACCURACY:
        return False
    answers = _by_value if known.dtype == object else _by_steps
    return all(
        (answers(known, numbers, rows) == labels).mean() >= LEAKING_ACCURACY
        for rows, labels in ((known, numbers), (asked, expected))
    )


def _by_value(known: Values, numbers: NDArray[np.int_], asked: Values) -> NDArray[np.int_]:
    """Predict the most frequent label of each value; -1 for a value that no training row has."""
    seen: dict[Any, Counter[int]] = defaultdict(Counter)
    for value, number in zip(known, numbers.tolist(), strict=True):
        seen[value][number] += 1
    most = {value: counts.most_common(1)[0][0] for value, counts in seen.items()}
    return np.array([most.get(value, -1) for value in asked])


def _by_steps(known: Values, numbers: NDArray[np.int_], asked: Values) -> NDArray[np.int_]:
    """Predict labels by a decision tree of one column, with as many leaves as labels: more would learn noise."""
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, len(np.unique(numbers))), random_state=0)
    answers: NDArray[np.int_] = tree.fit(_bounded(known), numbers).predict(_bounded(asked))
    return answers


def _bounded(values: Values) -> Array:
    """Return float64 (n_rows, 1) for scikit-learn's tree, which takes NaN but no number beyond float32."""
    return np.clip(values.astype(np.float64), -1e30, 1e30).reshape(-1, 1)


def _predicts_numbers(name: str, train: Rows, test: Rows) -> bool:
    return any(
        all(_correlation(_column(rows, name), rows.targets[:, place]) > LEAKING_CORRELATION for rows in (train, test))
        for place in range(train.targets.shape[1])
    )


def _correlation(values: Values, targets: Array) -> float:
    """Return the absolute Pearson correlation over the rows that have a value.

    0 where values or targets are constant, or more than half of the values are missing.
    """
    if values.dtype == object:
        return 0.0
    numbers = values.astype(np.float64)
    is_known = np.isfinite(numbers)
    if 2 * is_known.sum() < len(numbers):
        return 0.0
    x, y = _centred(numbers[is_known]), _centred(targets[is_known])
    return abs(float(x @ y)) / size if (size := float(np.sqrt((x @ x) * (y @ y)))) else 0.0


def _centred(values: Array) -> Array:
    """Return values minus their mean, scaled to lie between -2 and 2, so that no square overflows."""
    largest = float(np.abs(values).max(initial=0.0))
    scaled = values / largest if largest else values
    centred: Array = scaled - scaled.mean()
    return centred


def _column(rows: Rows, name: str) -> Values:
    assert isinstance(rows.inputs, Table)
    return rows.inputs.columns[name]
