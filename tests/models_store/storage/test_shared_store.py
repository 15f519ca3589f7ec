"""Stores that share a bucket: what one publishes or changes all have, whole or not at all; without it they serve on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from models_store.card import Promotion
from models_store.errors import (
    BucketUnavailable,
    ChampionMoved,
    ChampionStays,
    NothingToRollBack,
    StoreUnwritable,
    UnknownAlias,
    UnknownDataset,
    UnknownPattern,
    UnknownVersion,
    VersionInUse,
)
from models_store.storage.bucket import Bucket, Record
from models_store.storage.shared_store import SharedDatasets, SharedStore
from models_store.storage.store import Store
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line
from tests.models_store.storage.lines import publish, slope


class Lost(Exception):
    """Ends a process in the middle of what it does."""


@dataclass
class FaultyBucket(Bucket):
    """A bucket that does so many more writes and then `fault`; 0: none."""

    objects: MemoryStore
    left: int
    fault: type[Exception]

    def __post_init__(self) -> None:
        super().__init__(self.objects)

    def put_files(self, pattern: str, contents: list[bytes]) -> None:
        for content in contents:
            self._count()
            super().put_files(pattern, [content])

    def _write(self, pattern: str, record: Record, tag: str | None) -> bool:
        self._count()
        return super()._write(pattern, record, tag)

    def record(self, pattern: str) -> tuple[Record, str | None]:
        if self.left <= 0 and self.fault is BucketUnavailable:
            raise BucketUnavailable("away")
        return super().record(pattern)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.fault("away")


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def shared(objects: MemoryStore, tmp_path: Path) -> Callable[..., SharedStore]:
    """Open a store of this name on the bucket, as a server on a machine of its own would."""

    def shared(name: str, bucket: Bucket | None = None, keep: int = 5) -> SharedStore:
        root = tmp_path / name
        return SharedStore(root, LinearNetwork.from_bytes, bucket or Bucket(objects), keep=keep, disk=HastyDisk())

    return shared


@pytest.fixture
def one(shared: Callable[..., SharedStore]) -> SharedStore:
    return shared("one")


@pytest.fixture
def other(shared: Callable[..., SharedStore]) -> SharedStore:
    return shared("other")


def files_of(store: Store) -> dict[str, bytes]:
    """Return every file of every pattern, by its path in the store."""
    found = [path for pattern in store.patterns() for path in (store.root / pattern).rglob("*") if path.is_file()]
    return {str(path.relative_to(store.root)): path.read_bytes() for path in found}


def test_what_one_publishes_the_other_has_to_the_byte(one: SharedStore, other: SharedStore) -> None:
    assert [one.publish(line(10)), one.publish(line(20), promote=False)] == [1, 2]
    other.pull()
    assert files_of(other) == files_of(one)
    assert (other.versions("line"), other.champion("line"), slope(other.load("line", 2))) == ([1, 2], 1, 20)
    assert other.publish(line(30)) == 3
    one.pull()
    assert files_of(other) == files_of(one)


def test_of_many_that_publish_at_once_each_has_a_number_of_its_own(one: SharedStore, other: SharedStore) -> None:
    one.keep = other.keep = 100
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda place: (one, other)[place % 2].publish(line(place)), range(16)))
    assert sorted(numbers) == list(range(1, 17))
    for store in (one, other):
        store.pull()
        assert {version: slope(store.load("line", version)) for version in store.versions("line")} == {
            version: place for place, version in enumerate(numbers)
        }
    assert files_of(one) == files_of(other)


def test_a_version_is_published_once_by_whichever_of_two_trainers_of_its_job(
    one: SharedStore, other: SharedStore
) -> None:
    assert [store.publish(line(job="a" * 32)) for store in (one, other, one)] == [1, 1, 1]


def test_labels_rollback_unloading_and_deletions_arrive(one: SharedStore, other: SharedStore) -> None:
    publish(one, 10, 20, 30)
    one.set_alias("line", "canary", 2)
    assert other.rollback("line") == 2
    one.mark_unloaded("line")
    other.pull()
    assert (other.aliases("line"), other.is_unloaded("line")) == ({"champion": 2, "canary": 2}, True)
    other.mark_loaded("line")
    other.remove_alias("line", "canary")
    other.delete("line", 3)
    one.pull()
    assert (one.aliases("line"), one.versions("line"), one.is_unloaded("line")) == ({"champion": 2}, [1, 2], False)
    other.delete_pattern("line")
    one.pull()
    assert (one.patterns(), other.patterns()) == ([], [])
    assert one.publish(line()) == 4
    other.pull()
    assert other.versions("line") == [4]


def test_changes_are_refused_in_the_same_words_as_by_a_directory(one: SharedStore, other: SharedStore) -> None:
    one.publish(line())
    refused: list[tuple[type[Exception], Callable[[], object]]] = [
        (UnknownPattern, lambda: other.set_alias("nowhere", "canary", 1)),
        (UnknownPattern, lambda: other.delete_pattern("../line")),
        (UnknownVersion, lambda: other.set_alias("line", "canary", 7)),
        (UnknownAlias, lambda: other.set_alias("line", "No Name", 1)),
        (UnknownAlias, lambda: other.remove_alias("line", "canary")),
        (ChampionStays, lambda: other.remove_alias("line", "champion")),
        (NothingToRollBack, lambda: other.rollback("line")),
        (UnknownVersion, lambda: other.delete("line", 7)),
        (VersionInUse, lambda: other.delete("line", 1)),
    ]
    for error, change in refused:
        with pytest.raises(error):
            change()
    other.pull()
    assert files_of(other) == files_of(one)


def test_only_so_many_versions_are_kept_and_those_with_a_label(
    shared: Callable[..., SharedStore], other: SharedStore
) -> None:
    one = shared("one", keep=2)
    one.publish(line())
    one.set_alias("line", "canary", 1)
    for _ in range(4):
        one.publish(line())
    other.pull()
    assert one.versions("line") == other.versions("line") == [1, 4, 5]


@pytest.mark.parametrize("writes", range(9))
def test_a_process_that_is_lost_while_it_publishes_shows_nothing_half(
    shared: Callable[..., SharedStore], objects: MemoryStore, other: SharedStore, writes: int
) -> None:
    other.publish(line(10))
    lost = shared("lost", FaultyBucket(objects, writes, Lost))
    is_published = True
    try:
        lost.publish(line(20))
    except Lost:
        is_published = False
    other.pull()
    assert other.versions("line") == ([1, 2] if is_published else [1])
    assert slope(other.load("line", other.champion("line"))) == (20 if is_published else 10)
    assert other.publish(line(30)) == (3 if is_published else 2)


def test_writes_needed_to_publish_are_covered_above(objects: MemoryStore, shared: Callable[..., SharedStore]) -> None:
    counted = FaultyBucket(objects, 100, Lost)
    shared("one", counted).publish(line())
    assert 100 - counted.left < 9


def test_a_change_whose_answer_was_lost_is_made_once(shared: Callable[..., SharedStore], objects: MemoryStore) -> None:
    class Forgetful(Bucket):
        """A bucket whose first answer to a change is lost, so that it is sent again and refused."""

        has_lost = False

        def _write(self, pattern: str, record: Record, tag: str | None) -> bool:
            done = super()._write(pattern, record, tag)
            self.has_lost, lost_before = True, self.has_lost
            return done and lost_before

    for version in (1, 2, 3):
        assert shared("one").publish(line()) == version
    assert shared("two", Forgetful(objects)).rollback("line") == 2
    assert shared("three", Forgetful(objects)).publish(line()) == 4
    assert shared("one").publish(line()) == 5


# -- damage and absence --------------------------------------------------------------------------------------------


def damage_object(objects: MemoryStore, pattern: str, content: bytes | None) -> str:
    """Replace, or remove, the last object that was written of a pattern, a manifest; return its path."""
    found = [one for batch in obstore.list(objects, f"versions/{pattern}/") for one in batch]
    path = max(found, key=lambda one: one["last_modified"])["path"]
    if content is None:
        obstore.delete(objects, path)
    else:
        obstore.put(objects, path, content)
    return path


@pytest.mark.parametrize(
    ("content", "reason"), [(b"other", "is not what was published"), (None, "is missing")], ids=["changed", "missing"]
)
def test_a_damaged_object_is_quarantined_and_the_version_before_serves(
    one: SharedStore, other: SharedStore, objects: MemoryStore, content: bytes | None, reason: str
) -> None:
    one.publish(line(10))
    other.pull()
    one.publish(line(20))
    path = damage_object(objects, "line", content)
    for _ in range(3):
        other.pull()
    assert (other.versions("line"), other.champion("line")) == ([1], 1)
    kept = [path for path in (other.root / ".quarantine").iterdir() if path.name.endswith(".reason.txt")]
    assert [path.read_text() for path in kept] == [f"MANIFEST.json in the bucket {reason}"]
    obstore.put(objects, path, (one.root / "line" / "2" / "MANIFEST.json").read_bytes())
    other._damaged.clear()  # as a minute later
    other.pull()
    assert files_of(other) == files_of(one)


def test_files_that_no_version_has_are_swept_once_they_are_old(
    one: SharedStore, other: SharedStore, objects: MemoryStore
) -> None:
    publish(one, 10, 20)
    one.delete("line", 1)
    before = len([found for batch in obstore.list(objects, "versions/") for found in batch])
    Bucket(objects).sweep("line")
    assert len([found for batch in obstore.list(objects, "versions/") for found in batch]) == before
    Bucket(objects).sweep("line", timedelta())
    assert len([found for batch in obstore.list(objects, "versions/") for found in batch]) < before
    other.pull()
    assert files_of(other) == files_of(one)


def test_files_of_a_version_whose_manifest_is_lost_are_not_swept(one: SharedStore, objects: MemoryStore) -> None:
    one.publish(line(10))
    manifest = Bucket(objects).record("line")[0].versions[1].manifest
    [path] = [
        found["path"]
        for batch in obstore.list(objects, "versions/")
        for found in batch
        if found["path"].endswith(manifest)
    ]
    obstore.delete(objects, path)
    before = len([found for batch in obstore.list(objects, "versions/") for found in batch])
    Bucket(objects).sweep("line", timedelta())
    assert len([found for batch in obstore.list(objects, "versions/") for found in batch]) == before > 0


def test_a_manifest_that_is_damaged_here_keeps_no_version_from_arriving(one: SharedStore, other: SharedStore) -> None:
    one.publish(line(10))
    other.pull()
    (other.root / "line" / "1" / "MANIFEST.json").write_bytes(b"{}")
    one.publish(line(20))
    other.pull()
    assert slope(other.load("line", 2)) == 20
    assert slope(other.load("line", 1)) == 10


def test_a_record_that_is_damaged_changes_nothing(one: SharedStore, other: SharedStore, objects: MemoryStore) -> None:
    one.publish(line(10))
    other.pull()
    before = files_of(other)
    obstore.put(objects, "patterns/line.json", b"{}")
    for store in (one, other):
        store.pull()
        assert files_of(store) == before


def test_a_pattern_that_cannot_be_written_here_keeps_no_other_from_being_pulled(
    one: SharedStore, other: SharedStore
) -> None:
    for pattern in ("line", "cube", "area"):
        one.publish(line(pattern=pattern))
    other.root.mkdir()
    (other.root / "cube").touch()
    with pytest.raises(StoreUnwritable):
        other.pull()
    assert other.patterns() == ["area", "line"]


def test_a_version_that_was_damaged_here_is_fetched_again(one: SharedStore) -> None:
    one.publish(line(10))
    one.pull()
    (one.root / "line" / "1" / "bundle.json").write_bytes(b"other")
    one.quarantine_damaged("line", 1)
    assert one.patterns() == ["line"]
    one.pull()
    assert slope(one.load("line", 1)) == 10


def test_without_the_bucket_what_is_here_is_served_and_nothing_is_changed(
    shared: Callable[..., SharedStore], objects: MemoryStore
) -> None:
    shared("one").publish(line(10))
    shared("one").publish(line(20))
    away = shared("one", FaultyBucket(objects, 0, BucketUnavailable))
    before = files_of(away)
    for change in (
        lambda: away.publish(line(30)),
        lambda: away.rollback("line"),
        lambda: away.set_alias("line", "canary", 1),
        lambda: away.delete_pattern("line"),
    ):
        with pytest.raises(BucketUnavailable, match="predictions go on; check the address and the AWS_"):
            change()
    assert files_of(away) == before
    assert slope(away.load("line", away.champion("line"))) == 20


# -- what is here and not in the bucket ----------------------------------------------------------------------------


def test_a_store_from_before_the_bucket_is_given_to_it_as_it_is(one: SharedStore, other: SharedStore) -> None:
    alone = Store(one.root, LinearNetwork.from_bytes, keep=2, disk=HastyDisk())
    publish(alone, 10, 20, 30)
    alone.set_alias("line", "canary", 2)
    alone.publish(line(pattern="cube"))
    before = files_of(one)
    one.pull()
    other.pull()
    assert files_of(one) == files_of(other) == before
    assert one.publish(line()) == 4


def test_versions_of_two_such_stores_get_numbers_of_their_own(one: SharedStore, other: SharedStore) -> None:
    for store, slopes in ((one, (10, 20)), (other, (30,))):
        for number in slopes:
            Store(store.root, LinearNetwork.from_bytes, disk=HastyDisk()).publish(line(number))
    for store in (one, other, other, one):
        store.pull()
    assert files_of(one) == files_of(other)
    assert [slope(one.load("line", version)) for version in one.versions("line")] == [10, 20, 30]


def test_what_a_command_publishes_beside_the_bucket_is_given_to_it(one: SharedStore, other: SharedStore) -> None:
    one.publish(line(10))
    Store(one.root, LinearNetwork.from_bytes, disk=HastyDisk()).publish(line(20))
    one.pull()
    other.pull()
    assert files_of(one) == files_of(other)
    assert (other.champion("line"), slope(other.load("line", 2))) == (2, 20)


@pytest.mark.parametrize(("promoted", "champion"), [(True, 2), (False, 1)])
def test_a_training_that_was_compared_is_delivered_as_its_card_says(
    one: SharedStore, promoted: bool, champion: int
) -> None:
    one.publish(line(10))
    compare(one, "a" * 32, promoted=promoted)
    assert (one.deliver("line", "a" * 32, promote=None), one.champion("line")) == (2, champion)


def compare(store: SharedStore, job: str, *, promoted: bool = True) -> None:
    """Leave in the outbox what a training does that was compared with version 1."""
    known = Promotion(champion=1, promoted=promoted, outcome="not_worse", why="", tolerance=0)
    bundle = line(20, job=job)
    compared = replace(bundle, card=bundle.card.model_copy(update={"promotion": known}))
    Store(store.outbox(job), LinearNetwork.from_bytes, disk=HastyDisk()).publish(compared)


def test_of_trainings_at_two_servers_that_were_compared_with_one_champion_the_second_waits_to_be_compared_again(
    one: SharedStore, other: SharedStore
) -> None:
    one.publish(line(10))
    jobs = {one: "a" * 32, other: "b" * 32}
    for store, job in jobs.items():
        compare(store, job)

    def delivers(store: SharedStore) -> bool:
        with suppress(ChampionMoved):
            return store.deliver("line", jobs[store], promote=None) == 2
        return False

    with ThreadPoolExecutor(2) as threads:
        delivered = [*threads.map(delivers, jobs)]
    assert sorted(delivered) == [False, True]
    assert [store.outbox(job).exists() for store, job in jobs.items()] == [not done for done in delivered]
    one.pull()
    assert (one.versions("line"), one.champion("line")) == ([1, 2], 2)


def test_a_training_is_delivered_once_from_its_outbox(one: SharedStore, other: SharedStore) -> None:
    job = "a" * 32
    assert one.deliver("line", job, promote=True) is None
    Store(one.outbox(job), LinearNetwork.from_bytes, disk=HastyDisk()).publish(line(10, job=job))
    assert [one.deliver("line", job, promote=True) for _ in range(2)] == [1, 1]
    assert other.deliver("line", job, promote=True) == 1
    assert (one.versions("line"), one.outbox(job).exists()) == ([1], False)


def test_all_that_share_a_bucket_have_its_identity_also_when_it_is_away(
    shared: Callable[..., SharedStore], objects: MemoryStore, one: SharedStore, other: SharedStore
) -> None:
    class Away(Bucket):
        def identity(self, proposed: str) -> str:
            raise BucketUnavailable("away")

    assert one.identity() == other.identity() == shared("one", Away(objects)).identity()
    with pytest.raises(BucketUnavailable):
        shared("new", Away(objects)).identity()


# -- tables --------------------------------------------------------------------------------------------------------


def test_tables_are_shared_fetched_when_asked_for_and_deleted_everywhere(objects: MemoryStore, tmp_path: Path) -> None:
    one, other = (SharedDatasets(tmp_path / name, Bucket(objects), HastyDisk()) for name in ("one", "other"))
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n3,4\n")
    stored = one.add(table, "csv", "mine")
    with pytest.raises(UnknownDataset):
        other.get(stored.id)
    one.share(stored.id)
    assert other.get(stored.id) == stored
    assert other.frame(stored.id).equals(one.frame(stored.id))
    other.delete(stored.id)
    one.pull()
    assert (one.ids(), other.ids()) == ([], [])
    one.add(table, "csv")
    one.share(stored.id)
    other.pull()
    assert other.ids() == [stored.id]


def test_whether_a_table_is_there_is_not_known_without_the_bucket(
    objects: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise BucketUnavailable("away")

    monkeypatch.setattr(Bucket, "get_dataset", away)
    with pytest.raises(BucketUnavailable):
        SharedDatasets(tmp_path, Bucket(objects), HastyDisk()).get("0" * 32)
