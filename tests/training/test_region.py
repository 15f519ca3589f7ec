"""Where training rows were: holes inside the range of each column are found, few new rows from inside are."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models_store.arrays import Array
from models_store.encoding.rows import InputEncoder, TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.npz import packed, unpacked
from models_store.region.hollows import NAMES as HOLLOWS
from models_store.region.hollows import Hollows
from models_store.region.region import NAMES, Region
from models_store.tables.table import Kind, Table
from tests.table_fakes import a_column, encoder_of
from training.region import FAR, IN_HOLLOW, region_of

# Those that a share is averaged over.
N_REGIONS = 4


def ring(n_rows: int, seed: int, n_columns: int = 2, *, hole: bool = False) -> Array:
    """Return rows (n_rows, n_columns) in a ring of two columns, or in its hole; other columns are uniform."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(-1, 1, (n_rows, n_columns))
    radius = np.sqrt(rng.uniform(0, 0.09, n_rows) if hole else rng.uniform(0.25, 1, n_rows))
    turn = rng.uniform(0, 2 * np.pi, n_rows)
    places[:, 0], places[:, 1] = radius * np.cos(turn), radius * np.sin(turn)
    return places


def ball(n_rows: int, seed: int, n_columns: int, *, hole: bool = False) -> Array:
    """Return rows (n_rows, n_columns) between two spheres, or deep inside of both: no two columns show this hole."""
    rng = np.random.default_rng(seed)
    towards = rng.normal(size=(n_rows, n_columns))
    radius = rng.uniform(0, 0.3, n_rows) if hole else rng.uniform(0.7, 1, n_rows)
    places: Array = towards / np.linalg.norm(towards, axis=1)[:, None] * radius[:, None]
    return places


def encoder_for(places: Array) -> InputEncoder:
    return InputEncoder(tuple(f"x{place}" for place in range(places.shape[1])), 1, Scaler.fit("standard", places))


def learned(places: Array) -> Region:
    region = region_of(places, encoder_for(places), seed=0)
    assert region is not None
    return region


@pytest.mark.parametrize(("rows_of", "n_columns"), [(ring, 2), (ring, 5), (ball, 5)])
def test_rows_in_a_hole_are_far_and_new_rows_from_inside_are_not(rows_of: Any, n_columns: int) -> None:
    regions = [learned(rows_of(1000, seed, n_columns)) for seed in range(N_REGIONS)]
    asked, inside = rows_of(500, 100, n_columns, hole=True), rows_of(2000, 101, n_columns)
    assert min((region.far(asked) > 1).mean() for region in regions) >= 0.95
    # FAR is the share of new rows in the mean of many regions. Three standard errors of these few are allowed beside
    # it: each limit, of 1000 training rows, and each share, of 2000 new ones, is off by chance.
    allowed = FAR + 3 * np.sqrt(FAR / N_REGIONS * (1 / 1000 + 1 / 2000))
    assert np.mean([(region.far(inside) > 1).mean() for region in regions]) <= allowed


def test_a_gap_in_one_of_many_columns_is_found() -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 1, (800, 6))
    places[:400, 0] += 2
    region = learned(places)
    asked = rng.uniform(0, 1, (100, 6))
    asked[:, 0] = 1.5
    assert (region.far(asked) > 1).all()
    assert region.pairs == []


def test_whole_numbers_leave_no_gaps_between_them() -> None:
    rng = np.random.default_rng(0)
    places = rng.integers(0, 10, (1000, 2)).astype(float)
    assert (learned(places).far(rng.uniform(0, 9, (500, 2))) > 1).mean() <= 0.02


def test_the_card_can_say_which_pair_of_columns_leaves_a_hollow() -> None:
    assert learned(ring(600, 1, 4)).pairs == [("x0", "x1")]


def test_a_rows_distance_is_the_same_alone_and_among_others() -> None:
    region, asked = learned(ring(300, 1, 3)), ring(200, 2, 3)
    together = region.far(asked)
    assert [region.far(asked[place : place + 1])[0] for place in range(len(asked))] == together.tolist()
    assert len(region.far(asked[:0])) == 0


def test_the_share_of_training_rows_as_far_falls_with_the_distance() -> None:
    region = learned(ring(1000, 1))
    assert region.share_as_far(np.array([0.0, np.inf])).tolist() == [1, 0]
    assert region.share_as_far(np.array([1.0]))[0] == pytest.approx(0.005, abs=0.003)


def test_too_few_rows_have_no_region() -> None:
    places = ring(98, 1)
    assert region_of(places, encoder_for(places), seed=0) is None


@pytest.mark.parametrize("value", [1e300, -1e300, np.inf])
def test_numbers_however_large_are_far(value: float) -> None:
    assert learned(ring(200, 1)).far(np.array([[value, 0.75]]))[0] > 1


