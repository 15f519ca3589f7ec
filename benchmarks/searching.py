"""A search of 64 trials against the same trainings one after another, and against Optuna around Keras' fit.

python -m benchmarks.searching 3             prints {who: [{"seconds", "trials", "trial_s"}]}
python -m benchmarks.searching memory 64     prints {"megabytes"}: the most memory of a process that runs 64 trials

Each trial is 50 epochs of a network 32-32 on iris, with another rate or seed. For memory, it is 3 epochs on a table of
the size of the California housing prices. Imports TensorFlow, and runs in a process of its own, because that must not
compete with servers.
"""

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from itertools import islice, product
from typing import Any

import numpy as np
import optuna
import polars as pl
from sklearn.datasets import load_iris

from models_store.networks.architecture import Architecture, Layer
from models_store.networks.keras_network import build, keras, use_threads
from training.data.well_known import well_known
from training.fitting.program import Programs
from training.recipe.spec import PatternSpec
from training.run import train
from training.search.search import MOST_PROGRAMS, PROGRAMS, search

EPOCHS, BATCH_SIZE, HIDDEN = 50, 32, (32, 32)
RATES = tuple(0.001 * 1.5**step for step in range(8))
SEEDS = tuple(range(8))
RECIPE = PatternSpec.parse(
    {
        "name": "iris",
        "data": {"kind": "table", "dataset": "iris", "target": "species"},
        "split": {"test": 0.2, "validation": 0.2, "refit": False},
        "network": {"layers": [{"units": units} for units in HIDDEN], "members": 1, "dropout": 0.0},
        "fit": {
            "epochs": EPOCHS,
            "early_stopping": None,
            "batch_size": BATCH_SIZE,
            "optimizer": {"name": "adam", "learning_rate": RATES[0]},
        },
    }
)
OURS, FIRST, TRAININGS, OPTUNA = "search", "first search of a process", "trainings", "Optuna and Keras fit"
# As many rows and columns of numbers as the California housing prices have.
CALIFORNIA = (20640, 8)


def by_search(trials: int, programs: Programs = PROGRAMS) -> None:
    """Run them as `patterns search` does, the training of the best and its card included."""
    search(_wanted(RECIPE, trials), read_table=well_known, device="cpu", programs=programs)


def by_first_search(trials: int) -> None:
    """Run them where nothing is compiled yet."""
    by_search(trials, Programs(MOST_PROGRAMS))


def _wanted(recipe: PatternSpec, trials: int) -> PatternSpec:
    space = {"seed": list(SEEDS), "fit.optimizer.learning_rate": list(RATES)}
    return recipe.overridden({"search": {"method": "grid", "trials": trials, "space": space}})


def megabytes(trials: int) -> float:
    """Run trials of a table as large as California; return the most memory that the process had, in 2^20 bytes."""
    n_rows, n_columns = CALIFORNIA
    rng = np.random.default_rng(0)
    columns = {f"x{place}": rng.normal(size=n_rows) for place in range(n_columns)}
    rows = pl.DataFrame({**columns, "y": columns["x0"] ** 2 - columns["x1"] + rng.normal(size=n_rows)})
    recipe = RECIPE.overridden(
        {
            "data": {"dataset": "0" * 32, "target": "y"},
            "fit": {"epochs": 3, "batch_size": "auto", "loss": "auto"},
        }
    )
    search(_wanted(recipe, trials), read_table=lambda _: rows, device="cpu")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def by_trainings(trials: int) -> None:
    """Train them one by one, as a trainer that is warm does with jobs."""
    for seed, rate in islice(product(SEEDS, RATES), trials):
        spec = RECIPE.overridden({"seed": seed, "fit": {"optimizer": {"learning_rate": rate}}})
        train(spec, read_table=well_known, device="cpu")


def by_optuna(trials: int) -> None:
    """Have Optuna walk the grid, and Keras fit and validate each point of it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows: Any = load_iris()
    order = np.random.default_rng(0).permutation(len(rows.target))
    inputs, labels = ((rows.data - rows.data.mean(0)) / rows.data.std(0))[order], rows.target[order]
    held_out, train_rows = slice(30, 54), slice(54, None)  # the first 30 are test rows

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_categorical("rate", RATES)
        layers = (*(Layer(units, "relu") for units in HIDDEN), Layer(3, "softmax"))
        model = build(Architecture(4, layers), trial.suggest_categorical("seed", SEEDS))
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        ran = model.fit(
            inputs[train_rows],
            labels[train_rows],
            batch_size=BATCH_SIZE,
            epochs=EPOCHS,
            validation_data=(inputs[held_out], labels[held_out]),
            verbose=0,
        )
        return float(ran.history["val_loss"][-1])

    grid = optuna.samplers.GridSampler({"rate": RATES, "seed": SEEDS}, seed=0)
    optuna.create_study(sampler=grid).optimize(objective, n_trials=trials)


# The slower ones run fewer: what a trial takes is compared.
CONTENDERS: Mapping[str, tuple[Callable[[int], None], int]] = {
    OURS: (by_search, len(RATES) * len(SEEDS)),
    FIRST: (by_first_search, len(RATES) * len(SEEDS)),
    TRAININGS: (by_trainings, 16),
    OPTUNA: (by_optuna, 4),
}


def compare(rounds: int) -> dict[str, list[dict[str, float]]]:
    """Time whole runs in turn; `trial_s` is the time of a run divided by its trials.

    Ours and the trainings run once before, as in a trainer that is warm; the others compile each time.
    """
    use_threads(2)
    by_search(len(RATES) * len(SEEDS))
    by_trainings(1)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, (run, trials) in CONTENDERS.items():
            began = time.perf_counter()
            run(trials)
            seconds = time.perf_counter() - began
            found[name].append({"seconds": seconds, "trials": trials, "trial_s": seconds / trials})
    return found


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        use_threads(2)
        print(json.dumps({"megabytes": megabytes(int(sys.argv[2]))}))
    else:
        print(json.dumps(compare(int(sys.argv[1]))))
