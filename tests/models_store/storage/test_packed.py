"""A version as one zip file, and back: every change is found, and nothing is written then."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models_store.errors import ImportRefused
from models_store.storage import manifest, packed
from models_store.storage.store import Store
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line, rows

Files = dict[str, bytes]


@pytest.fixture
def content(store: Store) -> bytes:
    return store.packed("line", store.publish(line()))


@pytest.fixture
def other(tmp_path: Path) -> Store:
    return Store(tmp_path / "other", LinearNetwork.from_bytes, disk=HastyDisk())


def zipped(files: Files, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def files_in(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def listed(files: Files, **changes: object) -> Files:
    """Return the files with a manifest that has their hashes, and what else it should say."""
    plain = {name: content for name, content in files.items() if name != manifest.NAME}
    said = json.loads(manifest.manifest_of("line", 1, plain))
    del said["sha256"]
    return {**plain, manifest.NAME: manifest.sealed({**said, **changes})}


def repacked(files: Files, pattern: str = "line", **changes: bytes) -> bytes:
    """Return the files with some of them replaced, packed as a store packs them."""
    names = {"bundle": "bundle.json", "network": "network.keras"}
    plain = {name: content for name, content in files.items() if name != manifest.NAME}
    return packed.packed({**plain, **{names[name]: content for name, content in changes.items()}}, pattern, 1)


def test_a_version_goes_to_another_store_as_a_new_one(store: Store, other: Store, content: bytes) -> None:
    other.publish(line(20))
    assert other.add_packed(content) == ("line", 2)
    assert other.load("line", 2).bundle.predict(rows(3)).tolist() == [[6]]
    assert (other.champion("line"), store.versions("line")) == (2, [1])
    assert other.add_packed(content, promote=False) == ("line", 3)
    assert other.champion("line") == 2


def test_the_same_version_is_the_same_bytes(store: Store, content: bytes) -> None:
    assert store.packed("line", 1) == content


def test_every_changed_byte_is_found(other: Store, content: bytes) -> None:
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x5A
        with pytest.raises(ImportRefused):
            packed.unpacked(bytes(changed))
    with pytest.raises(ImportRefused):
        other.add_packed(content + b" ")
    assert not other.root.exists()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: b"sesame", "it is no whole zip file"),
        (lambda files: zipped(files)[:-30], "it is no whole zip file"),
        (lambda files: zipped({**files, "../../x": b""}), "../../x is not the name of a file of a version"),
        (lambda files: zipped({**files, "/etc/x": b""}), "/etc/x is not the name of a file of a version"),
        (lambda files: zipped({**files, "a\\b": b""}), "is not the name of a file of a version"),
        (lambda files: zipped({**files, "folder/": b""}), "folder/ is not the name of a file of a version"),
        (lambda files: zipped({**files, ".hidden": b""}), ".hidden is not the name"),
        (lambda files: zipped({**files, "more.json": b""}), "added after the version was published: more.json"),
        (lambda files: zipped({**files, "bundle.json": b"{}"}), "bundle.json does not have the size"),
        (lambda files: zipped({name: one for name, one in files.items() if name != "golden.json"}), "missing: golden"),
        (
            lambda files: zipped({name: files[name] for name in files if name != manifest.NAME}),
            "missing: MANIFEST.json",
        ),
        (lambda files: zipped({f"{number}.json": b"" for number in range(40)}), "it holds 40 files"),
        (lambda files: zipped(files, zipfile.ZIP_LZMA), "is compressed or encrypted"),
        (lambda files: zipped({**files, "bundle.json": bytes(8 << 20)}, zipfile.ZIP_DEFLATED), "is compressed"),
        (zipped, "a byte of it was changed, or it was packed by another program"),
        (lambda files: zipped(listed(files, format=2)), "MANIFEST.json is of format 2, and only 1 is read here"),
        (
            lambda files: repacked(files, bundle=files["bundle.json"].replace(b'"format": 1', b'"format": 9')),
            "bundle.json: format: found 9, and only 1 is read here; another release wrote it",
        ),
        (lambda files: repacked(files, network=b"[[9]]"), "golden.json: the network no longer answers"),
        (lambda files: repacked({**files, "run.py": b"import os"}), "it holds run.py, and a version has no files but"),
        (lambda files: repacked({**files, "bundle.JSON": b"{}"}), "it holds bundle.JSON, and a version has no files"),
        (lambda files: repacked(files, "other"), "its pattern is not the one that it was packed as"),
        (lambda files: repacked(files, "../x"), "its pattern is not the one that it was packed as"),
    ],
)
def test_what_is_not_a_packed_version_is_refused(
    other: Store, content: bytes, change: Callable[[Files], bytes], reason: str
) -> None:
    changed = change(files_in(content))
    with pytest.raises(ImportRefused) as refused:
        other.add_packed(changed)
    assert reason in str(refused.value)
    assert not other.root.exists()
