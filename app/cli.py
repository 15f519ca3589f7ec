"""`patterns`: the command line. Answers `--help` at once; what is heavy is imported by the command that needs it."""

import json
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from models_store.errors import PatternServerError

cli = typer.Typer(
    name="patterns",
    help="Train small Keras networks on patterns in numbers, and serve them: raw values in, raw values out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="print JSON instead of a table")]


def main() -> None:
    """The entry point; errors that people can mend are one line and exit code 1."""
    try:
        cli()
    except PatternServerError as error:
        err.print("[red]error:[/]", end=" ")
        err.print(str(error), markup=False, highlight=False)
        sys.exit(1)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="port to listen on")] = None,
    workers: Annotated[int | None, typer.Option(help="serving processes")] = None,
    store: Annotated[Path | None, typer.Option(help="directory of the bundles")] = None,
    database_url: Annotated[str | None, typer.Option(help="job records, such as postgresql://…")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or gpu")] = None,
    setting: Annotated[list[str] | None, typer.Option("--set", help="any other setting: --set max_rows=1000")] = None,
    train_missing: Annotated[bool, typer.Option(help="first train what the catalogue has and the store lacks")] = False,
    show_settings: Annotated[bool, typer.Option(help="print the settings with where each came from, and stop")] = False,
) -> None:
    """Serve what the store holds, and train when asked to, over HTTP."""
    # uvicorn shuts down in order and then raises the signal again, for whoever was there before it; and the first
    # process of a container hears no signal that it has not asked for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    from app.commands import serving  # deferred: pydantic and uvicorn are not needed for --help

    named = {
        "host": host,
        "port": port,
        "workers": workers,
        "store": store,
        "database_url": database_url,
        "device": device,
    }
    flags = {name: str(value) for name, value in named.items() if value is not None} | serving.assignments(
        setting or []
    )
    settings = serving.settings_from(flags)
    if show_settings:
        out.print(serving.settings_table(settings, flags))
        return
    if train_missing:
        serving.train_missing()
    serving.run(settings)


@cli.command()
def train(
    recipes: Annotated[list[str] | None, typer.Argument(help="a pattern's name, or a FILE.yaml")] = None,
    missing: Annotated[bool, typer.Option(help="every pattern of the catalogue that the store lacks")] = False,
    seed: Annotated[int | None, typer.Option(help="instead of the recipe's seed")] = None,
    epochs: Annotated[int | None, typer.Option(help="instead of the recipe's epochs")] = None,
    promote: Annotated[bool, typer.Option(help="let the new version answer from now on")] = True,
) -> None:
    """Train patterns and publish them into the store; a running server picks them up."""
    from app.commands import training  # deferred: only this command needs it

    specs = training.missing_specs() if missing else [training.spec_named(name) for name in recipes or []]
    if not specs and not missing:
        raise typer.BadParameter("name a pattern or a file, or say --missing")
    changes: dict[str, Any] = {"seed": seed} if seed is not None else {}
    changes |= {"fit": {"epochs": epochs}} if epochs is not None else {}
    failures = training.train([spec.overridden(changes) for spec in specs], promote=promote)
    raise typer.Exit(1 if failures else 0)


@cli.command(context_settings={"ignore_unknown_options": True})
def predict(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    values: Annotated[list[float], typer.Argument(help="one row: a value for each input, in order")],
    version: Annotated[int | None, typer.Option(help="a version; without it the champion answers")] = None,
) -> None:
    """Predict one row: by the running server if there is one, else from the store."""
    from app.commands import asking  # deferred: only this command needs it

    answer = asking.predict(pattern, values, version)
    out.print(", ".join(f"{name} = {value:.10g}" for name, value in answer.outputs.items()), highlight=False)
    err.print(f"[dim]{pattern} version {answer.version}, {answer.source}[/]")


@cli.command("list")
def list_patterns(as_json: AsJson = False) -> None:
    """The patterns in the store."""
    from app.commands import showing  # deferred: only this command needs it

    rows = showing.summaries()
    out.print_json(json.dumps(rows)) if as_json else out.print(showing.table(rows))


@cli.command()
def show(
    pattern: Annotated[str, typer.Argument(help="the pattern's name")],
    version: Annotated[int | None, typer.Option(help="a version; without it the champion")] = None,
    plots: Annotated[Path | None, typer.Option(help="write the plots as SVG and PNG into this directory")] = None,
    as_json: AsJson = False,
) -> None:
    """The card of a pattern: how good it is, on what, made from what."""
    from app.commands import showing  # deferred: only this command needs it

    described = showing.describe(pattern, version)
    if as_json:
        out.print_json(json.dumps(described.to_json()))
    else:
        showing.print_card(out, described)
    for path in described.write_plots(plots) if plots is not None else []:
        err.print(f"[dim]wrote {path}[/]")


@cli.command()
def rollback(pattern: Annotated[str, typer.Argument(help="the pattern's name")]) -> None:
    """Let the version before the champion answer."""
    from app.commands import showing  # deferred: only this command needs it

    version = showing.open_store().rollback(pattern)
    out.print(f"{pattern}: version {version} is the champion")


@cli.command()
def reproduce(
    patterns: Annotated[list[str] | None, typer.Argument(help="only these patterns of the catalogue")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="how many seeds, from 0")] = 5,
    as_json: AsJson = False,
) -> None:
    """Train the catalogue over several seeds, and set the authors' figures beside ours. Publishes nothing."""
    from app.commands import reproducing  # deferred: only this command needs it

    rows = reproducing.reproduce(patterns or [], seeds)
    if as_json:
        out.print_json(json.dumps([row.to_json() for row in rows]))
    else:
        out.print(reproducing.table(rows))
