"""A real PostgreSQL for the tests: the machine's own programs, in a temporary directory, on a free port.

`make postgresql` installs it where it may; without it the tests are skipped.
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path

import psycopg
import pytest

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"
START_SECONDS = 60
# These databases need not survive a power cut.
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Postgres:
    """A server; a database is named by its address, `postgresql://user@host:port/name`."""

    def __init__(self, port: int, command: list[str | Path], home: Path) -> None:
        self._port = port
        self._command = command
        self._home = home
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._home, stderr=log, user=_owner())
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(psycopg.OperationalError):
                self.execute("SELECT 1")
                return
            time.sleep(0.05)
        raise AssertionError((self._home / "log").read_text())

    def kill(self) -> None:
        """End the server at once, without tidying up: as after a power cut, the next start recovers its files."""
        assert self._process is not None
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    @cached_property
    def shared(self) -> str:
        return self.new_database()

    def new_database(self) -> str:
        """Create an empty database, and return its address as an operator would write it."""
        name = f"jobs{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.address(name)

    def address(self, database: str, user: str = USER) -> str:
        return f"postgresql://{user}@127.0.0.1:{self._port}/{database}"

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def disconnect(self, address: str) -> None:
        """Close every connection to a database, as a restart would."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(address)}'")

    @contextmanager
    def unreachable(self, address: str) -> Iterator[None]:
        """Close all connections to the database, and refuse new ones while this lasts."""
        self.execute(f"ALTER DATABASE {_name(address)} ALLOW_CONNECTIONS false")
        self.disconnect(address)
        try:
            yield
        finally:
            self.execute(f"ALTER DATABASE {_name(address)} ALLOW_CONNECTIONS true")


def _name(address: str) -> str:
    return address.rpartition("/")[2]


@contextmanager
def running() -> Iterator[Postgres]:
    """Start a server and stop it again. Skips the test where PostgreSQL is not installed."""
    programs = _programs() or pytest.skip("PostgreSQL is not installed; root gets it by `make postgresql`")
    with _own_directory() as home:
        _run_as_owner([programs / "initdb", "-D", home / "data", "-U", USER, *_initial()], home)
        port = _free_port()
        options = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": home, **HASTY}
        flags = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        server = Postgres(port, [programs / "postgres", "-D", home / "data", *flags], home)
        try:
            server.start()
            yield server
        finally:
            server.kill()


def _programs() -> Path | None:
    """Return the directory of the newest initdb; None if there is none."""
    debian = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _initial() -> list[str]:
    return ["--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"]


def _owner() -> str | None:
    """Return the user that runs the server: PostgreSQL refuses root; None is the user of the tests."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(USER).pw_name
    pytest.skip(f"PostgreSQL may not be run by root, and there is no user {USER}")


@contextmanager
def _own_directory() -> Iterator[Path]:
    # Not pytest's tmp_path: other users cannot enter that one.
    with tempfile.TemporaryDirectory(prefix="patterns-postgres-") as home:
        if (owner := _owner()) is not None:
            shutil.chown(home, owner)
        yield Path(home)


def _run_as_owner(command: list[str | Path], home: Path) -> None:
    ran = subprocess.run(command, check=False, cwd=home, capture_output=True, text=True, user=_owner())
    assert ran.returncode == 0, ran.stderr


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
