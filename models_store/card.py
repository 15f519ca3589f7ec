"""The card of a version: how good it is in raw units, what its training rows held, where it came from.

It is written once, inside `bundle.json`, and lives as long as the version.
"""

from collections.abc import Sized
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue

from models_store.tables.kinds import Kind

Task = Literal["regression", "classification"]
Value = FiniteFloat | bool | str


def is_none(value: object) -> bool:
    """True for a fact that a card lacks; it is not written, so that the cards of earlier versions stay as they were."""
    return value is None


def is_empty(facts: Sized) -> bool:
    return not facts


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Frozen):
    """A column, and what its *training* rows held in raw units: a range of numbers (dates: ISO 8601), or values."""

    name: str
    kind: Kind = "number"
    minimum: FiniteFloat | str | None = None
    maximum: FiniteFloat | str | None = None
    values: list[Value] | None = None
    """The most frequent categories, all labels, or the most frequent words of texts."""
    missing: int = 0
    """Training rows without a value."""
    fill: Value | None = Field(default=None, exclude_if=is_none)
    """What stands in for a missing value, if no training row had one: the median, or the most frequent value.

    None where training rows had missing values, and where a request must have a value.
    """
    if_missing: FiniteFloat | None = Field(default=None, exclude_if=is_none)
    """The error of answers without a value here: RMSE or accuracy on test rows, this column missing in all of them.

    None where a request must have a value, and where there were too few test rows, or too many columns, to measure it.
    """


class Score(Frozen):
    """Errors of numbers on one set of rows, in raw units."""

    rmse: FiniteFloat
    mae: FiniteFloat
    median_error: FiniteFloat
    r2: FiniteFloat | None
    """1 - SSE/SST; None where the targets are constant, so that there is nothing to explain."""
    max_error: FiniteFloat


class LabelScore(Frozen):
    """Scores of a classification on one set of rows, as scikit-learn defines them."""

    accuracy: FiniteFloat
    log_loss: FiniteFloat
    """Cross-entropy of the probabilities, in nats."""
    balanced_accuracy: FiniteFloat
    f1: FiniteFloat
    """The F1 of the second label if there are two, else the mean over labels."""
    roc_auc: FiniteFloat | None
    """The AUC of the second label if there are two, else the mean of each against the rest; None if one is missing."""
    confusion: list[list[int]]
    """Numbers of rows, confusion[right label][predicted label], in the order of the output's labels."""
    precision: list[FiniteFloat]
    recall: list[FiniteFloat]


AnyScore = Score | LabelScore


class Measured(Frozen):
    """Scores on one set of rows: over all outputs together, and of each."""

    rows: int
    overall: AnyScore
    outputs: dict[str, AnyScore]


class Gap(Frozen):
    """One test row: prediction, target (`label`) and the gap between them; 1 - probability for a class label."""

    inputs: list[Value | None]
    predicted: list[Value]
    label: list[Value]
    gap: list[FiniteFloat]


PairedMetric = Literal["rmse", "mae", "log_loss", "accuracy"]
"""The metrics that are means over rows, or roots of one."""
# Of fewer rows or groups, the spread of resamples says too little.
FEWEST_DRAWN = 10


class Difference(Frozen):
    """How far two sets of answers to the same rows differ, by a paired bootstrap: `difference` is first - second.

    Rows are drawn again with replacement, the same ones for both, so that rows that are hard for both say nothing.
    """

    metric: PairedMetric
    first: FiniteFloat
    second: FiniteFloat
    difference: FiniteFloat
    error: FiniteFloat
    """The standard error of the difference."""
    low: FiniteFloat
    high: FiniteFloat
    """The interval that the difference lies in with a confidence of 95 %."""
    rows: int
    drawn: int
    """What was drawn: rows, or groups of rows that belong together."""

    @property
    def better(self) -> Literal["first", "second"] | None:
        """Return which one is better; None where the rows do not tell: 0 is in the interval, or they are too few."""
        if self.drawn < FEWEST_DRAWN or self.low <= 0 <= self.high:
            return None
        return "first" if (self.high < 0) == (self.metric in LOWER_IS_BETTER) else "second"

    @property
    def reversed(self) -> "Difference":
        """The same of the second and the first."""
        return self.model_copy(
            update={
                "first": self.second,
                "second": self.first,
                "difference": -self.difference,
                "low": -self.high,
                "high": -self.low,
            }
        )


