"""`patterns serve`: flags become settings, settings become a running uvicorn."""

import contextlib
import errno
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import uvicorn
from dotenv import dotenv_values
from pydantic import SecretStr
from rich.table import Table

from app.commands.train import missing_specs, train_all
from app.commands.wording import folding_table
from app.http.sockets import Listening
from app.processes.trainer import check_ray
from app.processes.workers import Supervisor
from app.settings import VERTEX, Settings, SettingsError, load_settings
from app.telemetry import logs
from models_store.errors import PatternServerError


class PortUnavailable(PatternServerError):
    def __init__(self, host: str, port: int, flag: str, error: OSError) -> None:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} of {host} is in use; stop what listens there, or choose another with {flag}"
        else:
            message = f"port {port} of {host} cannot be listened on: {error.strerror}"
        super().__init__(message)


def assignments(pairs: list[str]) -> dict[str, str]:
    """`max_rows=1000` -> {"max_rows": "1000"}. Raises SettingsError for a name that is no setting."""
    split = dict(pair.partition("=")[::2] for pair in pairs)
    unknown = sorted(split.keys() - Settings.model_fields.keys())
    if unknown:
        raise SettingsError(f"{unknown[0]}: no such setting; there are {', '.join(Settings.model_fields)}")
    return split


def settings_from(flags: dict[str, str]) -> Settings:
    """Read flags, the environment and `.env`. Flags go into the environment, where worker processes find them."""
    os.environ.update({variable(name): value for name, value in flags.items()})
    return load_settings()


def variable(name: str) -> str:
    return f"PATTERNS_{name.upper()}"


def settings_table(settings: Settings, flags: dict[str, str]) -> Table:
    shown = folding_table("setting", "value", "from", "meaning")
    in_file = {name.upper() for name in dotenv_values(".env")} if Path(".env").is_file() else set()
    in_environment = {name.upper() for name in os.environ}
    for name, field in Settings.model_fields.items():
        if name in flags:
            source = "flag"
        elif variable(name) in in_environment:
            source = "environment"
        elif variable(name) in in_file:
            source = ".env"
        else:
            source = "environment" if os.environ.get(VERTEX.get(name, "")) else "default"
        shown.add_row(name, _shown(getattr(settings, name)), source, field.description)
    return shown


def _shown(value: Any) -> str:
    return "********" if isinstance(value, SecretStr) else "" if value is None else str(value)


def check_trainer(settings: Settings) -> None:
    """Raise RayUnavailable now, and not at the first trial."""
    if settings.trains:
        check_ray(settings.ray)


def check_port(settings: Settings) -> None:
    """Raise PortUnavailable or SettingsError now, and not after everything has been trained and loaded."""
    _bound(settings.host, settings.port, "--port").close()
    if settings.grpc_port is not None:
        if find_spec("grpc_reflection") is None:
            raise SettingsError("grpc_port: gRPC is not installed here; install pattern-server[grpc]")
        _bound(settings.host, settings.grpc_port, "--set grpc_port=PORT").close()


def _bound(host: str, port: int, flag: str) -> socket.socket:
    """Return a socket that is bound and does not listen. Raises PortUnavailable."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise PortUnavailable(host, port, flag, error) from None
    return bound


@contextlib.contextmanager
def holding_grpc_port(settings: Settings) -> Iterator[None]:
    """Hold the port of gRPC for the workers, which share it: each of them listens, and the system divides connections.

    It is bound alone first, so that no port is shared with another server that listens there; from then on other
    processes of this user could share it, and a second server like this one finds it taken.
    """
    if settings.grpc_port is None or settings.workers == 1:
        yield
        return
    with _bound(settings.host, settings.grpc_port, "--set grpc_port=PORT") as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield


def train_missing_patterns() -> None:
    """Train what the store lacks of the catalogue. A failure is printed; the rest is served all the same."""
    try:
        specs = missing_specs()
        with stopping_in_order():
            train_all(specs)
    except PatternServerError as error:
        print(f"not everything could be trained: {error}", file=sys.stderr, flush=True)


def run(settings: Settings) -> None:
    """Serve until told to stop. Beyond loopback an admin key is required: without one, one is made and printed."""
    if settings.admin_key is None and not settings.is_loopback:
        key = secrets.token_urlsafe(24)
        os.environ[variable("admin_key")] = key
        print(f"listening beyond this machine; the admin key for this run is {key}", file=sys.stderr, flush=True)
    logs.configure(settings.log_level)
    by_grpc = f", gRPC on port {settings.grpc_port}" if settings.grpc_port is not None else ""
    print(f"serving on {settings.url}{by_grpc}", file=sys.stderr, flush=True)
    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        http="app.http.limits:LimitedProtocol",
        loop="uvloop",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=settings.drain_seconds,
    )
    config.get_loop_factory()  # imports uvloop, while SIGTERM still ends the process at once
    # uvicorn shuts down in order, and then raises the signal again for the handler that was there before.
    with stopping_in_order(), tempfile.TemporaryDirectory(prefix="patterns-metrics-") as metrics:
        if settings.workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
        sockets = Listening.at(config.bind_socket())
        with holding_grpc_port(settings), contextlib.suppress(KeyboardInterrupt):
            Supervisor(config, sockets).run() if settings.workers > 1 else uvicorn.Server(config).run(sockets)


@contextlib.contextmanager
def stopping_in_order() -> Iterator[None]:
    """Let SIGTERM raise SystemExit inside the block, so that what the block holds is tidied up."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
