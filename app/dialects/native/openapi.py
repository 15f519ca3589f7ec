"""`/predict` in the OpenAPI document."""

from typing import Any, get_args

from app.dialects.ways import Switch, Way
from app.formats.media_types import JSON_LINES
from app.openapi import BYTES, CELLS, LEVEL, RECORD, RECORDS, path_parameter, query_parameter

TEXT: dict[str, Any] = {"schema": {"type": "string"}}
TABLES: dict[str, Any] = {
    "text/csv": TEXT,
    "application/x-npy": BYTES,
    "application/vnd.apache.arrow.stream": BYTES,
    "application/vnd.apache.arrow.file": BYTES,
    "application/vnd.apache.parquet": BYTES,
    **dict.fromkeys(JSON_LINES, TEXT),
}
PREDICT: dict[str, Any] = {
    "tags": ["predict"],
    "summary": "Predict",
    "description": "The answer has the layout of the question; it never holds NaN or Infinity. Where a category that "
    "training never saw is in the question, or a missing value that something stands in for, the answer says so, asked "
    "or not.",
    "operationId": "predict",
    "parameters": [
        path_parameter("pattern"),
        query_parameter("version", {"type": "integer", "minimum": 1}, "a version; without it the champion answers"),
        query_parameter("label", {"type": "string"}, "a label, such as champion"),
        query_parameter(
            "extra",
            {"enum": ["refuse", "ignore"], "type": "string"},
            "ignore: columns that the pattern does not know are ignored; those that training left out always are",
        ),
        query_parameter(
            "outside",
            {"type": "string", "enum": [*get_args(Way), *get_args(Switch)]},
            "rows outside what training saw are named; clip: their numbers are moved into its range; reject: they are "
            "refused; formula: the formula that was found answers them; true: what the recipe says, else warn",
        ),
        query_parameter(
            "interval",
            LEVEL,
            "of numbers: add an interval around each that holds the right one so often, [lower, upper] in raw units, "
            "in tables as columns y_lower and y_upper; rows outside what training saw are named, and not guaranteed",
        ),
        query_parameter(
            "joint", {"type": "boolean"}, "with interval: the intervals of all outputs of a row hold at once so often"
        ),
        query_parameter(
            "confidence",
            LEVEL,
            "of labels: add the set that holds the right one so often, the most probable first; in tables as a column "
            "species_set",
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
                                RECORDS,
                                {"type": "array", "minItems": 1, "items": CELLS},
                                CELLS,
                                RECORD,
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
                            "intervals": {},
                            "sets": {},
                            "outside": {"type": "array", "items": {"type": "object"}},
                            "filled": {"type": "array", "items": {"type": "object"}},
                        },
                    }
                },
                **TABLES,
            },
        }
    },
}
