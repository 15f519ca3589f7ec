"""Training: from a recipe to a bundle that answers, whose card is true, and that is the same for the same seed."""

from typing import Any

import numpy as np
import pytest

from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.card import Score
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.errors import NotFinite
from tests.fakes import rows
from training.data.dataset import DataError, Dataset, Rows
from training.fitting.encoders import encoders
from training.fitting.progress import Progress
from training.recipe.spec import PatternSpec, catalogue, shipped

pytestmark = pytest.mark.keras

CATALOGUE = catalogue()
ADD_TEN = CATALOGUE["add-ten"]


def train(spec: PatternSpec, **options: Any) -> Bundle:
    from training import run  # deferred: imports TensorFlow

    return run.train(spec, device="cpu", **options)


def inputs_of(rows: Rows) -> Array:
    assert isinstance(rows.inputs, np.ndarray)
    return rows.inputs


@pytest.fixture(scope="module")
def add_ten() -> Bundle:
    return train(ADD_TEN, job="job-7")


@pytest.fixture(scope="module")
def stopped() -> Bundle:
    """Two outputs, validation rows, and a fit that stops by itself."""
    spec = CATALOGUE["linear-pair"].overridden(
        {
            "split": {"validation": 0.1},
            "network": {"layers": [{"units": 16}]},
            "fit": {"epochs": 300, "early_stopping": {"patience": 5, "min_delta": 1e-4}},
        }
    )
    return train(spec)


# -- what it has learned -------------------------------------------------------------------------------------------


def test_add_ten_answers_160_for_150_where_it_was_never_trained(add_ten: Bundle) -> None:
    np.testing.assert_allclose(add_ten.predict(rows(150, 0, -40)), rows(160, 10, -30), atol=1e-3)


def test_a_trained_bundle_predicts_the_same_after_a_trip_through_its_files(add_ten: Bundle) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    restored = Bundle.from_files(add_ten.to_files(), KerasNetwork.from_bytes)
    asked = rows(*range(-20, 200, 7))
    assert restored.predict(asked).tolist() == add_ten.predict(asked).tolist()
    assert restored.card == add_ten.card


@pytest.mark.parametrize(
    ("name", "worst"), [("quadratic-extended", 1e-3), ("add-ten-exact", 1e-9), ("linear-pair-straight", 1e-3)]
)
def test_what_improves_on_an_authors_recipe_is_right_to_a_part_of_a_unit(name: str, worst: float) -> None:
    spec = shipped()[name]
    bundle = train(spec)
    author = CATALOGUE[str(spec.improves)].author
    assert author is not None
    assert isinstance(bundle.card.test.overall, Score)
    assert bundle.card.test.overall.rmse < worst
    assert 3 * bundle.card.author_metrics[author.metric] < author.figure


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"layers": []}, "fit": {"epochs": 200}},
        {
            "network": {"layers": [], "polynomial_degree": 2},
            "scaling": {"outputs": "own", "scope": "per-column"},
            "fit": {"epochs": 500, "optimizer": {"learning_rate": 0.05}},
        },
        {"network": {"dtype": "float64"}},
        {"scaling": {"method": "minmax"}, "outside": "clip"},
        {"scaling": {"outputs": "none"}, "fit": {"epochs": 500}},
    ],
    ids=["no hidden layer", "polynomial", "float64", "minmax, outside clipped", "raw outputs"],
)
def test_every_part_of_a_recipe_leads_to_a_bundle_that_predicts(changes: dict[str, Any]) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    spec = ADD_TEN.overridden(changes)
    bundle = Bundle.from_files(train(spec).to_files(), KerasNetwork.from_bytes)
    np.testing.assert_allclose(bundle.predict(rows(0, 50, 99)), rows(10, 60, 109), atol=2)
    assert PatternSpec.parse(bundle.recipe) == spec
    assert bundle.card.outside == spec.outside


