"""Exports that are programs, tried: CSV in, CSV out, by the runtime that users have."""

import csv
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import which

import numpy as np

from models_store.arrays import Array
from models_store.encoding.outputs import Decoder, LabelDecoder
from models_store.errors import ExportDiffers, RuntimeAbsent
from models_store.exports.exactness import check_labels, check_names
from models_store.exports.names import TargetName
from models_store.exports.portable import written
from models_store.exports.sample import Sample

# What a runtime needs of the environment; no keys of the server.
NEEDED = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "JAVA_HOME", "SYSTEMROOT")
MOST_SECONDS = 120
C_OPTIONS = ("-std=c99", "-Wall", "-Werror", "-pedantic", "-O1")
LONGEST_COMPLAINT = 300


def answers(name: TargetName, content: bytes, sample: Sample) -> Array:
    """Return the answers (n_rows, n_answers) of a program to the sample. Raises RuntimeAbsent, ExportDiffers."""
    with tempfile.TemporaryDirectory() as folder:
        return _answers(command(name, content, folder), sample)


def command(name: str, content: bytes, folder: str) -> list[str]:
    """Return the command that runs the program, which is written into the folder. Raises RuntimeAbsent."""
    match name:
        case "c":
            return [compiled(_placed(folder, "pattern.c", content), folder)]
        case "js":
            return [found(("node", "nodejs"), "install Node.js 18 or newer"), _placed(folder, "pattern.mjs", content)]
    return [sys.executable, "-I", _placed(folder, "pattern.py", content)]


def compiled(source: str, folder: str, compiler: str | None = None) -> str:
    """Return the program that a C file becomes; every warning is an error. Raises RuntimeAbsent, ExportDiffers."""
    compiler = compiler or found(("gcc", "clang", "cc"), "install gcc or clang")
    made = str(Path(folder, "pattern"))
    ran([compiler, *C_OPTIONS, "-DPATTERN_MAIN", "-o", made, source, "-lm"])
    return made


def found(names: Sequence[str], way_out: str) -> str:
    """Return the path of the first of these programs that there is. Raises RuntimeAbsent."""
    for name in names:
        if (path := which(name)) is not None:
            return path
    raise RuntimeAbsent(" or ".join(names), way_out)


def _placed(folder: str, name: str, content: bytes) -> str:
    path = Path(folder, name)
    path.write_bytes(content)
    return str(path)


def _answers(command: list[str], sample: Sample) -> Array:
    said = ran([*command, "--probabilities"], _csv_of(sample))
    try:
        return _read(said, sample)
    except (ValueError, csv.Error) as error:
        raise ExportDiffers("it writes no CSV of answers") from error


def _read(said: bytes, sample: Sample) -> Array:
    """Raises ValueError and csv.Error for what is no CSV of answers, ExportDiffers for one that says something else."""
    decoder = sample.predictor.decoder
    header, *rows = csv.reader(io.StringIO(said.decode(), newline=""))
    check_names(header, _header(decoder))
    if len(rows) != len(sample):
        raise ExportDiffers(f"it answers {len(sample)} rows with {len(rows)}")
    columns = [*zip(*rows, strict=True)]
    if len(columns) != len(header):
        raise ValueError("its rows are not as long as its header")
    answers: Array = np.array(columns[-sample.answers.shape[1] :], dtype=np.float64).T
    if isinstance(decoder, LabelDecoder):
        check_labels(columns[0], [written(label) for label in decoder.values.tolist()], answers)
    return answers


def _header(decoder: Decoder) -> list[str]:
    likely = decoder.labels if isinstance(decoder, LabelDecoder) else ()
    return [*decoder.columns, *(f"{column}={label}" for column in decoder.columns for label in likely)]


def ran(command: list[str], given: bytes = b"") -> bytes:
    """Return what the program writes. Raises ExportDiffers, with the beginning of what it says, where it fails."""
    environment = {name: os.environ[name] for name in NEEDED if name in os.environ}
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, check=False, env=environment, timeout=MOST_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ExportDiffers(f"its runtime did not answer within {MOST_SECONDS} s") from None
    if done.returncode:
        raise ExportDiffers(f"its runtime said: {done.stderr.decode(errors='replace').strip()[:LONGEST_COMPLAINT]}")
    return done.stdout


def _csv_of(sample: Sample) -> bytes:
    written = io.StringIO(newline="")
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(sample.texts)
    writer.writerows(zip(*([cell or "" for cell in cells] for cells in sample.texts.values()), strict=True))
    return written.getvalue().encode()
