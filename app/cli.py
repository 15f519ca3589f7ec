"""`patterns`: the command line. Each command imports for itself what is heavy, so that `--help` is quick."""

import json
import logging
import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from rich.console import Console

from app.dialects.ways import Way
from models_store.errors import PatternServerError
from models_store.exports.names import ALL, BUNDLE
from models_store.tables.csv_dialect import CsvDialect
from models_store.wording import counted

if TYPE_CHECKING:
    from app.commands import predict_file
    from app.commands.datasets import Asked
    from app.jobs.promotion import AskedPromotion
    from training.recipe.promotion import When
    from training.recipe.spec import PatternSpec

cli = typer.Typer(
    name="patterns",
    help="Train small Keras networks on patterns in numbers, and serve them: raw values in, raw values out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)
TableFile = Annotated[
    Path | None, typer.Option("--csv", "--table", help="a table: FILE.csv, .csv.gz, .jsonl, .xlsx, .parquet and others")
]
Target = Annotated[list[str] | None, typer.Option(help="the column to predict; several for several numbers")]
Columns = Annotated[
    list[str] | None,
    typer.Option(help="NAME=KIND: number, category, boolean, date, time, duration, text or drop"),
]
Words = Annotated[
    list[str] | None, typer.Option("--missing-value", help="what means a missing value in this table, such as - or ?")
]
Dates = Annotated[str | None, typer.Option(help="how dates such as 03/04/2020 are meant: day-first or month-first")]
DateFormats = Annotated[
    list[str] | None,
    typer.Option("--date-format", help="NAME=FORMAT: how a column of dates or times is written, such as day=%d%m%y"),
]
Delimiter = Annotated[str | None, typer.Option(help="between fields: , ; | tab or space; else as the first line shows")]
Decimal = Annotated[str | None, typer.Option(help="in numbers: . or ,")]
Encoding = Annotated[str | None, typer.Option(help="of a CSV that is not UTF-8, such as windows-1252")]
Header = Annotated[
    bool | None, typer.Option("--header/--no-header", help="whether the first line holds the names of the columns")
]
Comment = Annotated[str | None, typer.Option(help="the beginning of lines that are no rows, such as '#'")]
SheetName = Annotated[str | None, typer.Option("--sheet", help="of a workbook (xlsx, ods) with several")]
HEADER = {True: "present", False: "absent", None: None}
Weight = Annotated[str | None, typer.Option(help="the column that says how much each row counts; no input")]
TestFile = Annotated[Path | None, typer.Option("--test", help="a table of test rows, instead of a share of the rows")]
Group = Annotated[str | None, typer.Option(help="the column of groups whose rows are never split, such as a patient")]
Time = Annotated[str | None, typer.Option(help="the column that rows are ordered by: the last ones are the test rows")]
PromoteOption = Annotated[
    Literal["always", "never", "if-better"] | None,
    typer.Option(
        help="whether the new version becomes the champion; if-better: if it is not worse on the same rows; without "
        "this option as the recipe says, else always"
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="with if-better: how much worse it may be; 0.02 is 2 % of the champion's error"),
]
OutsideOfRecipe = Annotated[
    Literal["warn", "clip", "reject", "formula"] | None,
    typer.Option(help="in the recipe: what becomes of rows outside what training saw, where a request does not say"),
]
PromotionOfRecipe = Annotated[
    Literal["always", "never", "if-better"] | None,
    typer.Option(help="in the recipe: when its versions become champion, where a request does not say"),
]
PromotionTolerance = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="with --promotion if-better: how much worse they may be; 0.02 is 2 % of the error"),
]
TaskOption = Annotated[str | None, typer.Option(help="regression or classification, instead of inferred")]
OPTION = re.compile(r"--[^\W\d]")
# By what has answered a row outside what training saw, and by what is asked of such rows of a table.
ONE_OUTSIDE = {
    None: "the answer is a guess",
    "clip": "its numbers were moved into the range of training",
    "formula": "the formula has answered",
}
JOINT = "inside each column's range, but where no training row was"
NO_GUARANTEE = "outside what training saw, an interval or a set holds the right one less often than asked"
# Of one row, and of several.
ROWS_OUTSIDE: dict[str | None, tuple[str, str]] = {
    None: (
        "row holds a category that training never saw; its answer is a guess",
        "rows hold a category that training never saw; their answers are guesses",
    ),
    "warn": (
        "row is outside what training saw; its answer is a guess",
        "rows are outside what training saw; their answers are guesses",
    ),
    "clip": (
        "row is outside what training saw; its numbers beyond a range were moved into it, or its answer is a guess",
        "rows are outside what training saw; their numbers beyond a range were moved into it, other answers are "
        "guesses",
    ),
    "formula": (
        "row is outside what training saw; the formula has answered it",
        "rows are outside what training saw; the formula has answered them",
    ),
}
# An installation that only serves lacks these.
TABLE_READERS = ("polars", "fastexcel")
NO_READER = (
    "table files are not read here: {} is not installed; run the command in the full installation (`patterns predict` "
    "asks this server from there with --url), or send the rows to POST /predict/NAME of a server"
)
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


