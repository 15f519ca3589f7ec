"""The errors of the app, as facts; app/statuses.py has their HTTP statuses, app/envelopes.py the shapes of answers.

PatternServerError
  Malformed · NotAcceptedType · BodyTooLarge · AnswerTooLarge · TooManyRows · Unprocessable
  NotHere · WrongMethod · NotOffered
  NoFormula · NoProfile · NoShadow · NotCounted
  NotRemembered · UnknownRequest · AlreadyTold
  KeyMissing · KeyWrong · ForeignOrigin
  UnknownJob · JobEnded · TrainingUnderWay · QueueFull · TrainingUnavailable · NoTrainer
  NotLoaded · Unloaded · Overloaded · Draining · DeadlinePassed
"""

from typing import Literal

from models_store.errors import PatternServerError


class NoFormula(PatternServerError):
    code = "no_formula"

    def __init__(self, pattern: str, version: int) -> None:
        super().__init__(
            f"version {version} of {pattern} has no formula: none was found that is true on its test rows, or none was "
            "looked for: not for labels, nor from inputs that lack values or are no numbers, nor in versions from "
            "before formulas were looked for; training those again looks for one"
        )


class NoProfile(PatternServerError):
    code = "no_profile"

    def __init__(self, pattern: str, version: int) -> None:
        super().__init__(
            f"version {version} of {pattern} has no histograms of its training rows, which questions would be held "
            "against: it is from before they were kept; training it again keeps them"
        )


class NoShadow(PatternServerError):
    code = "no_shadow"

    def __init__(self, pattern: str, champion: int, version: int | None) -> None:
        found = (
            f"no version has the label shadow; the champion is version {champion}"
            if version is None
            else f"the label shadow points at version {version}, which is the champion, so there is nothing to compare"
        )
        super().__init__(
            f"{pattern}: {found}; another version becomes the shadow by PUT /patterns/{pattern}/labels/shadow "
            f'{{"version": n}}, or `patterns label {pattern} shadow n`'
        )


class NotCounted(PatternServerError):
    code = "not_counted"

    def __init__(self) -> None:
        super().__init__("this server does not count what it is asked: PATTERNS_DRIFT is off")


class NotRemembered(PatternServerError):
    code = "not_remembered"

    def __init__(self) -> None:
        super().__init__(
            "this server does not remember what it answered: send the rows as inputs beside their outcomes, or let it "
            "remember by PATTERNS_REMEMBERED_REQUESTS"
        )


class UnknownRequest(PatternServerError):
    code = "unknown_request"

    def __init__(self, pattern: str, others: list[str], most: int) -> None:
        if others:
            found = f": that id is of a request to {', '.join(others)}; add outcomes at /patterns/{others[0]}/outcomes"
        else:
            found = (
                f" has that id: remembered are the newest {most} that were answered, for thirty days, unless they were "
                "too many at a time or have too many answers; all workers know of one after two seconds; in its place, "
                "send the rows as inputs beside their outcomes"
            )
        super().__init__(f"no remembered request to {pattern}{found}")


class AlreadyTold(PatternServerError):
    code = "already_told"

    def __init__(self) -> None:
        super().__init__("the outcomes of this request were told before, and count once: this time nothing was added")


class Malformed(PatternServerError):
    code = "malformed"


class NotAcceptedType(PatternServerError):
    code = "unsupported_content_type"


class BodyTooLarge(PatternServerError):
    code = "body_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than the limit of {limit} bytes")


class TooManyRows(PatternServerError):
    code = "too_many_rows"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body holds more than the limit of {limit} rows; send several requests")


class AnswerTooLarge(PatternServerError):
    code = "answer_too_large"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the answer would hold more than {limit} numbers or labels; ask about fewer rows at a time")


class TrainingUnderWay(PatternServerError):
    code = "training_under_way"

    def __init__(self) -> None:
        super().__init__("a training of this pattern is queued or running, and would publish it again; cancel it first")


Fault = Literal[
    "bad_body",
    "bad_label",
    "bad_layout",
    "bad_parameter",
    "bad_row",
    "bad_shape",
    "bad_type",
    "bad_value",
    "compressed",
    "duplicate_column",
    "idempotency_key_reused",
    "missing_column",
    "missing_value",
    "no_rows",
    "outside",
    "not_a_classification",
    "not_a_number",
    "unknown_column",
]


class Unprocessable(PatternServerError):
    """A request that can be read but not used; `fault` names the reason and is the code of the answer."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class NotHere(PatternServerError):
    code = "not_found"

    def __init__(self) -> None:
        super().__init__("there is nothing here")


class NotOffered(PatternServerError):
    """A part of a protocol that this server does not have."""

    code = "not_offered"


class WrongMethod(PatternServerError):
    code = "method_not_allowed"

    def __init__(self, allowed: set[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"this address answers only {self.allowed}")


class KeyMissing(PatternServerError):
    code = "key_missing"

    def __init__(self) -> None:
        super().__init__("a key is needed: Authorization: Bearer <key>")


class KeyWrong(PatternServerError):
    code = "key_wrong"

    def __init__(self) -> None:
        super().__init__("this key is not valid for this address")


class ForeignOrigin(PatternServerError):
    code = "foreign_origin"

    def __init__(self) -> None:
        super().__init__("a page from another origin may not change anything here")


class UnknownJob(PatternServerError):
    code = "unknown_job"

    def __init__(self) -> None:
        super().__init__("no such training; GET /train lists them")


class JobEnded(PatternServerError):
    code = "job_ended"

    def __init__(self, status: str) -> None:
        super().__init__(f"this training has ended already: {status}")


class QueueFull(PatternServerError):
    code = "queue_full"

    def __init__(self, limit: int) -> None:
        super().__init__(f"{limit} trainings are waiting already; try again when one has ended")


class TrainingUnavailable(PatternServerError):
    code = "training_unavailable"


class NoTrainer(PatternServerError):
    """Trainings are not done here, and nobody else does them for this server."""

    code = "no_trainer"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"nothing is trained here: {reason}; train with the full installation or image, and bring the version here "
            "by `patterns import` or POST /patterns/import; or let such a server share this one's store and database, "
            "and set PATTERNS_TRAINER to elsewhere"
        )


class NotLoaded(PatternServerError):
    code = "not_loaded"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not loaded yet; try again in a moment")


class Unloaded(PatternServerError):
    code = "unloaded"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"pattern {pattern} was unloaded; POST /v2/repository/models/{pattern}/load loads it again")


class Overloaded(PatternServerError):
    code = "overloaded"

    def __init__(self) -> None:
        super().__init__("too many requests are under way; try again in a moment")


class Draining(PatternServerError):
    code = "draining"

    def __init__(self) -> None:
        super().__init__("the server is about to stop")


class DeadlinePassed(PatternServerError):
    code = "deadline_passed"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the answer was not ready within {seconds:g} s")
