"""One JSON line an event, on stdout: fields, not prose, and nothing that a terminal would obey."""

import asyncio
import json
import logging
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime

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
    """Writes at once, but for what comes with every request: the lines of one turn of the event loop together."""

    def __init__(self) -> None:
        super().__init__(sys.stdout)
        self.setFormatter(JsonLines())
        self._pending: list[str] = []

    @property
    def _own(self) -> AbstractContextManager[object]:
        """The handler's own lock, which `emit` is called under: a second one could be taken in the other order."""
        assert self.lock is not None
        return self.lock

    def emit(self, record: logging.LogRecord) -> None:
        self.write_pending()
        super().emit(record)

    def add(self, line: dict[str, object]) -> None:
        """Called by the event loop alone; other threads may log, and so write what is pending, at any moment."""
        written = _written(line)
        with self._own:
            if not self._pending:
                asyncio.get_running_loop().call_soon(self.write_pending)
            self._pending.append(written)

    def write_pending(self) -> None:
        """As with all logging, what cannot be written is nobody else's trouble."""
        with self._own:
            pending, self._pending = self._pending, []
            if pending:
                try:
                    self.stream.write("\n".join(pending) + "\n")
                    self.flush()
                except Exception:  # noqa: BLE001  # as logging's own handlers do
                    self.handleError(logging.makeLogRecord({"msg": "requests"}))


def event(logger: logging.Logger, name: str, fields: Mapping[str, object]) -> None:
    """`logger.info(name, extra=fields)`, cheaply where nobody but our own handler listens."""
    if not logger.isEnabledFor(logging.INFO):
        return
    match logging.root.handlers:
        case [Lines() as lines]:
            lines.add(_line(time.time(), "info", logger.name, name, fields))
        case _:
            logger.info(name, extra=fields)


def _line(when: float, level: str, logger: str, name: str, fields: Mapping[str, object]) -> dict[str, object]:
    moment = datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds")
    return {"time": moment, "level": level, "logger": logger, "event": name, **fields}


def _written(line: dict[str, object]) -> str:
    """Fast where it can be; what is not ASCII is escaped, as a terminal obeys some of it."""
    with suppress(TypeError):  # half a surrogate pair, a key that is no text
        written = orjson.dumps(line, default=str)
        if written.isascii():
            return written.decode()
    return json.dumps(line, default=str)


def configure(level: str) -> None:
    """For the whole process; uvicorn's own lines leave in the same shape, its access log is replaced by ours."""
    # Facts that no line has, and that take as long to find out as the rest; the way that logging's manual shows.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.basicConfig(level=level.upper(), handlers=[Lines()], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"
    for name in ("matplotlib", "asyncio", "h5py", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
