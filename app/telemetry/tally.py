"""What each version is asked and answers, counted in this process in the histograms of its training rows.

A call of the network leaves references to its rows and answers behind, those of many requests at once; some thousand
cells at a time, they are counted together. So are rows that are refused because they are outside what training saw.
Where more is asked than can be counted at a small cost, a part is counted:

    of a request of more than MOST_OF_A_REQUEST rows, so many, spread over it
    of all requests, MOST_CELLS of rows × columns for each version and tick
"""

import asyncio
import time
from collections.abc import Callable

import numpy as np

from app.telemetry.slots import Shelved, Slots
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.profiles.counting import Counting
from models_store.tables.table import Raw, Table, joined, places_spread, take

# Seconds between two ticks: what is counted is saved, and the next MOST_CELLS may be counted.
TICK_SECONDS = 2.0
# Requests that share a call have no more rows together: MOST_ROWS_ON_LOOP of app/answering/plan.py.
MOST_OF_A_REQUEST = 1024
# At 0.05 to 0.1 µs each, they take up to 2 % of a core.
MOST_CELLS = 400_000
# Cells of the texts of one request: 10 ms of the event loop. A request with more is asked, and not counted. Requests
# that share a call have fewer together: MOST_WORK_ON_LOOP, by WORK_OF_CHARACTER.
MOST_OF_TEXTS = 100_000
# Cells that are counted at once, in half a millisecond; and rows, where there are few columns.
CELLS_AT_ONCE, ROWS_AT_ONCE = 4096, 512
# To find the known words of a text takes as long as a cell for so many characters.
CHARACTERS_A_CELL = 2


class Tally(Slots):
    """The counts of one version in this process: rows asked, rows counted, and then the cells; whole numbers."""

    def __init__(self, counting: Counting, clock: Callable[[], float] = time.time) -> None:
        super().__init__(2 + counting.n_cells, clock)
        self._counting = counting
        self._n_columns = len(counting.inputs) + 1
        self._texts = [histogram.name for histogram in counting.inputs if histogram.kind == "text"]
        self._at_once = max(1, min(ROWS_AT_ONCE, CELLS_AT_ONCE // self._n_columns))
        self._waiting: list[tuple[Raw, Array | None]] = []
        self._n_waiting = 0
        self._is_due = False
        self._left = MOST_CELLS
        self._asked = 0

    def note(self, rows: Raw, answers: Array | None) -> None:
        """Take note of rows, and of their answers, float64 (n_rows, n_answers), if they were not refused.

        They are those of one request, or of several that share a call.
        """
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
        counts = self.under_way()
        counts[0] += self._asked
        counts[1] += self._n_waiting
        waiting, self._waiting = self._waiting, []
        self._asked = self._n_waiting = 0
        if waiting:
            answered = [answers for _, answers in waiting if answers is not None]
            answers = np.concatenate(answered) if answered else None
            counts[2:] += self._counting.count(joined([rows for rows, _ in waiting]), answers)

    @property
    def n_cells(self) -> int:
        return self._counting.n_cells

    def tick(self) -> None:
        """Count what waits, and let the next MOST_CELLS be counted."""
        self.count()
        self._left = MOST_CELLS

    def _cost_of_texts(self, rows: Raw) -> int:
        if not (self._texts and isinstance(rows, Table)):
            return 0
        return sum(len(text) for name in self._texts for text in rows.columns[name] if text) // CHARACTERS_A_CELL


class Tallies:
    """The tallies of all versions that are loaded. One for the app: each worker process counts for itself."""

    def __init__(self, *, are_on: bool = True) -> None:
        self._are_on = are_on
        self._shelved: Shelved[tuple[str, int], Tally] = Shelved()

    def of(self, version: int, bundle: Bundle) -> Tally | None:
        """Return the tally of a version; None if it has no histograms, or nothing is counted. Any thread may ask."""
        counting = bundle.counting if self._are_on else None
        if counting is None:
            return None
        return self._shelved.of((bundle.pattern, version), lambda: Tally(counting))

    def tick(self) -> dict[tuple[str, int], Tally]:
        """Count what waits, and return the tallies that have slots to save; call it from the event loop."""
        return self._shelved.tick()


def _spread(rows: Raw, answers: Array | None) -> tuple[Raw, Array | None]:
    """Return MOST_OF_A_REQUEST rows spread evenly, and their answers: copies, so that the others are let go."""
    places = places_spread(len(rows), MOST_OF_A_REQUEST)
    return take(rows, places), None if answers is None else answers[places]
