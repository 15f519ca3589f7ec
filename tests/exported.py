"""Patterns of every kind with random tables, encoders and weights, computed by ONNX Runtime, to be exported."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from models_store.arrays import Dtype
from models_store.bundle import Bundle, Evaluation, Predictor
from models_store.card import Column
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.outputs import Decoder, LabelDecoder, Logarithm, OutputDecoder
from models_store.encoding.pairs import PairEncoder
from models_store.encoding.rows import Encoder, InputEncoder, TableEncoder, monomials
from models_store.encoding.scaler import Scaler
from models_store.encoding.texts import TextEncoder, Weighting
from models_store.networks.architecture import Architecture, Layer
from models_store.networks.onnx_network import OnnxNetwork
from models_store.tables.kinds import KINDS
from models_store.tables.spelling import Spelling
from models_store.tables.table import Kind, Raw, Table, Values, column_of, take
from tests.fakes import card
from tests.keras_files import drawn, keras_file
from tests.table_fakes import encoder_of


def without(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is missing that only it needs."""
    reason = f"{program} is not installed; tests/install_runtimes.sh installs it for root"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


PMML_PYTHON = Path(__file__).parents[1] / ".runtimes" / "pmml" / "bin" / "python"
with_pmml = pytest.mark.skipif(
    not PMML_PYTHON.parents[1].joinpath("made-of.lock").exists(),
    reason="JPMML and PMML4S are not installed; tests/install_environment.sh installs them",
)
PROGRAMS = [pytest.param("c", marks=without("gcc")), pytest.param("js", marks=without("node")), "python"]
WITHOUT_TEXT: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "text")
KINDS_OF = {"c": WITHOUT_TEXT, "js": KINDS, "python": KINDS}
N_ROWS = 24
NAMES = ["x", "größe", "a b", 'say "hi"', "two,lines", "__proto__", "int", "</script>", "*/ x", "`${1}`", "'''"]
WORDS = ["cabin", "first", "don't", "größe", "third", "3rd", "ÉCOLE", "naïve"]
HIDDEN = ["relu", "tanh", "elu", "selu", "gelu", "silu", "softplus", "sigmoid", "leaky_relu", "softsign", "linear"]
LABELS = [("no", "yes"), ("a", "b", "c"), ("x,y", 'q"', "ü", "*/")]


