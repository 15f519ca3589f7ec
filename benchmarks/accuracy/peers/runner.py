"""A peer on one table, in the process and environment of the peer.

python -m benchmarks.accuracy.peers.runner NAME FOLDER


<folder>/fold-00.npz, ...   the folds: numbers, codes and y of the training rows, those to ask for, and the seed
<folder>/<name>-0.npz, ...      the answers, and what they took
"""

import sys
import time
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks.accuracy.peers import Fit, Inputs


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    fit: Fit = import_module(f"benchmarks.accuracy.peers.{name}").fit
    warnings.simplefilter("ignore")  # the log is for the reason of a failure
    for place, path in enumerate(sorted(folder.glob("fold-*.npz"))):
        with np.load(path) as fold:
            run(fit, fold, folder / f"{name}-{place}.npz")


def run(fit: Fit, fold: np.lib.npyio.NpzFile, target: Path) -> None:
    """Fit and ask once. CPU seconds are those of all threads."""
    train, asked = (Inputs(fold[f"{part}_numbers"], fold[f"{part}_codes"]) for part in ("train", "test"))
    began, cpu = time.perf_counter(), time.process_time()
    answer = fit(train, fold["y"], int(fold["n_labels"]), int(fold["seed"]))
    cpu_seconds, fitted = time.process_time() - cpu, time.perf_counter()
    answers = answer(asked)
    answered = time.perf_counter()
    np.savez(
        target,
        answers=np.asarray(answers, np.float64),
        cpu_s=cpu_seconds,
        seconds=fitted - began,
        us_a_row=1e6 * (answered - fitted) / len(asked.numbers),
    )


if __name__ == "__main__":
    main()