class Baselines(Frozen):
    """Simple models that learned from the same training rows, and the network, on the same test rows.

    `figures` has the metric of each: mean or majority, linear, trees (gradient boosting), network.
    """

    metric: Literal["rmse", "accuracy"]
    figures: dict[str, FiniteFloat]
    verdict: str
    differences: dict[str, Difference] = Field(default={}, exclude_if=is_empty)
    """The network first, and each of linear and trees second; none of earlier releases."""
    spread: FiniteFloat | None = Field(default=None, exclude_if=is_none)
    """How far the network's members differ on a test row: the root mean square of their standard deviations.

    In raw units, or of probabilities. None of a network of one.
    """


PromotionOutcome = Literal[
    "no_champion",
    "better",
    "not_worse",
    "not_sure",
    "worse",
    "too_few_rows",
    "no_untouched_rows",
    "rows_unknown",
    "not_comparable",
    "champion_unreadable",
    "champion_moved",
]
TestRows = Literal["test rows of both", "new test rows"]


class Promotion(Frozen):
    """Whether a version became the champion, by how it and the champion answered the same rows.

    Neither of the networks that answered has learned from these rows.
    """

    champion: int | None
    """The version that was the champion before; None where there was none."""
    promoted: bool
    outcome: PromotionOutcome
    why: str
    """The outcome in a sentence, with the way out where the version was not promoted."""
    tolerance: FiniteFloat
    """How much worse the version might be for sure and still be promoted, as a share of the champion's figure."""
    rows_of: TestRows | None = None
    """`test rows of both`, answered by the networks that were measured; or `new test rows`, of which the champion that
    is served has seen none. None where no rows were answered."""
    left_out: int = 0
    """Test rows that were not asked, because one of both had learned from them, or from equal ones."""
    by: dict[PairedMetric, Difference] = Field(default={}, exclude_if=is_empty)
    """How far the version, which is `first`, and the champion differ; the first metric decides."""
    ratio: tuple[FiniteFloat, FiniteFloat] | None = Field(default=None, exclude_if=is_none)
    """The version's error as a multiple of the champion's, lowest and highest with a confidence of 95 %, as it is held
    against the tolerance. None without a tolerance, where the champion may be exact, and of earlier releases."""


class Fold(Frozen):
    """One fold of a cross-validation: scores on the rows that it held out."""

    rows: int
    score: AnyScore
    best_epoch: int


class CrossValidation(Frozen):
    """Scores of the recipe on rows held out in turn, and the number of epochs that they recommend."""

    folds: list[Fold]
    mean: dict[str, FiniteFloat]
    sd: dict[str, FiniteFloat]
    baselines: dict[str, FiniteFloat] = {}
    """Mean RMSE or accuracy over the same folds, of models without a network and of the network."""
    metric: str
    curve: list[FiniteFloat]
    """The metric of each epoch, averaged over folds: on held-out rows, or on the rows watched to stop early."""
    smoothed: list[FiniteFloat]
    """Its exponential moving average."""
    curve_folds: int | None = Field(default=None, exclude_if=is_none)
    """How many folds the curve is the mean of, if not of all: the others have learned in another unit."""
    are_logarithms: bool = Field(default=False, exclude_if=lambda are_logarithms: not are_logarithms)
    """True if the metric of the curve is that of logarithms, which these folds have learned."""
    epochs: int
    """The epoch where the smoothed curve turns, or the median of the folds' best epochs if they stopped early.

    The served network was fitted on all training rows for so many epochs.
    """


