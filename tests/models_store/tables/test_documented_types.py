"""docs/tables.md lists every type of column, and what becomes of it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from models_store.tables import arrow_types

PAGE = Path(__file__).parents[3] / "docs" / "tables.md"
ROW = re.compile(r"^\| (?P<types>`[^|]*`) \| (?P<becomes>[^|]+?) \|$", re.MULTILINE)
OF = pa.int8()
PARAMETERS: dict[str, Any] = {
    "bool": pa.bool_(),
    "decimal32": pa.decimal32(5, 2),
    "decimal64": pa.decimal64(9, 2),
    "decimal128": pa.decimal128(38, 2),
    "decimal256": pa.decimal256(60, 2),
    "fixed_size_binary": pa.binary(2),
    "timestamp": pa.timestamp("ns", "Europe/Berlin"),
    "time32": pa.time32("s"),
    "time64": pa.time64("us"),
    "duration": pa.duration("s"),
    "list": pa.list_(OF),
    "large_list": pa.large_list(OF),
    "list_view": pa.list_view(OF),
    "fixed_size_list": pa.list_(OF, 2),
    "struct": pa.struct([("a", OF)]),
    "map": pa.map_(pa.string(), OF),
    "union": pa.sparse_union([pa.field("a", OF)]),
    "interval": pa.month_day_nano_interval(),
}
BECOMES: dict[str, Callable[[Any], bool]] = {
    "number": arrow_types.is_number,
    "boolean": arrow_types.is_boolean,
    "what the texts are": arrow_types.is_text,
    "the same, if": arrow_types.is_bytes,
    "date": arrow_types.is_moment,
    "time": arrow_types.is_time,
    "duration": arrow_types.is_duration,
    "a column without": arrow_types.is_null,
    "left out": lambda kind: not arrow_types.is_known(kind),
}


def test_types_of_columns_become_what_the_page_says() -> None:
    section = PAGE.read_text().partition("\n| type | becomes |\n")[2].partition("\n\n")[0]
    rows = ROW.findall(section)
    said = {name: becomes for types, becomes in rows for name in re.findall("`([a-z_0-9]+)`", types)}
    assert set(PARAMETERS) <= set(said)
    for name, becomes in said.items():
        kind = PARAMETERS.get(name) or getattr(pa, name)()
        (is_so,) = (check for words, check in BECOMES.items() if re.match(rf"{words}\b", becomes))
        assert is_so(kind), name
        assert [check(kind) for check in BECOMES.values()].count(True) == 1
