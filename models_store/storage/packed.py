"""A version as one zip file: the files of its directory, and the manifest that has their hashes.

NAME-VERSION.zip    bundle.json  network.keras  history.json  evaluation.json  golden.json  MANIFEST.json
"""

import io
import zipfile
import zlib
from collections.abc import Mapping

from models_store.bundle import FILES
from models_store.errors import BundleDamaged, ImportRefused
from models_store.storage import manifest
from models_store.wording import shortened_name

# The earliest that a zip file can have: the same version is packed into the same bytes.
TIME = (1980, 1, 1, 0, 0, 0)
# A version has six or seven files.
MOST_FILES = 32
ENCRYPTED = 1
# The system that a zip file says it was made on, whichever it was.
UNIX = 3


def packed(files: Mapping[str, bytes], pattern: str, version: int) -> bytes:
    """Return a zip file of a version's files, with the manifest.

    Nothing in it is compressed (the network's file is already), so that every system packs the same bytes.
    """
    everything = {**files, manifest.NAME: manifest.manifest_of(pattern, version, dict(files))}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(everything.items()):
            entry = zipfile.ZipInfo(name, TIME)
            entry.create_system = UNIX
            archive.writestr(entry, content)
    return file.getvalue()


def unpacked(content: bytes) -> tuple[str, int, dict[str, bytes]]:
    """Return pattern, version and files of a packed version, which are as they were packed.

    Raises ImportRefused for what is no such file, would unpack to more than it is, or names files elsewhere or others
    than a version has, and where a byte of it was changed.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = _files(archive)
        pattern, version, files = manifest.verified(files)
    except BundleDamaged as error:
        raise ImportRefused(str(error)) from None
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, NotImplementedError, RuntimeError) as error:
        raise ImportRefused("it is no whole zip file") from error
    for name in sorted({*files} - {*FILES}):
        raise ImportRefused(f"it holds {shortened_name(name)}, and a version has no files but {', '.join(FILES)}")
    if packed(files, pattern, version) != content:
        raise ImportRefused("a byte of it was changed, or it was packed by another program")
    return pattern, version, files


def _files(archive: zipfile.ZipFile) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MOST_FILES:
        raise ImportRefused(f"it holds {len(entries)} files, and a version has at most {MOST_FILES}")
    names = [entry.filename for entry in entries]
    for place, entry in enumerate(entries):
        if not _is_plain(entry.filename) or entry.is_dir():
            raise ImportRefused(f"{shortened_name(entry.filename)} is not the name of a file of a version")
        if entry.filename in names[:place]:
            raise ImportRefused(f"it holds {shortened_name(entry.filename)} twice")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & ENCRYPTED:
            raise ImportRefused(f"{shortened_name(entry.filename)} is compressed or encrypted, as no packed version is")
    return {name: archive.read(name) for name in names}


def _is_plain(name: str) -> bool:
    """True for the name of a file in the folder itself: letters, digits, points and hyphens, no path."""
    letters = name.replace(".", "").replace("-", "").replace("_", "")
    return letters.isascii() and letters.isalnum() and not name.startswith(".")
