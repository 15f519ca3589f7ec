"""Containers of an image, started by docker, podman or buildah, whichever is there."""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
USER = "10001"
STORE = "/var/lib/patterns"
READY_SECONDS = 120.0


def works(*command: str) -> bool:
    """True if the program of this command is installed, and the command succeeds."""
    return bool(shutil.which(command[0])) and _run(*command).returncode == 0


def builder() -> str | None:
    """Return the program that build_image.sh takes; None if there is none that works."""
    return next((name for name in ("docker", "buildah", "podman") if works(name, "info")), None)


def runner(builder: str, image: str) -> str:
    """Return the program that starts containers. Podman cannot do that in every sandbox, and buildah can."""
    if builder == "docker":
        return builder
    starts = works("podman", "run", "--rm", "--network", "host", "--entrypoint", "true", image)
    return "podman" if starts or builder == "podman" else "buildah"


def _run(*command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, check=False, capture_output=True, text=True)


@dataclass(frozen=True)
class Container:
    """A running container; its server listens on a port of this machine."""

    runner: str
    name: str
    port: int
    environment: dict[str, str]
    process: "subprocess.Popen[bytes]"
    began: float = field(default_factory=time.monotonic)

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        """Return status and answer of a GET, or of a POST with a body; of what is no JSON, the beginning."""
        headers = {"authorization": "Bearer key", "content-type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                is_json = answer.headers.get_content_type() == "application/json"
                return answer.status, json.load(answer) if is_json else answer.read(8)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def ready_after(self) -> float:
        """Wait until the server is ready; return the seconds since the start."""
        while time.monotonic() - self.began < READY_SECONDS and self.process.poll() is None:
            try:
                if self.ask("/readyz")[0] == 200:
                    return time.monotonic() - self.began
            except OSError:
                time.sleep(0.02)
        raise AssertionError("the container did not get ready")

    def run(self, *command: str) -> str:
        """Return what a command prints inside the container."""
        if self.runner == "buildah":
            return _printed("buildah", "run", "--isolation", "chroot", *_set(self.environment), self.name, *command)
        return _printed(self.runner, "exec", self.name, *command)

    def server(self) -> int:
        """Return the process id of the server."""
        found = [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _is_server(entry, self.port)
        ]
        assert len(found) == 1, found
        return found[0]

    def resident_mb(self) -> float:
        lines = Path(f"/proc/{self.server()}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))

    def stop(self) -> int:
        """Have the server told by SIGTERM to end; return its exit status."""
        os.kill(self.server(), signal.SIGTERM)
        return self.process.wait(timeout=60)


def _is_server(entry: Path, port: int) -> bool:
    try:
        command = (entry / "cmdline").read_bytes().split(b"\0")
        environment = (entry / "environ").read_bytes()
        user = entry.stat().st_uid
    except OSError:
        return False
    is_asked = f"PATTERNS_PORT={port}".encode() in environment.split(b"\0")
    return is_asked and user == int(USER) and b"/opt/patterns/bin/patterns" in command


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _set(environment: dict[str, str]) -> list[str]:
    return [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]


def health_check(runner: str, image: str) -> list[str]:
    """Return the command of the image's health check."""
    if runner == "buildah":
        described = json.loads(_printed("buildah", "inspect", "--type", "image", image))["Docker"]["config"]
    else:
        described = json.loads(_printed(runner, "image", "inspect", image))[0]["Config"]
    kind, *command = described["Healthcheck"]["Test"]
    assert kind == "CMD"
    return list(command)


@contextmanager
def started(runner: str, image: str, port: int, store: Path, *arguments: str) -> Iterator[Container]:
    """Start the image as its user, read-only where the runner can, with a directory of this machine as its store."""
    environment = {"PATTERNS_PORT": str(port), "PATTERNS_HOST": "127.0.0.1", "PATTERNS_ADMIN_KEY": "key"}
    name = f"patterns-{port}"
    mounted = ["--volume", f"{store}:{STORE}"]
    if runner == "buildah":
        _printed("buildah", "from", "--name", name, image)
        inside = ["buildah", "run", "--isolation", "chroot", *_set(environment), *mounted, name, "entrypoint.sh"]
        removal = ["buildah", "rm", name]
    else:
        read_only = ["--read-only", "--tmpfs", "/tmp", "--network", "host", "--init", "--name", name]
        inside = [runner, "run", "--rm", *read_only, *_set(environment), *mounted, image]
        removal = [runner, "rm", "--force", name]
    process = subprocess.Popen([*inside, *arguments])
    try:
        yield Container(runner, name, port, environment, process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
        _run(*removal)
