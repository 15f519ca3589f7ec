"""Job records on both databases, and the jobs on top of them with a fake trainer and short waits."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from app.jobs.jobs import Jobs
from app.jobs.patience import Patience
from app.jobs.records import Records
from app.settings import Settings
from models_store.storage.store import Store
from tests.app.jobs.fakes import FakeTrainer
from tests.app.jobs.postgres import Postgres, running
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork

OpenRecords = Callable[..., Records]
Outage = Callable[[], AbstractContextManager[None]]
MakeJobs = Callable[..., Jobs]
# Five milliseconds apart, 20 s in all: far longer than anything here takes.
LOOKS = 4000


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(LOOKS):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen within 20 s")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


SHORT = Patience(
    queue_poll_seconds=0.1,
    leader_poll_seconds=0.02,
    supervision_poll_seconds=0.02,
    cancel_seconds=30,
    listener_poll_seconds=0.01,
)
# With trainings that hang and do not stop when asked to.
IMPATIENT = replace(SHORT, cancel_seconds=0.1)
HOUR = 3600


# -- databases -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'jobs.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def url(kind: str, sqlite_url: str, request: pytest.FixtureRequest) -> str:
    """The address of a database; all tests share the one on PostgreSQL, as servers may."""
    if kind == "sqlite":
        return sqlite_url
    server: Postgres = request.getfixturevalue("postgres")
    return server.shared


@pytest.fixture
def fresh_url(kind: str, sqlite_url: str, request: pytest.FixtureRequest) -> str:
    """The address of a database that nobody has opened yet."""
    if kind == "sqlite":
        return sqlite_url
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture
def open_records(url: str) -> Iterator[OpenRecords]:
    """Open the records as another process would; stores of the same name are the same within a test."""
    made: list[Records] = []
    test = uuid.uuid4().hex[:8]

    def open_records(store: str = "here", queue: int = 16, kept: int = 1000) -> Records:
        made.append(Records(url, queue, kept=kept))
        made[-1].open(f"{store}-{test}")
        return made[-1]

    yield open_records
    for records in made:
        records.close()


@pytest.fixture
def records(open_records: OpenRecords) -> Records:
    return open_records()


@pytest.fixture
def outage(kind: str, url: str, request: pytest.FixtureRequest) -> Outage:
    """A context in which nothing can be read from the database or written to it."""
    if kind == "sqlite":
        return lambda: without_table(url.removeprefix("sqlite:///"))
    server: Postgres = request.getfixturevalue("postgres")
    return lambda: server.unreachable(url)


@contextmanager
def without_table(path: str) -> Iterator[None]:
    rename = "ALTER TABLE {} RENAME TO {}"
    _execute(path, rename.format("pattern_jobs", "pattern_jobs_away"))
    try:
        yield
    finally:
        _execute(path, rename.format("pattern_jobs_away", "pattern_jobs"))


def _execute(path: str, statement: str) -> None:
    connection = sqlite3.connect(path, timeout=10)
    with connection:
        connection.execute(statement)
    connection.close()


# -- jobs on top of them -------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", LinearNetwork.from_bytes, disk=HastyDisk())


@pytest.fixture
def settings(store: Store) -> Settings:
    store.root.mkdir()
    return Settings(_env_file=None, store=store.root, trainer_warm=False)


@pytest.fixture
async def trainer(store: Store) -> AsyncIterator[FakeTrainer]:
    trainer = FakeTrainer(store)
    yield trainer
    await trainer.stop()


@pytest.fixture
async def make_jobs(settings: Settings, store: Store, trainer: FakeTrainer) -> AsyncIterator[MakeJobs]:
    """Make jobs as another server process on the same store would; keywords are changes to the settings."""
    made: list[Jobs] = []

    def make_jobs(trainer: FakeTrainer = trainer, patience: Patience = SHORT, **changes: object) -> Jobs:
        changed = settings.model_copy(update=changes)
        made.append(Jobs(Records(changed.jobs_url, changed.train_queue), store, trainer, changed, patience))
        return made[-1]

    yield make_jobs
    # A leader that was cancelled may have left a thread behind that still waits for the database.
    await asyncio.get_running_loop().shutdown_default_executor()
    for jobs in made:
        jobs.close()
