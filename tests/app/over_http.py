"""Parts of the tests over HTTP: a pattern of two inputs and two outputs, wire formats, checks of every refusal."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

import httpx
import numpy as np
import pyarrow as pa
from fastapi import FastAPI
from numpy.typing import NDArray

from app.formats.reply import Reply
from app.jobs.jobs import Jobs
from app.main import create_app
from app.parts import parts_of
from app.settings import Settings
from models_store.arrays import Array
from models_store.bundle import Bundle, Evaluation, Predictor
from models_store.card import Column, Gap
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.encoding.scaler import Scaler
from models_store.networks.architecture import Architecture, Layer, LoadNetwork
from models_store.storage.datasets import Datasets, Form, Stored
from models_store.storage.store import Store
from models_store.tables.csv_dialect import CsvDialect
from models_store.tables.table import Raw
from tests.fakes import LinearNetwork, card
from training.recipe.spec import PatternSpec

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
ARROW = "application/vnd.apache.arrow.stream"
# Stands in bodies that are refused; no refusal may repeat it.
SESAME = "sesame"
WORTH_A_RETRY = {
    "queue_full",
    "training_unavailable",
    "not_loaded",
    "overloaded",
    "draining",
    "store_busy",
    "store_unreadable",
}


def pair(pattern: str = "pair") -> Bundle:
    """y1 = x1 + 2·x2 and y2 = x1 - x2, with a recipe that says so and two test rows on its card."""
    return linear(pattern, {"y1": "x1 + 2*x2", "y2": "x1 - x2"}, [[1, 1], [2, -1]])


def fork(pattern: str = "fork") -> Bundle:
    """One input, two outputs: up = x and down = -x."""
    return linear(pattern, {"up": "x", "down": "-x"}, [[1, -1]])


def linear(pattern: str, formulas: dict[str, str], k: list[list[float]]) -> Bundle:
    """outputs = inputs @ k: exact for numbers of few digits, as all scales and entries of k are powers of two."""
    n_inputs, outputs = len(k), tuple(formulas)
    inputs = ("x",) if n_inputs == 1 else tuple(f"x{place}" for place in range(1, n_inputs + 1))
    matrix = np.array(k, dtype=np.float64)
    encoder = InputEncoder(inputs, 1, Scaler("standard", np.full(n_inputs, 8.0), np.full(n_inputs, 4.0)))
    decoder = OutputDecoder(outputs, Scaler("standard", 8.0 * matrix.sum(axis=0), np.full(len(outputs), 8.0)))
    tested = np.array([[2.0 + place for place in range(n_inputs)], [5.0] * n_inputs])
    answers = (tested @ matrix).tolist()
    return Bundle(
        pattern=pattern,
        recipe=recipe(pattern, inputs, formulas),
        architecture=Architecture(n_inputs, (Layer(len(outputs), "linear"),)),
        predictor=Predictor(encoder, LinearNetwork((matrix / 2).astype(np.float32)), decoder),
        card=card().model_copy(
            update={
                "test": card().test.model_copy(update={"outputs": dict.fromkeys(outputs, card().test.overall)}),
                "inputs": [Column(name=name, minimum=0.0, maximum=16.0) for name in inputs],
                "outputs": [Column(name=name, minimum=-16.0, maximum=48.0) for name in outputs],
                "gaps": [
                    Gap(inputs=row, predicted=answer, label=answer, gap=[0.0] * len(outputs))
                    for row, answer in zip(tested.tolist(), answers, strict=True)
                ],
            }
        ),
        history={"loss": [0.5, 0.25], "val_loss": [0.5, 0.125]},
        evaluation=Evaluation(answers, answers),
        golden_inputs=np.array([[0.0] * n_inputs, [4.0] * n_inputs, [16.0] * n_inputs]),
    )


def recipe(pattern: str, inputs: tuple[str, ...], formulas: dict[str, str]) -> dict[str, Any]:
    columns = {name: {"distribution": "uniform", "low": 0, "high": 16} for name in inputs}
    data = {"kind": "formula", "inputs": columns, "outputs": formulas, "rows": 100}
    return PatternSpec.parse({"name": pattern, "description": "a fake", "data": data}).to_json()


# -- serving -------------------------------------------------------------------------------------------------------


def an_app(store: Store, load_network: LoadNetwork = LinearNetwork.from_bytes, **changes: Any) -> FastAPI:
    """An app on the store, with some settings changed; it serves nothing before its lifespan begins."""
    app = create_app(Settings(_env_file=None, store=store.root, trainer_warm=False, **changes), load_network)
    app.state.parts = replace(parts_of(app), reader=ReadsHere(store.root))
    return app


class ReadsHere:
    """Tables are read in this process, so that tests need not wait for another."""

    def __init__(self, root: Path) -> None:
        self._datasets = Datasets(root)

    async def add(self, file: BinaryIO, form: Form, name: str, dialect: CsvDialect) -> Stored:
        return await asyncio.to_thread(self._datasets.add, Path(f"/dev/fd/{file.fileno()}"), form, name, dialect)


@asynccontextmanager
async def serving(store: Store, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app that has looked at the store."""
    app = an_app(store, **changes)
    async with app.router.lifespan_context(app), client_of(app) as client:
        await app.state.parts.registry.refresh()
        yield client


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver")


