"""`patterns train --missing`: the catalogue's patterns that the store lacks, or holds only damaged."""

from pathlib import Path

import pytest
from rich.progress import Progress

from app.commands.serve import train_missing_patterns
from app.commands.train import Bar, NotTrained, Trained, follow_each, measure_each, missing_specs, publish, spec_named
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings
from models_store.errors import StoreUnwritable
from models_store.storage.store import Store
from tests.app.over_http import fork
from tests.fakes import card
from training.messages import (
    LOST_CLUSTER,
    Evaluated,
    Event,
    Failed,
    Measure,
    MeasureEach,
    PublishEach,
    Published,
    Started,
    TrainingRequest,
)
from training.recipe.spec import PatternSpec, catalogue


@pytest.fixture(autouse=True)
def whole(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of the settings holds a version of everything in the catalogue."""
    monkeypatch.setenv("PATTERNS_STORE", str(store.root))
    for name in catalogue():
        store.publish(fork(name))


def damage(store: Store) -> None:
    (store.root / "add-ten" / "1" / "network.keras").write_bytes(b"scratched")


def test_where_nothing_is_missing_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert missing_specs() == []
    assert capsys.readouterr().err == "the store has all of the catalogue: nothing to train\n"


def test_a_damaged_pattern_is_missing_and_set_aside(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    damage(store)
    assert [spec.name for spec in missing_specs()] == ["add-ten"]
    said = " ".join(capsys.readouterr().err.split())
    assert "is damaged and was moved into" in said
    assert said.endswith("the store lacks add-ten")
    assert store.versions("add-ten") == []


def test_a_damaged_pattern_is_trained_again_before_serving(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(store)
    trained: list[str] = []

    def train(specs: list[PatternSpec]) -> int:
        trained.extend(spec.name for spec in specs)
        return 0

    monkeypatch.setattr("app.commands.serve.train_all", train)
    train_missing_patterns()
    assert trained == ["add-ten"]


def test_a_damaged_pattern_is_trained_by_its_name(store: Store) -> None:
    damage(store)
    assert spec_named("add-ten") == catalogue()["add-ten"]


def test_a_store_that_cannot_be_written_counts_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unwritable(_: Store) -> list[str]:
        raise StoreUnwritable("Read-only file system")

    monkeypatch.setattr(Store, "recover", unwritable)
    assert missing_specs() == []


# -- trainings that are asked for together -------------------------------------------------------------------------

NAMES = ("add-ten", "iris", "linear-pair")


class TogetherTrainer(Trainer):
    """Ends so many trainings of each request, and is lost; a request without a number fails as a whole."""

    def __init__(self, *ends: int, status: int = LOST_CLUSTER) -> None:
        super().__init__()
        self._ends, self._status = list(ends), status
        self._told: list[Event] = []
        self.requests: list[PublishEach] = []

    async def submit(self, request: TrainingRequest | PublishEach | MeasureEach) -> None:
        assert isinstance(request, PublishEach)
        self.requests.append(request)
        if not self._ends:
            self._told = [Failed(id=request.id, code="cluster_unavailable", message="no cluster")]
            return
        self._told = [Started(id=one.id, epochs=1) for one in request.trainings]
        for one in request.trainings[: self._ends.pop(0)]:
            self._told += [Evaluated(id=one.id, card=card()), Published(id=one.id, version=1)]

    async def event(self) -> Event:
        if not self._told:
            raise TrainerDied(self._status)
        return self._told.pop(0)


async def outcomes(trainer: Trainer) -> list[str | None]:
    """Return why each training failed, None of one that did not, in the order in which they ended."""
    specs = [catalogue()[name] for name in NAMES]
    requests = [publish(spec, Settings(), promote=True) for spec in specs]
    ended = [outcome async for outcome in follow_each(trainer, specs, requests)]
    assert [outcome.spec.name for outcome in ended] == list(NAMES)
    assert all(outcome.version == 1 for outcome in ended if isinstance(outcome, Trained))
    return [outcome.reason if isinstance(outcome, NotTrained) else None for outcome in ended]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trainer", "expected", "asked"),
    [
        (TogetherTrainer(3), [None, None, None], [3]),
        (TogetherTrainer(1, 2), [None, None, None], [3, 2]),
        (TogetherTrainer(1, 0), [None, *["the Ray cluster no longer answered"] * 2], [3, 2]),
        (TogetherTrainer(1), [None, "no cluster", "no cluster"], [3, 2]),
        (TogetherTrainer(1, status=-9), [None, *["the trainer process ended with -9"] * 2], [3]),
    ],
)
async def test_trainings_whose_cluster_is_lost_are_asked_for_again_as_long_as_some_end(
    trainer: TogetherTrainer, expected: list[str | None], asked: list[int]
) -> None:
    assert await outcomes(trainer) == expected
    assert [len(request.trainings) for request in trainer.requests] == asked
    assert [request.is_again for request in trainer.requests] == [count < len(NAMES) for count in asked]


# -- seeds that are measured together ------------------------------------------------------------------------------


class MeasuringTrainer(Trainer):
    """Tells these events of seeds 0 and 1, whose ids are `0` and `1`, or of the request; then it is gone."""

    def __init__(self, *events: Event) -> None:
        super().__init__()
        self._told = [*events]

    async def submit(self, request: TrainingRequest | PublishEach | MeasureEach) -> None:
        assert isinstance(request, MeasureEach)
        self._told = [
            event.model_copy(update={"id": request.id}) if _is_of_all(event) else event for event in self._told
        ]

    async def event(self) -> Event:
        if not self._told:
            raise TrainerDied(-9)
        return self._told.pop(0)


def _is_of_all(event: Event) -> bool:
    return isinstance(event, Failed) and event.id == "all"


DIVERGED = Failed(id="1", code="diverged", message="it diverged")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        (MeasuringTrainer(DIVERGED, Evaluated(id="0", card=card())), {1: "it diverged", 0: None}),
        (
            MeasuringTrainer(
                Evaluated(id="0", card=card()), Failed(id="all", code="device_unavailable", message="no GPU")
            ),
            {0: None, 1: "no GPU"},
        ),
        (MeasuringTrainer(DIVERGED), {1: "it diverged", 0: "the trainer process ended with -9"}),
    ],
    ids=["one fails", "the request fails", "the trainer ends"],
)
async def test_each_seed_ends_by_itself_or_with_its_request(
    trainer: MeasuringTrainer, expected: dict[int, str | None]
) -> None:
    specs = [catalogue()["add-ten"].overridden({"seed": seed}) for seed in (0, 1)]
    bars = Progress()
    asked = [
        (spec, Measure(id=str(spec.seed), recipe=spec.to_json(), device="cpu", root=Path("store"))) for spec in specs
    ]
    starting = bars.add_task("starting")
    lines = {request.id: Bar.of(spec, spec.name, bars, starting) for spec, request in asked}
    ended = [outcome async for outcome in measure_each(trainer, asked, lines)]
    reasons = [outcome.reason if isinstance(outcome, NotTrained) else None for outcome in ended]
    assert dict(zip((outcome.spec.seed for outcome in ended), reasons, strict=True)) == expected
    assert bars.task_ids == [starting]
