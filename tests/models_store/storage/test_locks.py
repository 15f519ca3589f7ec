"""Locks: one holder at a time, waited for as long as is said; directories are also held together."""

import threading
import time
from pathlib import Path

import pytest

from models_store.errors import StoreBusy
from models_store.storage.locks import FileLock, exclusively, shared, unheld


def test_a_lock_that_another_keeps_is_given_up_on_and_can_be_had_afterwards(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with exclusively(lock), pytest.raises(StoreBusy, match=r"for 0\.1 s; nothing was changed"), exclusively(lock, 0.1):
        raise AssertionError("two have it")
    with exclusively(lock, 0):
        pass


def test_a_lock_that_is_let_go_in_time_is_had(tmp_path: Path) -> None:
    lock, held, had = tmp_path / ".lock", threading.Event(), []

    def hold() -> None:
        with exclusively(lock):
            held.set()
            time.sleep(0.1)
            had.append("first")

    holding = threading.Thread(target=hold)
    holding.start()
    assert held.wait(10)
    with exclusively(lock, 30):
        had.append("second")
    holding.join()
    assert had == ["first", "second"]


def test_a_lock_is_held_by_one_until_it_lets_go(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert [first.acquire(), second.acquire(), first.acquire()] == [True, False, True]
    first.release()
    assert [second.acquire(), first.acquire()] == [True, False]
    second.release()


def test_a_directory_is_held_by_many_and_unheld_once_all_let_go(tmp_path: Path) -> None:
    with shared(tmp_path), shared(tmp_path), unheld(tmp_path) as is_free:
        assert not is_free
    with unheld(tmp_path) as is_free, unheld(tmp_path) as is_free_for_another:
        assert (is_free, is_free_for_another) == (True, False)
