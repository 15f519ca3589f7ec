"""Intervals around numbers: how often they hold, how wide they are, and what is kept of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.arrays import Array
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.ranks import exactly, rows_for
from models_store.calibration.widths import NEAREST, Landmarks, Width
from models_store.errors import BundleDamaged, TooFewRows

SEEDS = st.integers(0, 2**32 - 1)
LEVELS = [exactly(level) for level in (0.8, 0.9, 0.95)]
NONE = np.empty((0, 1))


def calibration(scores: Array, width: Width | None = None) -> NumberCalibration:
    none = np.empty((0, scores.shape[1]))
    return NumberCalibration(scores, width or Width.even(scores.shape[1]), None, none, np.zeros_like(scores), none)


@given(SEEDS)
def test_intervals_are_nested_and_hold_their_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = calibration(rng.exponential(size=(40, 2)))
    answers, widths = rng.normal(size=(5, 2)), rng.exponential(size=(5, 2))
    inner, middle, outer = (found.ends(answers, widths, level) for level in LEVELS)
    for narrow, wide in ((inner, middle), (middle, outer)):
        assert (wide[:, :, 0] <= narrow[:, :, 0]).all() and (narrow[:, :, 1] <= wide[:, :, 1]).all()
    assert (inner[:, :, 0] <= answers).all() and (answers <= inner[:, :, 1]).all()
    jointly = found.ends(answers, widths, LEVELS[1], jointly=True)
    assert (jointly[:, :, 0] <= middle[:, :, 0]).all() and (middle[:, :, 1] <= jointly[:, :, 1]).all()


@given(SEEDS)
def test_the_order_of_calibration_rows_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.exponential(size=(30, 2)).round(1)
    shuffled = scores[rng.permutation(30)]
    for level in LEVELS:
        for jointly in (False, True):
            thresholds = [calibration(some).thresholds(level, jointly=jointly).tolist() for some in (scores, shuffled)]
            assert thresholds[0] == thresholds[1]


@given(SEEDS, st.integers(5, 200))
def test_parts_have_thresholds_of_their_own_and_intervals_stay_nested(seed: int, n_rows: int) -> None:
    rng = np.random.default_rng(seed)
    known = rng.normal(size=(n_rows, 2))
    cuts = np.sort(rng.normal(size=(2, 2)), axis=0)
    found = replace(calibration(rng.exponential(size=(n_rows, 2)) * np.exp(known)), answers=known, cuts=cuts)
    answers, widths, inner = rng.normal(size=(20, 2)), np.ones((20, 2)), np.zeros((20, 2, 2))
    for jointly in (False, True):
        for level in LEVELS:
            if n_rows >= rows_for(level):
                ends = found.ends(answers, widths, level, jointly=jointly)
                assert (ends[:, :, 1] - ends[:, :, 0] >= inner[:, :, 1] - inner[:, :, 0]).all()
                inner = ends
        inner = np.zeros((20, 2, 2))


def test_intervals_hold_as_often_as_asked_in_each_part() -> None:
    rng = np.random.default_rng(4)
    held = np.zeros((3, 3))
    for _ in range(200):
        answers = rng.uniform(0, 3, (177 + 300, 1))
        errors = rng.normal(size=answers.shape) * 4 ** np.floor(answers)
        scores, known, cuts = np.abs(errors[:177]), answers[:177], np.array([[1.0], [2.0]])
        found = replace(calibration(scores), answers=known, cuts=cuts)
        part_of = np.floor(answers[177:, 0]).astype(int)
        for place, level in enumerate(LEVELS):
            low, high = np.moveaxis(found.ends(np.zeros((300, 1)) + answers[177:], np.ones((300, 1)), level), 2, 0)[
                :, :, 0
            ]
            right = answers[177:, 0] + errors[177:, 0]
            is_held = (low <= right) & (right <= high)
            held[place] += [is_held[part_of == part].mean() / 200 for part in range(3)]
    assert held == pytest.approx(np.array([[0.8], [0.9], [0.95]]) * np.ones(3), abs=0.025)


@given(SEEDS)
def test_the_order_of_the_rows_that_a_width_is_learned_from_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers, hardness, errors = (
        rng.normal(size=(90, 2)).round(1),
        rng.exponential(size=(90, 2)),
        rng.normal(size=(90, 2)),
    )
    order = rng.permutation(90)
    one = Width.learned(answers, hardness, errors)
    other = Width.learned(answers[order], hardness[order], errors[order])
    for name, values in vars(one).items():
        np.testing.assert_allclose(getattr(other, name), values, rtol=1e-12)


def test_over_many_draws_intervals_hold_as_often_as_asked_and_jointly_all_at_once() -> None:
    rng = np.random.default_rng(0)
    held, together = np.zeros(3), np.zeros(3)
    for _ in range(400):
        errors = rng.standard_t(3, size=(59 + 200, 2)) * [1.0, 10.0]
        found = calibration(np.abs(errors[:59]))
        answers, ones = np.zeros((200, 2)), np.ones((200, 2))
        for place, level in enumerate(LEVELS):
            low, high = np.moveaxis(found.ends(answers, ones, level), 2, 0)
            held[place] += ((low <= errors[59:]) & (errors[59:] <= high)).mean() / 400
            low, high = np.moveaxis(found.ends(answers, ones, level, jointly=True), 2, 0)
            together[place] += ((low <= errors[59:]) & (errors[59:] <= high)).all(axis=1).mean() / 400
    # 59 rows have ranks of exactly 0.8, 0.9 and 0.95.
    assert held == pytest.approx([0.8, 0.9, 0.95], abs=0.01)
    assert together == pytest.approx([0.8, 0.9, 0.95], abs=0.01)


def test_with_too_few_rows_there_is_no_interval_rather_than_an_infinite_one() -> None:
    with pytest.raises(TooFewRows, match="takes 19 calibration rows, and this version has 18"):
        calibration(np.ones((18, 1))).ends(np.zeros((1, 1)), np.ones((1, 1)), LEVELS[2])
    ends = calibration(np.ones((19, 1))).ends(np.zeros((1, 1)), np.ones((1, 1)), LEVELS[2])
    assert ends.tolist() == [[[-1.0, 1.0]]]


# -- widths ------------------------------------------------------------------------------------------------------------


def test_a_width_follows_the_hardness_of_the_row_and_the_size_of_its_answer() -> None:
    rng = np.random.default_rng(1)
    answers, hardness = rng.uniform(0, 100, (3000, 1)), rng.uniform(0.5, 2, (3000, 1))
    sizes = np.where(answers > 50, 4.0, 1.0)
    width = Width.learned(answers, hardness, rng.normal(size=(3000, 1)) * (hardness + np.median(hardness)) * sizes)
    easy, hard = width(np.array([[20.0], [20.0]]), np.array([[0.5], [2.0]]))[:, 0]
    small, large = width(np.array([[20.0], [90.0]]), np.ones((2, 1)))[:, 0]
    assert hard / easy == pytest.approx((2.0 + 1.25) / (0.5 + 1.25), rel=0.05)
    assert large / small == pytest.approx(4, rel=0.15)
    assert (width(answers, hardness) > 0).all()


def test_where_only_single_bits_are_off_no_row_is_far_wider_than_another() -> None:
    rng = np.random.default_rng(3)
    answers, bit = rng.uniform(10, 110, (3000, 1)), 2.0**-17
    errors = np.where(rng.random((3000, 1)) < np.where(answers < 40, 0.5, 0.001), bit, 0.0)
    hardness = np.where(answers < 40, bit * rng.random((3000, 1)), 0.0)
    widths = Width.chosen(answers, hardness, errors)(answers, hardness)
    assert widths.max() < 10 * widths.min()


def test_the_floor_is_chosen_that_makes_intervals_narrow() -> None:
    rng = np.random.default_rng(6)
    answers, hardness, noise = rng.uniform(size=(600, 1)), rng.exponential(size=(600, 1)), rng.normal(size=(600, 1))
    told = Width.chosen(answers, hardness, hardness * noise)
    untold = Width.chosen(answers, hardness, noise)
    assert [width.floor.item() / np.median(hardness) for width in (told, untold)] == [0.25, 16.0]
    few = Width.chosen(answers[:20], hardness[:20], noise[:20])
    assert few.floor == np.median(hardness[:20])


@pytest.mark.parametrize("hardness", [0.0, 1e-300])
def test_a_width_is_above_zero_where_nothing_was_off(hardness: float) -> None:
    same = np.full((50, 1), 7.0)
    width = Width.learned(same, np.full((50, 1), hardness), np.zeros((50, 1)))
    assert (width(same, np.full((50, 1), hardness)) > 0).all()


def test_hardness_is_the_error_of_the_nearest_landmarks_and_has_no_steps() -> None:
    places = np.linspace(0, 1, 101)[:, None]
    landmarks = Landmarks(places, np.where(places > 0.5, 3.0, 1.0))
    left, right = landmarks.hardness(np.array([[0.1], [0.9]]))[:, 0]
    assert (left, right) == (pytest.approx(1.0), pytest.approx(3.0))
    along = landmarks.hardness(np.linspace(0.3, 0.7, 2001)[:, None])[:, 0]
    assert np.abs(np.diff(along)).max() < 0.02


def test_a_rows_hardness_is_the_same_to_the_bit_beside_any_other_rows() -> None:
    rng = np.random.default_rng(2)
    landmarks = Landmarks(rng.normal(size=(600, 7)), rng.exponential(size=(600, 3)))
    rows = rng.normal(size=(1500, 7)).astype(np.float32)
    together = landmarks.hardness(rows)
    assert all((landmarks.hardness(rows[[row]])[0] == together[row]).all() for row in (0, 1, 437, 1499))


@pytest.mark.parametrize("n_landmarks", [1, 2, NEAREST, NEAREST + 1])
def test_few_landmarks_and_landmarks_at_one_place_are_enough(n_landmarks: int) -> None:
    landmarks = Landmarks(np.zeros((n_landmarks, 1)), np.ones((n_landmarks, 1)))
    assert landmarks.hardness(np.array([[0.0], [5.0]])).tolist() == [[1.0], [1.0]]


# -- as it is kept -----------------------------------------------------------------------------------------------------


def kept() -> NumberCalibration:
    rng = np.random.default_rng(3)
    width = Width.learned(rng.normal(size=(90, 2)), rng.exponential(size=(90, 2)), rng.normal(size=(90, 2)))
    landmarks = Landmarks(rng.normal(size=(5, 3)), rng.exponential(size=(5, 2)))
    scores, known, cuts = rng.exponential(size=(20, 2)), rng.normal(size=(20, 2)), np.array([[0.0, 1.0], [0.5, 2.0]])
    return NumberCalibration(scores, width, landmarks, np.ones((4, 2)), known, cuts)


@pytest.mark.parametrize("found", [kept(), replace(kept(), landmarks=None)])
def test_what_was_kept_is_read_to_the_bit(found: NumberCalibration) -> None:
    restored = NumberCalibration.from_bytes(found.to_bytes(), n_outputs=2, n_inputs=3)
    assert restored.to_bytes() == found.to_bytes()
    assert (restored.landmarks is None) == (found.landmarks is None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scores": np.ones((3, 1))}, "expected scores of 2 outputs"),
        ({"scores": -np.ones((20, 2))}, "expected scores of 2 outputs, from 0 on"),
        ({"scores": np.full((20, 2), np.inf)}, "expected finite numbers"),
        ({"golden": np.ones((3, 3))}, "expected scores of 2 outputs"),
        ({"answers": np.ones((3, 2))}, "expected an answer for each score"),
        ({"cuts": np.array([[1.0, 1.0], [0.0, 2.0]])}, "and cuts in order"),
        ({"width": Width.even(1)}, "the width is not one of 2 outputs"),
        ({"width": replace(Width.even(2), floor=np.zeros((1, 2)))}, "expected a floor and factors above 0"),
        ({"landmarks": Landmarks(np.ones((4, 2)), np.ones((4, 2)))}, "landmarks and their errors do not fit"),
        ({"landmarks": Landmarks(np.ones((4, 3)), np.ones((3, 2)))}, "landmarks and their errors do not fit"),
    ],
)
def test_a_calibration_of_something_else_is_damage(changes: dict[str, object], words: str) -> None:
    damaged = replace(kept(), **changes).to_bytes()  # type: ignore[arg-type]
    with pytest.raises(BundleDamaged, match=words):
        NumberCalibration.from_bytes(damaged, n_outputs=2, n_inputs=3)