@st.composite
def bundles(draw: st.DrawFn, kinds: tuple[Kind, ...] = KINDS) -> Bundle:
    """Draw a pattern: a table with columns of these kinds, or a formula with products of its columns."""
    seed = draw(st.integers(0, 2**16))
    dtype: Dtype = draw(st.sampled_from(["float32", "float64"]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    raw, encoder = (
        _formula(names, seed, dtype) if draw(st.integers(0, 3)) == 0 else draw(_table(names, kinds, seed, dtype))
    )
    decoder = draw(_decoders(dtype, seed))
    hidden = [Layer(draw(st.integers(1, 9)), draw(st.sampled_from(HIDDEN))) for _ in range(draw(st.integers(0, 3)))]
    last = Layer(decoder.n_outputs, _activation(decoder))
    members = draw(st.sampled_from([1, 1, 2, 8]))
    return bundle_of(raw, encoder, decoder, Architecture(encoder.n_inputs, (*hidden, last), dtype, members), seed)


def bundle_of(raw: Raw, encoder: Encoder, decoder: Decoder, architecture: Architecture, seed: int = 0) -> Bundle:
    network = OnnxNetwork.from_bytes(keras_file(drawn(architecture, seed)), architecture)
    inputs = [_seen(name, kind, raw, place) for place, (name, kind) in enumerate(encoder.kinds.items())]
    made = card().model_copy(update={"inputs": inputs, "left_out": ["left out"]})
    predictor = Predictor(encoder, network, decoder)
    return Bundle("drawn", {}, architecture, predictor, made, {}, Evaluation([], []), take(raw, slice(8)))


def _activation(decoder: Decoder) -> str:
    return "linear" if not isinstance(decoder, LabelDecoder) else "sigmoid" if decoder.is_binary else "softmax"


def _seen(name: str, kind: Kind, raw: Raw, place: int) -> Column:
    if isinstance(raw, Table):
        return Column(name=name, kind=kind)
    return Column(name=name, minimum=float(raw[:, place].min()), maximum=float(raw[:, place].max()))


def _formula(names: list[str], seed: int, dtype: Dtype) -> tuple[Raw, Encoder]:
    raw = np.random.default_rng(seed).normal(size=(N_ROWS, len(names))) * 5
    degree = 1 + seed % 3
    return raw, InputEncoder(tuple(names), degree, Scaler.standard(monomials(raw, degree)), dtype)


@st.composite
def _table(draw: st.DrawFn, names: list[str], kinds: tuple[Kind, ...], seed: int, dtype: Dtype) -> tuple[Raw, Encoder]:
    rng = np.random.default_rng(seed)
    kind_of: dict[str, Kind] = {name: draw(st.sampled_from(("number", *kinds))) for name in names}
    table = Table({name: _cells(rng, kind, missing=draw(st.booleans())) for name, kind in kind_of.items()})
    encoders = {name: _encoder(rng, kind, table.columns[name]) for name, kind in kind_of.items()}
    fills: dict[str, Any] = {
        name: _fill(encoder, table.columns[name])
        for name, encoder in encoders.items()
        if not encoder.takes_missing and draw(st.booleans())
    }
    missing = draw(st.sampled_from([frozenset[str](), frozenset({"-999", "unknown"})]))
    numbers = [name for name, kind in kind_of.items() if kind == "number"][:2]
    pairs = (_pair(table, *numbers, bins=draw(st.integers(0, 6))),) if len(numbers) == 2 else ()
    return table, TableEncoder(encoders, dtype, Spelling(missing), fills, pairs)


def _pair(table: Table, first: str, second: str, *, bins: int) -> PairEncoder:
    return PairEncoder.fit((first, second), (table.columns[first], table.columns[second]), bins)


def _encoder(rng: np.random.Generator, kind: Kind, values: Values) -> ColumnEncoder:
    if kind == "text":
        weighting: Weighting = "tf-idf" if rng.random() < 0.5 else "multi-hot"
        return TextEncoder.fit(values, weighting=weighting, terms="words-and-pairs" if rng.random() < 0.5 else "words")
    if kind == "number":
        return NumberEncoder.fit(values, bins=int(rng.integers(0, 6)))
    encoder = encoder_of(kind, values)
    if isinstance(encoder, CategoryEncoder) and rng.random() < 0.5:
        means = {value: tuple(rng.normal(size=2).tolist()) for value in ("__proto__", "12", *encoder.values)}
        return replace(encoder, values=encoder.values[:2], means=means)
    return encoder


def _fill(encoder: ColumnEncoder, values: Values) -> float | str:
    return values[0] if values.dtype == object else float(values.astype(np.float64)[0])


def _cells(rng: np.random.Generator, kind: Kind, *, missing: bool) -> Values:
    cells: list[Any] = []
    for _ in range(N_ROWS):
        match kind:
            case "number":
                cells.append(float(rng.normal() * 10 ** rng.integers(0, 4)))
            case "boolean":
                cells.append(float(rng.integers(2)))
            case "category":
                cells.append(["red", "3", "0.5", "007", "true", "größe", 'a "b"', "c,d", "line\nend"][rng.integers(9)])
            case "date":
                cells.append(float(rng.integers(-30000, 30000)) + (float(rng.integers(96)) / 96 if missing else 0.0))
            case "time":
                cells.append(float(rng.integers(86400)))
            case "duration":
                cells.append(float(rng.integers(-(10**6), 10**6)))
            case "text":
                cells.append(" ".join(WORDS[place] for place in rng.integers(len(WORDS), size=4)))
    if missing:
        cells[3] = cells[11] = None
    return column_of(kind, cells)


@st.composite
def _decoders(draw: st.DrawFn, dtype: Dtype, seed: int) -> Decoder:
    if draw(st.booleans()):
        names = tuple(draw(st.lists(st.sampled_from(["y", "price, net", "constructor"]), min_size=1, unique=True)))
        rng = np.random.default_rng(seed)
        learned = Scaler("standard", rng.normal(size=len(names)), rng.uniform(1, 9, len(names)))
        logarithm = Logarithm(rng.uniform(0.1, 2, len(names)), rng.uniform(50, 90, len(names)))
        return OutputDecoder(names, learned, dtype, logarithm if draw(st.booleans()) else None)
    kind = draw(st.sampled_from(["text", "number", "boolean"]))
    match kind:
        case "number":
            return LabelDecoder(
                "class", draw(st.sampled_from([("1", "2"), ("0", "0.5", "1e30")])), "number", dtype=dtype
            )
        case "boolean":
            return LabelDecoder("is", ("false", "true"), "boolean", dtype=dtype)
    return LabelDecoder("species", draw(st.sampled_from(LABELS)), dtype=dtype)


def spelled(*, has_text: bool = True) -> Bundle:
    """Return a pattern with a column of every kind, each of which may be missing, and words and formats of its own."""
    dtype: Dtype = "float64"
    cells: dict[str, tuple[Kind, list[Any]]] = {
        "n": ("number", [1.0, 2.5, None, 1000.0]),
        "b": ("boolean", [0.0, 1.0, None, 1.0]),
        "c": ("category", ["3", "3", None, "007", "007", "true", "true", "red"]),
        "d": ("date", [18000.0, 18100.25, None, 19000.0]),
        "f": ("date", [18000.0, 18100.0, None, 19000.0]),
        "g": ("date", [18000.0, 18100.0, None, 19000.0]),
        "t": ("time", [0.0, 43200.0, None, 86399.0]),
        "u": ("duration", [-60.0, 3600.0, None, 90000.0]),
        "x": ("text", ["first cabin", "cabin's first", None, "größe größe"]),
    }
    if not has_text:
        del cells["x"]
    columns = {name: column_of(kind, (values * 4)[:16]) for name, (kind, values) in cells.items()}
    encoders = {name: encoder_of(kind, columns[name]) for name, (kind, _) in cells.items()}
    if has_text:
        encoders["x"] = TextEncoder.fit(columns["x"], weighting="tf-idf", terms="words-and-pairs")
    spelling = Spelling(frozenset({"-999", "unknown"}), {"d": "day-first"}, {"f": "%d.%m.%y", "g": "%Y%m%d"})
    encoder = TableEncoder(encoders, dtype, spelling)
    decoder = OutputDecoder(("y",), Scaler("standard", np.array([5.0]), np.array([2.0])), dtype)
    architecture = Architecture(encoder.n_inputs, (Layer(6, "tanh"), Layer(1, "linear")), dtype)
    return bundle_of(Table(columns), encoder, decoder, architecture)


def probable() -> Bundle:
    """Return a pattern with one number, without a table, and two labels that are numbers."""
    raw = np.linspace(-5, 5, 16).reshape(-1, 1)
    architecture = Architecture(1, (Layer(4, "relu"), Layer(1, "sigmoid")))
    encoder = InputEncoder(("x",), 1, Scaler.standard(raw))
    return bundle_of(raw, encoder, LabelDecoder("class", ("1", "2"), "number"), architecture)