@pytest.mark.parametrize("small", [1e-12, 5e-324])
def test_a_column_of_one_large_number_among_small_ones_has_a_region(small: float) -> None:
    places = ring(200, 1) * [1, small]
    places[0, 1] = 1e300
    region = region_of(places, encoder_for(places), seed=0)
    assert region is not None
    read = Region.from_bytes(region.to_bytes(), encoder_for(places))
    assert np.isfinite(read.far(places)).all() and (read.far(places)[1:] <= 1).mean() > 0.98


# -- tables ------------------------------------------------------------------------------------------------------------

KINDS: dict[str, Kind] = {
    "size": "number",
    "day": "date",
    "hour": "time",
    "kind": "category",
    "sold": "boolean",
    "note": "text",
}


def flats(n_rows: int, seed: int, **fixed: Any) -> dict[str, list[Any]]:
    """Return columns of flats: those of kind `loft` are large, others small; each has every value."""
    rng = np.random.default_rng(seed)
    lofts = rng.random(n_rows) < 0.5
    columns = {
        "size": np.where(lofts, rng.uniform(100, 200, n_rows), rng.uniform(20, 90, n_rows)).tolist(),
        "day": [f"2024-01-{day:02d}" for day in rng.integers(1, 29, n_rows)],
        "hour": [f"{hour:02d}:30" for hour in rng.integers(0, 24, n_rows)],
        "kind": np.where(lofts, "loft", "flat").tolist(),
        "sold": (rng.random(n_rows) < 0.5).tolist(),
        "note": np.where(rng.random(n_rows) < 0.5, "bright", "quiet").tolist(),
    }
    return columns | {name: [value] * n_rows for name, value in fixed.items()}


def table(columns: dict[str, list[Any]]) -> Table:
    return Table({name: a_column(kind, columns[name]) for name, kind in KINDS.items()})


@pytest.fixture(scope="module")
def of_flats() -> Region:
    rows = table(flats(600, 1))
    encoder = TableEncoder(
        {name: encoder_of(kind, rows.columns[name]) for name, kind in KINDS.items()},
        fills={"size": 80.0, "kind": "flat"},
    )
    region = region_of(rows, encoder, seed=0)
    assert region is not None
    return region


@pytest.mark.parametrize(
    ("fixed", "is_far"),
    [
        ({}, False),
        ({"size": 150, "kind": "loft"}, False),
        ({"size": 150, "kind": "flat"}, True),  # none so large
        ({"kind": "flat", "note": "dark"}, True),
        ({"size": None}, True),  # no training row was without a size, though another stands in
        ({"kind": "castle"}, True),
        ({"hour": None}, True),
        ({"note": None}, True),
        ({"sold": None}, True),
    ],
)
def test_columns_of_every_kind_count_and_so_do_missing_and_unseen_values(
    of_flats: Region, fixed: dict[str, Any], is_far: bool
) -> None:
    share = (of_flats.far(table(flats(200, 2, **fixed))) > 1).mean()
    assert share >= 0.95 if is_far else share <= 0.02


def test_a_column_without_any_value_tells_nothing() -> None:
    rows = table(flats(200, 1, size=None))
    encoder = TableEncoder({name: encoder_of(kind, rows.columns[name]) for name, kind in KINDS.items()})
    region = region_of(rows, encoder, seed=0)
    assert region is not None
    assert (region.far(table(flats(200, 2, size=None))) > 1).mean() <= 0.02


def test_of_codes_alone_combinations_are_looked_at() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.choice(["a", "b"], 300), rng.choice(["c", "d"], 300)
    second[first == "a"] = "c"
    names = {"first": first, "second": second}
    rows = Table({name: a_column("category", values.tolist()) for name, values in names.items()})
    region = region_of(rows, TableEncoder({name: encoder_of("category", rows.columns[name]) for name in names}), 0)
    assert region is not None
    asked = Table({"first": a_column("category", ["a", "b", "a"]), "second": a_column("category", ["c", "d", "d"])})
    assert (region.far(asked) > 1).tolist() == [False, False, True]
    again = Region.from_bytes(region.to_bytes(), region.groups.tracks.encoder)
    assert again.far(asked).tolist() == region.far(asked).tolist()


# -- hollows -----------------------------------------------------------------------------------------------------------


