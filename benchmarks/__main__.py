"""`make bench`: ours against the ceiling of its stack, servers by hand and peers, in one run; ratios against targets.

    trained once -> requests, start, training meanwhile, workers, peers, grpc, uploads, fitting,
    searching, scaling -> figures -> tables

ARGS=--quick takes about a minute; ARGS="--only requests,fitting" a part; ARGS="--peers mlserver" makes a peer first.
ARGS="--against main" measures requests and uploads alone, of this checkout and of another revision in turn.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import against, load, machine, peers, report, rpc, scaling, serving, uploads
from benchmarks.contenders import available_engines, train
from benchmarks.network import PATTERN, export
from benchmarks.servers import Trouble
from benchmarks.serving import Effort

SECTIONS = ("requests", "start", "meanwhile", "workers", "peers", "grpc", "uploads", "fitting", "searching", "scaling")
QUICK = ("requests", "start", "fitting")
# They train what they need.
STORELESS = {"fitting", "searching", "uploads", "against"}


def main() -> None:
    arguments = parsed()
    # However the benchmark is told to end, its servers must end as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    if arguments.peers:
        peers.make(arguments.peers)
    figures = measured(arguments)
    figures["targets"] = [line.to_dict() for line in report.targets(figures)]
    report.show(figures)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if figures["failed"]:
        raise SystemExit(1)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round of the main figures, for a first look")
    parser.add_argument("--only", type=_listed(SECTIONS), metavar="A,B", help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--scaling", action="store_true", help="the scaling section, also in a quick run")
    parser.add_argument("--engines", type=_listed(available_engines()), metavar="A,B", help="default: all there are")
    parser.add_argument(
        "--peers",
        type=_listed(tuple(peers.PEERS)),
        metavar="A,B",
        help=f"make these where they are not yet, and measure them: {', '.join(peers.PEERS)}, or all",
    )
    parser.add_argument(
        "--against", type=against.commit_of, metavar="REVISION", help="compare with the server of this git revision"
    )
    parser.add_argument("--load", choices=("wrk", "bundled"), default=load.found(), help="what generates the load")
    parser.add_argument("--rounds", type=int, help="how often each figure is taken")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures into this file as well")
    arguments = parser.parse_args()
    arguments.engines = arguments.engines or available_engines()
    arguments.only = arguments.only or _by_default(arguments)
    if arguments.against and not {"against", "uploads"}.intersection(arguments.only):
        arguments.only = (*arguments.only, "against")
    if arguments.peers and "peers" not in arguments.only:
        arguments.only = (*arguments.only, "peers")
    if arguments.scaling:
        arguments.only = (*arguments.only, "scaling")
    return arguments


def _by_default(arguments: argparse.Namespace) -> tuple[str, ...]:
    if arguments.against:
        return ("against", "uploads")
    return QUICK if arguments.quick else SECTIONS


def _listed(known: tuple[str, ...] | list[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        found = list(known) if text == "all" else [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]}: there are {', '.join(known)}")
        return found

    return names


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    quick = arguments.quick
    effort = Effort(arguments.rounds or (1 if quick else 5), 1.0 if quick else 2.0, arguments.load)
    figures: dict[str, Any] = {
        "machine": machine.described(),
        "how": {**vars(effort), "quick": quick, "engines": arguments.engines},
        "failed": {},
    }
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        store, network = Path(folder, "store"), Path(folder, "network")
        network.mkdir()
        if not STORELESS.issuperset(arguments.only):
            # Only the section "start" loads the whole catalogue.
            train(store, [PATTERN] if quick or "start" not in arguments.only else [])
            export(store, network)
        for name, section in sections(store, network, arguments, effort).items():
            if name in arguments.only:
                print(f"measuring: {name}", file=sys.stderr, flush=True)
                try:
                    figures[name] = section()
                except (Trouble, subprocess.SubprocessError) as trouble:  # what is measured already is worth having
                    figures["failed"][name] = str(trouble)
    return figures


def sections(
    store: Path, network: Path, arguments: argparse.Namespace, effort: Effort
) -> dict[str, Callable[[], dict[str, Any]]]:
    """Return the sections by name, in the order in which they are measured."""
    engines, quick = arguments.engines, arguments.quick
    return {
        "requests": lambda: serving.requests(store, network, engines, not quick, effort),
        "start": lambda: serving.start(store, engines, 1 if quick else 3, effort),
        "meanwhile": lambda: {engine: serving.during_training(store, engine, effort) for engine in engines},
        "workers": lambda: {engine: serving.workers(store, engine, effort) for engine in engines},
        "peers": lambda: peers.compared(store, network, engines[0], arguments.peers, effort),
        "grpc": lambda: rpc.measured(store, network, engines, effort),
        "uploads": lambda: uploads.measured(engines[-1], arguments.against, effort),
        "fitting": lambda: fitting(1 if quick else 3, quick),
        "searching": lambda: searching(1 if quick else 5),
        "scaling": lambda: {engine: scaling.measured(store, engine, effort) for engine in engines},
        "against": lambda: against.compared(arguments.against, engines, effort),
    }


def fitting(rounds: int, quick: bool) -> dict[str, Any]:
    recipes = ["100 rows"] if quick else ["100 rows", "9 500 rows"]
    command = [sys.executable, "-m", "benchmarks.fitting", *(f"{recipe}={rounds}" for recipe in recipes)]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def searching(rounds: int) -> dict[str, Any]:
    def ran(*arguments: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "benchmarks.searching", *arguments]
        found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
        return found

    memory = [{str(trials): ran("memory", str(trials))["megabytes"] for trials in (1, 64)} for _ in range(rounds)]
    return {"speed": ran(str(rounds)), "memory": memory}


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    main()
