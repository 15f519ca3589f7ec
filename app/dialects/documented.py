"""Operations of the OpenAPI document that other protocols' addresses have in common."""

import re
from typing import Any

from app.formats.media_types import JSON
from app.openapi import CELL, CELLS, path_parameter

TEXT: dict[str, Any] = {"schema": {"type": "string"}}
OBJECT: dict[str, Any] = {"type": "object"}
RECORD: dict[str, Any] = {"type": "object", "additionalProperties": CELL}
RECORDS: dict[str, Any] = {"type": "array", "items": RECORD}
ROWS: dict[str, Any] = {"anyOf": [RECORDS, {"type": "array", "items": CELLS}, CELLS]}
COLUMNS: dict[str, Any] = {"type": "object", "additionalProperties": CELLS}


def operation(
    tag: str, path: str, name: str, summary: str, answer: str, body: dict[str, Any] | None = None, **responses: Any
) -> dict[str, Any]:
    """`name` is the operation's, `answer` describes what comes with 200, and `body` is the schema of the JSON sent."""
    described = {
        "tags": [tag],
        "summary": summary,
        "operationId": name,
        "parameters": [path_parameter(parameter) for parameter in re.findall("{([a-z]+)}", path)],
        "responses": {"200": {"description": answer, "content": {JSON: {"schema": OBJECT}}}, **responses},
    }
    if body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    return described


def one_of(**properties: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly one of these, and whatever else; what else there is, is ignored."""
    return {
        "type": "object",
        "properties": properties,
        "oneOf": [{"required": [name]} for name in properties],
    }
