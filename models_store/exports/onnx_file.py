"""ONNX: one graph from named raw columns to named raw outputs, or the network alone.

Everything before and behind the network is plain float64: the Scaler of `ai.onnx.ml` answers float32, and its Imputer
takes none.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper, load_from_string, numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state

from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.encoding.dates import CYCLES
from models_store.encoding.outputs import LabelDecoder
from models_store.errors import ExportDiffers, NotExpressible
from models_store.exports.exactness import check_labels, check_names
from models_store.exports.portable import portable, weights_of
from models_store.exports.programs import LONGEST_COMPLAINT
from models_store.exports.sample import Sample
from models_store.networks.onnx_graph import INPUT, IR_VERSION, OPSET, OUTPUT, Graph, computed, onnx_model
from models_store.tables.clock import DAY
from models_store.tables.table import Table, Values

# Begins the names of operators and constants.
INNER = "~"
ML = "ai.onnx.ml"
ML_OPSET = 3
PROBABILITIES = "probabilities"
COLUMNS = np.array([1])
# ONNX Runtime's errors have no base of their own. Inputs that are missing or too many are ValueErrors and KeyErrors.
ERRORS: tuple[type[Exception], ...] = (
    *(
        kind
        for kind in vars(onnxruntime_pybind11_state).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ),
    ValueError,
    LookupError,
)
LARGEST = {"float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max)}


def onnx_file(bundle: Bundle, version: int) -> bytes:
    """Return a graph of all between a raw row and its answer. Raises NotExpressible for columns of texts."""
    pattern = portable(bundle, version)
    for column in pattern["inputs"]["columns"]:
        if column["kind"] == "text":
            raise NotExpressible("onnx", f"column {column['name']} is text; export it to python or js")
    graph = Graph("float64", prefix=_inner((*bundle.inputs, *bundle.outputs)))
    encoded = _encoded(graph, pattern["inputs"])
    flowing = graph("Cast", encoded, to=_element(bundle.architecture.dtype))
    network = Graph(bundle.architecture.dtype, graph.nodes, graph.constants, graph.prefix)
    outputs = computed(network, bundle.architecture, weights_of(bundle), flowing)
    answers = _decoded(graph, pattern["output"], graph("Cast", outputs, to=TensorProto.DOUBLE))
    named = _named(graph, bundle, _only_good(graph, answers, encoded, LARGEST[bundle.architecture.dtype]))
    made = helper.make_graph(
        graph.nodes, "pattern", [*map(_input, pattern["inputs"]["columns"])], named, graph.constants
    )
    return _saved(made, pattern, ML_OPSET)


def onnx_network_file(bundle: Bundle, version: int) -> bytes:
    """Return the network alone: what the encoder makes of rows becomes what the decoder takes."""
    model = load_from_string(onnx_model(bundle.architecture, weights_of(bundle)))
    return _saved(model.graph, portable(bundle, version))


def answers(content: bytes, sample: Sample) -> Array:
    """Return what ONNX Runtime answers to the raw columns, (n_rows, n_answers). Raises ExportDiffers."""
    with _differing():
        return _answered(_session(content), sample)


def network_answers(content: bytes, sample: Sample) -> Array:
    """Return what ONNX Runtime answers to the encoded rows, decoded here. Raises ExportDiffers."""
    encoded = sample.predictor.encoder.encode(sample.raw)
    with _differing():
        [outputs] = _session(content).run([OUTPUT], {INPUT: encoded})
    return sample.predictor.decoder.decode(outputs)


@contextmanager
def _differing() -> Iterator[None]:
    """Raise ExportDiffers, with the beginning of what it says, where ONNX Runtime cannot compute the graph."""
    try:
        yield
    except ERRORS as error:
        raise ExportDiffers(f"its runtime said: {str(error)[:LONGEST_COMPLAINT]}") from error


def _answered(session: onnxruntime.InferenceSession, sample: Sample) -> Array:
    decoder, names = sample.predictor.decoder, [made.name for made in session.get_outputs()]
    # Of a classification, the probabilities are the last output; no column is called as they are.
    likely = names[-1:] if isinstance(decoder, LabelDecoder) else []
    check_names(names, [*decoder.columns, *likely])
    made = session.run(names, _fed_to(session, sample))
    if isinstance(decoder, LabelDecoder):
        check_labels(made[0][:, 0].tolist(), decoder.values.tolist(), made[1])
        return np.asarray(made[1])
    return np.concatenate(made, axis=1)


def _fed_to(session: onnxruntime.InferenceSession, sample: Sample) -> dict[str, NDArray[Any]]:
    kinds = {given.name: given.type for given in session.get_inputs()}
    columns = sample.raw.columns if isinstance(sample.raw, Table) else dict(zip(kinds, sample.raw.T, strict=True))
    return {name: _fed(columns[name], kind)[:, None] for name, kind in kinds.items()}


def _inner(columns: Iterable[str]) -> str:
    """Return what no column begins with, so that no operator or constant is called as a column is."""
    inner = INNER
    while any(column.startswith(inner) for column in columns):
        inner += INNER
    return inner


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _fed(values: Values, kind: str) -> NDArray[Any]:
    if kind == "tensor(string)":
        return np.array(["" if value is None else value for value in values], dtype=object)
    return values.astype(bool if kind == "tensor(bool)" else np.float64)


def _saved(graph: Any, pattern: dict[str, Any], ml: int = 0) -> bytes:
    opsets = [helper.make_opsetid("", OPSET), *([helper.make_opsetid(ML, ml)] if ml else [])]
    model: ModelProto = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="Pattern Server"
    )
    columns = {column["name"]: column["seen"] for column in pattern["inputs"]["columns"]}
    facts = {
        "pattern": pattern["pattern"],
        "version": str(pattern["version"]),
        "tolerance": f"{pattern['tolerance']:g}",
        "columns": json.dumps(columns, allow_nan=False),
    }
    helper.set_model_props(model, facts)
    saved: bytes = model.SerializeToString()
    return saved


def _element(dtype: str) -> int:
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


# -- columns -----------------------------------------------------------------------------------------------------------


def _input(column: dict[str, Any]) -> ValueInfoProto:
    return helper.make_tensor_value_info(column["name"], _type_of(column), ["rows", 1])


def _type_of(column: dict[str, Any]) -> int:
    if column["kind"] == "category":
        return int(TensorProto.STRING)
    # A bool cannot be missing.
    is_bool = column["kind"] == "boolean" and not column["takes_missing"]
    return int(TensorProto.BOOL if is_bool else TensorProto.DOUBLE)


def _encoded(graph: Graph, inputs: dict[str, Any]) -> str:
    columns: list[dict[str, Any]] = inputs["columns"]
    if "degree" in inputs:
        raw = graph("Concat", *(column["name"] for column in columns), axis=1)
        return _scaled(graph, _monomials(graph, raw, len(columns), inputs["degree"]), inputs["scaler"])
    of_pairs = [_pair(graph, pair, columns) for pair in inputs["pairs"]]
    return graph("Concat", *(_column(graph, column) for column in columns), *of_pairs, axis=1)


def _pair(graph: Graph, pair: dict[str, Any], columns: list[dict[str, Any]]) -> str:
    """Return the position of two columns along some directions of their plane, each encoded as a number is."""
    raw = graph("Concat", *(_value(graph, columns[place]) for place in pair["columns"]), axis=1)
    scaled = _scaled(graph, raw, pair["scaler"])
    known = graph("Where", graph("IsNaN", scaled), 0.0, scaled)
    positions = graph("MatMul", known, np.array(pair["directions"]).T)
    each = enumerate(pair["positions"])
    encoded = [_numbers(graph, graph("Gather", positions, np.array([place]), axis=1), own) for place, own in each]
    return graph("Concat", *encoded, axis=1)


def _value(graph: Graph, column: dict[str, Any]) -> str:
    value = graph("Cast", column["name"], to=TensorProto.DOUBLE)
    return value if column["fill"] is None else graph("Where", graph("IsNaN", value), float(column["fill"]), value)


def _monomials(graph: Graph, raw: str, n_columns: int, degree: int) -> str:
    groups = []
    for size in range(1, degree + 1):
        factors = np.array([*combinations_with_replacement(range(n_columns), size)]).T
        product = graph("Gather", raw, factors[0], axis=1)
        for places in factors[1:]:
            product = graph("Mul", product, graph("Gather", raw, places, axis=1))
        groups.append(product)
    return graph("Concat", *groups, axis=1)


def _scaled(graph: Graph, raw: str, scaler: dict[str, Any]) -> str:
    return graph("Div", graph("Sub", raw, np.array(scaler["offset"])), np.array(scaler["scale"]))


def _column(graph: Graph, column: dict[str, Any]) -> str:
    encoder = column["encoder"]
    if column["kind"] == "category":
        return _category(graph, column)
    value = _value(graph, column)
    if column["kind"] == "boolean":
        return _boolean(graph, value, encoder)
    if column["kind"] in ("date", "time"):
        lengths = [CYCLES[cycle] for cycle in encoder["cycles"]] if column["kind"] == "date" else [float(DAY)]
        numbers = encoder["days"] if column["kind"] == "date" else encoder["seconds"]
        return graph("Concat", *_circles(graph, value, numbers, lengths), _numbers(graph, value, numbers), axis=1)
    return _numbers(graph, value, encoder["seconds"] if column["kind"] == "duration" else encoder)


def _filled(graph: Graph, value: str, encoder: dict[str, Any]) -> str:
    """Return the median where a missing value may be; elsewhere NaN stays, and so does the row's answer."""
    return graph("Where", graph("IsNaN", value), encoder["median"], value) if encoder["takes_missing"] else value


