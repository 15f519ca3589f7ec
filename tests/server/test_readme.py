"""The commands of the README, run as they are against a real server."""

import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.server.conftest import PATTERNS, Server, environment

pytestmark = [pytest.mark.keras, pytest.mark.server]

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"<!-- (runs|file: (?P<file>\S+)|table: (?P<table>\S+)) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)


def more_rows() -> str:
    """Return the many more rows that the README speaks of; the wind is not always known."""
    drawn = random.Random(0)
    rows = [(drawn.random(), drawn.uniform(0, 9), drawn.choice(("north", "south"))) for _ in range(300)]
    lines = [
        f"{moon:.3f},{'' if drawn.random() < 0.2 else f'{wind:.2f}'},{harbour},{2 + moon - wind / 20:.3f}"
        for moon, wind, harbour in rows
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's commands need curl, which this machine lacks")
def test_every_command_of_the_readme_works(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text("fail\n")
    strict = environment(store=server.store, port=server.port) | {"CURL_HOME": str(tmp_path)}
    printed = ""
    # Other tests of this server may have trained it anew.
    server.client.put("/patterns/add-ten/labels/champion", json={"version": 1}).raise_for_status()
    for block in BLOCK.finditer(README.read_text()):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"])
            continue
        if block["table"]:
            (tmp_path / block["table"]).write_text(block["text"] + more_rows())
            continue
        commands = (
            block["text"]
            .replace("localhost:8000", f"127.0.0.1:{server.port}")
            .replace(".venv/bin/patterns", str(PATTERNS))
        )
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=tmp_path,
            env=strict,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, (commands, ran.stdout[-2000:], ran.stderr[-2000:])
        printed += ran.stdout
    assert '"outputs":[160.0000' in printed
    assert '"outside":[{"row":0,"columns":["x1"],"score":' in printed
    assert "area = 1" in printed
    assert '"pattern":"tides","version":1,"outputs":{"height":' in printed
    assert '"outputs":[["setosa"]],"probabilities":[[{"setosa":0.9' in printed
    assert len(list((tmp_path / "plots").iterdir())) == 6
