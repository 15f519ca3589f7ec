"""Models of the Open Inference Protocol by name and version, over HTTP and gRPC; what loads and unloads them."""

import asyncio

from app.answering.answer import Answering
from app.answering.registry import Registry, Served
from models_store.errors import UnknownVersion
from models_store.names import VERSION


async def release(registry: Registry, model: str, given: str | None) -> Served:
    """Return the version that is given, or else the champion. Raises as `Registry.release` does."""
    return await registry.release(model, version(registry, model, given))


def version(registry: Registry, model: str, given: str | None) -> int | None:
    """Return the version as a number, or None where none is given.

    Raises UnknownVersion where it is not there; a version that is not a number is unknown as well.
    """
    if given is None:
        return None
    versions = registry.shelf(model).versions
    if VERSION.fullmatch(given) is None or int(given) not in versions:
        raise UnknownVersion(model, versions)
    return int(given)


async def load(answering: Answering, model: str) -> str:
    """Serve what the store holds of the pattern, and return its name.

    This process serves it at once, others within a moment.
    """
    await answering.registry.refresh()
    if answering.registry.shelf(model).is_unloaded:
        await asyncio.to_thread(answering.store.mark_loaded, model)
        await answering.registry.refresh()
    return answering.registry.champion(model).bundle.pattern


async def unload(answering: Answering, model: str) -> str:
    """Serve the pattern no longer until it is loaded again, and return its name.

    That holds for every process, and after a restart too.
    """
    await answering.registry.refresh()
    shelf = answering.registry.shelf(model)
    await asyncio.to_thread(answering.store.mark_unloaded, shelf.pattern)
    await answering.registry.refresh()
    return shelf.pattern
