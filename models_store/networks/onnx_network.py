"""Networks computed by ONNX Runtime: without TensorFlow and Keras, in one thread, on the CPU."""

from functools import cached_property
from typing import Self, cast

import onnxruntime

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture
from models_store.networks.blocks import each_in_blocks, in_blocks, padded
from models_store.networks.onnx_graph import INPUT, onnx_model
from models_store.networks.weights import read_weights

# ONNX Runtime computes eight numbers at a time, and rounds those left over at the end differently. Whole groups of rows
# leave none over, so that a row's answer is the same to the bit, whichever rows are beside it.
GROUP = 8
# Outputs of the widest layer in a block, which then stay in the CPU cache; but a call costs as much as a few rows.
MOST_IN_CACHE = 1 << 18
FEWEST_ROWS = 256
ERRORS_ALONE = 3


class OnnxNetwork:
    """A network in a session of ONNX Runtime. Lives as long as the bundle that holds it."""

    device = "/CPU:0"

    def __init__(self, saved: bytes, session: onnxruntime.InferenceSession, architecture: Architecture) -> None:
        self.architecture = architecture
        self._saved = saved
        self._session = session
        self.block = block_of(architecture)

    @classmethod
    def from_bytes(cls, saved: bytes, architecture: Architecture) -> Self:
        """Read the content of network.keras. Raises BundleDamaged where it is not of this architecture."""
        model = onnx_model(architecture, read_weights(saved, architecture))
        return cls(saved, _session(model), architecture)

    def to_bytes(self) -> bytes:
        return self._saved

    def __call__(self, encoded: Encoded) -> Encoded:
        return in_blocks(self._computed, encoded, self.block, self.architecture)

    def each(self, encoded: Encoded) -> Encoded:
        if self.architecture.members == 1:
            return self(encoded)[None]
        return each_in_blocks(self._computed_each, encoded, self.block)

    def _computed(self, encoded: Encoded) -> Encoded:
        return _run(self._session, encoded)[: len(encoded)]

    def _computed_each(self, encoded: Encoded) -> Encoded:
        return _run(self._apart, encoded)[:, : len(encoded)]

    @cached_property
    def _apart(self) -> onnxruntime.InferenceSession:
        """A session of the same members that leaves out their mean; made when it is first asked for."""
        weights = read_weights(self._saved, self.architecture)
        return _session(onnx_model(self.architecture, weights, are_apart=True))


def block_of(architecture: Architecture) -> int:
    """Return the most rows that one call computes: whole groups."""
    rows = MOST_IN_CACHE // architecture.widest
    return max(FEWEST_ROWS, rows - rows % GROUP)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, encoded: Encoded) -> Encoded:
    """Return the outputs of the rows, and of those that fill up the last group."""
    n_rows = len(encoded)
    (outputs,) = session.run(None, {INPUT: padded(encoded, max(GROUP, n_rows + -n_rows % GROUP))})
    return cast(Encoded, outputs)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # One thread computes a small network faster than several, and leaves a core to the event loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ALONE
    return options
