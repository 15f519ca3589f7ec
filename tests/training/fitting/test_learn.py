"""One fit: how much each row counts, what is refused before it, and the predictor that comes of it."""

from typing import Any

import numpy as np
import pytest

from models_store.card import LabelScore
from tests.fakes import rows
from training.data.dataset import DataError, Dataset, Labels, Rows
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec

pytestmark = pytest.mark.keras

LABELS = Labels(("a", "b", "c"), "text")


def rare(name: str) -> Any:
    """A table with a rare label, which one input hints at."""
    import polars as pl  # deferred: only tables need it

    drawn = np.random.default_rng(4)
    is_rare = drawn.random(1000) < 0.03
    return pl.DataFrame({"hint": drawn.normal(size=1000) + is_rare, "kind": np.where(is_rare, "rare", "common")})


def rare_spec(**fit: Any) -> PatternSpec:
    data = {"kind": "table", "dataset": "0" * 32, "target": "kind"}
    return PatternSpec.parse({"name": "rare", "data": data, "fit": {"epochs": 20, "early_stopping": None, **fit}})


def test_class_weights_make_a_rare_label_count_and_are_no_divergence() -> None:
    from training.run import train  # deferred: imports TensorFlow

    plain, balanced = (
        train(rare_spec(class_weights=weights), read_table=rare, device="cpu").card.test.outputs["kind"]
        for weights in (None, "balanced")
    )
    assert isinstance(plain, LabelScore)
    assert isinstance(balanced, LabelScore)
    assert plain.recall[1] < 0.2
    assert balanced.recall[1] > 0.5


def test_a_weight_for_a_label_that_there_is_not_is_refused() -> None:
    from training.run import train  # deferred: imports TensorFlow

    with pytest.raises(
        DataError,
        match=r"fit\.class_weights: 1 label\(s\) named there do not occur in the target; there are common, rare",
    ):
        train(rare_spec(class_weights={"rarer": 3.0}), read_table=rare, device="cpu")


def weights_of(wanted: Any, *numbers: float, labels: Labels | None = LABELS, **network: Any) -> Any:
    """The sample weights of rows with these labels."""
    from training.fitting.learn import sample_weights  # deferred: imports TensorFlow

    spec = rare_spec(class_weights=wanted).overridden({"network": network})
    return sample_weights(spec, labels, Rows(rows(*numbers), rows(*numbers)))


def test_without_class_weights_all_rows_count_alike() -> None:
    assert weights_of(None, 0, 1, 2) is None


def test_balanced_labels_count_as_much_as_each_other_though_one_has_no_row() -> None:
    found = weights_of("balanced", 0, 0, 0, 1, dtype="float64")
    assert found.tolist() == pytest.approx([4 / 9, 4 / 9, 4 / 9, 4 / 3])
    assert found.dtype.name == "float64"


def test_a_label_that_is_not_named_counts_once() -> None:
    found = weights_of({"b": 3.0}, 0, 1, 2, 1)
    assert (found.tolist(), found.dtype.name) == ([1.0, 3.0, 1.0, 3.0], "float32")


def test_a_row_counts_by_its_own_weight_and_by_that_of_its_label() -> None:
    from training.fitting.learn import sample_weights  # deferred: imports TensorFlow

    some = Rows(rows(0, 1, 2), rows(0, 1, 2), weights=np.array([1.0, 2.0, 3.0]))
    plain = sample_weights(rare_spec(), LABELS, some)
    both = sample_weights(rare_spec(class_weights={"b": 3.0}), LABELS, some)
    assert plain is not None and both is not None
    assert (plain.tolist(), plain.dtype.name) == ([0.5, 1.0, 1.5], "float32")
    assert (both.tolist(), both.dtype.name) == ([0.5, 3.0, 1.5], "float32")


def test_class_weights_of_numbers_are_refused() -> None:
    with pytest.raises(DataError, match=r"fit\.class_weights: are for labels, and the target is numbers"):
        weights_of("balanced", 1.5, 2.5, labels=None)


def test_a_fit_is_the_same_for_the_same_seed_with_programs_of_another_fit() -> None:
    from training.fitting.learn import Runtime, learn  # deferred: imports TensorFlow
    from training.fitting.program import Programs

    data = {"kind": "sequence", "rows": 40, "inputs": {"x": 0}, "outputs": {"y": "2*x"}}
    spec = PatternSpec.parse({"name": "line", "data": data, "fit": {"epochs": 5}})
    drawn = Dataset.make(spec)
    shared = Programs()
    first, again, alone = (
        learn(spec, drawn, Runtime("cpu", Progress(), programs)) for programs in (shared, shared, Programs())
    )
    answers = [learned.predictor.predict(drawn.test.inputs).tolist() for learned in (first, again, alone)]
    assert answers[0] == answers[1] == answers[2]
    assert first.history.to_dict() == again.history.to_dict() == alone.history.to_dict()
