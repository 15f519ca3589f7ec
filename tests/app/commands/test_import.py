"""`patterns import`: files that cannot be taken are named, and nothing is written."""

from pathlib import Path

import pytest

from app.commands.export import ImportUnreadable, import_from
from models_store.errors import ImportRefused


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERNS_STORE", str(tmp_path / "store"))
    with pytest.raises(ImportUnreadable, match=r"nowhere\.zip cannot be read: No such file"):
        import_from(tmp_path / "nowhere.zip", promote=True)


def test_what_is_no_packed_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERNS_STORE", str(tmp_path / "store"))
    (tmp_path / "table.zip").write_bytes(b"PK no zip")
    with pytest.raises(ImportRefused, match="it is no whole zip file"):
        import_from(tmp_path / "table.zip", promote=True)
    assert not (tmp_path / "store").exists()
