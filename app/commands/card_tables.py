"""The tables of a card. Each fits into 80 columns, and no number is cut."""

from collections.abc import Sequence

import orjson
from rich.table import Table

from app.commands.wording import folding_table, number, share, value_of, words
from models_store.card import (
    LOWER_IS_BETTER,
    AnyScore,
    Baselines,
    Card,
    ClosedForm,
    Column,
    CrossValidation,
    LabelScore,
    Trial,
)
from models_store.wording import counted

WIDTH = 80
MOST_MISTAKES, MOST_COLUMNS, MOST_GAPS, MOST_TRIALS, MOST_PAIRS = 8, 40, 5, 12, 3
CALLED = {
    "mean": "training mean",
    "majority": "most frequent label",
    "linear": "linear model",
    "trees": "gradient-boosted trees",
    "network": "this network",
}
WORDS = {"rmse": "RMSE", "mae": "MAE", "r2": "R²", "accuracy": "accuracy", "log_loss": "log loss", "f1": "F1"}


def scores(card: Card) -> Table:
    of_labels = ("accuracy", "balanced", "F1", "ROC AUC", "log loss")
    of_numbers = ("RMSE", "MAE", "R²", "max error")
    table = folding_table("rows", "n", *(of_labels if isinstance(card.test.overall, LabelScore) else of_numbers))
    sets = {"train": card.train, "validation": card.validation, "test": card.test, "out of fold": card.out_of_fold}
    for name, measured in sets.items():
        if measured is not None:
            table.add_row(name, str(measured.rows), *_scored(measured.overall))
            for output, score in measured.outputs.items() if len(measured.outputs) > 1 else ():
                table.add_row(f"  {words(output)}", "", *_scored(score))
    return table


def _scored(score: AnyScore) -> tuple[str, ...]:
    if isinstance(score, LabelScore):
        shares = (score.accuracy, score.balanced_accuracy, score.f1, score.roc_auc)
        return (*map(share, shares), number(score.log_loss))
    return number(score.rmse), number(score.mae), share(score.r2), number(score.max_error)


def served(card: Card) -> str:
    """Return which network the rows of `scores` are of, where the one that is served is another."""
    refit = card.fitted.refit
    if refit is None:
        return ""
    epochs = counted(refit.epochs, "epoch", "epochs")
    said = f"served: fitted again on all {refit.rows} rows, {epochs}; train and test are before that"
    return f"{said}; out of fold is it, each row by the one member that left it out" if card.out_of_fold else said


def calibration(card: Card) -> str:
    """Return what intervals or sets stand on, and how large they are; empty where there are none."""
    found = card.calibration
    if found is None:
        return ""
    rows = f"{found.rows} {found.of}"
    if found.sizes:
        sizes = ", ".join(f"{number(size)} at {level}" for level, size in found.sizes.items())
        return f"sets of labels, calibrated on {rows}: {sizes} labels in the mean"
    widths = "; ".join(
        f"{'' if len(found.widths) == 1 else f'{words(output)} '}"
        + ", ".join(f"{number(width)} at {level}" for level, width in by_level.items())
        for output, by_level in found.widths.items()
    )
    return f"intervals, calibrated on {rows}: {widths or 'too few rows for 0.8'} wide in the mean"


def region(card: Card) -> str:
    """Return what rows are held against, inside each column's range; empty where there is nothing."""
    if card.region is None:
        return ""
    pairs = ", ".join(f"{words(first)} and {words(second)}" for first, second in card.region.pairs[:MOST_PAIRS])
    hollows = f"; hollows in {pairs}" if pairs else ""
    return f"region of the training rows, by {card.region.landmarks} landmarks{hollows}"


def confusion(output: Column, score: LabelScore) -> Table:
    """The confusion matrix where it fits, else the most frequent mistakes."""
    labels = [value_of(value) for value in output.values or []]
    counts = [[f"{count}" for count in row] for row in score.confusion]
    recall = [number(round(value, 3)) for value in score.recall]
    columns = [
        ("was \\ said", labels),
        *zip(labels, map(list, zip(*counts, strict=True)), strict=False),
        ("recall", recall),
    ]
    if not counts or _fitting(columns) < len(columns):
        return _mistakes(labels, score)
    table = folding_table(*(heading for heading, _ in columns), title="test rows", title_justify="left")
    for label, row, value in zip(labels, counts, recall, strict=True):
        table.add_row(label, *row, value)
    table.add_section()
    table.add_row("precision", *(number(round(value, 3)) for value in score.precision), "")
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _mistakes(labels: Sequence[str], score: LabelScore) -> Table:
    table = folding_table("was", "said", "test rows", title="taken for another most often", title_justify="left")
    mistakes = [
        (count, was, said)
        for was, row in enumerate(score.confusion)
        for said, count in enumerate(row)
        if count and was != said
    ]
    for count, was, said in sorted(mistakes, key=lambda mistake: -mistake[0])[:MOST_MISTAKES]:
        table.add_row(labels[was], labels[said], f"{count}")
    return table


