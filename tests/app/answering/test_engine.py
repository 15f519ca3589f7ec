"""The engine of the settings: imported when the first network is loaded, and kept out of garbage collections."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.mark.keras
def test_what_the_network_library_brings_is_looked_through_by_no_later_collection() -> None:
    made = "import gc\nfrom app.answering.engine import engine\nengine('keras', 'cpu')\n"
    code = made + "print(len(gc.get_objects()), gc.get_freeze_count())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    looked_through, frozen = map(int, ran.stdout.split())
    assert frozen > 100_000 > looked_through
