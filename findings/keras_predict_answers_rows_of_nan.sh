#!/usr/bin/env bash
# Keras on TensorFlow, x86 CPU: `predict` answers a row of which a number is NaN as if all was well, where a layer is relu.
#
# A good engineer would expect: NaN in a row makes its answer NaN, so that a forgotten missing value is seen at the end;
# and `predict(rows)` is `model(rows)`, but for rounding.
# What happens: in a tf.function, TensorFlow joins the product of a Dense layer, its bias and relu into one operation of
# oneDNN, in which relu of NaN is 0. All units of the layer are 0 then, and the answer is a constant of the network, the
# same for each such row; `evaluate` gives a finite loss. `model(rows)`, `jit_compile=True` and TensorFlow without oneDNN
# (which is on by default where the CPU has instructions for networks) give NaN.
# Who meets it: whoever predicts for rows with missing values, and looks for NaN among the answers to find them.
# The way out: numpy.isnan(rows).any(axis=1), before; or TF_ENABLE_ONEDNN_OPTS=0.
#
# keras 3.15.1, tensorflow 2.21.0, Python 3.11, Linux x86_64. Seen on 2026-11-29, twice:
#   oneDNN 1: predict 7.0, model(rows) nan, jit_compile nan, evaluate 49.0
#   oneDNN 0: predict nan, model(rows) nan, jit_compile nan, evaluate nan
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0
cat > "$folder/ask.py" <<'PYTHON'
import math
import os
import sys

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}

import keras
import numpy

rows = numpy.array([[numpy.nan, 1.0]], "float32")
model = keras.Sequential(
    [
        keras.Input((2,)),
        keras.layers.Dense(4, activation="relu", kernel_initializer="ones"),
        keras.layers.Dense(1, kernel_initializer="ones", bias_initializer=keras.initializers.Constant(7)),
    ]
)
model.compile(loss="mse", jit_compile=False)
found = {"predict": model.predict(rows, verbose=0), "model(rows)": model(rows)}
loss = model.evaluate(rows, numpy.zeros((1, 1)), verbose=0)
model.compile(loss="mse", jit_compile=True)
found["jit_compile"] = model.predict(rows, verbose=0)
answers = {name: float(numpy.asarray(answer)[0, 0]) for name, answer in found.items()} | {"evaluate": loss}
said = ", ".join(f"{name} {answer}" for name, answer in answers.items())
one_dnn = os.environ["TF_ENABLE_ONEDNN_OPTS"]
print(f"oneDNN {one_dnn}: {said}")
predicted, called, compiled, evaluated = answers.values()
are_hidden = (predicted, evaluated) == (7, 49) if one_dnn == "1" else math.isnan(predicted) and math.isnan(evaluated)
sys.exit(not (are_hidden and math.isnan(called) and math.isnan(compiled)))
PYTHON
for is_on in 1 0; do
    TF_ENABLE_ONEDNN_OPTS=$is_on "$folder/venv/bin/python" "$folder/ask.py" 2> "$folder/log" || { tail "$folder/log"; exit 1; }
done
