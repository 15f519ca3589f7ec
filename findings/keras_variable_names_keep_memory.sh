#!/usr/bin/env bash
# Keras on TensorFlow: every model that is built and thrown away leaves memory behind, for each of its variables,
# unless models of the same shape give their layers the same names.
#
# A good engineer would expect: a model that nobody refers to any more, and that has been collected, leaves nothing
# behind, however its layers are called.
# What happens: Keras counts up the names of layers without one (dense, dense_1, dense_2 ...), each variable carries the
# name of its layer, and TensorFlow keeps something for each distinct name of a variable for the life of the process.
# Memory grows with the number of models. With fixed names it stays flat.
# Who meets it: a server that loads new versions of a model while it runs, a search that builds many models in a process.
#
# keras 3.15.1, tensorflow 2.21.0, Linux x86_64, Python 3.11, CPU. Seen on 2026-11-28, twice:
#   KB left behind by a model of 8 variables: 299 with names counted up, 31 with fixed names
# It fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check keras==3.15.1 tensorflow==2.21.0
cat > "$folder/grow.py" <<'PYTHON'
import ctypes
import gc
import os
import sys
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "tensorflow"}

import keras
import numpy as np
import tensorflow as tf

ROWS = np.ones((8, 2), dtype="float32")
WARM, COUNTED = 20, 80


def build(are_named: bool) -> None:
    def named(name: str) -> dict[str, str]:
        return {"name": name} if are_named else {}

    model = keras.Sequential(
        [keras.Input((2,), **named("rows"))]
        + [keras.layers.Dense(16, **named(f"layer_{place}")) for place in range(4)],
        **named("network"),
    )
    tf.function(lambda rows: model(rows, training=False))(ROWS)


def resident_kb() -> int:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def kb_a_model(are_named: bool) -> float:
    for _ in range(WARM):
        build(are_named)
    before = resident_kb()
    for _ in range(COUNTED):
        build(are_named)
    return (resident_kb() - before) / COUNTED


fixed, counted = kb_a_model(True), kb_a_model(False)
print(f"KB left behind by a model of 8 variables: {counted:.0f} with names counted up, {fixed:.0f} with fixed names")
sys.exit(not (counted > 100 and fixed < counted / 5))
PYTHON
"$folder/venv/bin/python" "$folder/grow.py"
