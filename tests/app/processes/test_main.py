"""`python -m app.processes` runs the two helpers by name, and nothing else."""

import os
import subprocess
import sys

import pytest

from app.processes.spawn import PROJECT


@pytest.mark.parametrize("module", ["os", "training.run", "app.main", "-c"])
def test_a_module_that_is_no_helper_is_refused(module: str) -> None:
    command = [sys.executable, "-m", "app.processes", module, str(os.getpid()), str(1 << 30)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    helpers = "training.worker, app.processes.table_reader"
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == f"{module}: no such helper; there are {helpers}\n"


def test_a_helper_whose_parent_is_gone_ends_before_it_imports_anything() -> None:
    command = [sys.executable, "-m", "app.processes", "training.worker", "1", str(1 << 30)]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "the server that started this process is gone\n"
