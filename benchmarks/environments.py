"""Virtual environments of what is compared with ours, one for each, made on demand from pinned versions."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ENVIRONMENTS = Path(__file__).with_name("peers") / ".venvs"


def python(name: str) -> Path:
    """Return the path of the interpreter of an environment, which may not exist yet."""
    return ENVIRONMENTS / name / "bin" / "python"


def make(name: str, requirements: Iterable[str]) -> None:
    """Make an environment with these packages, unless it is there. uv links packages to its cache.

    Raises subprocess.CalledProcessError, with what uv says, where a package cannot be had.
    """
    made = ENVIRONMENTS / name / "requirements.txt"
    wanted = "\n".join(requirements) + "\n"
    if made.is_file() and made.read_text() == wanted:
        return
    _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(made.parent))
    _uv("pip", "install", "--quiet", "--python", str(python(name)), *wanted.split())
    made.write_text(wanted)


def _uv(*arguments: str) -> None:
    # Folders of wheels that pip was told of are uv's too: a build of PyTorch for CPUs is a tenth of the one for GPUs.
    wheels = {"UV_FIND_LINKS": os.environ["PIP_FIND_LINKS"]} if "PIP_FIND_LINKS" in os.environ else {}
    command = [sys.executable, "-m", "uv", *arguments]
    subprocess.run(command, env=wheels | os.environ, check=True, stderr=subprocess.PIPE, text=True)