def slope(n_rows: int, seed: int) -> Array:
    """Return rows (n_rows, 4) of which two columns rise together, dense in their middle; the others are uniform."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n_rows)
    return np.column_stack([first, first + rng.normal(size=n_rows), rng.uniform(-1, 1, (n_rows, 2))])


def in_middle(places: Array, width: float) -> Any:
    return (np.abs(places[:, :2] - [0.4, 0.4]) < width).all(axis=1)


@pytest.fixture(scope="module")
def hollow() -> Region:
    places = slope(8000, 0)
    return learned(places[~in_middle(places, 0.25)])


def test_of_many_rows_a_hollow_is_found_that_landmarks_are_too_few_to_show(hollow: Region) -> None:
    asked, inside = slope(20_000, 1), slope(20_000, 2)
    asked, inside = asked[in_middle(asked, 0.12)], inside[~in_middle(inside, 0.25)]
    assert (hollow.far(asked) > 1).mean() >= 0.95
    assert (replace(hollow, hollows=Hollows.none(hollow.groups.tracks)).far(asked) > 1).mean() < 0.8
    share = FAR + IN_HOLLOW
    assert (hollow.far(inside) > 1).mean() <= share + 3 * np.sqrt(share * (1 / 2000 + 1 / len(inside)))
    assert [0, 1] in hollow.hollows.pairs.tolist()


def test_combinations_are_far_where_many_rows_of_one_would_be_expected() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.choice([*"abc"], 400, p=[0.5, 0.4, 0.1]), rng.choice([*"def"], 400, p=[0.5, 0.4, 0.1])
    # Of `b` and `e` 64 rows would be expected, of `c` and `f` four; one row alone has `a` and `f`.
    second[(first == "b") & (second == "e")] = "d"
    second[(first == "c") & (second == "f")] = "d"
    second[np.flatnonzero((first == "a") & (second == "f"))[1:]] = "d"
    third = rng.uniform(0, 1, 400)

    kinds: dict[str, Kind] = {"x": "category", "y": "category", "z": "number"}

    def rows(*columns: Any) -> Table:
        return Table({name: a_column(kinds[name], list(values)) for name, values in zip(kinds, columns, strict=True)})

    known = rows(first, second, third)
    encoder = TableEncoder({name: encoder_of(kind, known.columns[name]) for name, kind in kinds.items()})
    region = region_of(known, encoder, 0)
    assert region is not None
    assert (region.far(rows("bba", "edf", [0.5] * 3)) > 1).tolist() == [True, False, False]


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_region_is_the_same_after_a_trip_through_its_file() -> None:
    places = ring(300, 1)
    region, asked = learned(places), ring(100, 2)
    again = Region.from_bytes(region.to_bytes(), encoder_for(places))
    assert again.far(asked).tolist() == region.far(asked).tolist()
    assert (again.to_bytes(), learned(places).to_bytes()) == (region.to_bytes(), region.to_bytes())


def test_hollows_are_the_same_after_a_trip_through_the_file_and_none_are_in_those_of_earlier_releases(
    hollow: Region,
) -> None:
    encoder, asked = hollow.groups.tracks.encoder, slope(1000, 3)
    again = Region.from_bytes(hollow.to_bytes(), encoder)
    assert again.far(asked).tolist() == hollow.far(asked).tolist()
    assert again.to_bytes() == hollow.to_bytes()
    earlier = Region.from_bytes(packed(unpacked(hollow.to_bytes(), NAMES)), encoder)
    assert not earlier.hollows.pairs.size
    assert (earlier.far(asked) <= hollow.far(asked)).all()
    assert (earlier.far(asked) < hollow.far(asked)).any()


@pytest.mark.parametrize(
    "damage",
    [
        {"cuts": np.zeros((2, 31))},
        {"cuts": np.full((4, 31), np.nan)},
        {"cuts": np.zeros((4, 31)) - np.arange(31)},
        {"hollows": np.zeros((1, 4))},
        {"hollows": np.array([[0.0, 9, 0, 0, 2]])},
        {"hollows": np.array([[0.0, 1, 0, 32, 2]])},
        {"hollows": np.array([[0.0, 1, 0, 0.5, 2]])},
        {"hollows": np.array([[0.0, 1, 0, 0, 1]])},
        {"hollows": np.array([[0.0, 1, 0, 0, np.inf]])},
    ],
)
def test_damaged_hollows_are_found(hollow: Region, damage: dict[str, Array]) -> None:
    arrays = unpacked(hollow.to_bytes(), NAMES, HOLLOWS)
    with pytest.raises(BundleDamaged):
        Region.from_bytes(packed({**arrays, **damage}), hollow.groups.tracks.encoder)


@pytest.mark.parametrize(
    "damage",
    [
        {"places": np.zeros((300, 5))},
        {"limits": np.zeros((300, 4))},
        {"limits": np.ones((3, 4))},
        {"limits": np.full((300, 4), 1e-200)},
        {"places": np.full((300, 3), 1e308)},
        {"scales": np.full((4, 2), np.nan)},
        {"scales": np.zeros((3, 2))},
        {"scales": np.zeros((4, 3))},
        {"scales": np.array([[1.0, 1], [0, 0], [0, 0], [0, 0]])},
        {"scales": np.empty((0, 2))},
        {"groups": np.full((4, 2), 9.0)},
        {"groups": np.full((4, 2), 0.5)},
        {"groups": np.empty((0, 2)), "limits": np.empty((300, 0))},
        {"training": np.array([[2.0], [1.0]])},
        {"training": np.empty((0, 1))},
    ],
)
def test_a_damaged_file_is_found(damage: dict[str, Array]) -> None:
    places = ring(300, 1)
    arrays = unpacked(learned(places).to_bytes(), NAMES)
    with pytest.raises(BundleDamaged):
        Region.from_bytes(packed({**arrays, **damage}), encoder_for(places))
