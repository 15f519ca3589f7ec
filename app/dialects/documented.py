"""Parts of the OpenAPI document that the other protocols share."""

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
    """Return an operation of the OpenAPI document, whose parameters are those in the path.

    `name` is its operationId, `answer` describes the answer with status 200, `body` is the schema of the JSON body,
    and `responses` are answers with other statuses.
    """
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
    """Return the schema of an object with exactly one of these properties; other properties are ignored."""
    return {
        "type": "object",
        "properties": properties,
        "oneOf": [{"required": [name]} for name in properties],
    }
