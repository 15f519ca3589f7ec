"""Stores on disks that fail or lose power, in processes that die: what was acknowledged is there, whole."""

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from models_store.errors import (
    BundleUnreadable,
    DiskFull,
    PatternServerError,
    PublishUnconfirmed,
    StoreUnwritable,
)
from models_store.storage.disk import Disk, writing
from models_store.storage.store import Store
from tests.disks import HastyDisk, LedgerDisk, When, fails, no_more_files
from tests.dying import ACTS, KEEP, opened, stocked
from tests.fakes import LinearNetwork, line
from tests.models_store.storage.lines import damage, hidden, publish, slope

# -- a disk that will not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("act", ACTS)
def test_a_read_only_store_serves_and_refuses_to_be_written(tmp_path: Path, act: str) -> None:
    read_only = opened(stocked(tmp_path), 1, fails(errno.EROFS), "before")
    with pytest.raises(StoreUnwritable, match="what it holds is still served"):
        ACTS[act](read_only)
    assert slope(read_only.load("line", read_only.champion("line"))) == 3


def test_a_root_that_cannot_be_made_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = Store(tmp_path / "file" / "store", LinearNetwork.from_bytes)
    with pytest.raises(StoreUnwritable):
        store.publish(line())
    with pytest.raises(StoreUnwritable):
        store.recover()


def test_a_disk_without_room_to_spare_is_full_before_anything_is_written(store: Store) -> None:
    free = shutil.disk_usage("/").free
    with pytest.raises(DiskFull):
        Disk().check_space(Path("/"), 2 * free)

    class Small(Disk):
        def check_space(self, directory: Path, size: int) -> None:
            super().check_space(directory, size + 2 * shutil.disk_usage(directory).free)

    with pytest.raises(DiskFull):
        Store(store.root, LinearNetwork.from_bytes, disk=Small()).publish(line())
    assert (store.patterns(), hidden(store)) == ([], [])


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EIO, StoreUnwritable),
        (errno.EACCES, StoreUnwritable),
        (None, StoreUnwritable),
    ],
)
def test_what_the_operating_system_says_is_told_in_words_of_the_store(code: int | None, said: type[Exception]) -> None:
    with pytest.raises(said), writing():
        raise OSError(code, "as the system says it")


@pytest.mark.parametrize(
    "ask",
    [
        lambda store: store.patterns(),
        lambda store: store.versions("line"),
        lambda store: store.aliases("line"),
        lambda store: store.champion("line"),
        lambda store: store.load("line", 1),
        lambda store: store.describe("line", 1),
        lambda store: store.hold("line", 1).__enter__(),
        lambda store: store.signature(),
        lambda store: store.identity(),
    ],
)
def test_a_store_that_cannot_be_read_just_now_says_so(store: Store, ask: Callable[[Store], object]) -> None:
    publish(store, 10)
    store.identity()
    with no_more_files(), pytest.raises(BundleUnreadable, match="Too many open files"):
        ask(store)


