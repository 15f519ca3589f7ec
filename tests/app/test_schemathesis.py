"""Requests made from the OpenAPI document: every answer is a documented one, and what a schema says holds both ways.

The app runs on a socket in a thread, on fake networks and a trainer that fails at once.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
import uvicorn
from fastapi import FastAPI
from schemathesis.checks import allow_header_conformance, not_a_server_error, unsupported_method
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from app.http.limits import LimitedProtocol
from app.jobs.jobs import Jobs
from app.jobs.records import Records
from app.main import create_app
from app.parts import parts_of
from app.settings import Settings
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store
from models_store.tables.csv_dialect import PLAIN
from tests.app.jobs.conftest import SHORT
from tests.app.jobs.fakes import FakeTrainer, diverges, obeys
from tests.app.over_http import JSON, ReadsHere, pair
from tests.disks import HastyDisk
from tests.fakes import LinearNetwork, line
from tests.table_fakes import flowers, passengers, rents

pytestmark = pytest.mark.server

Document = dict[str, Any]
KEY = "sesame"
SERVED = ["line", "pair", "passengers", "flowers", "rents"]
# Patterns of which a version is deleted, that are deleted, and that are loaded and unloaded.
AGED, SPARE, IDLE = "aged", "spare", "idle"
# The same requests every time, without a database of examples and without a cache: nothing is left behind.
EXAMPLES = hypothesis.settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    # Many bodies may be files, and none of them is one that a schema refuses: those are filtered out.
    suppress_health_check=[hypothesis.HealthCheck.filter_too_much],
)
CONFIG: dict[str, Any] = {
    "cache": {"enabled": False},
    "generation": {"with-security-parameters": False},
}
# Without keys the schemas are the same, so that the borders of each are enough.
BORDERS = {"phases": {"fuzzing": {"enabled": False}}}
# A refusal for one of these reasons is beyond JSON Schema: two values that exclude each other, what a pattern is,
# how many columns it has and of which kinds, a shape and its data, a recipe and its table.
BEYOND_SCHEMAS = re.compile(
    r"give a version or a label, not both"
    r"|name: a label is made of printable characters"
    r"|this Idempotency-Key was used with another body"
    r"|only a search has a best trial"
    r"|only (classification patterns|patterns with one number)"
    r"|columns? .+ (is|are) missing"
    r"|columns? .+ (is|are) not among"
    r"|(column|input|output) \d+ of \d+ is not one of"
    r"|row \d+: expected a (list of \d+ values?|record)"
    r"|(row \d+, )?column \w+: (expected|not a finite number)"
    r"|columns must all be lists of the same length, or all be single values"
    r"|what stands in 'context' must not stand in 'examples' as well"
    r"|input \d+ of \d+: ("
    r"the (shape states more|number of) elements"
    r"|its name is that of an input before it"
    r"|nested data must have lists of the same length"
    r"|the data are nested in another way than the shape says"
    r"|element \d+ of the data: a number that \w+ cannot hold)"
    r"|a tensor of (all columns|one column) must have the shape"
    r"|the inputs must have the same number of rows"
    r"|output \w+ is asked for twice"
    r"|since: expected hour, day, or a moment of the last thirty days"
    r"|inputs has \d+ rows, and outcomes \d+"
    r"|outcomes: a number is so far from its answer"
    r"|version, label: the request that is named"
    r"|(interval|confidence): this pattern answers (labels|numbers)"
    r"|joint: it is about intervals"
    r"|takes \d+ calibration rows"
    r"|this version has no calibration"
)
REFUSED = (400, 413, 422)
# A packed version is bytes.
schemathesis.serializer.alias("application/zip", "application/octet-stream")
# A recipe that is refused in these words has broken a rule that its schema can say.
IN_SCHEMAS = re.compile("say which|no such field|should match|should be|should have|unknown field|Field required")


# -- the server ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A server, the schema of what is there, and how it is asked."""

    url: str
    schema: OpenApiSchema
    session: requests.Session
    headers: dict[str, str]


