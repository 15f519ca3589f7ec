"""Following a bucket: a fault is told, outlived, and told again only when it is another one."""

import asyncio
import logging
from collections.abc import Callable

import pytest
from prometheus_client import REGISTRY

from app.following import Following
from models_store.errors import BucketUnavailable, DiskFull

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scripted:
    """Pulls as it is told to, one step after another, and then goes on without a fault."""

    def __init__(self, *faults: Exception | None) -> None:
        self.faults = list(faults)
        self.over = asyncio.Event()

    def pull(self) -> None:
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(2000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen within 10 s")


async def test_faults_are_told_and_outlived(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="patterns.bucket")
    full, away = DiskFull(), BucketUnavailable("Timeout")
    scripted = Scripted(None, full, full, ValueError(), away, away)
    following = Following([scripted], poll_seconds=0.01)
    assert following.to_json()["reachable"] is False
    task = asyncio.create_task(following.follow())
    await until(lambda: not scripted.faults)
    await until(lambda: following.to_json()["reachable"] is True)
    task.cancel()
    await asyncio.wait([task])
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the bucket answers", "not pulled for now", "bug", "the bucket is away", "the bucket answers"]
    assert REGISTRY.get_sample_value("patterns_bucket_reachable") == 1


async def test_a_bucket_that_is_away_says_why() -> None:
    following = Following([Scripted(*[BucketUnavailable("Timeout")] * 1000)], poll_seconds=0.01)
    task = asyncio.create_task(following.follow())
    await until(lambda: following.to_json().get("reason") == str(BucketUnavailable("Timeout")))
    task.cancel()
    await asyncio.wait([task])
    assert REGISTRY.get_sample_value("patterns_bucket_reachable") == 0
