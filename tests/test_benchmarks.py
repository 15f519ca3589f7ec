"""The benchmark compares the same work, leaves nothing behind, and tells what it found. No test looks at a clock."""

import asyncio
import json
import runpy
import subprocess
import sys
from argparse import ArgumentTypeError
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks import against, ceiling, contenders, drift, handwritten, journeys, load, plot, report, turns, uploads
from benchmarks.bodies import (
    ANSWERED,
    BINARY,
    CROWD,
    CSV,
    DIALECTS,
    IN_DIALECTS,
    OURS,
    Format,
    Json,
    OipBinary,
    Workload,
)
from benchmarks.contenders import BY_HAND, CEILING, at_commit, ours_name
from benchmarks.journeys import Journey, Trace
from benchmarks.servers import PROJECT, Trouble, cpu_seconds, running
from benchmarks.uploads import LONG, ONE_ROW, WIDE
from models_store.bundle import Bundle
from models_store.encoding.scaler import Scaler
from models_store.storage.store import Store
from tests.app.over_http import serving
from tests.fakes import line

OWN = ours_name("keras")


@pytest.fixture
def add_ten() -> Bundle:
    """x + 10, exactly."""
    bundle = line(slope=1.0, pattern="add-ten")
    predictor = bundle.predictor
    decoder = replace(predictor.decoder, scaler=Scaler("standard", np.array([18.0]), np.array([8.0])))  # type: ignore[type-var]
    return replace(bundle, predictor=replace(predictor, decoder=decoder))


async def answer(app: Any, form: Format, workload: Workload) -> bytes:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        return await posted(client, form, workload)


async def posted(client: httpx.AsyncClient, form: Format, workload: Workload) -> bytes:
    body = form.body(workload.rows)
    said = await client.post(body.path, content=body.content, headers=body.headers)
    assert said.status_code == 200, said.text
    return said.content


@pytest.mark.parametrize("workload", ANSWERED, ids=lambda workload: workload.name)
def test_the_ceiling_and_the_server_by_hand_answer_what_ours_answers(
    store: Store, add_ten: Bundle, workload: Workload
) -> None:
    async def story() -> None:
        store.publish(add_ten)
        async with serving(store) as client:
            ours = json.loads(await posted(client, OURS["json"], workload))
        handwritten.app.state.network = lambda rows: rows + 10
        for app in (ceiling.app, handwritten.app):
            theirs = json.loads(await answer(app, OURS["json"], workload))
            assert theirs.keys() == ours.keys()
            assert theirs["outputs"] == pytest.approx(np.array(ours["outputs"]), abs=1e-5)

    asyncio.run(story())


FORMATS = {**OURS, **DIALECTS, "csv": CSV}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_reads_the_answers_to_its_own_bodies(store: Store, add_ten: Bundle, name: str) -> None:
    async def story() -> bytes:
        store.publish(add_ten)
        async with serving(store) as client:
            return await posted(client, FORMATS[name], Workload(name, 50, 1))

    np.testing.assert_allclose(FORMATS[name].answers(asyncio.run(story())), Workload(name, 50, 1).rows[:, 0] + 10, 1e-5)


@pytest.mark.parametrize("workload", IN_DIALECTS, ids=lambda workload: workload.name)
def test_the_ceiling_answers_in_other_protocols_what_ours_answers(
    store: Store, add_ten: Bundle, workload: Workload
) -> None:
    form = DIALECTS[workload.format]

    async def story() -> tuple[Any, Any]:
        store.publish(add_ten)
        async with serving(store) as client:
            ours = json.loads(await posted(client, form, workload))
        return ours, json.loads(await answer(ceiling.app, form, workload))

    ours, theirs = asyncio.run(story())
    assert theirs == ours


def test_a_binary_tensor_is_read_from_behind_its_header() -> None:
    head = {"outputs": [{"name": "y", "datatype": "FP64", "shape": [2, 1], "parameters": {"binary_data_size": 16}}]}
    content = json.dumps(head).encode() + np.array([160.0, 32.0]).tobytes()
    assert OipBinary("/").answers(content).tolist() == [160.0, 32.0]


