"""The lock of a store is waited for, but not for ever."""

import threading
import time
from pathlib import Path

import pytest

from models_store.errors import StoreBusy
from models_store.storage.disk import exclusively


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
