"""What each version is asked and answers, counted in this process in the histograms of its training rows.

An answer leaves references to its rows behind; some thousand cells at a time, they are counted together. Where more is
asked than can be counted at a small cost, a part is counted:

    of a request of more than MOST_OF_A_REQUEST rows, so many, spread over it
    of all requests, MOST_CELLS of rows × columns for each version and tick
"""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import numpy as np

from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.profiles.counting import Counting
from models_store.tables.table import Raw, Table, joined, take

# Seconds that are counted together; a window begins at a multiple of them.
SLOT_SECONDS = 300
# Seconds between two ticks: what is counted is saved, and the next MOST_CELLS may be counted.
TICK_SECONDS = 2.0
MOST_OF_A_REQUEST = 1000
# At 0.05 to 0.1 µs each, they take up to 2 % of a core.
MOST_CELLS = 400_000
# Cells of the texts of one request: 10 ms of the event loop. A request with more is asked, and not counted.
MOST_OF_TEXTS = 100_000
# Cells that are counted at once, in half a millisecond; and rows, where there are few columns.
CELLS_AT_ONCE, ROWS_AT_ONCE = 4096, 512
# To find the known words of a text takes as long as a cell for so many characters.
CHARACTERS_A_CELL = 2


@dataclass(slots=True)
class Slot:
    """The counts of one version in SLOT_SECONDS, from a moment on; it is changed by the event loop alone."""

    began: int
    """Seconds since 1970, a multiple of SLOT_SECONDS."""
    counts: Array
    """Rows asked, rows counted, and then the cells: float64 (2 + n_cells,), whole numbers."""
    is_saved: bool = False


class Tally:
    """The counts of one version in this process. Only the event loop changes them."""

    def __init__(self, counting: Counting, clock: Callable[[], float] = time.time) -> None:
        self._counting = counting
        self._clock = clock
        self._n_columns = len(counting.inputs) + 1
        self._texts = [histogram.name for histogram in counting.inputs if histogram.kind == "text"]
        self._at_once = max(1, min(ROWS_AT_ONCE, CELLS_AT_ONCE // self._n_columns))
        self._waiting: list[tuple[Raw, Array]] = []
        self._n_waiting = 0
        self._is_due = False
        self._left = MOST_CELLS
        self._asked = 0
        self.writer = uuid.uuid4().hex
        """What tells the counts of this tally from those of others of the version, in other processes."""
        self.slots: dict[int, Slot] = {}

    def note(self, rows: Raw, answers: Array) -> None:
        """Take note of rows that were answered, and of their answers, float64 (n_rows, n_answers)."""
        n_rows = len(rows)
        self._asked += n_rows
        if self._left <= 0:
            return
        if n_rows > MOST_OF_A_REQUEST:
            rows, answers = _spread(rows, answers)
            n_rows = MOST_OF_A_REQUEST
        cost_of_texts = self._cost_of_texts(rows)
        if cost_of_texts > MOST_OF_TEXTS:
            return
        self._left -= n_rows * self._n_columns + cost_of_texts
        self._waiting.append((rows, answers))
        self._n_waiting += n_rows
        if self._n_waiting >= self._at_once and not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.count)  # so that nobody's answer waits for it

    def count(self) -> None:
        """Count the rows that wait."""
        self._is_due = False
        if not self._asked:
            return
        counts = self._slot().counts
        counts[0] += self._asked
        counts[1] += self._n_waiting
        waiting, self._waiting = self._waiting, []
        self._asked = self._n_waiting = 0
        if waiting:
            rows, answers = joined([rows for rows, _ in waiting]), np.concatenate([each for _, each in waiting])
            counts[2:] += self._counting.count(rows, answers)

    @property
    def n_cells(self) -> int:
        return self._counting.n_cells

    @property
    def has_unsaved(self) -> bool:
        return any(not slot.is_saved for slot in self.slots.values())

    def tick(self) -> None:
        """Count what waits, and let the next MOST_CELLS be counted."""
        self.count()
        self._left = MOST_CELLS

    def _slot(self) -> Slot:
        began = int(self._clock()) // SLOT_SECONDS * SLOT_SECONDS
        slot = self.slots.get(began)
        if slot is None:
            slot = self.slots[began] = Slot(began, np.zeros(2 + self._counting.n_cells))
        slot.is_saved = False
        return slot

    def _cost_of_texts(self, rows: Raw) -> int:
        if not (self._texts and isinstance(rows, Table)):
            return 0
        return sum(len(text) for name in self._texts for text in rows.columns[name] if text) // CHARACTERS_A_CELL


class Tallies:
    """The tallies of all versions that are loaded. One for the app: each worker process counts for itself."""

    def __init__(self, *, are_on: bool = True) -> None:
        self._are_on = are_on
        self._lock = threading.Lock()
        # A tally lives as long as its version is loaded, and until what it counted is saved.
        self._loaded: WeakValueDictionary[tuple[str, int], Tally] = WeakValueDictionary()
        self._unsaved: dict[tuple[str, int], Tally] = {}

    def of(self, version: int, bundle: Bundle) -> Tally | None:
        """Return the tally of a version; None if it has no histograms, or nothing is counted. Any thread may ask."""
        counting = bundle.counting if self._are_on else None
        if counting is None:
            return None
        key = bundle.pattern, version
        with self._lock:
            tally = self._loaded.get(key) or self._unsaved.get(key) or Tally(counting)
            self._loaded[key] = tally
        return tally

    def tick(self) -> dict[tuple[str, int], Tally]:
        """Count what waits, and return the tallies that have slots to save; call it from the event loop."""
        with self._lock:
            tallies = {**self._unsaved, **dict(self._loaded.items())}
        for tally in tallies.values():
            tally.tick()
        unsaved = {key: tally for key, tally in tallies.items() if tally.has_unsaved}
        with self._lock:
            self._unsaved = unsaved
        return unsaved


def _spread(rows: Raw, answers: Array) -> tuple[Raw, Array]:
    """Return MOST_OF_A_REQUEST rows spread evenly, and their answers: copies, so that the others are let go."""
    places = np.linspace(0, len(rows) - 1, MOST_OF_A_REQUEST).astype(np.int64)
    return take(rows, places), answers[places]
