"""Fixtures of many tests: an empty store with a fake network, and a bundle to publish."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from models_store.bundle import Bundle
from models_store.storage.store import Store
from tests.fakes import LinearNetwork, line

# Few examples and the same ones each time: this suite is run often, and a busy machine may take its time.
settings.register_profile(
    "suite", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("suite")

# Longer bytes are named by their argument: gzip writes the time into them, and all workers have to name a test alike.
MOST_BYTES_IN_A_NAME = 16


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    return argname if isinstance(val, bytes) and len(val) > MOST_BYTES_IN_A_NAME else None


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store", LinearNetwork.from_bytes)


@pytest.fixture
def bundle() -> Bundle:
    return line()
