"""Networks computed by ONNX Runtime: without TensorFlow and Keras, in one thread, on the CPU."""

from typing import Self, cast

import onnxruntime

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture
from models_store.networks.blocks import in_blocks, padded
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
        session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        return cls(saved, session, architecture)

    def to_bytes(self) -> bytes:
        return self._saved

    def __call__(self, encoded: Encoded) -> Encoded:
        return in_blocks(self._computed, encoded, self.block, self.architecture)

    def _computed(self, encoded: Encoded) -> Encoded:
        n_rows = len(encoded)
        (outputs,) = self._session.run(None, {INPUT: padded(encoded, max(GROUP, n_rows + -n_rows % GROUP))})
        return cast(Encoded, outputs[:n_rows])


def block_of(architecture: Architecture) -> int:
    """Return the most rows that one call computes: whole groups."""
    rows = MOST_IN_CACHE // architecture.widest
    return max(FEWEST_ROWS, rows - rows % GROUP)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # One thread computes a small network faster than several, and leaves a core to the event loop.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ALONE
    return options
