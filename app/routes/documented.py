"""The bodies of native routes in the OpenAPI document: FastAPI sees only that they read bytes."""

from typing import Any

from app.openapi import BYTES

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
