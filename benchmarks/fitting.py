"""The compiled fit against Keras' own, scikit-learn's and PyTorch's, on the same recipe and rows.

python -m benchmarks.fitting "100 rows=3" "9 500 rows=3"      prints {recipe: {who: [{"seconds", "loss", "to_loss_s"}]}}

Imports TensorFlow, and runs in a process of its own, because that must not compete with servers.
"""

import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPRegressor

from models_store.networks.architecture import Architecture, Layer
from models_store.networks.keras_network import build, keras, use_threads
from training.fitting.fit import Examples, fit
from training.fitting.progress import Progress
from training.recipe.fit import Adam, Fit

if find_spec("torch"):
    import torch

Curve = list[float]
"""The mean squared error of each epoch: mean over its batches, each measured before its step."""


@dataclass(frozen=True)
class Recipe:
    """A training that every contender runs: hidden layers of relu, Adam, batches of 32, on scaled rows."""

    n_rows: int
    units: tuple[int, ...]
    n_inputs: int
    learning_rate: float
    epochs: int = 100
    batch_size: int = 32

    def rows(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return inputs (n_rows, n_inputs) and targets (n_rows, 1): a line of one input, or a parabola of two."""
        x = np.random.default_rng(0).uniform(-1, 1, (self.n_rows, self.n_inputs)).astype(np.float32)
        y = x if self.n_inputs == 1 else x[:, :1] ** 2 - 0.3 * x[:, 1:]
        return x, y + np.float32(0.1)

    def model(self, seed: int) -> keras.Model:
        """Return the initial network; ours and Keras' own begin with the same weights."""
        layers = (*(Layer(units, "relu") for units in self.units), Layer(1, "linear"))
        return build(Architecture(self.n_inputs, layers), seed)


RECIPES: Mapping[str, Recipe] = {
    "100 rows": Recipe(100, (16,), 1, 0.01),
    "9 500 rows": Recipe(9500, (32, 32), 2, 0.005),
}
Fitted = Callable[[Recipe, int], Curve]


def by_ours(recipe: Recipe, seed: int) -> Curve:
    wanted = Fit(optimizer=Adam(learning_rate=recipe.learning_rate), epochs=recipe.epochs, batch_size=recipe.batch_size)
    history = fit(recipe.model(seed), Examples(*recipe.rows()), None, wanted, seed, Progress())
    return [float(loss) for loss in history.loss]


def by_keras(recipe: Recipe, seed: int) -> Curve:
    model = recipe.model(seed)
    model.compile(keras.optimizers.Adam(recipe.learning_rate), "mse")
    ran = model.fit(*recipe.rows(), batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)
    return [float(loss) for loss in ran.history["loss"]]


def by_scikit_learn(recipe: Recipe, seed: int) -> Curve:
    model = MLPRegressor(
        hidden_layer_sizes=recipe.units,
        alpha=0,
        batch_size=recipe.batch_size,
        learning_rate_init=recipe.learning_rate,
        max_iter=recipe.epochs,
        n_iter_no_change=recipe.epochs,
        tol=0,
        random_state=seed,
    )
    inputs, targets = recipe.rows()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged: nobody asked it to
        model.fit(inputs, targets[:, 0])
    return [2 * float(loss) for loss in model.loss_curve_]  # its loss is half the mean square


def by_torch(recipe: Recipe, seed: int) -> Curve:
    torch.manual_seed(seed)
    widths = (recipe.n_inputs, *recipe.units)
    hidden = [part for before, after in pairwise(widths) for part in (torch.nn.Linear(before, after), torch.nn.ReLU())]
    model = torch.nn.Sequential(*hidden, torch.nn.Linear(widths[-1], 1))
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    inputs, targets = (torch.from_numpy(part) for part in recipe.rows())
    curve = []
    for _ in range(recipe.epochs):
        total = 0.0
        for batch in torch.randperm(recipe.n_rows).split(recipe.batch_size):
            loss = torch.nn.functional.mse_loss(model(inputs[batch]), targets[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss) * len(batch)
        curve.append(total / recipe.n_rows)
    return curve


def available() -> dict[str, Fitted]:
    torch = {"PyTorch": by_torch} if find_spec("torch") else {}
    return {"ours": by_ours, "Keras fit": by_keras, "scikit-learn": by_scikit_learn, **torch}


def compare(recipe: Recipe, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Time whole runs, compilation included.

    `seconds` is the whole run; `to_loss_s` are the seconds until the loss that all runs of the round reached.
    """
    use_threads(2)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in available()}
    for seed in range(rounds):
        runs = {name: _timed(fitted, recipe, seed) for name, fitted in available().items()}
        common = max(min(curve) for _, curve in runs.values())
        for name, (seconds, curve) in runs.items():
            to_loss = seconds if name == "ours" else seconds * share_to(common, curve)
            found[name].append({"seconds": seconds, "loss": curve[-1], "to_loss_s": to_loss})
    return found


def share_to(loss: float, curve: Curve) -> float:
    """Return the share of its epochs, up to 1, that a run took to reach `loss`."""
    return (next(epoch for epoch, value in enumerate(curve) if value <= loss) + 1) / len(curve)


def _timed(fitted: Fitted, recipe: Recipe, seed: int) -> tuple[float, Curve]:
    began = time.perf_counter()
    curve = fitted(recipe, seed)
    return time.perf_counter() - began, curve


def main() -> None:
    asked = {name: int(rounds) for name, _, rounds in (argument.partition("=") for argument in sys.argv[1:])}
    print(json.dumps({name: compare(RECIPES[name], rounds) for name, rounds in asked.items()}))


if __name__ == "__main__":
    main()
