"""Histograms of training rows, and other rows counted in them: merged counts are those of all rows together."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.errors import BundleDamaged
from models_store.profiles.counting import Counting, Numbers
from models_store.profiles.histogram import MISSING, OUTSIDE, UNSEEN, Counts, Histogram
from models_store.profiles.profile import Profile
from models_store.tables.table import Raw, Table, column_of, take
from tests.fakes import LinearNetwork, changed, line, rows
from tests.table_fakes import PASSENGERS, flowers, passengers

NUMBERS = st.floats(-1e6, 1e6)
COLUMN = arrays.arrays(np.float64, st.integers(1, 50), elements=NUMBERS)


def counted(histogram: Histogram, numbers: Array) -> Counts:
    counts = np.zeros(histogram.n_cells, dtype=np.int64)
    Numbers.of([histogram], [0]).count(numbers[:, None], counts)
    return counts


def profiled(bundle: Bundle, raw: Raw) -> Bundle:
    """Return the bundle with the histograms of these training rows."""
    predictor = bundle.predictor
    return replace(bundle, profile=Profile.learn(raw, bundle.predict(raw), predictor.encoder, predictor.decoder))


def counting(bundle: Bundle) -> Counting:
    assert bundle.counting is not None
    return bundle.counting


def a_passenger(**changes: object) -> Table:
    """Return one row, of values that training rows had but for these."""
    cells = {name: cells[1] for name, (_, cells) in PASSENGERS.items()} | {"boarded": 0.0, "crew": 1.0} | changes
    return Table({name: column_of(PASSENGERS[name][0], [cell]) for name, cell in cells.items()})


@pytest.fixture
def boarded() -> Bundle:
    """Passengers, with the histograms of the rows that their encoders were fitted on."""
    kinds = {name: kind for name, (kind, _) in PASSENGERS.items()}
    cells = {**{name: cells for name, (_, cells) in PASSENGERS.items()}, "boarded": [0.0, 0.0, 1.0, 0.0] * 2}
    return profiled(passengers(), Table({name: column_of(kind, cells[name]) for name, kind in kinds.items()}))


@given(COLUMN, COLUMN, st.integers(0, 50))
def test_parts_counted_apart_are_the_whole(training: Array, asked: Array, cut: int) -> None:
    histogram = Histogram.of_numbers("x", "number", training)
    parts = counted(histogram, asked[:cut]) + counted(histogram, asked[cut:])
    assert parts.tolist() == counted(histogram, asked).tolist()


@given(COLUMN, COLUMN)
def test_the_order_of_rows_does_not_matter(training: Array, asked: Array) -> None:
    histogram = Histogram.of_numbers("x", "number", training)
    assert counted(histogram, np.sort(asked)).tolist() == counted(histogram, asked).tolist()


@given(COLUMN, COLUMN)
def test_each_number_is_in_one_bucket(training: Array, asked: Array) -> None:
    counts = counted(Histogram.of_numbers("x", "number", training), asked)
    assert counts[:UNSEEN].sum() == len(asked) and counts[UNSEEN] == counts[MISSING] == 0
    assert counts[OUTSIDE] == ((asked < training.min()) | (asked > training.max())).sum()


@given(COLUMN)
def test_no_training_row_is_beyond_an_end(training: Array) -> None:
    counts = counted(Histogram.of_numbers("x", "number", training), training)
    assert counts[0] == counts[:UNSEEN][-1] == counts[OUTSIDE] == 0


def test_buckets_have_about_as_many_training_rows_each() -> None:
    training = np.random.default_rng(0).normal(size=5000)
    counts = counted(Histogram.of_numbers("x", "number", training), training)
    assert counts[:UNSEEN].tolist() == [0, *[500] * 10, 0]


def test_few_different_numbers_have_a_bucket_each_and_a_float32_stays_in_its_own() -> None:
    prices = np.array([0.1, 0.2, 0.3] * 10)
    histogram = Histogram.of_numbers("price", "number", prices)
    assert counted(histogram, prices)[:UNSEEN].tolist() == [0, 10, 10, 10, 0]
    assert counted(histogram, prices.astype(np.float32).astype(np.float64))[:UNSEEN].tolist() == [0, 10, 10, 10, 0]


def test_a_constant_that_moves_a_little_stays_in_its_bucket_and_is_outside() -> None:
    histogram = Histogram.of_numbers("x", "number", np.full(100, 50.0))
    assert counted(histogram, np.array([50.0, 50.05])).tolist() == [0, 2, 0, 0, 0, 1]
    assert counted(histogram, np.array([49.0, 51.0])).tolist() == [1, 0, 1, 0, 0, 2]


def test_a_column_without_a_number_has_one_bucket() -> None:
    histogram = Histogram.of_numbers("x", "number", np.empty(0))
    assert counted(histogram, np.array([1.0, np.nan])).tolist() == [1, 0, 1, 0]


def test_every_kind_of_column_is_counted(boarded: Bundle) -> None:
    assert boarded.profile is not None
    counts = counting(boarded).count(a_passenger(), boarded.predict(a_passenger()))
    cells = {one.name: own.tolist() for one, _, own in boarded.profile.cells(counts)}
    assert {name: sum(own[:OUTSIDE]) for name, own in cells.items()} == {**dict.fromkeys(PASSENGERS, 1), "survived": 1}
    assert cells["port"] == [0, 1, 0, 0, 0, 0, 0]  # of S, C, Q and others
    assert cells["crew"] == [0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "name", "cell"),
    [
        ({"age": None}, "age", MISSING),
        ({"port": None}, "port", MISSING),
        ({"port": "sesame"}, "port", UNSEEN),
        ({"note": "sesame"}, "note", UNSEEN),
        ({"age": 99.0}, "age", OUTSIDE),
        ({"boarded": 99.0}, "boarded", OUTSIDE),
    ],
)
def test_values_that_training_did_not_have_are_counted(
    boarded: Bundle, changes: dict[str, object], name: str, cell: int
) -> None:
    assert boarded.profile is not None
    row = a_passenger(**changes)
    counts = counting(boarded).count(row, boarded.predict(row))
    counted_in = {one.name: own for one, _, own in boarded.profile.cells(counts)}
    assert counted_in[name][cell] == 1
    assert sum(own[UNSEEN:].sum() for own in counted_in.values()) == 1


def test_labels_are_counted_as_they_are_answered() -> None:
    bundle = flowers()
    table = Table({"length": np.array([1.5, 4.5, 5.5, 1.25]), "width": np.array([0.25, 1.5, 2.0, np.nan])})
    bundle = profiled(bundle, table)
    assert bundle.profile is not None
    *_, (histogram, training, _) = bundle.profile.cells(bundle.profile.training)
    said = bundle.named(bundle.predict(table))["species"].tolist()
    assert dict(zip(histogram.values, training.tolist(), strict=False)) == {label: said.count(label) for label in said}


def test_all_rows_of_training_counted_again_are_the_profile(boarded: Bundle) -> None:
    assert boarded.profile is not None
    assert [one.name for one, _, _ in boarded.profile.cells(boarded.profile.training)] == [*PASSENGERS, "survived"]
    age = next(own for one, own, _ in boarded.profile.cells(boarded.profile.training) if one.name == "age")
    assert age[:UNSEEN].sum() == 7 and age[MISSING] == 1


def test_a_bundle_keeps_its_profile(boarded: Bundle) -> None:
    kept = Bundle.from_files(boarded.to_files(), LinearNetwork.from_bytes)
    assert kept.profile is not None and boarded.profile is not None
    assert kept.profile.to_bytes() == boarded.profile.to_bytes()
    row = a_passenger(port="sesame")
    counts = [counting(one).count(row, one.predict(row)).tolist() for one in (kept, boarded)]
    assert counts[0] == counts[1]


def test_a_bundle_from_before_profiles_has_none_and_is_read() -> None:
    assert Bundle.from_files(line().to_files(), LinearNetwork.from_bytes).profile is None


@pytest.mark.parametrize("fields", [{"training": [1, 2]}, {"training": "sesame"}, {"inputs": []}, {"inputs": [{}]}])
def test_a_damaged_profile_is_a_damaged_bundle(fields: dict[str, object]) -> None:
    files = profiled(line(), rows(0, 4, 16)).to_files()
    files["profile.json"] = changed(files["profile.json"], **fields)
    with pytest.raises(BundleDamaged, match=r"^profile\.json"):
        Bundle.from_files(files, LinearNetwork.from_bytes)


def test_rows_of_numbers_are_counted_without_a_table() -> None:
    bundle = profiled(line(), rows(*range(17)))
    asked = rows(1, 2, 99)
    counts = counting(bundle).count(asked, bundle.predict(asked))
    halves = [counting(bundle).count(take(asked, part), bundle.predict(take(asked, part))) for part in ([0], [1, 2])]
    assert bundle.profile is not None and counts.tolist() == (halves[0] + halves[1]).tolist()
    (_, _, x), (_, _, y) = bundle.profile.cells(counts)
    assert x[OUTSIDE] == y[OUTSIDE] == 1
