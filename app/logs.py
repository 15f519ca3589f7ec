"""One JSON line an event, on stdout: fields, not prose, and nothing that a terminal would obey."""

import json
import logging
import sys
from datetime import UTC, datetime

import orjson

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in vars(record).items() if name not in STANDARD}
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _written(line)


def _written(line: dict[str, object]) -> str:
    """Fast where it can be; what is not ASCII is escaped, as a terminal obeys some of it."""
    try:
        written = orjson.dumps(line, default=str).decode()
    except TypeError:  # half a surrogate pair, a key that is no text
        written = "\x80"
    return written if written.isascii() else json.dumps(line, default=str)


def configure(level: str) -> None:
    """For the whole process; uvicorn's own lines leave in the same shape, its access log is replaced by ours."""
    # Facts that no line has, and that take as long to find out as the rest; the way that logging's manual shows.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = name != "uvicorn.access"
    for name in ("matplotlib", "asyncio", "h5py", "absl"):
        logging.getLogger(name).setLevel(logging.WARNING)
