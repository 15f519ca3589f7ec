"""The OpenAPI document: what FastAPI reads off the routes, the dialects, all errors, and examples of what is served.

The operations themselves are described beside the routes and dialects, in the terms at the top of this module.
"""

import copy
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.envelopes import NATIVE, Envelope
from app.http import keys
from app.http.dispatch import Address, Guard, anybody
from app.parts import Parts, parts_of
from app.settings import Settings
from app.statuses import codes_by_status
from models_store.bundle import Bundle
from models_store.names import LARGEST_VERSION, NAME, RESERVED
from training.recipe.spec import PatternSpec

NAMED: dict[str, Any] = {"type": "string", "pattern": f"^{NAME.pattern}$", "not": {"enum": sorted(RESERVED)}}
NUMBERED: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": LARGEST_VERSION}
RECIPE = "#/components/schemas/PatternSpec"
IDENTIFIED: dict[str, Any] = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
# What stands in a path, by its name in braces.
IN_PATHS = {
    "pattern": NAMED,
    "model": NAMED,
    "label": NAMED,
    "version": NUMBERED,
    "job": IDENTIFIED,
    "dataset": IDENTIFIED,
}
# The names under which a path has a pattern.
PATTERNS = ("pattern", "model")
ADMIN_KEY, PREDICT_KEY = "adminKey", "predictKey"
GUARDS: dict[Any, Guard] = {
    keys.require_admin: keys.check_admin,
    keys.require_predictor: keys.check_predictor,
}


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": IN_PATHS[name]}


def query_parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


# A value of a column of any kind; null where training saw missing values.
CELL = {"type": ["number", "string", "boolean", "null"]}
CELLS = {"type": "array", "minItems": 1, "items": CELL}
RECORD = {"type": "object", "additionalProperties": CELL}
RECORDS = {"type": "array", "minItems": 1, "items": RECORD}
# How often an interval or a set is to hold the right one.
LEVEL: dict[str, Any] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
BYTES = {"schema": {"type": "string", "format": "binary"}}


def install(app: FastAPI) -> None:
    """Make `/openapi.json` anew each time it is asked for: its examples are those of the patterns served then."""
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    paths, components = document["paths"], document["components"].setdefault("schemas", {})
    components |= _recipe()
    parts = parts_of(app)
    for path, operations in paths.items():
        for method, operation in operations.items():
            operation["responses"] |= _errors(NATIVE, components)
            for parameter in operation.get("parameters", []):
                if parameter["name"] in IN_PATHS and parameter["in"] == "path":
                    parameter["schema"] = IN_PATHS[parameter["name"]]
            operation.update(_security(_guard(parts, path, method), parts.settings))
    dialects = parts.dialects
    bundles = [shelf.release.bundle for shelf in parts.registry.shelves if shelf.champion is not None]
    for address in dialects.addresses:
        errors = _errors(dialects.envelope(address.path), components)
        operation = _operation(address, errors, bundles) | _security(address.guard, parts.settings)
        paths.setdefault(address.path, {})[address.method.lower()] = operation
    if schemes := _schemes(parts.settings):
        document["components"]["securitySchemes"] = schemes
    if bundles:
        _name_a_pattern(paths, bundles[0].pattern)
    return document


def _operation(address: Address, errors: dict[str, Any], bundles: list[Bundle]) -> dict[str, Any]:
    operation = copy.deepcopy(dict(address.documented))
    operation["responses"] = errors | operation["responses"]
    if address.example is not None:
        content = operation["requestBody"]["content"]["application/json"]
        content["examples"] = _examples(bundles, address.example)
    return operation


def _recipe() -> dict[str, Any]:
    """Return the schemas of a recipe and of its parts, by name."""
    whole = PatternSpec.model_json_schema(ref_template=RECIPE.replace(PatternSpec.__name__, "{model}"))
    parts: dict[str, Any] = whole.pop("$defs")
    for part in parts.values():
        if "properties" in part:
            _complete(part)
        elif not part:  # pydantic's JsonValue
            part["type"] = ["null", "boolean", "number", "string", "array", "object"]
    return parts | {PatternSpec.__name__: whole}


def _complete(part: dict[str, Any]) -> None:
    """Require the field that says which alternative a part is, and refuse names that match none of its patterns.

    Pydantic does neither, and writes the lengths of some lists as those of texts.
    """
    properties: dict[str, Any] = part.get("properties", {})
    named = [name for name, schema in properties.items() if "const" in schema]
    if named:
        part["required"] = list(dict.fromkeys([*named, *part.get("required", [])]))
    for schema in properties.values():
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        if schema.get("type") == "array":
            schema |= {f"{end}Items": schema.pop(f"{end}Length") for end in ("min", "max") if f"{end}Length" in schema}


def _name_a_pattern(paths: dict[str, Any], pattern: str) -> None:
    """Give every address of a pattern the name of one that is served, so that it can be tried as it stands."""
    for operations in paths.values():
        for operation in operations.values():
            named = [given for given in operation.get("parameters", []) if given["in"] == "path"]
            for parameter in named:
                if parameter["name"] in PATTERNS:
                    parameter["example"] = pattern


# -- keys ----------------------------------------------------------------------------------------------------------


def _schemes(settings: Settings) -> dict[str, Any]:
    """Return the keys that this server has, empty where it has none."""
    schemes = {
        ADMIN_KEY: (settings.admin_key, "for everything that changes state; good for predictions as well"),
        PREDICT_KEY: (settings.predict_key, "for predictions"),
    }
    return {
        name: {"type": "http", "scheme": "bearer", "description": description}
        for name, (key, description) in schemes.items()
        if key is not None
    }


def _security(guard: Guard | None, settings: Settings) -> dict[str, Any]:
    """Return the keys of which an operation needs one; empty where it needs none."""
    good: dict[Guard, tuple[str, ...]] = {
        anybody: (),
        keys.check_admin: (ADMIN_KEY,),
        keys.check_predictor: (PREDICT_KEY, ADMIN_KEY),
    }
    accepted = good[guard] if guard is not None else ()
    there = _schemes(settings)
    is_guarded = bool(accepted) and accepted[0] in there
    return {"security": [{name: []} for name in accepted if name in there]} if is_guarded else {}


def _guard(parts: Parts, path: str, method: str) -> Guard | None:
    """Return the guard of a native route, or None where anybody may use it."""
    for route in parts.routes:
        if isinstance(route, APIRoute) and route.path == path and method.upper() in (route.methods or ()):
            guards = {given.dependency for given in route.dependencies}
            return next((check for guard, check in GUARDS.items() if guard in guards), None)
    return None


# -- errors --------------------------------------------------------------------------------------------------------


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


# -- examples ------------------------------------------------------------------------------------------------------


def _examples(bundles: list[Bundle], example: Callable[[Bundle], Any]) -> dict[str, Any]:
    """Return one body that works for each pattern."""
    bodies = {bundle.pattern: example(bundle) for bundle in bundles}
    return {
        pattern: {"summary": f"for {pattern}", "value": body} for pattern, body in bodies.items() if body is not None
    }