def test_a_formula_that_was_to_answer_rows_outside_and_was_not_found_is_missed_aloud() -> None:
    # Of fewer than 20 training rows no formula is taken.
    few = {"data": {"rows": 15, "test": None}, "network": {"layers": []}, "fit": {"epochs": 200}}
    card = train(ADD_TEN.overridden({**few, "outside": "formula"})).card
    assert (card.closed_forms, card.outside) == ({}, "warn")
    assert any(note.startswith("No formula was found for y, so that none answers rows outside") for note in card.notes)


def test_the_same_seed_trains_the_same_network_to_the_bit(add_ten: Bundle) -> None:
    again, other = train(ADD_TEN), train(ADD_TEN.overridden({"seed": 1}))
    asked = rows(*range(200))
    assert again.predict(asked).tolist() == add_ten.predict(asked).tolist() != other.predict(asked).tolist()
    assert again.history == add_ten.history != other.history
    assert again.card.lineage.data_sha256 == add_ten.card.lineage.data_sha256


def test_seeds_side_by_side_have_the_figures_that_each_has_alone_and_one_that_diverges_is_none() -> None:
    from training.fitting.program import Programs  # deferred: imports TensorFlow
    from training.run import no_tables, task_of, train_each

    made: list[Any] = []

    class Counting(Programs):
        def take(self, shape: Any, make: Any) -> Any:
            made.append(shape)
            return super().take(shape, make)

    short = ADD_TEN.overridden({"fit": {"epochs": 5, "optimizer": {"name": "sgd", "learning_rate": 0.01}}})
    seeded = [short.overridden({"seed": seed}) for seed in range(3)]
    wild = short.overridden({"seed": 3, "fit": {"optimizer": {"learning_rate": 1e9}}})
    tasks = [task_of(spec, no_tables, Progress()) for spec in (seeded[0], wild, *seeded[1:])]
    first, diverged, *others = train_each(tasks, device="cpu", programs=Counting())
    assert getattr(diverged, "code", None) == "diverged"
    for found, spec in zip((first, *others), seeded, strict=True):
        assert isinstance(found, Bundle)
        alone = train(spec)
        assert found.card.author_metrics == pytest.approx(alone.card.author_metrics, rel=1e-4)
        assert found.card.test.overall.model_dump() == pytest.approx(alone.card.test.overall.model_dump(), rel=1e-4)
        assert found.card.lineage.seed == spec.seed
    assert len(made) == 1


# -- what its card says --------------------------------------------------------------------------------------------


def test_a_card_knows_the_ranges_of_the_training_rows_alone(add_ten: Bundle) -> None:
    seen, unseen = inputs_of(Dataset.make(ADD_TEN).train), inputs_of(Dataset.make(ADD_TEN).test)
    targets = Dataset.make(ADD_TEN).train.targets
    ((column,), (output,)) = add_ten.card.inputs, add_ten.card.outputs
    assert (column.name, column.minimum, column.maximum) == ("x", seen.min(), seen.max())
    assert (output.name, output.minimum, output.maximum) == ("y", targets.min(), targets.max())
    assert seen.max() < 100 <= unseen.min()
    assert [(row["row"], row["columns"]) for row in add_ten.outside(rows(50, 150))] == [(1, ["x"])]


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_scores_are_those_of_what_the_bundle_predicts(stopped: Bundle, part: str) -> None:
    data = getattr(Dataset.make(PatternSpec.parse(stopped.recipe)), part)
    measured = getattr(stopped.card, part)
    errors = stopped.predict(data.inputs) - data.targets
    assert (measured.rows, list(measured.outputs)) == (len(data), ["y1", "y2"])
    assert_scored(measured.overall, errors, data.targets)
    for place, name in enumerate(measured.outputs):
        assert_scored(measured.outputs[name], errors[:, [place]], data.targets[:, [place]])


def assert_scored(score: Any, errors: Array, targets: Array) -> None:
    explained = 1 - (errors**2).sum(axis=0) / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    assert (score.rmse, score.mae, score.max_error, score.r2) == pytest.approx(
        (np.sqrt((errors**2).mean()), np.abs(errors).mean(), np.abs(errors).max(), explained.mean())
    )


