"""What becomes of rows outside what training saw: they are named, clipped, refused, or answered by the formula."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from app.answering.answer import RowsOutside
from app.dialects.asked import AskedRows
from app.dialects.levels import WORK
from app.dialects.ways import TO_ASK, TO_ASK_ELSEWHERE, Said, Way, settled
from app.errors import Unprocessable
from app.responses import Response
from models_store.arrays import Array
from models_store.bundle import Bundle, all_finite
from models_store.card import Column
from models_store.tables.table import Raw, Table, Values, are_missing, take
from models_store.wording import counted, shortened
from training.recipe.formula import Formula

Asked = TypeVar("Asked", bound=AskedRows)


def way_of(said: Said | None, bundle: Bundle, *, is_sure: bool = False) -> Way | None:
    """Return what becomes of rows outside: as a request says, else as the recipe does; None: they are like others.

    `is_sure` where answers are to have intervals or sets: rows outside are then named at least. Raises as `check_way`
    does, for what the request says.
    """
    if said is not None and said != "true" and said != "false":
        check_way(bundle, said, is_sure=is_sure)
        return said
    own = None if said == "false" else bundle.card.outside
    if own == "formula" and not has_formulas(bundle):
        own = "warn"
    found = settled(own, is_sure=is_sure)
    return "warn" if found is None and said == "true" else found


def check_way(bundle: Bundle, way: Way, *, is_sure: bool = False) -> None:
    """Raise Unprocessable where rows outside are to be answered by a formula, and an output has none.

    `is_sure` where answers are to have intervals, which a formula has none of.
    """
    if way == "formula" and is_sure:
        raise Unprocessable(
            "bad_parameter",
            "outside: an interval is around the network's answer, not the formula's; ask without one, or with "
            "outside=warn, clip or reject",
        )
    if way == "formula" and not has_formulas(bundle):
        raise Unprocessable(
            "bad_parameter",
            "outside: this version has no formula for each of its outputs; warn, clip and reject need none",
        )


def has_formulas(bundle: Bundle) -> bool:
    return set(bundle.card.closed_forms) == set(bundle.outputs)


def treated(bundle: Bundle, way: Way, question: Asked, to_ask: str = TO_ASK, *, is_sure: bool = False) -> Asked:
    """Return the question with the rows outside named, and clipped for the network if that is the way.

    Rows that the formula answers are clipped for the network as well: it is asked beside the formula, and a value may
    be too large for it. Raises RowsOutside where rows are to be refused, with the first of them, and with the words
    of `to_ask` before the ways that are not `reject`; a formula is none of them where answers are to be sure.
    """
    named = bundle.outside(question.rows)
    if named and way == "reject":
        rows = take(question.rows, [row["row"] for row in named])
        raise RowsOutside(_refusal(bundle, named, to_ask, is_sure=is_sure), rows)
    unanswered = _with_missing(question.rows) if way == "formula" else frozenset()
    named = [row if row["row"] in unanswered else {**row, **_answered(bundle, way, row)} for row in named]
    question = replace(question, outside=named)
    moved = [row["row"] for row in named if way == "clip" or row.get("answered") == "formula"]
    if moved:
        return replace(question, rows=clipped(bundle, question.rows, moved), unclipped=question.rows)
    return question


def _answered(bundle: Bundle, way: Way, row: dict[str, Any]) -> dict[str, str]:
    """Return what is said beside a row outside: who answered it, if it was answered otherwise than others."""
    is_clipped = any(_is_clipped(column) for column in bundle.card.inputs if column.name in row["columns"])
    return {"answered": way} if way == "formula" or (way == "clip" and is_clipped) else {}


def _with_missing(raw: Raw) -> frozenset[int]:
    """Return the rows with a missing value, which a formula has no answer to, and the network has."""
    if not isinstance(raw, Table):
        return frozenset()
    missing = np.any([are_missing(values) for values in raw.columns.values()], axis=0)
    return frozenset(np.flatnonzero(missing).tolist())


def answered(bundle: Bundle, way: Way | None, question: Asked, *, is_sure: bool = False) -> tuple[Asked, Array]:
    """Return the question, its rows outside treated, and the answers; where `way` is None, none is treated.

    Raises what `treated` and a prediction raise.
    """
    if way is not None:
        question = treated(bundle, way, question, is_sure=is_sure)
    return question, by_way(bundle, way, question, bundle.predict(question.rows))


def by_way(bundle: Bundle, way: Way | None, question: AskedRows, answers: Array) -> Array:
    """Return the answers, those of the rows outside by the formula if that is the way."""
    return (
        by_formula(bundle, question.asked, question.outside, answers)
        if question.outside and way == "formula"
        else answers
    )


def by_recipe(
    bundle: Bundle,
    cost: int,
    read: Callable[[], Asked],
    write: Callable[[Asked, Array], Response],
    *,
    is_sure: bool = False,
) -> tuple[int, Callable[[], Asked], Callable[[Asked, Array], Response]]:
    """Return what it costs to read a question, what reads it and what writes its answer, as the recipe treats its rows.

    For protocols whose requests say nothing of them. `is_sure` as of `way_of`, where it is known before it is read.
    """
    if bundle.card.outside is None:
        return cost, read, write
    # Only `formula` becomes another way where answers are to be sure, which some questions say inside.
    read = partial(_read_by_recipe, bundle, read, is_sure)
    return cost * WORK, read, partial(_written_by_recipe, bundle, write, is_sure)


def _read_by_recipe(bundle: Bundle, read: Callable[[], Asked], is_sure: bool) -> Asked:
    question = read()
    is_sure = is_sure or question.is_sure
    way = way_of(None, bundle, is_sure=is_sure)
    to_ask = TO_ASK_ELSEWHERE.format(bundle.pattern)
    return question if way is None else treated(bundle, way, question, to_ask, is_sure=is_sure)


def _written_by_recipe(
    bundle: Bundle, write: Callable[[Asked, Array], Response], is_sure: bool, question: Asked, answers: Array
) -> Response:
    way = way_of(None, bundle, is_sure=is_sure or question.is_sure)
    return write(question, by_way(bundle, way, question, answers))


def _refusal(bundle: Bundle, named: list[dict[str, Any]], to_ask: str, *, is_sure: bool) -> str:
    first, others = named[0], len(named) - 1
    more = f", and {counted(others, 'more row is', 'more rows are')}" if others else ""
    ways = "warn, clip or formula" if has_formulas(bundle) and not is_sure else "warn or clip"
    if first.get("joint"):
        where = "is inside each column's range, but where no training row was"
        more += " outside what training saw" if others else ""
    else:
        where = f"is outside what training saw in {shortened(first['columns'])}"
    facts = "the card has the ranges; " if first["columns"] else ""
    return f"row {first['row']} {where}{more}; {facts}leave such rows out, or {to_ask}{ways}"


def clipped(bundle: Bundle, raw: Raw, places: list[int]) -> Raw:
    """Return the rows, in those at `places` numbers beyond the range of the training rows moved to its nearer end."""
    columns = bundle.card.inputs
    if isinstance(raw, Table):
        return Table({column.name: _clipped(raw.columns[column.name], column, places) for column in columns})
    return np.stack([_clipped(values, column, places) for values, column in zip(raw.T, columns, strict=True)], axis=1)


def _clipped(values: Values, column: Column, places: list[int]) -> Any:
    if not _is_clipped(column):
        return values
    values = values.copy()
    values[places] = np.clip(values[places], column.minimum, column.maximum)
    return values


def _is_clipped(column: Column) -> bool:
    return column.kind == "number" and isinstance(column.minimum, float) and isinstance(column.maximum, float)


def by_formula(bundle: Bundle, raw: Raw, named: list[dict[str, Any]], answers: Array) -> Array:
    """Return the answers, those of the rows outside by the formula; float64 (n_rows, n_outputs).

    Rows that are not named as answered by it keep theirs. Raises NotFinite where the formula has no value.
    """
    places = [row["row"] for row in named if row.get("answered") == "formula"]
    rows = take(raw, places)
    columns = dict(zip(bundle.inputs, rows.T, strict=True)) if not isinstance(rows, Table) else rows.columns
    answers = answers.copy()
    for place, output in enumerate(bundle.outputs):
        form = bundle.card.closed_forms[output]
        named_so = {column: name for name, column in form.columns.items()}
        inputs = {named_so.get(name, name): np.asarray(values, float) for name, values in columns.items()}
        answers[places, place] = Formula.parse(form.text, inputs)(inputs)
    return all_finite(answers, "the formula has no finite value there")
