"""What was decided on versions beside a champion is read once, and not remembered without end."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.answering.challengers import Challengers
from models_store.bundle import Description
from models_store.card import Promotion
from models_store.storage.store import Store
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line


class Counting(Store):
    """A store that notes which versions were read."""

    read: list[int]

    def describe(self, pattern: str, version: int) -> Description:
        self.read.append(version)
        return super().describe(pattern, version)


@pytest.fixture
def store(tmp_path: Path) -> Counting:
    """Version 1, and three that were compared with it and not promoted."""
    store = Counting(tmp_path / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    store.publish(line())
    known = Promotion(champion=1, promoted=False, outcome="worse", why="Not promoted.", tolerance=0)
    for _ in range(3):
        bundle = line()
        store.publish(replace(bundle, card=bundle.card.model_copy(update={"promotion": known})), promote=False)
    store.read = []
    return store


def versions(challengers: Challengers, store: Store) -> list[int]:
    return [told["version"] for told in challengers.of("line", 1, store.versions("line"))]


def test_each_version_is_read_once(store: Counting) -> None:
    challengers = Challengers(store)
    assert [versions(challengers, store) for _ in range(2)] == [[4, 3, 2]] * 2
    assert store.read == [4, 3, 2]


def test_what_is_too_much_to_remember_is_read_again(store: Counting) -> None:
    challengers = Challengers(store, most_remembered=2)
    assert [versions(challengers, store) for _ in range(2)] == [[4, 3, 2]] * 2
    assert store.read == [4, 3, 2] * 2


def test_a_damaged_version_tells_nothing(store: Counting) -> None:
    (store.root / "line" / "3" / "bundle.json").write_bytes(b"scratched")
    assert versions(Challengers(store), store) == [4, 2]
