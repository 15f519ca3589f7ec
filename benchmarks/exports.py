"""`python -m benchmarks.exports [STORE]`: every pattern of a store exported to every target.

The store is by default a copy of a kept one with scikit-learn's diabetes table trained, a network of eight members.

Writes the table in docs/exports.md: the largest difference over the sample, the size, and the time of a row among many,
which is what they take longer than one alone.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from sklearn.datasets import load_diabetes

from benchmarks.contenders import train
from models_store.bundle import Bundle
from models_store.errors import NotExpressible, RuntimeAbsent
from models_store.exports.names import TARGETS, TargetName
from models_store.exports.sample import Sample
from models_store.exports.targets import BY_NAME, Exported, export
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from models_store.tables.table import take

PROJECT = Path(__file__).parents[1]
KEPT = PROJECT / "tests" / "stores" / "format_1"
PAGE = PROJECT / "docs" / "exports.md"
BEGIN, END = "<!-- made by python -m benchmarks.exports -->\n", "<!-- end -->\n"
HEAD = "| pattern | " + " | ".join(f"`{target}`" for target in TARGETS) + " |\n" + "|---" * (1 + len(TARGETS)) + "|\n"
ROUNDS = 3
# The sample so many times over, beside which the start of a program hardly counts: PMML's runtimes answer row by row.
REPEATED: Mapping[TargetName, int] = {"pmml": 3, "litert": 400, "onnx": 400, "onnx-net": 400}
REPEATED_BY_DEFAULT = 20


def main() -> None:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else KEPT
    with tempfile.TemporaryDirectory() as folder:
        # A copy: to look at a store is to write its locks.
        copy = Path(shutil.copytree(root, Path(folder, "store")))
        if root == KEPT:
            _train_a_table(copy, Path(folder))
        store = Store(copy, OnnxNetwork.from_bytes)
        table = HEAD + "".join(_line(bundle, version) for bundle, version in _champions(store))
    sys.stdout.write(table)
    page = PAGE.read_text("utf-8")
    head, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{table}\n{END}{rest.partition(END)[2]}", "utf-8")


def _train_a_table(store: Path, folder: Path) -> None:
    table = folder / "diabetes.csv"
    found = load_diabetes()
    names = ",".join([*found.feature_names, "target"])
    np.savetxt(table, np.column_stack([found.data, found.target]), delimiter=",", header=names, comments="")
    train(store, ["--csv", str(table), "--target", "target"])


def _champions(store: Store) -> Iterator[tuple[Bundle, int]]:
    for pattern in store.patterns():
        if not store.is_unloaded(pattern):
            version = store.champion(pattern)
            yield store.load(pattern, version).bundle, version


def _line(bundle: Bundle, version: int) -> str:
    cells = " | ".join(_cell(bundle, version, target) for target in TARGETS)
    return f"| {_words(bundle)} | {cells} |\n"


def _words(bundle: Bundle) -> str:
    kinds = ", ".join(f"{kind}s" if kind[-1] != "y" else "categories" for kind in sorted({*bundle.kinds.values()}))
    members = f", {bundle.architecture.members} members" if bundle.architecture.members > 1 else ""
    wanted = "labels" if bundle.labels else f"{len(bundle.outputs)} number{'s' * (len(bundle.outputs) > 1)}"
    weights = f"{bundle.architecture.n_parameters:,} weights, {bundle.architecture.dtype}{members}"
    return f"`{bundle.pattern}`: {kinds} → {wanted}; {weights}"


def _cell(bundle: Bundle, version: int, target: TargetName) -> str:
    try:
        exported = export(bundle, version, target)
    except NotExpressible:
        return "not expressible"
    except RuntimeAbsent:
        return "not tried"
    size = f"{len(exported.content) / 1024:.1f} KB"
    return f"{exported.difference:.0e}, {size}, {_microseconds(bundle, exported, target)} µs"


def _microseconds(bundle: Bundle, exported: Exported, target: TargetName) -> str:
    sample = Sample.of(bundle)
    repeated = REPEATED.get(target, REPEATED_BY_DEFAULT)
    one, many = _taken(sample, [0]), _taken(sample, [*range(len(sample))] * repeated)
    taken = _seconds(exported, target, many) - _seconds(exported, target, one)
    return f"{float(f'{1e6 * taken / len(many):.2g}'):g}"


def _taken(sample: Sample, places: list[int]) -> Sample:
    texts = {name: [cells[place] for place in places] for name, cells in sample.texts.items()}
    return Sample(sample.predictor, texts, take(sample.raw, places), sample.answers[places])


def _seconds(exported: Exported, target: TargetName, sample: Sample) -> float:
    """Return the least time of some rounds: what else the machine does only adds to it."""
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        BY_NAME[target].answers(exported.content, sample)
        times.append(time.perf_counter() - begun)
    return min(times)


if __name__ == "__main__":
    main()
