"""The trainer process: it is told what to train, tells how that goes, and ends when it should."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.processes.limits import half_of_memory
from app.processes.spawn import command
from models_store.card import Score
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from tests.fakes import rows
from training.messages import (
    Cancel,
    Cancelled,
    Compared,
    Epoch,
    EpochsDone,
    Evaluated,
    Event,
    Failed,
    IfBetter,
    Measure,
    MeasureEach,
    Message,
    Publish,
    Published,
    Ready,
    Started,
    TrainingEvent,
    event_of,
    to_line,
)
from training.recipe.spec import PatternSpec, catalogue

ADD_TEN = catalogue()["add-ten"]
LAST_WORDS = (Published, Failed, Cancelled)
PATIENCE_SECONDS = 300


class Trainer:
    """A process of its own; whoever waits for a line waits so long at most, because then it is ended."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            command("training.worker", n_bytes=half_of_memory()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, message: Message) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(to_line(message))
        self._process.stdin.flush()

    def train(self, name: str, spec: PatternSpec | dict[str, Any], root: Path, **options: Any) -> None:
        recipe = spec.to_json() if isinstance(spec, PatternSpec) else spec
        usual: dict[str, Any] = {"promote": True, "keep": 5, "device": "cpu", "engine": "keras"}
        self.tell(Publish(id=name, recipe=recipe, root=root, **{**usual, **options}))

    def event(self) -> Event:
        """The next line."""
        assert self._process.stdout is not None
        patience = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        patience.start()
        try:
            return event_of(self._process.stdout.readline())
        finally:
            patience.cancel()

    def story(self, last: tuple[type[Event], ...] = LAST_WORDS) -> list[Event]:
        """Events up to one that ends a training."""
        events = [self.event()]
        while not isinstance(events[-1], last):
            events.append(self.event())
        return events

    def failure(self) -> Failed:
        failed = self.story()[-1]
        assert isinstance(failed, Failed)
        return failed

    def close(self) -> int:
        """End its input, and return its exit status."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(PATIENCE_SECONDS)

    def release(self) -> None:
        with self._process:
            self._process.kill()


@pytest.fixture(scope="module")
def ready_trainer() -> Iterator[Trainer]:
    trainer = Trainer()
    assert trainer.event() == Ready()
    yield trainer
    trainer.release()


@pytest.fixture
def trainer(ready_trainer: Trainer) -> Trainer:
    """One process for all: it goes on after each training, however that ended."""
    return ready_trainer


@pytest.mark.keras
def test_a_training_says_how_it_goes_and_then_which_version_it_published(trainer: Trainer, tmp_path: Path) -> None:
    from models_store.networks.keras_network import KerasNetwork  # deferred: imports TensorFlow

    trainer.train("job-1", ADD_TEN, tmp_path)
    started, *epochs, evaluated, published = trainer.story()
    assert started == Started(id="job-1", epochs=100)
    assert {event.id for event in epochs if isinstance(event, EpochsDone)} == {"job-1"}
    assert [epoch.epoch for epoch in epochs_of(epochs)] == list(range(1, 101))
    assert published == Published(id="job-1", version=1)

    bundle = Store(tmp_path, KerasNetwork.from_bytes).load("add-ten", 1).bundle
    assert evaluated == Evaluated(id="job-1", card=bundle.card)
    assert bundle.card.lineage.job == "job-1"
    assert bundle.predict(rows(150)).item() == pytest.approx(160, abs=1e-3)


def epochs_of(events: list[Event]) -> list[Epoch]:
    """Their epochs, where all of them are about epochs."""
    assert {type(event) for event in events} == {EpochsDone}
    return [epoch for event in events if isinstance(event, EpochsDone) for epoch in event.epochs]


@pytest.mark.keras
def test_what_another_engine_is_to_serve_is_verified_by_that_engine(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train("job-1", ADD_TEN, tmp_path, engine="onnx")
    assert trainer.story()[-1] == Published(id="job-1", version=1)
    bundle = Store(tmp_path, OnnxNetwork.from_bytes).load("add-ten", 1).bundle
    assert bundle.predict(rows(150)).item() == pytest.approx(160, abs=1e-3)


@pytest.mark.keras
def test_what_its_engine_cannot_serve_is_refused_before_it_is_trained(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train("job-1", ADD_TEN, tmp_path, engine="onnx", device="gpu")
    started, failed = trainer.story()
    assert isinstance(started, Started) and isinstance(failed, Failed)
    assert failed.code == "device_unavailable"
    assert "PATTERNS_ENGINE" in failed.message
    assert Store(tmp_path, _no_network).patterns() == []


@pytest.mark.keras
def test_a_second_training_in_the_same_process_is_the_next_version(trainer: Trainer, tmp_path: Path) -> None:
    for version in (1, 2):
        trainer.train(f"job-{version}", ADD_TEN, tmp_path, promote=version == 1)
        assert trainer.story()[-1] == Published(id=f"job-{version}", version=version)
    store = Store(tmp_path, _no_network)
    assert (store.versions("add-ten"), store.aliases("add-ten")) == ([1, 2], {"champion": 1})
    assert store.describe("add-ten", 1).history == store.describe("add-ten", 2).history


@pytest.mark.keras
def test_a_version_is_promoted_only_if_it_is_better_on_the_same_rows(trainer: Trainer, tmp_path: Path) -> None:
    versions = [{"fit": {"epochs": 20}}, {"fit": {"epochs": 1}}, {"fit": {"epochs": 100}}, {"fit": {"epochs": 100}}]
    found = []
    for number, changes in enumerate(versions):
        trainer.train(f"job-{number}", ADD_TEN.overridden(changes), tmp_path, promote=IfBetter())
        *_, evaluated, compared, published = trainer.story()
        assert isinstance(evaluated, Evaluated) and isinstance(compared, Compared) and isinstance(published, Published)
        promotion = compared.promotion
        found.append((published.version, promotion.champion, promotion.outcome, promotion.promoted))
    store = Store(tmp_path, _no_network)
    assert found == [
        (1, None, "no_champion", True),
        (2, 1, "worse", False),
        (3, 1, "better", True),
        # The same training once more: not better, and not worse.
        (4, 3, "not_worse", True),
    ]
    assert store.aliases("add-ten") == {"champion": 4}
    kept = store.describe("add-ten", 2).card.promotion
    assert kept is not None and kept.why.startswith("Not promoted: it is worse than version 1")


@pytest.mark.keras
def test_what_waits_in_an_outbox_is_compared_again_and_not_trained_again(trainer: Trainer, tmp_path: Path) -> None:
    root, outbox = tmp_path / "store", tmp_path / "outbox"
    recipe = ADD_TEN.overridden({"fit": {"epochs": 1}})
    trainer.train("job-1", recipe, root)
    trainer.story()
    asked: dict[str, Any] = {"promote": IfBetter(), "outbox": outbox}
    trainer.train("job-2", recipe, root, **asked)
    assert [type(event) for event in trainer.story()][-3:] == [Evaluated, Compared, Published]
    left = Store(outbox, _no_network).describe("add-ten", 1)
    trainer.train("job-2", recipe, root, **asked, comparisons=1)
    compared, published = trainer.story()
    assert isinstance(compared, Compared) and isinstance(published, Published)
    again = Store(outbox, _no_network).describe("add-ten", published.version)
    assert (again.history, again.card) == (left.history, left.card)
    assert (compared.promotion, compared.promotion.outcome) == (again.card.promotion, "not_worse")


def _no_network(*_: object) -> Any:
    raise AssertionError("nobody asked for a network")


@pytest.mark.keras
def test_a_training_that_is_not_to_be_published_ends_with_its_card(trainer: Trainer, tmp_path: Path) -> None:
    trainer.tell(Measure(id="job", recipe=ADD_TEN.to_json(), device="cpu", root=tmp_path))
    evaluated = trainer.story(last=(Evaluated,))[-1]
    assert isinstance(evaluated, Evaluated) and isinstance(evaluated.card.test.overall, Score)
    assert evaluated.card.test.overall.rmse < 1e-3
    assert list(tmp_path.iterdir()) == []


def measuring(root: Path, **recipes: dict[str, Any]) -> MeasureEach:
    """Ask for one training of each recipe, by its id."""
    asked = [Measure(id=name, recipe=recipe, device="cpu", root=root) for name, recipe in recipes.items()]
    return MeasureEach(id="all", trainings=tuple(asked))


@pytest.mark.keras
def test_each_of_several_measurements_ends_by_itself(trainer: Trainer, tmp_path: Path) -> None:
    steady = {"epochs": 3, "optimizer": {"name": "sgd", "learning_rate": 0.01}}
    recipe = ADD_TEN.overridden({"fit": steady, "data": {"test": None}})
    changes: dict[str, dict[str, Any]] = {
        "again": {"split": {"refit": True}},
        "first": {"seed": 0},
        "second": {"seed": 1},
        "wild": {"fit": {"optimizer": {"learning_rate": 1e9}}},
        "valueless": {"data": {"outputs": {"y": "log(0 - 1)"}}},
    }
    recipes = {name: recipe.overridden(change).to_json() for name, change in changes.items()}
    trainer.tell(measuring(tmp_path, **recipes, nameless={}))
    ended: dict[str, str] = {}
    told: set[str] = set()
    while len(ended) < 6:
        event = trainer.event()
        assert isinstance(event, TrainingEvent)
        if isinstance(event, EpochsDone):
            told.add(event.id)
        if isinstance(event, Evaluated | Failed):
            ended[event.id] = event.code if isinstance(event, Failed) else f"seed {event.card.lineage.seed}"
    assert ended == {
        "again": "seed 0",
        "first": "seed 0",
        "second": "seed 1",
        "wild": "diverged",
        "valueless": "bad_data",
        "nameless": "bad_recipe",
    }
    assert told == {"again", "first", "second"}
    # What takes a second fit comes after those that go on side by side.
    assert [*ended][-2:] == ["again", "nameless"]


@pytest.mark.keras
def test_measurements_side_by_side_are_cancelled_together(trainer: Trainer, tmp_path: Path) -> None:
    long = ADD_TEN.overridden({"fit": {"epochs": 1_000_000}})
    trainer.tell(measuring(tmp_path, a=long.to_json(), b=long.overridden({"seed": 1}).to_json()))
    trainer.story(last=(EpochsDone,))
    trainer.tell(Cancel(id="all"))
    assert trainer.story()[-1] == Cancelled(id="all")


@pytest.mark.keras
def test_epochs_carry_both_losses_when_there_are_validation_rows(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train("job", ADD_TEN.overridden({"split": {"validation": 0.2}, "fit": {"epochs": 60}}), tmp_path)
    epochs = epochs_of(trainer.story()[1:-2])
    history = Store(tmp_path, _no_network).describe("add-ten", 1).history
    assert [epoch.loss for epoch in epochs] == history["loss"]
    assert [epoch.val_loss for epoch in epochs] == history["val_loss"]


@pytest.mark.keras
def test_a_training_is_cancelled_while_it_runs(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train("long", ADD_TEN.overridden({"fit": {"epochs": 1_000_000}}), tmp_path)
    trainer.story(last=(EpochsDone,))
    trainer.tell(Cancel(id="long"))
    story = trainer.story()
    assert story[-1] == Cancelled(id="long")
    assert {type(event) for event in story[:-1]} <= {EpochsDone}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.keras
def test_a_training_that_still_waits_can_be_cancelled_too(trainer: Trainer, tmp_path: Path) -> None:
    trainer.train("first", ADD_TEN, tmp_path)
    trainer.train("second", ADD_TEN, tmp_path)
    trainer.tell(Cancel(id="second"))
    assert trainer.story()[-1] == Published(id="first", version=1)
    assert trainer.story()[-1] == Cancelled(id="second")
    assert Store(tmp_path, _no_network).versions("add-ten") == [1]


DIVERGING = ADD_TEN.overridden({"fit": {"epochs": 20, "optimizer": {"name": "sgd", "learning_rate": 1e6}}})
NO_VALUE = ADD_TEN.overridden({"data": {"outputs": {"y": "log(0 - 1)"}}})


@pytest.mark.keras
@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"name": "Abc"}, "bad_recipe", "name: "),
        ({}, "bad_recipe", "data: Field required"),
        (DIVERGING, "diverged", "lower fit.optimizer.learning_rate"),
        (NO_VALUE, "bad_data", "data.outputs.y: the formula has no finite value"),
    ],
    ids=["bad name", "no recipe", "diverging", "no value"],
)
def test_a_training_that_fails_says_why(
    trainer: Trainer, tmp_path: Path, spec: PatternSpec | dict[str, Any], code: str, message: str
) -> None:
    trainer.train("job", spec, tmp_path)
    failed = trainer.failure()
    assert (failed.id, failed.code) == ("job", code)
    assert message in failed.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.keras
def test_a_store_that_cannot_be_written_fails_the_training_and_not_the_trainer(
    trainer: Trainer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    trainer.train("job", ADD_TEN, tmp_path / "file" / "store")
    assert trainer.failure().code == "store_unwritable"


@pytest.mark.keras
def test_a_trainer_ends_with_its_input() -> None:
    trainer = Trainer()
    assert trainer.event() == Ready()
    assert trainer.close() == 0
    trainer.release()


SERVER = """
import sys
from subprocess import PIPE, Popen
from app.processes.limits import half_of_memory
from app.processes.spawn import command
trainer = Popen(command("training.worker", n_bytes=half_of_memory()), stdin=PIPE, stdout=PIPE, text=True)
trainer.stdin.write(sys.argv[1])
trainer.stdin.flush()
for event in ("ready", "started", "epochs"):
    assert event in trainer.stdout.readline()
