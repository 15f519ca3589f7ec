"""The trainer's protocol: requests to it and events from it, each a JSON object on a line of its own.

    requests    publish · publish_each · measure · measure_each · score_folds · cancel · finish
    events      ready · started, work, fold, trial_epochs, trial, epochs, evaluated, published, cross_validated,
                compared, failed, cancelled

`ready` comes once, when the trainer has imported its engine. Every other event carries the id of its request.
Imports neither NumPy nor Keras.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, JsonValue, TypeAdapter

from models_store.card import Card, CrossValidation, EarlyEnd, Promotion, Trial
from models_store.networks.architecture import Device, Engine

# Exit status of a trainer that has lost its Ray cluster; a new process may go on with what was told.
LOST_CLUSTER = 75

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class IfBetter(Message):
    """The new version becomes the champion if it is not worse than the one before, for sure."""

    tolerance: Annotated[FiniteFloat, Field(ge=0, le=1)] = 0.0
    """How much worse it may be, as a share of the champion's figure."""


Promote = bool | IfBetter


# -- requests ------------------------------------------------------------------------------------------------------


class TrainingRequest(Message):
    id: str
    recipe: dict[str, JsonValue]
    """A pattern's recipe as JSON. The trainer parses it, so that a bad recipe fails this training alone."""
    device: Device
    root: Path
    """The absolute directory of the store whose tables are read."""


class Publish(TrainingRequest):
    """Train, and publish what has been learned into the store. Ends with published, failed or cancelled."""

    request: Literal["publish"] = "publish"
    promote: Promote
    """Whether the new version becomes the champion."""
    keep: Positive
    """Versions of the pattern that the store keeps."""
    engine: Engine
    """Computes the golden rows once more before the version is published."""
    outbox: Path | None = None
    """The root of a store to publish into, instead of that of the recipe's tables.

    What this training has left there already is not trained again, only compared with the champion once more.
    """
    comparisons: Count = 0
    """How often what is left there was compared with a version that was no longer the champion when it was to be
    published."""
    trials: tuple[Trial, ...] = ()
    """Trials of this recipe's search that an earlier training had done before it was cut off."""


class PublishEach(Message):
    """Train and publish each of these, on the cluster side by side where there is one.

    Each ends with an event of its own, published or failed; where the others cannot go on, this request ends with
    failed or cancelled.
    """

    request: Literal["publish_each"] = "publish_each"
    id: str
    trainings: Annotated[tuple[Publish, ...], Field(min_length=1)]
    is_again: bool = False
    """True if the cluster was lost before: its head may be about to come back."""


class Measure(TrainingRequest):
    """Train, and publish nothing. Ends with evaluated, failed or cancelled."""

    request: Literal["measure"] = "measure"


class MeasureEach(Message):
    """Train each of these, and publish nothing. Small fits that are alike go on side by side.

    Each ends with an event of its own, evaluated or failed; where the others cannot go on, this request ends with
    failed or cancelled.
    """

    request: Literal["measure_each"] = "measure_each"
    id: str
    trainings: Annotated[tuple[Measure, ...], Field(min_length=1)]


class ScoreFolds(TrainingRequest):
    """Cross-validate on all rows, and publish nothing. Ends with cross_validated, failed or cancelled."""

    request: Literal["score_folds"] = "score_folds"


class Cancel(Message):
    """Stop the training with this id, whether it runs or waits."""

    request: Literal["cancel"] = "cancel"
    id: str


class Finish(Message):
    """End the trials of the search with this id, and train the recipe of the best so far."""

    request: Literal["finish"] = "finish"
    id: str
    why: EarlyEnd = "asked"


Request = Annotated[
    Publish | PublishEach | Measure | MeasureEach | ScoreFolds | Cancel | Finish, Field(discriminator="request")
]


# -- events --------------------------------------------------------------------------------------------------------


class Ready(Message):
    event: Literal["ready"] = "ready"


class TrainingEvent(Message):
    id: str


class Started(TrainingEvent):
    event: Literal["started"] = "started"
    epochs: Positive
    """The recipe's; early stopping may end sooner."""


class WorkDone(TrainingEvent):
    """Epochs of all fits of a cross-validation: done so far, and at most to do."""

    event: Literal["work"] = "work"
    done: Count
    of: Count


class FoldScored(TrainingEvent):
    event: Literal["fold"] = "fold"
    fold: Positive
    """Numbered from 1."""
    folds: Positive
    figures: dict[str, FiniteFloat]
    """Scores on the rows that were held out, in raw units."""


class Epoch(Message):
    """One epoch of the network that is published."""

    epoch: Positive
    loss: FiniteFloat
    val_loss: FiniteFloat | None
    metric: FiniteFloat | None
    val_metric: FiniteFloat | None


class EpochsDone(TrainingEvent):
    event: Literal["epochs"] = "epochs"
    epochs: Annotated[tuple[Epoch, ...], Field(min_length=1)]
    before: Count = 0
    """Epochs that the folds of a cross-validation have taken before."""
    of: Count | None = None
    """Epochs of all fits; None without a cross-validation."""


class TrialEpochs(TrainingEvent):
    """The newest epoch of a trial that is under way."""

    event: Literal["trial_epochs"] = "trial_epochs"
    number: Count
    epoch: Epoch


class TrialEnded(TrainingEvent):
    event: Literal["trial"] = "trial"
    trial: Trial
    best: Count | None
    """The number of the best trial so far; None if none has a score."""
    of: Positive
    """Trials that are to be run."""


class Evaluated(TrainingEvent):
    event: Literal["evaluated"] = "evaluated"
    card: Card


class Compared(TrainingEvent):
    """The version that is about to be published beside the champion."""

    event: Literal["compared"] = "compared"
    promotion: Promotion


class Published(TrainingEvent):
    event: Literal["published"] = "published"
    version: Positive


class CrossValidated(TrainingEvent):
    event: Literal["cross_validated"] = "cross_validated"
    result: CrossValidation


class Failed(TrainingEvent):
    """The code and the message of a PatternServerError."""

    event: Literal["failed"] = "failed"
    code: str
    message: str


class Cancelled(TrainingEvent):
    event: Literal["cancelled"] = "cancelled"


Event = Annotated[
    Ready
    | Started
    | WorkDone
    | FoldScored
    | TrialEpochs
    | TrialEnded
    | EpochsDone
    | Evaluated
    | Compared
    | Published
    | CrossValidated
    | Failed
    | Cancelled,
    Field(discriminator="event"),
]


# -- lines ---------------------------------------------------------------------------------------------------------

_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def to_line(message: Message) -> str:
    """Return the message as a line of JSON in ASCII. Raises ValueError for NaN and infinity."""
    return json.dumps(message.model_dump(mode="json"), allow_nan=False) + "\n"


def request_of(line: str | bytes) -> Request:
    """Read a line. Raises ValueError if it is not a request."""
    return _REQUEST.validate_json(line)


def event_of(line: str | bytes) -> Event:
    """Read a line. Raises ValueError if it is not an event."""
    return _EVENT.validate_json(line)