def main() -> None:
    """The entry point. A PatternServerError, or no reader of tables, becomes one line on stderr, and exit status 1."""
    # The log lines of the store are for a server; a command prints what it has found itself.
    logging.getLogger("patterns").addHandler(logging.NullHandler())
    try:
        cli()
    except PatternServerError as error:
        _end(str(error))
    except ModuleNotFoundError as error:
        # Any other one has another cause, which must be seen.
        if error.name not in TABLE_READERS:
            raise
        _end(NO_READER.format(error.name))


def _end(said: str) -> NoReturn:
    err.print("[red]error:[/]", end=" ")
    err.print(said, markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    workers: Annotated[int | None, typer.Option(help="serving processes")] = None,
    store: Annotated[Path | None, typer.Option(help="directory of the bundles")] = None,
    database_url: Annotated[str | None, typer.Option(help="job records, such as postgresql://…")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or gpu")] = None,
    engine: Annotated[str | None, typer.Option(help="keras, or onnx: predictions without TensorFlow")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="any other setting: --set max_rows=1000")] = None,
    train_missing: Annotated[bool, typer.Option(help="first train what the catalogue has and the store lacks")] = False,
    show_settings: Annotated[bool, typer.Option(help="print the settings with where each came from, and stop")] = False,
) -> None:
    """Serve what the store holds, and train when asked to, over HTTP."""
    # The first process of a container receives no signal without a handler. This one raises nothing: C code that is
    # being imported would turn the exception into an ImportError, or drop it. While there is something to tidy up,
    # another one stands in for it.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from app.commands.serve import (  # deferred: pydantic and uvicorn are not needed for --help
        assignments,
        check_port,
        check_trainer,
        run,
        settings_from,
        settings_table,
        train_missing_patterns,
    )
    from models_store.networks import engines

    named = {
        "host": host,
        "port": port,
        "workers": workers,
        "store": store,
        "database_url": database_url,
        "device": device,
        "engine": engine,
    }
    flags = {name: str(value) for name, value in named.items() if value is not None} | assignments(setting or [])
    settings = settings_from(flags)
    if show_settings:
        out.print(settings_table(settings, flags))
        return
    engines.check(settings.engine, settings.device)
    check_trainer(settings)
    check_port(settings)
    if train_missing:
        train_missing_patterns()
    run(settings)