def _numbers(graph: Graph, value: str, encoder: dict[str, Any]) -> str:
    filled, edges = _filled(graph, value, encoder), np.array(encoder["edges"])
    parts = [_scaled(graph, filled, encoder["scaler"])]
    if len(edges) > 1:
        risen = graph("Div", graph("Sub", filled, edges[:-1]), edges[1:] - edges[:-1])
        # The first piece goes on below 0, the last one above 1.
        below, above = np.zeros(len(edges) - 1), np.ones(len(edges) - 1)
        below[0], above[-1] = -LARGEST["float64"], LARGEST["float64"]
        parts.append(graph("Min", graph("Max", risen, below), above))
    if encoder["takes_missing"]:
        parts.append(graph("Cast", graph("IsNaN", value), to=TensorProto.DOUBLE))
    return graph("Concat", *parts, axis=1)


def _circles(graph: Graph, value: str, encoder: dict[str, Any], lengths: list[float]) -> list[str]:
    turn = graph("Mul", _filled(graph, value, encoder), 2 * np.pi)
    turns = [graph("Div", turn, length) for length in lengths]
    return [graph(curve, each) for each in turns for curve in ("Sin", "Cos")]


def _boolean(graph: Graph, value: str, encoder: dict[str, Any]) -> str:
    sign = graph("Sub", graph("Mul", value, 2.0), 1.0)
    if not encoder["takes_missing"]:
        return sign
    missing = graph("IsNaN", value)
    return graph("Concat", graph("Where", missing, 0.0, sign), graph("Cast", missing, to=TensorProto.DOUBLE), axis=1)


