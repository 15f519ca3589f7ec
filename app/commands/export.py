"""`patterns export`: a version of the store as one file of another language or format. `patterns import`: back."""

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


class ImportUnreadable(PatternServerError):
    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"{path} cannot be read: {error.strerror}")


def pack_to(pattern: str, version: int | None, path: Path | None) -> Path:
    """Write the champion, or a version, as a zip file that `patterns import` takes. Return its place.

    Raises Unloaded, ExportUnwritable, and all that loading a version raises.
    """
    store = _opened()
    number = _number(store, pattern, version)
    place = path or Path(f"{pattern}-{number}.zip")
    _write(place, store.packed(pattern, number))
    return place


def import_from(path: Path, *, promote: bool) -> tuple[str, int]:
    """Publish the version in a zip file as a new one. Return its pattern and number.

    Raises ImportUnreadable, ImportRefused, and all that a publish raises.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImportUnreadable(path, error) from None
    return _opened().add_packed(content, promote=promote)


def export_to(pattern: str, version: int | None, target: str, path: Path | None) -> tuple[Exported, Path]:
    """Write the champion, or a version, into the file; by default in this folder. Return the export and its place.

    Raises Unloaded, ExportUnwritable, and all that loading a version and `export` raise.
    """
    store = _opened()
    number = _number(store, pattern, version)
    exported = export(store.load(pattern, number).bundle, number, target)
    place = path or Path(exported.name)
    _write(place, exported.content)
    return exported, place


def _opened() -> Store:
    settings = load_settings()
    return Store(settings.store, network_loader(settings), keep=settings.keep_versions)


def _number(store: Store, pattern: str, version: int | None) -> int:
    """Return the version, or the champion. Raises Unloaded, UnknownPattern, NoGoodVersion."""
    if store.is_unloaded(pattern):
        raise Unloaded(pattern)
    return store.champion(pattern) if version is None else version


def _write(place: Path, content: bytes) -> None:
    try:
        place.write_bytes(content)
    except OSError as error:
        raise ExportUnwritable(place, error) from None