def test_every_binary_body_is_echoed_as_it_is() -> None:
    for workload in BINARY:
        body = OURS[workload.format].body(workload.rows)
        assert asyncio.run(answer(ceiling.echo, OURS[workload.format], workload)) == body.content


def test_a_server_is_measured_only_if_it_answers_the_same_and_is_gone_afterwards() -> None:
    with running(contenders.ceiling()) as server:
        server.check(CROWD, np.array([160.0]))
        with pytest.raises(Trouble, match="answers other numbers"):
            server.check(CROWD, np.array([161.0]))
        ran = load.measure(server.port, OURS["json"].body(CROWD.rows), 4, 0.1, "bundled")
        missing = load.measure(server.port, replace(OURS["json"].body(CROWD.rows), content=b"[]"), 1, 0.1, "bundled")
    assert ran.failed == 0
    assert ran.requests_per_s > 0
    assert missing.failed > 0
    assert server.process.poll() is not None


def test_the_cpu_time_of_a_process_that_has_ended_is_that_of_its_parent_still() -> None:
    worker = "import time\nwhile time.process_time() < 0.2: pass"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {worker!r}])\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert cpu_seconds(process.pid) > 0.15
        process.communicate(b"\n")


def test_a_server_that_cannot_start_is_told_with_its_last_words() -> None:
    lost = replace(contenders.ceiling(), command=["sh", "-c", "echo no such app >&2; exit 1"])
    with pytest.raises(Trouble, match="did not get ready: no such app"), running(lost):
        pass


def runs(*rates: float) -> list[dict[str, float]]:
    return [{"requests_per_s": rate, "p50_ms": 1.0, "p99_ms": 2.0, "failed": 0} for rate in rates]


@pytest.fixture
def figures() -> dict[str, Any]:
    """Ours is half the ceiling and three times the server by hand in each round, however the rounds differ."""
    workloads = {CROWD.name: {OWN: runs(600, 300), CEILING: runs(1200, 600), BY_HAND: runs(200, 100)}}
    fitted = {"ours": 1.0, "Keras fit": 30.0}
    return {
        "machine": {
            "cpu": "A Processor",
            "cores": 2,
            "load": 0.5,
            "python": "3.11",
            "versions": {"keras": "3"},
            "date": "2025-01-01",
        },
        "how": {"engines": ["keras"], "generator": "bundled"},
        "requests": {"workloads": workloads, "not_compared": {"first try": "answers other numbers"}},
        "peers": {
            "not_installed": ["ray"],
            "litserve": {"workloads": {CROWD.name: {OWN: runs(80, 40), "LitServe": runs(40, 20)}}, "not_compared": {}},
        },
        "fitting": {"9 500 rows": {name: [{"seconds": s, "loss": 0.1, "to_loss_s": s}] for name, s in fitted.items()}},
        "searching": {
            "speed": {
                "search": [{"seconds": 6.4, "trials": 64, "trial_s": 0.1}],
                "Optuna and Keras fit": [{"seconds": 10.0, "trials": 4, "trial_s": 2.5}],
            },
            "memory": [{"1": 800.0, "64": 1000.0}],
        },
    }


def test_ratios_are_taken_within_a_round_and_set_beside_their_targets(figures: dict[str, Any]) -> None:
    told = {line.what: (line.value, line.verdict) for line in report.targets(figures)}
    assert told == {
        "keras: 1 row, 32 connections, of the ceiling": (0.5, "ok"),
        "keras: 1 row, 32 connections, of the server by hand": (3.0, "short"),
        "keras: 1 row, 32 connections, p99 to p50": (2.0, "ok"),
        "training, 9 500 rows: faster than Keras fit": (30.0, "ok"),
        "training, 9 500 rows: faster than Keras fit to the loss of all": (30.0, ""),
        "64 trials on iris: faster than Optuna and Keras fit": (25.0, "short"),
        "memory of 64 trials on 20 640 rows, of that of one": (1.25, "ok"),
    }