@cli.command()
def train(
    recipes: Annotated[list[str] | None, typer.Argument(help="a pattern's name, or a FILE.yaml")] = None,
    missing: Annotated[bool, typer.Option(help="every pattern of the catalogue that the store lacks")] = False,
    seed: Annotated[int | None, typer.Option(help="instead of the recipe's seed")] = None,
    epochs: Annotated[int | None, typer.Option(help="instead of the recipe's epochs")] = None,
    promote: PromoteOption = None,
    no_promote: Annotated[bool, typer.Option("--no-promote", help="the same as --promote never")] = False,
    tolerance: Tolerance = None,
    outside: OutsideOfRecipe = None,
    promotion: PromotionOfRecipe = None,
    promotion_tolerance: PromotionTolerance = None,
    csv: TableFile = None,
    target: Target = None,
    name: Annotated[str | None, typer.Option(help="the pattern's name; by default the file's")] = None,
    column: Columns = None,
    task: TaskOption = None,
    missing_value: Words = None,
    dates: Dates = None,
    date_format: DateFormats = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    header: Header = None,
    comment: Comment = None,
    sheet: SheetName = None,
    weight: Weight = None,
    test: TestFile = None,
    group: Group = None,
    time: Time = None,
    folds: Annotated[int | None, typer.Option(help="cross-validate with so many folds first")] = None,
) -> None:
    """Train patterns and publish them into the store; a running server picks them up."""
    from app.commands.datasets import Asked, AskedRows  # deferred: only this command needs them
    from app.commands.train import missing_specs, spec_named, train_all

    # Before a table is read, which may take long.
    changes, promoted = _of_recipe(outside, promotion, promotion_tolerance), _promotion(promote, tolerance, no_promote)
    if csv is not None:
        dialect = CsvDialect.of(delimiter, decimal, encoding, HEADER[header], comment, sheet)
        rows = AskedRows(weight, test, group, time)
        words, formats = missing_value or [], date_format or []
        asked = Asked(csv, target or [], name, column or [], task, folds, words, dates, dialect, formats, rows)
        specs = [_table_recipe(recipes or [], asked)]
    else:
        specs = missing_specs() if missing else [spec_named(name) for name in recipes or []]
    if not specs and not missing:
        raise typer.BadParameter("name a pattern or a file, give --csv and --target, or say --missing")
    changes |= {"seed": seed} if seed is not None else {}
    changes |= {"fit": {"epochs": epochs}} if epochs is not None else {}
    failures = train_all([spec.overridden(changes) for spec in specs], promoted)
    raise typer.Exit(1 if failures else 0)


def _of_recipe(outside: str | None, promotion: str | None, tolerance: float | None) -> dict[str, Any]:
    """Return what the options change in a recipe that say how its versions are served and promoted."""
    changes: dict[str, Any] = {} if outside is None else {"outside": outside}
    if tolerance is not None and promotion != "if-better":
        raise typer.BadParameter("--promotion-tolerance goes with --promotion if-better")
    if promotion is not None:
        changes["promotion"] = {"when": promotion, **({} if tolerance is None else {"tolerance": tolerance})}
    return changes


def _promotion(said: "When | None", tolerance: float | None, no_promote: bool) -> "AskedPromotion":
    from app.jobs.promotion import AskedPromotion  # deferred: pydantic, which other commands do without

    if said is not None and no_promote:
        raise typer.BadParameter(f"say --promote {said}, or --no-promote")
    if tolerance is not None and (no_promote or said in ("always", "never")):
        raise typer.BadParameter("--tolerance goes with --promote if-better")
    return AskedPromotion("never" if no_promote else said, tolerance)


def _table_recipe(recipes: list[str], asked: "Asked") -> "PatternSpec":
    from app.commands.datasets import recipe_for  # deferred: only two commands need them
    from app.commands.train import spec_named

    if len(recipes) > 1:
        raise typer.BadParameter("one recipe at most for a table")
    return recipe_for(asked, spec_named(recipes[0]) if recipes else None)


