"""Counts of this process in slots of some minutes, on their way into the database: see app/drift/watch.py."""

import threading
import time
import uuid
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from models_store.arrays import Array

# Seconds that are counted together; a window begins at a multiple of them.
SLOT_SECONDS = 300


@dataclass(slots=True)
class Slot:
    """The counts of SLOT_SECONDS, from a moment on; it is changed by the event loop alone."""

    began: int
    """Seconds since 1970, a multiple of SLOT_SECONDS."""
    counts: Array
    """float64 (n,), sums of what was counted."""
    is_saved: bool = False


class Slots:
    """What this process has counted of one thing. Only the event loop changes it."""

    def __init__(self, n: int, clock: Callable[[], float] = time.time) -> None:
        self._n = n
        self._clock = clock
        self.writer = uuid.uuid4().hex
        """What tells these counts from those of the same thing in other processes."""
        self.slots: dict[int, Slot] = {}

    @property
    def has_unsaved(self) -> bool:
        return any(not slot.is_saved for slot in self.slots.values())

    def tick(self) -> None:
        """Bring the slots up to date."""

    def under_way(self) -> Array:
        """Return the counts of the slot that is under way, float64 (n,), to be added to; it is unsaved from now on."""
        began = int(self._clock()) // SLOT_SECONDS * SLOT_SECONDS
        slot = self.slots.get(began)
        if slot is None:
            slot = self.slots[began] = Slot(began, np.zeros(self._n))
        slot.is_saved = False
        return slot.counts


Key = TypeVar("Key", bound=Hashable)
Counted = TypeVar("Counted", bound=Slots)


class Shelved(Generic[Key, Counted]):
    """Counts by their key: each as long as somebody else holds it, and until what it counted is saved."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: WeakValueDictionary[Key, Counted] = WeakValueDictionary()
        self._unsaved: dict[Key, Counted] = {}

    def of(self, key: Key, make: Callable[[], Counted]) -> Counted:
        """Return the counts of a key, made now if there are none. Any thread may ask."""
        with self._lock:
            found = self._held.get(key) or self._unsaved.get(key) or make()
            self._held[key] = found
        return found

    def tick(self) -> dict[Key, Counted]:
        """Bring all up to date, and return those that have slots to save; call it from the event loop."""
        with self._lock:
            all_of_them = {**self._unsaved, **dict(self._held.items())}
        for one in all_of_them.values():
            one.tick()
        unsaved = {key: one for key, one in all_of_them.items() if one.has_unsaved}
        with self._lock:
            self._unsaved = unsaved
        return unsaved
