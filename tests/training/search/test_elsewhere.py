"""Trials on Ray: three nodes, each of processes of its own, on this machine."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from importlib.metadata import version as version_of
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from app.processes.limits import half_of_memory
from app.processes.spawn import PASSED_ON, command
from models_store.card import Searched, Trial
from models_store.storage.store import Store
from tests.ray_nodes import Nodes
from training.messages import (
    LOST_CLUSTER,
    Cancel,
    Cancelled,
    CrossValidated,
    Evaluated,
    Event,
    Failed,
    Message,
    Publish,
    PublishEach,
    Published,
    Ready,
    ScoreFolds,
    TrialEnded,
    WorkDone,
    event_of,
    to_line,
)
from training.recipe.spec import PatternSpec, catalogue

pytestmark = [
    pytest.mark.keras,
    pytest.mark.server,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; pip install 'pattern-server[ray]'"),
]
PATIENCE_SECONDS = 200
TRIALS = 32


def searching(**search: Any) -> PatternSpec:
    """A search whose trials take a while, and end far from where rounding decides. Those of a size are a call each."""
    space = {
        "network.layers.*.units": [8, 12, 16, 20],
        "fit.optimizer.learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
    }
    usual = {"method": "random", "trials": TRIALS, "space": space}
    slow = {"epochs": 4_000, "optimizer": {"name": "sgd", "learning_rate": 1e-5}}
    return catalogue()["add-ten"].overridden({"fit": slow, "search": {**usual, **search}})


class Trainer:
    """The trainer process, told of a cluster, or of none. Whoever waits for a line waits so long at most."""

    def __init__(self, root: Path, nodes: Nodes, *cluster: str) -> None:
        environment = {**os.environ, **nodes.environment}
        self._root = root
        self._searches = 0
        self._process = subprocess.Popen(
            command("training.worker", *cluster, n_bytes=half_of_memory()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: environment[name] for name in (*PASSED_ON, "PYTHONPATH") if name in environment},
        )

    def search(self, spec: PatternSpec, *trials: Trial) -> None:
        usual: dict[str, Any] = {"promote": True, "keep": 5, "device": "cpu", "engine": "keras", "trials": trials}
        self._searches += 1
        self.tell(Publish(id=f"search-{self._searches}", recipe=spec.to_json(), root=self._root, **usual))

    def score_folds(self, spec: PatternSpec) -> None:
        self.tell(ScoreFolds(id="folds", recipe=spec.to_json(), device="cpu", root=self._root))

    def tell(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(to_line(message))
        self._process.stdin.flush()

    def events(self) -> Iterator[Event]:
        """Yield events up to one that ends a training, or the end of the process."""
        assert self._process.stdout is not None
        patience = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        patience.start()
        try:
            for line in self._process.stdout:
                yield (event := event_of(line))
                if isinstance(event, Published | CrossValidated | Failed | Cancelled):
                    return
        finally:
            patience.cancel()

    def outcome(self) -> Event:
        """The next event that ends a training."""
        *_, ended = self.events()
        return ended

    def trials(self) -> Iterator[Trial]:
        return (event.trial for event in self.events() if isinstance(event, TrialEnded))

    def found(self) -> Searched:
        """The search that the card of the published version tells of."""
        story = list(self.events())
        assert isinstance(story[-1], Published), story[-1]
        (card,) = (event.card for event in story if isinstance(event, Evaluated))
        assert card.search is not None
        return card.search

    def status(self) -> int:
        """The exit status of a process that ends by itself."""
        return self._process.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        with self._process:
            self._process.kill()


def assert_same(there: Searched, here: Searched) -> None:
    """Check that all trials ended alike, to rounding: on one machine they are fitted side by side."""
    assert [(trial.number, trial.state) for trial in there.trials] == [
        (trial.number, trial.state) for trial in here.trials
    ]
    expected = [trial.value or 0.0 for trial in here.trials]
    assert [trial.value or 0.0 for trial in there.trials] == pytest.approx(expected, rel=0.02)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    # Sockets lie in it, whose paths must be short.
    home = Path(mkdtemp(prefix="ray-", dir="/tmp"))
    nodes = Nodes(home)
    yield nodes
    nodes.kill_all()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def trainers(nodes: Nodes, tmp_path: Path) -> Iterator[Any]:
    """Starts trainers, which are killed in the end."""
    started: list[Trainer] = []

    def start(*cluster: str) -> Trainer:
        started.append(Trainer(tmp_path, nodes, *cluster))
        return started[-1]

    yield start
    for trainer in started:
        trainer.release()


@pytest.fixture(scope="module")
def alone(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """A trainer without a cluster."""
    trainer = Trainer(tmp_path_factory.mktemp("alone"), nodes)
    yield trainer
    trainer.release()


@pytest.fixture(scope="module")
def here(alone: Trainer) -> Searched:
    """The same search on one machine."""
    alone.search(searching())
    return alone.found()


@pytest.fixture(scope="module")
def remote(nodes: Nodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainer]:
    """A trainer that reaches the cluster by Ray's client, as from a machine that is no node."""
    nodes.kill_all()
    nodes.start_head(cores=1)
    trainer = Trainer(tmp_path_factory.mktemp("remote"), nodes, f"ray://127.0.0.1:{nodes.client_port}")
    yield trainer
    trainer.release()