@cli.command()
def search(
    recipe: Annotated[str | None, typer.Argument(help="a pattern's name, or a FILE.yaml")] = None,
    method: Annotated[str | None, typer.Option(help="bayesian (the usual one), random, grid or hyperband")] = None,
    trials: Annotated[int | None, typer.Option(help="how many; usually 40, or all of a grid")] = None,
    seconds: Annotated[float | None, typer.Option(help="no trial begins after so long")] = None,
    space: Annotated[
        list[str] | None,
        typer.Option(help="FIELD=VALUES, such as 'network.layers=[1, 2]' or 'network.dropout={low: 0, high: 0.5}'"),
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="rmse, mae, r2, log_loss, accuracy, balanced_accuracy, f1 or roc_auc")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="score trials on so many folds, not on the validation rows")] = None,
    pruning: Annotated[str | None, typer.Option(help="ends poor trials early: median, halving or hyperband")] = None,
    seed: Annotated[int | None, typer.Option(help="draws the trials; the networks have the recipe's")] = None,
    promote: PromoteOption = None,
    no_promote: Annotated[bool, typer.Option("--no-promote", help="the same as --promote never")] = False,
    tolerance: Tolerance = None,
    outside: OutsideOfRecipe = None,
    promotion: PromotionOfRecipe = None,
    promotion_tolerance: PromotionTolerance = None,
    csv: TableFile = None,
    target: Target = None,
    name: Annotated[str | None, typer.Option(help="the pattern's name; by default the file's")] = None,
    column: Columns = None,
    task: TaskOption = None,
    missing_value: Words = None,
    dates: Dates = None,
    date_format: DateFormats = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    header: Header = None,
    comment: Comment = None,
    sheet: SheetName = None,
    weight: Weight = None,
    test: TestFile = None,
    group: Group = None,
    time: Time = None,
) -> None:
    """Try a recipe with many values of its fields, and publish the best; test rows are kept for that one."""
    from app.commands.datasets import Asked, AskedRows  # deferred: only this command needs them
    from app.commands.search import print_found, space_of
    from app.commands.search import search as find
    from app.commands.train import spec_named

    # Before a table is read, which may take long.
    changes, promoted = _of_recipe(outside, promotion, promotion_tolerance), _promotion(promote, tolerance, no_promote)
    if csv is not None:
        dialect = CsvDialect.of(delimiter, decimal, encoding, HEADER[header], comment, sheet)
        rows = AskedRows(weight, test, group, time)
        words, formats = missing_value or [], date_format or []
        asked = Asked(csv, target or [], name, column or [], task, None, words, dates, dialect, formats, rows)
        spec = _table_recipe([recipe] if recipe else [], asked)
    elif recipe is not None:
        spec = spec_named(recipe)
    else:
        raise typer.BadParameter("name a pattern or a file, or give --csv and --target")
    said: dict[str, Any] = {
        "method": method,
        "trials": trials,
        "seconds": seconds,
        "space": space_of(space) if space else None,
        "metric": metric,
        "folds": folds,
        "pruning": pruning,
        "seed": seed,
    }
    changes["search"] = {field: value for field, value in said.items() if value is not None}
    found, board = find(spec.overridden(changes), promoted)
    print_found(out, found, board)


@cli.command("cross-validate")
def cross_validate(
    recipe: Annotated[str | None, typer.Argument(help="a pattern's name, or a FILE.yaml")] = None,
    folds: Annotated[int | None, typer.Option(min=2, help="parts of the rows; 5, or the recipe's")] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="how many times, each time cut otherwise")] = None,
    csv: TableFile = None,
    target: Target = None,
    column: Columns = None,
    task: TaskOption = None,
    missing_value: Words = None,
    dates: Dates = None,
    date_format: DateFormats = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    header: Header = None,
    comment: Comment = None,
    sheet: SheetName = None,
    weight: Weight = None,
    test: TestFile = None,
    group: Group = None,
    time: Time = None,
    as_json: AsJson = False,
) -> None:
    """Score a recipe on rows held out in turn, and recommend a number of epochs. Publishes nothing."""
    from app.commands.cross_validate import fold_scores, folds_table  # deferred: only this command needs them
    from app.commands.datasets import Asked, AskedRows
    from app.commands.train import spec_named

    if csv is not None:
        dialect = CsvDialect.of(delimiter, decimal, encoding, HEADER[header], comment, sheet)
        rows = AskedRows(weight, test, group, time)
        words, formats = missing_value or [], date_format or []
        asked = Asked(csv, target or [], None, column or [], task, None, words, dates, dialect, formats, rows)
        spec = _table_recipe([recipe] if recipe else [], asked)
    elif recipe is not None:
        spec = spec_named(recipe)
    else:
        raise typer.BadParameter("name a pattern or a file, or give --csv and --target")
    said = {name: value for name, value in (("folds", folds), ("repeats", repeats)) if value is not None}
    if said or spec.cross_validate is None:
        spec = spec.overridden({"cross_validate": {"folds": 5, **said} if spec.cross_validate is None else said})
    result = fold_scores(spec)
    out.print_json(result.model_dump_json()) if as_json else out.print(folds_table(result))


def no_options(words: str | list[str] | None) -> str | list[str] | None:
    """Raise BadParameter for a value that is spelled like an option. A negative number is not."""
    for word in [words] if isinstance(words, str) else words or []:
        if OPTION.match(word):
            raise typer.BadParameter(f"there is no option {word.partition('=')[0]}; a value like it is column=value")
    return words


