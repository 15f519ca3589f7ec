"""Answers that are remembered in SQL: the newest of an id, told once, bounded in number and time; on both databases."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from app.drift.records import CountRecords, Kept, summed
from app.telemetry.answer_log import Logged
from app.telemetry.slots import SLOT_SECONDS
from tests.app.jobs.conftest import fresh_url, kind, postgres, sqlite_url
from tests.fakes import line
from tests.table_fakes import flowers

__all__ = ["fresh_url", "kind", "postgres", "sqlite_url"]
LINE, FLOWERS = line(), flowers()
NOW = 1_780_000_000.123456
OFF = Kept("line", 1, 0, SLOT_SECONDS, "a", np.array([2.0, 8.0]))
OpenRecords = Callable[..., CountRecords]


@pytest.fixture
def open_records(fresh_url: str) -> Iterator[OpenRecords]:
    """Open the records as another process would."""
    made: list[CountRecords] = []

    def open_records(store: str = "here") -> CountRecords:
        made.append(CountRecords(fresh_url))
        made[-1].open(store)
        return made[-1]

    yield open_records
    for records in made:
        records.close()


def logged(request_id: str, *answers: float, answered: float = NOW, version: int = 1) -> Logged:
    return Logged(request_id, LINE, version, answered, np.array(answers)[:, None])


def ids(records: CountRecords, *asked: str) -> list[str]:
    return [one.request_id for request_id in asked for one in records.answered.find(request_id)]


def test_other_processes_of_the_store_find_what_was_answered(open_records: OpenRecords) -> None:
    open_records().answered.save([logged("a", 0.1, 1e300, version=7)])
    [found] = open_records().answered.find("a")
    assert (found.pattern, found.version, found.answered, found.is_told) == ("line", 7, NOW, False)
    assert found.said.tolist() == [[0.1], [1e300]]
    assert open_records("elsewhere").answered.find("a") == []


def test_of_labels_the_most_probable_is_remembered(open_records: OpenRecords) -> None:
    records = open_records()
    probabilities = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]])
    records.answered.save([Logged("a", FLOWERS, 1, NOW, probabilities)])
    assert records.answered.find("a")[0].said.tolist() == [[2], [0]]


def test_an_id_is_that_of_the_newest_answer_of_each_pattern(open_records: OpenRecords) -> None:
    one, other = open_records(), open_records()
    one.answered.save([logged("a", 2, answered=NOW + 2), logged("a", 1, answered=NOW + 1)])
    other.answered.save([logged("a", 0), Logged("a", replace(LINE, pattern="other"), 1, NOW, np.array([[9.0]]))])
    found = {found.pattern: found.said.tolist() for found in one.answered.find("a")}
    assert found == {"line": [[2]], "other": [[9]]}


def test_outcomes_are_added_once_however_many_tell_them(open_records: OpenRecords) -> None:
    several = [open_records() for _ in range(4)]
    several[0].answered.save([logged("a", 1, 2)])
    [found] = several[0].answered.find("a")
    with ThreadPoolExecutor() as threads:
        told = list(
            threads.map(lambda pair: pair[1].tell(found, OFF._replace(writer=str(pair[0]))), enumerate(several))
        )
    assert sorted(told) == [False, False, False, True]
    assert summed(several[1].outcomes.since(0)).tolist() == [2, 8]
    [found] = several[2].answered.find("a")
    assert (found.is_told, found.said.shape) == (True, (0, 1))


def test_an_answer_that_came_later_with_the_same_id_can_be_told_again(open_records: OpenRecords) -> None:
    records = open_records()
    records.answered.save([logged("a", 1)])
    [first] = records.answered.find("a")
    records.answered.save([logged("a", 1, answered=NOW + 1)])
    assert not records.tell(first, OFF)
    assert records.tell(records.answered.find("a")[0], OFF)


def test_all_but_the_newest_are_forgotten(open_records: OpenRecords) -> None:
    records, elsewhere = open_records(), open_records("elsewhere")
    elsewhere.answered.save([logged("a", 1)])
    records.answered.save([logged(name, 1, answered=NOW + place) for place, name in enumerate("abcde")])
    records.answered.prune(5)
    assert ids(records, *"abcde") == [*"abcde"]
    records.answered.prune(2)
    assert ids(records, *"abcde") == [*"de"]
    assert ids(elsewhere, "a") == ["a"]


def test_what_is_older_than_thirty_days_is_forgotten(open_records: OpenRecords) -> None:
    records = open_records()
    records.answered.save([logged("a", 1), logged("b", 1, answered=NOW + 2)])
    records.fold(NOW + 30 * 86400 + 1)
    assert ids(records, "a", "b") == ["b"]
