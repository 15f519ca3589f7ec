"""Whether a new version is to be promoted: it and the champion answer the same rows, which neither has learned from.

same test rows   -> the answers of both measured networks, as their versions keep them
other test rows  -> those that the champion has never seen -> its served network, and the new version's measured one
paired bootstrap -> not worse by more than the tolerance, at 95 % -> promoted
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.card import FEWEST_DRAWN, Difference, Promotion, PromotionOutcome, TestRows
from models_store.comparison.versions import WORDS, Answered, check_alike, figure, paired
from models_store.errors import ChampionMoved, NoGoodVersion, NotComparable, PatternServerError, UnknownPattern
from models_store.storage.store import Store
from models_store.tables.table import Table, Values
from models_store.wording import shortened, shortened_name
from training.data.dataset import Dataset, Rows, joined
from training.data.subsample import Indices
from training.data.tables import ReadTable
from training.evaluation.report import DIGITS, evaluated
from training.recipe.spec import PatternSpec
from training.run import dataset_of

PROMOTED: frozenset[PromotionOutcome] = frozenset({"no_champion", "better", "not_worse"})
WAY_OUT = "make it the champion yourself if you want it to answer (PUT labels/champion)"
NEW, CHAMPION = "the new version", "the champion"
# With champions that are others by the time that the new version is to be published.
MOST_COMPARISONS = 5


class Undecided(PatternServerError):
    """The two cannot be compared, or their rows tell too little."""

    def __init__(self, outcome: PromotionOutcome, message: str, left_out: int = 0) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.left_out = left_out


def published_if_better(
    bundle: Bundle,
    store: Store,
    read_table: ReadTable,
    tolerance: float,
    publish: Callable[[Promotion], int],
    comparisons: int = 0,
) -> int:
    """Compare the bundle with the champion of this store, have it published with the decision, and return its version.

    `publish` raises ChampionMoved where the champion is another one by then, and the two are compared again.
    `comparisons`: how many went before.
    """
    for _ in range(comparisons, MOST_COMPARISONS):
        with suppress(ChampionMoved):
            return publish(judged(bundle, store, read_table, tolerance))
    return publish(_overtaken(tolerance))


def judged(bundle: Bundle, store: Store, read_table: ReadTable, tolerance: float) -> Promotion:
    """Return whether the bundle is to be promoted in this store; `tolerance` is a share of the champion's figure.

    What keeps the two from being compared is an outcome, and does not raise.
    """
    version = None
    try:
        version = store.champion(bundle.pattern)
        champion = _loaded(store, bundle.pattern, version)
        answered, rows_of, left_out = _answered(bundle, champion, read_table)
        return _decided(answered, rows_of, left_out, version, tolerance)
    except (UnknownPattern, NoGoodVersion):
        why = "Promoted: there was no champion that it had to be compared with."
        return Promotion(champion=None, promoted=True, outcome="no_champion", why=why, tolerance=tolerance)
    except Undecided as error:
        return Promotion(
            champion=version,
            promoted=False,
            outcome=error.outcome,
            why=f"Not promoted: {error}.",
            tolerance=tolerance,
            left_out=error.left_out,
        )


def _overtaken(tolerance: float) -> Promotion:
    """Return that a version is not promoted, because the champion was another one after each comparison."""
    why = f"Not promoted: the champion was replaced during each of {MOST_COMPARISONS} comparisons; {WAY_OUT}."
    return Promotion(champion=None, promoted=False, outcome="champion_moved", why=why, tolerance=tolerance)


def _loaded(store: Store, pattern: str, version: int) -> Bundle:
    """Raises Undecided where the champion cannot be read."""
    try:
        return store.load(pattern, version).bundle
    except PatternServerError as error:
        words = f"version {version}, the champion, cannot be read ({error}); {WAY_OUT}"
        raise Undecided("champion_unreadable", words) from None


# -- the rows ------------------------------------------------------------------------------------------------------


def _answered(bundle: Bundle, champion: Bundle, read_table: ReadTable) -> tuple[Answered, TestRows, int]:
    """Return rows with the answers of both, and the number of test rows that the champion had learned from."""
    described = {NEW: bundle.description, CHAMPION: champion.description}
    try:
        check_alike(described)
    except NotComparable as error:
        raise Undecided("not_comparable", f"{error}; {WAY_OUT}") from None
    try:
        answered = Answered.in_test(described)
    except NotComparable:
        return _of_new_rows(bundle, champion, read_table)
    both = {name: answered.answers[name] for name in described}
    return replace(answered, answers=both), "test rows of both", 0


def _of_new_rows(bundle: Bundle, champion: Bundle, read_table: ReadTable) -> tuple[Answered, TestRows, int]:
    """Raises Undecided where there are no rows that the champion has not learned from, or it cannot answer them."""
    data = _data_of(bundle, read_table)
    _check_inputs(data, champion)
    test = _asked(data, data.test.take(_kept_rows(bundle, data)), champion)
    kept = len(test)
    learned = _learned_by(champion, read_table)
    # The new version's own rows as well: a table may hold a row twice.
    untouched = ~(_are_among(test, learned) | _are_among(test, _asked(data, data.fitted, champion)))
    left_out = kept - int(untouched.sum())
    if not untouched.any():
        raise Undecided(
            "no_untouched_rows",
            f"all {kept:,} test rows are among those that one of both has learned from; keep the split of the "
            "champion, train on a table with new rows, or name a table of test rows (data.test)",
            left_out,
        )
    rows = test.take(untouched)
    answers = {NEW: np.array(bundle.evaluation.predicted)[untouched], CHAMPION: _answers(champion, rows)}
    groups = None if rows.groups is None else rows.groups.astype(np.float64)
    are_labels = data.labels is not None
    return Answered(rows.targets, answers, are_labels, "new test rows", rows.weights, groups), "new test rows", left_out


def _kept_rows(bundle: Bundle, data: Dataset) -> Indices:
    return evaluated(PatternSpec.parse(bundle.recipe), len(data.test), len(bundle.evaluation.predicted[0]))


def _data_of(bundle: Bundle, read_table: ReadTable) -> Dataset:
    return dataset_of(PatternSpec.parse(bundle.recipe), read_table)


def _check_inputs(data: Dataset, champion: Bundle) -> None:
    """Raise Undecided where the new rows lack an input of the champion, or have another kind of it."""
    are_tables = [isinstance(raw, Table) for raw in (data.test.inputs, champion.golden_inputs)]
    if are_tables[0] != are_tables[1]:
        words = f"one of both has learned from a table, and the other from a formula; {WAY_OUT}"
        raise Undecided("not_comparable", words)
    lacking = [name for name, kind in champion.kinds.items() if data.kinds.get(name) != kind]
    if lacking:
        named = shortened(map(shortened_name, lacking), 5)
        raise Undecided(
            "not_comparable",
            f"the champion asks for {len(lacking)} column(s) that the new rows lack, or have as another kind: {named}; "
            f"{WAY_OUT}",
        )


def _asked(data: Dataset, rows: Rows, champion: Bundle) -> Rows:
    """Return the rows with the champion's inputs alone, in its order."""
    if isinstance(rows.inputs, Table):
        return replace(rows, inputs=Table({name: rows.inputs.columns[name] for name in champion.inputs}))
    return replace(rows, inputs=rows.inputs[:, [data.inputs.index(name) for name in champion.inputs]])


