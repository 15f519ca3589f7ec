"""Settings: flags beat the environment, which beats `.env`, which beats defaults; keys are never shown."""

import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from pydantic import ValidationError
from rich.console import Console

from app.commands.serve import assignments, settings_from, settings_table
from app.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An environment without settings, in a directory of its own; variables that `settings_from` sets are removed."""
    monkeypatch.chdir(tmp_path)
    cleaned = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PATTERNS_", "AIP_"))}
    with mock.patch.dict(os.environ, cleaned, clear=True):
        yield


def shown(flags: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Return the value and the source of each setting, as `--show-settings` prints them."""
    text = io.StringIO()
    Console(file=text, width=300).print(settings_table(settings_from(flags), flags))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.getvalue().splitlines()]
    return {row[0]: (row[1], row[2]) for row in rows if len(row) == 4}


# -- where they come from ------------------------------------------------------------------------------------------


def test_without_anything_the_defaults_hold() -> None:
    settings = settings_from({})
    assert (settings.host, settings.port, settings.workers, settings.device) == ("127.0.0.1", 8000, 1, "auto")
    assert (settings.admin_key, settings.predict_key, settings.database_url, settings.default) == (None,) * 4
    assert (settings.max_body_bytes, settings.max_rows, settings.keep_versions) == (16 << 20, 100_000, 5)


def test_the_file_beats_the_default_the_environment_the_file_and_a_flag_them_all() -> None:
    assert settings_from({}).port == 8000
    Path(".env").write_text("PATTERNS_PORT=1111\nPATTERNS_MAX_ROWS=11\nOTHER=1\n")
    assert (settings_from({}).port, settings_from({}).max_rows) == (1111, 11)
    os.environ["PATTERNS_PORT"] = "2222"
    assert (settings_from({}).port, settings_from({}).max_rows) == (2222, 11)
    assert (settings_from({"port": "3333"}).port, settings_from({}).max_rows) == (3333, 11)


def test_flags_are_handed_on_to_worker_processes() -> None:
    settings_from({"port": "3333", "max_rows": "7"})
    assert (os.environ["PATTERNS_PORT"], os.environ["PATTERNS_MAX_ROWS"]) == ("3333", "7")
    assert (Settings().port, Settings().max_rows) == (3333, 7)


def test_names_in_the_environment_may_be_written_small() -> None:
    os.environ["patterns_port"] = "2222"  # noqa: SIM112  # that is the point
    assert settings_from({}).port == 2222
    assert shown({})["port"] == ("2222", "environment")


def test_an_empty_variable_sets_nothing() -> None:
    os.environ |= {"PATTERNS_PORT": "", "PATTERNS_ADMIN_KEY": "", "PATTERNS_DATABASE_URL": ""}
    settings = settings_from({})
    assert (settings.port, settings.admin_key, settings.database_url) == (8000, None, None)


def test_it_is_shown_where_each_setting_came_from() -> None:
    Path(".env").write_text("PATTERNS_MAX_ROWS=11\nPATTERNS_PORT=1111\n")
    os.environ["PATTERNS_WORKERS"] = "2"
    table = shown({"port": "3333"})
    assert list(table) == list(Settings.model_fields)
    assert table["port"] == ("3333", "flag")
    assert table["workers"] == ("2", "environment")
    assert table["max_rows"] == ("11", ".env")
    assert table["host"] == ("127.0.0.1", "default")
    assert table["database_url"] == ("", "default")


def test_a_long_value_is_folded_and_not_cut() -> None:
    text = io.StringIO()
    flags = {"store": f"/tmp/{'long' * 50}"}
    Console(file=text, width=80).print(settings_table(settings_from(flags), flags))
    cells = [line.split("│")[2].strip() for line in text.getvalue().splitlines() if line.startswith("│")]
    assert flags["store"] in "".join(cells)
    assert "…" not in text.getvalue()


def test_an_address_is_written_as_others_reach_it() -> None:
    assert Settings(host="::1", port=1).url == "http://[::1]:1"
    assert Settings(host="localhost").url == "http://localhost:8000"


def test_keys_and_passwords_are_not_shown() -> None:
    os.environ["PATTERNS_ADMIN_KEY"] = "sesame-admin"
    flags = {"predict_key": "sesame-predict", "database_url": "postgresql://me:sesame@host/db"}
    table = shown(flags)
    assert table["admin_key"] == ("********", "environment")
    assert table["predict_key"] == ("********", "flag")
    assert table["database_url"] == ("********", "flag")
    assert "sesame" not in str(table)
    assert "sesame" not in repr(settings_from(flags))
    assert settings_from(flags).jobs_url == "postgresql://me:sesame@host/db"


