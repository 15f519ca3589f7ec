"""The registry follows the store: damage costs a version but never an answer, and no request notices a swap."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from app.answering.registry import MOST_PINNED, Registry
from app.errors import NotLoaded
from models_store.errors import (
    BundleDamaged,
    BundleUnreadable,
    NoGoodVersion,
    UnknownAlias,
    UnknownPattern,
    UnknownVersion,
)
from models_store.networks.architecture import Architecture
from models_store.storage.aliases import Aliases
from models_store.storage.store import Contents, Release, Store
from models_store.storage.versions import Versions
from tests.app.over_http import an_app, client_of, outputs_of, refusal, serving
from tests.disks import HastyDisk, PausingDisk, no_more_files
from tests.fakes import LinearNetwork, line, rows

pytestmark = pytest.mark.anyio


@pytest.fixture
def registry(store: Store) -> Registry:
    return Registry(store)


def publish(store: Store, *slopes: float, pattern: str = "line", promote: bool = True) -> None:
    for slope in slopes:
        store.publish(line(slope, pattern), promote=promote)


def slope_of(release: Release) -> float:
    """Return the slope of the line that answers, which tells the version."""
    return release.bundle.predict(rows(1)).item()


async def slope(registry: Registry, version: int | None = None, alias: str | None = None) -> float:
    return slope_of(await registry.release("line", version, alias))


def flip_a_bit(store: Store, version: int, file: str = "network.keras") -> None:
    path = store.root / "line" / str(version) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def quarantined(store: Store) -> list[str]:
    return sorted(path.name.rsplit("-", 1)[0] for path in store.root.glob(".quarantine/*") if path.is_dir())


# -- following the store -------------------------------------------------------------------------------------------


async def test_what_another_process_publishes_is_served_after_a_refresh(store: Store, registry: Registry) -> None:
    other = Store(store.root, LinearNetwork.from_bytes, disk=HastyDisk())
    publish(other, 2)
    await registry.refresh()
    assert (registry.patterns, await slope(registry)) == (["line"], 2)
    publish(other, 20)
    publish(other, 5, pattern="another")
    assert await slope(registry) == 2
    await registry.refresh()
    assert (registry.patterns, await slope(registry)) == (["another", "line"], 20)


async def test_a_label_that_another_process_moves_is_followed(store: Store, registry: Registry) -> None:
    publish(store, 2, 20)
    await registry.refresh()
    store.set_alias("line", "champion", 1)
    await registry.refresh()
    assert (await slope(registry), registry.shelf("line").aliases) == (2, {"champion": 1})


async def test_a_version_that_is_not_promoted_waits_until_it_is_asked_for(store: Store, registry: Registry) -> None:
    publish(store, 2)
    publish(store, 20, promote=False)
    await registry.refresh()
    assert (await slope(registry), await slope(registry, version=2)) == (2, 20)


async def test_a_pattern_that_is_removed_is_unknown(store: Store, registry: Registry) -> None:
    publish(store, 2)
    await registry.refresh()
    (store.root / "line").rename(store.root / ".gone")
    await registry.refresh()
    assert registry.patterns == []
    with pytest.raises(UnknownPattern):
        await registry.release("line")


async def test_what_has_not_changed_is_not_loaded_again(store: Store) -> None:
    loaded = []

    def counting(saved: bytes, architecture: Architecture) -> LinearNetwork:
        loaded.append(json.loads(saved)[0][0] * 2)
        return LinearNetwork.from_bytes(saved, architecture)

    publish(store, 2, 20)
    registry = Registry(Store(store.root, counting))
    for _ in range(5):
        await registry.refresh()
    assert loaded == [20]
    assert [await slope(registry, version=1) for _ in range(3)] == [2, 2, 2]
    assert loaded == [20, 2]


async def test_a_label_names_its_version(store: Store, registry: Registry) -> None:
    publish(store, 2, 20)
    store.set_alias("line", "stable", 1)
    await registry.refresh()
    assert (await slope(registry, alias="stable"), await slope(registry, alias="champion")) == (2, 20)
    with pytest.raises(UnknownAlias, match="it has champion, stable"):
        await registry.release("line", alias="beta")


async def test_only_versions_that_exist_are_found(store: Store, registry: Registry) -> None:
    publish(store, 2)
    await registry.refresh()
    for version in (0, -1, 2, 10**30):
        with pytest.raises(UnknownVersion, match=r"it has 1$"):
            await registry.release("line", version)


# -- while something is published ----------------------------------------------------------------------------------


async def test_a_version_that_was_seen_without_its_label_is_served_once_it_is_published(
    store: Store, registry: Registry
) -> None:
    publish(store, 2)
    disk = PausingDisk()
    other = Store(store.root, LinearNetwork.from_bytes, disk=disk)
    publishing = asyncio.create_task(asyncio.to_thread(other.publish, line(20)))
    await asyncio.to_thread(disk.has_paused.wait, 20)
    await registry.refresh()
    assert (registry.shelf("line").versions, await slope(registry)) == ((1, 2), 2)
    disk.may_go_on.set()
    await registry.follow("line", await publishing)
    assert await slope(registry) == 20


async def test_a_look_that_began_before_the_publish_is_not_taken_for_one_after_it(store: Store) -> None:
    loading, may_load = threading.Event(), threading.Event()

    def slow(saved: bytes, architecture: Architecture) -> LinearNetwork:
        loading.set()
        assert may_load.wait(20)
        return LinearNetwork.from_bytes(saved, architecture)

    publish(store, 2)
    registry = Registry(Store(store.root, slow))
    early = asyncio.create_task(registry.refresh())
    await asyncio.to_thread(loading.wait, 20)
    publish(store, 20)
    late = asyncio.create_task(registry.follow("line", 2))
    await asyncio.sleep(0)
    may_load.set()
    await late
    assert (early.done(), await slope(registry)) == (True, 20)


@pytest.mark.parametrize("read", range(1, 7))
async def test_a_shelf_is_of_one_moment_whenever_something_is_published(
    store: Store, registry: Registry, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    """The third version is published just before the n-th time that a look reads the disk."""
    reads = 0

    def before(reading: Callable[..., Any]) -> Callable[..., Any]:
        def interrupted(*arguments: Any) -> Any:
            nonlocal reads
            reads += 1
            if reads == read:
                publish(store, 200)
            return reading(*arguments)

        return interrupted

    publish(store, 2)
    await registry.refresh()
    publish(store, 20)
    monkeypatch.setattr(Aliases, "read", before(Aliases.read))
    monkeypatch.setattr(Versions, "found", before(Versions.found))
    await registry.refresh()
    shelf = registry.shelf("line")
    assert shelf.aliases["champion"] == shelf.release.version in shelf.versions
    await registry.follow("line", 3)
    assert await slope(registry) == 200


async def test_two_servers_serve_what_they_were_told_of(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.answering.registry.POLL_SECONDS", 0.0)
    publish(store, 1)
    registries = [Registry(Store(store.root, LinearNetwork.from_bytes)) for _ in range(2)]
    watches = [asyncio.create_task(registry.watch(lambda: None)) for registry in registries]
    publisher = Store(store.root, LinearNetwork.from_bytes, disk=HastyDisk())
    for _ in range(50):
        version = await asyncio.to_thread(publisher.publish, line(2))
        for registry in registries:
            await registry.follow("line", version)
            assert registry.champion("line").version == version
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    for registry in registries:
        registry.close()


async def test_a_version_is_looked_for_once(store: Store) -> None:
    looks = []

    class Counting(Store):
        def signature(self) -> dict[str, object]:
            looks.append(1)
            return super().signature()

    publish(store, 2, 20)
    registry = Registry(Counting(store.root, LinearNetwork.from_bytes))
    for version in (2, 2, 1, 2):
        await registry.follow("line", version)
    assert len(looks) == 1


# -- not yet -------------------------------------------------------------------------------------------------------


async def test_before_the_first_look_nothing_is_unknown_but_not_loaded(published: Store) -> None:
    registry = Registry(published)
    assert (registry.is_ready, registry.patterns) == (False, [])
    for pattern in ("line", "unheard-of"):
        with pytest.raises(NotLoaded, match="the store is not loaded yet"):
            await registry.release(pattern)


async def test_a_pattern_that_is_being_loaded_says_so_and_then_answers(published: Store) -> None:
    loading, may_load = threading.Event(), threading.Event()

    def slow(saved: bytes, architecture: Architecture) -> LinearNetwork:
        loading.set()
        assert may_load.wait(10)
        return LinearNetwork.from_bytes(saved, architecture)

    async with client_of(app := an_app(published, slow)) as client:
        look = asyncio.create_task(app.state.parts.registry.refresh())
        await asyncio.to_thread(loading.wait, 10)
        early = await client.post("/predict/line", json={"inputs": [1]})
        unknown = await client.post("/predict/unheard-of", json={"inputs": [1]})
        ready = await client.get("/readyz")
        listed = await client.get("/patterns")
        may_load.set()
        await look
        assert await outputs_of(client, [1]) == [2.0]
    assert (refusal(early), early.headers["retry-after"]) == ((503, "not_loaded"), "2")
    assert refusal(unknown) == (404, "unknown_pattern")
    assert refusal(ready) == (503, "not_loaded")
    assert listed.json() == {"patterns": []}


# -- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["network.keras", "bundle.json", "golden.json", "history.json", "MANIFEST.json"])
async def test_a_damaged_newest_version_gives_way_to_the_one_before(
    store: Store, registry: Registry, file: str
) -> None:
    publish(store, 2, 20, 200)
    flip_a_bit(store, 3, file)
    await registry.refresh()
    assert await slope(registry) == 20
    assert (quarantined(store), store.versions("line")) == (["line-3"], [1, 2])


async def test_damage_is_found_at_the_start_of_the_app(store: Store) -> None:
    publish(store, 2, 20)
    flip_a_bit(store, 2)
    async with serving(store) as client:
        assert await outputs_of(client, [1]) == [2.0]
        answer = await client.post("/predict/line?version=2", json={"inputs": [1]})
        assert refusal(answer) == (404, "unknown_version")
    assert quarantined(store) == ["line-2"]


async def test_the_one_before_answers_for_the_label_champion_as_well(store: Store) -> None:
    publish(store, 2, 20)
    flip_a_bit(store, 2)
    async with serving(store) as client:
        assert await outputs_of(client, [1], label="champion") == await outputs_of(client, [1])


async def test_a_pattern_whose_only_version_is_damaged_is_known_and_not_served(store: Store) -> None:
    publish(store, 2)
    publish(store, 5, pattern="sound")
    flip_a_bit(store, 1)
    async with serving(store) as client:
        answer = await client.post("/predict/line", json={"inputs": [1]})
        assert refusal(answer) == (503, "no_good_version")
        assert await outputs_of(client, [1], "sound") == [5.0]
        ready = {"ready": True, "patterns": ["line", "sound"], "without_good_version": ["line"], "unloaded": []}
        assert (await client.get("/readyz")).json() == ready
        listed = (await client.get("/patterns")).json()["patterns"]
        nothing: dict[str, object] = {"versions": [], "labels": {"champion": 1}, "champion": None, "unloaded": False}
        assert listed[0] == {"name": "line", **nothing}


async def test_a_pattern_without_a_good_version_is_served_again_once_there_is_one(
    store: Store, registry: Registry
) -> None:
    publish(store, 2)
    flip_a_bit(store, 1)
    await registry.refresh()
    with pytest.raises(NoGoodVersion):
        await registry.release("line")
    publish(store, 20)
    await registry.refresh()
    assert (await slope(registry), store.versions("line")) == (20, [2])


async def test_a_damaged_version_that_is_asked_for_is_refused_and_harms_no_other(
    store: Store, registry: Registry
) -> None:
    publish(store, 2, 20)
    await registry.refresh()
    flip_a_bit(store, 1)
    with pytest.raises(BundleDamaged):
        await registry.release("line", version=1)
    await registry.refresh()
    assert (await slope(registry), quarantined(store)) == (20, ["line-1"])
    with pytest.raises(UnknownVersion):
        await registry.release("line", version=1)


async def test_damage_after_loading_is_not_noticed_by_what_is_in_memory(store: Store, registry: Registry) -> None:
    publish(store, 2)
    await registry.refresh()
    flip_a_bit(store, 1)
    await registry.refresh()
    assert await slope(registry) == 2


async def test_a_version_whose_golden_rows_fail_here_is_refused_but_kept(store: Store) -> None:
    def other_device(saved: bytes, architecture: Architecture) -> LinearNetwork:
        """Return a network that computes only the second line a little differently."""
        network = LinearNetwork.from_bytes(saved, architecture)
        return LinearNetwork(network.k * np.float32(1.01)) if network.k.item() == 10 else network

    publish(store, 2, 20)
    registry = Registry(Store(store.root, other_device))
    await registry.refresh()
    assert await slope(registry) == 2
    assert (store.versions("line"), quarantined(store)) == ([1, 2], [])
    with pytest.raises(BundleDamaged, match="golden rows"):
        await registry.release("line", version=2)


async def test_when_all_up_to_the_champion_are_damaged_a_later_one_answers(store: Store, registry: Registry) -> None:
    publish(store, 2, 20)
    store.set_alias("line", "champion", 1)
    flip_a_bit(store, 1)
    for _ in range(2):
        await registry.refresh()
    assert await slope(registry) == 20


async def test_a_version_that_cannot_be_read_just_now_is_worth_another_try(store: Store) -> None:
    publish(store, 2, 20)
    async with serving(store) as client:
        with no_more_files():
            answers = [
                await client.post("/predict/line?version=1", json={"inputs": [1]}),
                await client.get("/patterns/line/versions/1"),
            ]
            assert await outputs_of(client, [1]) == [20.0]
        assert [refusal(answer) for answer in answers] == [(503, "store_unreadable")] * 2
        assert await outputs_of(client, [1], version=1) == [2.0]


async def test_a_store_whose_disk_goes_away_is_served_from_memory_until_it_is_back(
    store: Store, registry: Registry
) -> None:
    publish(store, 2, 20)
    await registry.refresh()
    away = store.root.rename(store.root.with_name("unmounted"))
    with pytest.raises(BundleUnreadable):
        await registry.refresh()
    with pytest.raises(BundleUnreadable):
        await registry.release("line", version=1)
    assert (registry.patterns, await slope(registry)) == (["line"], 20)
    away.rename(store.root)
    publish(store, 200)
    await registry.refresh()
    assert (await slope(registry), await slope(registry, version=1)) == (200, 2)


async def test_a_store_that_was_never_there_is_empty(registry: Registry) -> None:
    await registry.refresh()
    assert (registry.is_ready, registry.patterns) == (True, [])


async def test_a_fault_that_stays_is_logged_once_and_again_when_it_changes_or_comes_back(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    class Troubled(Store):
        """A store that raises the fault which it is given."""

        trouble: str | None = None

        def contents(self, pattern: str) -> Contents:
            if self.trouble is not None:
                raise BundleUnreadable(self.trouble)
            return super().contents(pattern)

    publish(store, 2)
    troubled = Troubled(store.root, LinearNetwork.from_bytes)
    registry = Registry(troubled)
    for trouble in ("EIO", "EIO", "EACCES", "EACCES", None, "EACCES"):
        troubled.trouble = trouble
        publish(store, 20)
        await registry.catch_up()
        await registry.catch_up()
    told = [record.exc_text for record in caplog.records if record.message == "cannot be followed"]
    assert len(told) == 3
    assert await slope(registry) == 20


async def test_a_store_that_stays_away_is_logged_once_each_time(
    store: Store, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    publish(store, 2)
    await registry.catch_up()
    for _ in range(2):
        away = store.root.rename(store.root.with_name("unmounted"))
        for _ in range(3):
            await registry.catch_up()
        away.rename(store.root)
        await registry.catch_up()
    assert sum(record.message == "the store cannot be read" for record in caplog.records) == 2


async def test_a_version_that_cannot_be_read_is_logged_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    class HalfReadable(Store):
        def load(self, pattern: str, version: int) -> Release:
            if version == 2:
                raise BundleUnreadable("the store cannot be read (Input/output error)")
            return super().load(pattern, version)

    publish(store, 2, 20)
    registry = Registry(HalfReadable(store.root, LinearNetwork.from_bytes))
    for _ in range(3):
        await registry.catch_up()
    assert (await slope(registry), sum(record.message == "refused" for record in caplog.records)) == (2, 1)


async def test_labels_that_get_damaged_change_nothing_of_what_answers(store: Store, registry: Registry) -> None:
    publish(store, 2, 20)
    store.set_alias("line", "champion", 1)
    await registry.refresh()
    (store.root / "line" / "labels.json").write_bytes(b"scratched")
    await registry.refresh()
    publish(store, 200, promote=False)
    await registry.refresh()
    assert (await slope(registry), await slope(registry, version=3)) == (2, 200)
    store.set_alias("line", "champion", 2)
    await registry.refresh()
    assert await slope(registry) == 20


async def test_labels_that_cannot_be_read_point_nowhere(store: Store, registry: Registry) -> None:
    publish(store, 2, 20)
    store.set_alias("line", "champion", 1)
    (store.root / "line" / "labels.json").write_bytes(b"scratched")
    await registry.refresh()
    assert (await slope(registry), await slope(registry, alias="champion")) == (20, 20)


# -- swaps ---------------------------------------------------------------------------------------------------------


async def test_a_release_that_is_in_use_outlives_its_swap_and_its_directory(store: Store, registry: Registry) -> None:
    publish(store, 2)
    await registry.refresh()
    in_flight = await registry.release("line")
    publish(store, *range(10, 20))
    await registry.refresh()
    publish(store, 20)
    assert store.versions("line") == [8, 9, 10, 11, 12]
    assert (in_flight.version, slope_of(in_flight), await slope(registry)) == (1, 2, 19)


async def test_what_is_loaded_is_kept_from_retention_until_it_is_let_go(tmp_path: Path) -> None:
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=1, disk=HastyDisk())
    publish(store, 2)
    registry = Registry(store)
    await registry.refresh()
    publish(store, 20)
    assert store.versions("line") == [1, 2]
    await registry.refresh()
    publish(store, 200)
    assert store.versions("line") == [2, 3]
    registry.close()
    publish(store, 2000)
    assert store.versions("line") == [4]


async def test_versions_that_are_asked_for_are_let_go_again_the_oldest_first(tmp_path: Path) -> None:
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=MOST_PINNED + 3, disk=HastyDisk())
    publish(store, *range(1, MOST_PINNED + 4))
    registry = Registry(store)
    await registry.refresh()
    for version in range(1, MOST_PINNED + 2):
        assert await slope(registry, version=version) == version
    narrow = Store(tmp_path, LinearNetwork.from_bytes, keep=1, disk=HastyDisk())
    publish(narrow, 1000)
    assert narrow.versions("line") == [*range(2, MOST_PINNED + 2), MOST_PINNED + 3, MOST_PINNED + 4]
    registry.close()


async def test_the_version_that_was_asked_for_least_recently_is_let_go_first(tmp_path: Path) -> None:
    store = Store(tmp_path, LinearNetwork.from_bytes, keep=MOST_PINNED + 2, disk=HastyDisk())
    publish(store, *range(1, MOST_PINNED + 3))
    registry = Registry(store)
    await registry.refresh()
    for version in (*range(1, MOST_PINNED + 1), 1, MOST_PINNED + 1):
        assert await slope(registry, version=version) == version
    narrow = Store(tmp_path, LinearNetwork.from_bytes, keep=1, disk=HastyDisk())
    publish(narrow, 1000)
    assert narrow.versions("line") == [1, *range(3, MOST_PINNED + 4)]
    registry.close()


async def test_forty_swaps_under_load_mix_nothing_and_lose_nothing(app: FastAPI, published: Store) -> None:
    swaps, clients = 40, 8
    done = asyncio.Event()
    seen: list[list[int]] = [[] for _ in range(clients)]

    async def ask(client: httpx.AsyncClient, versions: list[int]) -> None:
        while not done.is_set():
            x = len(versions) % 7 + 1
            answer = await client.post("/predict/line", json={"inputs": [x, 2 * x]})
            assert answer.status_code == 200, answer.text
            said = answer.json()
            # Version 1 is y = 2x; the slope of each later line is its version.
            slope = said["version"] if said["version"] > 1 else 2
            assert said["outputs"] == [slope * x, slope * 2 * x]
            versions.append(said["version"])
            await asyncio.sleep(0.004)

    async def swap() -> None:
        for number in range(2, swaps + 2):
            promote = number % 2 == 0
            version = published.publish(line(number), promote=promote)
            if not promote:
                published.set_alias("line", "champion", version)
            await app.state.parts.registry.refresh()
            assert app.state.parts.registry.champion("line").version == number
        done.set()

    async with client_of(app) as client, asyncio.TaskGroup() as tasks:
        for versions in seen:
            tasks.create_task(ask(client, versions))
        tasks.create_task(swap())
    assert all(versions == sorted(versions) for versions in seen)
    assert min(map(len, seen)) > 0
    assert len({version for versions in seen for version in versions}) > swaps / 4
