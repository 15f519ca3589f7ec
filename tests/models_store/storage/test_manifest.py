"""Manifests: whatever happens to a version's files afterwards is found."""

import json
import os
from pathlib import Path
from random import Random

import pytest

from models_store.bundle import Bundle
from models_store.errors import BundleDamaged, BundleUnreadable
from models_store.storage import manifest

FILES = {"bundle.json": b'{"format": 1}', "golden.json": b"[1.5]", "network.keras": bytes(range(64))}


def written(directory: Path, files: dict[str, bytes]) -> Path:
    directory.mkdir(parents=True)
    for name, content in {**files, manifest.NAME: manifest.manifest_of("line", 7, files)}.items():
        (directory / name).write_bytes(content)
    return directory


@pytest.fixture
def version(tmp_path: Path) -> Path:
    return written(tmp_path / "line" / "7", FILES)


def verify(version: Path) -> dict[str, bytes]:
    return manifest.read_verified(version, "line", 7)


def test_an_untouched_version_is_read_whole(version: Path) -> None:
    assert verify(version) == FILES


def test_every_flipped_bit_of_every_file_is_found(version: Path) -> None:
    for path in version.iterdir():
        content = path.read_bytes()
        for bit in range(8 * len(content)):
            path.write_bytes(flipped(content, bit))
            with pytest.raises(BundleDamaged):
                verify(version)
        path.write_bytes(content)
    assert verify(version) == FILES


def test_a_flipped_bit_in_any_byte_of_a_real_version_is_found(tmp_path: Path, bundle: Bundle) -> None:
    version, random = written(tmp_path / "real", bundle.to_files()), Random(0)
    for path in version.iterdir():
        content = path.read_bytes()
        for byte in range(len(content)):
            path.write_bytes(flipped(content, 8 * byte + random.randrange(8)))
            with pytest.raises(BundleDamaged):
                verify(version)
        path.write_bytes(content)


def flipped(content: bytes, bit: int) -> bytes:
    return content[: bit // 8] + bytes([content[bit // 8] ^ 1 << bit % 8]) + content[bit // 8 + 1 :]


@pytest.mark.parametrize("name", [*FILES, manifest.NAME])
def test_a_missing_file_is_found(version: Path, name: str) -> None:
    (version / name).unlink()
    with pytest.raises(BundleDamaged, match=f"missing: {name}"):
        verify(version)


@pytest.mark.parametrize("name", ["extra.json", ".hidden", "network.keras~"])
def test_an_added_file_is_found(version: Path, name: str) -> None:
    (version / name).write_bytes(b"")
    with pytest.raises(BundleDamaged, match=f"added after the version was published: {name}"):
        verify(version)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b"", b"shorter", b"longer" * 100])
def test_a_file_edited_by_hand_is_found(version: Path, name: str, content: bytes) -> None:
    (version / name).write_bytes(content)
    with pytest.raises(BundleDamaged, match=name):
        verify(version)


def test_a_file_swapped_with_another_of_the_same_size_is_found(version: Path) -> None:
    (version / "network.keras").write_bytes(bytes(64))
    with pytest.raises(BundleDamaged, match=r"network\.keras was changed"):
        verify(version)


LINKED_MANIFEST = manifest.NAME


@pytest.mark.parametrize("name", [*FILES, LINKED_MANIFEST])
def test_a_link_to_the_right_content_is_refused(version: Path, tmp_path: Path, name: str) -> None:
    (version / name).rename(tmp_path / "elsewhere")
    (version / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleDamaged):
        verify(version)


@pytest.mark.parametrize("name", [*FILES, manifest.NAME])
def test_what_is_not_a_file_is_refused_without_waiting_for_it(version: Path, name: str) -> None:
    (version / name).unlink()
    os.mkfifo(version / name)
    with pytest.raises(BundleDamaged):
        verify(version)


def test_a_huge_manifest_is_not_read(version: Path) -> None:
    os.truncate(version / manifest.NAME, 1 << 40)
    with pytest.raises(BundleDamaged, match=r"MANIFEST\.json is no regular file, or larger than"):
        verify(version)


@pytest.mark.parametrize("facts", [None, [], {}, {"size": "x", "sha256": ""}, {"size": -1, "sha256": ""}], ids=str)
def test_a_manifest_that_says_something_else_of_a_file_is_found(version: Path, facts: object) -> None:
    files = dict.fromkeys(FILES, facts)
    forged = manifest.sealed({"format": manifest.FORMAT, "pattern": "line", "version": 7, "files": files})
    (version / manifest.NAME).write_bytes(forged)
    with pytest.raises(BundleDamaged):
        verify(version)


@pytest.mark.parametrize("edit", [{"version": 8}, {"pattern": "other"}, {"format": 2}, {"files": {}}, {"note": "mine"}])
def test_an_edited_manifest_is_found(version: Path, edit: dict[str, object]) -> None:
    sealed = json.loads((version / manifest.NAME).read_bytes())
    (version / manifest.NAME).write_bytes(json.dumps({**sealed, **edit}, sort_keys=True).encode())
    with pytest.raises(BundleDamaged, match=r"MANIFEST\.json was changed"):
        verify(version)


DEEP = b"[" * 100_000


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"7", b"\xff", b"{}", b'{"sha256": 1}', DEEP])
def test_a_manifest_that_is_none_is_found(version: Path, content: bytes) -> None:
    (version / manifest.NAME).write_bytes(content)
    with pytest.raises(BundleDamaged):
        verify(version)


@pytest.mark.parametrize(("pattern", "number"), [("line", 8), ("other", 7)])
def test_a_version_moved_to_another_place_is_refused(version: Path, pattern: str, number: int) -> None:
    with pytest.raises(BundleDamaged, match=r"MANIFEST\.json is of another format or belongs to another version"):
        manifest.read_verified(version, pattern, number)


def test_a_missing_version_is_damaged_and_an_unreadable_one_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BundleDamaged, match="missing: the directory of the version"):
        verify(tmp_path / "nothing")
    with pytest.raises(BundleUnreadable, match=r"cannot be read \(Not a directory\)"):
        verify(tmp_path / "file")
