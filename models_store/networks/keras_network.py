"""The seam with Keras: an architecture becomes a model, a model becomes one compiled function, and a file.

Importing this module has effects: it chooses the TensorFlow backend in the environment, imports TensorFlow, which takes
many seconds, with file descriptor 2 silenced meanwhile, and sets the level of its logger. So it is imported where
somebody waits anyway, and all other modules take `keras` and `tf` from here.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from models_store.arrays import Encoded
from models_store.errors import DeviceUnavailable
from models_store.networks.architecture import Architecture, Device
from models_store.networks.blocks import each_in_blocks, in_blocks, padded
from models_store.networks.weights import check_finite, read_weights

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextmanager
def silenced() -> Iterator[None]:
    """Silence file descriptor 2: while TensorFlow loads, it writes ten lines there, whatever its settings."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


with silenced():
    import keras
    import tensorflow as tf

# Each bundle and each fit is traced once; TensorFlow warns of that as of a loop that retraces by mistake.
tf.get_logger().setLevel("ERROR")

__all__ = [
    "KerasNetwork",
    "build",
    "device_name",
    "initial_weights",
    "keras",
    "on_device",
    "tf",
    "use_threads",
    "with_weights",
]

# TensorFlow multiplies one row in another way than many, and rounds differently. Padding to a bucket keeps the answer
# for a row the same to the bit, whichever rows are beside it.
SMALLEST_BUCKET = 8
# Outputs of the widest layer in a block, which then stay in the CPU cache: four times as fast as all rows at once.
MOST_IN_CACHE = 1 << 19
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 8, 1 << 15
# Up to this many weights are constants of the graph: a call of few rows takes a third less time, and memory holds the
# weights eight times over. With more weights, the overhead of a call does not matter.
MOST_CONSTANTS = 1 << 16
# Rows with a number beyond it are computed operation by operation. Where weights are variables, TensorFlow joins
# product, bias and relu into one of oneDNN, in which relu of NaN is 0: sums that overflow would have an answer.
LARGE = 1e16
# Between the seeds of two members: far more than there are folds and layers, whose seeds follow each other.
MEMBER_STRIDE = 1 << 20


def use_threads(count: int) -> None:
    """Set the number of threads that TensorFlow computes with; without effect once it has computed something."""
    with suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(count)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    # TensorFloat-32 keeps 10 bits of a factor's mantissa: answers would be less exact than the model card says.
    tf.config.experimental.enable_tensor_float_32_execution(False)


def device_name(wanted: Device) -> str:
    """Return `/GPU:0` or `/CPU:0`; `auto` takes a GPU if there is one.

    Raises DeviceUnavailable where a GPU is wanted and TensorFlow sees none.
    """
    has_gpu = wanted != "cpu" and bool(tf.config.list_physical_devices("GPU"))
    if wanted == "gpu" and not has_gpu:
        raise DeviceUnavailable(
            "a GPU was asked for, but TensorFlow sees none here; install the `gpu` extra on a machine with an NVIDIA "
            "driver, or set PATTERNS_DEVICE to cpu or auto"
        )
    if has_gpu:
        for gpu in tf.config.list_physical_devices("GPU"):
            with suppress(RuntimeError):  # in use already
                # Server and trainer share the GPU: each takes the memory that it needs, instead of nearly all of it.
                tf.config.experimental.set_memory_growth(gpu, True)
    return "/GPU:0" if has_gpu else "/CPU:0"


def on_device(name: str) -> AbstractContextManager[Any]:
    """Return a context: models and functions made or traced inside compute on the device of this name."""
    return cast(AbstractContextManager[Any], tf.device(name))


def build(architecture: Architecture, seed: int = 0) -> keras.Model:
    """Return a new model; layer i draws its weights (Glorot uniform, Keras' default) from `seed + i`.

    Of several members, the first is the model that `seed` would draw alone.
    Models of one architecture have the same names. Names that Keras makes up (dense_1, dense_2, …) are new each time,
    and TensorFlow keeps about 30 KB for each new name of a variable until the process ends.
    """
    if architecture.members > 1:
        return with_weights(architecture, initial_weights(architecture, seed))
    rows = keras.Input((architecture.n_inputs,), dtype=architecture.dtype, name="rows")
    model = keras.Sequential([rows], name="network")
    for position, layer in enumerate(architecture.layers):
        model.add(
            keras.layers.Dense(
                layer.units,
                name=f"layer_{position}",
                activation=layer.activation,
                kernel_initializer=keras.initializers.GlorotUniform(seed=seed + position),
                dtype=architecture.dtype,
            )
        )
    return model


def with_weights(architecture: Architecture, weights: Sequence[NDArray[Any]]) -> keras.Model:
    """Return a new model with these weights, of the shapes of `architecture.weight_shapes`."""
    model = _with_members(architecture) if architecture.members > 1 else build(architecture)
    model.set_weights(weights)
    return model


def initial_weights(architecture: Architecture, seed: int) -> list[NDArray[Any]]:
    """Return the weights that `build` draws, with an axis of the members in front, also of a network of one."""
    members, kernels, dtype = architecture.members, architecture.member.weight_shapes[::2], architecture.dtype
    found: list[NDArray[Any]] = []
    for position, shape in enumerate(kernels):
        # Drawn one by one, because Glorot's formula would take the axis of the members for more inputs.
        seeds = [(seed + number * MEMBER_STRIDE) % 2**32 + position for number in range(members)]
        drawn = [keras.initializers.GlorotUniform(seed=each)(shape, dtype=dtype) for each in seeds]
        found += [np.stack(drawn), np.zeros((members, shape[1]), dtype)]
    return found


