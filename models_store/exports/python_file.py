"""Python: one file that needs NumPy alone; a module, and a program."""

import json
from importlib.resources import files
from typing import Any

from models_store.exports.stated import stated

PLACE = 'r"""{}"""'


def python_file(portable: dict[str, Any]) -> bytes:
    """Return the program with the pattern in its place."""
    program = files("models_store.exports").joinpath("program.py").read_text("utf-8")
    head, found, tail = program.partition(PLACE)
    assert found
    return f"{stated(portable, '#')}{head}{raw_text(portable)}{tail}".encode()


def raw_text(portable: dict[str, Any]) -> str:
    """Return the pattern as JSON in a raw text. All that could end the text is escaped in the JSON itself."""
    indented = json.dumps(portable, indent=1, ensure_ascii=True, allow_nan=False)
    return "r'''" + indented.replace("'", "\\u0027") + "'''"
