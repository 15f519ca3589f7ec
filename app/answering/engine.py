"""The engine of the settings, which computes the networks of this process."""

import gc
from functools import cache

from app.settings import Settings
from models_store.networks import engines
from models_store.networks.architecture import Architecture, Device, Engine, LoadNetwork, Network


def network_loader(settings: Settings) -> LoadNetwork:
    """Return a loader that imports the engine when the first network is loaded."""

    def load(saved: bytes, architecture: Architecture) -> Network:
        return engine(settings.engine, settings.device)(saved, architecture)

    return load


@cache
def engine(name: Engine, device: Device) -> LoadNetwork:
    """Import the engine, once for the process, and return its loader."""
    load = engines.loader(name, device)
    if name == "keras":
        from models_store.networks.keras_network import use_threads  # deferred: it has been imported by now

        # One thread computes a small network faster than several that share it, and leaves a core to the event loop.
        use_threads(1)
    # Imported modules stay for good; a garbage collection that went through them would stop the event loop for 200 ms.
    gc.collect()
    gc.freeze()
    return load
