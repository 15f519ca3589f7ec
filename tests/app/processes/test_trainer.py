"""The trainer's process from outside: lines in and out, what it inherits, how it dies, how it is replaced.

In place of the worker runs a few lines of Python that do as they are told.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.processes.trainer import PASSED_ON, Trainer, TrainerDied
from tests.app.jobs.conftest import until

pytestmark = pytest.mark.anyio

# "say": raw text · "tell": about itself · "spawn": a child that outlives it · "die"
WORKER = """
import json, os, signal, subprocess, sys

def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()

for line in sys.stdin:
    asked = json.loads(line)
    if "say" in asked:
        say(asked["say"])
    elif "tell" in asked:
        told = {"pid": os.getpid(), "session": os.getsid(0), "group": os.getpgid(0), "environment": dict(os.environ)}
        say(json.dumps(told) + "\\n")
    elif "spawn" in asked:
        child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
        say(json.dumps({"child": child.pid}) + "\\n")
    elif "die" in asked:
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        say(json.dumps({"asked": asked}) + "\\n")
"""


@pytest.fixture(autouse=True)
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m training.worker` finds this one, because it is started in its directory."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("")
    (tmp_path / "training" / "worker.py").write_text(WORKER)
    monkeypatch.setattr("app.processes.trainer.PROJECT", tmp_path)


@pytest.fixture
async def trainer() -> AsyncIterator[Trainer]:
    trainer = Trainer(memory_mb=123)
    yield trainer
    await trainer.stop()


async def told(trainer: Trainer, **request: object) -> dict[str, Any]:
    await trainer.submit(request)
    return await trainer.event()


async def pid(trainer: Trainer) -> int:
    number: int = (await told(trainer, tell=True))["pid"]
    return number


def is_alive(process: int) -> bool:
    """Neither gone nor merely not buried yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter if it goes between opening and reading
        return False


# -- lines ---------------------------------------------------------------------------------------------------------


async def test_requests_and_cancellations_arrive_as_they_were_sent(trainer: Trainer) -> None:
    assert await told(trainer, id="1", spec={"name": "π"}) == {"asked": {"id": "1", "spec": {"name": "π"}}}
    await trainer.cancel("1")
    assert await trainer.event() == {"asked": {"cancel": "1"}}


async def test_events_come_in_order_however_they_were_written(trainer: Trainer) -> None:
    await trainer.submit({"say": '{"event": 1}\n{"event": 2}\n{"ev'})
    await trainer.submit({"say": 'ent": 3}\n'})
    assert [await trainer.event() for _ in range(3)] == [{"event": 1}, {"event": 2}, {"event": 3}]


async def test_half_a_line_is_waited_for_and_not_lost_by_who_waits_no_longer(trainer: Trainer) -> None:
    await trainer.submit({"say": '{"event": 1}\n{"event":'})
    assert await trainer.event() == {"event": 1}
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trainer.event(), 0.02)
    await trainer.submit({"say": " 2}\n"})
    assert await trainer.event() == {"event": 2}


async def test_a_line_may_be_long(trainer: Trainer) -> None:
    card = "x" * (2 << 20)
    assert await told(trainer, card=card) == {"asked": {"card": card}}


# -- its death -----------------------------------------------------------------------------------------------------


async def test_a_killed_process_says_no_more_and_what_it_ended_with(trainer: Trainer) -> None:
    process = await pid(trainer)
    os.kill(process, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(TrainerDied) as died:
            await trainer.event()
        assert died.value.status == -9


async def test_what_it_said_before_its_death_is_heard_but_not_half_a_line(trainer: Trainer) -> None:
    await trainer.submit({"say": '{"event": 1}\n{"event": 2'})
    await trainer.submit({"die": True})
    assert await trainer.event() == {"event": 1}
    with pytest.raises(TrainerDied, match="ended with -9"):
        await trainer.event()


async def test_a_request_to_a_dead_process_is_answered_by_its_death(trainer: Trainer) -> None:
    await trainer.submit({"die": True})
    with pytest.raises(TrainerDied):
        await trainer.event()
    await trainer.cancel("1")
    with pytest.raises(TrainerDied):
        await trainer.event()


async def test_after_a_death_the_next_training_has_a_process_of_its_own(trainer: Trainer) -> None:
    first = await pid(trainer)
    os.kill(first, signal.SIGKILL)
    with pytest.raises(TrainerDied):
        await trainer.event()
    second = await pid(trainer)
    assert (first != second, is_alive(first), is_alive(second)) == (True, False, True)


@pytest.mark.parametrize("ask", ["event", "cancel"])
async def test_before_it_is_started_there_is_nobody_to_ask(trainer: Trainer, ask: str) -> None:
    with pytest.raises(TrainerDied) as died:
        await (trainer.event() if ask == "event" else trainer.cancel("1"))
    assert died.value.status is None


# -- what it inherits ----------------------------------------------------------------------------------------------


async def test_its_environment_holds_no_keys_and_no_addresses(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATTERNS_ADMIN_KEY", "secret")
    monkeypatch.setenv("PATTERNS_DATABASE_URL", "postgresql://somebody:secret@nowhere/jobs")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environment = (await told(trainer, tell=True))["environment"]
    ours = {name: environment.pop(name) for name in list(environment) if name.startswith("PATTERNS_TRAINER_")}
    assert environment == {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    assert ours["PATTERNS_TRAINER_MEMORY_MB"] == "123"
    assert "secret" not in str(environment | ours)


async def test_it_leads_a_session_of_its_own(trainer: Trainer) -> None:
    told_of = await told(trainer, tell=True)
    assert told_of["session"] == told_of["group"] == told_of["pid"] != os.getpid()


# -- starting and stopping -----------------------------------------------------------------------------------------


async def test_it_is_started_once_and_used_again(trainer: Trainer) -> None:
    await trainer.start()
    await trainer.start()
    assert len({await pid(trainer) for _ in range(3)}) == 1


async def test_a_process_that_has_done_enough_is_replaced(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.processes.trainer.MOST_TRAININGS", 2)
    processes = [await pid(trainer) for _ in range(5)]
    assert [processes.index(process) for process in processes] == [0, 0, 2, 2, 4]
    assert [is_alive(process) for process in processes[::2]] == [False, False, True]


async def test_stopping_kills_it_and_whatever_it_started(trainer: Trainer) -> None:
    child = (await told(trainer, spawn=True))["child"]
    process = await pid(trainer)
    assert is_alive(child)
    await trainer.stop()
    assert not is_alive(process)
    await until(lambda: not is_alive(child))


async def test_who_listens_while_it_is_stopped_hears_of_its_death(trainer: Trainer) -> None:
    await trainer.start()
    listening = asyncio.ensure_future(trainer.event())
    await asyncio.sleep(0)
    await trainer.stop()
    with pytest.raises(TrainerDied):
        await listening


async def test_stopping_what_is_not_there_or_dead_already_does_nothing(trainer: Trainer) -> None:
    await trainer.stop()
    await trainer.submit({"die": True})
    with pytest.raises(TrainerDied):
        await trainer.event()
    await trainer.stop()
    await trainer.stop()
    assert await told(trainer, id="1") == {"asked": {"id": "1"}}
