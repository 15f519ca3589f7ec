"""How sure an answer is to be: intervals around numbers, and sets of labels, as they are asked for.

?interval=0.9 · ?interval=0.9&joint=true · ?confidence=0.9
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from math import isfinite
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from app.answering.plan import MOST_LABELS_ANSWERED, MOST_NUMBERS
from app.dialects.asked import AskedRows
from app.dialects.remarks import Remarks, remarks_on
from app.errors import AnswerTooLarge, Unprocessable
from app.formats.reply import ENDS
from app.telemetry import metrics
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.calibration.ranks import exactly
from models_store.tables.table import Raw


def _level(said: Any) -> Fraction | None:
    """Return the level exactly. Raises PydanticCustomError where it is no number between 0 and 1."""
    if said is None:
        return None
    try:
        level = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else 0.0
    except (ValueError, OverflowError):
        level = 0.0
    if not (isfinite(level) and 0 < level < 1):
        raise PydanticCustomError("level", "expected how often it is to hold, above 0 and below 1, such as 0.9")
    return exactly(level)


# An interval takes about so many times as long as its row: distances to landmarks, or each member's answer. So does the
# question whether it is where training rows were.
WORK = 16
# An answer with its lower and upper end.
NUMBERS_OF_INTERVAL = 3
NAMES = ("interval", "confidence", "joint")
Level = Annotated[Any, BeforeValidator(_level)]


class Sureness(NamedTuple):
    """What is added to answers: ends (n_rows, n_outputs, 2), or which labels are in a set, (n_rows, n_labels)."""

    ends: Array | None = None
    members: NDArray[np.bool_] | None = None


UNSURE = Sureness()


class Levels(BaseModel):
    """How often intervals or sets are to hold the right number or label; None: there are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    interval: Level = None
    confidence: Level = None
    joint: bool = False
    """True if the intervals of all outputs of a row are to hold at once."""

    @classmethod
    def said(cls, interval: object, confidence: object, joint: object = False) -> "Levels":
        """Return levels as they are said elsewhere than in an address. Raises Unprocessable."""
        try:
            return Levels.model_validate({"interval": interval, "confidence": confidence, "joint": joint})
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
            raise Unprocessable("bad_parameter", f"{fault['loc'][0]}: {fault['msg']}") from None

    @classmethod
    def among(cls, parameters: Mapping[str, Any]) -> "Levels":
        """Return the levels that are among parameters of a request's body. Raises Unprocessable."""
        if parameters.keys().isdisjoint(NAMES):
            return NO_LEVELS
        return cls.said(parameters.get("interval"), parameters.get("confidence"), parameters.get("joint", False))

    @property
    def query(self) -> list[str]:
        """The levels as an address has them: interval=0.9, joint=true."""
        levels = {"interval": self.interval, "confidence": self.confidence}
        said = [f"{name}={float(level)!r}" for name, level in levels.items() if level is not None]
        return [*said, "joint=true"] if self.joint else said

    @cached_property
    def is_sure(self) -> bool:
        """True if anything is asked; also where that cannot be had, so that `check` refuses it."""
        return self.interval is not None or self.confidence is not None or self.joint

    @property
    def asked(self) -> Fraction | None:
        level: Fraction | None = self.confidence if self.interval is None else self.interval
        return level

    def check(self, bundle: Bundle) -> None:
        """Raise Unprocessable where it does not fit the outputs, and where the calibration rows are too few for it."""
        if self.interval is not None and bundle.labels is not None:
            raise Unprocessable(
                "bad_parameter", "interval: this pattern answers labels; ask for a set with confidence=0.9"
            )
        if self.confidence is not None and bundle.labels is None:
            raise Unprocessable("bad_parameter", "confidence: this pattern answers numbers; ask for interval=0.9")
        if self.joint and self.interval is None:
            raise Unprocessable("bad_parameter", "joint: it is about intervals; give interval=0.9 too, or leave it out")
        if self.asked is not None:
            bundle.check_level(self.asked, jointly=self.joint)

    def check_size(self, n_rows: int, n_outputs: int) -> None:
        """Raise AnswerTooLarge where the sets or intervals of so many rows would be too many labels or numbers."""
        if self.confidence is not None and n_rows * n_outputs > MOST_LABELS_ANSWERED:
            raise AnswerTooLarge(MOST_LABELS_ANSWERED)
        if self.interval is not None and n_rows * n_outputs * NUMBERS_OF_INTERVAL > MOST_NUMBERS:
            raise AnswerTooLarge(MOST_NUMBERS)

    def sureness(self, bundle: Bundle, rows: Raw, answers: Array) -> Sureness:
        """Return what is added to the answers to raw rows. Raises as `check` does, and NotFinite."""
        if self.asked is not None:
            metrics.count_sure(bundle.pattern, "set" if self.interval is None else "interval", len(rows))
        if self.interval is not None:
            return Sureness(ends=bundle.intervals(rows, answers, self.interval, jointly=self.joint))
        return UNSURE if self.confidence is None else Sureness(members=bundle.sets(answers, self.confidence))

    def names(self, outputs: Sequence[str]) -> list[str]:
        """Return the names of the columns that are added: y_lower, y_upper; species_set."""
        ends = ENDS if self.interval is not None else ("set",) if self.confidence is not None else ()
        return [f"{output}_{end}" for output in outputs for end in ends]

    def remarks_on(self, bundle: Bundle, question: AskedRows) -> Remarks:
        """Return what is said of rows asked or not: where something is to be sure, all that are outside as well."""
        remarks = remarks_on(bundle, question)
        if self.asked is None:
            return remarks
        outside = bundle.outside(question.rows) if question.outside is None else question.outside
        if not outside:
            return remarks
        return {**remarks, "outside": without_guarantee(outside)}


def without_guarantee(named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows outside as they are named where intervals or sets are asked for: there, nothing is guaranteed."""
    return [{**row, "guaranteed": False} for row in named]


def may_be_asked(body: bytes) -> bool:
    """True if one of the names stands in the body, and so may be among its parameters."""
    return b"interval" in body or b"confidence" in body


NO_LEVELS = Levels()
