"""`patterns export`: a version of the store as one file of another language or format."""

from pathlib import Path

from app.answering.engine import network_loader
from app.errors import Unloaded
from app.settings import load_settings
from models_store.errors import PatternServerError
from models_store.exports.targets import Exported, export
from models_store.storage.store import Store


class ExportUnwritable(PatternServerError):
    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be written: {error.strerror}; name another file with -o")


def export_to(pattern: str, version: int | None, target: str, path: Path | None) -> tuple[Exported, Path]:
    """Write the champion, or a version, into the file; by default in this folder. Return the export and its place.

    Raises Unloaded, ExportUnwritable, and all that loading a version and `export` raise.
    """
    settings = load_settings()
    store = Store(settings.store, network_loader(settings))
    number = version or store.champion(pattern)
    if store.is_unloaded(pattern):
        raise Unloaded(pattern)
    exported = export(store.load(pattern, number).bundle, number, target)
    place = path or Path(exported.name)
    try:
        place.write_bytes(exported.content)
    except OSError as error:
        raise ExportUnwritable(place, error) from None
    return exported, place
