"""The root of a store: a name of its own, and an error rather than an empty store when its disk goes away."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from models_store.errors import (
    BundleUnreadable,
    StoreUnwritable,
)
from models_store.storage.disk import Disk
from models_store.storage.root import Root
from models_store.storage.store import Store
from tests.fakes import LinearNetwork, line
from tests.models_store.storage.lines import NO_FILES, publish


def test_a_store_has_a_name_of_its_own_and_keeps_it(store: Store, tmp_path: Path) -> None:
    name = store.identity()
    store.recover()
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert Store(store.root, LinearNetwork.from_bytes).identity() == name
    assert Store(tmp_path / "other", LinearNetwork.from_bytes).identity() != name


@pytest.mark.parametrize("content", [b"", b"0" * 31, b"0" * 33, b"\xff" * 32, b"G" * 32, b"0" * 31 + b"\n"])
def test_a_name_that_a_store_did_not_give_itself_is_refused(store: Store, content: bytes) -> None:
    store.identity()
    (store.root / ".identity").write_bytes(content)
    with pytest.raises(BundleUnreadable, match="restore or delete it"):
        store.identity()
    assert (store.root / ".identity").read_bytes() == content
    (store.root / ".identity").unlink()
    assert re.fullmatch("[0-9a-f]{32}", store.identity())


@pytest.mark.parametrize("kind", NO_FILES)
def test_a_name_is_only_read_from_a_file(store: Store, kind: str) -> None:
    store.recover()
    NO_FILES[kind](store.root / ".identity")
    with pytest.raises(BundleUnreadable):
        store.identity()


@pytest.mark.parametrize("mount_point", ["gone", "empty", "used by others"])
def test_a_store_whose_disk_goes_away_is_not_an_empty_one(store: Store, mount_point: str) -> None:
    publish(store, 10)
    seen = store.signature()
    elsewhere = store.root.rename(store.root.with_name("unmounted"))
    if mount_point != "gone":
        store.root.mkdir()
    if mount_point == "used by others":
        (store.root / "jobs.sqlite3").touch()
    for ask in (store.patterns, store.signature, lambda: store.versions("line"), lambda: store.load("line", 1)):
        with pytest.raises(BundleUnreadable):
            ask()
    for change in (lambda: publish(store, 20), lambda: store.set_alias("line", "champion", 1), store.recover):
        with pytest.raises(StoreUnwritable):
            change()
    assert store.root.exists() == (mount_point != "gone")
    shutil.rmtree(store.root, ignore_errors=True)
    elsewhere.rename(store.root)
    assert (store.signature(), store.publish(line(20))) == (seen, 2)


class Slow(type(Path())):  # type: ignore[misc]  # the class of paths of this system
    """A directory that somebody else fills between a look at it and what is made of the look."""

    def iterdir(self) -> Iterator[Path]:
        entries = [*super().iterdir()]
        if not entries:
            locks_made = Path(self) / ".lock"
            locks_made.touch()
            OTHER[0].names()
        yield from entries


OTHER: list[Root] = []


def test_a_store_that_another_thread_makes_meanwhile_is_not_taken_for_a_lost_disk(tmp_path: Path) -> None:
    root = Root(Slow(tmp_path), Disk())
    OTHER[:] = [root]
    assert root.names() == set()
    assert root.names() == {".lock"}