def test_an_authors_figure_is_set_beside_the_same_way_of_counting(add_ten: Bundle) -> None:
    test = add_ten.card.test.overall
    assert isinstance(test, Score)
    expected = {"rmse": test.rmse, "mae": test.mae, "rmse_over_root_n": test.rmse / np.sqrt(20)}
    assert add_ten.card.author_metrics == pytest.approx(expected)
    assert add_ten.card.author is not None
    assert (add_ten.card.author.figure, add_ten.card.author.metric) == (1.079e-05, "rmse")


def test_baselines_are_the_training_mean_and_a_straight_line(add_ten: Bundle) -> None:
    data, found, test = Dataset.make(ADD_TEN), add_ten.card.baselines, add_ten.card.test.overall
    mean_rmse = np.sqrt(((data.train.targets.mean() - data.test.targets) ** 2).mean())
    assert isinstance(test, Score)
    assert found.metric == "rmse"
    assert found.figures == {
        "mean": pytest.approx(mean_rmse),
        "linear": pytest.approx(0, abs=1e-9),
        "network": test.rmse,
    }
    assert found.verdict.startswith("A straight line is exact here")


def test_gaps_set_the_first_test_rows_beside_their_targets(add_ten: Bundle) -> None:
    test = Dataset.make(ADD_TEN).test
    predicted = add_ten.predict(test.inputs)
    gap = add_ten.card.gaps[0]
    assert len(add_ten.card.gaps) == 10
    assert (gap.inputs, gap.label) == (inputs_of(test)[0].tolist(), test.targets[0].tolist())
    assert gap.predicted == pytest.approx(predicted[0].tolist())
    assert gap.gap == pytest.approx((predicted - test.targets)[0].tolist())
    assert add_ten.evaluation.predicted == pytest.approx(predicted)


def test_a_card_says_how_the_fit_went(add_ten: Bundle, stopped: Bundle) -> None:
    fitted = add_ten.card.fitted
    assert (fitted.epochs, fitted.best_epoch, fitted.stopped_early, fitted.rows) == (100, 100, False, 100)
    assert (fitted.parameters, fitted.device, fitted.final_loss) == (
        2 * 16 + 16 + 1,
        "/CPU:0",
        add_ten.history["loss"][-1],
    )
    fitted = stopped.card.fitted
    assert (fitted.stopped_early, fitted.epochs) == (True, fitted.best_epoch + 5)
    assert len(stopped.history["loss"]) == len(stopped.history["val_loss"]) == fitted.epochs


def test_a_card_says_where_the_version_came_from(add_ten: Bundle) -> None:
    lineage = add_ten.card.lineage
    assert (lineage.job, lineage.seed, lineage.data_sha256) == ("job-7", 0, Dataset.make(ADD_TEN).sha256())
    assert sorted(lineage.software) == ["keras", "numpy", "scikit-learn", "tensorflow"]


def test_a_card_has_the_notes_of_its_training(add_ten: Bundle) -> None:
    assert any("20 of 20 test rows lie outside the region it was trained on" in note for note in add_ten.card.notes)


# -- nothing is learned from rows that are kept aside --------------------------------------------------------------


@pytest.mark.parametrize("outputs", ["own", "shared", "none"])
def test_encoders_learn_from_training_rows_alone(outputs: str) -> None:
    scaling = {"scope": "global", "outputs": outputs}
    spec = CATALOGUE["quadratic-sparse"].overridden({"split": {"validation": 0.2}, "scaling": scaling})
    data = Dataset.make(spec)
    encoder, decoder = encoders(spec, data, "mse")
    assert isinstance(encoder, InputEncoder)
    assert isinstance(decoder, OutputDecoder)
    mean = inputs_of(data.train).mean()
    assert encoder.scaler.offset.tolist() == [mean] * 2
    expected = {"own": data.train.targets.mean(), "shared": mean, "none": 0.0}[outputs]
    assert decoder.scaler.offset.tolist() == [expected]