def jobs_of(client: httpx.AsyncClient) -> Jobs:
    transport: Any = client._transport
    jobs: Jobs = transport.app.state.parts.jobs
    return jobs


async def outputs_of(client: httpx.AsyncClient, inputs: object, pattern: str = "line", **query: str | int) -> Any:
    """The outputs for JSON inputs, or a failed test."""
    answer = await client.post(f"/predict/{pattern}", json={"inputs": inputs}, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["outputs"]


async def post(client: httpx.AsyncClient, body: bytes, content_type: str, pattern: str = "line") -> httpx.Response:
    return await client.post(f"/predict/{pattern}", content=body, headers={"content-type": content_type})


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, after a look at what all errors have in common."""
    error = answer.json()["error"]
    assert answer.headers["content-type"] == JSON
    assert len(answer.content) <= 2048
    assert answer.content.isascii()
    assert error.keys() == {"code", "message", "request_id"}
    assert error["request_id"] == answer.headers["x-request-id"]
    assert SESAME not in answer.text
    assert answer.status_code != 500
    assert ("retry-after" in answer.headers) == (error["code"] in WORTH_A_RETRY)
    return answer.status_code, error["code"]


def said(answer: httpx.Response) -> dict[str, str]:
    """An error of another protocol, after a look at what those have in common."""
    body: dict[str, str] = answer.json()
    assert answer.headers["content-type"] == JSON
    assert len(answer.content) <= 2048
    assert answer.content.isascii()
    assert answer.headers["x-request-id"]
    assert body.keys() in ({"error"}, {"error_code", "message"})
    assert all(isinstance(words, str) and words for words in body.values())
    assert SESAME not in answer.text
    assert 400 <= answer.status_code < 500 or answer.status_code == 503
    return body


def message(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["message"])


def an_array(raw: Raw) -> Array:
    assert isinstance(raw, np.ndarray)
    return raw


def reply_of(columns: dict[str, NDArray[Any]], *, are_labels: bool = False) -> Reply:
    """Return the reply of a bundle that answers these columns."""
    names = tuple(columns)
    bundle = SimpleNamespace(labels=names if are_labels else None, outputs=names, named=lambda _answers: columns)
    return Reply(cast(Bundle, bundle), np.stack([*columns.values()], axis=1))


def numbers(outputs: tuple[str, ...], answers: Array) -> Reply:
    """Return the reply of a pattern of numbers: `answers` float64 (n_rows, n_outputs)."""
    return reply_of(dict(zip(outputs, answers.T, strict=True)))


# -- wire formats --------------------------------------------------------------------------------------------------


def csv_of(columns: tuple[str, ...], rows: Array) -> bytes:
    return "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows.tolist())]).encode()


def npy_of(rows: NDArray[Any]) -> bytes:
    target = io.BytesIO()
    np.save(target, rows)
    return target.getvalue()


def from_npy(content: bytes) -> Array:
    rows: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return rows


def arrow_of(table: Any, rows_a_batch: int | None = None, **options: Any) -> bytes:
    target = pa.BufferOutputStream()
    with pa.ipc.new_stream(target, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_table(table, max_chunksize=rows_a_batch)
    content: bytes = target.getvalue().to_pybytes()
    return content


def from_arrow(content: bytes) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = pa.ipc.open_stream(content).read_all().to_pydict()
    return columns


def addresses(app: FastAPI, *, documented: bool = False) -> set[tuple[str, str]]:
    """Method and path of all that an app answers, by FastAPI's routes and by dialects."""
    routes = [route for route in app.state.parts.routes if route.include_in_schema or not documented]
    of_routes = {(method, route.path) for route in routes for method in route.methods}
    return of_routes | {(address.method, address.path) for address in app.state.parts.dialects.addresses}