@pytest.fixture(scope="module", params=["with keys", "without keys"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    has_keys = request.param == "with keys"
    folder = tmp_path_factory.mktemp("documented")
    store = _store(folder)
    keys = {"admin_key": KEY, "predict_key": KEY} if has_keys else {}
    headers = {"Authorization": f"Bearer {KEY}"} if has_keys else {}
    with _served(_app(store, folder, **keys)) as url, requests.Session() as session:
        document = _narrowed(session.get(f"{url}/openapi.json").json(), _there(session, url, headers, store))
        config = SchemathesisConfig.from_dict(CONFIG if has_keys else {**CONFIG, **BORDERS})
        yield Served(url, schemathesis.openapi.from_dict(document, config=config), session, headers)


@pytest.fixture(scope="module")
def schema(served: Served) -> OpenApiSchema:
    return served.schema


@pytest.fixture(autouse=True)
def _node_id(request: pytest.FixtureRequest) -> None:
    """schemathesis 4.32 reads the id of a test under a name that it no longer has in pytest 9.2."""
    request.node._nodeid = request.node.nodeid


def _store(folder: Path) -> Store:
    store = Store(folder / "store", LinearNetwork.from_bytes, disk=HastyDisk())
    for bundle in (line(), line(20), pair(), passengers(), flowers(), rents()):
        store.publish(bundle)
    for name in (AGED, AGED, AGED, SPARE, IDLE):
        store.publish(line(pattern=name))
    return store


def _app(store: Store, folder: Path, **keys: Any) -> FastAPI:
    """The app, whose first training fails, whose second waits until it is cancelled, and all others fail."""
    settings = Settings(
        _env_file=None,
        store=store.root,
        trainer_warm=False,
        database_url=f"sqlite:///{folder / 'jobs.sqlite3'}",
        default="line",
        train_queue=10_000,
        log_level="error",
        **keys,
    )
    app = create_app(settings, LinearNetwork.from_bytes)
    trainer = FakeTrainer(store, diverges, obeys, *[diverges] * settings.train_queue)
    jobs = Jobs(Records(settings.jobs_url, settings.train_queue), store, trainer, settings, SHORT)
    app.state.parts = replace(parts_of(app), reader=ReadsHere(store.root), jobs=jobs)
    return app


@contextmanager
def _served(app: FastAPI) -> Iterator[str]:
    config = uvicorn.Config(
        app, port=0, http=LimitedProtocol, loop="uvloop", ws="none", log_config=None, access_log=False
    )
    listening = config.bind_socket()
    listening.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        _until(lambda: requests.get(f"{url}/readyz", timeout=10).ok)
        yield url
    finally:
        server.should_exit = True
        thread.join()


def _there(session: requests.Session, url: str, headers: dict[str, str], store: Store) -> dict[str, list[str]]:
    """Return the ids of a training that has failed, of one under way and of one that waits; and of two tables."""

    def status(job: str) -> str:
        return str(session.get(f"{url}/train/{job}").json()["status"])

    jobs = [session.post(f"{url}/train", json={"pattern": "add-ten"}, headers=headers).json()["id"] for _ in range(3)]
    _until(lambda: [status(job) for job in jobs] == ["failed", "running", "queued"])
    table = store.root.parent / "table.csv"
    datasets = []
    for rows in ("1,2\n3,4\n", "5,6\n7,8\n"):
        table.write_text(f"a,b\n{rows}")
        datasets.append(Datasets(store.root).add(table, "csv", "table", PLAIN).id)
    return {"job": jobs, "dataset": datasets}


def _until(holds: Any) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- what there is -------------------------------------------------------------------------------------------------


def _narrowed(document: Document, there: dict[str, list[str]]) -> Document:
    """Return the document with the names that exist, as a client would look them up: others are not found."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for given in operation.get("parameters", []):
                if (names := _names(method, path, given["name"], there)) is not None:
                    given["schema"] = {"enum": names, "type": "integer" if given["name"] == "version" else "string"}
    return document


def _names(method: str, path: str, parameter: str, there: dict[str, list[str]]) -> list[Any] | None:
    """Return what the parameter may be, or None for all that the document says."""
    deletes, is_of_models = method == "delete", path.startswith("/v2/repository/models/")
    match parameter:
        case "pattern" | "model" if deletes and path == "/patterns/{pattern}":
            return [SPARE]
        case "pattern" | "model" if deletes and "{version}" in path:
            return [AGED]
        case "pattern" | "model":
            return [IDLE] if is_of_models else SERVED
        case "version":
            return [1, 2]
        case "label" if method not in ("put", "delete"):
            return ["champion"]
        case "job":
            ended, *others = there["job"]
            return others if deletes else [ended] if path.endswith("/events") else there["job"]
        case "dataset":
            return there["dataset"][1:] if deletes else there["dataset"][:1]
    return None


# -- the checks ----------------------------------------------------------------------------------------------------


def _accepted_or_beyond_schemas(_context: Any, response: Response, case: Case[Any]) -> None:
    """Fail where what the schemas admit was refused for a reason that a schema can say."""
    is_admitted = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_admitted or response.status_code not in REFUSED or _has_whole_float(case.body):
        return
    answered = json.loads(response.content)
    error = answered.get("error", answered)
    message = error if isinstance(error, str) else error["message"]
    is_recipe = isinstance(error, dict) and error.get("code") == "bad_recipe"
    is_beyond = not IN_SCHEMAS.search(message) if is_recipe else BEYOND_SCHEMAS.search(message)
    assert is_beyond, f"{case.method} {case.path} was refused: {message}\n{case.body!r}"


def _has_whole_float(body: object) -> bool:
    """True for 2.0 anywhere: an integer for JSON Schema, and none for this server."""
    match body:
        case float():
            return body.is_integer()
        case dict():
            return any(_has_whole_float(part) for part in body.values())
        case list():
            return any(_has_whole_float(part) for part in body)
    return False


def check(case: Case[Any], served: Served) -> None:
    response = case.call(base_url=served.url, session=served.session, headers=served.headers, timeout=60)
    is_file = case.media_type not in (None, JSON)
    # A file is bytes, of which a schema says nothing: it is only asked that the answer is a documented one.
    beside_files = [negative_data_rejection] if is_file else []
    # Networks here are not Keras', of which exports are made.
    beside_exports = [not_a_server_error] if case.path.endswith("/export") else []
    # A pattern may be named `import`: its address is this one, and answers its methods as well.
    beside_patterns = [allow_header_conformance, unsupported_method] if case.path == "/patterns/import" else []
    case.validate_response(
        response,
        excluded_checks=[positive_data_acceptance, *beside_files, *beside_exports, *beside_patterns],
        additional_checks=[] if is_file else [_accepted_or_beyond_schemas],
        headers=served.headers,
    )


test_the_document_tells_the_truth = schemathesis.pytest.from_fixture("schema").parametrize()(EXAMPLES(check))
