"""`patterns`: what it prints, and what it says when it cannot."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import uvicorn
from obstore.store import MemoryStore

from app.cli import NO_GUARANTEE, main
from app.commands import predict
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.bucket import Bucket
from models_store.storage.shared_store import SharedDatasets, SharedStore
from models_store.storage.store import Store
from models_store.tables.table import Kind
from tests.app.over_http import an_app, fork, pair
from tests.disks import HastyDisk
from tests.exported import probable
from tests.fakes import LinearNetwork, closed_form, line, sure
from tests.table_fakes import flowers, passengers, table_of

PROJECT = Path(__file__).parents[2]
Run = Callable[..., "Ran"]
PASSENGER = ["port=S", "crew=no", "boarded=1912-04-10", "note=third class", "age="]


class Ran:
    """The exit status of a command, and its output."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.out = out
        self.err = " ".join(err.split())


@pytest.fixture
def stocked(store: Store) -> Store:
    """`fork` and two versions of `pair`."""
    for bundle in (pair(), pair(), fork()):
        store.publish(bundle)
    return store


@pytest.fixture
def run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs `patterns` on the store, where nobody listens at the port of the settings."""
    monkeypatch.chdir(tmp_path)
    on_stop = signal.getsignal(signal.SIGTERM)
    cleaned = {name: value for name, value in os.environ.items() if not name.upper().startswith("PATTERNS_")}
    with socket.socket() as unused, mock.patch.dict(os.environ, cleaned, clear=True):
        unused.bind(("127.0.0.1", 0))
        os.environ |= {"PATTERNS_STORE": str(store.root), "PATTERNS_PORT": str(unused.getsockname()[1])}

        def run(*arguments: str, **settings: str) -> Ran:
            monkeypatch.setattr("sys.argv", ["patterns", *arguments])
            changed = {f"PATTERNS_{name.upper()}": value for name, value in settings.items()}
            with mock.patch.dict(os.environ, changed), pytest.raises(SystemExit) as ended:
                main()
            written = capsys.readouterr()
            return Ran(int(ended.value.code or 0), written.out, written.err)

        yield run
    signal.signal(signal.SIGTERM, on_stop)


# -- looking -------------------------------------------------------------------------------------------------------


def test_it_says_what_it_can_do(run: Run) -> None:
    ran = run("--help")
    assert ran.status == 0
    for command in ("serve", "train", "predict", "list", "show", "rollback", "reproduce"):
        assert f" {command} " in ran.out


def test_the_patterns_are_listed(stocked: Store, run: Run) -> None:
    ran = run("list")
    assert ran.status == 0
    for said in ("pair", "fork", "1, 2", "x1 + 2*x2", "up = x"):
        assert said in " ".join(ran.out.replace("│", " ").split())


def test_the_patterns_are_listed_for_programs(stocked: Store, run: Run) -> None:
    exact: dict[str, Any] = {"rmse": 0.0, "r2": 1.0}
    champion = {"champion": 1, "labels": {"champion": 1}}
    assert json.loads(run("list", "--json").out) == [
        {"pattern": "fork", "versions": [1], **champion, "formulas": {"up": "x", "down": "-x"}, **exact},
        {
            "pattern": "pair",
            "versions": [1, 2],
            "labels": {"champion": 2},
            "champion": 2,
            "formulas": {"y1": "x1 + 2*x2", "y2": "x1 - x2"},
            **exact,
        },
    ]


def test_an_empty_store_has_an_empty_list(run: Run) -> None:
    assert json.loads(run("list", "--json").out) == []
    assert run("list").status == 0


def test_a_pattern_without_a_good_version_is_listed_all_the_same(stocked: Store, run: Run) -> None:
    (stocked.root / "fork" / "1" / "bundle.json").write_bytes(b"scratched")
    facts = {"pattern": "fork", "versions": [1], "labels": {"champion": 1}, "champion": None, "rmse": None, "r2": None}
    assert json.loads(run("list", "--json").out)[0] == facts
    assert run("list").status == 0


def test_a_card_is_shown_with_formulas_scores_and_the_curve(stocked: Store, run: Run) -> None:
    ran = run("show", "pair")
    assert ran.status == 0
    for said in ("pair version 2", "a fake", "y1 = x1 + 2*x2", "A straight line is exact here.", "seed 0", "•"):
        assert said in ran.out


def test_a_card_is_shown_for_programs(stocked: Store, run: Run) -> None:
    said = json.loads(run("show", "pair", "--version", "1", "--json").out)
    bundle = pair()
    assert said == {
        "pattern": "pair",
        "version": 1,
        "card": bundle.card.model_dump(mode="json"),
        "recipe": bundle.recipe,
    }


def test_plots_are_written_into_a_directory(stocked: Store, run: Run, tmp_path: Path) -> None:
    ran = run("show", "pair", "--json", "--plots", str(tmp_path / "new" / "plots"))
    kinds = ("learning-curve", "predicted-vs-actual", "residuals")
    written = sorted(path.name for path in (tmp_path / "new" / "plots").iterdir())
    assert written == sorted(f"pair-2-{kind}.{picture}" for kind in kinds for picture in ("svg", "png"))
    assert json.loads(ran.out)["version"] == 2


def test_a_version_is_exported_into_a_file(store: Store, run: Run, tmp_path: Path) -> None:
    Store(store.root, OnnxNetwork.from_bytes).publish(probable())
    ran = run("export", "drawn", "--to", "python", engine="onnx")
    assert (ran.status, ran.out) == (0, "drawn-1.py\n")
    assert ran.err.startswith("tried on 1,008 rows: answers differ by ")
    assert b"version 1" in (tmp_path / "drawn-1.py").read_bytes()
    run("export", "drawn", "--version", "1", "--to", "python", "-o", "other.py", engine="onnx")
    assert (tmp_path / "other.py").read_bytes() == (tmp_path / "drawn-1.py").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("drawn", "--to", "cobol"), "error: there is no such export"),
        (("nothing", "--to", "python"), "error: no such pattern"),
        (("drawn", "--to", "python", "--version", "2"), "error: pattern drawn has no such version"),
        (("drawn", "--to", "python", "-o", "nowhere/x.py"), "error: nowhere/x.py cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_one_line(store: Store, run: Run, arguments: tuple[str, ...], words: str) -> None:
    Store(store.root, OnnxNetwork.from_bytes).publish(probable())
    ran = run("export", *arguments, engine="onnx")
    assert ran.status == 1
    assert ran.err.startswith(words)


@pytest.mark.parametrize("version", [(), ("--version", "1")])
@pytest.mark.parametrize("target", ["python", "bundle"])
def test_an_unloaded_pattern_is_not_exported(
    store: Store, run: Run, tmp_path: Path, target: str, version: tuple[str, ...]
) -> None:
    Store(store.root, OnnxNetwork.from_bytes).publish(probable())
    store.mark_unloaded("drawn")
    ran = run("export", "drawn", "--to", target, *version, engine="onnx")
    assert ran.err.startswith("error: pattern drawn was unloaded")
    assert not [*tmp_path.glob("drawn-1*")]


def test_settings_are_shown_and_nothing_is_served(run: Run) -> None:
    ran = run("serve", "--show-settings", "--port", "1234", "--set", "max_rows=7", admin_key="sesame")
    assert ran.status == 0
    text = " ".join(ran.out.replace("│", " ").split())
    for said in ("port 1234 flag", "max_rows 7 flag", "admin_key ******** environment", "workers 1 default"):
        assert said in text
    assert "sesame" not in ran.out + ran.err


# -- changing ------------------------------------------------------------------------------------------------------


def test_rolling_back_says_which_version_answers_now(stocked: Store, run: Run) -> None:
    ran = run("rollback", "pair")
    assert (ran.status, ran.out) == (0, "pair: version 1 is the champion\n")
    assert stocked.champion("pair") == 1
    again = run("rollback", "pair")
    assert (again.status, again.out) == (1, "")
    assert again.err == "error: version 1 of pair is the oldest good one; there is none before it"


def test_a_version_is_made_the_champion(stocked: Store, run: Run) -> None:
    ran = run("promote", "pair", "1")
    assert (ran.status, ran.out, stocked.champion("pair")) == (0, "pair: version 1 is the champion\n", 1)


def test_a_label_is_set_shown_and_taken_away(stocked: Store, run: Run) -> None:
    ran = run("label", "pair", "shadow", "1")
    assert (ran.status, ran.out, ran.err) == (0, "pair: shadow is version 1\n", "")
    assert stocked.aliases("pair") == {"champion": 2, "shadow": 1}
    assert "1 (shadow), 2" in run("list").out
    assert run("label", "pair", "shadow", "--remove").out == "pair: the label shadow is removed\n"
    assert stocked.aliases("pair") == {"champion": 2}


def test_a_shadow_that_is_asked_nothing_says_why(stocked: Store, run: Run) -> None:
    stocked.publish(replace(flowers(), pattern="pair"), promote=False)
    for version, why in ((3, "one of both has learned from a table"), (2, "it is the champion itself")):
        ran = run("label", "pair", "shadow", str(version))
        assert (ran.status, ran.out) == (0, f"pair: shadow is version {version}\n")
        assert f"warning: it is asked nothing: {why}" in ran.err
        assert stocked.aliases("pair")["shadow"] == version


@pytest.mark.parametrize(
    ("commands", "aliases"),
    [
        ([["rollback", "pair"]], {"champion": 1}),
        ([["promote", "pair", "1"]], {"champion": 1}),
        ([["label", "pair", "shadow", "1"]], {"champion": 2, "shadow": 1}),
        ([["label", "pair", "shadow", "1"], ["label", "pair", "shadow", "--remove"]], {"champion": 2}),
    ],
)
def test_with_a_bucket_labels_are_moved_there_for_all_servers(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]], aliases: dict[str, int]
) -> None:
    bucket = Bucket(MemoryStore())
    monkeypatch.setattr(Bucket, "at", lambda _: bucket)
    shared = SharedStore(store.root, LinearNetwork.from_bytes, bucket, disk=HastyDisk())
    for _ in range(2):
        shared.publish(pair())
    for command in commands:
        assert run(*command, store_url="s3://all/servers").status == 0
    assert (bucket.record("pair")[0].aliases, store.aliases("pair")) == (aliases, aliases)


def test_with_a_bucket_versions_are_deleted_there(store: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = Bucket(MemoryStore())
    monkeypatch.setattr(Bucket, "at", lambda _: bucket)
    shared = SharedStore(store.root, LinearNetwork.from_bytes, bucket, disk=HastyDisk())
    for _ in range(2):
        shared.publish(pair())
    assert run("delete", "pair", "--version", "1", store_url="s3://all/servers").status == 0
    assert ([*bucket.record("pair")[0].versions], store.versions("pair")) == ([2], [2])
    assert run("delete", "pair", store_url="s3://all/servers").status == 0
    assert ([*bucket.record("pair")[0].versions], store.patterns()) == ([], [])


def test_with_a_bucket_datasets_are_deleted_there(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bucket = Bucket(MemoryStore())
    monkeypatch.setattr(Bucket, "at", lambda _: bucket)
    table = tmp_path / "rents.csv"
    table.write_text("rooms,rent\n1,100\n2,200\n")
    datasets = SharedDatasets(store.root, bucket)
    stored = datasets.add(table, "csv", table.name)
    datasets.share(stored.id)
    assert run("datasets", "--delete", stored.id, store_url="s3://all/servers").status == 0
    assert (bucket.datasets(), datasets.ids()) == ({stored.id: True}, [])


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["promote", "pair", "9"], 1, "error: pattern pair has no such version; it has 1, 2"),
        (["promote", "pair", "0"], 2, "should be greater than or equal to 1"),
        (["promote", "unheard-of", "1"], 1, "error: no such pattern; there are fork, pair"),
        (["label", "pair", "Best!", "1"], 1, "error: a label is a lower-case letter"),
        (["label", "pair", "best"], 2, "give the version that the label is to point at, or --remove"),
        (
            ["label", "pair", "best", "1", "--remove"],
            2,
            "--remove takes the label away, whichever",
        ),
        (["label", "pair", "best", "--remove"], 1, "error: pattern pair has no such label; it has champion"),
        (["label", "pair", "champion", "--remove"], 1, "error: pair needs a champion"),
        (["train", "pair", "--promotion-tolerance", "0.1"], 2, "goes with --promotion if-better"),
        (["train", "--csv", "none.csv", "--promotion-tolerance", "0.1"], 2, "goes with --promotion if-better"),
        (["search", "--csv", "none.csv", "--tolerance", "0.1", "--no-promote"], 2, "goes with --promote if-better"),
        (["show", "unheard-of"], 1, "error: no such pattern; there are fork, pair"),
        (["show", "../pair"], 1, "error: no such pattern; there are fork, pair"),
        (["show", "pair", "--version", "9"], 1, "error: pattern pair has no such version; it has 1, 2"),
        (["show", "pair", "--version", "0"], 2, "Invalid value for '--version'"),
        (["export", "pair", "--to", "bundle", "--version", "0"], 2, "Invalid value for '--version'"),
        (["predict", "pair", "1", "2", "--version", "0"], 2, "Invalid value for '--version'"),
        (["predict", "pair", "--csv", "rows.csv", "--version", "0"], 2, "Invalid value for '--version'"),
        (["delete", "pair", "--version", "0"], 2, "Invalid value for '--version'"),
        (["rollback", "unheard-of"], 1, "error: no such pattern; there are fork, pair"),
        (["rollback", "fork"], 1, "there is none before it"),
        (["predict", "unheard-of", "1"], 1, "error: no such pattern; there are fork, pair"),
        (["predict", "pair", "--vresion", "2", "1"], 2, "there is no option --vresion"),
        (["predict", "pair", "--vresion=2", "1"], 2, "there is no option --vresion"),
        (["predict", "--vresion", "2", "pair", "1"], 2, "there is no option --vresion"),
        (["train", "nowhere.yaml"], 1, "error: nowhere.yaml: no such file"),
        (["train", "unheard-of"], 1, "error: no such pattern"),
        (["train"], 2, "name a pattern or a file"),
        (["reproduce", "unheard-of"], 1, "error: no such pattern"),
        (["serve", "--engine", "onnx", "--device", "gpu"], 1, "error: a GPU was asked for, and the engine onnx"),
        (["serve", "--set", "max_row=1"], 1, "error: max_row: no such setting"),
        (["serve", "--set", "max_rows=many"], 1, "error: max_rows: "),
        (["serve", "--port", "many"], 2, "--port"),
        (["sesame"], 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_no_trace(
    stocked: Store, run: Run, arguments: list[str], status: int, said: str
) -> None:
    ran = run(*arguments)
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_what_was_typed_is_not_taken_for_markup(run: Run) -> None:
    assert "error: [/x]: no such setting" in run("serve", "--set", "[/x]=1").err


def test_a_setting_that_makes_no_sense_is_one_line_for_every_command(run: Run) -> None:
    ran = run("list", workers="many")
    assert (ran.status, ran.err[:15]) == (1, "error: workers:")


def test_where_no_server_answers_the_store_is_asked(stocked: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.commands.predict.network_loader", lambda _settings: LinearNetwork.from_bytes)
    stocked.publish(passengers())
    ran = run("predict", "pair", "2", "1")
    assert (ran.status, ran.out) == (0, "y1 = 4, y2 = 1\n")
    tried = f"http://127.0.0.1:{os.environ['PATTERNS_PORT']}"
    assert ran.err == f"pair version 2, from the store; no server at {tried}"
    assert run("predict", "pair", "x2=1", "x1=2").out == ran.out
    assert run("predict", "pair", "-2", "-1e0").out == "y1 = -4, y2 = -1\n"
    assert run("predict", "pair", "--version", "1", "--", "-2", "-1").out == "y1 = -4, y2 = -1\n"
    assert run("predict", "passengers", *PASSENGER).out.startswith("survived = ")
    assert run("predict", "passengers", *PASSENGER[:3], "note=--cabin", "age=").status == 0
    refused = run("predict", "passengers", *PASSENGER[:-1], "age=old")
    assert (refused.status, refused.err) == (1, "error: row 0, column age: expected a number, found text")
    unknown = run("predict", "pair", "x2=1", "x1=2", "x3=4")
    assert (unknown.status, unknown.err) == (1, "error: column x3 is not among x1, x2; leave out what is not")


def test_a_table_is_answered_row_by_row(stocked: Store, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.commands.predict_file.network_loader", lambda _settings: LinearNetwork.from_bytes)
    Path("asked.csv").write_text("x1;x2\n2,5;1\n0;0\n")
    ran = run("predict", "pair", "--csv", "asked.csv", "--decimal", ",", "--out", "answers.jsonl")
    assert (ran.status, ran.out) == (0, "")
    assert Path("answers.jsonl").read_text() == '{"y1":4.5,"y2":1.5}\n{"y1":0.0,"y2":0.0}\n'
    tried = f"no server at http://127.0.0.1:{os.environ['PATTERNS_PORT']}"
    assert ran.err == f"2 rows written to answers.jsonl: pair version 2, from the store; {tried}"
    Path("more.csv").write_text("x1,x2,x3\n2.5,1,7\n")
    refused = run("predict", "pair", "--csv", "more.csv", "--out", "more.jsonl")
    assert refused.err.endswith("column x3 is not among x1, x2; leave out what is not, or say --ignore-extra")
    assert run("predict", "pair", "--csv", "more.csv", "--ignore-extra", "--out", "more.jsonl").status == 0
    assert Path("more.jsonl").read_text() == '{"y1":4.5,"y2":1.5}\n'
    both, neither = run("predict", "pair", "1", "2", "--csv", "asked.csv"), run("predict", "pair")
    assert both.status == neither.status == 2
    assert "not both" in both.err and "a table with --csv FILE" in neither.err


def test_a_port_in_use_is_said_before_anything_is_trained_or_loaded(run: Run) -> None:
    port = os.environ["PATTERNS_PORT"]
    ran = run("serve", "--train-missing")
    assert (ran.status, ran.out) == (1, "")
    said = f"error: port {port} of 127.0.0.1 is in use; stop what listens there, or choose another with --port"
    assert ran.err == said
    assert "cannot be listened on" in run("serve", host="nowhere.invalid").err


# As C code does that pybind11 makes: an exception out of a signal handler comes back as an ImportError.
SLOW_ENGINE = """
import time
print("importing", flush=True)
try:
    time.sleep(60)
