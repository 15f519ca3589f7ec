"""LiteRT (TensorFlow Lite): one model from a row of raw values to its answer, all in float32, for phones and boards.

LiteRT has neither texts nor names of categories: a category goes in as its code, which `pattern.json` in the file says.
"""

import io
import json
import sys
import zipfile
from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.texts import TextEncoder
from models_store.errors import ExportDiffers, NotExpressible, RuntimeAbsent
from models_store.exports.exactness import tolerance_of
from models_store.exports.portable import portable
from models_store.exports.programs import ran
from models_store.exports.sample import Sample
from models_store.tables.table import Kind, Raw, Table, Values, column_of

UNITS: dict[Kind, str] = {
    "date": "days since 1970-01-01",
    "time": "seconds since midnight",
    "duration": "seconds",
    "boolean": "0 or 1",
    "category": "the place of the value in `codes`, from 0; another number is a value that training never saw",
}
DESCRIPTION = "pattern.json"
# No column of a table means them.
UNSEEN = "\0"


def litert_file(bundle: Bundle, version: int) -> bytes:
    """Return the model, with its description behind it as a file of a ZIP archive.

    Raises NotExpressible for columns of texts, RuntimeAbsent where there is no TensorFlow, which writes the model.
    """
    pattern = described(bundle, version)
    if find_spec("tensorflow") is None:
        raise RuntimeAbsent("TensorFlow, which writes the model,", "export it on a machine that trains")
    model = _ran("write", json.dumps(pattern).encode())
    return model + _archive(_description(bundle, pattern))


def described(bundle: Bundle, version: int) -> dict[str, Any]:
    """Return the portable pattern, with what columns become in tables. Raises NotExpressible for columns of texts."""
    pattern, encoder = portable(bundle, version), bundle.predictor.encoder
    if not isinstance(encoder, TableEncoder):
        return pattern
    for column in pattern["inputs"]["columns"]:
        column.update(_tables(encoder, column["name"]))
    for pair, own in zip(pattern["inputs"]["pairs"], encoder.pairs, strict=True):
        filled = np.array([[float(encoder.fills.get(name, np.nan)) for name in own.columns]])
        pair["missing"] = np.nan_to_num(own.scaler.transform(filled))[0].tolist()
    return pattern


def in_float32(bundle: Bundle) -> Sample:
    """Return the sample with values as a float32 has them: those are what the model is given."""
    return Sample.of(bundle, rounded=lambda raw: _rounded(raw, bundle.kinds))


def answers(content: bytes, sample: Sample) -> Array:
    """Return what LiteRT answers, (n_rows, n_answers). Raises ExportDiffers."""
    rows = rows_of(sample)
    said = _ran("answer", json.dumps({"shape": rows.shape}).encode() + b"\n" + rows.tobytes() + content)
    made = np.frombuffer(said, "<f4")
    if made.size != sample.answers.size:
        raise ExportDiffers(f"it answers {len(sample)} rows with {made.size} numbers")
    return made.reshape(sample.answers.shape).astype(np.float64)


def _ran(what: str, given: bytes) -> bytes:
    with as_file(files("models_store.exports") / "litert_runtime.py") as script:
        return ran([sys.executable, "-I", str(script), what], given)


def _tables(encoder: TableEncoder, name: str) -> dict[str, Any]:
    """Return what the network gets for a missing value; of categories also for each code, and for any other."""
    own = encoder.encoders[name]
    if isinstance(own, TextEncoder):
        raise NotExpressible("litert", f"column {name} is text; export it to python or js")
    missing = own.encode(column_of(own.kind, [encoder.fills.get(name)]))[0].tolist()
    tables: dict[str, Any] = {"missing": missing if encoder.takes_missing(name) else [None] * own.width}
    if isinstance(own, CategoryEncoder):
        codes = _codes(own)
        tables |= {"codes": codes, "table": own.encode(column_of("category", [*codes, UNSEEN])).tolist()}
    return tables


def _codes(encoder: CategoryEncoder) -> list[str]:
    return [*dict.fromkeys((*encoder.values, *encoder.means))]


def _archive(described: dict[str, Any]) -> bytes:
    """Return a ZIP archive, which may stand behind other bytes in a file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo(DESCRIPTION), json.dumps(described, indent=1, allow_nan=False))
    return made.getvalue()


def _description(bundle: Bundle, pattern: dict[str, Any]) -> dict[str, Any]:
    output = pattern["output"]
    answer = {"labels": output["labels"]} if "labels" in output else {"outputs": output["columns"]}
    return {
        "pattern": pattern["pattern"],
        "version": pattern["version"],
        "tolerance": tolerance_of(bundle, "float32"),
        "row": [_column(column) for column in pattern["inputs"]["columns"]],
        "missing": "NaN",
        "answer": answer,
    }


def _column(column: dict[str, Any]) -> dict[str, Any]:
    kind: Kind = column["kind"]
    described = {"name": column["name"], "kind": kind, "seen": column["seen"]}
    unit = {"unit": UNITS[kind]} if kind in UNITS else {}
    codes = {"codes": column["codes"]} if "codes" in column else {}
    return described | unit | codes


# -- the trial ---------------------------------------------------------------------------------------------------------


def _rounded(raw: Raw, kinds: dict[str, Kind]) -> Raw:
    if not isinstance(raw, Table):
        return _as_float32(raw).astype(np.float64)
    columns = raw.columns.items()
    return Table(
        {
            name: values if kinds[name] == "category" else _as_float32(values).astype(np.float64)
            for name, values in columns
        }
    )


def _as_float32(values: Values) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return values.astype(np.float64).astype(np.float32)


def rows_of(sample: Sample) -> NDArray[np.float32]:
    """Return the rows as the model takes them, float32 (n_rows, n_columns)."""
    encoder = sample.predictor.encoder
    if not isinstance(sample.raw, Table):
        return _as_float32(sample.raw)
    assert isinstance(encoder, TableEncoder)
    columns = [
        _coded_cells(own, sample.raw.columns[name])
        if isinstance(own, CategoryEncoder)
        else _as_float32(sample.raw.columns[name])
        for name, own in encoder.encoders.items()
    ]
    return np.stack(columns, axis=1)


def _coded_cells(encoder: CategoryEncoder, values: Values) -> NDArray[np.float32]:
    codes = _codes(encoder)
    places: dict[str | None, float] = {value: place for place, value in enumerate(codes)} | {None: np.nan}
    return np.array([places.get(value, len(codes)) for value in values], dtype=np.float32)
