"""Rows whose right answers are known by now: read from a body, and how far the answers to them are off.

JSON     {"inputs": as a question has them, "outcomes": as its answer would have "outputs"}
others   a table with the columns of the question and those of the answer

Where the request that asked about them is named in their place, its answers are remembered:

JSON     {"request_id": of the answer's header, "outcomes": as the answer had "outputs"}
any      ?request_id=, and the outcomes alone
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from app.errors import NotAcceptedType, Unprocessable
from app.formats import json_rows
from app.formats.expected import Expected, ExpectedColumn
from app.formats.format import Format
from app.formats.found import kind_of
from app.formats.json_rows import check_finite, raw_of, rows_of
from app.formats.media_types import JSON, media_type_of
from app.formats.tables import TABLES
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.card import AnyScore, LabelScore
from models_store.encoding.outputs import LabelDecoder
from models_store.tables.table import Kind, Raw, Table
from models_store.wording import counted

# Rows with a right answer that a verdict needs.
ENOUGH_OUTCOMES = 100
# An error is worse where it is beyond that of the test rows by more than chance: standard errors of the difference of
# the mean losses, and a share of the test rows' error, below which a difference is of no interest.
STANDARD_ERRORS, LEAST_SHARE = 3.0, 0.05
# Before the sums of each output.
ROWS, LOSS, SQUARES, N_SUMS = 0, 1, 2, 3
# What a body in JSON may have.
MEANT = {
    "inputs": 'the rows that were asked, or "request_id" in their place',
    "request_id": "x-request-id of the answer to them",
    "outcomes": "what is right for each row",
}
KINDS: dict[str, Kind] = {"text": "text", "number": "number", "boolean": "boolean"}


class Outcomes(NamedTuple):
    """Raw rows, and their right answers: numbers float64 (n_rows, n_outputs), or the numbers of labels (n_rows, 1).

    A label that the version does not know is -1.
    """

    rows: Raw
    right: Array


def read(body: bytes, content_type: str, expected: Expected, bundle: Bundle, max_rows: int) -> Outcomes:
    """Read a body. Raises Malformed, NotAcceptedType, TooManyRows, or Unprocessable, which names row and column."""
    media_type = media_type_of(content_type)
    if media_type == JSON:
        return _of_json(body, expected, bundle, max_rows)
    found = _table_of(media_type)
    both = replace(
        expected,
        names=(*expected.names, *bundle.outputs),
        typed=(*expected.typed, *_right(bundle).typed) if expected.typed else (),
        ignored=expected.ignored - {*bundle.outputs},
    )
    read = found.read(body, both, max_rows).rows
    check_finite(read, both)
    if isinstance(read, Table):
        columns = read.columns
        return Outcomes(
            Table({name: columns[name] for name in expected.names}),
            _right_answers(Table({name: columns[name] for name in bundle.outputs}), bundle),
        )
    n_inputs = len(expected.names)
    return Outcomes(read[:, :n_inputs], read[:, n_inputs:])


def read_right(
    body: bytes, content_type: str, bundle: Bundle, max_rows: int, *, ignores_extra: bool, is_named_there: bool
) -> Array:
    """Read a body of right answers alone, as `Outcomes` have them; `is_named_there` if it names the request, too.

    `ignores_extra` if it may have other columns. Raises as `read` does.
    """
    media_type, right = media_type_of(content_type), replace(_right(bundle), ignores_extra=ignores_extra)
    if media_type != JSON:
        return _right_answers(check_finite(_table_of(media_type).read(body, right, max_rows).rows, right), bundle)
    document = json_rows.loads(body, right, max_rows)
    _check_keys(document, ("request_id", "outcomes") if is_named_there else ("outcomes",))
    rows = rows_of(document["outcomes"], right, max_rows)[1]
    return _right_answers(raw_of(rows, right), bundle)


def request_named(body: bytes, content_type: str, expected: Expected, bundle: Bundle, max_rows: int) -> Any:
    """Return what a body in JSON has as its `request_id`; None if it has none. Raises Malformed and TooManyRows."""
    if media_type_of(content_type) != JSON or b'"request_id"' not in body:
        return None
    document = _loads(body, expected, bundle, max_rows)
    return document.get("request_id") if isinstance(document, dict) else None


def _table_of(media_type: str) -> Format:
    if media_type not in TABLES:
        raise NotAcceptedType(f"the content type must be {JSON}, {', '.join(TABLES)}; the body is not guessed at")
    return TABLES[media_type]


def _of_json(body: bytes, expected: Expected, bundle: Bundle, max_rows: int) -> Outcomes:
    right = replace(_right(bundle), ignores_extra=expected.ignores_extra)
    document = _loads(body, expected, bundle, max_rows)
    _check_keys(document, ("inputs", "outcomes"))
    rows, said = (rows_of(document[key], of, max_rows)[1] for key, of in (("inputs", expected), ("outcomes", right)))
    if len(rows) != len(said):
        raise Unprocessable(
            "bad_layout", f"inputs has {counted(len(rows), 'row', 'rows')}, and outcomes {len(said)}; expected as many"
        )
    return Outcomes(raw_of(rows, expected), _right_answers(raw_of(said, right), bundle))


def _loads(body: bytes, expected: Expected, bundle: Bundle, max_rows: int) -> Any:
    """Return the document, which may have both questions and answers."""
    room = replace(expected, names=(*expected.names, *bundle.outputs))
    return json_rows.loads(body, room, max_rows, brackets_a_row=2)


def _check_keys(document: Any, keys: tuple[str, ...]) -> None:
    if not isinstance(document, dict) or {*document} != {*keys}:
        expected = " and ".join(f'"{key}" ({MEANT[key]})' for key in keys)
        raise Unprocessable("bad_body", f"the body must be an object of {expected}; found {_instead(document, keys)}")


def _instead(document: Any, keys: tuple[str, ...]) -> str:
    if not isinstance(document, dict):
        return kind_of(document)
    lacking = [f'no "{key}"' for key in keys if key not in document]
    return " and ".join(lacking) or "other keys as well"


def _right(bundle: Bundle) -> Expected:
    """Return the columns of right answers as a question would have them."""
    decoder = bundle.predictor.decoder
    kind = KINDS[decoder.kind] if isinstance(decoder, LabelDecoder) else "number"
    columns = tuple(ExpectedColumn(name, kind, takes_missing=False) for name in bundle.outputs)
    return Expected(bundle.outputs, columns if isinstance(bundle.golden_inputs, Table) else ())


def _right_answers(said: Raw, bundle: Bundle) -> Array:
    decoder = bundle.predictor.decoder
    if not isinstance(said, Table):
        return said
    if not isinstance(decoder, LabelDecoder):
        return np.stack([said.columns[name].astype(np.float64) for name in bundle.outputs], axis=1)
    cells = said.columns[decoder.column].tolist()
    match decoder.kind:
        case "number":
            numbers = {float(label): place for place, label in enumerate(decoder.labels)}
            places = [numbers.get(cell, -1) for cell in cells]
        case "boolean":
            places = [decoder.labels.index("true" if cell else "false") for cell in cells]
        case "text":
            texts = {label: place for place, label in enumerate(decoder.labels)}
            places = [texts.get(cell.strip(), -1) for cell in cells]
    return np.array(places, dtype=np.float64).reshape(-1, 1)


# -- errors ------------------------------------------------------------------------------------------------------------


def said_of(answers: Array, bundle: Bundle) -> Array:
    """Return what outcomes are held against: numbers as they are, or the places of the most probable labels.

    `answers` are the network's, float64 (n_rows, n_answers); returned are float64 (n_rows, n_outputs).
    """
    if bundle.labels is None:
        return answers
    places: Array = answers.argmax(axis=1).astype(np.float64)[:, None]
    return places


def check_fits(said: Array, right: Array) -> None:
    """Raise Unprocessable where right answers to a request are not as many as its answers."""
    if said.shape != right.shape:
        found, expected = (f"{counted(len(each), 'row', 'rows')} of {each.shape[1]}" for each in (right, said))
        raise Unprocessable("bad_layout", f"outcomes: found {found}, and this request was answered {expected}")


def sums_of(said: Array, right: Array, bundle: Bundle) -> Array:
    """Return what is added up over rows: their number, their losses, the squares of these, then those of each output.

    The loss of a row is the mean squared error of its outputs, or 1 where the most probable label is wrong. `said` as
    `said_of` has it, float64 (n_rows, n_outputs); float64 (3 + n_outputs,).
    Raises Unprocessable where no float64 holds one of them.
    """
    with np.errstate(over="ignore"):
        losses = _losses(said, right, bundle)
        rows = losses.mean(axis=1)
        sums = np.array([len(rows), rows.sum(), (rows**2).sum(), *losses.sum(axis=0)])
    if not np.isfinite(sums).all():
        raise Unprocessable(
            "not_a_number", "outcomes: a number is so far from its answer that no float64 holds its square"
        )
    return sums


def _losses(said: Array, right: Array, bundle: Bundle) -> Array:
    """Return the loss of each row and output, float64 (n_rows, n_outputs)."""
    losses: Array = np.not_equal(said, right).astype(np.float64) if bundle.labels is not None else (said - right) ** 2
    return losses


@dataclass(frozen=True, eq=False)
class RunningError:
    """The error of the answers to rows whose right answers are known, beside that of the card's test rows."""

    bundle: Bundle
    sums: Array
    """What `sums_of` makes of them."""

    @property
    def rows(self) -> int:
        return int(self.sums[ROWS])

    @property
    def metric(self) -> str:
        return "rmse" if self.bundle.labels is None else "accuracy"

    @property
    def value(self) -> float | None:
        return self._of(self.sums[LOSS]) if self.rows else None

    @property
    def card(self) -> float:
        return _figure(self.bundle.card.test.overall)

    @property
    def is_worse(self) -> bool | None:
        """None where there are too few rows for a verdict."""
        if self.rows < ENOUGH_OUTCOMES:
            return None
        evaluation = self.bundle.evaluation
        said = said_of(np.array(evaluation.predicted), self.bundle)
        tested = _losses(said, np.array(evaluation.labels), self.bundle).mean(axis=1)
        mean = self.sums[LOSS] / self.rows
        variance = max(0.0, self.sums[SQUARES] / self.rows - mean**2)
        chance = STANDARD_ERRORS * np.sqrt(variance / self.rows + tested.var() / len(tested))
        return bool(mean - tested.mean() > max(chance, LEAST_SHARE * tested.mean()))

    def _of(self, loss: float) -> float:
        mean = float(loss) / self.rows
        return mean**0.5 if self.bundle.labels is None else 1.0 - mean

    def to_json(self) -> dict[str, Any]:
        outputs = {
            name: {"value": self._of(loss) if self.rows else None, "card": _figure(self.bundle.card.test.outputs[name])}
            for name, loss in zip(self.bundle.outputs, self.sums[N_SUMS:], strict=True)
        }
        return {
            "rows": self.rows,
            "rows_needed": ENOUGH_OUTCOMES,
            "metric": self.metric,
            "value": self.value,
            "card": self.card,
            "worse": self.is_worse,
            "outputs": outputs,
        }


def _figure(score: AnyScore) -> float:
    return score.accuracy if isinstance(score, LabelScore) else score.rmse
