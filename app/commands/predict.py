"""`patterns predict`: asks the running server; where there is none, loads the network from the store."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPException
from typing import Any, TypeVar

import orjson

from app.answering.engine import network_loader
from app.dialects import beyond
from app.dialects.levels import NO_LEVELS, Levels
from app.dialects.native import bodies
from app.dialects.ways import TO_ASK, Said
from app.formats.expected import TO_IGNORE, Expected
from app.formats.media_types import JSON
from app.formats.reply import Reply
from app.settings import Settings, load_settings
from models_store.errors import PatternServerError
from models_store.storage.store import Store
from models_store.tables.number_syntax import NUMBER
from models_store.tables.table import FALSE, MISSING, TRUE, Kind
from models_store.wording import counted

SECONDS = 30
# What is published is served a moment later; what a server has not loaded yet, when it has started.
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.2
WAY_OPTION = "say --outside "
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Response:
    outputs: dict[str, float | bool | str]
    probabilities: dict[str, dict[str, float]]
    """Probabilities by output and label; empty for numbers."""
    version: int
    outside: list[str]
    """Columns whose value lies outside the range of the training rows."""
    is_joint: bool
    """True if the row is inside each range, but where no training row was."""
    answered: str | None
    """formula if it has answered, clip if a number was clipped first; None if the network answered what was asked."""
    filled: list[str]
    """Columns without a value, for which another stands in."""
    source: str
    intervals: dict[str, list[float]]
    """Lower and upper end by output; empty unless they are asked for."""
    sets: dict[str, list[float | bool | str]]
    """The labels of the set by output; empty unless they are asked for."""

    def __str__(self) -> str:
        """y = 12.5 (11.9 to 13.1), species = setosa {setosa, versicolor} (setosa 0.97, versicolor 0.03)"""
        return ", ".join(
            f"{name} = {_word(value)}{self._sure(name)}{self._likely(name)}" for name, value in self.outputs.items()
        )

    def _sure(self, output: str) -> str:
        if output in self.intervals:
            return f" ({' to '.join(map(_word, self.intervals[output]))})"
        return f" {{{', '.join(map(_word, self.sets[output]))}}}" if output in self.sets else ""

    def _likely(self, output: str) -> str:
        by_label = self.probabilities.get(output, {})
        best = sorted(by_label.items(), key=lambda pair: -pair[1])[:5]
        return f" ({', '.join(f'{label} {p:.3g}' for label, p in best)})" if best else ""


class Refused(PatternServerError):
    """The server has refused; `reason` is the code of its error, empty if it is not a pattern server."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WrongValues(PatternServerError):
    """Fewer or more values than the pattern has inputs, and not each with the name of its column."""


class WrongAddress(PatternServerError):
    """An address that is not of HTTP."""


def predict_row(
    pattern: str, values: list[str], version: int | None, url: str | None, outside: Said, levels: Levels = NO_LEVELS
) -> Response:
    """Ask the server at `url` (by default that of the settings) or, where none listens, the store.

    Raises WrongAddress, WrongValues, Refused, and all that a prediction from the store raises.
    """
    settings = load_settings()
    server = server_at(url, settings)
    with _without_address():
        try:
            return ask_patiently(
                server, pattern, version, lambda: _ask_server(server, pattern, values, version, outside, levels)
            )
        except OSError:
            source = f"from the store; no server at {server.address}"
            return _ask_store(settings, pattern, values, version, outside, levels, source)


@contextmanager
def _without_address() -> Iterator[None]:
    """Raise errors with the way out of the command line, where theirs is for those who write an address themselves."""
    try:
        yield
    except PatternServerError as error:
        said = str(error).replace(f", or {TO_IGNORE}", "").replace(TO_ASK, WAY_OPTION)
        if said == str(error):
            raise
        raise Refused(error.code, said) from None


def server_at(url: str | None, settings: Settings) -> "Server":
    """Return the server at this address, by default that of the settings. Raises WrongAddress."""
    address = (url or settings.url).rstrip("/")
    if not address.startswith(("http://", "https://")):
        raise WrongAddress("--url: write http://HOST:PORT, such as http://127.0.0.1:8000")
    return Server(address, settings)


