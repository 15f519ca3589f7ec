"""A bundle as plain values that any language reads: columns, encoders, network, decoder, and how cells are spelled.

Weights and other arrays are base64 of little-endian bytes.
"""

import base64
from typing import Any

import numpy as np

from models_store.arrays import Encoded
from models_store.bundle import Bundle
from models_store.card import Column
from models_store.encoding.outputs import LabelDecoder
from models_store.encoding.pairs import DIRECTIONS
from models_store.encoding.rows import InputEncoder, TableEncoder
from models_store.exports.exactness import tolerance_of
from models_store.networks.architecture import Architecture
from models_store.tables import clock
from models_store.tables.kinds import ORDERED
from models_store.tables.spelling import NOTHING
from models_store.tables.table import FALSE, MISSING, TRUE

RANGE = ("minimum", "maximum", "values", "missing")


def portable(bundle: Bundle, version: int) -> dict[str, Any]:
    """Return all that answers a raw row, as JSON values. Raises BundleDamaged where the weights cannot be read."""
    return {
        "pattern": bundle.pattern,
        "version": version,
        "tolerance": tolerance_of(bundle),
        "ignored": sorted({*bundle.beside} - {*bundle.inputs}),
        "inputs": _inputs(bundle),
        "network": _network(bundle.architecture, weights_of(bundle)),
        "output": _output(bundle),
    }


def weights_of(bundle: Bundle) -> list[Encoded]:
    """Return kernel and bias of every layer, in order; of several members with an axis for them in front."""
    from models_store.networks.weights import read_weights  # deferred: h5py is needed to read networks alone

    return read_weights(bundle.predictor.network.to_bytes(), bundle.architecture)


def _inputs(bundle: Bundle) -> dict[str, Any]:
    encoder = bundle.predictor.encoder
    seen = {column.name: _seen(column) for column in bundle.card.inputs}
    columns: list[dict[str, Any]] = [
        {"name": name, "kind": kind, "seen": seen.get(name, {})} for name, kind in encoder.kinds.items()
    ]
    if isinstance(encoder, InputEncoder):
        return {"columns": columns, "degree": encoder.degree, "scaler": encoder.scaler.to_dict()}
    assert isinstance(encoder, TableEncoder)
    typed = [column | _typed(encoder, column["name"]) for column in columns]
    return {"columns": typed, "pairs": _pairs(encoder), "spelling": _spelling(encoder)}


def _pairs(encoder: TableEncoder) -> list[dict[str, Any]]:
    """Return the encoders of pairs of columns, which are named by their places; their inputs come last."""
    return [
        {
            **pair.to_dict(),
            "columns": [encoder.columns.index(name) for name in pair.columns],
            "directions": [list(direction) for direction in DIRECTIONS],
        }
        for pair in encoder.pairs
    ]


def _seen(column: Column) -> dict[str, Any]:
    """Return what the training rows held, from the card."""
    facts = column.model_dump(mode="json")
    return {name: facts[name] for name in RANGE if facts[name] is not None}


def _typed(encoder: TableEncoder, name: str) -> dict[str, Any]:
    column, spelling = encoder.encoders[name], encoder.spelling
    typed: dict[str, Any] = {
        "takes_missing": encoder.takes_missing(name),
        "fill": encoder.fills.get(name),
        # As texts, because a word may mean infinity, which is no JSON.
        "missing_cells": sorted(map(str, spelling.missing_cells(name, column.kind))),
        "is_ordered": column.kind in ORDERED,
        "encoder": column.to_dict(),
    }
    if column.kind == "date":
        typed["forms"] = [form.pattern for form in spelling.forms(name)]
    if column.kind in ("date", "time") and name in spelling.formats:
        typed["format"] = spelling.forms(name)[0].pattern
    return typed


def _spelling(encoder: TableEncoder) -> dict[str, Any]:
    return {
        "missing": sorted(MISSING | encoder.spelling.missing),
        "nothing": sorted(NOTHING),
        "true": sorted(TRUE),
        "false": sorted(FALSE),
        "time": clock.TIME.pattern,
        "durations": [pattern.pattern for pattern in (clock.HOURS, clock.DAYS, clock.ISO_DURATION)],
    }


def _network(architecture: Architecture, weights: list[Encoded]) -> dict[str, Any]:
    stacked = weights if architecture.members > 1 else [weight[None] for weight in weights]
    layers = zip(architecture.layers, stacked[::2], stacked[1::2], strict=True)
    return {
        "dtype": architecture.dtype,
        "n_inputs": architecture.n_inputs,
        "members": architecture.members,
        "layers": [
            {"units": layer.units, "activation": layer.activation, "kernel": _packed(kernel), "bias": _packed(bias)}
            for layer, kernel, bias in layers
        ],
    }


def _packed(weight: Encoded) -> str:
    """Return the numbers of (members, …), member by member, row by row."""
    little = weight.dtype.newbyteorder("<")
    return base64.b64encode(np.ascontiguousarray(weight).astype(little).tobytes()).decode()


def _output(bundle: Bundle) -> dict[str, Any]:
    decoder = bundle.predictor.decoder
    output = decoder.to_dict()
    if isinstance(decoder, LabelDecoder):
        values = decoder.values.tolist()
        output |= {"is_binary": decoder.is_binary, "values": values, "written": [written(value) for value in values]}
    return output | {"columns": list(decoder.columns)}


def written(label: str | float | bool) -> str:
    """Return a label as CSV answers have it."""
    return str(label).lower() if isinstance(label, bool) else str(label)