def _category(graph: Graph, column: dict[str, Any]) -> str:
    """Return one input a value, one for unseen, one for missing, which is the empty text."""
    values: list[str] = column["encoder"]["values"]
    n = len(values)
    flat = graph("Reshape", column["name"], np.array([-1]))
    seen = graph("OneHotEncoder", flat, cats_strings=[*values, ""], zeros=1, domain=ML)
    seen = graph("Cast", seen, to=TensorProto.DOUBLE)
    unseen = graph("Sub", 1.0, graph("ReduceSum", seen, COLUMNS, keepdims=1))
    # Rows: the values, missing, unseen; columns: the values, unseen, missing, as the encoder has them.
    places = np.zeros((n + 2, n + 2))
    places[range(n), range(n)] = 1
    places[n + 1, n] = 1
    fill = column["fill"]
    places[n, n + 1 if fill is None else values.index(fill) if fill in values else n] = 1
    encoded = graph("MatMul", graph("Concat", seen, unseen, axis=1), places)
    if means := column["encoder"].get("means"):
        encoded = graph("Concat", encoded, _means(graph, flat, means, fill), axis=1)
    if column["takes_missing"]:
        return encoded
    missing = graph("Greater", graph("Gather", seen, np.array([n]), axis=1), 0.5)
    return graph("Where", missing, float("nan"), encoded)


