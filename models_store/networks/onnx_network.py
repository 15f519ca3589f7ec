"""Networks computed by ONNX Runtime: without TensorFlow and Keras, in one thread, on the CPU."""

from typing import Self, cast

import onnxruntime

from models_store.arrays import Encoded
from models_store.networks.architecture import Architecture
from models_store.networks.blocks import in_blocks, padded
from models_store.networks.onnx_graph import INPUT, onnx_model
from models_store.networks.weights import read_weights

# What ONNX Runtime computes eight numbers at a time it rounds otherwise than what is left over at the end. Whole
# groups of rows leave nothing over, and a row's answer is the same to the bit whoever else is in the batch.
GROUP = 8
# More rows go through in blocks, so that a layer's outputs stay in the cache; a call alone costs as much as a few rows.
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
        """From what `KerasNetwork.to_bytes` made. BundleDamaged if that is not this architecture's weights."""
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
    """How many rows a call computes at the most: whole groups."""
    rows = MOST_IN_CACHE // architecture.widest
    return max(FEWEST_ROWS, rows - rows % GROUP)


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Small networks are computed faster by one thread than shared among several, and the event loop keeps a core.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ALONE
    return options
