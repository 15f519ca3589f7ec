"""Small fakes that really compute: a network that is one multiplication, and a bundle around it."""

import json
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Array, Encoded
from models_store.bundle import Bundle, Evaluation, Predictor
from models_store.calibration.intervals import NumberCalibration
from models_store.calibration.sets import LabelCalibration
from models_store.calibration.widths import Width
from models_store.card import Baselines, Card, ClosedForm, Column, Fitted, Gap, Lineage, Measured, Score
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import InputEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import BundleDamaged
from models_store.networks.architecture import Architecture, Layer
from training.region import region_of


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """outputs = rows @ k, or the sigmoid or softmax of that; `k`: (n_inputs, n_outputs)."""

    k: NDArray[np.float32]
    activation: str = "linear"
    device: str = "/CPU:0"

    def __call__(self, encoded: Encoded) -> Encoded:
        summed = encoded @ self.k
        if self.activation == "linear":
            return summed
        if self.activation == "sigmoid":
            return 1 / (1 + np.exp(-summed))
        powers = np.exp(summed)
        return cast(Encoded, powers / powers.sum(axis=1, keepdims=True))

    def each(self, encoded: Encoded) -> Encoded:
        return self(encoded)[None]

    def to_bytes(self) -> bytes:
        return json.dumps(self.k.tolist()).encode()

    @classmethod
    def from_bytes(cls, saved: bytes, architecture: Architecture) -> Self:
        k = np.array(json.loads(saved), dtype=np.float32)
        if [k.shape] != architecture.weight_shapes[:1]:
            raise BundleDamaged("the network does not have the shape of its recipe")
        return cls(k, architecture.layers[-1].activation)


def line(slope: float = 2.0, pattern: str = "line", job: str | None = None) -> Bundle:
    """Return a bundle that answers y = slope·x exactly: both sides are scaled, by powers of two."""
    encoder = InputEncoder(("x",), 1, Scaler("standard", np.array([8.0]), np.array([4.0])))
    decoder = OutputDecoder(("y",), Scaler("standard", np.array([8.0 * slope]), np.array([8.0])))
    network = LinearNetwork(np.array([[slope / 2]], dtype=np.float32))
    return Bundle(
        pattern=pattern,
        recipe={"name": pattern, "slope": slope},
        architecture=Architecture(1, (Layer(1, "linear"),)),
        predictor=Predictor(encoder, network, decoder),
        card=card(job),
        history={"loss": [0.5, 0.25]},
        evaluation=Evaluation([[slope]], [[slope]]),
        golden_inputs=np.array([[0.0], [4.0], [16.0]]),
    )


def closed_form(text: str = "2*x + 1", **columns: str) -> ClosedForm:
    """Return a formula; by default one more than `line` answers, so that it shows who has answered."""
    return ClosedForm(
        text=text, latex="", python="", rmse=0.0, network_rmse=1.0, terms=2, is_exact=True, columns=columns
    )


def sure(bundle: Bundle, n_rows: int = 19) -> Bundle:
    """Return the bundle with a calibration: intervals of 0.9 are 18 to either side, of 0.95 19; jointly one more.

    Of a classification, a set of 0.9 or 0.95 has the labels that are as probable as 0.3.
    """
    if bundle.labels is not None:
        labels = np.tile(np.arange(len(bundle.labels)), n_rows)
        return replace(bundle, calibration=LabelCalibration(np.full(len(labels), 0.3), labels, len(bundle.labels)))
    n_outputs = len(bundle.outputs)
    scores = np.arange(1.0, n_rows + 1)[:, None] + np.arange(n_outputs)
    golden, none = np.ones((len(bundle.golden_inputs), n_outputs)), np.empty((0, n_outputs))
    calibration = NumberCalibration(scores, Width.even(n_outputs), None, golden, np.zeros_like(scores), none)
    return replace(bundle, calibration=calibration)


def gapped(bundle: Bundle) -> Bundle:
    """Return `line` with the region of rows whose x are from 0 to 4 and from 12 to 16: between these none was."""
    x = np.concatenate([np.linspace(0, 4, 100), np.linspace(12, 16, 100)])[:, None]
    return replace(bundle, region=region_of(x, bundle.predictor.encoder, seed=0))


def that_errs(by: float) -> Bundle:
    """Return `line`, tested on 40 rows, on each of which it errs by so much, and a linear model by 3."""
    bundle, targets = line(2), [[float(row)] for row in range(40)]
    test = bundle.card.test.model_copy(update={"rows": 40})
    gap = Gap(inputs=[4.0], predicted=[8.0 + by], label=[8.0], gap=[by])
    beside = {"linear": [[row - 3.0] for [row] in targets]}
    kept = Evaluation([[row + by] for [row] in targets], targets, beside, [[0.25]] * 40)
    return replace(bundle, card=bundle.card.model_copy(update={"test": test, "gaps": [gap]}), evaluation=kept)


def card(job: str | None = None) -> Card:
    exact = Score(rmse=0.0, mae=0.0, median_error=0.0, r2=1.0, max_error=0.0)
    measured = Measured(rows=1, overall=exact, outputs={"y": exact})
    return Card(
        inputs=[Column(name="x", minimum=0.0, maximum=16.0)],
        outputs=[Column(name="y", minimum=0.0, maximum=32.0)],
        train=measured,
        validation=None,
        test=measured,
        author_metrics={"rmse": 0.0},
        author=None,
        baselines=Baselines(
            metric="rmse",
            figures={"mean": 1.0, "linear": 0.0, "network": 0.0},
            verdict="A straight line is exact here.",
        ),
        gaps=[],
        fitted=Fitted(
            epochs=2,
            best_epoch=2,
            stopped_early=False,
            final_loss=0.25,
            seconds=0.0,
            rows=1,
            parameters=1,
            engine="fake",
            device="/CPU:0",
        ),
        lineage=Lineage(trained_at="2025-01-01T00:00:00+00:00", job=job, seed=0, data_sha256="", software={}),
        notes=[],
    )


def rows(*values: float) -> Array:
    """Return one column of raw values, float64 (n_rows, 1)."""
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def changed(saved: bytes, **fields: Any) -> bytes:
    """Return a JSON object with some of its fields replaced."""
    return json.dumps({**json.loads(saved), **fields}).encode()
