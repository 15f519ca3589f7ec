"""`patterns predict`: asks the running server, or where there is none loads the network from the store."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.main import keras_loader
from app.settings import Settings, load_settings
from models_store.errors import PatternServerError
from models_store.store import Store

SECONDS = 30
# What is published is served a moment later; what a server has not loaded yet, when it has started.
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    outputs: dict[str, float]
    version: int
    source: str


class Refused(PatternServerError):
    """What the server answered instead; `reason` is its word for it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class WrongCount(PatternServerError):
    """As many values as the pattern has inputs are needed."""


def predict(pattern: str, values: list[float], version: int | None) -> Answer:
    settings = load_settings()
    try:
        return _ask_patiently(settings, pattern, values, version)
    except (urllib.error.URLError, TimeoutError, OSError):
        return _ask_store(settings, pattern, values, version)


def _ask_patiently(settings: Settings, pattern: str, values: list[float], version: int | None) -> Answer:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _ask_server(settings, pattern, values, version)
        except Refused as refused:
            if time.monotonic() > deadline or not _is_to_come(settings, refused.reason, pattern, version):
                raise
        time.sleep(POLL_SECONDS)


def _is_to_come(settings: Settings, reason: str, pattern: str, version: int | None) -> bool:
    """The server does not serve it yet, and will in a moment."""
    if reason not in ("unknown_pattern", "unknown_version"):
        return reason == "not_loaded"
    store = Store(settings.store, keras_loader(settings))
    return pattern in store.patterns() and (version is None or version in store.versions(pattern))


def _ask_server(settings: Settings, pattern: str, values: list[float], version: int | None) -> Answer:
    columns = _said(settings, f"/patterns/{pattern}")["inputs"]
    record = _record(pattern, columns, values)
    said = _said(settings, f"/predict/{pattern}" + (f"?version={version}" if version else ""), {"inputs": record})
    return Answer(said["outputs"], said["version"], "from the server")


def _refused(error: urllib.error.HTTPError) -> Refused:
    try:
        said = json.load(error)["error"]
        return Refused(said["code"], str(said["message"]))
    except (ValueError, LookupError, TypeError):
        return Refused("", f"something else answers at the server's address, with status {error.code}")


def _said(settings: Settings, path: str, body: object = None) -> Any:
    key = settings.predict_key or settings.admin_key
    headers = {"content-type": "application/json"} | (
        {"authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
    )
    address = f"http://{settings.host}:{settings.port}{path}"
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, sent, headers)  # the scheme is http, written above
    # Past any proxy: the server is asked where its own settings say that it listens.
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise _refused(error) from None


def _ask_store(settings: Settings, pattern: str, values: list[float], version: int | None) -> Answer:
    store = Store(settings.store, keras_loader(settings))
    number = version or store.champion(pattern)
    bundle = store.load(pattern, number).bundle
    row = list(_record(pattern, bundle.inputs, values).values())
    answers = bundle.predict(np.array([row], dtype=np.float64))[0]
    source = "from the store (no server answered; it would be faster)"
    return Answer(dict(zip(bundle.outputs, answers.tolist(), strict=True)), number, source)


def _record(pattern: str, columns: Sequence[str], values: list[float]) -> dict[str, float]:
    if len(values) != len(columns):
        raise WrongCount(f"{pattern} takes {len(columns)} values: {', '.join(columns)}")
    return dict(zip(columns, values, strict=True))
