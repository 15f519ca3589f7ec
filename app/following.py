"""Following a bucket: what changes there is done here every second, and whether it answers is told."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Protocol

from app.telemetry import metrics
from models_store.errors import BucketUnavailable, PatternServerError

log = logging.getLogger("patterns.bucket")

POLL_SECONDS = 1.0


class Pulls(Protocol):
    """What follows a bucket when it is told to."""

    def pull(self) -> None: ...


class Following:
    """Those that follow a bucket, and whether it answered last. One for the app."""

    def __init__(self, followers: Sequence[Pulls], poll_seconds: float = POLL_SECONDS) -> None:
        self._followers = followers
        self._poll_seconds = poll_seconds
        self._trouble: str | None = "it has not been asked yet"
        self._since = datetime.now(UTC)
        self._fault = ""
        """The last fault of this machine that was logged."""

    def to_json(self) -> dict[str, object]:
        """Whether the bucket answers, since when that is so, and why it does not."""
        told = {"reachable": self._trouble is None, "since": self._since.isoformat(timespec="seconds")}
        return told if self._trouble is None else {**told, "reason": self._trouble}

    async def follow(self) -> None:
        """Follow the bucket until cancelled. Waits out faults of bucket and disk."""
        while True:
            for follower in self._followers:
                await self._pull(follower)
            await asyncio.sleep(self._poll_seconds)

    async def _pull(self, follower: Pulls) -> None:
        try:
            await asyncio.to_thread(follower.pull)
        except BucketUnavailable as error:
            self._note(str(error))
        except (PatternServerError, OSError) as error:
            if str(error) != self._fault:
                log.warning("not pulled for now", extra={"reason": str(error)})
            self._fault = str(error)
        except Exception:
            log.exception("bug")
        else:
            self._fault = ""
            self._note(None)

    def _note(self, trouble: str | None) -> None:
        metrics.BUCKET.set(trouble is None)
        if (trouble is None) != (self._trouble is None):
            self._since = datetime.now(UTC)
            if trouble is None:
                log.info("the bucket answers")
            else:
                log.warning("the bucket is away", extra={"reason": trouble})
        self._trouble = trouble
