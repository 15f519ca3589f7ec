"""The engine of the settings: imported when the first network is loaded, and kept out of garbage collections."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from app.answering.engine import engine, network_loader
from app.settings import Settings
from models_store.networks import engines
from models_store.networks.architecture import LoadNetwork
from models_store.storage.store import Store
from tests.fakes import LinearNetwork, line

PROJECT = Path(__file__).parents[3]


@pytest.mark.keras
def test_what_the_network_library_brings_is_looked_through_by_no_later_collection() -> None:
    made = "import gc\nfrom app.answering.engine import engine\nengine('keras', 'cpu')\n"
    code = made + "print(len(gc.get_objects()), gc.get_freeze_count())"
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    looked_through, frozen = map(int, ran.stdout.split())
    assert frozen > 100_000 > looked_through


def test_the_engine_is_imported_with_the_first_network_and_once(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    imported: list[tuple[str, str]] = []

    def loader(name: str, device: str) -> LoadNetwork:
        imported.append((name, device))
        return LinearNetwork.from_bytes

    monkeypatch.setattr(engines, "loader", loader)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    settings = Settings(_env_file=None, store=store.root, engine="onnx", device="cpu")
    load = network_loader(settings)
    assert imported == []
    bundle = line()
    try:
        for _ in range(2):
            load(bundle.predictor.network.to_bytes(), bundle.architecture)
    finally:
        engine.cache_clear()
    assert imported == [("onnx", "cpu")]
