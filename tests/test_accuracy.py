"""The comparison of learners: the same folds for all, honest ratios, and a report whatever fails. No peer is needed."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from benchmarks import environments
from benchmarks.accuracy import contenders, plot, report, targets
from benchmarks.accuracy.__main__ import of_table, record, started, write
from benchmarks.accuracy.contenders import Failed, by_ours, by_peer, place_of
from benchmarks.accuracy.folds import Fold, folds
from benchmarks.accuracy.peers import PEERS
from benchmarks.accuracy.prepared import prepared
from benchmarks.accuracy.scores import Ratio, geometric_mean, is_solved, ratio, scored
from benchmarks.accuracy.tables import NAMED, NotComparable, Table, of_file, of_frame
from benchmarks.accuracy.targets import Target, TargetsError
from benchmarks.bodies import Body

JSON = '{"tides.csv": "height", "visits": {"target": "count", "task": "regression"}}'
YAML = "tides.csv: height\nvisits:\n  target: count\n  task: regression\n"
CSV = "file,target,task\ntides.csv,height,\nvisits, count, regression\n"
TSV = "tides.csv\theight\nvisits\tcount\tregression\n"


def heights(n_rows: int = 200) -> Table:
    """A line with a little noise, a category and missing cells."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=n_rows)
    frame = pl.DataFrame(
        {
            "wind": [None if place % 7 == 0 else value for place, value in enumerate(x)],
            "harbour": ["north" if value > 0.5 else "south" for value in x],
            "height": 3 * x + 0.1 * rng.normal(size=n_rows) + 5,
        }
    )
    return of_frame("tides", frame, Target("height"))


@pytest.mark.parametrize(
    ("name", "text"), [("t.json", JSON), ("t.yaml", YAML), ("t.csv", CSV), ("t.csv", CSV[17:]), ("t.tsv", TSV)]
)
def test_a_targets_file_is_a_mapping_or_lines(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert targets.read(tmp_path / name) == {"tides.csv": Target("height"), "visits": Target("count", "regression")}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.json", "[1]", "expected a mapping"),
        ("t.json", "{", "neither JSON nor YAML"),
        ("t.json", "{}", "no file has a target"),
        ("t.json", '{"a.csv": 3}', "expected the name of a column"),
        ("t.json", '{"a.csv": {"column": "y"}}', "expected a target"),
        ("t.csv", "a.csv,y,counting\n", "expected one of auto, regression, classification"),
        ("t.csv", "a.csv\n", "line 1 has 1 cells"),
    ],
)
def test_a_targets_file_that_cannot_be_read_is_refused_with_what_was_expected(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TargetsError, match=said):
        targets.read(tmp_path / name)


def test_files_are_found_with_and_without_their_ending(tmp_path: Path) -> None:
    (tmp_path / "tides.csv").write_text("height\n1\n")
    assert targets.files_in(tmp_path, {"tides": Target("height")}) == {tmp_path / "tides.csv": Target("height")}
    with pytest.raises(TargetsError, match=r"waves\.csv: is not in .*which has tides\.csv"):
        targets.files_in(tmp_path, {"waves.csv": Target("height")})


def test_each_row_is_held_out_once_for_each_seed() -> None:
    table = heights()
    cut = folds(table)
    assert [fold.seed for fold in cut] == [0] * 5 + [1] * 5
    for seed in (0, 1):
        held_out = np.concatenate([fold.test for fold in cut if fold.seed == seed])
        assert np.array_equal(np.sort(held_out), np.arange(len(table.y)))
    assert all(not set(fold.train) & set(fold.test) for fold in cut)


def test_a_large_table_has_one_split_and_three_seeds() -> None:
    cut = folds(heights(10_001))
    assert [(len(fold.train), len(fold.test), fold.seed) for fold in cut] == [(8000, 2001, seed) for seed in range(3)]
    assert all(np.array_equal(fold.test, cut[0].test) for fold in cut)


def test_every_fold_has_its_share_of_every_label() -> None:
    table = of_frame("t", pl.DataFrame({"x": range(50), "y": ["a"] * 10 + ["b"] * 40}), Target("y"))
    assert table.labels == ("a", "b")
    assert {int((table.y[fold.test] == 0).sum()) for fold in folds(table)} == {2}


def test_rows_that_nobody_can_be_scored_on_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x;y\n" + "1;a\n2;b\n" * 20 + "3;\n4;NA\n5;rare\n")
    table = of_file(tmp_path / "t.csv", Target("y"))
    assert (table.labels, len(table.y), table.inputs.columns) == (("a", "b"), 40, ["x"])
    with pytest.raises(NotComparable, match="has no column z; there are x, y"):
        of_file(tmp_path / "t.csv", Target("z"))
    with pytest.raises(NotComparable, match="0 rows have a value of y to learn, and 25 are the least"):
        of_file(tmp_path / "t.csv", Target("y", "regression"))


