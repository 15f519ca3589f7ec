"""The trainer's process from outside: lines in and out, what it inherits, how it dies, how it is replaced.

Instead of the worker a few lines of Python run, which do what a request's recipe says.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.processes import spawn
from app.processes.limits import OOM_SCORE
from app.processes.spawn import PASSED_ON
from app.processes.trainer import MOST_TRAININGS, RayUnavailable, Trainer, TrainerDied, check_ray
from tests.app.jobs.conftest import until
from training.messages import Event, Failed, Measure, Started, to_line

pytestmark = pytest.mark.anyio

# "say": raw text · "tell": about itself · "spawn": a child that outlives it · "die" · else: the request itself
WORKER = """
import json, os, resource, signal, subprocess, sys
from pathlib import Path

def run(messages, arguments):
    print("what a library prints")
    os.write(1, b"and what its C code prints")

    def say(text):
        messages.write(text)
        messages.flush()

    def tell(told):
        say(json.dumps({"event": "failed", "id": "1", "code": "told", "message": json.dumps(told)}) + "\\n")

    for line in sys.stdin:
        request = json.loads(line)
        asked = request.get("recipe", {})
        if "say" in asked:
            say(asked["say"])
        elif "tell" in asked:
            tell({
                "pid": os.getpid(),
                "arguments": list(arguments),
                "session": os.getsid(0),
                "group": os.getpgid(0),
                "environment": dict(os.environ),
                "memory": resource.getrlimit(resource.RLIMIT_DATA),
                "core": resource.getrlimit(resource.RLIMIT_CORE),
                "niceness": os.getpriority(os.PRIO_PROCESS, 0),
                "oom_score": int(Path("/proc/self/oom_score_adj").read_text()),
            })
        elif "spawn" in asked:
            child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL)
            tell({"child": child.pid})
        elif "die" in asked:
            os.kill(os.getpid(), signal.SIGKILL)
        else:
            tell(request)
"""


@pytest.fixture(autouse=True)
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m app.processes training.worker` runs this one, because it is started in its directory."""
    (tmp_path / "app").symlink_to(spawn.PROJECT / "app")
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "__init__.py").write_text("")
    (tmp_path / "training" / "worker.py").write_text(WORKER)
    monkeypatch.setattr("app.processes.spawn.PROJECT", tmp_path)


@pytest.fixture
async def trainer() -> AsyncIterator[Trainer]:
    trainer = Trainer(memory_mb=123)
    yield trainer
    await trainer.stop()


def asking(**orders: Any) -> Measure:
    return Measure(id="1", recipe=orders, device="cpu", root=Path("store"))


async def told(trainer: Trainer, **orders: Any) -> dict[str, Any]:
    await trainer.submit(asking(**orders))
    return told_by(await trainer.event())


def told_by(event: Event) -> dict[str, Any]:
    assert isinstance(event, Failed)
    facts: dict[str, Any] = json.loads(event.message)
    return facts


def started(epochs: int) -> Started:
    return Started(id="1", epochs=epochs)


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
    request = {"request": "measure", "id": "1", "recipe": {"name": "π"}, "device": "cpu", "root": "store"}
    assert await told(trainer, name="π") == request
    await trainer.cancel("1")
    assert told_by(await trainer.event()) == {"request": "cancel", "id": "1"}


async def test_events_come_in_order_however_they_were_written(trainer: Trainer) -> None:
    lines = to_line(started(1)) + to_line(started(2)) + to_line(started(3))
    await trainer.submit(asking(say=lines[:-20]))
    await trainer.submit(asking(say=lines[-20:]))
    assert [await trainer.event() for _ in range(3)] == [started(1), started(2), started(3)]


async def test_half_a_line_is_waited_for_and_not_lost_by_who_waits_no_longer(trainer: Trainer) -> None:
    lines = to_line(started(1)) + to_line(started(2))
    await trainer.submit(asking(say=lines[:-20]))
    assert await trainer.event() == started(1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(trainer.event(), 0.02)
    await trainer.submit(asking(say=lines[-20:]))
    assert await trainer.event() == started(2)


async def test_a_line_may_be_long(trainer: Trainer) -> None:
    description = "x" * (2 << 20)
    assert (await told(trainer, description=description))["recipe"] == {"description": description}


@pytest.mark.parametrize("line", ["", "{", "nonsense", '{"event": "unheard-of"}', '{"event": "started", "id": "1"}'])
async def test_a_line_that_is_no_event_is_refused(trainer: Trainer, line: str) -> None:
    await trainer.submit(asking(say=f"{line}\n"))
    with pytest.raises(ValueError, match="validation error"):
        await trainer.event()


# -- its death -----------------------------------------------------------------------------------------------------


async def test_a_killed_process_says_no_more_and_what_it_ended_with(trainer: Trainer) -> None:
    process = await pid(trainer)
    os.kill(process, signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(TrainerDied) as died:
            await trainer.event()
        assert died.value.status == -9


async def test_what_it_said_before_its_death_is_heard_but_not_half_a_line(trainer: Trainer) -> None:
    await trainer.submit(asking(say=to_line(started(1)) + to_line(started(2))[:-1]))
    await trainer.submit(asking(die=True))
    assert await trainer.event() == started(1)
    with pytest.raises(TrainerDied, match="ended with -9"):
        await trainer.event()


async def test_a_request_to_a_dead_process_is_answered_by_its_death(trainer: Trainer) -> None:
    await trainer.submit(asking(die=True))
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
    assert environment == {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    assert "secret" not in str(environment)


async def test_it_has_limits_of_its_own(trainer: Trainer) -> None:
    told_of = await told(trainer, tell=True)
    assert (told_of["memory"], told_of["core"]) == ([123 << 20] * 2, [0, 0])
    assert told_of["niceness"] == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    assert told_of["oom_score"] == OOM_SCORE


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


async def test_a_search_counts_as_many_trainings(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.processes.trainer.TRAININGS_OF_A_SEARCH", MOST_TRAININGS - 1)
    process = await pid(trainer)
    assert (await told(trainer, tell=True, search={}))["pid"] == process
    assert await pid(trainer) != process


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
    await trainer.submit(asking(die=True))
    with pytest.raises(TrainerDied):
        await trainer.event()
    await trainer.stop()
    await trainer.stop()
    assert (await told(trainer, name="again"))["recipe"] == {"name": "again"}


# -- a Ray cluster -------------------------------------------------------------------------------------------------


async def test_the_address_of_a_cluster_is_handed_to_the_process() -> None:
    trainer = Trainer(memory_mb=123, ray="local")
    try:
        assert (await told(trainer, tell=True))["arguments"] == ["local"]
    finally:
        await trainer.stop()


def test_a_cluster_of_this_machine_alone_needs_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH", raising=False)
    check_ray("local")


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({}, "RAY_AUTH_TOKEN_PATH is not set; set it to the file with the token of the cluster"),
        ({"RAY_AUTH_TOKEN_PATH": "/nowhere"}, "a file that is not there, or cannot be read"),
    ],
)
def test_a_cluster_without_a_token_is_refused_at_start(
    variables: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RayUnavailable, match=reason):
        check_ray("auto")


def test_a_cluster_may_be_said_to_have_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    check_ray("ray://head:10001")


def test_a_missing_extra_is_named_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.processes.trainer.find_spec", lambda name: None)
    with pytest.raises(
        RayUnavailable, match=r"Ray is not installed here; `pip install 'pattern-server\[ray\]'` brings it"
    ):
        check_ray("auto")
