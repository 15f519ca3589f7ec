"""A search of 64 trials against the same trainings one after another, and against Optuna around Keras' fit.

python -m benchmarks.searching 3      prints {who: [{"seconds", "trials", "trial_s"}]}

Each trial is 50 epochs of a network 32-32 on iris, with another rate or seed. Imports TensorFlow, and runs in a process
of its own, because that must not compete with servers.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from itertools import islice, product
from typing import Any

import numpy as np
import optuna
from sklearn.datasets import load_iris

from models_store.networks.architecture import Architecture, Layer
from models_store.networks.keras_network import build, keras, use_threads
from training.data.well_known import well_known
from training.recipe.spec import PatternSpec
from training.run import train
from training.search.search import search

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
OURS, TRAININGS, OPTUNA = "search", "trainings", "Optuna and Keras fit"


def by_search(trials: int) -> None:
    """Run them as `patterns search` does, the training of the best and its card included."""
    space = {"seed": list(SEEDS), "fit.optimizer.learning_rate": list(RATES)}
    wanted = {"method": "grid", "trials": trials, "space": space}
    search(RECIPE.overridden({"search": wanted}), read_table=well_known, device="cpu")


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
    TRAININGS: (by_trainings, 16),
    OPTUNA: (by_optuna, 4),
}


def compare(rounds: int) -> dict[str, list[dict[str, float]]]:
    """Time whole runs in turn, compilation included; `trial_s` is the time of a run divided by its trials."""
    use_threads(2)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name, (run, trials) in CONTENDERS.items():
            began = time.perf_counter()
            run(trials)
            seconds = time.perf_counter() - began
            found[name].append({"seconds": seconds, "trials": trials, "trial_s": seconds / trials})
    return found


if __name__ == "__main__":
    print(json.dumps(compare(int(sys.argv[1]))))