SearchMetric = Literal["rmse", "mae", "r2", "accuracy", "log_loss", "balanced_accuracy", "f1", "roc_auc"]
NUMBER_METRICS: frozenset[SearchMetric] = frozenset({"rmse", "mae", "r2"})
LOWER_IS_BETTER: frozenset[str] = frozenset({"rmse", "mae", "log_loss"})


class Trial(Frozen):
    """One trial of a search: the fields it changed, and how it went."""

    number: int
    """Counted from 0, in the order in which they were chosen."""
    state: Literal["complete", "pruned", "failed"]
    value: FiniteFloat | None
    """The metric on rows that the trial did not learn from; None unless it is complete."""
    point: dict[str, JsonValue]
    """Values of the recipe's fields, by their paths."""
    epochs: int
    seconds: FiniteFloat
    error: str | None = Field(default=None, exclude_if=is_none)
    """Why it failed."""
    reports: list[tuple[int, FiniteFloat]] = Field(default=[], exclude_if=lambda reports: not reports)
    """The values by which it might have been pruned, each with the epoch or the fold."""


EarlyEnd = Literal["seconds", "asked", "time_limit"]
EARLY_ENDS: dict[EarlyEnd, str] = {
    "seconds": "the time that it was given (search.seconds) had passed",
    "asked": "its best so far was asked for",
    "time_limit": "its server lets no training take longer (PATTERNS_TRAIN_SECONDS)",
}


class Searched(Frozen):
    """The search that chose the recipe of a version. No trial has seen the test rows."""

    method: str
    metric: SearchMetric
    folds: int | None
    """None: trials were scored on the validation rows."""
    best: int
    """The number of the trial whose recipe this is."""
    trials: list[Trial]
    seconds: FiniteFloat
    planned: int | None = None
    """The number of trials that were to be run; None of versions that do not tell."""
    ended_early: EarlyEnd | None = Field(default=None, exclude_if=is_none)
    """Why fewer were run; None where all were."""
    importance: dict[str, FiniteFloat] = {}
    """Share of each field in how much the trials differ; empty if there were too few trials to tell."""

    @property
    def early_end(self) -> str | None:
        """Say in a sentence that the search ended before its last trial, and why; None if it did not."""
        if self.ended_early is None:
            return None
        trials = f"{len(self.trials)} of {self.planned}" if self.planned is not None else f"{len(self.trials)}"
        return f"The search ended after {trials} trials, because {EARLY_ENDS[self.ended_early]}."


class ClosedForm(Frozen):
    """A formula that answers as the rows of an output do, found by looking at them, and true on the test rows."""

    text: str
    """In the grammar of recipes."""
    latex: str
    python: str
    """The source of a function."""
    rmse: FiniteFloat
    """On the test rows, in raw units, as the network's beside it."""
    network_rmse: FiniteFloat
    terms: int
    """The number of summands."""
    is_exact: bool
    """True if it leaves nothing but rounding; else what is left looks like noise."""
    columns: dict[str, str] = Field(default={}, exclude_if=is_empty)
    """The columns of the data whose names cannot stand in a formula, by the names that stand for them."""


CalibrationRows = Literal["test rows", "rows out of fold", "fresh rows"]
WidthFollows = Literal["spread", "landmarks", "size"]


class Calibration(Frozen):
    """What intervals or sets of labels stand on; the rows themselves are in `calibration.npz`."""

    of: CalibrationRows
    """The calibration rows: the test rows, which decided nothing; or all rows, each answered by the member that left it
    out; or rows that were drawn by the recipe's formula for nothing else."""
    rows: int
    rows_of_label: dict[str, int] = Field(default={}, exclude_if=is_empty)
    by: WidthFollows | None = Field(default=None, exclude_if=is_none)
    """What the width of an interval follows beside the size of the answer: the spread of the members, the errors near a
    row, or the size alone; None of labels."""
    widths: dict[str, dict[str, FiniteFloat]] = Field(default={}, exclude_if=is_empty)
    """The mean width of intervals on calibration rows, in raw units, by output and level, as far as there are rows."""
    sizes: dict[str, FiniteFloat] = Field(default={}, exclude_if=is_empty)
    """The mean number of labels in a set on calibration rows, by level."""


