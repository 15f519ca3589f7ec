"""Descriptions of models in the Open Inference Protocol v2: metadata, Triton's configuration, statistics, index.

A pattern is a model; each of its columns is a tensor of its own, [n_rows, 1].
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from app.answering.registry import Registry, Shelf
from app.dialects.oip import tensors
from app.telemetry.statistics import Statistics
from models_store.bundle import Bundle
from models_store.encoding.outputs import LabelDecoder
from models_store.encoding.rows import TableEncoder
from models_store.networks.architecture import Engine
from models_store.tables.table import Kind

Object = dict[str, Any]

NAME = "pattern-server"
# As Triton calls them: (platform, backend).
PLATFORMS: dict[Engine, tuple[str, str]] = {"keras": ("keras", "keras"), "onnx": ("onnxruntime_onnx", "onnxruntime")}
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
)
# Datatypes of table columns; a number has the datatype that the network computes in.
DATATYPES: dict[Kind, str] = {
    "boolean": "BOOL",
    "category": "BYTES",
    "date": "BYTES",
    "time": "BYTES",
    "duration": "BYTES",
    "text": "BYTES",
}
# Names of datatypes in Triton's configuration, where they are not TYPE_ and the datatype.
TYPES = {"BYTES": "TYPE_STRING"}
UNLOADED = "unloaded"


def server(version: str) -> Object:
    return {"name": NAME, "version": version, "extensions": list(EXTENSIONS)}


def metadata(bundle: Bundle, versions: Sequence[int], engine: Engine) -> Object:
    platform, _ = PLATFORMS[engine]
    return {
        "name": bundle.pattern,
        "versions": [str(version) for version in versions],
        "platform": platform,
        "inputs": [_tensor(name, datatype) for name, datatype in _inputs(bundle).items()],
        "outputs": [_tensor(name, datatype) for name, datatype in _outputs(bundle).items()],
    }


def configuration(bundle: Bundle, versions: Sequence[int], max_rows: int, engine: Engine) -> Object:
    """Return Triton's `ModelConfig` as JSON; dims are those of one row of a batch."""
    platform, backend = PLATFORMS[engine]
    optional = _optional(bundle)
    inputs = [
        {**_configured(name, datatype), "format": "FORMAT_NONE", "optional": name in optional}
        for name, datatype in _inputs(bundle).items()
    ]
    return {
        "name": bundle.pattern,
        "platform": platform,
        "backend": backend,
        "version_policy": {"specific": {"versions": list(versions)}},
        "max_batch_size": max_rows,
        "input": inputs,
        "output": [
            {**_configured(name, datatype), "label_filename": ""} for name, datatype in _outputs(bundle).items()
        ],
        "instance_group": [{"name": bundle.pattern, "kind": "KIND_AUTO", "count": 1}],
        "dynamic_batching": {},
        "parameters": {},
    }


def sample(bundle: Bundle) -> Object:
    """Return a request that works as it is."""
    records = bundle.sample()["inputs"]
    return {
        "inputs": [
            {
                "name": name,
                "shape": [len(records), 1],
                "datatype": datatype,
                "data": [record[name] for record in records],
            }
            for name, datatype in _inputs(bundle).items()
        ]
    }


def statistics(shelves: Sequence[Shelf], counted: Statistics, version: int | None = None) -> Object:
    """Return what this process has counted for all versions, or for one."""
    return {
        "model_stats": [
            {"name": shelf.pattern, "version": str(number), **counted.of(shelf.pattern, number).to_oip()}
            for shelf in shelves
            for number in shelf.versions
            if version in (None, number)
        ]
    }


def index(registry: Registry, *, only_ready: bool) -> list[Object]:
    """Return every version with its state, READY where it is served."""
    listed = [_indexed(registry, shelf, version) for shelf in registry.shelves for version in shelf.versions]
    return [entry for entry in listed if entry["state"] == "READY" or not only_ready]


def _indexed(registry: Registry, shelf: Shelf, version: int) -> Object:
    reason = UNLOADED if shelf.is_unloaded else registry.refused(shelf.pattern, version)
    state = "UNAVAILABLE" if reason else "READY"
    return {"name": shelf.pattern, "version": str(version), "state": state, "reason": reason}


def _inputs(bundle: Bundle) -> dict[str, str]:
    number = _datatype_of_numbers(bundle)
    return {name: DATATYPES.get(kind, number) for name, kind in bundle.kinds.items()}


def _outputs(bundle: Bundle) -> dict[str, str]:
    decoder = bundle.predictor.decoder
    datatype = (
        tensors.datatype_of(decoder.values) if isinstance(decoder, LabelDecoder) else _datatype_of_numbers(bundle)
    )
    return dict.fromkeys(bundle.outputs, datatype)


def _datatype_of_numbers(bundle: Bundle) -> str:
    return tensors.datatype_of(np.empty(0, bundle.architecture.dtype))


def _optional(bundle: Bundle) -> set[str]:
    """Columns that a request may leave out."""
    encoder = bundle.predictor.encoder
    if not isinstance(encoder, TableEncoder):
        return set()
    return {name for name in encoder.columns if encoder.takes_missing(name)}


def _tensor(name: str, datatype: str) -> Object:
    return {"name": name, "datatype": datatype, "shape": [-1, 1]}


def _configured(name: str, datatype: str) -> Object:
    return {"name": name, "data_type": TYPES.get(datatype, f"TYPE_{datatype}"), "dims": [1]}