def baselines(found: Baselines) -> Table:
    """The baselines and the network, best first."""
    table = folding_table("on the test rows", WORDS[found.metric])
    is_high_best = found.metric == "accuracy"
    for name, figure in sorted(found.figures.items(), key=lambda item: item[1], reverse=is_high_best):
        said = share(figure) if is_high_best else number(figure)
        table.add_row(CALLED.get(name, words(name)), said, style="bold" if name == "network" else None)
    return table


def columns(inputs: Sequence[Column], metric: str) -> Table:
    """The input columns. `metric` is that of answers without a value in the column."""
    table = folding_table("column", "kind", "training rows had", "missing", f"{WORDS[metric]} without it")
    table.columns[1].no_wrap = table.columns[3].no_wrap = True
    for column in inputs[:MOST_COLUMNS]:
        table.add_row(
            words(column.name),
            column.kind,
            _held(column),
            f"{column.missing or '–'}",
            share(column.if_missing) if metric == "accuracy" else number(column.if_missing),
        )
    if len(inputs) > MOST_COLUMNS:
        table.caption = f"columns that are not shown: {len(inputs) - MOST_COLUMNS}"
    return table


def _held(column: Column) -> str:
    if column.values is not None:
        shown = ", ".join(map(value_of, column.values[:6]))
        return f"{shown}, …" if len(column.values) > 6 else shown
    return f"{value_of(column.minimum)} … {value_of(column.maximum)}"


def closed_form(output: str, form: ClosedForm) -> str:
    """`formula: y = 0.5*x1**2 + 5 (exact; RMSE 0, the network's 2.95)`"""
    kind = "exact" if form.is_exact else "true but for noise"
    errors = f"RMSE {number(form.rmse)}, the network's {number(form.network_rmse)}"
    return f"formula: {words(output)} = {words(form.text)} ({kind}; {errors})"


def crossed(found: CrossValidation) -> str:
    """`cross-validated, 5 folds: accuracy 0.81 ± 0.02, log loss 0.43 ± 0.03; 37 epochs`"""
    figures = [f"{WORDS[name]} {mean:.4g} ± {found.sd[name]:.2g}" for name, mean in found.mean.items() if name in WORDS]
    return (
        f"cross-validated, {len(found.folds)} folds: {', '.join(figures)}; {counted(found.epochs, 'epoch', 'epochs')}"
    )


def trials_table(trials: list[Trial], best: int | None, metric: str) -> Table:
    """Return a line for each of the best trials, the best first, and one for the newest."""
    scored = [trial for trial in trials if trial.value is not None]
    scored.sort(key=lambda trial: trial.value or 0.0, reverse=metric != "auto" and metric not in LOWER_IS_BETTER)
    shown = folding_table("trial", "score" if metric == "auto" else metric, "epochs", "seconds", "chosen")
    for trial in [*scored[:MOST_TRIALS], *(trial for trial in trials[-1:] if trial not in scored[:MOST_TRIALS])]:
        score = trial.state if trial.value is None else number(trial.value)
        point = ", ".join(f"{_short(field)} {_chosen(value)}" for field, value in trial.point.items())
        style = "bold green" if trial.number == best else None
        facts = (str(trial.number), score, str(trial.epochs), f"{trial.seconds:.1f}", words(trial.error or point))
        shown.add_row(*facts, style=style)
    return shown


def _short(field: str) -> str:
    """Return the end of a path that says enough: `learning_rate`, and of `scaling.method` the first part."""
    *parts, last = field.split(".")
    return parts[-1] if parts and last in ("method", "name") else last


def _chosen(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return orjson.dumps(value).decode() if value is None or isinstance(value, dict) else str(value)


def gaps(card: Card) -> Table:
    """Test rows with prediction, label and gap; before these as many inputs as there is room for."""
    rows = card.gaps[:MOST_GAPS]
    gap = "lacked" if card.task == "classification" else "gap"
    several = len(card.outputs) > 1
    outputs = [
        (f"{words(column.name)}\n{heading}" if several else heading, [value_of(values[place]) for values in side])
        for place, column in enumerate(card.outputs)
        for heading, side in (
            ("predicted", [row.predicted for row in rows]),
            ("label", [row.label for row in rows]),
            (gap, [row.gap for row in rows]),
        )
    ]
    inputs = [
        (words(column.name), [value_of(row.inputs[place]) for row in rows]) for place, column in enumerate(card.inputs)
    ]
    room = _fitting([*outputs, *inputs]) - len(outputs)
    chosen = [*inputs[: max(0, room)], *outputs]
    table = folding_table(*(heading for heading, _ in chosen), title="test rows side by side", title_justify="left")
    for cells in zip(*(cells for _, cells in chosen), strict=True):
        table.add_row(*cells)
    if room < len(inputs):
        table.caption = f"inputs that are not shown: {len(inputs) - max(0, room)}"
    return table


def _fitting(columns: Sequence[tuple[str, Sequence[str]]]) -> int:
    """Return how many columns, from the first, fit beside each other; headings may be broken at spaces."""
    left = WIDTH - 1
    for place, (heading, cells) in enumerate(columns):
        left -= 3 + max(len(word) for word in [*heading.split(), *cells, ""])
        if left < 0:
            return place
    return len(columns)