def test_a_search_survives_a_node_and_then_the_whole_cluster(nodes: Nodes, here: Searched, trainers: Any) -> None:
    nodes.start_head(cores=0)
    _, lost = nodes.start_nodes(2)
    first = trainers("auto")
    first.search(searching())
    told = first.trials()
    ended = [next(told)]
    nodes.kill(lost)
    ended.extend(next(told) for _ in range(TRIALS // 2 - 1))

    nodes.kill_all()
    ended.extend(told)
    assert first.status() == LOST_CLUSTER
    assert len(ended) < TRIALS

    nodes.start_head(cores=1)
    second = trainers("auto")
    second.search(searching(), *ended)
    found = second.found()
    assert_same(found, here)
    assert found.best == here.best


def test_trials_are_pruned_as_on_one_machine(remote: Trainer, alone: Trainer) -> None:
    pruned = searching(pruning="median", method="bayesian", trials=16)
    for trainer in (remote, alone):
        trainer.search(pruned)
    here, there = alone.found(), remote.found()
    assert "pruned" in {trial.state for trial in here.trials}
    assert_same(there, here)


def test_a_cancelled_search_leaves_the_nodes_free(remote: Trainer) -> None:
    remote.search(searching())
    for event in remote.events():
        if isinstance(event, TrialEnded):
            remote.tell(Cancel(id=event.id))
    assert isinstance(event, Cancelled)
    remote.search(searching(trials=1))
    assert remote.found().trials[0].state == "complete"


def test_folds_on_a_cluster_have_the_scores_of_one_machine(remote: Trainer, alone: Trainer) -> None:
    for trainer in (remote, alone):
        trainer.score_folds(catalogue()["iris"].overridden({"fit": {"epochs": 30}, "cross_validate": {"folds": 4}}))
    here, there = (
        [event for event in trainer.events() if not isinstance(event, Ready | WorkDone)] for trainer in (alone, remote)
    )
    assert isinstance(here[-1], CrossValidated)
    assert there == here


def test_whole_trainings_on_a_cluster_lose_nothing_with_a_node(nodes: Nodes, remote: Trainer, tmp_path: Path) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    (second,) = nodes.start_nodes(1)
    store, names = tmp_path / "store", ["add-ten", "iris", "linear-pair", "quadratic-sparse"]
    usual: dict[str, Any] = {"root": store, "promote": True, "keep": 5, "device": "cpu", "engine": "keras"}
    recipes = [catalogue()[name].to_json() for name in names]
    # The table that this one asks for is nowhere: it alone fails.
    recipes.append({**recipes[1], "name": "lost", "data": {**recipes[1]["data"], "dataset": "0" * 32}})
    asked = tuple(Publish(id=f"job-{place}", recipe=recipe, **usual) for place, recipe in enumerate(recipes))
    remote.tell(PublishEach(id="all", trainings=asked))
    assert isinstance(remote.outcome(), Failed)
    assert isinstance(remote.outcome(), Published)
    nodes.kill(second)
    ended = [remote.outcome() for _ in names[1:]]
    assert {type(event) for event in ended} == {Published}
    published = Store(store, KerasNetwork.from_bytes)
    assert {name: published.versions(name) for name in published.patterns()} == {name: [1] for name in names}
    assert published.load("add-ten", 1).bundle.card.lineage.job == "job-0"


def test_a_node_with_other_packages_is_named(nodes: Nodes, remote: Trainer, tmp_path: Path) -> None:
    other = tmp_path / "keras-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 1.0\n")
    (unfit,) = nodes.start_nodes(1, tmp_path)
    remote.search(searching())
    *_, failed = remote.events()
    nodes.kill(unfit)
    assert isinstance(failed, Failed)
    assert failed.code == "node_unfit"
    assert f"has keras 1.0, and this machine has {version_of('keras')}" in failed.message


def test_a_search_runs_on_the_cores_of_this_machine(here: Searched, trainers: Any) -> None:
    trainer = trainers("local")
    trainer.search(searching(trials=4))
    assert_same(trainer.found(), here.model_copy(update={"trials": here.trials[:4]}))
