"""The part of a recipe that says how it learns: split, scaling, network, loss, optimiser."""

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, FiniteFloat, model_validator

from models_store.arrays import Dtype
from models_store.encoding.scaler import Method, Scope
from training.recipe.base import Fraction, Part, Positive, TableColumn


def _one_spelling(method: object) -> object:
    return "minmax" if method == "min-max" else method


class Split(Part):
    """Shares of the rows, drawn by seed. `test` is ignored where the data have test rows of their own.

    Rows of a table may be split by group or by time, in the folds of a cross-validation too.
    """

    test: Fraction = 0.2
    validation: Fraction = 0.0
    """Share of the rows that are left after the test rows are taken."""
    refit: bool = False
    """After it is measured, fit the network again on all rows, the test rows included, and serve that one.

    Test rows of a table of their own, or drawn from a region of their own, stay out.
    """
    shuffle: bool = True
    stratify: bool = True
    """Each part has its share of every label, if there are enough rows of each. Numbers are never stratified."""
    group: TableColumn | None = None
    """The column whose values name groups: all rows of a group are in the same part."""
    time: TableColumn | None = None
    """The column that rows are ordered by: the last ones are the test rows, those before them the validation rows."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.group is not None and self.time is not None:
            raise ValueError("group and time: rows are split by one of them; leave the other out")
        return self


class Scaling(Part):
    """Scaling of inputs and outputs, learned from training rows alone.

    `shared` scales the outputs by the offset and scale of the inputs.
    """

    method: Annotated[Method, BeforeValidator(_one_spelling)] = "standard"
    scope: Scope = "per-column"
    outputs: Literal["own", "shared", "none"] = "own"
    targets: Literal["none", "log", "auto"] = "none"
    """log: the network learns the logarithms of the outputs, plus a number above 0 that the training rows choose.

    Answers are made of what it says so that they are means of the numbers, and not of logarithms. auto: log, if numbers
    from 0 on are skewed, and rows that a member left out are answered better so.
    """

    @model_validator(mode="after")
    def _two_numbers(self) -> Self:
        if self.outputs == "shared" and self.scope != "global" and self.method != "none":
            raise ValueError(
                f"outputs: shared needs scope: global, and scope is {self.scope}, "
                "which has no single offset and scale to share"
            )
        if self.outputs == "shared" and self.targets == "log":
            raise ValueError("targets: log gives the outputs another scale than the inputs have; use outputs: own")
        return self


Activation = Literal[
    "linear", "relu", "elu", "selu", "gelu", "silu", "softplus", "tanh", "sigmoid", "leaky_relu", "softsign"
]


# Short texts of fewer words are learned as tables without texts are: better on 26 of 26 tables of up to 1200 words.
MANY_WORDS = 2000
# Rows that make as many steps in fewer epochs.
MANY_ROWS = 10_000
MANY_CATEGORIES = 30


@dataclass(frozen=True)
class Shown:
    """What training rows show, by which a recipe's `auto` is settled."""

    n_rows: int = 0
    are_labels: bool = False
    """The target is labels, not numbers."""
    has_many_words: bool = False
    """Texts have more than MANY_WORDS words that become inputs: few steps are enough, and more of them learn noise."""
    has_many_values: bool = False
    """A column among the inputs is text, or has more than MANY_CATEGORIES categories."""

    @property
    def are_many_numbers(self) -> bool:
        """True if many rows tell numbers by inputs without texts and many categories."""
        return self.n_rows > MANY_ROWS and not self.are_labels and not self.has_many_values


# Units of `auto`. A layer of half of them learns as much of many numbers in less time; of many categories, less.
UNITS, FEW_UNITS = 64, 32


class Dense(Part):
    units: Annotated[int, Field(ge=1, le=8192)] | Literal["auto"]
    """auto: 64, or 32 where more than 10 000 training rows without texts and many categories tell numbers."""
    activation: Activation = "relu"

    def units_for(self, rows: Shown) -> int:
        if self.units != "auto":
            return self.units
        return FEW_UNITS if rows.are_many_numbers else UNITS


# Members of a network that may choose, and those of one with very many inputs, whose weights would fill the memory.
MEMBERS, FEW_MEMBERS = 8, 2
# Numbers of weights of the first layer up to which there are all members.
MOST_FIRST_WEIGHTS = 1 << 23
DROPOUT_OF_LABELS, DROPOUT_OF_TEXT = 0.1, 0.3
MOST_LAYERS = 32


