"""Uploaded tables: each once, whole or not at all, and as it was uploaded or not at all."""

import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from models_store.errors import DatasetDamaged, DiskFull, StoreUnwritable, TableError, UnknownDataset
from models_store.storage.datasets import Datasets, Stored
from models_store.storage.disk import Disk
from models_store.storage.store import Store
from models_store.tables import csv_files
from models_store.tables.column_facts import ColumnFacts
from tests.disks import HastyDisk, LedgerDisk, StrickenDisk, fails
from tests.fakes import LinearNetwork

CSV = "size,colour\n1,red\n2,blue\n3,red\n"
COLUMNS = (
    ColumnFacts("size", "number", 0, 3, [1, 2, 3]),
    ColumnFacts("colour", "category", 0, 2, ["red", "blue"], labels=True),
)
OPERATIONS = 7


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shirts.csv"
    path.write_text(CSV)
    return path


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    return Datasets(tmp_path / "store", HastyDisk())


def leftovers(datasets: Datasets) -> list[Path]:
    return list(datasets.root.glob(".tmp-*"))


def test_a_table_is_kept_with_what_its_columns_were_taken_for(datasets: Datasets, file: Path) -> None:
    stored = datasets.add(file, "csv", "shirts")
    assert stored == Stored(stored.id, "shirts", 3, COLUMNS, stored.created)
    assert datasets.get(stored.id) == stored
    assert datasets.frame(stored.id).to_dict(as_series=False) == {"size": [1, 2, 3], "colour": ["red", "blue", "red"]}
    assert list(datasets.list()) == [stored]
    assert Datasets(datasets.root).get(stored.id) == stored
    assert leftovers(datasets) == []


def test_the_same_content_is_there_once(datasets: Datasets, file: Path, tmp_path: Path) -> None:
    first = datasets.add(file, "csv", "shirts")
    again = file.rename(tmp_path / "again.csv")
    assert datasets.add(again, "csv", "others") == first
    again.write_text(CSV + "4,red\n")
    assert datasets.add(again, "csv").id != first.id
    assert len(datasets.ids()) == 2


def test_a_file_that_is_no_table_leaves_nothing(datasets: Datasets, file: Path) -> None:
    file.write_text("a,b\n1\n")
    with pytest.raises(TableError, match="line 2"):
        datasets.add(file, "csv")
    assert datasets.ids() == []


@pytest.mark.parametrize("dataset", ["0" * 32, "", "..", "../store", "A" * 32, "0" * 31 + "\n"])
def test_what_is_not_there_is_said_with_what_is(datasets: Datasets, file: Path, dataset: str) -> None:
    stored = datasets.add(file, "csv")
    for ask in (datasets.get, datasets.frame, datasets.delete):
        with pytest.raises(UnknownDataset, match=stored.id):
            ask(dataset)


def test_a_table_can_be_deleted_and_uploaded_again(datasets: Datasets, file: Path) -> None:
    stored = datasets.add(file, "csv")
    datasets.delete(stored.id)
    assert datasets.ids() == []
    assert leftovers(datasets) == []
    assert datasets.add(file, "csv").id == stored.id


@pytest.mark.parametrize(
    ("name", "says"), [("table.parquet", "its table was changed"), ("dataset.json", "its facts (were changed|cannot)")]
)
@pytest.mark.parametrize("place", [0, 40, -1])
def test_one_changed_bit_is_found(datasets: Datasets, file: Path, name: str, says: str, place: int) -> None:
    stored = datasets.add(file, "csv")
    path = datasets.root / ".datasets" / stored.id / name
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DatasetDamaged, match=says):
        datasets.frame(stored.id)
    datasets.delete(stored.id)


@pytest.mark.parametrize("name", ["table.parquet", "dataset.json"])
def test_a_missing_file_is_found_and_does_not_hide_other_tables(datasets: Datasets, file: Path, name: str) -> None:
    damaged = datasets.add(file, "csv")
    (datasets.root / ".datasets" / damaged.id / name).unlink()
    file.write_text("a\n1\n2\n")
    good = datasets.add(file, "csv")
    with pytest.raises(DatasetDamaged):
        datasets.frame(damaged.id)
    assert good in datasets.list()


@pytest.mark.parametrize("name", ["table.parquet", "dataset.json"])
@pytest.mark.parametrize("damage", ["changed", "missing", "pipe"])
def test_a_damaged_table_is_whole_again_once_it_is_uploaded_again(
    datasets: Datasets, file: Path, name: str, damage: str
) -> None:
    stored = datasets.add(file, "csv", "shirts")
    path = datasets.root / ".datasets" / stored.id / name
    path.unlink()
    if damage == "pipe":
        os.mkfifo(path)
    elif damage == "changed":
        path.write_bytes(b"{}")
    with pytest.raises(DatasetDamaged, match="upload it again"):
        datasets.frame(stored.id)
    assert [table.id for table in datasets.list()] == ([stored.id] if name == "table.parquet" else [])
    assert datasets.add(file, "csv", "healed").name == "healed"
    assert datasets.frame(stored.id).height == 3
    assert leftovers(datasets) == []