@cli.command(context_settings={"ignore_unknown_options": True})
def predict(
    pattern: Annotated[str, typer.Argument(help="the pattern's name", callback=no_options)],
    values: Annotated[
        list[str] | None,
        typer.Argument(help="one row: values in the order of the columns, or column=value", callback=no_options),
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="a version; without it the champion answers")] = None,
    url: Annotated[
        str | None, typer.Option(help="the server to ask; by default http://PATTERNS_HOST:PATTERNS_PORT")
    ] = None,
    csv: TableFile = None,
    out_file: Annotated[
        Path | None,
        typer.Option("--out", help="write the answers to a table here: .csv, .jsonl, .parquet, .arrow or .npy"),
    ] = None,
    probabilities: Annotated[bool, typer.Option(help="to a table: add the probability of each label")] = False,
    ignore_extra: Annotated[
        bool, typer.Option("--ignore-extra", help="of a table: ignore columns that the pattern does not know")
    ] = False,
    outside: Annotated[
        Way | None, typer.Option(help="what becomes of rows outside what training saw, if not what the recipe says")
    ] = None,
    interval: Annotated[
        float | None,
        typer.Option(metavar="LEVEL", help="of numbers: the interval that holds the right one so often, such as 0.9"),
    ] = None,
    joint: Annotated[
        bool, typer.Option("--joint", help="with --interval: the intervals of all outputs hold at once so often")
    ] = False,
    confidence: Annotated[
        float | None,
        typer.Option(metavar="LEVEL", help="of labels: the set that holds the right one so often, such as 0.9"),
    ] = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    header: Header = None,
    comment: Comment = None,
    sheet: SheetName = None,
) -> None:
    """Predict one row, or each row of a table: by the running server if there is one, else from the store."""
    if csv is not None:
        if values:
            raise typer.BadParameter("give the values of one row, or a table with --csv, not both")
        dialect = CsvDialect.of(delimiter, decimal, encoding, HEADER[header], comment, sheet)
        from app.commands.predict_file import Asked  # deferred: only this command needs them
        from app.dialects.levels import Levels

        levels = Levels.said(interval, confidence, joint)
        options = version, url, probabilities, dialect, ignore_extra, outside, levels
        _predict_table(Asked(pattern, csv, out_file, *options))
        return
    if not values:
        raise typer.BadParameter("give the values of one row, or a table with --csv FILE")
    from app.commands.predict import predict_row  # deferred: only this command needs them
    from app.commands.wording import words
    from app.dialects.levels import Levels

    answer = predict_row(pattern, values, version, url, outside or "true", Levels.said(interval, confidence, joint))
    out.print(str(answer), markup=False, highlight=False)
    if answer.outside or answer.is_joint:
        where = f"{', '.join(map(words, answer.outside))}: outside what training saw" if answer.outside else JOINT
        said = f"[yellow]warning:[/] {where}; {ONE_OUTSIDE[answer.answered]}"
        err.print(said, highlight=False, soft_wrap=True)
    if (answer.outside or answer.is_joint) and (answer.intervals or answer.sets):
        err.print(f"[yellow]warning:[/] {NO_GUARANTEE}", highlight=False, soft_wrap=True)
    if answer.filled:
        columns = ", ".join(map(words, answer.filled))
        said = f"[yellow]warning:[/] {columns}: missing, and never so in training; a usual value stands in"
        err.print(said, highlight=False, soft_wrap=True)
    source = f"{pattern} version {answer.version}, {answer.source}"
    err.print(source, style="dim", markup=False, highlight=False, soft_wrap=True)


def _predict_table(asked: "predict_file.Asked") -> None:
    from app.commands.predict_file import answer_file  # deferred: only this command needs it

    done = answer_file(asked)
    if done.outside:
        said = counted(done.outside, *ROWS_OUTSIDE[done.way])
        err.print(f"[yellow]warning:[/] {said}", highlight=False, soft_wrap=True)
    if done.outside and asked.levels.asked is not None:
        err.print(f"[yellow]warning:[/] {NO_GUARANTEE}", highlight=False, soft_wrap=True)
    if done.filled:
        said = counted(done.filled, "row lacks", "rows lack")
        said = f"{said} a value that all training rows had; a usual one stands in for it"
        err.print(f"[yellow]warning:[/] {said}", highlight=False, soft_wrap=True)
    where = "" if asked.out is None else f" written to {asked.out}"
    said = f"{counted(done.rows, 'row', 'rows')}{where}: {asked.pattern} version {done.version}, {done.source}"
    err.print(said, style="dim", markup=False, highlight=False, soft_wrap=True)


