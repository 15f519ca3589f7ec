"""`make test-clients`: one environment a client, one server, and a line for each: passed/total.

The scripts of this folder each run in the environment of their own client, and print one line of JSON a case.
"""

import argparse
import csv
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.server.conftest import PATTERNS, Server, environment

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
ENVIRONMENTS = PROJECT / ".clients"
UV = Path(sys.executable).with_name("uv")
PATTERN_NAMES = ("add-ten", "quadratic", "linear-pair", "iris", "add-ten-relu")
SECONDS = 300
# Clients may print few digits.
NEAR = 0.01
DOCUMENTED = {
    name: (language, lines)
    for name, language, lines in re.findall(
        r"<!-- client: (\w+) -->\n```(\w+)\n(.*?)```", (PROJECT / "docs" / "clients.md").read_text(), re.DOTALL
    )
}


@dataclass(frozen=True)
class Client:
    """A client, and the script that runs it in an environment with the packages of its lock file."""

    name: str
    script: str
    requires: tuple[str, ...] = ()
    """The packages that it requires; empty if our own environment will do."""
    borrows: bool = False
    """True if it also sees our packages, so that TensorFlow need not be installed twice."""
    shares: str = ""
    """The script whose environment it shares, if it has none of its own."""

    @property
    def lock(self) -> Path:
        return HERE / f"{self.shares or self.script}.lock"

    def python(self) -> Path:
        """Return the interpreter of its environment, which is made if it is missing or differs from the lock file."""
        if not self.requires:
            return Path(sys.executable)
        folder = ENVIRONMENTS / (self.shares or self.script)
        made_of, wanted = folder / "made-of.lock", self.lock.read_text()
        if not made_of.exists() or made_of.read_text() != wanted:
            _run([UV, "venv", "--quiet", "--clear", "--python", sys.executable, folder])
            install: list[Path | str] = [
                UV,
                "pip",
                "install",
                "--quiet",
                "--python",
                folder,
                "--require-hashes",
                "-r",
                self.lock,
            ]
            _run([*install, *(["--no-deps"] if self.borrows else [])])
            if self.borrows:
                ours = Path(sys.prefix).glob("lib/python*/site-packages")
                theirs = next(folder.glob("lib/python*/site-packages"))
                (theirs / "borrowed.pth").write_text("\n".join(map(str, ours)))
            made_of.write_text(wanted)
        return folder / "bin" / "python"

    def write_lock(self) -> None:
        """Write the exact versions and hashes of what it requires, without the address of a package index."""
        command: list[Path | str] = [
            UV,
            "pip",
            "compile",
            "-",
            "--universal",
            "--python-version",
            "3.11",
            "--generate-hashes",
            "--quiet",
        ]
        command += ["--no-emit-index-url", "--no-header", "--no-annotate", "--output-file", self.lock]
        _run([*command, *(["--no-deps"] if self.borrows else [])], input="\n".join(self.requires))


