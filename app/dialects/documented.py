"""Parts of the OpenAPI document that the other protocols share."""

import re
from typing import Any

from app.formats.media_types import JSON
from app.openapi import CELL, path_parameter

TEXT: dict[str, Any] = {"schema": {"type": "string"}}
OBJECT: dict[str, Any] = {"type": "object"}
# Clients that think in tensors send a column of the shape (n_rows, 1): each cell is a list of one value.
CELLS: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "items": {"anyOf": [CELL, {"type": "array", "minItems": 1, "maxItems": 1, "items": CELL}]},
}
RECORD: dict[str, Any] = {"type": "object", "additionalProperties": CELLS["items"]}
RECORDS: dict[str, Any] = {"type": "array", "minItems": 1, "items": RECORD}
ROWS: dict[str, Any] = {"anyOf": [RECORDS, {"type": "array", "minItems": 1, "items": CELLS}, CELLS]}
COLUMNS: dict[str, Any] = {"type": "object", "additionalProperties": CELLS}
# Rows as above, one record, or a list of cells for each column.
TENSORS: dict[str, Any] = {"anyOf": [*ROWS["anyOf"], RECORD, COLUMNS]}


def operation(
    tag: str,
    path: str,
    name: str,
    summary: str,
    answer: str,
    body: dict[str, Any] | None = None,
    content: dict[str, Any] | None = None,
    **responses: Any,
) -> dict[str, Any]:
    """Return an operation of the OpenAPI document, whose parameters are those in the path.

    `name` is its operationId, `answer` describes the answer with status 200, `body` is the schema of the JSON body,
    `content` is that of the answer where it is not JSON, empty where the answer is, and `responses` are answers with
    other statuses.
    """
    said = {JSON: {"schema": OBJECT}} if content is None else content
    described = {
        "tags": [tag],
        "summary": summary,
        "operationId": name,
        "parameters": [path_parameter(parameter) for parameter in re.findall("{([a-z]+)}", path)],
        "responses": {"200": {"description": answer, **({"content": said} if said else {})}, **responses},
    }
    if body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": body}}}
    return described


def one_of(also: dict[str, Any], **properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object with exactly one of these properties, and possibly those of `also`.

    Other properties are ignored.
    """
    return {
        "type": "object",
        "properties": properties | also,
        "oneOf": [{"required": [name]} for name in properties],
    }
