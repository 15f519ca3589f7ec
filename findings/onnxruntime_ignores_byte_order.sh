#!/usr/bin/env bash
# ONNX Runtime reads a NumPy array of big-endian numbers as if they were little-endian: other numbers, without a word.
#
# A good engineer would expect: an array of the dtype '>f4' is converted, as TensorFlow, Keras and polars do it, or
# refused, as by pyarrow, DuckDB and ONNX's own numpy_helper. To NumPy it equals its little-endian copy.
# What happens: `InferenceSession.run` looks at the kind and the size of the numbers and copies their bytes. 60.0 becomes
# 4.0e-41, and whatever has few digits as good as 0, so that answers are plausible, and all about the same.
# Who meets it: whoever asks a network about arrays from FITS files, classic netCDF (scipy.io.netcdf_file), IDL, .npy
# files of other machines, or np.frombuffer(packet, ">f4") of what devices send in network byte order.
# The way out: rows.astype("<f4"), or rows.astype(rows.dtype.newbyteorder("=")).
#
# onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   x1 + x2 of 60 and 20: 80.0 little-endian, 9.8e-41 big-endian; the arrays are equal: True
# (ai-edge-litert 2.3.0 and tensorflow 2.21.0 do the same in `Interpreter.set_tensor`; that is not run here.)
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy
import onnxruntime
from onnx import TensorProto, helper

graph = helper.make_graph(
    [helper.make_node("ReduceSum", ["rows"], ["sums"])],
    "sum",
    [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, 2])],
    [helper.make_tensor_value_info("sums", TensorProto.FLOAT, [1, 1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
little = numpy.array([[60, 20]], "<f4")
big = little.astype(">f4")
sums = [float(session.run(None, {"rows": rows})[0][0, 0]) for rows in (little, big)]
are_equal = bool((little == big).all())
print(f"x1 + x2 of 60 and 20: {sums[0]} little-endian, {sums[1]:.2g} big-endian; the arrays are equal: {are_equal}")
sys.exit(not (are_equal and sums[0] == 80 and 0 < sums[1] < 1e-30))
PYTHON