def _means(graph: Graph, flat: str, means: dict[str, list[float]], fill: str | None) -> str:
    """Return the mean targets of each row's value; 0 of a value that is unknown or missing."""
    places = {value: place for place, value in enumerate(means)} | {"": len(means)}
    if fill in means:
        places[""] = places[fill]
    of_rows = graph(
        "LabelEncoder",
        flat,
        keys_strings=[*places],
        values_int64s=[*places.values()],
        default_int64=len(means),
        domain=ML,
    )
    told = np.array([*means.values()])
    return graph("Gather", np.concatenate([told, np.zeros((1, told.shape[1]))]), of_rows, axis=0)


# -- answers -----------------------------------------------------------------------------------------------------------


def _exponential(graph: Graph, logarithm: dict[str, Any], found: str) -> str:
    """Return raw numbers of logarithms, between 0 and the highest that the pattern answers."""
    shift, highest = np.array(logarithm["shift"]), np.array(logarithm["highest"])
    raw = graph("Sub", graph("Exp", graph("Min", found, np.log(highest + shift))), shift)
    return graph("Min", graph("Max", raw, np.zeros_like(shift)), highest)


def _decoded(graph: Graph, output: dict[str, Any], outputs: str) -> str:
    if "labels" not in output:
        scaler = output["scaler"]
        found = graph("Add", graph("Mul", outputs, np.array(scaler["scale"])), np.array(scaler["offset"]))
        return found if "logarithm" not in output else _exponential(graph, output["logarithm"], found)
    if output["is_binary"]:
        return graph("Concat", graph("Sub", 1.0, outputs), outputs, axis=1)
    return graph("Div", outputs, graph("ReduceSum", outputs, COLUMNS, keepdims=1))


def _only_good(graph: Graph, answers: str, encoded: str, largest: float) -> str:
    """Return NaN for the rows that the server refuses.

    An input of theirs is missing, or too large for the network, or an answer is not a finite number.
    """
    are_bad = [
        graph("Not", graph("LessOrEqual", graph("Abs", values), most))
        for values, most in ((encoded, largest), (answers, LARGEST["float64"]))
    ]
    bad = graph("Cast", graph("Concat", *are_bad, axis=1), to=TensorProto.DOUBLE)
    any_bad = graph("ReduceMax", bad, COLUMNS, keepdims=1)
    return graph("Where", graph("Greater", any_bad, 0.5), float("nan"), answers)


def _named(graph: Graph, bundle: Bundle, answers: str) -> list[ValueInfoProto]:
    decoder = bundle.predictor.decoder
    if isinstance(decoder, LabelDecoder):
        values = decoder.values
        labels = f"{graph.prefix}labels"
        graph.constants.append(numpy_helper.from_array(values, labels))
        places = graph("ArgMax", answers, axis=1, keepdims=1)
        kind = int(TensorProto.STRING) if values.dtype == object else _element(values.dtype.name)
        made = [_result(graph, graph("Gather", labels, places, axis=0), decoder.column, kind, 1)]
        name = (
            PROBABILITIES
            if PROBABILITIES not in (*bundle.inputs, *bundle.outputs)
            else f"{graph.prefix}{PROBABILITIES}"
        )
        return [*made, _result(graph, answers, name, int(TensorProto.DOUBLE), len(decoder.labels))]
    return [
        _result(graph, graph("Gather", answers, np.array([place]), axis=1), name, int(TensorProto.DOUBLE), 1)
        for place, name in enumerate(decoder.columns)
    ]


def _result(graph: Graph, made: str, name: str, kind: int, width: int) -> ValueInfoProto:
    graph.nodes.append(helper.make_node("Identity", [made], [name]))
    return helper.make_tensor_value_info(name, kind, ["rows", width])