Way = Literal["warn", "clip", "reject", "formula"]
"""What becomes of rows outside what training saw."""


class RegionFacts(Frozen):
    """Where training rows were; what tells of it is in `region.npz`."""

    rows: int
    """Training rows that were looked at."""
    landmarks: int
    """Those that stand for all."""
    pairs: list[tuple[str, str]]
    """Pairs of columns that leave a hollow, which each of the two alone does not show; the largest first."""


class Author(Frozen):
    """The figure that the pattern's original author reports for this recipe."""

    figure: FiniteFloat
    metric: str
    """`rmse`, `mae`, `accuracy`, `log_loss`, or `rmse_over_root_n`, the author's sqrt(sum(err²)) / n."""


class Refit(Frozen):
    """The second fit, of the network that is served, on all rows: with the epochs that the first fit found."""

    rows: int
    epochs: int
    seconds: FiniteFloat


class Fitted(Frozen):
    """The course of the fit: `best_epoch` is the one whose weights were kept, counted from 1."""

    epochs: int
    best_epoch: int
    stopped_early: bool
    final_loss: FiniteFloat
    seconds: FiniteFloat
    rows: int
    parameters: int
    engine: str
    device: str
    refit: Refit | None = Field(default=None, exclude_if=is_none)
    """None where the network that was measured is the one that is served."""
    chosen: dict[str, int | FiniteFloat | str] = Field(default={}, exclude_if=is_empty)
    """What the recipe left open as `auto`, by field, and the value that rows and task chose: `fit.epochs`, …"""
    temperature: FiniteFloat | None = Field(default=None, exclude_if=is_none)
    """What the logits of labels were divided by after the fit that is served, so that it is as sure as it is right."""


class Lineage(Frozen):
    """The origin of a version; times are UTC, ISO 8601."""

    trained_at: str
    job: str | None
    seed: int
    data_sha256: str
    software: dict[str, str]


class Card(Frozen):
    task: Task = "regression"
    inputs: list[Column]
    outputs: list[Column]
    train: Measured
    validation: Measured | None
    test: Measured
    """Scores on rows that the measured network has not seen. Where there was a refit, the served one has."""
    out_of_fold: Measured | None = Field(default=None, exclude_if=is_none)
    """Scores of the served network on the rows that it was fitted on, each answered by the member that left it out.

    Those of one member, which errs more than all of them together. None of a network of one.
    """
    calibration: Calibration | None = Field(default=None, exclude_if=is_none)
    """What intervals stand on; None of cards from before there were any."""
    region: RegionFacts | None = Field(default=None, exclude_if=is_none)
    """Where training rows were; None where they were too few to tell, and of cards from before it was looked for."""
    outside: Way | None = Field(default=None, exclude_if=is_none)
    """What becomes of rows outside where a request does not say: as the recipe has it, but `warn` without a formula."""
    author_metrics: dict[str, FiniteFloat]
    """The test error by each way an author has counted it; same keys as `Author.metric`."""
    author: Author | None
    baselines: Baselines
    cross_validation: CrossValidation | None = None
    search: Searched | None = Field(default=None, exclude_if=is_none)
    promotion: Promotion | None = Field(default=None, exclude_if=is_none)
    """How it did beside the champion; None of a version that was not to be promoted only if it is better."""
    gaps: list[Gap]
    fitted: Fitted
    lineage: Lineage
    left_out: list[str] = Field(default=[], exclude_if=is_empty)
    """Columns of the table that are neither inputs nor targets; a question may have them, and they are ignored.

    Cards from before they were listed have none.
    """
    closed_forms: dict[str, ClosedForm] = Field(default={}, exclude_if=is_empty)
    """The formula behind each output that has one; cards from before they were looked for have none."""
    notes: list[str]
    """Remarks on the data and the fit that a reader should know before trusting the version."""

    @property
    def was_promoted(self) -> bool:
        """True if the version was compared with the champion, and is to answer in its place."""
        return self.promotion is not None and self.promotion.promoted
