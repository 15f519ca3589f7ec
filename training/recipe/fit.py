"""How a recipe learns: split, scaling, network, loss, optimiser."""

from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from training.recipe.base import Fraction, Part, Positive


def _one_spelling(method: object) -> object:
    return "minmax" if method == "min-max" else method


class Split(Part):
    """Shares of the rows, drawn by seed. `test` is not used where the data bring a test region."""

    test: Fraction = 0.2
    validation: Fraction = 0.0
    """Share of the rows that are not test rows."""
    shuffle: bool = True
    stratify: bool = True
    """Labels: each part has its share of each, as far as there are enough."""


class Scaling(Part):
    """Learned from training rows alone. `shared` gives the outputs the inputs' own two numbers."""

    method: Annotated[Literal["standard", "minmax", "none"], BeforeValidator(_one_spelling)] = "standard"
    scope: Literal["per-column", "global"] = "per-column"
    outputs: Literal["own", "shared", "none"] = "own"

    @model_validator(mode="after")
    def _two_numbers(self) -> Self:
        if self.outputs == "shared" and self.scope != "global" and self.method != "none":
            raise ValueError("outputs: shared needs scope: global, because only that has one pair of numbers to share")
        return self


Activation = Literal[
    "linear", "relu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid", "leaky_relu", "softsign"
]


class Dense(Part):
    units: Annotated[int, Field(ge=1, le=8192)]
    activation: Activation = "relu"


class NetworkSpec(Part):
    """Hidden dense layers; the output layer has one unit an output column."""

    layers: Annotated[tuple[Dense, ...], Field(max_length=32, strict=False)] = (Dense(units=32), Dense(units=32))
    output_activation: Activation = "linear"
    """Of numbers; labels have a sigmoid or a softmax."""
    dropout: Fraction = 0.0
    """Share of each hidden layer's outputs that a training step leaves out."""
    polynomial_degree: Annotated[int, Field(ge=1, le=8)] = 1
    """2 adds every square and product of two inputs as an input feature, and so on."""
    dtype: Literal["float32", "float64"] = "float32"


LearningRate = Annotated[FiniteFloat, Field(gt=0, le=1e9)]
Decay = Annotated[FiniteFloat, Field(ge=0, lt=1)]


class Sgd(Part):
    name: Literal["sgd"]
    learning_rate: LearningRate = 0.01


class Momentum(Part):
    name: Literal["momentum"]
    learning_rate: LearningRate = 0.01
    momentum: Decay = 0.9
    nesterov: bool = False


class Adagrad(Part):
    name: Literal["adagrad"]
    learning_rate: LearningRate = 0.01
    initial_accumulator_value: Annotated[FiniteFloat, Field(ge=0)] = 0.1
    epsilon: Positive = 1e-7


class RmsProp(Part):
    name: Literal["rmsprop"]
    learning_rate: LearningRate = 0.001
    rho: Decay = 0.9
    momentum: Decay = 0.0
    epsilon: Positive = 1e-7


class Adam(Part):
    name: Literal["adam"] = "adam"
    learning_rate: LearningRate = 0.001
    beta_1: Decay = 0.9
    beta_2: Decay = 0.999
    epsilon: Positive = 1e-7
    weight_decay: Decay = 0.0


Optimizer = Annotated[Sgd | Momentum | Adagrad | RmsProp | Adam, Field(discriminator="name")]


class Cosine(Part):
    """From the optimiser's learning rate down to `final` of it at the last step, along half a cosine wave.

    Loshchilov and Hutter, 2017. It first rises from 0 during `warmup` of all steps.
    """

    name: Literal["cosine"]
    final: Fraction = 0.0
    warmup: Fraction = 0.0


class Exponential(Part):
    """By the same factor each step, down to `final` of the optimiser's learning rate at the last one."""

    name: Literal["exponential"]
    final: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.01


Schedule = Annotated[Cosine | Exponential, Field(discriminator="name")]


class EarlyStopping(Part):
    """Stop after `patience` epochs without an improvement of at least `min_delta`. The metric is accuracy or MAE."""

    monitor: Literal["loss", "val_loss", "metric", "val_metric"] = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    """auto: the more the better for accuracy, the less the better for all else."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    min_delta: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    restore_best: bool = True


MOST_FITS = 200


class CrossValidate(Part):
    """Hold out each fold in turn; `repeats` times, each time folded otherwise. Then fit on all training rows.

    At most 200 fits in all.
    """

    folds: Annotated[int, Field(ge=2, le=100)] = 4
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    stratified: bool = True
    """For labels: each fold has its share of each."""
    smoothing: Annotated[FiniteFloat, Field(ge=0, lt=1)] = 0.9
    """Of the exponential moving average that the number of epochs is read from: the weight of what was before."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.folds * self.repeats > MOST_FITS:
            raise ValueError(f"folds times repeats: at most {MOST_FITS}")
        return self


LossName = Literal[
    "mse",
    "mae",
    "huber",
    "log_cosh",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]
NUMBER_LOSSES = frozenset({"mse", "mae", "huber", "log_cosh"})
# A table of 500 rows wants small steps, one of a million wants few.
SMALLEST_BATCH, LARGEST_BATCH, BATCHES = 16, 1024, 100


class Fit(Part):
    loss: Literal["auto", LossName] = "mse"
    """auto: mse for numbers, cross-entropy for labels. categorical_crossentropy learns from one-hot labels."""
    optimizer: Optimizer = Adam()
    schedule: Schedule | None = None
    """How the learning rate falls from the first of all epochs' steps to the last; None: it stays."""
    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = 32
    """auto: the power of two that makes about a hundred batches of the training rows, 16 to 1024."""
    early_stopping: EarlyStopping | None = None
    class_weights: Literal["balanced"] | dict[str, Positive] | None = None
    """How much a row of each label counts; balanced: each label as much as any other."""

    def batch_rows(self, n_rows: int) -> int:
        if self.batch_size != "auto":
            return self.batch_size
        return min(max(SMALLEST_BATCH, 1 << (n_rows // BATCHES).bit_length()), LARGEST_BATCH)

    def steps(self, n_rows: int) -> int:
        """Of all epochs; the last batch of an epoch may be a small one."""
        return self.epochs * ceil(n_rows / self.batch_rows(n_rows))


class AuthorFigure(Part):
    """The error that the pattern's original author reports, and how it was counted."""

    figure: FiniteFloat
    metric: Literal["rmse", "mae", "rmse_over_root_n", "accuracy", "log_loss"] = "rmse"
