"""What an answer says of its rows beside the outputs: values that training never saw, and those filled in.

{"outside": [{"row": 3, "columns": ["port"]}], "filled": [{"row": 0, "columns": ["age"]}]}

It stands in the body where the protocol has a place for it, else in the headers.
"""

import json
from collections.abc import Mapping
from typing import Any

from app.dialects.asked import AskedRows
from models_store.bundle import Bundle
from models_store.tables.table import Table

# Rows that a header lists, and the most bytes that it may have.
MOST_IN_HEADER = 20
LONGEST_HEADER = 2000
Remarks = Mapping[str, list[dict[str, Any]]]
NOTHING: Remarks = {}


def remarks_on(bundle: Bundle, question: AskedRows) -> Remarks:
    """Return what is said asked or not: rows with categories that training never saw, and rows with filled values.

    Where rows outside what training saw are treated, all of them are said.
    """
    if not isinstance(question.rows, Table):
        return {"outside": question.outside} if question.outside else NOTHING
    outside = bundle.unseen(question.rows) if question.outside is None else question.outside
    found = {"outside": outside, "filled": bundle.filled(question.rows)}
    return {name: listed for name, listed in found.items() if listed}


def with_remarks(headers: Mapping[str, str], remarks: Remarks) -> Mapping[str, str]:
    """Return the headers of an answer whose body has no place for remarks; `headers` stay as they are.

    Of each remark they have the number of rows, and the first rows.
    """
    if not remarks:
        return headers
    remarked = dict(headers)
    for name, rows in remarks.items():
        remarked[f"x-pattern-{name}-rows"] = str(len(rows))
        first = json.dumps(rows[:MOST_IN_HEADER], separators=(",", ":"))
        if len(first) <= LONGEST_HEADER:
            remarked[f"x-pattern-{name}"] = first
    return remarked
