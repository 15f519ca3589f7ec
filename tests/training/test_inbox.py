"""The trainer's inbox: requests in order, cancellations at once, and an end after the last line or a wrong one."""

import contextlib
from pathlib import Path

import pytest

from training.inbox import Inbox
from training.messages import Cancel, Finish, Measure, to_line


def measure(name: str) -> Measure:
    return Measure(id=name, recipe={}, device="cpu", root=Path("store"))


def test_requests_are_kept_in_order_and_cancellations_seen_at_once() -> None:
    inbox = Inbox()
    inbox.read(map(to_line, [measure("a"), measure("b"), Cancel(id="b")]))
    assert inbox.cancelled == {"b"}
    assert [inbox.requests.get() for _ in range(3)] == [measure("a"), measure("b"), None]


def test_a_search_that_is_to_finish_is_known_at_once() -> None:
    inbox = Inbox()
    inbox.read(map(to_line, [measure("a"), Finish(id="a", why="time_limit"), Finish(id="a")]))
    assert (inbox.finishing, inbox.cancelled) == ({"a": "time_limit"}, set())


@pytest.mark.parametrize("line", ["", "{", "nonsense", '{"request": "unheard-of"}', '{"id": "a", "recipe": {}}'])
def test_a_line_that_makes_no_sense_does_not_keep_the_trainer_from_ending(line: str) -> None:
    inbox = Inbox()
    with contextlib.suppress(ValueError):
        inbox.read([f"{line}\n"])
    assert inbox.requests.qsize() == 1
    assert inbox.requests.get() is None
