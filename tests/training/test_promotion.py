"""Whether a new version is promoted: it and the champion answer the same rows, that neither has learned from."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models_store.arrays import Array
from models_store.bundle import Bundle, Evaluation
from models_store.card import Difference, Promotion, Refit
from models_store.comparison.versions import Answered, compare
from models_store.storage.store import InPlaceOf, Store
from models_store.tables.table import Kind
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line
from tests.table_fakes import rents, tabular
from training.data.dataset import Dataset
from training.promotion import MOST_COMPARISONS, judged, outcome_of, published_if_better
from training.recipe.spec import PatternSpec
from training.run import dataset_of, no_tables

X = {"x": {"distribution": "uniform", "low": 0, "high": 16}}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", LinearNetwork.from_bytes, disk=HastyDisk())


def of_formula(slope: float = 2.0, seed: int = 0, noise: float = 0.0, **data: Any) -> Bundle:
    """Return `line` of this slope, tested on rows of y = 2·x that `seed` draws, with answers that err by `noise`."""
    told = {"kind": "formula", "inputs": X, "outputs": {"y": "2 * x"}, "rows": 200, "seed": seed, **data}
    spec = PatternSpec.parse({"name": "line", "data": told})
    return as_tested(line(slope), spec, dataset_of(spec, no_tables), noise)


def as_tested(bundle: Bundle, spec: PatternSpec, data: Dataset, noise: float = 0.0) -> Bundle:
    """Return the bundle as the training on these rows would have made it."""
    answers: Array = bundle.predict(data.test.inputs)
    drawn = np.random.default_rng(0).normal(0, noise, answers.shape) if noise else 0
    card = bundle.card.model_copy(
        update={
            "test": bundle.card.test.model_copy(update={"rows": len(data.test)}),
            "lineage": bundle.card.lineage.model_copy(update={"data_sha256": data.sha256()}),
            "gaps": [],
        }
    )
    return replace(
        bundle,
        recipe=spec.to_json(),
        card=card,
        evaluation=Evaluation((answers + drawn).tolist(), data.test.targets.tolist()),
    )


def refitted(bundle: Bundle) -> Bundle:
    again = Refit(rows=1, epochs=1, seconds=0.0)
    fitted = bundle.card.fitted.model_copy(update={"refit": again})
    return replace(bundle, card=bundle.card.model_copy(update={"fitted": fitted}))


# -- the same test rows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "tolerance", "outcome"),
    [(0.5, 0.0, "better"), (1.0, 0.0, "not_worse"), (2.0, 0.0, "worse"), (2.0, 1.0, "not_sure")],
)
def test_versions_with_the_same_test_rows_are_compared_by_the_answers_that_they_keep(
    store: Store, noise: float, tolerance: float, outcome: str
) -> None:
    store.publish(of_formula(noise=1.0))
    found = judged(of_formula(noise=noise), store, no_tables, tolerance)
    assert (found.champion, found.rows_of, found.outcome) == (1, "test rows of both", outcome)
    assert found.promoted == (outcome in ("better", "not_worse"))
    assert found.by["rmse"].second == pytest.approx(1.0, rel=0.3)


def test_the_outcome_is_said_with_its_figures(store: Store) -> None:
    store.publish(of_formula(slope=3))
    found = judged(of_formula(), store, no_tables, 0.0)
    assert found.why.startswith("Promoted: it is better than version 1; RMSE ")
    assert " on 40 test rows of both (difference -" in found.why


@pytest.mark.parametrize(("tolerance", "bound"), [(0.0, ""), (0.02, " by more than 2 % of its RMSE")])
def test_the_outcome_speaks_of_a_tolerance_only_if_there_is_one(store: Store, tolerance: float, bound: str) -> None:
    store.publish(of_formula(noise=1.0))
    found = judged(of_formula(noise=2.0), store, no_tables, tolerance)
    assert found.why.startswith(f"Not promoted: it is worse than version 1{bound}; RMSE ")


def test_of_a_first_version_it_is_said_that_it_is_promoted(store: Store) -> None:
    assert judged(of_formula(), store, no_tables, 0.0).why.startswith("Promoted: there was no champion")


@pytest.mark.parametrize(
    ("low", "high", "drawn", "tolerance", "outcome"),
    [
        (-0.3, -0.1, 40, 0.0, "better"),
        (-0.3, 0.0, 40, 0.0, "not_worse"),
        (0.0, 0.0, 40, 0.0, "not_worse"),
        (-0.3, 0.05, 40, 0.0, "not_sure"),
        (-0.3, 0.05, 40, 0.05, "not_worse"),
        (0.01, 0.05, 40, 0.05, "not_worse"),
        (0.01, 0.06, 40, 0.05, "not_sure"),
        (0.06, 0.07, 40, 0.05, "worse"),
        (-0.3, -0.1, 9, 0.0, "too_few_rows"),
    ],
)
def test_a_version_must_not_be_worse_by_more_than_the_tolerance_for_sure(
    low: float, high: float, drawn: int, tolerance: float, outcome: str
) -> None:
    found = Difference(
        metric="rmse", first=1, second=1, difference=0, error=0.1, low=low, high=high, rows=drawn, drawn=drawn
    )
    assert outcome_of(found, tolerance) == outcome


@pytest.mark.parametrize(
    ("ratio", "outcome"), [((0.9, 1.04), "not_worse"), ((1.01, 1.06), "not_sure"), ((1.06, 1.2), "worse")]
)
def test_a_tolerance_is_a_share_of_an_error_that_is_not_known_for_sure_either(
    ratio: tuple[float, float], outcome: str
) -> None:
    found = Difference(metric="rmse", first=1, second=1, difference=0, error=0.1, low=-1, high=0.05, rows=40, drawn=40)
    assert outcome_of(found, 0.05, ratio) == outcome


def test_with_a_tolerance_the_card_has_the_ratio_that_is_held_against_it(store: Store) -> None:
    store.publish(of_formula(noise=1.0))
    found = judged(of_formula(noise=1.1), store, no_tables, 0.2)
    assert found.ratio is not None
    assert (found.outcome, found.ratio[0] < 1.1 < found.ratio[1] <= 1.2) == ("not_worse", True)
    assert " times the champion's)." in found.why
    assert judged(of_formula(noise=1.1), store, no_tables, 0.0).ratio is None


def test_the_first_version_is_champion(store: Store) -> None:
    found = judged(of_formula(), store, no_tables, 0.0)
    assert (found.champion, found.outcome, found.promoted, found.by) == (None, "no_champion", True, {})


# -- several at once -----------------------------------------------------------------------------------------------


def test_of_two_that_were_compared_with_the_same_champion_the_second_is_compared_with_the_first_too(
    store: Store,
) -> None:
    store.publish(of_formula(noise=3.0))
    both_were_compared = threading.Barrier(2)

    def publish(noise: float) -> list[tuple[int | None, str]]:
        decisions: list[tuple[int | None, str]] = []

        def as_decided(decided: Promotion) -> int:
            decisions.append((decided.champion, decided.outcome))
            if len(decisions) == 1:
                both_were_compared.wait(30)
            bundle = of_formula(noise=noise)
            bundle = replace(bundle, card=bundle.card.model_copy(update={"promotion": decided}))
            return store.publish(bundle, promote=InPlaceOf(decided.champion) if decided.promoted else False)

        published_if_better(of_formula(noise=noise), store, no_tables, 0.0, as_decided)
        return decisions

    with ThreadPoolExecutor(2) as threads:
        good, best = threads.map(publish, [2.0, 1.0])
    assert (good[0], best[0]) == ((1, "better"), (1, "better"))
    # Whichever came second has met the first.
    assert [*good[1:], *best[1:]] in ([(2, "better")], [(2, "worse")])
    kept = store.describe("line", store.champion("line")).evaluation
    assert kept == of_formula(noise=1.0).evaluation


def test_a_champion_that_is_another_one_each_time_stays(store: Store) -> None:
    store.publish(of_formula(noise=3.0))
    decisions: list[Promotion] = []

    def publish(decided: Promotion) -> int:
        decisions.append(decided)
        if decided.promoted:
            store.publish(of_formula(noise=3.0))
        return store.publish(of_formula(), promote=InPlaceOf(decided.champion) if decided.promoted else False)

    version = published_if_better(of_formula(), store, no_tables, 0.0, publish)
    assert [decided.champion for decided in decisions] == [*range(1, MOST_COMPARISONS + 1), None]
    assert (decisions[-1].outcome, decisions[-1].promoted) == ("champion_moved", False)
    assert store.champion("line") == version - 1


def test_the_card_says_what_a_comparison_says_later(store: Store) -> None:
    champion, trained = of_formula(noise=3.0), of_formula(noise=1.0)
    lineage = trained.card.lineage.model_copy(update={"seed": 7})
    trained = replace(trained, card=trained.card.model_copy(update={"lineage": lineage}))
    store.publish(champion)
    described = {"1": trained.description, "2": champion.description}
    assert judged(trained, store, no_tables, 0.0).by == compare(Answered.in_test(described)).differences[0].by


# -- other test rows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slope", "promoted"), [(2.0, True), (4.0, False)])
def test_other_rows_are_answered_by_the_champion_that_is_served(store: Store, slope: float, promoted: bool) -> None:
    store.publish(of_formula(slope=3))
    found = judged(of_formula(slope, seed=1), store, no_tables, 0.0)
    assert (found.rows_of, found.left_out, found.promoted) == ("new test rows", 0, promoted)
    assert (found.by["rmse"].rows, found.outcome) == (40, "better" if promoted else "worse")


RENTS = pl.DataFrame(
    {"rooms": range(1, 201), "district": ["north", "south"] * 100, "rent": [9.0 * n for n in range(200)]}
)


def of_table(frame: pl.DataFrame, name: str, errs: float, **split: Any) -> Bundle:
    """Return `rents` as a training on this table would have made it; its answers to test rows err by so much."""
    told = {"kind": "table", "dataset": name, "target": ["rent"], "columns": {"rooms": "number"}, "seed": 0}
    spec = PatternSpec.parse({"name": "rents", "data": told, "split": {"test": 0.5, **split}})
    data = dataset_of(spec, lambda _: frame)
    bundle = as_tested(rents(), spec, data)
    return replace(bundle, evaluation=Evaluation((data.test.targets + errs).tolist(), data.test.targets.tolist()))


def test_rows_that_the_champion_has_learned_from_never_count(store: Store) -> None:
    tables = {"0" * 32: RENTS[:120], "1" * 32: RENTS}
    store.publish(of_table(tables["0" * 32], "0" * 32, 1.0))
    found = judged(of_table(tables["1" * 32], "1" * 32, 1.0), store, tables.__getitem__, 0.0)
    assert found.outcome == "better"
    assert (found.left_out + found.by["rmse"].rows, found.left_out > 0) == (100, True)
    store.publish(refitted(of_table(tables["0" * 32], "0" * 32, 1.0)))
    again = judged(of_table(tables["1" * 32], "1" * 32, 1.0), store, tables.__getitem__, 0.0)
    assert again.left_out > found.left_out
    # All that are left are of the rows that were added.
    data = dataset_of(PatternSpec.parse(of_table(RENTS, "1" * 32, 1.0).recipe), lambda _: RENTS)
    added = np.isin(data.test.targets[:, 0], RENTS["rent"].to_numpy()[120:]).sum()
    assert again.by["rmse"].rows == added


def test_where_no_row_is_left_the_version_is_not_promoted(store: Store) -> None:
    name = "0" * 32
    store.publish(refitted(of_table(RENTS, name, 1.0)))
    found = judged(of_table(RENTS, name, 0.0, test=0.4), store, lambda _: RENTS, 0.0)
    assert (found.outcome, found.promoted, found.left_out) == ("no_untouched_rows", False, 80)
    assert "name a table of test rows (data.test)" in found.why


def test_a_champion_whose_rows_are_gone_or_others_is_not_compared(store: Store) -> None:
    store.publish(of_table(RENTS[:120], "0" * 32, 1.0))

    def gone(name: str) -> pl.DataFrame:
        return no_tables(name) if name == "0" * 32 else RENTS

    for read in (gone, lambda _: RENTS):
        found = judged(of_table(RENTS, "1" * 32, 0.0), store, read, 0.0)
        assert (found.outcome, found.promoted) == ("rows_unknown", False)


# -- champions that cannot answer ----------------------------------------------------------------------------------


def test_a_champion_that_asks_for_other_columns_is_named_with_the_way_out(store: Store) -> None:
    store.publish(of_table(RENTS, "0" * 32, 1.0))
    fewer: dict[str, tuple[Kind, list[Any]]] = {"rooms": ("number", [1, 2, 3, 4])}
    challenger = tabular("rents", fewer, rents().predictor.decoder)
    told = {"kind": "table", "dataset": "1" * 32, "target": ["rent"], "columns": {"rooms": "number"}}
    spec = PatternSpec.parse({"name": "rents", "data": told})
    frame = RENTS[:100].drop("district")
    data = dataset_of(spec, lambda _: frame)
    found = judged(as_tested(challenger, spec, data), store, lambda _: frame, 0.0)
    assert (found.outcome, found.promoted) == ("not_comparable", False)
    assert found.why == (
        "Not promoted: the champion asks for 1 column(s) that the new rows lack, or have as another kind: district; "
        "make it the champion yourself if you want it to answer (PUT labels/champion)."
    )


def test_a_champion_with_another_target_is_not_compared(store: Store) -> None:
    store.publish(rents("line"))
    found = judged(of_formula(), store, no_tables, 0.0)
    assert (found.outcome, found.promoted, found.champion) == ("not_comparable", False, 1)
    assert "answers y, and the champion answers rent" in found.why


def test_a_damaged_champion_is_not_replaced_unasked(store: Store) -> None:
    store.publish(of_formula())
    (store.root / "line" / "1" / "network.keras").write_bytes(b"")
    found = judged(of_formula(), store, no_tables, 0.0)
    assert (found.outcome, found.promoted, found.champion) == ("champion_unreadable", False, 1)
    assert "network.keras" in found.why and "PUT labels/champion" in found.why


def test_a_version_from_before_says_what_it_lacks(store: Store) -> None:
    """The champion's recipe of an earlier release names no rows that can be drawn again."""
    store.publish(line())
    found = judged(of_formula(), store, no_tables, 0.0)
    assert (found.outcome, found.promoted) == ("rows_unknown", False)