@dataclass(frozen=True)
class Server:
    """A pattern server; it may serve another store than that of the settings."""

    address: str
    settings: Settings

    def said(self, path: str, body: object = None) -> Any:
        """Return the parsed answer. Raises Refused, and OSError where nobody listens."""
        content, _ = self.answered(path, None if body is None else json.dumps(body).encode())
        try:
            return json.loads(content)
        except ValueError:
            raise self._no_pattern_server() from None

    def answered(self, path: str, sent: bytes | None, media_type: str = JSON) -> tuple[bytes, Message]:
        """Return the content and the headers of the answer. Raises as `said` does."""
        key = self.settings.predict_key or self.settings.admin_key
        headers = {"content-type": media_type} | (
            {"authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
        )
        request = urllib.request.Request(self.address + path, sent, headers)  # noqa: S310  # `server_at` has checked that it is http
        # Without any proxy: the server listens at this very address.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=SECONDS) as response:
                return response.read(), response.headers
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except OSError:
            raise
        except (ValueError, HTTPException):
            raise self._no_pattern_server() from None

    def _no_pattern_server(self) -> Refused:
        return Refused("", f"there is no pattern server at {self.address}")


def ask_patiently(server: Server, pattern: str, version: int | None, ask: Callable[[], Answer]) -> Answer:
    """Return what `ask` returns. It is called again while the server is about to load what it is asked for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return ask()
        except Refused as refused:
            if time.monotonic() > deadline or not _is_to_come(server.settings, refused.reason, pattern, version):
                raise
        time.sleep(POLL_SECONDS)


def _is_to_come(settings: Settings, reason: str, pattern: str, version: int | None) -> bool:
    """True if the store of the settings holds the version, so that the server is about to load it."""
    if reason not in ("unknown_pattern", "unknown_version"):
        return reason == "not_loaded"
    store = Store(settings.store, network_loader(settings))
    return pattern in store.patterns() and (version is None or version in store.versions(pattern))


def _ask_server(
    server: Server, pattern: str, values: list[str], version: int | None, way: Said, levels: Levels
) -> Response:
    summary = server.said(f"/patterns/{pattern}")
    wanted = [f"outside={way}", *levels.query]
    wanted += [f"version={version}"] if version else []
    wanted += ["probabilities=true"] if summary["task"] == "classification" else []
    body = {"inputs": record(pattern, summary["kinds"], values)}
    said = server.said(f"/predict/{pattern}?{'&'.join(wanted)}", body)
    source = f"from the server at {server.address}"
    return _response(said, said["version"], source)


def _response(said: Mapping[str, Any], version: int, source: str) -> Response:
    outside, filled = _columns(said["outside"]), _columns(said.get("filled", []))
    row: dict[str, Any] = next(iter(said["outside"]), {})
    sure = said.get("intervals", {}), said.get("sets", {})
    seen = outside, row.get("joint", False), row.get("answered"), filled
    return Response(said["outputs"], said.get("probabilities", {}), version, *seen, source, *sure)


def _refused(error: urllib.error.HTTPError) -> Refused:
    try:
        said = json.load(error)["error"]
        return Refused(said["code"], str(said["message"]))
    except (ValueError, LookupError, TypeError):
        return Refused("", f"something else answers at the server's address, with status {error.code}")


def _ask_store(
    settings: Settings, pattern: str, values: list[str], version: int | None, way: Said, levels: Levels, source: str
) -> Response:
    store = Store(settings.store, network_loader(settings))
    number = store.champion(pattern) if version is None else version
    bundle = store.load(pattern, number).bundle
    # Read by the server's own code, so that it is refused in the same words.
    body = json.dumps({"inputs": record(pattern, bundle.kinds, values)}).encode()
    question = bodies.read(body, JSON, Expected.of(bundle.predictor.encoder, bundle.beside), max_rows=1)
    levels.check(bundle)
    chosen = beyond.way_of(way, bundle, is_sure=levels.asked is not None)
    treated, answers = beyond.answered(bundle, chosen, question, is_sure=levels.asked is not None)
    sure = levels.sureness(bundle, treated.rows, answers)
    reply = Reply(bundle, answers, bundle.labels is not None, ends=sure.ends, members=sure.members)
    # Through JSON, in which a server would have said it.
    said = orjson.loads(orjson.dumps(reply.in_layout("record"), option=orjson.OPT_SERIALIZE_NUMPY))
    remarks = {"outside": treated.outside or [], "filled": bundle.filled(treated.rows)}
    return _response({**said, **remarks}, number, source)


def _columns(remarked: list[dict[str, Any]]) -> list[str]:
    """Return the columns of the one row that was asked."""
    return [name for row in remarked for name in row["columns"]]


def record(pattern: str, kinds: Mapping[str, Kind], values: list[str]) -> dict[str, Any]:
    """Return the typed row, `column=value` or values in order, as a record of JSON values. Raises WrongValues."""
    named = dict(value.split("=", 1) for value in values if "=" in value)
    if len(named) < len(values) or not named.keys() & kinds.keys():
        if len(values) != len(kinds):
            hint = "" if set(kinds.values()) == {"number"} else "; name them, as column=value"
            raise WrongValues(f"{pattern} takes {counted(len(kinds), 'value', 'values')}: {', '.join(kinds)}{hint}")
        named = dict(zip(kinds, values, strict=True))
    # An unknown column stays, to be refused by the server or the store in their words.
    return {name: _json_of(kinds.get(name, "text"), value) for name, value in named.items()}


def _json_of(kind: Kind, typed: str) -> float | bool | str | None:
    """Return the value as its kind; text if it is not of that kind, which is refused later."""
    text = typed.strip()
    if text in MISSING:
        return None
    if kind == "boolean" and text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    if kind == "number" and NUMBER.fullmatch(text):
        return float(text)
    return text


def _word(value: float | bool | str) -> str:
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else f"{value:.10g}"
