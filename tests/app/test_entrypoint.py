"""The entry point of the image: it listens on 8080 where a platform says `serve`, unless the port is set."""

import subprocess
from pathlib import Path

import pytest

ENTRYPOINT = Path(__file__).parents[2] / "entrypoint.sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a directory with a program `patterns`, which prints its arguments and the port that it would listen on."""
    program = tmp_path / "patterns"
    program.write_text('#!/bin/sh\necho "$@" "${PATTERNS_PORT:-${AIP_HTTP_PORT:-8000}}"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "environment", "started"),
    [
        ([], {}, "serve 8000"),
        (["serve"], {}, "serve 8080"),
        (["serve", "--workers", "2"], {}, "serve --workers 2 8080"),
        ([], {"PATTERNS_PORT": "9000"}, "serve 9000"),
        (["serve"], {"PATTERNS_PORT": "9000"}, "serve 9000"),
        ([], {"AIP_HTTP_PORT": "7000"}, "serve 7000"),
        (["serve"], {"AIP_HTTP_PORT": "7000"}, "serve 7000"),
        (["serve"], {"AIP_HTTP_PORT": "7000", "PATTERNS_PORT": "9000"}, "serve 9000"),
        (["list"], {}, "list 8000"),
        (["predict", "area", "3 4"], {}, "predict area 3 4 8000"),
    ],
)
def test_the_port_is_that_of_whoever_starts_it(
    programs: Path, arguments: list[str], environment: dict[str, str], started: str
) -> None:
    path = {"PATH": f"{programs}:/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", ENTRYPOINT, *arguments], env=path | environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == started