def test_whether_a_first_row_is_data_is_not_asked_again_of_a_stored_table(
    datasets: Datasets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "years.csv").write_text("2019,2020\n1,2\n3,4\n")
    with monkeypatch.context() as before_it_was_asked:
        before_it_was_asked.setattr(csv_files, "looks_like_data", lambda _frame: False)
        stored = datasets.add(path, "csv")
    assert datasets.add(path, "csv") == stored
    (datasets.root / ".datasets" / stored.id / "table.parquet").write_bytes(b"damaged")
    assert datasets.add(path, "csv").columns == stored.columns
    assert datasets.frame(stored.id).columns == ["2019", "2020"]
    datasets.delete(stored.id)
    with pytest.raises(TableError, match="looks like a row and not like names"):
        datasets.add(path, "csv")


def test_a_table_that_is_deleted_while_it_is_uploaded_again_is_uploaded(datasets: Datasets, file: Path) -> None:
    first = datasets.add(file, "csv")

    class Meanwhile(Datasets):
        def _facts(self, dataset: str) -> tuple[Stored, str]:
            facts = super()._facts(dataset)
            if dataset in datasets.ids():
                datasets.delete(dataset)
            return facts

    assert Meanwhile(datasets.root, HastyDisk()).add(file, "csv").id == first.id
    assert datasets.ids() == [first.id]


def test_many_tables_are_listed_by_looking_once_at_each(datasets: Datasets, file: Path) -> None:
    first = datasets.add(file, "csv")
    source = datasets.root / ".datasets" / first.id
    for number in range(50):
        shutil.copytree(source, datasets.root / ".datasets" / f"{number:032x}")

    class Counting(Datasets):
        looked = 0

        def ids(self) -> Sequence[str]:
            self.looked += 1
            return super().ids()

    counting = Counting(datasets.root)
    assert len(counting.list()) == 51
    assert counting.looked == 1


def test_the_store_takes_no_table_for_a_pattern(store: Store, file: Path) -> None:
    stored = Datasets(store.root).add(file, "csv")
    assert store.patterns() == []
    assert store.recover() == []
    assert Datasets(store.root).get(stored.id) == stored


class FullDisk(HastyDisk):
    def check_space(self, directory: Path, size: int) -> None:
        raise DiskFull


def test_a_full_disk_is_noticed_before_anything_is_written(datasets: Datasets, file: Path) -> None:
    full = Datasets(datasets.root, FullDisk())
    with pytest.raises(DiskFull):
        full.add(file, "csv")
    assert datasets.ids() == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("n", range(1, OPERATIONS + 1))
def test_a_disk_that_fails_leaves_the_whole_table_or_none(datasets: Datasets, file: Path, n: int, when: str) -> None:
    datasets.root.mkdir()
    disk = StrickenDisk(n, fails(errno.EIO), "before" if when == "before" else "after")
    with pytest.raises(StoreUnwritable):
        Datasets(datasets.root, disk).add(file, "csv")
    Store(datasets.root, LinearNetwork.from_bytes).recover()
    assert leftovers(datasets) == []
    for dataset in datasets.ids():
        datasets.frame(dataset)
    assert datasets.frame(datasets.add(file, "csv").id).height == 3


def test_a_table_that_was_acknowledged_survives_a_power_cut(datasets: Datasets, file: Path) -> None:
    datasets.root.mkdir()
    disk = LedgerDisk()
    Datasets(datasets.root, disk).add(file, "csv")
    assert disk.lost_in_a_power_cut() == set()


def test_a_file_to_upload_into_has_no_name_and_can_be_read(datasets: Datasets) -> None:
    with datasets.receiving() as file:
        file.write(CSV.encode())
        file.flush()
        assert list(datasets.root.iterdir()) == []
        stored = datasets.add(Path(f"/dev/fd/{file.fileno()}"), "csv")
    assert stored.rows == 3


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_other_formats_can_be_read_from_such_a_file_as_well(datasets: Datasets, form: str) -> None:
    frame = pl.DataFrame({"size": [1, 2, 3], "colour": ["red", "blue", "red"]})
    with datasets.receiving() as file:
        frame.write_parquet(file) if form == "parquet" else frame.write_ipc_stream(file)
        file.flush()
        stored = datasets.add(Path(f"/dev/fd/{file.fileno()}"), "parquet" if form == "parquet" else "arrow")
    assert stored.columns == COLUMNS
    assert datasets.frame(stored.id).equals(frame)


def test_the_disk_is_a_real_one_unless_said_otherwise(tmp_path: Path, file: Path) -> None:
    datasets = Datasets(tmp_path / "new" / "store")
    assert isinstance(datasets._disk, Disk)
    assert datasets.add(file, "csv").rows == 3