print("running", flush=True)
trainer.wait()
"""


@pytest.mark.keras
def test_a_trainer_ends_with_its_server_however_that_ends() -> None:
    recipe = ADD_TEN.overridden({"fit": {"epochs": 1_000_000}}).to_json()
    request = to_line(Measure(id="long", recipe=recipe, device="cpu", root=Path("nowhere")))
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, request],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        patience = threading.Timer(PATIENCE_SECONDS, os.killpg, [server.pid, signal.SIGKILL])
        patience.start()
        assert server.stdout.readline() == "running\n"
        server.kill()
        server.stderr.read()  # to its end: the trainer, which shares it, is gone
        assert patience.is_alive()
        patience.cancel()


@pytest.mark.keras
def test_a_trainer_works_for_a_server_that_is_the_first_process_of_its_container() -> None:
    apart = [shutil.which("unshare") or "false", "--fork", "--pid", "--kill-child"]
    if subprocess.run([*apart, "true"], check=False, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("making a process namespace is not allowed here")
    server = "import subprocess; from app.processes.spawn import command; "
    server += f"subprocess.run(command('training.worker', n_bytes={half_of_memory()}))"
    ended = subprocess.run(
        [*apart, sys.executable, "-c", server], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert ended.stdout == '{"event": "ready"}\n'
