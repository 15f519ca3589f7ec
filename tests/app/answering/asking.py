"""Questions put to the way from a body to its answer, without a body."""

from dataclasses import dataclass
from typing import Any, cast

from app.answering.admission import Admission
from app.answering.answer import Answering
from app.answering.batching import Batcher
from app.answering.registry import Served
from app.telemetry.statistics import Counters
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.storage.store import Release
from models_store.tables.table import Raw


@dataclass(frozen=True, eq=False)
class Asked:
    rows: Raw
    as_it_was: Raw | None = None
    is_light: bool = False

    @property
    def asked(self) -> Raw:
        return self.rows if self.as_it_was is None else self.as_it_was


def served(bundle: Bundle, version: int = 1) -> Served:
    """Return the bundle as the registry keeps it, with counters of its own."""
    return Served.of(Release(version, bundle), Counters())


class Asker:
    """Asks for the answers to rows that have been read, on the event loop."""

    def __init__(self, answer_seconds: float = 30) -> None:
        nothing = cast(Any, None)  # what only handlers of dialects use
        self._admission = Admission(answer_seconds)
        self._answering = Answering(nothing, nothing, nothing, Batcher(), self._admission, nothing, nothing)

    async def predict(self, release: Served, rows: Raw, as_it_was: Raw | None = None, cost: int = 0) -> Array:
        """Return float64 (n_rows, n_outputs); `as_it_was` is what the rows were before they were changed."""
        question = Asked(rows, as_it_was, is_light=True)
        return await self._answering.answer("", release, cost, lambda: question, lambda _, answers: answers)

    def close(self) -> None:
        self._admission.close()