def test_vertex_ai_says_where_to_listen_unless_we_are_told() -> None:
    os.environ |= {
        "AIP_HTTP_PORT": "7000",
        "AIP_HEALTH_ROUTE": "/alive",
        "AIP_PREDICT_ROUTE": "/v1/endpoints/1:predict",
    }
    settings = settings_from({})
    assert (settings.port, settings.health_route) == (7000, "/alive")
    assert settings.predict_route == "/v1/endpoints/1:predict"
    assert shown({})["port"] == ("7000", "environment")
    Path(".env").write_text("PATTERNS_PORT=1111\n")
    assert settings_from({}).port == 1111
    assert shown({})["port"] == ("1111", ".env")
    os.environ |= {"AIP_HTTP_PORT": "", "AIP_PREDICT_ROUTE": ""}
    assert settings_from({}).predict_route is None


def test_an_address_that_vertex_ai_cannot_mean_is_refused() -> None:
    os.environ["AIP_PREDICT_ROUTE"] = "/{pattern}"
    with pytest.raises(SettingsError, match=r"^predict_route: "):
        settings_from({})


# -- what they may be ----------------------------------------------------------------------------------------------


def test_a_setting_is_assigned_by_its_name() -> None:
    assert assignments(["max_rows=1000", "default=a=b", "admin_key="]) == {
        "max_rows": "1000",
        "default": "a=b",
        "admin_key": "",
    }
    with pytest.raises(SettingsError, match=r"^max_row: no such setting; there are host, port, "):
        assignments(["max_rows=1", "max_row=1"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "sesame"),
        ("port", "-1"),
        ("port", "65536"),
        ("port", "80.5"),
        ("workers", "0"),
        ("device", "sesame"),
        ("engine", "sesame"),
        ("max_body_mb", "0"),
        ("max_body_mb", "4097"),
        ("max_rows", "0"),
        ("max_in_flight", "0"),
        ("answer_seconds", "0"),
        ("answer_seconds", "nan"),
        ("log_level", "sesame"),
        ("trainer_warm", "sesame"),
        ("trainer", "sesame"),
        ("database_url", "sesame"),
        ("database_url", "mysql://me:sesame@host/db"),
        ("database_url", "postgresql+sesame://host/db"),
        ("database_url", "postgresql://host:sesame/db"),
        ("store", "/dev/null"),
        ("store_url", "sesame"),
        ("store_url", "https://host/sesame"),
        ("store_url", "s3://"),
        ("store_url", "s3://user:sesame@host/prefix"),
        ("store_url", "s3://bucket/sesame?region=x"),
        ("default", "Sesame"),
        ("default", "open sesame"),
        ("admin_key", "  "),
        ("admin_key", "open sesame"),
        ("predict_key", "sesame\n"),
        ("predict_key", "sésame"),
        ("ray", "sesame"),
        ("ray", "ray://"),
        ("ray", "ray://host:10001/sesame"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        settings_from({name: value})
    assert str(refusal.value).startswith(f"{name}: ")
    assert "sesame" not in str(refusal.value)


def test_databases_that_are_known_are_taken() -> None:
    for url in ("sqlite:///jobs.db", "postgresql://me:sesame@host/db", "postgresql+psycopg://host/db"):
        assert settings_from({"database_url": url}).jobs_url == url


def test_a_bucket_may_have_a_prefix() -> None:
    for url in ("s3://bucket", "s3://my-bucket.eu/", "s3://bucket/team=a/patterns"):
        assert settings_from({"store_url": url}).store_url == url


def test_settings_do_not_change_while_they_are_used() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("192.168.1.1", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
        ("example.org", False),
        ("127.0.0.1.example", False),
        ("::ffff:192.168.1.1", False),
    ],
)
def test_only_this_machine_is_loopback(host: str, is_loopback: bool) -> None:
    assert Settings(host=host).is_loopback is is_loopback


def test_job_records_are_kept_in_the_store_unless_said_otherwise(tmp_path: Path) -> None:
    assert Settings(store=Path("here")).jobs_url == f"sqlite:///{tmp_path / 'here' / 'jobs.sqlite3'}"


def test_every_setting_says_what_it_means() -> None:
    for name, field in Settings.model_fields.items():
        assert re.fullmatch("[a-z_]+", name)
        assert field.description and len(field.description) < 100