class NetworkSpec(Part):
    """Hidden dense layers. The output layer is added: one unit for each output column, or label."""

    layers: Annotated[tuple[Dense, ...], Field(max_length=MOST_LAYERS, strict=False)] = (
        Dense(units=32),
        Dense(units=32),
    )
    output_activation: Activation = "linear"
    """Activation of outputs that are numbers; labels always have a sigmoid (two) or a softmax."""
    dropout: Fraction | Literal["auto"] = 0.0
    """Share of each hidden layer's outputs that a training step sets to 0.

    auto: 0, 0.1 for labels, 0.3 for texts of many words.
    """
    members: Annotated[int, Field(ge=1, le=32)] | Literal["auto"] = 1
    """Networks of these layers that learn side by side and answer together: the mean of numbers, or of probabilities.

    Without validation rows, each leaves out a fold of the training rows, and is validated by it.
    auto: 8, or as many as very many inputs leave room for, 2 at least.
    """
    polynomial_degree: Annotated[int, Field(ge=1, le=8)] = 1
    """Highest degree of the input features: 2 adds the square of each input and the product of every two."""
    dtype: Dtype = "float32"

    def dropout_for(self, rows: Shown) -> float:
        if self.dropout != "auto":
            return self.dropout
        return DROPOUT_OF_TEXT if rows.has_many_words else DROPOUT_OF_LABELS if rows.are_labels else 0.0

    @property
    def most_members(self) -> int:
        return MEMBERS if self.members == "auto" else self.members

    def members_for(self, n_inputs: int) -> int:
        """Return the members of a network with `n_inputs` inputs."""
        if self.members != "auto" or not self.layers:
            return self.most_members
        first = self.layers[0].units_for(Shown())
        return min(MEMBERS, max(FEW_MEMBERS, MOST_FIRST_WEIGHTS // (n_inputs * first)))


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


# Learning rates of `auto`, which a schedule lowers from there.
RATE, RATE_OF_TEXT = 0.003, 0.001
# Betas of `auto`: those of Adam's authors, and those of shorter means, which learn more of many numbers in an epoch.
BETAS, SHORT_BETAS = (0.9, 0.999), (0.8, 0.99)


class Adam(Part):
    name: Literal["adam"] = "adam"
    learning_rate: LearningRate | Literal["auto"] = 0.001
    """auto: 0.003, and 0.001 where texts have many words."""
    beta_1: Decay | Literal["auto"] = 0.9
    """auto: 0.9, or 0.8 where more than 10 000 training rows without texts and many categories tell numbers."""
    beta_2: Decay | Literal["auto"] = 0.999
    """auto: 0.999, or 0.99 for the same rows."""
    epsilon: Positive = 1e-7
    weight_decay: Decay = 0.0

    def rate_for(self, rows: Shown) -> float:
        if self.learning_rate != "auto":
            return self.learning_rate
        return RATE_OF_TEXT if rows.has_many_words else RATE

    def settled(self, rows: Shown) -> "Adam":
        """Return the same with nothing left open."""
        beta_1, beta_2 = SHORT_BETAS if rows.are_many_numbers else BETAS
        found = {
            "learning_rate": self.rate_for(rows),
            "beta_1": beta_1 if self.beta_1 == "auto" else self.beta_1,
            "beta_2": beta_2 if self.beta_2 == "auto" else self.beta_2,
        }
        return self.model_copy(update=found)


Optimizer = Annotated[Sgd | Momentum | Adagrad | RmsProp | Adam, Field(discriminator="name")]


class Cosine(Part):
    """A learning rate that falls along half a cosine wave to `final` times the optimiser's at the last step.

    Loshchilov and Hutter, 2017. During the first `warmup` share of all steps it rises from 0.
    """

    name: Literal["cosine"]
    final: Fraction = 0.0
    warmup: Fraction = 0.0


class Exponential(Part):
    """A learning rate that falls by the same factor each step, to `final` times the optimiser's at the last one."""

    name: Literal["exponential"]
    final: Annotated[FiniteFloat, Field(gt=0, lt=1)] = 0.01


Schedule = Annotated[Cosine | Exponential, Field(discriminator="name")]


class EarlyStopping(Part):
    """A stop after `patience` epochs without an improvement of more than `min_delta`. The metric is accuracy or MAE."""

    monitor: Literal["loss", "val_loss", "metric", "val_metric"] = "val_loss"
    mode: Literal["auto", "min", "max"] = "auto"
    """auto: higher is better for accuracy, lower for losses and the MAE."""
    patience: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    min_delta: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    restore_best: bool = True


MOST_FITS = 200


class CrossValidate(Part):
    """Cross-validation: each fold is held out in turn, `repeats` times with other folds, at most 200 fits in all.

    The network that is served is then fitted on all training rows.
    """

    folds: Annotated[int, Field(ge=2, le=100)] = 4
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    stratified: bool = True
    """Each fold has its share of every label. Numbers are never stratified."""
    smoothing: Annotated[FiniteFloat, Field(ge=0, lt=1)] = 0.9
    """Share of the previous value in the exponential moving average that the number of epochs is read from."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.folds * self.repeats > MOST_FITS:
            raise ValueError(f"folds times repeats: at most {MOST_FITS}, and this is {self.folds * self.repeats}")
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
# Few rows learn best in small batches; a million rows need large ones to be done in time.
SMALLEST_BATCH, LARGEST_BATCH, BATCHES = 16, 1024, 100
# Epochs that weights of labels are averaged over.
AVERAGED = 2.0
# Epochs of `auto`. Many rows make as many steps in fewer epochs, and labels are learned in fewer steps.
FEW_EPOCHS, EPOCHS = 30, 60
EPOCHS_OF_TEXT, EPOCHS_OF_TEXT_WITH_LABELS = 6, 4

Epochs = Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"]


def most_epochs(epochs: Epochs) -> int:
    """Return the number of epochs, or the most that `auto` may mean."""
    return EPOCHS if epochs == "auto" else epochs


class Fit(Part):
    loss: Literal["auto", LossName] = "mse"
    """auto: mse for numbers, cross-entropy for labels. categorical_crossentropy learns from one-hot labels."""
    optimizer: Optimizer = Adam()
    schedule: Schedule | None = None
    """Course of the learning rate over the steps of all epochs; None: it is constant."""
    epochs: Epochs = 100
    """auto: 60 for numbers, 30 for labels or of more than 10 000 training rows.

    For texts of many words 6, or 4 if they tell labels.
    """
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = 32
    """auto: the power of two that makes about a hundred batches of the training rows, 16 to 1024."""
    early_stopping: EarlyStopping | None = None
    averaged_epochs: Annotated[FiniteFloat, Field(ge=0, le=1_000_000)] | Literal["auto"] = 0.0
    """The weights that are validated and served are a moving average over about so many epochs; 0: they are the last.

    auto: 2 for labels of up to 10 000 training rows, 0 for more, for numbers, and for texts of many words.
    """
    calibration: Literal["none", "temperature"] = "none"
    """temperature: probabilities are made as sure as answers out of fold are right. Needs labels and members."""
    class_weights: Literal["balanced"] | dict[str, Positive] | None = None
    """Factor of the rows of each label in the loss, 1 if not named; balanced: all labels count alike in sum."""

    @property
    def most_epochs(self) -> int:
        return most_epochs(self.epochs)

    @property
    def is_for_labels(self) -> bool:
        """True if only labels can be learned so."""
        return self.loss not in NUMBER_LOSSES | {"auto"} or self.class_weights is not None

    def epochs_for(self, rows: Shown) -> int:
        if self.epochs != "auto":
            return self.epochs
        if rows.has_many_words:
            return EPOCHS_OF_TEXT_WITH_LABELS if rows.are_labels else EPOCHS_OF_TEXT
        return FEW_EPOCHS if rows.are_labels or rows.n_rows > MANY_ROWS else EPOCHS

    def averaged_for(self, rows: Shown) -> float:
        if self.averaged_epochs != "auto":
            return self.averaged_epochs
        return AVERAGED if rows.are_labels and not rows.has_many_words and rows.n_rows <= MANY_ROWS else 0.0

    def averaged_steps(self, n_rows: int) -> float:
        """Return the optimiser steps that weights are averaged over; 0: they are not averaged."""
        return self.averaged_for(Shown()) * self.steps(n_rows) / self.most_epochs

    def batch_rows(self, n_rows: int) -> int:
        """Return the rows of a batch when there are `n_rows` training rows."""
        if self.batch_size != "auto":
            return self.batch_size
        return min(max(SMALLEST_BATCH, 1 << (n_rows // BATCHES).bit_length()), LARGEST_BATCH)

    def steps(self, n_rows: int) -> int:
        """Return the number of optimiser steps in all epochs; the last batch of an epoch may be a short one."""
        return self.most_epochs * ceil(n_rows / self.batch_rows(n_rows))


class AuthorFigure(Part):
    """The error that the pattern's original author reports, and how it was counted."""

    figure: FiniteFloat
    metric: Literal["rmse", "mae", "rmse_over_root_n", "accuracy", "log_loss"] = "rmse"
