"""`python -m benchmarks.accuracy`: how well ours learns beside the best untuned learners of tables.

    --peers all                      makes the environments of HGB, LightGBM, XGBoost, CatBoost, RealMLP-TD and TabM
    --tables DIR --targets FILE      CSV files of a folder; the targets file names the column of each to predict
    --csv FILE --target COLUMN       one file
    --only iris,diabetes             tables that need no file; by default all of them, where no file is given
    --json FILE                      keeps the figures; what stands there already is not measured again

The report is Markdown.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import machine
from benchmarks.accuracy import contenders, plot, report, tables, targets
from benchmarks.accuracy.contenders import OURS, Failed, Run
from benchmarks.accuracy.folds import MOST_ROWS_IN_FOLDS, Fold, folds
from benchmarks.accuracy.peers import PEERS
from benchmarks.accuracy.tables import NAMED, NotComparable, Table
from benchmarks.accuracy.targets import Target, TargetsError
from benchmarks.contenders import available_engines, ours
from benchmarks.servers import Server, running

Figures = dict[str, Any]
Source = Callable[[], Table]
DEFAULT_PATIENCE_SECONDS = 7200


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)  # the server and the peers end as well
    arguments = parsed()
    figures = started(arguments.json)
    figures["absent"] = contenders.make(arguments.peers)
    peers = [name for name in arguments.peers or contenders.available() if name not in figures["absent"]]
    figures["absent"] |= {name: "make it by --peers" for name in PEERS if name not in (*peers, *figures["absent"])}
    measure(arguments, peers, figures)
    print(report.text(figures))
    if arguments.plot:
        plot.draw(figures, arguments.plot)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", type=_listed(PEERS), default=[], metavar="A,B", help="default: those installed")
    parser.add_argument("--tables", type=Path, metavar="DIR", help="the folder of the files that --targets names")
    parser.add_argument("--targets", type=Path, metavar="FILE", help="JSON, YAML or CSV: file and target column")
    parser.add_argument("--csv", type=Path, metavar="FILE")
    parser.add_argument("--target", metavar="COLUMN", help="of --csv")
    parser.add_argument("--only", type=_listed(NAMED), metavar="A,B", help=f"of {', '.join(NAMED)}")
    parser.add_argument("--seeds", type=int, help="default: 2, and 3 above 10 000 rows; with 1 it is a first look")
    parser.add_argument("--patience", type=float, default=DEFAULT_PATIENCE_SECONDS, help="seconds of a peer on a table")
    parser.add_argument("--without-ours", action="store_true", help="measure the peers alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures here, and go on from them")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the ratios, as SVG or PNG")
    arguments = parser.parse_args()
    for one, other in (("tables", "targets"), ("csv", "target")):
        if (getattr(arguments, one) is None) != (getattr(arguments, other) is None):
            parser.error(f"--{one} and --{other} need each other")
    try:
        arguments.sources = sources(arguments)
    except TargetsError as error:
        parser.error(str(error))
    return arguments


def sources(arguments: argparse.Namespace) -> dict[str, Source]:
    """Return what makes each table, by its name. Raises TargetsError."""
    files: dict[Path, Target] = {}
    if arguments.tables is not None:
        files |= targets.files_in(arguments.tables, targets.read(arguments.targets))
    if arguments.csv is not None:
        files[arguments.csv] = Target(arguments.target)
    names = arguments.only or ([] if files else NAMED)
    return {name: NAMED[name] for name in names} | {
        path.stem: partial(tables.of_file, path, target) for path, target in files.items()
    }


def started(kept: Path | None) -> Figures:
    """Return the figures that are kept there, or none yet. Those of ours are dropped if they are of another commit."""
    new: Figures = {"machine": machine.described(), "tables": {}, "left_out": {}, "absent": {}}
    if kept is None or not kept.is_file():
        return new
    old: Figures = json.loads(kept.read_text())
    if old["machine"]["commit"] != new["machine"]["commit"]:
        for found in old["tables"].values():
            found["runs"].pop(OURS, None)
            found["failed"].pop(OURS, None)
    return {**old, "machine": new["machine"], "left_out": {}}


def measure(arguments: argparse.Namespace, peers: Sequence[str], figures: Figures) -> None:
    """Measure each table by everybody, and write the figures after each, so that a run may end and go on."""
    with ExitStack() as stack:
        server = None if arguments.without_ours else stack.enter_context(serving())
        for name, source in arguments.sources.items():
            try:
                table = source()
            except NotComparable as why:
                figures["left_out"][name] = str(why)
                continue
            cut = folds(table, arguments.seeds)
            found = of_table(figures, table, cut)
            for one, run in contestants(server, table, cut, peers, arguments.patience, stack):
                if one not in found["runs"] and one not in found["failed"]:
                    print(f"{name}: {one}", file=sys.stderr, flush=True)
                    record(found, one, run)
                    write(figures, arguments.json)


def of_table(figures: Figures, table: Table, cut: Sequence[Fold]) -> Figures:
    """Return the part of the figures that is this table's; what was measured of other rows or folds is dropped."""
    in_folds = len(table.y) <= MOST_ROWS_IN_FOLDS
    facts = {
        "rows": len(table.y),
        "columns": len(table.inputs.columns),
        "target": table.target,
        "labels": len(table.labels),
        "loss": "log loss" if table.labels else "RMSE",
        "folds": len(cut),
        "in_folds": in_folds,
        "repeats": len({fold.seed for fold in cut}),
    }
    found: Figures = figures["tables"].get(table.name, {})
    if found.get("facts") != facts:
        found = figures["tables"][table.name] = {"facts": facts, "runs": {}, "failed": {}}
    return found


def contestants(
    server: Server | None, table: Table, cut: Sequence[Fold], peers: Sequence[str], patience: float, stack: ExitStack
) -> Iterator[tuple[str, Callable[[], list[Run]]]]:
    """Yield each contender's name and what measures it on this table. The peers' folds are prepared once."""
    if server is not None:
        yield OURS, partial(contenders.by_ours, server, table, cut)
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="accuracy-")))
    for peer in peers:
        yield peer, partial(contenders.by_peer, peer, table, cut, folder, patience)


def record(found: Figures, name: str, run: Callable[[], list[Run]]) -> None:
    try:
        found["runs"][name] = run()
    except Failed as why:
        found["failed"][name] = str(why)


def write(figures: Figures, target: Path | None) -> None:
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".part")
        unfinished.write_text(json.dumps(figures, indent=1) + "\n")
        unfinished.replace(target)


@contextmanager
def serving() -> Iterator[Server]:
    """A server of ours with an empty store, whose trainer has imported what it needs. Raises Trouble."""
    with ExitStack() as stack:
        store = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="accuracy-store-")))
        yield stack.enter_context(running(ours(store, available_engines()[-1], trainer_warm=True)))


def _listed(known: Collection[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = list(known) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]}: there are {', '.join(known)}")
        return found

    return names


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