def test_what_peers_get_is_learned_from_the_training_rows_alone() -> None:
    frame = pl.DataFrame(
        {
            "number": ["1", "2.5", "?", "1e2", "5"] * 8,
            "flag": ["true", "False", "", "TRUE", "false"] * 8,
            "place": ["a", "b", None, "a", "late"] * 8,
            "day": ["2020-01-31", "2020-02-01", "2020-02-02", None, "2020-02-03"] * 8,
            "key": [f"k{place}" for place in range(40)],
            "said": [
                f"a long text {word} of row {place}" for place, word in enumerate(["up", "down", "far", "near"] * 10)
            ],
            "nothing": [None] * 40,
        },
        schema_overrides={"nothing": pl.String},
    )
    train, test = np.arange(4), np.arange(4, 40)
    inputs, asked = prepared(frame, train, test, 0)
    np.testing.assert_array_equal(inputs.numbers[:, 0], [1, 2.5, np.nan, 100])
    np.testing.assert_array_equal(inputs.numbers[:, 1], [1, 0, np.nan, 1])
    np.testing.assert_array_equal(inputs.numbers[:2, 2:6], [[18292, 1, 5, 0], [18293, 2, 6, 0]])
    np.testing.assert_array_equal(inputs.codes[:, 0], [0, 1, -1, 0])
    assert asked.codes[0, 0] == -1  # not seen in training
    assert inputs.codes.shape[1] == 1  # the key tells of no other row
    assert inputs.numbers.shape[1] == asked.numbers.shape[1] > 6  # the text became numbers


def test_a_loss_is_the_rmse_or_the_log_loss() -> None:
    assert scored(np.array([1.0, 3.0]), np.array([1.0, 5.0])) == {"loss": math.sqrt(2), "r2": -1.0}
    found = scored(np.array([0.0, 1.0]), np.array([[0.8, 0.2], [0.6, 0.4]]))
    assert found == {"loss": pytest.approx(-(math.log(0.8) + math.log(0.4)) / 2), "accuracy": 0.5, "wrong": 1}
    with pytest.raises(ValueError, match="2 answers to 2 rows, 1 not finite"):
        scored(np.array([0.0, 1.0]), np.array([1.0, np.nan]))


def test_a_ratio_tells_its_error_by_pairs_of_folds() -> None:
    assert ratio([2.0, 4.0], [1.0, 2.0], in_folds=True) == Ratio(2.0, 0.0)
    # Of one split: the deviation of (1.1 - r) / 1 and (0.9 - r) / 1, over the root of two seeds.
    found = ratio([1.1, 0.9], [1.0, 1.0], in_folds=False)
    assert [found.value, found.error] == pytest.approx([1, 0.1])
    # Folds share rows: 1/2 + 1/4 takes the place of 1/2.
    assert ratio([1.1, 0.9], [1.0, 1.0], in_folds=True).error == pytest.approx(0.1 * math.sqrt(1.5))
    assert math.isnan(ratio([1.0], [1.0], in_folds=False).error)


def test_the_geometric_mean_has_the_error_of_its_ratios() -> None:
    found = geometric_mean([Ratio(0.5, 0.05), Ratio(2.0, 0.2)])
    assert [found.value, found.error] == pytest.approx([1, 0.1 / math.sqrt(2)])
    assert math.isnan(geometric_mean([]).value)


def test_a_table_is_solved_where_nobody_is_wrong_about_more_than_fifteen_rows() -> None:
    few, many = [{"wrong": 3.0}] * 10, [{"wrong": 4.0}] * 10
    assert is_solved({"ours": few}, 2)
    assert not is_solved({"ours": few, "hgb": many}, 2)
    assert is_solved({"ours": [{"r2": 0.9995}]}, 1)


def test_labels_are_found_however_they_are_spelled() -> None:
    assert [place_of("1", ("0", "1")), place_of("1", ("0.0", "1.0")), place_of("true", ("False", "True"))] == [1, 1, 1]
    with pytest.raises(Failed, match="of 5 characters"):
        place_of("other", ("0", "1"))


def test_a_peer_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    table = heights()
    runs = by_peer("hgb", table, folds(table, 1), tmp_path, 60, python=lambda name: Path(sys.executable))
    assert len(runs) == 5
    assert all(run["loss"] < 0.5 and run["cpu_s"] > 0 and run["us_a_row"] > 0 for run in runs)


def test_a_peer_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="No module named 'pytabkit'"):
        by_peer("tabm", heights(), folds(heights(), 1)[:1], tmp_path, 60, python=lambda name: Path(sys.executable))
    with pytest.raises(Failed, match="No such file"):
        by_peer("tabm", heights(), [], tmp_path, 60, python=lambda name: tmp_path / "python")


def test_a_peer_that_cannot_be_installed_is_absent_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: str, requirements: tuple[str, ...]) -> None:
        raise subprocess.CalledProcessError(1, "uv", stderr=f"{requirements[0]} was not found\n")

    monkeypatch.setattr(environments, "make", refused)
    absent = contenders.make(["catboost"])
    assert absent == {"catboost": "catboost==1.2.10 was not found"}
    told = report.text({"tables": {}, "left_out": {"waves": "has no column y"}, "absent": absent})
    assert "- CatBoost: not installed: catboost==1.2.10 was not found\n- waves: has no column y" in told


