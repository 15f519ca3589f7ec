"""`make bench`: ratios to the ceiling of the stack for prediction, and to Keras' own `fit` for training.

Every figure is the median of alternating runs: the machine's mood changes, the ratio within a run less so.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

BIN = Path(sys.executable).parent
BODIES = {"one row": [[150]], "1000 rows": [[number] for number in range(1000)]}
CONNECTIONS = (1, 32)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short run of each, for a first look")
    parser.add_argument("--json", type=Path, help="write the figures into this file as well")
    arguments = parser.parse_args()
    rounds, seconds = (1, 1.0) if arguments.quick else (5, 3.0)
    figures = {"prediction": prediction(rounds, seconds), "training": training(1 if arguments.quick else 3)}
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))


def prediction(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PATTERNS_STORE": folder, "PATTERNS_TRAINER_WARM": "false"}
        subprocess.run([BIN / "patterns", "train", "add-ten"], env=environment, check=True)
        with ceiling() as bare, ours(environment) as server:
            return {
                f"{name}, {connections} connection(s)": _compared(bare, server, inputs, connections, rounds, seconds)
                for name, inputs in BODIES.items()
                for connections in CONNECTIONS
            }


def _compared(
    bare: int, server: int, inputs: object, connections: int, rounds: int, seconds: float
) -> dict[str, float]:
    body = json.dumps({"inputs": inputs}).encode()
    runs = [(_load(bare, connections, seconds, body), _load(server, connections, seconds, body)) for _ in range(rounds)]
    assert not any(ran["failed"] for pair in runs for ran in pair), "a request failed"
    return {
        "ceiling_per_s": statistics.median(top["requests_per_s"] for top, _ in runs),
        "ours_per_s": statistics.median(own["requests_per_s"] for _, own in runs),
        "ratio": statistics.median(own["requests_per_s"] / top["requests_per_s"] for top, own in runs),
        "ours_p50_ms": statistics.median(own["p50_ms"] for _, own in runs),
        "ours_p99_ms": statistics.median(own["p99_ms"] for _, own in runs),
    }


def _load(port: int, connections: int, seconds: float, body: bytes) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.load", str(port), str(connections), str(seconds)]
    ran: dict[str, float] = json.loads(
        subprocess.run(command, input=body, capture_output=True, check=True, timeout=60).stdout
    )
    return ran


@contextlib.contextmanager
def ceiling() -> Iterator[int]:
    port = _free_port()
    command = [
        BIN / "uvicorn",
        "benchmarks.ceiling:app",
        "--port",
        str(port),
        "--no-access-log",
        "--log-level",
        "error",
    ]
    with _running([str(part) for part in command], dict(os.environ), port, "/"):
        yield port


@contextlib.contextmanager
def ours(environment: dict[str, str]) -> Iterator[int]:
    port = _free_port()
    with _running([str(BIN / "patterns"), "serve"], {**environment, "PATTERNS_PORT": str(port)}, port, "/readyz"):
        yield port


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], port: int, path: str) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(1200):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
                break
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def training(rounds: int) -> dict[str, dict[str, float]]:
    """Whole runs, compilation included, against `model.fit` of the same model on the same rows."""
    from benchmarks.fitting import compare  # deferred: imports TensorFlow, which must not compete with the servers

    return {name: compare(name, rounds) for name in ("add-ten", "quadratic")}


def show(figures: dict[str, dict[str, dict[str, float]]]) -> None:
    out = Console()
    for title, rows in figures.items():
        columns = list(next(iter(rows.values())))
        table = Table("", *columns, title=title, title_justify="left")
        for name, row in rows.items():
            table.add_row(name, *(f"{row[column]:.3g}" for column in columns))
        out.print(table)


if __name__ == "__main__":
    main()
