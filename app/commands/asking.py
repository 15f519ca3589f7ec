"""`patterns predict`: asks the running server, or where there is none loads the network from the store."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass

import numpy as np

from app.main import keras_loader
from app.settings import Settings
from models_store.errors import PatternServerError
from models_store.store import Store
from training.spec import RecipeError

SECONDS = 30


@dataclass(frozen=True)
class Answer:
    outputs: dict[str, float]
    version: int
    source: str


class Refused(PatternServerError):
    """What the server answered instead."""


def predict(pattern: str, values: list[float], version: int | None) -> Answer:
    settings = Settings()
    try:
        return _ask_server(settings, pattern, values, version)
    except urllib.error.HTTPError as error:
        raise Refused(json.load(error)["error"]["message"]) from None
    except (urllib.error.URLError, TimeoutError, OSError):
        return _ask_store(settings, pattern, values, version)


def _ask_server(settings: Settings, pattern: str, values: list[float], version: int | None) -> Answer:
    address = f"http://{settings.host}:{settings.port}/predict/{pattern}" + (f"?version={version}" if version else "")
    key = settings.predict_key or settings.admin_key
    headers = {"content-type": "application/json"}
    if key is not None:
        headers["authorization"] = f"Bearer {key.get_secret_value()}"
    described = json.dumps({"inputs": [values]}).encode()
    request = urllib.request.Request(address, described, headers)  # the scheme is http, written above
    with urllib.request.urlopen(request, timeout=SECONDS) as response:  # noqa: S310
        said = json.load(response)
    outputs = said["outputs"][0]
    return Answer(
        {f"y{n}" if len(outputs) > 1 else "y": value for n, value in enumerate(outputs, 1)}, said["version"], "server"
    )


def _ask_store(settings: Settings, pattern: str, values: list[float], version: int | None) -> Answer:
    store = Store(settings.store, keras_loader(settings))
    number = version or store.champion(pattern)
    bundle = store.load(pattern, number).bundle
    if len(values) != len(bundle.inputs):
        raise RecipeError(f"{pattern} takes {len(bundle.inputs)} values: {', '.join(bundle.inputs)}")
    answers = bundle.predict(np.array([values], dtype=np.float64))[0]
    source = "from the store (no server answered; it would be faster)"
    return Answer(dict(zip(bundle.outputs, answers.tolist(), strict=True)), number, source)