@dataclass
class Served:
    """A server that has learned everything by heart: it answers the height of each row as its `wind` times 3 plus 5."""

    status: str = "succeeded"
    asked: list[Any] = field(default_factory=list)

    def post(self, body: Body) -> bytes:
        self.asked.append(body.path)
        if body.path == "/datasets":
            return b'{"id": "d1"}'
        if body.path == "/train":
            self.asked[-1] = json.loads(body.content)
            return b'{"status": "queued", "links": {"self": "/train/j1"}}'
        wind = pl.read_csv(body.content)["wind"]
        return pl.DataFrame({"height": wind.fill_null(0.5) * 3 + 5}).write_csv().encode()

    def get(self, path: str) -> bytes:
        return json.dumps({"status": self.status, "error": {"message": "the disk is full"}}).encode()

    def delete(self, path: str) -> None:
        self.asked.append(path)

    def cpu_seconds(self) -> float:
        return float(len(self.asked))


def test_ours_is_trained_on_the_rows_of_a_fold_and_asked_for_the_others() -> None:
    table, server = heights(), Served()
    (run,) = by_ours(server, table, [Fold(np.arange(150), np.arange(150, 200), 7)])
    assert (run["loss"] < 0.7, run["cpu_s"]) == (True, 1.0)
    data = {"kind": "table", "dataset": "d1", "target": "height", "task": "auto"}
    assert server.asked == [
        "/datasets",
        {"spec": {"name": "measured", "data": data, "seed": 7}},
        "/predict/measured",
        "/patterns/measured",
        "/datasets/d1",
    ]


def test_a_training_of_ours_that_fails_is_told_with_its_reason() -> None:
    with pytest.raises(Failed, match="failed: the disk is full"):
        by_ours(Served("failed"), heights(), folds(heights(), 1))


def figures_of(losses: dict[str, list[float]], failed: dict[str, str]) -> dict[str, Any]:
    facts = {"rows": 20640, "loss": "RMSE", "in_folds": True, "repeats": 1}
    runs = {
        name: [{"loss": loss, "r2": 0.5, "cpu_s": 1.5, "us_a_row": 20} for loss in values]
        for name, values in losses.items()
    }
    tables = {"tides": {"facts": facts, "runs": runs, "failed": failed}}
    machine = {"commit": "abc", "date": "2026-11-28"}
    return {"machine": machine, "tables": tables, "left_out": {}, "absent": {}}


def test_the_report_names_the_best_peer_and_what_failed() -> None:
    losses = {"ours": [0.9, 0.9], "hgb": [1.2, 1.2], "catboost": [1.0, 1.0]}
    told = report.text(figures_of(losses, {"tabm": "out of memory"}))
    assert "|  | rows |  | ours | HGB | CatBoost | TabM | ours / best peer |" in told
    assert "| tides | 20 640 | RMSE | **0.900** | 1.2 | 1 | failed | 0.900 ± 0.000 |" in told
    assert "Geometric mean of ours / best peer over 1 tables: 0.900 ± 0.000" in told
    assert "Of ours / each peer: HGB 0.750 ± 0.000 (1), CatBoost 0.900 ± 0.000 (1), TabM" in told
    assert "- TabM on tides: out of memory" in told


def test_the_plot_shows_every_table_that_has_a_ratio(tmp_path: Path) -> None:
    plot.draw(figures_of({"ours": [0.9], "hgb": [1.2]}, {}), tmp_path / "plot.svg")
    picture = (tmp_path / "plot.svg").read_text()
    assert all(word in picture for word in ("tides", "ours", "HGB", "abc"))


def test_a_run_goes_on_from_the_figures_that_it_kept(tmp_path: Path) -> None:
    table, kept = heights(), tmp_path / "results" / "kept.json"
    figures = started(kept)
    found = of_table(figures, table, folds(table))
    record(found, "hgb", lambda: [{"loss": 1.0}])
    write(figures, kept)
    assert of_table(started(kept), table, folds(table))["runs"] == {"hgb": [{"loss": 1.0}]}
    assert of_table(started(kept), table, folds(table, 1))["runs"] == {}  # of other folds


@pytest.mark.parametrize("name", NAMED)
def test_named_tables_are_the_same_each_time(name: str) -> None:
    table = NAMED[name]()
    assert table.name == name
    assert table.frame.equals(NAMED[name]().frame)
    assert len(table.y) == table.frame.height


def test_every_peer_pins_its_versions() -> None:
    for name in PEERS:
        requirements = __import__(f"benchmarks.accuracy.peers.{name}", fromlist=["REQUIREMENTS"]).REQUIREMENTS
        assert all("==" in requirement for requirement in requirements)
