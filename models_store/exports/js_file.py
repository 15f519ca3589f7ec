"""JavaScript: one ES module without dependencies, for node and browsers; in node also a program."""

import json
from importlib.resources import files
from typing import Any

from models_store.exports.stated import stated

PLACE = "String.raw`{}`"
# What would end the text, or a script that stands in a page.
ESCAPED = {"`": "\\u0060", "$": "\\u0024", "<": "\\u003c"}


def js_file(portable: dict[str, Any]) -> bytes:
    """Return the module with the pattern in its place."""
    module = files("models_store.exports").joinpath("program.mjs").read_text("utf-8")
    head, found, tail = module.partition(PLACE)
    assert found
    pattern = json.dumps(portable, indent=1, ensure_ascii=True, allow_nan=False)
    for character, escape in ESCAPED.items():
        pattern = pattern.replace(character, escape)
    return f"{stated(portable, '//')}{head}String.raw`{pattern}`{tail}".encode()
