"""`patterns predict NAME --csv FILE`: every row of a table, answered as the server answers it."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest
import uvicorn

from app.commands.answer_files import NoPlace
from app.commands.predict_file import Answered, Asked, answer_file
from app.commands.table_parts import Part, Refused
from app.formats.media_types import ARROW
from models_store.errors import PatternServerError, TableError
from models_store.storage.store import Store
from models_store.tables.csv_dialect import PLAIN, CsvDialect
from tests.app.over_http import an_app, pair
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork
from tests.table_fakes import passengers
from training.recipe.base import RecipeError

TRAVELLERS: dict[str, list[Any]] = {
    "age": [22.5, None, 54.0, 2.0, 31.25],
    "port": ["S", "C", None, "Aden", "Q"],
    "crew": [True, False, False, True, False],
    "boarded": ["1912-04-10", "1912-04-11", "1912-04-10", "1912-04-30", "1912-05-01"],
    "note": ["first class", "cabin, third", 'a "trip"', "té", "class"],
}
PAIRS: dict[str, list[Any]] = {"x1": [2.5, -1.0, 0.125, 1e-300], "x2": [1.0, 16.5, -0.0, 3.0]}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """`pair`, `passengers` and two versions of `twice` in the store of the settings; nobody listens at their port."""
    store = Store(tmp_path_factory.mktemp("fleet") / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (pair(), passengers(), pair("twice"), pair("twice")):
        store.publish(bundle)
    with pytest.MonkeyPatch.context() as changed, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        changed.setattr("app.commands.predict_file.network_loader", lambda _settings: LinearNetwork.from_bytes)
        changed.setenv("PATTERNS_STORE", str(store.root))
        changed.setenv("PATTERNS_PORT", str(unused.getsockname()[1]))
        yield store


@pytest.fixture(scope="module")
def url(fleet: Store) -> Iterator[str]:
    """The address of a server of the store."""
    app = an_app(fleet, log_level="error")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while thread.is_alive() and not (server.started and app.state.parts.registry.is_ready):
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


# -- questions -----------------------------------------------------------------------------------------------------


def with_semicolons(frame: pl.DataFrame, path: Path) -> None:
    text = frame.write_csv(separator=";", decimal_comma=True)
    path.write_bytes(text.encode("utf-16"))


def with_categories(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.col(pl.String).cast(pl.Categorical))


WRITTEN: dict[str, tuple[str, Callable[[pl.DataFrame, Path], Any], CsvDialect]] = {
    "CSV": ("asked.csv", lambda frame, path: frame.write_csv(path), PLAIN),
    "TSV": ("asked.tsv", lambda frame, path: frame.write_csv(path, separator="\t"), PLAIN),
    "CSV with decimal commas": ("asked.csv", with_semicolons, CsvDialect(";", ",", "utf-16")),
    "compressed CSV": (
        "asked.csv.gz",
        lambda frame, path: path.write_bytes(gzip.compress(frame.write_csv().encode())),
        PLAIN,
    ),
    "Parquet": ("asked.parquet", lambda frame, path: frame.write_parquet(path), PLAIN),
    "Parquet with categories": ("asked.parquet", lambda frame, path: with_categories(frame).write_parquet(path), PLAIN),
    "Arrow file": ("asked.arrow", lambda frame, path: frame.write_ipc(path), PLAIN),
    "Arrow file with categories": ("asked.arrow", lambda frame, path: with_categories(frame).write_ipc(path), PLAIN),
    "Arrow stream": ("asked.arrow", lambda frame, path: frame.write_ipc_stream(path), PLAIN),
    "JSON lines": ("asked.jsonl", lambda frame, path: frame.write_ndjson(path), PLAIN),
    "compressed JSON lines": (
        "asked.jsonl.gz",
        lambda frame, path: path.write_bytes(gzip.compress(frame.write_ndjson().encode())),
        PLAIN,
    ),
}


@pytest.mark.parametrize("pattern", ["pair", "passengers"])
@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("by_server", [False, True])
def test_every_kind_of_file_has_the_answers_of_the_server(
    url: str, tmp_path: Path, pattern: str, form: str, by_server: bool
) -> None:
    columns = PAIRS if pattern == "pair" else TRAVELLERS
    name, write, dialect = WRITTEN[form]
    write(pl.DataFrame(columns), tmp_path / name)
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    expected = httpx.post(f"{url}/predict/{pattern}", json={"inputs": rows}).json()["outputs"]
    asked = Asked(pattern, tmp_path / name, tmp_path / "answers.jsonl", url=url if by_server else None, dialect=dialect)
    done = answer_file(asked)
    assert [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()] == expected
    assert (done.rows, done.outside, done.version) == (len(rows), int(pattern == "passengers"), 1)
    assert done.source.startswith(f"from the server at {url}" if by_server else "from the store; no server at ")


# -- answers -------------------------------------------------------------------------------------------------------


def from_npy(path: Path) -> list[list[Any]]:
    rows: list[list[Any]] = np.load(path).tolist()
    return rows


READ: dict[str, Callable[[Path], list[list[Any]]]] = {
    ".csv": lambda path: [list(row) for row in pl.read_csv(path).rows()],
    ".jsonl": lambda path: [list(row) for row in pl.read_ndjson(path).rows()],
    ".parquet": lambda path: [list(row) for row in pl.read_parquet(path).rows()],
    ".arrow": lambda path: [list(row) for row in pl.read_ipc(path).rows()],
    ".npy": from_npy,
}


@pytest.mark.parametrize("ending", READ)
@pytest.mark.parametrize("by_server", [False, True])
@pytest.mark.parametrize(("pattern", "columns"), [("pair", PAIRS), ("passengers", TRAVELLERS)])
def test_answers_are_written_as_the_ending_says(
    url: str, tmp_path: Path, ending: str, by_server: bool, pattern: str, columns: dict[str, list[Any]]
) -> None:
    pl.DataFrame(columns).write_csv(tmp_path / "asked.csv")
    written = tmp_path / f"answers{ending}"
    answer_file(Asked(pattern, tmp_path / "asked.csv", written, url=url if by_server else None))
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    expected = httpx.post(f"{url}/predict/{pattern}", json={"inputs": rows}).json()["outputs"]
    assert READ[ending](written) == expected
    assert [path.name for path in tmp_path.iterdir() if "answers" in path.name] == [written.name]


@pytest.mark.parametrize("by_server", [False, True])
@pytest.mark.parametrize("name", ["asked.csv", "asked.jsonl", "asked.parquet"])
def test_labels_come_with_their_probabilities(url: str, tmp_path: Path, by_server: bool, name: str) -> None:
    write = {"asked.csv": "write_csv", "asked.jsonl": "write_ndjson", "asked.parquet": "write_parquet"}[name]
    getattr(pl.DataFrame(TRAVELLERS), write)(tmp_path / name)
    where = url if by_server else None
    answer_file(Asked("passengers", tmp_path / name, tmp_path / "answers.csv", url=where, probabilities=True))
    body = pl.DataFrame(TRAVELLERS).write_csv().encode()
    answer = httpx.post(
        f"{url}/predict/passengers?probabilities=true", content=body, headers={"content-type": "text/csv"}
    )
    assert (tmp_path / "answers.csv").read_bytes() == answer.content


@pytest.mark.parametrize("by_server", [False, True])
def test_an_array_of_probabilities_holds_them_alone(url: str, tmp_path: Path, by_server: bool) -> None:
    pl.DataFrame(TRAVELLERS).write_csv(tmp_path / "asked.csv")
    where = url if by_server else None
    for ending in ("csv", "npy"):
        written = tmp_path / f"answers.{ending}"
        answer_file(Asked("passengers", tmp_path / "asked.csv", written, url=where, probabilities=True))
    expected = pl.read_csv(tmp_path / "answers.csv").drop("survived", strict=False).select(pl.selectors.contains("="))
    np.testing.assert_array_equal(np.load(tmp_path / "answers.npy"), expected.to_numpy())


@pytest.mark.parametrize("by_server", [False, True])
@pytest.mark.parametrize("name", ["asked.csv", "asked.jsonl", "asked.parquet", "asked.arrow"])
def test_columns_that_are_not_known_are_refused_with_the_option_that_ignores_them(
    url: str, tmp_path: Path, by_server: bool, name: str
) -> None:
    write = {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet", "arrow": "write_ipc"}
    getattr(pl.DataFrame({"fare": [1] * 4} | PAIRS), write[name.partition(".")[2]])(tmp_path / name)
    where = url if by_server else None
    with pytest.raises(Refused, match=r"column fare is not among x1, x2; leave out .*, or say --ignore-extra$"):
        answer_file(Asked("pair", tmp_path / name, tmp_path / "answers.csv", url=where))
    done = answer_file(Asked("pair", tmp_path / name, tmp_path / "answers.csv", url=where, ignores_extra=True))
    assert done.rows == 4


def test_without_a_file_to_write_answers_are_a_csv_on_standard_output(
    fleet: Store, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "asked.csv").write_text("x2,x1\n1,2\n0,0\n")
    done = answer_file(Asked("pair", tmp_path / "asked.csv"))
    assert capsysbinary.readouterr().out == b"y1,y2\n4.0,1.0\n0.0,0.0\n"
    assert isinstance(done, Answered)


@pytest.mark.parametrize("by_server", [False, True])
def test_columns_without_names_are_those_of_the_pattern_in_order(url: str, tmp_path: Path, by_server: bool) -> None:
    (tmp_path / "asked.csv").write_text("2,1\n0,0\n")
    where, dialect = url if by_server else None, CsvDialect(header="absent")
    answer_file(Asked("pair", tmp_path / "asked.csv", tmp_path / "answers.csv", url=where, dialect=dialect))
    assert (tmp_path / "answers.csv").read_text() == "y1,y2\n4.0,1.0\n0.0,0.0\n"
    (tmp_path / "asked.csv").write_text("2,1,3\n")
    with pytest.raises(Refused, match=r"line 1: columns x1, x2 are missing"):
        answer_file(Asked("pair", tmp_path / "asked.csv", tmp_path / "answers.csv", url=where, dialect=dialect))


@pytest.mark.parametrize("ending", READ)
def test_many_parts_are_one_table(fleet: Store, tmp_path: Path, ending: str) -> None:
    numbers = np.arange(50_000) / 4
    for name, write in (("asked.csv", "write_csv"), ("asked.parquet", "write_parquet")):
        getattr(pl.DataFrame({"x1": numbers, "x2": numbers[::-1]}), write)(tmp_path / name)
        assert answer_file(Asked("pair", tmp_path / name, tmp_path / f"answers{ending}")).rows == 50_000
        answers = np.array(READ[ending](tmp_path / f"answers{ending}"))
        np.testing.assert_array_equal(answers[:, 1], numbers - numbers[::-1])


# -- refusals ------------------------------------------------------------------------------------------------------


def many(bad: str, at: int, n_rows: int = 60_000) -> str:
    lines = ["1.5,2.5"] * n_rows
    lines[at] = bad
    return "\n".join(["x1,x2", *lines])


@pytest.mark.parametrize("by_server", [False, True])
def test_an_error_says_where_it_is_in_the_file_and_nothing_is_left_behind(
    url: str, tmp_path: Path, by_server: bool
) -> None:
    where = url if by_server else None
    (tmp_path / "asked.csv").write_text(many("1.5,many", 50_000))
    pl.DataFrame({"x1": [1.5] * 50_000, "x2": [1.0] * 49_999 + [None]}).write_parquet(tmp_path / "asked.parquet")
    lines = ['{"x1": 1, "x2": 2}'] * 50_000 + ['{"x1": 1, "x2": "a"}']
    (tmp_path / "asked.jsonl").write_text("\n".join(lines))
    for name, said in (
        ("asked.csv", "line 50002, column x2: expected a number, found text"),
        ("asked.parquet", "column x2: expected numbers, found null"),
        ("asked.jsonl", "row 50000, column x2: expected a number, found text"),
    ):
        with pytest.raises(Refused) as refused:
            answer_file(Asked("pair", tmp_path / name, tmp_path / "answers.npy", url=where))
        assert str(refused.value) == said
    assert sorted(path.name for path in tmp_path.iterdir() if "answers" in path.name) == []


def test_a_name_that_reads_like_a_place_stays_as_it_is(fleet: Store, tmp_path: Path) -> None:
    frame = pl.DataFrame({"x1": [1.5] * 40_000, "x2": [1.0] * 40_000, "row 7": [1] * 40_000})
    frame.write_parquet(tmp_path / "asked.parquet")
    part = Part(b"", ARROW, 1.0, rows_before=16_384, lines_before=20)
    for said, expected in (
        ("column row 7 is not among x1, x2", "column row 7 is not among x1, x2"),
        ("row 3, column row 7: expected a number", "row 16387, column row 7: expected a number"),
        ("row 3: a value is too large", "row 16387: a value is too large"),
        ("line 5: column line 6 is missing", "line 25: column line 6 is missing"),
        ("the body is not JSON: line 2, column 4", "the body is not JSON: line 22, column 4"),
    ):
        with pytest.raises(Refused) as refused, part.placed():
            raise TableError(said)
        assert str(refused.value) == expected
    with pytest.raises(Refused, match="column row 7 is not among x1, x2"):
        answer_file(Asked("pair", tmp_path / "asked.parquet", tmp_path / "answers.csv"))


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("gone.csv", None, TableError, "gone.csv: no such file"),
        ("asked.xls", "x1,x2\n1,2\n", RecipeError, "asked.xls: a table is a file that ends with .csv"),
        ("asked.csv", "x1,x2\n1\n", TableError, "line 2: expected 2 fields, found 1"),
        ("asked.csv", "x1,x2\n", TableError, "asked.csv: the table has columns and no rows"),
        ("asked.csv", "x1,x3\n1,2\n", Refused, "line 1: column x2 is missing"),
        ("asked.parquet", "x1,x2\n1,2\n", TableError, "the file cannot be read as Parquet"),
        ("asked.arrow", "x1,x2\n1,2\n", TableError, "the file cannot be read as Arrow"),
        ("asked.csv", "x1,x2,row 7\n1,2,3\n", Refused, "line 1: column row 7 is not among x1, x2"),
        ("asked.jsonl", '[1, 2]\n{"x1": 1}\n', Refused, "row 1"),
        ("asked.jsonl", "[1, 2]\n[3, 4]\n[5, }\n", Refused, "the body is not JSON: line 3, column 5"),
        ("asked.jsonl", "[1, ]\n", Refused, "the body is not JSON: line 1, column 5"),
        ("asked.jsonl", "[1, 2], [3, 4]\n[5, 6]\n", Refused, "from row 0 on: 2 lines hold 3 rows"),
        ("asked.jsonl", "", TableError, "asked.jsonl: the table has columns and no rows"),
    ],
)
def test_a_file_that_cannot_be_answered_is_refused(
    fleet: Store, tmp_path: Path, name: str, content: str | None, error: type[PatternServerError], said: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(error) as refused:
        answer_file(Asked("pair", tmp_path / name, tmp_path / "answers.csv"))
    assert str(refused.value).startswith(said)
    assert not (tmp_path / "answers.csv").exists()


def test_an_ending_that_names_no_format_is_refused_before_anything_is_asked(fleet: Store, tmp_path: Path) -> None:
    with pytest.raises(NoPlace, match=r"--out: the name of the file must end with \.csv, "):
        answer_file(Asked("unheard-of", tmp_path / "gone.csv", tmp_path / "answers.xls"))


def test_a_folder_that_is_not_there_is_refused_before_anything_is_asked(fleet: Store, tmp_path: Path) -> None:
    with pytest.raises(NoPlace, match=r"--out: there is no folder .*nowhere; make it first"):
        answer_file(Asked("unheard-of", tmp_path / "gone.csv", tmp_path / "nowhere" / "answers.csv"))


@pytest.mark.parametrize(("named", "answering"), [(1, 1), (None, 2)])
def test_the_version_that_is_named_answers_or_the_champion(
    url: str, tmp_path: Path, named: int | None, answering: int
) -> None:
    pl.DataFrame(PAIRS).write_csv(tmp_path / "asked.csv")
    for where in (None, url):
        assert (
            answer_file(Asked("twice", tmp_path / "asked.csv", tmp_path / "a.csv", named, where)).version == answering
        )


def test_a_file_of_a_format_without_parts_is_read_whole(fleet: Store, tmp_path: Path) -> None:
    lines = ["@relation pairs", "@attribute x1 numeric", "@attribute x2 numeric", "@data", "2,1", "0,0"]
    (tmp_path / "asked.arff").write_text("\n".join(lines))
    answer_file(Asked("pair", tmp_path / "asked.arff", tmp_path / "answers.csv"))
    assert (tmp_path / "answers.csv").read_text() == "y1,y2\n4.0,1.0\n0.0,0.0\n"