@cli.command("list")
def list_patterns(as_json: AsJson = False) -> None:
    """The patterns in the store."""
    from app.commands.show import patterns_table, summaries  # deferred: only this command needs them

    rows = summaries()
    out.print_json(json.dumps(rows)) if as_json else out.print(patterns_table(rows))


@cli.command()
def drift(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    since: Annotated[str, typer.Option(help="hour, day, or a moment such as 2026-05-31T18:00:00Z")] = "day",
    version: Annotated[int | None, typer.Option(min=1, help="a version; without it the champion")] = None,
    url: Annotated[
        str | None, typer.Option(help="the server to ask; by default http://PATTERNS_HOST:PATTERNS_PORT")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Has the world moved: what a running server was asked, beside the training rows, column by column."""
    from app.commands.drift import drift_of, print_drift  # deferred: only this command needs them

    said = drift_of(pattern, since, version, url)
    if as_json:
        out.print_json(json.dumps(said))
    else:
        print_drift(out, said)


@cli.command()
def shadow(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    since: Annotated[str, typer.Option(help="hour, day, or a moment such as 2026-05-31T18:00:00Z")] = "day",
    url: Annotated[
        str | None, typer.Option(help="the server to ask; by default http://PATTERNS_HOST:PATTERNS_PORT")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How far the answers of the version with the label shadow are from the champion's, on live questions."""
    from app.commands.shadow import print_shadow, shadow_of  # deferred: only this command needs them

    said = shadow_of(pattern, since, url)
    if as_json:
        out.print_json(json.dumps(said))
    else:
        print_shadow(out, said)


@cli.command()
def show(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    version: Annotated[int | None, typer.Option(min=1, help="a version; without it the champion")] = None,
    plots: Annotated[Path | None, typer.Option(help="write the plots as SVG and PNG into this directory")] = None,
    as_json: AsJson = False,
) -> None:
    """The card of a pattern: how good it is, on what, made from what."""
    from app.commands.show import describe, print_card  # deferred: only this command needs them

    described = describe(pattern, version)
    if as_json:
        out.print_json(json.dumps(described.to_json()))
    else:
        print_card(out, described)
    for path in described.write_plots(plots) if plots is not None else []:
        err.print(f"[dim]wrote {path}[/]")


@cli.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="NAME@VERSION, or NAME for its champion")],
    second: Annotated[str, typer.Argument(metavar="B", help="NAME@VERSION, or NAME for its champion")],
    csv: TableFile = None,
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    encoding: Encoding = None,
    header: Header = None,
    comment: Comment = None,
    sheet: SheetName = None,
    as_json: AsJson = False,
) -> None:
    """What the same rows say of two versions: their test rows, or with --csv those of a table with the target."""
    from app.commands.compare import compared, print_comparison  # deferred: only this command needs it

    found = compared(first, second, csv, CsvDialect.of(delimiter, decimal, encoding, HEADER[header], comment, sheet))
    out.print_json(found.model_dump_json()) if as_json else print_comparison(out, found)


@cli.command()
def export(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    to: Annotated[str, typer.Option(help=", ".join(ALL))],
    version: Annotated[int | None, typer.Option(min=1, help="a version; without it the champion")] = None,
    out_file: Annotated[Path | None, typer.Option("-o", "--out", help="the file; by default NAME-VERSION here")] = None,
) -> None:
    """Write a version as one file of another language or format, which answers raw values as the server does."""
    from app.commands.export import export_to, pack_to  # deferred: only this command needs it

    if to == BUNDLE:
        out.print(str(pack_to(pattern, version, out_file)), markup=False, highlight=False, soft_wrap=True)
        return
    exported, place = export_to(pattern, version, to, out_file)
    out.print(str(place), markup=False, highlight=False, soft_wrap=True)
    apart, allowed = f"{exported.difference:.2g}", f"{exported.tolerance:g}"
    said = f"tried on {counted(exported.rows, 'row', 'rows')}: answers differ by {apart} at most; {allowed} is allowed"
    err.print(said, style="dim", markup=False, highlight=False, soft_wrap=True)


