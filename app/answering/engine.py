"""The engine that this process computes networks with, as the settings have it."""

import gc
from functools import cache

from app.settings import Settings
from models_store.networks import engines
from models_store.networks.architecture import Architecture, Device, Engine, LoadNetwork, Network


def network_loader(settings: Settings) -> LoadNetwork:
    def load(saved: bytes, architecture: Architecture) -> Network:
        return engine(settings.engine, settings.device)(saved, architecture)

    return load


@cache
def engine(name: Engine, device: Device) -> LoadNetwork:
    load = engines.loader(name, device)
    if name == "keras":
        from models_store.networks.keras_network import use_threads  # deferred: it has been imported by now

        # Small networks are computed faster by one thread than shared among several, and the event loop keeps a core.
        use_threads(1)
    # What has been imported stays. A collection that looked through all of it would stop the event loop for 200 ms.
    gc.collect()
    gc.freeze()
    return load