def test_the_report_names_the_machine_and_whoever_was_not_compared(
    figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    report.show(figures)
    said = capsys.readouterr().out
    for expected in (
        "A Processor, 2 cores",
        "first try: answers other numbers",
        "ray: not installed",
        "LitServe",
        "Search, iris",
    ):
        assert expected in said


def test_the_plot_is_drawn_from_the_saved_figures_alone(figures: dict[str, Any], tmp_path: Path) -> None:
    plot.draw(json.loads(json.dumps(figures)), tmp_path / "benchmark.svg")
    drawn = (tmp_path / "benchmark.svg").read_text()
    for expected in (OWN, "LitServe", "Keras fit", "A Processor, 2 cores"):
        assert expected in drawn
    # A peer stands where its ratio to ours puts it, and not where other minutes did.
    assert {bar.label: bar.value for bar in plot.request_bars(figures)}["LitServe"] == 225.0


# -- another revision ------------------------------------------------------------------------------------------------


def test_the_ratio_to_another_revision_is_told_with_the_share_of_the_ceiling_that_both_have(
    figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    workloads = {
        CROWD.name: {OWN: runs(600, 300), at_commit("keras", "abc1234"): runs(400, 150), CEILING: runs(800, 400)}
    }
    engines = {"keras": {"workloads": workloads, "not_compared": {"echo": "echoes something else"}}}
    report.show(figures | {"against": {"commit": "abc1234", "engines": engines}})
    said = capsys.readouterr().out
    assert "keras: this checkout (new) to abc1234 (old)" in said
    assert "echo: echoes something else" in said
    row = next(found for found in said.splitlines() if CROWD.name in found and "1.75×" in found)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == [CROWD.name, "450", "275", "1.75×", "1.50 – 2.00", "0.75", "0.44", "2.00", "2.00"]


def test_uploads_are_compared_with_another_revision_beyond_the_start_of_the_process_that_reads(
    figures: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {ONE_ROW: (0.5, 1.0), WIDE: (1.0, 6.0), LONG: (3.0, 4.5)}
    names = (OWN, at_commit("keras", "abc1234"))
    tables = {
        table: {name: [{"seconds": one}] for name, one in zip(names, pair, strict=True)}
        for table, pair in seconds.items()
    }
    figures["uploads"] = {"tables": tables, "commit": "abc1234"}
    told = {line.what: (line.value, line.verdict) for line in report.targets(figures) if "upload" in line.what}
    assert told == {
        f"upload, {WIDE}: faster than abc1234, beyond {ONE_ROW}": (10.0, "ok"),
        f"upload, {LONG}: faster than abc1234": (1.5, "ok"),
    }
    report.show(figures)
    assert "Uploads of CSV files" in capsys.readouterr().out


def test_tables_to_upload_are_as_large_as_they_are_called() -> None:
    lines = uploads.wide().splitlines()
    assert (len(lines), len(lines[0].split(b",")), set(lines[1].split(b","))) == (401, 2500, {b"true", b"false"})


def test_the_servers_of_two_checkouts_differ_in_their_code_and_their_store_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    new, old = against.both(tmp_path / "keras", tmp_path / "store", tmp_path / "checkout", "keras", "abc1234")
    assert (new.name, old.name) == (OWN, f"{OWN}, abc1234")
    differing = {name for name, value in new.environment.items() if old.environment[name] != value}
    assert differing == {"PYTHONPATH", "PATTERNS_STORE"}
    assert old == replace(new, name=old.name, environment=old.environment)


def test_a_checkout_is_measured_only_if_its_own_code_runs(tmp_path: Path) -> None:
    against.check_imports(PROJECT)
    with pytest.raises(Trouble, match="is not what runs"):
        against.check_imports(tmp_path)


def test_an_unknown_revision_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(ArgumentTypeError, match="no-such-revision: "):
        against.commit_of("no-such-revision")


# -- journeys --------------------------------------------------------------------------------------------------------

EXAMPLE = {
    "rooms/hall.py": """
from rooms.stairs import climb
def enter():
    climb()
    climb()
    leave()
def leave(): pass
""",
    "rooms/stairs.py": """
from rooms.attic import look
def climb():
    rest()
    look()
def rest(): pass
""",
    "rooms/attic.py": """
from outside import pass_by
def look(): pass_by()
""",
    "outside.py": "def pass_by(): pass",
}


def test_a_journey_is_counted_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in EXAMPLE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    enter = runpy.run_path(str(tmp_path / "rooms" / "hall.py"))["enter"]
    with Trace(tmp_path, ["rooms"]) as trace:
        enter()
    hall, stairs, attic = "rooms/hall.py", "rooms/stairs.py", "rooms/attic.py"
    journey = trace.journey
    assert journey == Journey((hall, stairs, stairs, attic, stairs, stairs, attic, hall))
    assert journey.entered == (hall, stairs, attic, stairs, attic, hall)
    assert (journey.files, journey.moves, journey.returns) == (3, 5, 3)
    assert journey.most_entered == [(hall, 2), (stairs, 2), (attic, 2)]


def test_a_coroutine_that_is_resumed_is_called_again(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text("import asyncio\nasync def wait():\n    await asyncio.sleep(0)\n")
    wait = runpy.run_path(str(tmp_path / "waiting.py"))["wait"]
    with Trace(tmp_path.parent, [tmp_path.name]) as trace:
        asyncio.run(wait())
    assert trace.journey.calls == (f"{tmp_path.name}/waiting.py",) * 2


def test_a_request_is_traced_from_the_socket_to_the_network_and_the_same_each_time() -> None:
    found = asyncio.run(journeys.journeys())
    assert found.keys() == journeys.JOURNEYS.keys()
    for journey in found.values():
        assert journey.entered[0] == "app/http/limits.py"
        assert {"models_store/encoding/scaler.py", "app/telemetry/logs.py"} <= set(journey.calls)
        assert journey.moves == journey.files - 1 + journey.returns
    again = asyncio.run(journeys.journeys())
    assert {name: journey.entered for name, journey in again.items()} == {
        name: journey.entered for name, journey in found.items()
    }
    assert sys.getprofile() is None


def test_what_is_said_of_drifts_is_measured() -> None:
    assert drift.half_missing() == "drift"
    assert drift.constants() == "by 0.1% none, by 2.0% drift"


@pytest.mark.keras
def test_methods_of_search_are_compared_by_the_trials_that_they_need() -> None:
    from benchmarks import methods  # deferred: TensorFlow

    spec = methods.of_catalogue("quadratic").spec.overridden({"split": {"validation": 0.2}})
    space: dict[str, Any] = {"network.layers": [1, 2], methods.RATE: methods.ANY_RATE}
    best = {("network.layers=2", f"{methods.RATE}={methods.RATES[-1]}"): 1.0}
    points = product(["network.layers=1", "network.layers=2"], (f"{methods.RATE}={rate}" for rate in methods.RATES))
    table = {tuple(sorted(point)): best.get(point, 2.0) for point in points}
    scores = methods.Scores(spec, space, "rmse", table)
    found = methods.compared(scores, range(2), trials=20)
    assert found["score"] == 1.0
    for seed, needed in enumerate(found["trials_needed"]):
        curves = [methods.best_so_far(scores, method, seed, 20) for method in methods.METHODS]
        assert curves == [[2.0] * (number - 1) + [1.0] * (21 - number) for number in needed]


def test_servers_in_turns_are_asked_only_as_long_as_they_answer() -> None:
    with running(contenders.ceiling()) as one, running(contenders.ceiling()) as other:
        both = turns.in_turns([one, other], CROWD, 2, 0.05)
        assert [len(its_turns) for its_turns in both] == [2, 2]
        assert all(turn.requests_per_s > 0 for its_turns in both for turn in its_turns)
        refusing = replace(other, contender=replace(other.contender, formats={CROWD.format: Json("/", asked="rows")}))
        with pytest.raises(Trouble, match="Internal Server Error"):
            turns.in_turns([one, refusing], CROWD, 2, 0.05)