def _learned_by(champion: Bundle, read_table: ReadTable) -> Rows:
    """Return the rows that the champion's served network has learned from, or was chosen by.

    Raises Undecided where they are not known any more.
    """
    try:
        data = _data_of(champion, read_table)
    except PatternServerError as error:
        words = f"which rows the champion has learned from is not known any more ({error}); {WAY_OUT}"
        raise Undecided("rows_unknown", words) from None
    crossed = champion.card.cross_validation is not None
    then = replace(data, train=data.fitted, validation=None) if crossed else data
    if then.sha256() != champion.card.lineage.data_sha256:
        words = "the rows that the champion's recipe names are no longer those that it has learned from"
        raise Undecided("rows_unknown", f"{words}; {WAY_OUT}")
    rows = data.fitted if champion.card.fitted.refit is None else joined(data.fitted, data.test)
    return _asked(data, rows, champion)


def _are_among(rows: Rows, known: Rows) -> NDArray[np.bool_]:
    """Return which rows are equal to one that is known, in inputs and targets, (n_rows,)."""
    return np.isin(_hashes(rows), _hashes(known))


def _hashes(rows: Rows) -> NDArray[np.uint64]:
    """Return a hash of each row's content, (n_rows,): equal rows have the same one, a missing value is one as well."""
    inputs = [*rows.inputs.columns.values()] if isinstance(rows.inputs, Table) else [*rows.inputs.T]
    columns = {str(place): _column(values) for place, values in enumerate([*inputs, *rows.targets.T])}
    return pl.DataFrame(columns).hash_rows(seed=0).to_numpy()


