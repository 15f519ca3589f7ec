"""Files compressed with gzip or zstd, unpacked piece by piece: what they unpack to is counted while it is read."""

import gzip
import io
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from models_store.errors import TableError
from models_store.tables import file_limits
from models_store.tables.signatures import GZIP, ZSTD

BYTES_AT_ONCE = 1 << 20


def opened(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked if its first bytes say that it is compressed.

    Reading raises TableError where it is damaged, or unpacks to more than a table may be.
    """
    file = path.open("rb")
    start = file.read(len(ZSTD))
    file.seek(0)
    if start.startswith(GZIP):
        return _counted(gzip.GzipFile(fileobj=file), file, "gzip")
    if start.startswith(ZSTD):
        import pyarrow as pa  # deferred: plain CSV is read without it

        return _counted(pa.CompressedInputStream(pa.PythonFile(file), "zstd"), file, "zstd")
    return file


def compression_of(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(len(ZSTD))
    return "gzip" if start.startswith(GZIP) else "zstd" if start.startswith(ZSTD) else None


def _counted(unpacked: Any, file: BinaryIO, compression: str) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(_Counted(unpacked, file, compression), BYTES_AT_ONCE))


class _Counted(io.RawIOBase):
    """The bytes of `unpacked`, which reads `file`; closed with it."""

    def __init__(self, unpacked: Any, file: BinaryIO, compression: str) -> None:
        self._unpacked = unpacked
        self._file = file
        self._compression = compression
        self._n_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            content = self._unpacked.read(len(buffer))
        except (OSError, EOFError, zlib.error):
            raise TableError(f"the file is compressed with {self._compression}, and damaged or cut off") from None
        self._n_bytes += len(content)
        file_limits.check_bytes(self._n_bytes)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._unpacked.close()
            self._file.close()
        super().close()
