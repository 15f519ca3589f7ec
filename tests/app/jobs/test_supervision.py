"""One training under supervision: what the trainer says is recorded, and how it ends is told."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.jobs.job import Event, Job
from app.jobs.patience import Patience
from app.jobs.records import Records
from app.jobs.supervision import Outcome, Supervision
from app.processes.trainer import TrainerDied
from app.settings import Settings
from models_store.card import Promotion
from models_store.storage.store import Store
from tests.app.jobs.conftest import IMPATIENT, SHORT, until
from tests.app.jobs.fakes import (
    SCORES,
    FakeTrainer,
    Script,
    begins,
    diverges,
    hangs,
    is_killed,
    obeys,
    recipe,
    trains,
)
from training.messages import Cancelled, Compared, Failed, FoldScored, IfBetter, Publish, Published, Ready, WorkDone

pytestmark = pytest.mark.anyio

PROMOTION = Promotion(champion=1, promoted=False, outcome="worse", why="Not promoted.", tolerance=0.25)
Supervise = Callable[..., Supervision]


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def job(records: Records) -> Job:
    """A job that has been claimed."""
    records.submit(recipe().to_json(), promote=True, key=None, body=b"")
    claimed = records.claim()
    assert claimed is not None
    return claimed


@pytest.fixture
def supervise(job: Job, records: Records, trainer: FakeTrainer, settings: Settings) -> Supervise:
    def supervise(script: Script, patience: Patience = SHORT, **changes: object) -> Supervision:
        trainer.scripts = [script]
        return Supervision(job, records, trainer, settings.model_copy(update=changes), patience)

    return supervise


def happened(records: Records, job: Job) -> list[tuple[str, dict[str, Any]]]:
    """All but the first event, that it was queued."""
    events = records.events_after(job.id, 1)
    assert events == [Event(number, event.kind, event.data) for number, event in enumerate(events, start=2)]
    return [(event.kind, event.data) for event in events]


def epoch(number: int) -> tuple[str, dict[str, Any]]:
    return ("epoch", {"epoch": number, "loss": 1 / number, "val_loss": None, "metric": None, "val_metric": None})


BEGUN = [("started", {"epochs": 3}), epoch(1)]

# -- what is asked, heard and recorded -----------------------------------------------------------------------------


async def test_the_trainer_is_asked_for_the_job_and_told_where_it_goes(
    supervise: Supervise, trainer: FakeTrainer, job: Job, store: Store
) -> None:
    await supervise(trains, keep_versions=3, device="cpu", engine="onnx").follow()
    asked: dict[str, Any] = {"id": job.id, "recipe": recipe().to_json(), "root": store.root, "promote": True}
    assert trainer.requests == [Publish(**asked, keep=3, device="cpu", engine="onnx")]


async def test_a_training_is_recorded_as_it_goes(supervise: Supervise, records: Records, job: Job) -> None:
    assert await supervise(trains).follow() == Outcome("succeeded", version=1)
    evaluated = ("evaluated", {"metrics": SCORES})
    assert happened(records, job) == [*BEGUN, epoch(2), epoch(3), evaluated]
    told = records.get(job.id).to_json()
    progress = {"epoch": 3, "epochs": 3, "loss": 1 / 3, "val_loss": None, "eta_s": 0.0}
    # It ends when whoever follows it says so.
    assert (told["status"], told["progress"], told["metrics"]) == ("running", progress, SCORES)


async def test_what_became_of_a_comparison_is_recorded(
    records: Records, trainer: FakeTrainer, settings: Settings
) -> None:
    records.submit(recipe().to_json(), promote=IfBetter(tolerance=0.25), key=None, body=b"")
    job = records.claim()
    assert job is not None and job.promote == IfBetter(tolerance=0.25)

    async def script(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say(Compared(id=request.id, promotion=PROMOTION))
        trainer.say(Published(id=request.id, version=2))

    trainer.scripts = [script]
    assert await Supervision(job, records, trainer, settings, SHORT).follow() == Outcome("succeeded", version=2)
    assert trainer.requests[-1].promote == IfBetter(tolerance=0.25)
    told = PROMOTION.model_dump(mode="json")
    assert happened(records, job) == [("compared", told)]
    assert records.get(job.id).to_json()["promotion"] == told


async def test_epochs_that_are_told_together_are_events_of_their_own(
    supervise: Supervise, records: Records, job: Job
) -> None:
    async def script(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say_epochs(1, 2)
        trainer.say(Cancelled(id=request.id))

    await supervise(script).follow()
    assert happened(records, job) == [epoch(1), epoch(2)]
    row = records.get(job.id).row
    assert (row["epoch"], row["loss"], row["eta_s"] >= 0) == (2, 0.5, True)


async def test_the_epochs_of_folds_count_as_well(supervise: Supervise, records: Records, job: Job) -> None:
    seen: list[tuple[int, int]] = []

    async def script(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say(WorkDone(id=request.id, done=0, of=12))
        trainer.say(WorkDone(id=request.id, done=6, of=12))
        await until(lambda: records.get(job.id).row["epoch"] == 6)
        row = records.get(job.id).row
        seen.append((row["epochs"], row["eta_s"] is not None))
        trainer.say_epochs(2, before=9, of=11)
        trainer.say(Cancelled(id=request.id))

    await supervise(script).follow()
    row = records.get(job.id).row
    assert (seen, row["epoch"], row["epochs"], row["eta_s"]) == ([(12, True)], 11, 11, 0.0)
    assert happened(records, job) == [epoch(2)]


async def test_scores_of_folds_are_recorded(supervise: Supervise, records: Records, job: Job) -> None:
    async def script(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say(FoldScored(id=request.id, fold=1, folds=4, figures={"rmse": 0.5, "mae": 0.25}))
        trainer.say(Cancelled(id=request.id))

    await supervise(script).follow()
    assert happened(records, job) == [("fold", {"fold": 1, "folds": 4, "rmse": 0.5, "mae": 0.25})]


async def test_what_is_said_between_long_pauses_is_heard(supervise: Supervise, records: Records, job: Job) -> None:
    async def script(trainer: FakeTrainer, request: Publish) -> None:
        for number in (1, 2, 3):
            await asyncio.sleep(0.05)
            trainer.say_epochs(number)
        trainer.say(Cancelled(id=request.id))

    await supervise(script).follow()
    assert happened(records, job) == [epoch(1), epoch(2), epoch(3)]


async def test_what_is_not_about_this_training_is_not_heard(supervise: Supervise, records: Records, job: Job) -> None:
    async def script(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say(Ready())
        trainer.say(Failed(id="another", code="diverged", message=""))
        trainer.say(Published(id=request.id, version=5))

    assert await supervise(script).follow() == Outcome("succeeded", version=5)
    assert happened(records, job) == []


# -- how it ends ---------------------------------------------------------------------------------------------------


async def test_a_failure_is_told_in_the_words_of_the_trainer(supervise: Supervise) -> None:
    said = "the loss is not a finite number any more"
    assert await supervise(diverges).follow() == Outcome("failed", "diverged", said)


async def test_a_lost_trainer_is_an_error_after_all_that_it_said(
    supervise: Supervise, records: Records, job: Job
) -> None:
    with pytest.raises(TrainerDied) as died:
        await supervise(is_killed).follow()
    assert died.value.status == -9
    assert happened(records, job) == BEGUN


async def test_a_training_that_obeys_is_cancelled_and_its_process_kept(
    supervise: Supervise, records: Records, trainer: FakeTrainer, job: Job
) -> None:
    records.cancel(job.id)
    assert await supervise(obeys).follow() == Outcome("cancelled")
    assert (trainer.killed, trainer.is_started) == ([], True)


async def test_a_training_that_does_not_obey_is_killed(
    supervise: Supervise, records: Records, trainer: FakeTrainer, job: Job
) -> None:
    records.cancel(job.id)
    assert await supervise(hangs, IMPATIENT).follow() == Outcome("cancelled")
    assert (trainer.asked_to_stop.is_set(), trainer.killed) == (True, [job.id])


async def test_a_request_to_stop_that_comes_too_late_changes_nothing(
    supervise: Supervise, records: Records, trainer: FakeTrainer, job: Job
) -> None:
    async def script(trainer: FakeTrainer, request: Publish) -> None:
        await trainer.asked_to_stop.wait()
        trainer.say(trainer.publish())

    records.cancel(job.id)
    assert await supervise(script).follow() == Outcome("succeeded", version=1)
    assert trainer.killed == []


async def test_a_training_whose_words_are_slow_to_write_down_has_its_time_to_obey(
    supervise: Supervise, records: Records, trainer: FakeTrainer, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = records.progress

    def slowly(*told: Any, **columns: Any) -> None:
        time.sleep(0.1)
        note(*told, **columns)

    async def script(trainer: FakeTrainer, request: Publish) -> None:
        trainer.say_epochs(1)
        await trainer.asked_to_stop.wait()
        trainer.say_epochs(2)
        trainer.say_epochs(3)
        trainer.say(Cancelled(id=request.id))

    monkeypatch.setattr(records, "progress", slowly)
    records.cancel(job.id)
    assert await supervise(script, replace(SHORT, cancel_seconds=0.05)).follow() == Outcome("cancelled")
    assert (trainer.killed, trainer.is_started) == ([], True)


@pytest.mark.parametrize("script", [begins, hangs])
async def test_a_training_that_takes_too_long_is_stopped(
    supervise: Supervise, trainer: FakeTrainer, job: Job, script: Script
) -> None:
    outcome = await supervise(script, train_seconds=0.1).follow()
    message = "the training took longer than 0.1 s; lower fit.epochs, or raise PATTERNS_TRAIN_SECONDS"
    assert outcome == Outcome("failed", "timed_out", message)
    assert not trainer.is_started


async def test_a_training_that_never_stops_talking_is_stopped_as_well(
    supervise: Supervise, trainer: FakeTrainer, job: Job
) -> None:
    async def script(trainer: FakeTrainer, request: Publish) -> None:
        while True:
            trainer.say(WorkDone(id=request.id, done=1, of=2))
            await asyncio.sleep(0)

    assert (await supervise(script, train_seconds=0.1).follow()).code == "timed_out"
    assert trainer.killed == [job.id]


async def test_who_is_told_to_follow_no_more_leaves_the_training_alone(
    supervise: Supervise, records: Records, trainer: FakeTrainer, job: Job
) -> None:
    following = asyncio.create_task(supervise(hangs).follow())
    await until(lambda: records.get(job.id).row["epoch"] == 1)
    following.cancel()
    await asyncio.wait([following])
    assert (following.cancelled(), trainer.killed) == (True, [])
    # Nobody listens in its place either: the next word is still there for whoever does.
    trainer.say(Cancelled(id=job.id))
    assert await trainer.event() == Cancelled(id=job.id)
