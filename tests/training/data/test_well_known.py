"""Well-known tables: iris is at hand, the others come through Keras' loaders, here from small files of their format."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training.data.dataset import DataError
from training.data.well_known import BOSTON, CALIFORNIA, well_known


def test_iris_ships_with_scikit_learn() -> None:
    iris = well_known("iris")
    assert iris.columns == ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    assert iris.row(0) == (5.1, 3.5, 1.4, 0.2, "setosa")
    assert iris["species"].value_counts()["count"].to_list() == [50, 50, 50]


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory from which loaders take what they would download; Keras checks hashes, so there is no other seam."""

    def found(*names: str, **options: str) -> str:
        return str(tmp_path / (*names, options.get("fname", ""))[0])

    for name in ("boston_housing", "california_housing", "imdb"):
        # deferred: imports TensorFlow
        monkeypatch.setattr(importlib.import_module(f"keras.src.datasets.{name}"), "get_file", found)
    return tmp_path


@pytest.mark.keras
@pytest.mark.parametrize(
    ("name", "file", "columns"),
    [
        ("boston-housing", "boston_housing.npz", BOSTON),
        ("california-housing", "california_housing.npz", CALIFORNIA),
    ],
)
def test_house_prices_come_with_their_columns(name: str, file: str, columns: tuple[str, ...], downloads: Path) -> None:
    rows = np.arange(10 * (len(columns) - 1), dtype=np.float64).reshape(10, -1)
    np.savez(downloads / file, x=rows, y=rows[:, 0] * 2)
    houses = well_known(name)
    assert tuple(houses.columns) == columns
    assert len(houses) == 10
    assert (houses[columns[-1]] == 2 * houses[columns[0]]).all()


@pytest.mark.keras
def test_reviews_are_texts_again(downloads: Path) -> None:
    (downloads / "imdb_word_index.json").write_text('{"good": 1, "film": 2, "bad": 3, "the": 4}')
    reviews = np.empty(2, dtype=object)
    reviews[:] = [[4, 2, 1], [3]]
    labels = np.array([1, 0])
    np.savez(downloads / "imdb.npz", x_train=reviews, y_train=labels, x_test=reviews[:1], y_test=labels[:1])
    found = well_known("imdb-reviews")
    # Keras' loader leaves the rarest word out of what it hands on.
    assert sorted(found.rows()) == [("bad", "negative"), ("film good", "positive"), ("film good", "positive")]


def test_a_machine_without_a_network_is_told_so() -> None:
    def unreachable() -> Any:
        raise Exception("URL fetch failure on https://…: None -- [Errno -2] Name or service not known")

    with pytest.raises(DataError, match="imdb-reviews is downloaded when it is first used"):
        well_known("imdb-reviews", {"imdb-reviews": unreachable})