def _with_members(architecture: Architecture) -> keras.Model:
    """Return a model of Keras' own layers, in which members stand side by side; its answer is the mean of theirs.

    (n_rows, n_inputs) -> (n_rows, members, n_inputs) -> (n_rows, members, units) … -> (n_rows, n_outputs)
    """
    members, dtype = architecture.members, architecture.dtype
    rows = keras.Input((architecture.n_inputs,), dtype=dtype, name="rows")
    model = keras.Sequential([rows, keras.layers.RepeatVector(members, name="members", dtype=dtype)], name="network")
    for position, layer in enumerate(architecture.layers):
        model.add(
            keras.layers.EinsumDense(
                "bmi,mio->bmo",
                (members, layer.units),
                bias_axes="mo",
                name=f"layer_{position}",
                activation=layer.activation,
                kernel_initializer="zeros",
                dtype=dtype,
            )
        )
    model.add(keras.layers.GlobalAveragePooling1D(name="mean", dtype=dtype))
    return model


class KerasNetwork:
    """A Keras model compiled into one function. Lives as long as the bundle that holds it.

    Raises BundleDamaged where a weight is not finite, and DeviceUnavailable.
    """

    def __init__(self, model: keras.Model, architecture: Architecture, device: Device = "auto") -> None:
        check_finite(model.get_weights())
        self.model = model
        self.architecture = architecture
        self.device = device_name(device)
        self._compiled = self._compile()
        self.block = block_of(architecture)

    @classmethod
    def from_bytes(cls, saved: bytes, architecture: Architecture, device: Device = "auto") -> Self:
        """Build the network from its architecture; only the weights are read from the file. Raises BundleDamaged."""
        weights = read_weights(saved, architecture)
        with on_device(device_name(device)):
            model = with_weights(architecture, weights)
        return cls(model, architecture, device)

    def to_bytes(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "network.keras")
            self.model.save(path)
            return path.read_bytes()

    def __call__(self, encoded: Encoded) -> Encoded:
        return in_blocks(self._computed, encoded, self.block, self.architecture)

    def each(self, encoded: Encoded) -> Encoded:
        if self.architecture.members == 1:
            return self(encoded)[None]
        return each_in_blocks(self._computed_each, encoded, self.block)

    def _computed(self, encoded: Encoded) -> Encoded:
        n_rows = len(encoded)
        answers = cast(Encoded, self._compiled(tf.constant(padded(encoded, bucket(n_rows)))).numpy()[:n_rows])
        return answers if self._has_constants else self._checked(answers, encoded)

    def _checked(self, answers: Encoded, encoded: Encoded) -> Encoded:
        """Return the answers, those to rows with a large number computed operation by operation."""
        are_large = ~(np.abs(encoded).max(axis=1) <= LARGE)
        if are_large.any():
            answers = answers.copy()
            with on_device(self.device):
                answers[are_large] = self.model(encoded[are_large]).numpy()
        return answers

    def _computed_each(self, encoded: Encoded) -> Encoded:
        n_rows = len(encoded)
        return cast(Encoded, self._apart(tf.constant(padded(encoded, bucket(n_rows)))).numpy()[:, :n_rows])

    @property
    def _has_constants(self) -> bool:
        return self.architecture.n_parameters <= MOST_CONSTANTS

    @cached_property
    def _apart(self) -> Callable[[Any], Any]:
        """The same members without their mean, compiled when they are first asked for."""
        return self._compile(are_apart=True)

    def _compile(self, *, are_apart: bool = False) -> Callable[[Any], Any]:
        weights = self.model.get_weights() if self._has_constants else self.model.trainable_variables
        members = self.architecture.members
        # Each member is computed by itself: TensorFlow multiplies a stack of small matrices in one way or another
        # depending on their size, so that a row's answer would depend on the number of rows.
        member = self.model if members == 1 else build(self.architecture.member)

        def answer(encoded: Any) -> Any:
            tensors = [tf.convert_to_tensor(weight) for weight in weights]
            each = [tensors] if members == 1 else zip(*(tf.unstack(tensor) for tensor in tensors), strict=True)
            answers = [member.stateless_call(list(own), [], encoded)[0] for own in each]
            if are_apart:
                return tf.stack(answers)
            return tf.add_n(answers) / members if members > 1 else answers[0]

        with on_device(self.device):
            rows = tf.TensorSpec([None, self.architecture.n_inputs], self.architecture.dtype)
            function = tf.function(answer).get_concrete_function(rows)
            function(tf.zeros([SMALLEST_BUCKET, self.architecture.n_inputs], self.architecture.dtype))
        return cast(Callable[[Any], Any], function)


def bucket(n_rows: int) -> int:
    """Return the number of rows that `n_rows` are padded to: the next power of two, at least SMALLEST_BUCKET."""
    return max(SMALLEST_BUCKET, 1 << (n_rows - 1).bit_length())


def block_of(architecture: Architecture) -> int:
    """Return the most rows that one call computes: a power of two, as buckets are."""
    rows = MOST_IN_CACHE // architecture.widest
    return min(max(SMALLEST_BLOCK, 1 << rows.bit_length() - 1), LARGEST_BLOCK)
