"""Request bodies and their answers, a class for each format. A new format of ours also gets a line in `OURS`.

`OURS` is compared with other servers; `DIALECTS` and `CSV` are further formats of ours.

rows (n_rows, 1) -> Body -> Body.request: the bytes of one HTTP request;  content of an answer -> numbers (n_rows,)
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Body:
    path: str
    content_type: str
    content: bytes
    header: str = ""
    """An extra header that the protocol needs, `name: value`; empty if none."""

    @property
    def headers(self) -> dict[str, str]:
        name, _, value = self.header.partition(": ")
        return {"content-type": self.content_type} | ({name: value} if name else {})

    @property
    def request(self) -> bytes:
        """The bytes of the whole HTTP request."""
        lines = [f"POST {self.path} HTTP/1.1", "host: localhost", f"content-length: {len(self.content)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + self.content


class Format(Protocol):
    def body(self, rows: Array) -> Body: ...

    def answers(self, content: bytes) -> Array: ...


@dataclass(frozen=True)
class Json:
    """`{asked: [[150.0]]}` -> `{answered: [[160.0]]}`, or the list alone where `answered` is empty."""

    path: str
    asked: str = "inputs"
    answered: str = "outputs"

    def body(self, rows: Array) -> Body:
        return Body(self.path, "application/json", json.dumps({self.asked: rows.tolist()}).encode())

    def answers(self, content: bytes) -> Array:
        said = json.loads(content)
        return np.asarray(said[self.answered] if self.answered else said, dtype=np.float64).ravel()


@dataclass(frozen=True)
class OipJson:
    """The Open Inference Protocol."""

    path: str

    def body(self, rows: Array) -> Body:
        tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "data": rows.ravel().tolist()}
        return Body(self.path, "application/json", json.dumps({"inputs": [tensor]}).encode())

    def answers(self, content: bytes) -> Array:
        return np.asarray(json.loads(content)["outputs"][0]["data"], dtype=np.float64).ravel()


@dataclass(frozen=True)
class Invocations:
    """MLflow's `dataframe_split`; the answer is a list of records, one a row."""

    path: str

    def body(self, rows: Array) -> Body:
        split = {"columns": ["x"], "data": rows.tolist()}
        return Body(self.path, "application/json", json.dumps({"dataframe_split": split}).encode())

    def answers(self, content: bytes) -> Array:
        records = json.loads(content)["predictions"]
        return np.asarray([number for record in records for number in record.values()], dtype=np.float64)


@dataclass(frozen=True)
class Csv:
    """A header and a line for each row, in both directions."""

    path: str

    def body(self, rows: Array) -> Body:
        lines = ["x", *(repr(number) for number in rows.ravel().tolist())]
        return Body(self.path, "text/csv", "\n".join(lines).encode())

    def answers(self, content: bytes) -> Array:
        return np.loadtxt(io.BytesIO(content), dtype=np.float64, skiprows=1, ndmin=1)


@dataclass(frozen=True)
class OipBinary:
    """The same with its binary extension in both directions: a JSON header, then the numbers."""

    path: str

    def body(self, rows: Array) -> Body:
        parameters = {"binary_data_size": rows.nbytes}
        tensor = {"name": "x", "shape": list(rows.shape), "datatype": "FP64", "parameters": parameters}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        length = f"inference-header-content-length: {len(head)}"
        return Body(self.path, "application/octet-stream", head + rows.astype("<f8").tobytes(), length)

    def answers(self, content: bytes) -> Array:
        """Read the JSON header, which tells the type of the first output; the numbers follow it."""
        head, end = json.JSONDecoder().raw_decode(content.decode("latin-1"))
        dtype: Any = {"FP32": "<f4", "FP64": "<f8"}[head["outputs"][0]["datatype"]]
        return np.frombuffer(content[end:].lstrip(b" "), dtype).astype(np.float64)


@dataclass(frozen=True)
class Npy:
    path: str

    def body(self, rows: Array) -> Body:
        target = io.BytesIO()
        np.save(target, rows)
        return Body(self.path, "application/x-npy", target.getvalue())

    def answers(self, content: bytes) -> Array:
        return np.asarray(np.load(io.BytesIO(content)), dtype=np.float64).ravel()


@dataclass(frozen=True)
class Arrow:
    path: str

    def body(self, rows: Array) -> Body:
        import pyarrow as pa  # deferred: peers' environments lack it

        batch = pa.record_batch([pa.array(rows[:, 0])], names=["x"])
        target = pa.BufferOutputStream()
        with pa.ipc.new_stream(target, batch.schema) as stream:
            stream.write_batch(batch)
        return Body(self.path, "application/vnd.apache.arrow.stream", target.getvalue().to_pybytes())

    def answers(self, content: bytes) -> Array:
        import pyarrow as pa  # deferred: peers' environments lack it

        table = pa.ipc.open_stream(content).read_all()
        return np.asarray(table.column(0).to_numpy(), dtype=np.float64)


OURS: Mapping[str, Format] = {
    "json": Json("/predict/add-ten"),
    "npy": Npy("/predict/add-ten"),
    "arrow": Arrow("/predict/add-ten"),
    "oip-binary": OipBinary("/v2/models/add-ten/infer"),
}
# JSON in the protocols of other servers.
DIALECTS: Mapping[str, Format] = {
    "oip": OipJson("/v2/models/add-ten/infer"),
    "tensorflow-serving": Json("/v1/models/add-ten:predict", "instances", "predictions"),
    "mlflow": Invocations("/invocations?pattern=add-ten"),
}
CSV = Csv("/predict/add-ten")


@dataclass(frozen=True)
class Workload:
    """A format, the rows of each request, and the number of connections at once."""

    format: str
    n_rows: int
    connections: int

    @property
    def name(self) -> str:
        rows = "1 row" if self.n_rows == 1 else f"{self.n_rows:,} rows".replace(",", " ")
        return f"{self.format}, {rows}, {self.connections} conn."

    @property
    def rows(self) -> Array:
        return np.full((1, 1), 150.0) if self.n_rows == 1 else np.linspace(0, 100, self.n_rows).reshape(-1, 1)


ONE = Workload("json", 1, 1)
CROWD = Workload("json", 1, 32)
THOUSAND = Workload("json", 1000, 8)
BINARY = tuple(Workload(name, 100_000, 4) for name in OURS if name != "json")
ANSWERED = (ONE, CROWD, THOUSAND)
IN_DIALECTS = tuple(Workload(name, 1, 32) for name in DIALECTS)
