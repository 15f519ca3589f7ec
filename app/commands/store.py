"""The store of the settings, as commands open it that need no network."""

from typing import Any

from app.settings import load_settings
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store


def open_store() -> Store:
    return Store(load_settings().store, load_network=_no_network)


def open_store_to_change() -> Store:
    """Return the store for commands that move labels or delete."""
    return _opened_to_change()[0]


def open_datasets_to_change() -> Datasets:
    """Return the datasets for a command that deletes one."""
    return _opened_to_change()[1]


def _opened_to_change() -> tuple[Store, Datasets]:
    """Return the store and its datasets; with a bucket, each change is made there first."""
    settings = load_settings()
    if settings.store_url is None:
        return Store(settings.store, load_network=_no_network), Datasets(settings.store)
    from models_store.storage.bucket import Bucket  # deferred: without a bucket, obstore need not be installed
    from models_store.storage.shared_store import SharedDatasets, SharedStore  # deferred: likewise

    bucket = Bucket.at(settings.store_url)
    store = SharedStore(settings.store, _no_network, bucket, keep=settings.keep_versions)
    return store, SharedDatasets(settings.store, bucket)


def open_datasets() -> Datasets:
    return Datasets(load_settings().store)


def _no_network(*_: object) -> Any:
    raise AssertionError("this command loads no network")
