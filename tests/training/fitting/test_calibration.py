"""The temperature that makes probabilities as sure as they are right."""

import numpy as np
import pytest

from models_store.arrays import Array

pytestmark = pytest.mark.keras

N_ROWS = 20_000
RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=2, size=(N_ROWS, 3))


def softmax(logits: Array) -> Array:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = powers / powers.sum(axis=1, keepdims=True)
    return shares


NUMBERS = (LOGITS + RNG.gumbel(size=LOGITS.shape)).argmax(axis=1)
"""Labels that are as probable as `softmax(LOGITS)` says."""


@pytest.mark.parametrize(("factor", "expected"), [(2.5, 2.5), (1.0, 1.0), (0.4, 1.0)])
def test_the_temperature_undoes_what_is_too_sure_and_leaves_what_is_not(factor: float, expected: float) -> None:
    from training.fitting.calibration import temperature  # deferred: imports TensorFlow

    assert temperature(softmax(factor * LOGITS), NUMBERS, None) == pytest.approx(expected, rel=0.05)


def test_rows_count_by_their_weights() -> None:
    """Half of the rows are told twice as surely, and only they count."""
    from training.fitting.calibration import temperature  # deferred: imports TensorFlow

    is_sure = np.arange(N_ROWS) % 2 == 0
    told = softmax(np.where(is_sure[:, None], 2 * LOGITS, LOGITS))
    assert temperature(told, NUMBERS, is_sure.astype(np.float32)) == pytest.approx(2, rel=0.05)


def test_rows_that_are_all_answered_rightly_make_nothing_surer() -> None:
    from training.fitting.calibration import temperature  # deferred: imports TensorFlow

    assert temperature(np.array([[0.9, 0.1], [0.0, 1.0]]), np.array([0, 1]), None) == 1.0


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_outputs_at_all_temperatures(n_outputs: int) -> None:
    from models_store.networks.keras_network import tf  # deferred: imports TensorFlow
    from training.fitting.calibration import TEMPERATURES, at_temperatures

    logits = LOGITS[:8, :n_outputs]
    pairs = logits if n_outputs > 1 else np.concatenate([0 * logits, logits], axis=1)
    outputs = softmax(pairs)[:, -n_outputs:]
    found = at_temperatures(tf.constant(outputs[:, None])).numpy()
    assert found.shape == (len(TEMPERATURES), 8, 1, n_outputs)
    for cooled, degree in zip(found, TEMPERATURES, strict=True):
        np.testing.assert_allclose(cooled[:, 0], softmax(pairs / degree)[:, -n_outputs:], rtol=1e-4, atol=1e-6)
