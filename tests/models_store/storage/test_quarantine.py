"""Recovery: what is half written is swept up, and what is damaged is kept in quarantine, with its reason."""

from pathlib import Path

import pytest

from models_store.errors import (
    BundleUnreadable,
    NoGoodVersion,
)
from models_store.storage.store import Store
from tests.fakes import LinearNetwork, line
from tests.models_store.storage.lines import damage, hidden, publish, slope


def test_recovery_sweeps_what_was_left_half_written(store: Store) -> None:
    publish(store, 10)
    (store.root / ".tmp-torn").mkdir()
    (store.root / ".tmp-torn" / "bundle.json").write_bytes(b"{")
    (store.root / ".tmp-labels").write_bytes(b"{")
    assert store.recover() == []
    assert (hidden(store), store.versions("line")) == ([], [1])


def test_recovery_forgets_a_pattern_that_never_had_a_version(store: Store) -> None:
    publish(store, 10)
    (store.root / "other").mkdir()
    store.recover()
    assert store.patterns() == ["line"]


def test_recovery_quarantines_what_is_damaged_and_the_version_before_serves(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    (moved,) = store.recover()
    quarantine = store.root / ".quarantine"
    assert (
        quarantine / f"{moved}.reason.txt"
    ).read_text() == "golden.json does not have the size it was published with"
    assert (quarantine / moved / "golden.json").read_bytes() == b"scratched"
    assert (store.versions("line"), store.champion("line"), slope(store.load("line", 1))) == ([1], 1, 10)


def test_recovery_a_second_time_finds_nothing_to_do(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    store.recover()
    before = _tree(store.root)
    assert store.recover() == []
    assert _tree(store.root) == before


def test_a_pattern_without_a_good_version_is_still_there_to_be_trained_again(store: Store) -> None:
    publish(store, 10)
    damage(store, 1)
    store.recover()
    assert (store.patterns(), store.versions("line")) == (["line"], [])
    with pytest.raises(NoGoodVersion, match="train it again"):
        store.champion("line")
    assert store.publish(line(20)) == 2
    assert store.champion("line") == 2


def test_only_what_is_damaged_is_quarantined_on_request(store: Store) -> None:
    publish(store, 10, 20)
    damage(store, 2)
    store.quarantine_damaged("line", 1)
    store.quarantine_damaged("line", 2)
    assert (store.versions("line"), len(hidden(store))) == ([1], 1)


def test_what_cannot_be_read_is_left_where_it_is(store: Store) -> None:
    publish(store, 10)
    (store.root / "line" / "2").write_bytes(b"not a directory")
    assert store.recover() == []
    assert store.versions("line") == [1]
    assert (store.root / "line" / "2").read_bytes() == b"not a directory"


def test_recovery_goes_on_where_one_pattern_cannot_be_read(store: Store) -> None:
    class HalfReadable(Store):
        def versions(self, pattern: str) -> list[int]:
            if pattern == "another":
                raise BundleUnreadable("the store cannot be read (Input/output error)")
            return super().versions(pattern)

    store.publish(line(pattern="another"))
    publish(store, 10, 20)
    damage(store, 2)
    assert len(HalfReadable(store.root, LinearNetwork.from_bytes).recover()) == 1
    assert (store.versions("another"), store.versions("line")) == ([1], [1])


def test_nothing_is_done_through_a_link(store: Store) -> None:
    publish(store, 10)
    (store.root / "other").symlink_to(store.root / "line")
    (store.root / "line" / "2").symlink_to(store.root / "line" / "1")
    assert store.recover() == []
    assert (store.patterns(), store.versions("line")) == (["line"], [1])


def _tree(root: Path) -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))}
