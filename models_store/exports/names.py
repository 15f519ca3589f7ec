"""The names of the targets of exports, free of NumPy for the command line."""

from typing import Literal, get_args

TargetName = Literal["c", "js", "litert", "onnx", "onnx-net", "pmml", "python"]
TARGETS: tuple[TargetName, ...] = get_args(TargetName)
BUNDLE = "bundle"
"""The version itself, for another server: it is packed by the store, and not written for a language."""
ALL = (*TARGETS, BUNDLE)
