"""What is known of a version: how good it is in raw units, what it has seen, where it came from.

Lives as long as the version; written once, inside `bundle.json`.
"""

from pydantic import BaseModel, ConfigDict, FiniteFloat


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Column(Frozen):
    """A column and the range of its *training* rows, in raw units."""

    name: str
    minimum: FiniteFloat
    maximum: FiniteFloat


class Score(Frozen):
    """Errors of one output on one set of rows, in that output's raw units."""

    rmse: FiniteFloat
    mae: FiniteFloat
    r2: FiniteFloat | None
    """1 - SSE/SST; None where the labels are constant, so that there is nothing to explain."""
    max_error: FiniteFloat


class Measured(Frozen):
    """Scores on one set of rows: over all outputs together, and of each."""

    rows: int
    overall: Score
    outputs: dict[str, Score]


class Gap(Frozen):
    """One test row, predict and label and gap side by side."""

    inputs: list[FiniteFloat]
    predicted: list[FiniteFloat]
    label: list[FiniteFloat]
    gap: list[FiniteFloat]


class Baselines(Frozen):
    """RMSE on the same test rows of what needs no network; `verdict` says what that means in a sentence."""

    mean_rmse: FiniteFloat
    linear_rmse: FiniteFloat
    verdict: str


class Author(Frozen):
    """The figure that the pattern's original author reports for this recipe."""

    figure: FiniteFloat
    metric: str
    """`rmse`, `mae`, or `rmse_over_root_n`, the author's sqrt(sum(err²)) / n."""


class Fitted(Frozen):
    """How the fit went: `best_epoch` is the one whose weights were kept, counted from 1."""

    epochs: int
    best_epoch: int
    stopped_early: bool
    final_loss: FiniteFloat
    seconds: FiniteFloat
    rows: int
    parameters: int
    engine: str
    device: str


class Lineage(Frozen):
    """Where a version came from; times are UTC, ISO 8601."""

    trained_at: str
    job: str | None
    seed: int
    data_sha256: str
    software: dict[str, str]


class Card(Frozen):
    inputs: list[Column]
    outputs: list[Column]
    train: Measured
    validation: Measured | None
    test: Measured
    author_metrics: dict[str, FiniteFloat]
    """The test error by each way an author has counted it; same keys as `Author.metric`."""
    author: Author | None
    baselines: Baselines
    gaps: list[Gap]
    fitted: Fitted
    lineage: Lineage
    notes: list[str]
    """What a reader should know before trusting it: lessons that the data and the fit show."""
