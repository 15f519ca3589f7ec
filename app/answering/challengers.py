"""The versions that were compared with another one before they were promoted, or were not: the decisions on both cards.

The card of a version never changes, so that of a champion is told by the cards of its challengers.
"""

import contextlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from models_store.card import Promotion
from models_store.errors import PatternServerError
from models_store.storage.store import Store

# Decisions that are remembered, some hundred bytes each; of more, the least recently used is read again.
MOST_REMEMBERED = 10_000


class Challengers:
    """What is known of the versions of a store; each is read once, as long as it is among those asked for last."""

    def __init__(self, store: Store, most_remembered: int = MOST_REMEMBERED) -> None:
        self._store = store
        self._read = lru_cache(most_remembered)(self._promotion)

    def beside(self, pattern: str, version: int, versions: Sequence[int]) -> dict[str, list[dict[str, Any]]]:
        """Return what stands beside a card: `challengers`, as `of` tells them; nothing where there are none."""
        found = self.of(pattern, version, versions)
        return {"challengers": found} if found else {}

    def of(self, pattern: str, version: int, versions: Sequence[int]) -> list[dict[str, Any]]:
        """Return the decisions on those of `versions` that were compared with this one, as JSON; the newest first."""
        later = [number for number in reversed(versions) if number > version]
        decided = {number: self._known(pattern, number) for number in later}
        return [
            {"version": number, **found.model_dump(mode="json")}
            for number, found in decided.items()
            if found is not None and found.champion == version
        ]

    def _known(self, pattern: str, version: int) -> Promotion | None:
        with contextlib.suppress(PatternServerError):  # a damaged one tells nothing
            return self._read(pattern, version)
        return None

    def _promotion(self, pattern: str, version: int) -> Promotion | None:
        return self._store.describe(pattern, version).card.promotion
