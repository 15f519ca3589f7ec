"""A hundred random trials of the default space on a table, scored on five folds, against keras-tuner's random search.

python -m benchmarks.tuning titanic.csv survived --without alive --rounds 3
python -m benchmarks.tuning                      on a random table of the size of the Titanic's

Prints {"search": [{"seconds", "trials", "trial_s", "best", "median"}], "keras-tuner": …}. Both get the same encoded
rows of the same folds, one network of the same choices, as many epochs, and stop as early. Keras-tuner runs a few
trials of the hundred in each round, drawn with another seed each time; what a trial takes is compared. Ours begins with
nothing compiled, and the training of the best is in its time. Imports TensorFlow.
"""

import argparse
import json
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import JsonValue

from benchmarks import environments
from benchmarks.peers import keras_tuner
from benchmarks.servers import PROJECT
from models_store.arrays import Encoded
from models_store.networks.keras_network import use_threads
from training.data.dataset import Dataset
from training.fitting.program import Programs
from training.recipe.search import Choices, Range, Search
from training.recipe.space import default_space
from training.recipe.spec import PatternSpec
from training.run import dataset_of
from training.search.encodings import Encodings
from training.search.scoring import Scoring
from training.search.search import MOST_PROGRAMS, search

TRIALS, FOLDS, EPOCHS, PATIENCE = 100, 5, 300, 20
OURS, THEIRS = "search", "keras-tuner"
ENVIRONMENT = "keras_tuner"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, help="a CSV file; none: random rows")
    parser.add_argument("target", nargs="?", default="y", help="its column of labels")
    parser.add_argument("--without", nargs="*", default=[], help="columns that are left out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--theirs", type=int, default=3, help="trials of keras-tuner in a round")
    parser.add_argument("--trials", type=int, default=TRIALS, help="trials of ours in a round")
    asked = parser.parse_args()
    rows = random_rows() if asked.file is None else pl.read_csv(asked.file, infer_schema_length=None)
    print(json.dumps(compare(rows.drop(asked.without), asked.target, asked.rounds, asked.trials, asked.theirs)))


def random_rows() -> pl.DataFrame:
    """Return a table of as many rows, numbers and categories as that of the Titanic has, of two labels."""
    rng = np.random.default_rng(0)
    numbers = {f"x{place}": rng.normal(size=891) for place in range(5)}
    categories = {f"c{place}": rng.choice(["a", "b", "c", "d"], 891) for place in range(8)}
    labels = numbers["x0"] - numbers["x1"] ** 2 + (categories["c0"] == "a") + rng.logistic(size=891) > 0
    return pl.DataFrame({**numbers, **categories, "y": np.where(labels, "yes", "no")})


def compare(rows: pl.DataFrame, target: str, rounds: int, trials: int, theirs: int) -> dict[str, Any]:
    """Run both in turn, round after round."""
    environments.make(ENVIRONMENT, keras_tuner.REQUIREMENTS)
    use_threads(2)
    found: dict[str, Any] = {OURS: [], THEIRS: []}
    for seed in range(rounds):
        spec = recipe(rows, target).overridden({"search": {"trials": trials, "seed": seed}})
        found[OURS].append(by_search(spec, rows))
        found[THEIRS].append(by_keras_tuner(spec, rows, theirs, seed))
    return found


def recipe(rows: pl.DataFrame, target: str) -> PatternSpec:
    """Return the recipe for a table whose labels one network learns; what numbers are made of is settled beforehand."""
    data = {"kind": "table", "dataset": "0" * 32, "target": target, "numbers": "scaled"}
    spec = {
        "name": "table",
        "data": data,
        "network": {"members": 1},
        "fit": {"epochs": EPOCHS, "early_stopping": {"patience": PATIENCE}},
    }
    space = {
        field: values.model_dump(mode="json")
        for field, values in default_space(PatternSpec.parse(spec)).items()
        if field != "data.numbers"
    }
    return PatternSpec.parse({**spec, "search": {"method": "random", "folds": FOLDS, "space": space}})


def by_search(spec: PatternSpec, rows: pl.DataFrame) -> dict[str, float]:
    began = time.perf_counter()
    bundle = search(spec, read_table=lambda _: rows, device="cpu", programs=Programs(MOST_PROGRAMS))
    seconds = time.perf_counter() - began
    assert bundle.card.search is not None
    return _summary(seconds, [trial.value for trial in bundle.card.search.trials if trial.value is not None])


def by_keras_tuner(spec: PatternSpec, rows: pl.DataFrame, trials: int, seed: int) -> dict[str, float]:
    with TemporaryDirectory(prefix="benchmark-") as folder:
        _write(Path(folder), spec, dataset_of(spec, lambda _: rows), seed)
        command = [str(environments.python(ENVIRONMENT)), "-m", "benchmarks.peers.keras_tuner", folder, str(trials)]
        said = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True)
    found = json.loads(said.stdout.splitlines()[-1])
    return _summary(found["seconds"], found["scores"])


def _summary(seconds: float, scores: list[float]) -> dict[str, float]:
    facts = {"seconds": seconds, "trials": len(scores), "trial_s": seconds / len(scores)}
    return {**facts, "best": min(scores), "median": float(np.median(scores))}


def _write(folder: Path, spec: PatternSpec, data: Dataset, seed: int) -> None:
    """Write the encoded rows of each fold, and what is wanted of them."""
    wanted = spec.search
    assert wanted is not None
    encodings = Encodings(Scoring.of(spec, wanted, data))
    fits = [encodings.fit(spec.overridden({"search": None}), fold) for fold in range(FOLDS)]
    for number, scored in enumerate(fits):
        parts = {"train": scored.fit.train, "watched": scored.fit.held_out}
        held_out = scored.fit.encoding.decoder.encode(scored.held_out.targets)
        arrays = {"held_out_inputs": scored.asked, "held_out_labels": _labels(held_out)}
        for name, examples in parts.items():
            assert examples is not None
            arrays |= {f"{name}_inputs": examples.inputs, f"{name}_labels": _labels(examples.targets)}
        np.savez(folder / f"{number}.npz", allow_pickle=False, **arrays)
    batch_size = fits[0].fit.spec.fit.batch_rows(len(fits[0].fit.train.inputs))
    assert data.labels is not None
    facts = {"space": _space(wanted), "epochs": EPOCHS, "patience": PATIENCE, "batch_size": batch_size}
    (folder / "wanted.json").write_text(json.dumps({**facts, "labels": len(data.labels.names), "seed": seed}))


def _labels(encoded: Encoded) -> NDArray[np.int32]:
    """Return the number of each label, which a network of more than two learns as rows of zeros and a one."""
    return (encoded[:, 0] if encoded.shape[1] == 1 else encoded.argmax(axis=1)).astype(np.int32)


def _space(wanted: Search) -> dict[str, list[JsonValue]]:
    """Return the values of each field, by its last name; of a range, its ends."""
    assert wanted.space is not None
    return {field.rpartition(".")[2]: _values(values) for field, values in wanted.space.items()}


def _values(dimension: Choices | Range) -> list[JsonValue]:
    return list(dimension.values) if isinstance(dimension, Choices) else [dimension.low, dimension.high]


if __name__ == "__main__":
    main()