except BaseException as error:
    raise ImportError("initialization failed") from error
"""


def test_a_server_that_is_stopped_while_it_imports_its_engine_ends_well(store: Store, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text(SLOW_ENGINE)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from app.cli import main; main()"
    started = subprocess.Popen(
        [sys.executable, "-c", code, "serve", "--engine", "onnx", "--store", str(store.root)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdout.readline() == "importing\n"
    started.terminate()
    _, said = started.communicate(timeout=50)
    assert (started.returncode, said) == (0, "")


# -- asking a running server ---------------------------------------------------------------------------------------


@pytest.fixture
def server(stocked: Store) -> Iterator[str]:
    """A server in a thread, on the fake network; its port."""
    stocked.publish(line())
    stocked.publish(passengers())
    app = an_app(stocked, predict_key="the-predict-key", log_level="error")
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while thread.is_alive() and not (server.started and app.state.parts.registry.is_ready):
        time.sleep(0.01)
    yield str(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()


def here(server: str) -> str:
    return f"http://127.0.0.1:{server}"


def test_a_running_server_is_asked(server: str, run: Run) -> None:
    def ask(*arguments: str, key: str = "the-predict-key") -> Ran:
        return run("predict", *arguments, port=server, predict_key=key)

    asked = ask("line", "-3")
    assert (asked.status, asked.out) == (0, "y = -6\n")
    assert asked.err.endswith(f"line version 1, from the server at {here(server)}")
    asked = ask("pair", "2", "1", "--version", "1")
    assert (asked.status, asked.out, asked.err) == (
        0,
        "y1 = 4, y2 = 1\n",
        f"pair version 1, from the server at {here(server)}",
    )
    refused = ask("pair", "1")
    assert (refused.status, refused.err) == (1, "error: pair takes 2 values: x1, x2")
    unknown = ask("unheard-of", "1")
    assert (unknown.status, unknown.err) == (1, "error: no such pattern; there are fork, line, pair, passengers")
    locked = ask("line", "1", key="sesame")
    assert (locked.status, locked.err) == (1, "error: this key is not valid for this address")


def test_the_server_at_another_address_is_asked(server: str, run: Run) -> None:
    asked = run("predict", "line", "1", "--url", f"{here(server)}/", predict_key="the-predict-key")
    assert (asked.status, asked.out, asked.err) == (0, "y = 2\n", f"line version 1, from the server at {here(server)}")
    wrong = run("predict", "line", "1", "--url", "localhost:8000")
    assert (wrong.status, wrong.err) == (
        1,
        "error: --url: write http://HOST:PORT, such as http://127.0.0.1:8000",
    )
    nonsense = run("predict", "line", "1", "--url", "http://127.0.0.1:many")
    assert (nonsense.status, nonsense.err) == (1, "error: there is no pattern server at http://127.0.0.1:many")


def test_a_value_outside_what_training_saw_is_answered_with_a_warning(
    server: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.commands.predict.network_loader", lambda _settings: LinearNetwork.from_bytes)
    warning = "warning: x2: outside what training saw; the answer is a guess"
    for port in (server, os.environ["PATTERNS_PORT"]):
        asked = run("predict", "pair", "1", "20", port=port, predict_key="the-predict-key")
        assert (asked.status, asked.out) == (0, "y1 = 41, y2 = -19\n")
        assert asked.err.startswith(f"{warning} pair version 2, from the s")


@pytest.mark.parametrize("by_recipe", [False, True])
@pytest.mark.parametrize(
    ("way", "out", "said"),
    [
        ("warn", "y = 40", "warning: x: outside what training saw; the answer is a guess"),
        ("clip", "y = 32", "warning: x: outside what training saw; its numbers were moved into the range of training"),
        ("formula", "y = 41", "warning: x: outside what training saw; the formula has answered"),
        (
            "reject",
            "",
            "error: row 0 is outside what training saw in x; the card has the ranges; leave such rows out, ",
        ),
    ],
)
def test_a_row_and_a_table_outside_what_training_saw_are_answered_as_asked(
    server: str,
    stocked: Store,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    by_recipe: bool,
    way: str,
    out: str,
    said: str,
) -> None:
    for module in ("predict", "predict_file"):
        monkeypatch.setattr(f"app.commands.{module}.network_loader", lambda _settings: LinearNetwork.from_bytes)
    bundle = line(2, "known")
    own = {"closed_forms": {"y": closed_form()}, "outside": way if by_recipe else None}
    stocked.publish(replace(bundle, card=bundle.card.model_copy(update=own)))
    asked = () if by_recipe else ("--outside", way)
    Path("asked.csv").write_text("x\n1\n20\n")
    for port in (server, os.environ["PATTERNS_PORT"]):
        one = run("predict", "known", "20", *asked, port=port, predict_key="the-predict-key")
        assert (one.out.strip(), one.err.startswith(said)) == (out, True)
        table = run("predict", "known", "--csv", "asked.csv", *asked, port=port, predict_key="the-predict-key")
        if way == "reject":
            assert one.err.endswith("or say --outside warn, clip or formula")
            assert table.err.startswith("error: row 1 is outside what training saw in x; the card has the ranges; ")
            assert table.err.endswith("or say --outside warn, clip or formula")
        else:
            assert table.out.split() == ["y", "2.0", f"{out.removeprefix('y = ')}.0"]
            assert table.err.startswith("warning: 1 row is outside what training saw; ")
    assert run("predict", "pair", "1", "20", "--outside", "formula").err.startswith(
        "error: outside: this version has no formula for each of its outputs"
    )
    assert run("predict", "pair", "1", "20", "--outside", "guess").status == 2


def test_a_row_and_a_table_are_answered_with_intervals_and_sets(
    server: str, stocked: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("predict", "predict_file"):
        monkeypatch.setattr(f"app.commands.{module}.network_loader", lambda _settings: LinearNetwork.from_bytes)
    for bundle in (line(2, "sure"), fork("sure-fork"), flowers("sure-flowers")):
        stocked.publish(sure(bundle))
    Path("x.csv").write_text("x\n1\n20\n")
    Path("flowers.csv").write_text("length,width\n1.5,0.25\n")

    for port in (server, os.environ["PATTERNS_PORT"]):

        def ask(*words: str, port: str = port) -> Ran:
            return run("predict", *words, port=port, predict_key="the-predict-key")

        assert ask("sure", "1", "--interval", "0.9").out == "y = 2 (-16 to 20)\n"
        assert (
            ask("sure-fork", "1", "--interval", "0.9", "--joint").out == "up = 1 (-18 to 20), down = -1 (-20 to 18)\n"
        )
        set_of = ask("sure-flowers", "length=1.5", "width=0.25", "--confidence", "0.9").out
        assert set_of.startswith("species = virginica {virginica, versicolor} (virginica 0.")
        far = ask("sure", "20", "--interval", "0.9")
        assert (far.out, NO_GUARANTEE in far.err) == ("y = 40 (22 to 58)\n", True)
        table = ask("sure", "--csv", "x.csv", "--interval", "0.9")
        assert table.out.split() == ["y,y_lower,y_upper", "2.0,-16.0,20.0", "40.0,22.0,58.0"]
        assert table.err.startswith("warning: 1 row is outside what training saw; its answer is a guess")
        assert NO_GUARANTEE in table.err
        sets = ask("sure-flowers", "--csv", "flowers.csv", "--confidence", "0.9")
        assert sets.out.splitlines() == ["species,species_set", 'virginica,"[""virginica"",""versicolor""]"']
        assert ask("sure-flowers", "--csv", "flowers.csv", "--confidence", "0.9", "--out", "a.npy").status == 1
        for words, said in (
            (("sure", "1", "--interval", "0.99"), "a level of 0.99 takes 99 calibration rows, and this version has 19"),
            (("sure", "1", "--interval", "1.5"), "interval: expected how often it is to hold, above 0 and below 1"),
            (("sure", "1", "--confidence", "0.9"), "confidence: this pattern answers numbers; ask for interval=0.9"),
            (("sure", "--csv", "x.csv", "--confidence", "0.9"), "confidence: this pattern answers numbers"),
            (("fork", "1", "--interval", "0.9"), "this version has no calibration, because an earlier release"),
        ):
            refused = ask(*words)
            assert refused.status == 1
            assert refused.err.startswith(f"error: {said}")


def test_what_was_published_a_moment_ago_is_waited_for(server: str, stocked: Store, run: Run) -> None:
    stocked.publish(line(3, "fresh"))
    asked = run("predict", "fresh", "1", port=server, predict_key="the-predict-key")
    assert (asked.out, asked.err) == ("y = 3\n", f"fresh version 1, from the server at {here(server)}")
    stocked.publish(line(4, "fresh"))
    asked = run("predict", "fresh", "1", "--version", "2", port=server, predict_key="the-predict-key")
    assert (asked.out, asked.err) == ("y = 4\n", f"fresh version 2, from the server at {here(server)}")
    unknown = run("predict", "fresh", "1", "--version", "9", port=server, predict_key="the-predict-key")
    assert (unknown.status, unknown.err) == (1, "error: pattern fresh has no such version; it has 1, 2")


def test_a_running_servers_answers_have_their_names(server: str, run: Run) -> None:
    assert run("predict", "fork", "2", port=server, predict_key="the-predict-key").out == "up = 2, down = -2\n"


def test_columns_of_a_table_are_named_and_labels_come_with_probabilities(server: str, run: Run) -> None:
    def ask(*values: str) -> Ran:
        return run("predict", "passengers", *values, port=server, predict_key="the-predict-key")

    bundle = passengers()
    no, yes = bundle.predict(table_of(bundle.kinds, [[None, "S", False, "1912-04-10", "third class"]]))[0]
    asked = ask(*PASSENGER)
    best = sorted([(no, "no"), (yes, "yes")], reverse=True)
    said = f"survived = {best[0][1]} ({', '.join(f'{label} {p:.3g}' for p, label in best)})"
    assert (asked.status, asked.out.strip(), asked.err) == (
        0,
        said,
        f"passengers version 1, from the server at {here(server)}",
    )
    assert ask(*PASSENGER[:-1]).out == asked.out
    assert ask("", "S", "false", "1912-04-10", "third class").out == asked.out
    refused = ask(*PASSENGER[1:], "harbour=S")
    assert (refused.status, refused.err[:36]) == (1, "error: column harbour is not among a")
    refused = ask(*PASSENGER[:-1], "age=old")
    assert (refused.status, refused.err) == (1, "error: row 0, column age: expected a number, found text")
    refused = ask("22", "S")
    assert refused.err == (
        "error: passengers takes 5 values: age, port, crew, boarded, note; name them, as column=value"
    )


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("number", "1.5", 1.5),
        ("number", "-3", -3.0),
        ("number", "1_000", "1_000"),
        ("boolean", "Yes", True),
        ("boolean", "1", "1"),
        ("category", "3", "3"),
        ("date", "2024-05-31", "2024-05-31"),
        ("text", "a = b", "a = b"),
        ("text", "NA", None),
        ("number", "", None),
    ],
)
def test_what_is_typed_is_read_by_the_kind_of_its_column(kind: Kind, typed: str, value: object) -> None:
    assert predict.record("a-pattern", {"x": kind}, [f"x={typed}"]) == {"x": value}
    assert predict.record("a-pattern", {"x": kind}, [typed]) == {"x": value}


def test_a_server_may_have_an_ipv6_address(stocked: Store, run: Run) -> None:
    ran = run("predict", "unheard-of", "1", host="::1")
    assert (ran.status, ran.err) == (1, "error: no such pattern; there are fork, pair")
