"""Places for the files of tables."""

from pathlib import Path

import pytest

from tests.models_store.tables.table_files import Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "table"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that the examples of a property write one after another."""
    return tmp_path_factory.mktemp("tables") / "table"