def test_other_test_rows_change_nothing_that_is_learned(add_ten: Bundle) -> None:
    region = {"rows": 5, "inputs": {"x": {"distribution": "uniform", "low": -1000, "high": 1000}}}
    elsewhere = train(ADD_TEN.overridden({"data": {"test": region}}))
    ours, theirs = add_ten.predictor, elsewhere.predictor
    assert theirs.encoder.to_dict() == ours.encoder.to_dict()
    assert theirs.decoder.to_dict() == ours.decoder.to_dict()
    assert elsewhere.history == add_ten.history


# -- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fit",
    [
        {"epochs": 1, "optimizer": {"name": "sgd", "learning_rate": 1e-9}},
        {"epochs": 3, "optimizer": {"name": "adam", "learning_rate": 1e3}},
        {"epochs": 20, "optimizer": {"name": "sgd", "learning_rate": 1e6}},
    ],
    ids=["nothing learned", "thrown about", "exploded"],
)
def test_a_network_worse_than_the_mean_has_diverged(fit: dict[str, Any]) -> None:
    from training.fitting.fit import Diverged  # deferred: imports TensorFlow

    with pytest.raises(Diverged, match=r"fit\.optimizer\.learning_rate"):
        train(CATALOGUE["add-ten-unscaled"].overridden({"fit": fit}))


def test_data_without_a_value_are_refused_before_anything_is_fitted() -> None:
    with pytest.raises(DataError, match=r"data\.outputs\.y"):
        train(ADD_TEN.overridden({"data": {"outputs": {"y": "1/(x - x)"}}}))


def test_a_test_row_that_the_network_cannot_take_is_named() -> None:
    region = {"rows": 3, "inputs": {"x": {"distribution": "uniform", "low": 1e100, "high": 1e101}}}
    with pytest.raises(NotFinite, match="row 0"):
        train(ADD_TEN.overridden({"data": {"test": region}, "fit": {"epochs": 1}}))


def test_targets_whose_squares_overflow_are_refused() -> None:
    wide = {"inputs": {"x": {"distribution": "uniform", "low": -1e200, "high": 1e200}}, "test": None}
    with pytest.raises(DataError, match=r"data\.outputs\.y"):
        train(ADD_TEN.overridden({"data": wide, "scaling": {"method": "minmax", "outputs": "own"}}))


def far_out(largest: float, **changes: Any) -> PatternSpec:
    """y = x / largest, where x comes from 0 to there."""
    inputs = {"x": {"distribution": "uniform", "low": 0, "high": largest}}
    data = {"inputs": inputs, "outputs": {"y": f"x / {largest}"}, "test": None}
    return ADD_TEN.overridden({"data": data, "scaling": {"scope": "per-column", "outputs": "own"}, **changes})


@pytest.mark.parametrize(("largest", "degree"), [(1e30, 8), (1e300, 1)])
def test_inputs_whose_squares_overflow_are_learned_like_others(largest: float, degree: int) -> None:
    bundle = train(far_out(largest, network={"polynomial_degree": degree}))
    np.testing.assert_allclose(bundle.predict(rows(0.25 * largest, 0.5 * largest)), rows(0.25, 0.5), atol=0.05)


def test_inputs_that_the_network_cannot_take_are_refused_before_anything_is_fitted() -> None:
    with pytest.raises(DataError, match=r"too large for a network of float32; set scaling\.method"):
        train(far_out(1e100, scaling={"method": "none"}))


def test_whoever_listens_may_stop_a_training() -> None:
    class Stop(Exception):
        """Somebody does not want to wait."""

    class Impatient(Progress):
        def epochs(self, done: int, curves: object) -> None:
            raise Stop

    with pytest.raises(Stop):
        train(ADD_TEN, progress=Impatient())


def test_golden_rows_are_training_rows_with_the_corners_of_their_ranges(add_ten: Bundle) -> None:
    seen = inputs_of(Dataset.make(ADD_TEN).train)
    assert isinstance(add_ten.golden_inputs, np.ndarray)
    golden = set(add_ten.golden_inputs.ravel())
    assert golden <= set(seen.ravel())
    assert {seen.min(), seen.max()} <= golden
    assert len(golden) <= 16