@cli.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="what `patterns export --to bundle` wrote")],
    promote: Annotated[bool, typer.Option(help="let the new version answer from now on")] = True,
) -> None:
    """Take a version of another server, or of this one, as a new version, after every check of a load."""
    from app.commands.export import import_from  # deferred: only this command needs it

    pattern, version = import_from(file, promote=promote)
    said = "and answers from now on" if promote else "and answers only when it is named"
    out.print(f"{pattern}: version {version} was imported, {said}", markup=False, highlight=False)


@cli.command()
def rollback(pattern: Annotated[str, typer.Argument(help="the pattern's name")]) -> None:
    """Let the version before the champion answer."""
    from app.commands.store import open_store_to_change  # deferred: NumPy is not needed for --help

    version = open_store_to_change().rollback(pattern)
    out.print(f"{pattern}: version {version} is the champion")


@cli.command()
def promote(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    version: Annotated[int, typer.Argument(min=1, help="the version that is to answer when none is named")],
) -> None:
    """Make a version the champion; the same as `patterns label NAME champion VERSION`."""
    from app.commands.labels import set_label  # deferred: NumPy is not needed for --help
    from models_store.storage.aliases import CHAMPION

    set_label(pattern, CHAMPION, version)
    out.print(f"{pattern}: version {version} is the champion", highlight=False)


@cli.command()
def label(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    label: Annotated[str, typer.Argument(help="champion, shadow, or a name of yours")],
    version: Annotated[int | None, typer.Argument(min=1, help="the version that it is to point at")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="take the label away; its version stays")] = False,
) -> None:
    """Point a label at a version, which requests may then name it by; `shadow` gets a copy of live questions."""
    from app.commands.labels import remove_label, set_label  # deferred: NumPy is not needed for --help

    if version is not None and remove:
        raise typer.BadParameter("--remove takes the label away, whichever version it points at: leave out the version")
    if version is None and not remove:
        raise typer.BadParameter("give the version that the label is to point at, or --remove")
    if version is None:
        remove_label(pattern, label)
        out.print(f"{pattern}: the label {label} is removed", markup=False, highlight=False)
        return
    why_idle = set_label(pattern, label, version)
    out.print(f"{pattern}: {label} is version {version}", markup=False, highlight=False)
    if why_idle is not None:
        err.print("[yellow]warning:[/]", end=" ")
        err.print(f"it is asked nothing: {why_idle}", markup=False, highlight=False, soft_wrap=True)


@cli.command()
def delete(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    version: Annotated[int | None, typer.Option(min=1, help="only this version; without it the whole pattern")] = None,
) -> None:
    """Delete a pattern with all its versions, or one version that no label points at."""
    from app.commands.store import open_store_to_change  # deferred: NumPy is not needed for --help

    store = open_store_to_change()
    store.delete(pattern, version) if version is not None else store.delete_pattern(pattern)
    out.print(f"{pattern}: {'deleted' if version is None else f'version {version} is deleted'}")


@cli.command()
def datasets(
    delete: Annotated[
        str | None, typer.Option(metavar="ID", help="delete this one; versions trained on it stay")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The tables in the store that recipes learn from."""
    from app.commands.datasets import datasets_table  # deferred: only this command needs them
    from app.commands.store import open_datasets, open_datasets_to_change

    if delete is not None:
        open_datasets_to_change().delete(delete)
    stored = open_datasets().list()
    out.print_json(json.dumps([one.to_json() for one in stored])) if as_json else out.print(datasets_table(stored))


@cli.command()
def reproduce(
    patterns: Annotated[list[str] | None, typer.Argument(help="only these patterns, and what improves on them")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="how many seeds, from 0")] = 5,
    as_json: AsJson = False,
) -> None:
    """Train the catalogue over several seeds, and set the authors' figures beside ours. Publishes nothing.

    Below each of the authors' formulas stands a recipe that improves on it, with how many times smaller its error is.
    """
    from app.commands.reproduce import figures_table, reproduced  # deferred: only this command needs them

    rows = reproduced(patterns or [], seeds)
    if as_json:
        out.print_json(json.dumps([row.to_json() for row in rows]))
    else:
        out.print(figures_table(rows))
