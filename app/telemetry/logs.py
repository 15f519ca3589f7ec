"""Log lines: one JSON object for each event, on stdout, in ASCII, so that none of it controls a terminal."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import lru_cache

import orjson

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in STANDARD}
        line = _line(record.created, record.levelname.lower(), record.name, record.getMessage(), fields)
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _written(line)


class Lines(logging.StreamHandler):  # type: ignore[type-arg]  # a stream of text, whichever stdout is
    """A handler that writes at once, except request lines: those of one turn of the event loop are written together."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(JsonLines())
        self._pending: list[str] = []

    @property
    def _own(self) -> AbstractContextManager[object]:
        """The handler's own lock, under which `emit` is called. A second lock could be taken in the opposite order."""
        assert self.lock is not None
        return self.lock

    def emit(self, record: logging.LogRecord) -> None:
        self.write_pending()
        super().emit(record)

    def add(self, line: dict[str, object]) -> None:
        """Add a line to write at the end of this turn. Only the event loop may call this.

        Other threads may log at any moment, and then write the pending lines first.
        """
        written = _written(line)
        with self._own:
            if not self._pending:
                asyncio.get_running_loop().call_soon(self.write_pending)
            self._pending.append(written)

    def write_pending(self) -> None:
        """Write the pending lines. A failure to write a log line never reaches the request."""
        with self._own:
            pending, self._pending = self._pending, []
            if pending:
                try:
                    self.stream.write("\n".join(pending) + "\n")
                    self.flush()
                except Exception:  # noqa: BLE001  # as logging's own handlers do
                    self.handleError(logging.makeLogRecord({"msg": "requests"}))


def event(logger: logging.Logger, name: str, fields: Mapping[str, object]) -> None:
    """Log `name` with fields as `logger.info(name, extra=fields)` does, faster where `Lines` is the only handler."""
    if not logger.isEnabledFor(logging.INFO):
        return
    match logging.root.handlers:
        case [Lines() as lines]:
            lines.add(_line(time.time(), "info", logger.name, name, fields))
        case _:
            logger.info(name, extra=fields)


def _line(when: float, level: str, logger: str, name: str, fields: Mapping[str, object]) -> dict[str, object]:
    return {"time": _moment(int(when * 1000)), "level": level, "logger": logger, "event": name, **fields}


@lru_cache(maxsize=1)  # many requests may be answered in a millisecond
def _moment(ms: int) -> str:
    """Return a moment in milliseconds since 1970 as people write it, in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")


def _written(line: dict[str, object]) -> str:
    """Return the line as JSON in ASCII, as a terminal obeys some other characters. orjson is fast, but escapes none."""
    with suppress(TypeError):  # half a surrogate pair, or a key that is not text
        written = orjson.dumps(line, default=str)
        if written.isascii():
            return written.decode()
    return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Set up logging for the whole process; uvicorn's lines look like ours, and ours replace its access log."""
    _skip_unused_facts()
    logging.basicConfig(level=level.upper(), handlers=[Lines()], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"
    for name in ("matplotlib", "asyncio", "h5py", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _skip_unused_facts() -> None:
    """Keep `logging` from finding out thread, process and caller, which no line has: that takes as long as the rest.

    These are the switches that the logging manual names ("Optimization", in its how-to); for the caller it has none but
    the private `_srcfile`, which `Logger` checks before it walks the stack.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
