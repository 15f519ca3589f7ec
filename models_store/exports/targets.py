"""The targets of exports: what is written, and how it is tried before it is handed out.

bundle -> file -> its runtime answers a sample of rows -> compared with the bundle's own answers -> Exported
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType

from models_store.arrays import Array, Dtype
from models_store.bundle import Bundle
from models_store.errors import ExportDiffers, RuntimeAbsent, UnknownTarget
from models_store.exports import litert_file, pmml_trial, programs
from models_store.exports.c_file import c_file
from models_store.exports.exactness import difference, tolerance_of
from models_store.exports.js_file import js_file
from models_store.exports.names import ALL, TARGETS, TargetName
from models_store.exports.pmml_file import pmml_file
from models_store.exports.portable import portable
from models_store.exports.python_file import python_file
from models_store.exports.sample import Sample


@dataclass(frozen=True)
class Target:
    """One language or format: how a version is written in it, and how its runtime answers."""

    ending: str
    media_type: str
    write: Callable[[Bundle, int], bytes]
    """A bundle and its version become the file. Raises NotExpressible, with the reason."""
    answers: Callable[[bytes, Sample], Array]
    """The real runtime answers a sample, (n_rows, n_answers). Raises RuntimeAbsent, ExportDiffers."""
    computes: Dtype = "float64"
    """Of all but the network, which keeps its own."""
    sample: Callable[[Bundle], Sample] = Sample.of
    """The rows that it is tried with."""


@dataclass(frozen=True)
class Exported:
    """A file that has been tried, and how far its answers were from the server's."""

    name: str
    content: bytes
    media_type: str
    rows: int
    difference: float
    """The largest one, in units of the output's scale plus the answer's size."""
    tolerance: float


def export(bundle: Bundle, version: int, name: str) -> Exported:
    """Write a version for a target, and try it.

    Raises UnknownTarget, NotExpressible, RuntimeAbsent, and ExportDiffers where its answers are not the server's.
    """
    target = _target(name)
    content = target.write(bundle, version)
    sample, tolerance = target.sample(bundle), tolerance_of(bundle, target.computes)
    apart = difference(bundle, target.answers(content, sample), sample.answers)
    if not apart <= tolerance:
        raise ExportDiffers(f"its answers differ by {apart:.2g}, and {tolerance:g} is allowed")
    return Exported(
        f"{bundle.pattern}-{version}{target.ending}", content, target.media_type, len(sample), apart, tolerance
    )


def _target(name: str) -> Target:
    for known in TARGETS:
        if known == name:
            return BY_NAME[known]
    raise UnknownTarget(ALL)


def _onnx() -> ModuleType:
    try:
        from models_store.exports import onnx_file  # deferred: its packages are an extra
    except ModuleNotFoundError as error:
        raise RuntimeAbsent("onnxruntime", "pip install 'pattern-server[onnx]' brings it") from error
    return onnx_file


ONNX = "application/octet-stream"
BY_NAME: Mapping[TargetName, Target] = {
    "c": Target(".c", "text/x-c", c_file, partial(programs.answers, "c")),
    "js": Target(
        ".mjs",
        "text/javascript",
        lambda bundle, version: js_file(portable(bundle, version)),
        partial(programs.answers, "js"),
    ),
    "litert": Target(
        ".tflite",
        "application/octet-stream",
        litert_file.litert_file,
        litert_file.answers,
        computes="float32",
        sample=litert_file.in_float32,
    ),
    "onnx": Target(
        ".onnx",
        ONNX,
        lambda bundle, version: _onnx().onnx_file(bundle, version),
        lambda content, sample: _onnx().answers(content, sample),
    ),
    "onnx-net": Target(
        ".net.onnx",
        ONNX,
        lambda bundle, version: _onnx().onnx_network_file(bundle, version),
        lambda content, sample: _onnx().network_answers(content, sample),
    ),
    "pmml": Target(".pmml", "application/xml", pmml_file, pmml_trial.answers),
    "python": Target(
        ".py",
        "text/x-python",
        lambda bundle, version: python_file(portable(bundle, version)),
        partial(programs.answers, "python"),
    ),
}