FAILURES = {errno.ENOSPC: DiskFull, errno.EIO: StoreUnwritable}
PUBLISHED = {"publish": "line/4", "publish unpromoted": "line/4", "publish first": "other/1"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stocked(tmp_path_factory.mktemp("template") / "store")


@pytest.mark.parametrize("when", ["before", "halfway", "after"])
@pytest.mark.parametrize("code", FAILURES, ids=errno.errorcode.get)
@pytest.mark.parametrize("act", ACTS)
def test_a_disk_that_fails_at_any_operation_leaves_a_whole_store(
    template: Path, tmp_path: Path, act: str, code: int, when: When
) -> None:
    for root, error in _failures(template, tmp_path, act, code, when):
        assert type(error) in (FAILURES[code], PublishUnconfirmed)
        check_whole(root, act)


@pytest.mark.parametrize("act", PUBLISHED)
def test_a_version_in_place_is_never_said_to_be_unpublished(template: Path, tmp_path: Path, act: str) -> None:
    said = [
        (type(error), (root / PUBLISHED[act]).exists())
        for root, error in _failures(template, tmp_path, act, errno.ENOSPC, "before")
    ]
    assert set(said) == {(DiskFull, False), (PublishUnconfirmed, True)}


def _failures(
    template: Path, folder: Path, act: str, code: int, when: When
) -> Iterator[tuple[Path, PatternServerError]]:
    """A copy of the store for every operation of the act that can fail, and what was said when it did."""
    for strike_at in count(1):
        root = Path(shutil.copytree(template, folder / str(strike_at)))
        try:
            ACTS[act](opened(root, strike_at, fails(code), when))
        except PatternServerError as error:
            yield root, error
        else:
            assert strike_at > 1, "the disk never failed"
            return


def test_a_process_that_dies_at_any_operation_leaves_a_whole_store(template: Path, tmp_path: Path) -> None:
    deaths = subprocess.run(
        [sys.executable, "-m", "tests.dying", template, tmp_path], stdout=subprocess.PIPE, check=True, text=True
    ).stdout.splitlines()
    assert len(deaths) > 150  # so many operations there are, at which it may die
    for death in map(json.loads, deaths):
        check_whole(Path(death["root"]), death["act"])


def check_whole(root: Path, act: str) -> None:
    """After a restart nothing is torn or lost, the act is done or not done, and the store can be used as ever."""
    store = Store(root, LinearNetwork.from_bytes, keep=KEEP, disk=HastyDisk())
    assert store.recover() == []
    assert hidden(store) == []
    versions, labels = store.versions("line"), store.aliases("line")
    assert [slope(store.load("line", version)) for version in versions] == versions
    assert (versions, labels) in OUTCOMES[act]
    for other in set(store.patterns()) - {"line"}:
        assert (other, store.versions(other), slope(store.load(other, store.champion(other)))) == ("other", [1], 1)
    assert store.publish(line(slope=5.0)) == max(versions) + 1
    assert store.champion("line") == max(versions) + 1


UNTOUCHED = ([1, 2, 3], {"champion": 3})
OUTCOMES = {
    # Renamed, then labelled, then the oldest goes: a death in between leaves the part that was done.
    "publish": [
        UNTOUCHED,
        ([1, 2, 3, 4], {"champion": 3}),
        ([1, 2, 3, 4], {"champion": 4}),
        ([2, 3, 4], {"champion": 4}),
    ],
    "publish unpromoted": [UNTOUCHED, ([1, 2, 3, 4], {"champion": 3}), ([2, 3, 4], {"champion": 3})],
    "publish first": [UNTOUCHED],
    "set label": [UNTOUCHED, ([1, 2, 3], {"champion": 3, "challenger": 1})],
    "remove label": [UNTOUCHED, ([1, 2, 3], {"champion": 3, "challenger": 1})],
    "rollback": [UNTOUCHED, ([1, 2, 3], {"champion": 2})],
    "delete": [UNTOUCHED, ([2, 3], {"champion": 3})],
    "recover": [UNTOUCHED],
}


@pytest.mark.parametrize("when", ["before", "halfway", "after"])
def test_a_recovery_that_fails_anywhere_is_finished_by_the_next(template: Path, tmp_path: Path, when: When) -> None:
    for strike_at in count(1):
        root = Path(shutil.copytree(template, tmp_path / str(strike_at)))
        damage(Store(root, LinearNetwork.from_bytes), 3)
        try:
            opened(root, strike_at, fails(errno.EIO), when).recover()
        except StoreUnwritable:
            store = Store(root, LinearNetwork.from_bytes)
            store.recover()
            assert (store.versions("line"), store.champion("line"), hidden(store)) == ([1, 2], 2, [".quarantine"])
            assert store.publish(line()) == 4
        else:
            assert strike_at > 1, "the disk never failed"
            return


def test_whatever_is_in_quarantine_has_its_reason_beside_it(template: Path, tmp_path: Path) -> None:
    reasons: list[str] = []
    for strike_at in count(1):
        root = Path(shutil.copytree(template, tmp_path / str(strike_at)))
        damage(Store(root, LinearNetwork.from_bytes), 3)
        try:
            opened(root, strike_at, fails(errno.EIO), "before").recover()
        except StoreUnwritable:
            Store(root, LinearNetwork.from_bytes).recover()
        else:
            break
        moved = (root / ".quarantine").glob("line-3-????????")
        reasons += [path.with_name(f"{path.name}.reason.txt").read_text() for path in moved]
    assert len(reasons) == strike_at - 1 > 0  # one for each recovery that failed
    assert set(reasons) == {"golden.json does not have the size it was published with"}


def test_a_publish_that_fails_sweeps_up_behind_itself(template: Path, tmp_path: Path) -> None:
    for root, error in _failures(template, tmp_path, "publish", errno.ENOSPC, "halfway"):
        assert isinstance(error, DiskFull | PublishUnconfirmed)
        assert set(hidden(Store(root, LinearNetwork.from_bytes))) <= {".tmp-torn", ".tmp-labels"}


# -- a power cut ---------------------------------------------------------------------------------------------------


def test_nothing_that_was_acknowledged_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    disk = LedgerDisk()
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=2, disk=disk)
    acts: list[Callable[[], object]] = [
        lambda: publish(store, 10),
        lambda: publish(store, 20, 30),
        lambda: store.set_alias("line", "challenger", 2),
        lambda: store.remove_alias("line", "challenger"),
        lambda: store.rollback("line"),
        lambda: store.delete("line", 3),
    ]
    for act in acts:
        act()
        assert disk.lost_in_a_power_cut() == set()


def test_nothing_that_was_acknowledged_after_a_failure_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    for strike_at in range(1, 17):
        disk = LedgerDisk(strike_at)
        store = Store(tmp_path / str(strike_at), LinearNetwork.from_bytes, disk=disk)
        store.root.mkdir()
        with pytest.raises(PatternServerError):
            store.publish(line())
        store.publish(line())
        assert disk.lost_in_a_power_cut() == set()


def test_a_root_that_was_made_is_not_lost_in_a_power_cut(tmp_path: Path) -> None:
    disk = LedgerDisk()
    Store(tmp_path / "store", LinearNetwork.from_bytes, disk=disk).publish(line())
    assert disk.lost_in_a_power_cut() == set()
