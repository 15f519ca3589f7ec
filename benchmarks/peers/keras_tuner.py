"""Random search by keras-tuner, in an environment of its own: each trial scored on the folds that ours is scored on.

arguments: a folder with the rows of each fold, npz, and the number of trials -> JSON on standard output
"""

import json
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from benchmarks.peers import TENSORFLOW

REQUIREMENTS = ("keras-tuner==1.4.8", TENSORFLOW, "keras==3.15.1")


def main(folder: Path, trials: int) -> None:
    import keras  # deferred: these are in the environment of this script alone
    import keras_tuner

    wanted = json.loads((folder / "wanted.json").read_text())
    folds = [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]
    seed = wanted["seed"]

    def network(choose: Any) -> Any:
        activation, units = (choose.Choice(name, wanted["space"][name]) for name in ("activation", "units"))
        dropout = choose.Choice("dropout", wanted["space"]["dropout"])
        low, high = wanted["space"]["learning_rate"]
        rate = choose.Float("learning_rate", low, high, sampling="log")
        decay = choose.Choice("weight_decay", wanted["space"]["weight_decay"])
        # Built at its first batch: folds may know fewer categories than others.
        model = keras.Sequential()
        for _ in range(choose.Choice("layers", wanted["space"]["layers"])):
            model.add(keras.layers.Dense(units, activation))
            model.add(keras.layers.Dropout(dropout))
        is_binary = wanted["labels"] == 2
        model.add(keras.layers.Dense(1, "sigmoid") if is_binary else keras.layers.Dense(wanted["labels"], "softmax"))
        loss = "binary_crossentropy" if is_binary else "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.AdamW(rate, weight_decay=decay), loss)
        return model

    class OverFolds(keras_tuner.RandomSearch):
        """Scores a trial by its mean over the folds, which keras-tuner leaves to those who use it."""

        def run_trial(self, trial: Any, *_: Any, **__: Any) -> float:
            return float(np.mean([self._score(trial, fold) for fold in folds]))

        def _score(self, trial: Any, fold: dict[str, np.ndarray]) -> float:
            keras.utils.set_random_seed(seed)
            model = self.hypermodel.build(trial.hyperparameters)
            stops = keras.callbacks.EarlyStopping(patience=wanted["patience"], restore_best_weights=True)
            model.fit(
                fold["train_inputs"],
                fold["train_labels"],
                batch_size=wanted["batch_size"],
                epochs=wanted["epochs"],
                validation_data=(fold["watched_inputs"], fold["watched_labels"]),
                callbacks=[stops],
                verbose=0,
            )
            return float(model.evaluate(fold["held_out_inputs"], fold["held_out_labels"], verbose=0))

    objective = keras_tuner.Objective("default_objective", "min")
    tuner = OverFolds(network, objective, max_trials=trials, seed=seed, directory=mkdtemp(dir=folder), overwrite=True)
    began = time.perf_counter()
    tuner.search(verbose=0)
    seconds = time.perf_counter() - began
    scores = [trial.score for trial in tuner.oracle.trials.values()]
    print("\n" + json.dumps({"seconds": seconds, "scores": scores}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
