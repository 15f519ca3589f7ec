"""The OpenAPI document: what FastAPI reads off the routes, the dialects, all errors, and examples of what is served.

The operations themselves are described beside the routes and dialects, in the terms at the top of this module.
"""

import copy
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.envelopes import NATIVE, Envelope
from app.http.dispatch import Address
from app.parts import parts_of
from app.statuses import codes_by_status
from models_store.bundle import Bundle


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def query_parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


# A value of a column of any kind; null where training saw missing values.
CELL = {"type": ["number", "string", "boolean", "null"]}
CELLS = {"type": "array", "items": CELL}
BYTES = {"schema": {"type": "string", "format": "binary"}}


def install(app: FastAPI) -> None:
    """Make `/openapi.json` anew each time it is asked for: its examples are those of the patterns served then."""
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    paths, components = document["paths"], document["components"].setdefault("schemas", {})
    for operations in paths.values():
        for operation in operations.values():
            operation["responses"] |= _errors(NATIVE, components)
    dialects, registry = parts_of(app).dialects, parts_of(app).registry
    bundles = [shelf.release.bundle for shelf in registry.shelves if shelf.champion is not None]
    for address in dialects.addresses:
        errors = _errors(dialects.envelope(address.path), components)
        paths.setdefault(address.path, {})[address.method.lower()] = _operation(address, errors, bundles)
    return document


def _operation(address: Address, errors: dict[str, Any], bundles: list[Bundle]) -> dict[str, Any]:
    operation = copy.deepcopy(dict(address.documented))
    operation["responses"] = errors | operation["responses"]
    if address.example is not None:
        content = operation["requestBody"]["content"]["application/json"]
        content["examples"] = _examples(bundles, address.example)
    return operation


def _errors(envelope: Envelope, components: dict[str, Any]) -> dict[str, Any]:
    """Return the answers that errors may have in this envelope; its shape is added to the components."""
    components[envelope.name] = _shape(envelope.body(0, "", "", ""))
    answer = {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{envelope.name}"}}}}
    codes = codes_by_status(envelope.unprocessable)
    return {str(status): {"description": ", ".join(words), **answer} for status, words in codes.items()}


def _shape(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        return {"type": "string"}
    properties = {name: _shape(inner) for name, inner in body.items()}
    return {"type": "object", "required": list(body), "properties": properties}


def _examples(bundles: list[Bundle], example: Callable[[Bundle], Any]) -> dict[str, Any]:
    """Return one body that works for each pattern."""
    bodies = {bundle.pattern: example(bundle) for bundle in bundles}
    return {
        pattern: {"summary": f"for {pattern}", "value": body} for pattern, body in bodies.items() if body is not None
    }
