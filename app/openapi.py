"""What FastAPI cannot read off the routes: bodies read as bytes, error answers, examples from what is served."""

import copy
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.envelopes import NATIVE, Envelope
from app.parts import parts_of
from app.statuses import codes_by_status
from models_store.bundle import Bundle


def path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def query_parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


# What a column of any kind may hold; null where training saw missing values.
CELL = {"type": ["number", "string", "boolean", "null"]}
CELLS = {"type": "array", "items": CELL}
BYTES = {"schema": {"type": "string", "format": "binary"}}
TABLES: dict[str, Any] = {
    "text/csv": {"schema": {"type": "string"}},
    "application/x-npy": BYTES,
    "application/vnd.apache.arrow.stream": BYTES,
}
PREDICT: dict[str, Any] = {
    "tags": ["predict"],
    "summary": "Predict",
    "description": "The answer has the layout of the question; it never holds NaN or Infinity. Where a category that "
    "training never saw is in the question, the answer says so, asked or not.",
    "operationId": "predict",
    "parameters": [
        path_parameter("pattern"),
        query_parameter("version", {"type": "integer", "minimum": 1}, "a version; without it the champion answers"),
        query_parameter("label", {"type": "string"}, "a label, such as champion"),
        query_parameter(
            "outside",
            {"type": "boolean"},
            "add the rows outside what training saw",
        ),
        query_parameter("probabilities", {"type": "boolean"}, "of labels: add how probable each is"),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "additionalProperties": False,
                    "properties": {
                        "inputs": {
                            "description": "rows, records, one record, columns, or a flat list for one input",
                            "anyOf": [
                                {"type": "array", "items": {"type": "object", "additionalProperties": CELL}},
                                {"type": "array", "items": CELLS},
                                CELLS,
                                {"type": "object", "additionalProperties": CELL},
                                {"type": "object", "additionalProperties": CELLS},
                            ],
                        }
                    },
                }
            },
            **TABLES,
        },
    },
    "responses": {
        "200": {
            "description": "Answers in the layout of the question",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["pattern", "version", "outputs"],
                        "properties": {
                            "pattern": {"type": "string"},
                            "version": {"type": "integer"},
                            "outputs": {},
                            "probabilities": {},
                            "outside": {"type": "array", "items": {"type": "object"}},
                        },
                    }
                },
                **TABLES,
            },
        }
    },
}
LABEL_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["version"],
                    "additionalProperties": False,
                    "properties": {"version": {"type": "integer", "minimum": 1}},
                }
            }
        },
    }
}
TRAIN_BODY: dict[str, Any] = {
    "responses": {
        "200": {"description": "The job, ended within the time that Prefer: wait gave it"},
        "202": {"description": "The job, queued; its address is in Location"},
    },
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": {
                    "again": {"summary": "Train a pattern again", "value": {"pattern": "quadratic"}},
                    "changed": {
                        "summary": "… with changes to its recipe",
                        "value": {"pattern": "add-ten", "fit": {"epochs": 200}, "seed": 7, "promote": False},
                    },
                    "new": {
                        "summary": "A new pattern",
                        "value": {
                            "spec": {
                                "name": "area",
                                "data": {
                                    "kind": "formula",
                                    "inputs": {
                                        "width": {"distribution": "uniform", "low": 0, "high": 10},
                                        "height": {"distribution": "uniform", "low": 0, "high": 10},
                                    },
                                    "outputs": {"area": "width * height"},
                                    "rows": 2000,
                                },
                            }
                        },
                    },
                },
            }
        },
    },
}
COLUMN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "kind": {"enum": ["number", "category", "boolean", "date", "text"], "type": "string"},
        "missing": {"type": "integer"},
        "distinct": {"type": "integer"},
        "examples": {"type": "array", "items": {"type": ["number", "string", "boolean"]}},
        "dropped": {"type": ["string", "null"], "description": "why it is left out unless a recipe names its kind"},
    },
}
DATASET_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}},
            "application/vnd.apache.parquet": BYTES,
            "application/vnd.apache.arrow.stream": BYTES,
        },
    },
    "responses": {
        "201": {
            "description": "The table is stored; its address is in Location",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "string", "description": "the same file has the same id"},
                            "name": {"type": "string"},
                            "rows": {"type": "integer"},
                            "columns": {"type": "array", "items": COLUMN},
                            "created": {"type": "string", "format": "date-time"},
                        },
                    }
                }
            },
        }
    },
}


def install(app: FastAPI) -> None:
    """`/openapi.json` is made anew each time: its examples are those of the patterns that are served then."""
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = parts_of(app)
    dialects, components = parts.dialects, document["components"].setdefault("schemas", {})
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"] |= _errors(NATIVE, components)
    bundles = [shelf.release.bundle for shelf in parts.served.shelves if shelf.champion is not None]
    for address in dialects.addresses:
        operation = copy.deepcopy(dict(address.documented))
        operation["responses"] = _errors(dialects.envelope(address.path), components) | operation["responses"]
        if address.example is not None:
            content = operation["requestBody"]["content"]["application/json"]
            content["examples"] = _examples(bundles, address.example)
        document["paths"].setdefault(address.path, {})[address.method.lower()] = operation
    return document


def _errors(envelope: Envelope, components: dict[str, Any]) -> dict[str, Any]:
    """All that an answer of this shape may be; the shape becomes one of the components."""
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
    """One working body a pattern."""
    bodies = {bundle.pattern: example(bundle) for bundle in bundles}
    return {
        pattern: {"summary": f"for {pattern}", "value": body} for pattern, body in bodies.items() if body is not None
    }
