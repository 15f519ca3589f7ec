#!/usr/bin/env bash
# ONNX Runtime's quantize_dynamic: what a network answers to a row depends on the other rows of the same call.
#
# A good engineer would expect: dynamic quantization chooses the scale of inputs while it runs, for each row its own, as
# LiteRT's and Keras' do; a row is answered the same alone and in a batch, to rounding.
# What happens: DynamicQuantizeLinear takes one scale for the whole tensor. One row whose numbers are large leaves all
# others a few of the 256 steps, or none: their answers are off by more than the answers vary. Nothing warns, and each row
# is right when it is looked into alone.
# Who meets it: a server that puts rows of several callers into one call, so that one caller's outlier spoils the answers
# of the others; whoever compares predictions of a file with those of single requests.
# The way out: quantize_static, whose scales are fixed; or float16; a small network needs neither.
#
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   RMSE of 1000 rows to the float network: 0.029 one by one, 0.045 in one call, 4.041 beside one row of thousands;
#   the answers' standard deviation: 1.326
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cat > "$folder/quantize.py" <<'PYTHON'
import logging
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

logging.disable()
folder = Path(sys.argv[1])
rng = numpy.random.default_rng(0)
weights = [
    numpy_helper.from_array(rng.normal(size=shape).astype("float32"), name)
    for name, shape in {"first": (3, 16), "second": (16, 1)}.items()
]
layers = [
    helper.make_node("MatMul", ["rows", "first"], ["sums"]),
    helper.make_node("Relu", ["sums"], ["hidden"]),
    helper.make_node("MatMul", ["hidden", "second"], ["answers"]),
]
rows_in = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 3])
answers_out = helper.make_tensor_value_info("answers", TensorProto.FLOAT, [None, 1])
graph = helper.make_graph(layers, "network", [rows_in], [answers_out], weights)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), folder / "float.onnx")
quantize_dynamic(folder / "float.onnx", folder / "quantized.onnx")


def answered(name: str, rows: numpy.ndarray) -> numpy.ndarray:
    return sessions[name].run(None, {"rows": rows})[0].ravel()


sessions = {
    name: onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
    for name in ("float", "quantized")
}
rows = rng.normal(size=(1000, 3)).astype("float32")
right = answered("float", rows)
found = {
    "one by one": numpy.concatenate([answered("quantized", row[None]) for row in rows]),
    "in one call": answered("quantized", rows),
    "beside one row of thousands": answered("quantized", numpy.vstack([rows, numpy.full((1, 3), 1000, "float32")]))[:-1],
}
errors = {name: float(numpy.sqrt(numpy.mean((answers - right) ** 2))) for name, answers in found.items()}
spread = float(right.std())
said = ", ".join(f"{error:.3f} {name}" for name, error in errors.items())
print(f"RMSE of 1000 rows to the float network: {said};\nthe answers' standard deviation: {spread:.3f}")
alone, together, beside = errors.values()
sys.exit(not (alone < 0.1 and together < 0.1 and beside > spread))
PYTHON
"$folder/venv/bin/python" "$folder/quantize.py" "$folder"