TRITON, KSERVE = ("tritonclient[http,grpc]==2.73.*",), ("kserve==0.21.*",)
TENSORFLOW_SERVING = ("tensorflow-serving-api==2.21.*", "grpcio", "protobuf")
CLIENTS = (
    Client("tritonclient 2.73 (http, async, aio)", "with_triton", TRITON),
    Client("tritonclient 2.73 (grpc, async, aio)", "with_triton_grpc", TRITON, shares="with_triton"),
    Client("kserve 0.21 InferenceRESTClient v1, v2", "with_kserve", KSERVE),
    Client("kserve 0.21 InferenceGRPCClient", "with_kserve_grpc", KSERVE, shares="with_kserve"),
    Client("mlserver 1.7 infer", "with_mlserver", ("mlserver==1.7.*",)),
    Client("mlflow-skinny 3.17 ScoringServerClient", "with_mlflow", ("mlflow-skinny==3.17.*", "pandas", "scipy")),
    Client("tensorflow-serving-api 2.21 messages", "with_tensorflow_serving", TENSORFLOW_SERVING, borrows=True),
    Client(
        "tensorflow-serving-api 2.21 grpc stubs",
        "with_tensorflow_serving_grpc",
        TENSORFLOW_SERVING,
        borrows=True,
        shares="with_tensorflow_serving",
    ),
    Client("grpc reflection, without stubs", "with_reflection"),
    Client("SageMaker's and Vertex AI's contracts", "contracts"),
    Client("all dialects beside the native API", "agreement"),
    # The last, as it trains patterns of its own.
    Client(
        "tables of pandas 3.1 and DuckDB 2.0",
        "with_pandas_and_duckdb",
        ("pandas==3.1.*", "duckdb==2.0.*", "pyarrow", "openpyxl"),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make test-clients", description=__doc__)
    parser.add_argument("clients", nargs="*", help=f"only these: {', '.join(client.script for client in CLIENTS)}")
    parser.add_argument("--lock", action="store_true", help="write the lock files anew, and run nothing")
    arguments = parser.parse_args()
    clients = [client for client in CLIENTS if client.script in (arguments.clients or [one.script for one in CLIENTS])]
    if arguments.lock:
        for client in clients:
            if client.requires and not client.shares:
                client.write_lock()
        return
    began = time.monotonic()
    pythons = {client: client.python() for client in clients}
    print(f"environments ready after {time.monotonic() - began:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        server = served(Path(folder))
        try:
            results = [run(client, pythons[client], server) for client in clients]
        finally:
            server.client.close()
            server.stop()
    print(f"{time.monotonic() - began:.0f} s in all")
    sys.exit(not all(results))


def served(folder: Path) -> Server:
    """Return a ready server with really trained patterns of every kind."""
    store = folder / "store"
    trained = environment(store=store)
    _run([PATTERNS, "train", *PATTERN_NAMES], cwd=folder, env=trained)
    passengers(folder / "passengers.csv")
    _run([PATTERNS, "train", "--csv", "passengers.csv", "--target", "survived"], cwd=folder, env=trained)
    _run([PATTERNS, "train", "add-ten", "--seed", "3", "--epochs", "20", "--no-promote"], cwd=folder, env=trained)
    routes = {"predict_route": "/vertex/predict", "health_route": "/vertex/health", "grpc_port": free_port()}
    return Server(store, folder / "server.log", default="quadratic", trainer_warm=False, **routes).wait_ready()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def grpc_port_of(server: Server) -> str:
    return server.environment["PATTERNS_GRPC_PORT"]


def passengers(path: Path) -> None:
    """Write a table with every kind of column: numbers, categories, booleans, dates, texts, and missing values."""
    rng = random.Random(5)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "port", "crew", "boarded", "note", "survived"])
        for _ in range(400):
            age, port, crew = rng.randrange(1, 80), rng.choice("SCQ"), rng.random() < 0.3
            note = " ".join(rng.choice(("cabin", "deck", "sea view", "late", "first class")) for _ in range(3))
            lives = age < 30 or "first" in note
            day = f"1912-04-{rng.randrange(1, 29):02}"
            known = rng.random() > 0.2
            row = [age if known else "", port if known else "", str(crew).lower(), day, note, "yes" if lives else "no"]
            writer.writerow(row)


def run(client: Client, python: Path, server: Server) -> bool:
    """Run a client's script; print a line, and beneath it the cases that failed. True if all cases held."""
    addresses = [f"http://127.0.0.1:{server.port}", f"127.0.0.1:{grpc_port_of(server)}"]
    command: list[Path | str] = [python, HERE / f"{client.script}.py", *addresses]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    cases = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    cases += [documented(client, python, server)] if client.script in DOCUMENTED else []
    failed = [case for case in cases if case["fault"]]
    print(f"{client.name:42} {len(cases) - len(failed)}/{len(cases)}", flush=True)
    for case in failed:
        print(f"    {case['name']}: {case['fault']}")
    if ran.returncode and not failed:
        print(ran.stderr)
    return bool(cases) and not failed and not ran.returncode


def documented(client: Client, python: Path, server: Server) -> dict[str, str | None]:
    """Run the client's lines in docs/clients.md as a reader would; return them as a case like the others."""
    language, lines = DOCUMENTED[client.script]
    lines = lines.replace("localhost:8000", f"127.0.0.1:{server.port}")
    lines = lines.replace("localhost:8001", f"127.0.0.1:{grpc_port_of(server)}")
    lines = lines.replace('"localhost", 8000', f'"127.0.0.1", {server.port}')
    command = [str(python), "-c", lines] if language == "python" else ["bash", "-ec", lines]
    path = {**os.environ, "PATH": f"{python.parent}:{os.environ['PATH']}"}
    with tempfile.TemporaryDirectory() as here:
        ran = subprocess.run(command, cwd=here, env=path, capture_output=True, text=True, timeout=SECONDS, check=False)
    numbers = [float(number) for number in re.findall(r"[-+]?\d+\.\d+(?:e[-+]?\d+)?", ran.stdout)]
    wanted = [row[0] for row in server.predict("quadratic", [[60, 20], [80, 50]])["outputs"]]
    is_told = all(any(abs(number - one) < NEAR for number in numbers) for one in wanted)
    fault = None if ran.returncode == 0 and is_told else f"{ran.stdout[-300:]} {ran.stderr[-300:]}"
    return {"name": "its lines in docs/clients.md", "fault": fault}


def _run(command: Sequence[Path | str], **how: Any) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    if ran.returncode:
        sys.exit(f"{ran.args}\n{ran.stdout}\n{ran.stderr}")


if __name__ == "__main__":
    main()
