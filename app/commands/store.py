"""The store of the settings, as commands open it that need no network."""

from typing import Any

from app.settings import load_settings
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store


def open_store() -> Store:
    return Store(load_settings().store, load_network=_no_network)


def open_datasets() -> Datasets:
    return Datasets(load_settings().store)


def _no_network(*_: object) -> Any:
    raise AssertionError("this command reads cards; it loads no network")