def _column(values: Values) -> pl.Series:
    return pl.Series(values.tolist(), dtype=pl.String) if values.dtype == object else pl.Series(values)


def _answers(champion: Bundle, rows: Rows) -> Array:
    """Return the champion's answers, rounded as those of the new version are. Raises Undecided where it has none."""
    try:
        answers = champion.predict(rows.inputs)
    except PatternServerError as error:
        raise Undecided("not_comparable", f"the champion cannot answer the new test rows: {error}; {WAY_OUT}") from None
    return answers.round(DIGITS) if champion.labels is not None else answers


# -- the decision --------------------------------------------------------------------------------------------------


def _decided(answered: Answered, rows_of: TestRows, left_out: int, version: int, tolerance: float) -> Promotion:
    # Resampled as whoever compares the two later does, so that the intervals are the same.
    first, second, *_ = answered.answers
    pairs = paired(answered, first, second)
    by = {metric: pair.difference for metric, pair in pairs.items()}
    decides, *_ = by.values()
    ratio = pairs[decides.metric].ratio if tolerance else None
    outcome = outcome_of(decides, tolerance, ratio)
    return Promotion(
        champion=version,
        promoted=outcome in PROMOTED,
        outcome=outcome,
        why=_why(decides, outcome, version, tolerance, rows_of, ratio),
        tolerance=tolerance,
        rows_of=rows_of,
        left_out=left_out,
        by=by,
        ratio=ratio,
    )


def outcome_of(found: Difference, tolerance: float, ratio: tuple[float, float] | None = None) -> PromotionOutcome:
    """Return what a difference in an error, the new version's less the champion's, comes to.

    With a confidence of 95 %, the error is no more than `high` above the champion's, and no less than `low`; it is no
    more than `ratio` times the champion's, which matters where there is a tolerance: how large the champion's error is
    in truth is no surer than the difference.
    """
    allowed = tolerance * abs(found.second)
    low, high = (found.low - allowed, found.high - allowed) if ratio is None else [end - 1 - tolerance for end in ratio]
    if found.drawn < FEWEST_DRAWN:
        return "too_few_rows"
    if found.better == "first":
        return "better"
    if high <= 0:
        return "not_worse"
    return "worse" if low > 0 else "not_sure"


def _why(
    found: Difference,
    outcome: PromotionOutcome,
    version: int,
    tolerance: float,
    rows_of: TestRows,
    ratio: tuple[float, float] | None,
) -> str:
    bound = f" by more than {tolerance * 100:.3g} % of its {WORDS[found.metric]}" if tolerance else ""
    verdicts: dict[PromotionOutcome, str] = {
        "better": f"Promoted: it is better than version {version}",
        "not_worse": f"Promoted: it is not worse than version {version}{bound}",
        "worse": f"Not promoted: it is worse than version {version}{bound}",
        "not_sure": f"Not promoted: it may be worse than version {version}{bound}",
        "too_few_rows": f"Not promoted: too few rows tell it from version {version}, {FEWEST_DRAWN} are the fewest",
    }
    figures = f"{WORDS[found.metric]} {figure(found.first)} against {figure(found.second)}"
    interval = f"difference {figure(found.difference)}, 95 %: {figure(found.low)} to {figure(found.high)}"
    times = "" if ratio is None else f"; {figure(ratio[0])} to {figure(ratio[1])} times the champion's"
    return f"{verdicts[outcome]}; {figures} on {found.rows:,} {rows_of} ({interval}{times})."
