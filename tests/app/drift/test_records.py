"""Counts in SQL: replaced by their writer, added over writers, folded into hours and days; on both databases alike."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from app.drift.records import ALL, DAY, FORGOTTEN_AFTER, HOUR, CountRecords, Counts, Kept, summed
from app.telemetry.slots import SLOT_SECONDS
from tests.app.jobs.conftest import fresh_url, kind, postgres, sqlite_url

__all__ = ["fresh_url", "kind", "postgres", "sqlite_url"]
# A midnight.
NOW = 20_000 * DAY
OpenRecords = Callable[[str], Counts]


@pytest.fixture
def open_records(fresh_url: str) -> Iterator[OpenRecords]:
    """Open the records as another process would."""
    made: list[CountRecords] = []

    def open_records(store: str = "here") -> Counts:
        made.append(CountRecords(fresh_url))
        made[-1].open(store)
        return made[-1].asked

    yield open_records
    for records in made:
        records.close()


def kept(began: int, *counts: float, writer: str = "a", seconds: int = SLOT_SECONDS, version: int = 1) -> Kept:
    return Kept("line", version, began, seconds, writer, np.array(counts))


def total(records: Counts, since: float = 0, version: int = 1) -> list[float]:
    found = records.since(since, pattern="line", version=version)
    return summed(found).tolist() if found else []


def spans(records: Counts) -> list[tuple[int, int, str]]:
    return [(one.began, one.seconds, one.writer) for one in records.since(0)]


def test_a_writer_replaces_what_it_saved_and_all_are_added(open_records: OpenRecords) -> None:
    one, other = open_records("here"), open_records("here")
    one.save([kept(NOW, 1, 2)])
    one.save([kept(NOW, 3, 4)])
    other.save([kept(NOW, 10, 20, writer="b")])
    assert total(one) == total(other) == [13, 24]


def test_versions_and_stores_are_kept_apart(open_records: OpenRecords) -> None:
    records = open_records("here")
    records.save([kept(NOW, 1), kept(NOW, 5, version=2)])
    assert (total(records), total(records, version=2)) == ([1], [5])
    assert total(open_records("elsewhere")) == []


def test_a_window_has_what_reaches_into_it(open_records: OpenRecords) -> None:
    records = open_records("here")
    records.save([kept(NOW - HOUR, 1), kept(NOW - SLOT_SECONDS, 2), kept(NOW, 4)])
    assert total(records, NOW - 1) == [6]
    assert total(records, NOW) == [4]


def test_old_slots_become_hours_and_days_of_all_writers_and_are_forgotten(open_records: OpenRecords) -> None:
    records = open_records("here")
    began = NOW - 4 * HOUR
    records.save([kept(began, 1), kept(began + SLOT_SECONDS, 2), kept(began, 4, writer="b"), kept(NOW, 8)])
    records.fold(NOW)
    assert spans(records) == [(began, HOUR, ALL), (NOW, SLOT_SECONDS, "a")]
    assert total(records) == [15]
    records.fold(NOW + 3 * DAY)
    assert spans(records) == [(NOW - DAY, DAY, ALL), (NOW, DAY, ALL)]
    assert total(records) == [15]
    records.fold(NOW + FORGOTTEN_AFTER + DAY)
    assert total(records) == [8]


def test_what_comes_late_is_added_to_its_hour(open_records: OpenRecords) -> None:
    records = open_records("here")
    began = NOW - 4 * HOUR
    for writer in ("a", "b"):
        records.save([kept(began, 1, writer=writer)])
        records.fold(NOW)
    assert spans(records) == [(began, HOUR, ALL)]
    assert total(records) == [2]


def test_folding_twice_changes_nothing(open_records: OpenRecords) -> None:
    one, other = open_records("here"), open_records("here")
    one.save([kept(NOW - 4 * HOUR, 1)])
    one.fold(NOW)
    other.fold(NOW)
    assert total(one) == [1]


def test_what_is_added_is_added_to_what_the_writer_has(open_records: OpenRecords) -> None:
    records = open_records("here")
    for _ in range(3):
        records.add(kept(NOW, 1, 2))
    assert total(records) == [3, 6]
    assert spans(records) == [(NOW, SLOT_SECONDS, "a")]
