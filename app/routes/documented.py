"""The bodies of native routes in the OpenAPI document: FastAPI sees only that they read bytes."""

from typing import Any

from app.formats.tables import TABLES
from app.http.edge import REQUEST_ID
from app.jobs.job import STATUSES
from app.openapi import BYTES, CELLS, NAMED, NUMBERED, RECIPE, RECORD, RECORDS
from models_store.exports.targets import BY_NAME
from models_store.tables.kinds import KINDS

SVG_OR_PNG: dict[str, Any] = {"image/svg+xml": {"schema": {"type": "string"}}, "image/png": BYTES}
EXPORTED: dict[str, Any] = {target.media_type: BYTES for target in BY_NAME.values()} | {"application/zip": BYTES}
PACKED_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/zip": BYTES}}}
EVENTS: dict[str, Any] = {"text/event-stream": {}}
PROMETHEUS: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
PAGE: dict[str, Any] = {
    "application/json": {"schema": {"type": "object"}},
    "text/html": {"schema": {"type": "string"}},
}


def answer(content: dict[str, Any], description: str) -> dict[str, Any]:
    """Return the documentation of a route that answers with status 200."""
    return {"responses": {"200": {"description": description, "content": content}}}


SHARE = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
DISTANCE = {"type": ["number", "null"], "minimum": 0}
DRIFTED: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "psi", "js", "missing", "unseen", "outside", "drifted"],
        "properties": {
            "name": {"type": "string"},
            "kind": {"type": "string", "enum": [*KINDS, "label"]},
            "psi": DISTANCE | {"description": "population stability index"},
            "js": SHARE | {"description": "Jensen-Shannon divergence in bits"},
            "missing": SHARE,
            "unseen": SHARE | {"description": "share of rows with a value that no training row had"},
            "outside": SHARE | {"description": "share of rows with a number beyond the range of the training rows"},
            "threshold": DISTANCE | {"description": "what psi exceeds where a column has drifted"},
            "drifted": {"type": ["boolean", "null"], "description": "null: too few rows for a verdict"},
            "histogram": {
                "type": "object",
                "properties": {
                    "buckets": {"type": "array", "items": {"type": "string"}},
                    "training": {"type": "array", "items": SHARE},
                    "asked": {"type": "array", "items": SHARE},
                },
            },
        },
    },
}
LAYOUTS: list[dict[str, Any]] = [
    RECORDS,
    {"type": "array", "minItems": 1, "items": CELLS},
    CELLS,
    RECORD,
    {"type": "object", "additionalProperties": CELLS},
]
RUNNING_ERROR: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "how far answers were off; null if nothing is known of it",
    "required": ["rows", "rows_needed", "metric", "value", "card", "worse", "outputs"],
    "properties": {
        "rows": {"type": "integer"},
        "rows_needed": {"type": "integer", "description": "rows that a verdict takes"},
        "metric": {"type": "string", "enum": ["rmse", "accuracy"]},
        "value": {"type": ["number", "null"]},
        "card": {"type": "number", "description": "the same of the card's test rows"},
        "worse": {"type": ["boolean", "null"], "description": "null: too few rows for a verdict"},
        "outputs": {"type": "object", "description": "value and card of each output"},
    },
}
OUTCOMES_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["outcomes"],
                    "additionalProperties": False,
                    "properties": {
                        "inputs": {"description": "as a question has them", "anyOf": LAYOUTS},
                        "request_id": {
                            "description": "in place of inputs: the header x-request-id of the answer to them",
                            "type": "string",
                            "pattern": f"^{REQUEST_ID.pattern}$",
                        },
                        "outcomes": {
                            "description": "the right answers, as an answer has its outputs",
                            "anyOf": LAYOUTS,
                        },
                    },
                    "oneOf": [{"required": ["inputs"]}, {"required": ["request_id"]}],
                }
            },
            **dict.fromkeys(TABLES, BYTES),
        },
    },
    "responses": {
        "200": {
            "description": "The running error of the last day",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["pattern", "version", "added", "outcomes", "job", "problem"],
                        "properties": {
                            "pattern": {"type": "string"},
                            "version": {"type": "integer"},
                            "added": {"type": "integer", "description": "rows of this request"},
                            "outcomes": RUNNING_ERROR,
                            "job": {"type": ["object", "null"], "description": "the training that retrain asked for"},
                            "problem": {
                                "type": ["object", "null"],
                                "description": "why the error could not be read, or no training be queued; the rows "
                                "are added all the same, and must not come again",
                                "required": ["code", "message"],
                                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
                            },
                        },
                    }
                }
            },
        }
    },
}
SINCE: dict[str, Any] = {"anyOf": [{"enum": ["hour", "day"]}, {"format": "date-time"}]}
DRIFT: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": [
                "pattern",
                "version",
                "since",
                "asked",
                "rows",
                "rows_needed",
                "columns",
                "outputs",
                "outcomes",
                "kept",
            ],
            "properties": {
                "pattern": {"type": "string"},
                "version": {"type": "integer"},
                "since": {"type": "string", "format": "date-time"},
                "asked": {"type": "integer", "description": "rows that were asked about"},
                "rows": {"type": "integer", "description": "those of them that were counted"},
                "rows_needed": {"type": "integer", "description": "rows that a verdict takes"},
                "columns": DRIFTED,
                "outputs": DRIFTED,
                "outcomes": RUNNING_ERROR,
                "kept": {"type": "boolean", "description": "false: counts of this process alone, until it ends"},
            },
        }
    }
}
DIFFERENCE: dict[str, Any] = {
    "type": "object",
    "required": ["card"],
    "properties": {
        "rmse": {"type": "number", "minimum": 0},
        "mae": {"type": "number", "minimum": 0},
        "bias": {"type": "number", "description": "the shadow's answer less the champion's, in the mean"},
        "agreement": {"type": "number", "description": "share of rows with the same most probable label"},
        "distance": {"type": "number", "description": "mean total variation of the probabilities, between 0 and 1"},
        "card": {"type": "number", "description": "RMSE or accuracy of the champion on its test rows"},
    },
}
SHADOWED_COUNTS = {
    "questions": "live questions of the champion",
    "copied": "those of them that were copied to the shadow",
    "dropped": "those that were to be copied, and were not, because too many waited",
    "failed": "copied questions that the shadow could not answer",
    "rows": "rows that both have answered",
}
SHADOWED: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["pattern", "version", "champion", "since", *SHADOWED_COUNTS, "outputs", "share", "kept"],
            "properties": {
                "pattern": {"type": "string"},
                "version": {"type": "integer", "description": "the shadow"},
                "champion": {"type": "integer"},
                "since": {"type": "string", "format": "date-time"},
                **{
                    name: {"type": "integer", "minimum": 0, "description": words}
                    for name, words in SHADOWED_COUNTS.items()
                },
                "outputs": {
                    "type": "object",
                    "description": "how far apart the answers are, by output; empty before any rows were compared",
                    "additionalProperties": DIFFERENCE,
                },
                "share": {"type": "number", "minimum": 0, "maximum": 1, "description": "of live questions, copied"},
                "kept": {"type": "boolean", "description": "false: counts of this process alone, until it ends"},
            },
        }
    }
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
                    "properties": {"version": NUMBERED},
                }
            }
        },
    }
}
JOB: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["id", "pattern", "status", "progress", "version", "metrics", "error", "times", "links"],
            "properties": {
                "id": {"type": "string"},
                "pattern": {"type": "string"},
                "status": {"type": "string", "enum": list(STATUSES)},
                "progress": {"type": "object"},
                "version": {"type": ["integer", "null"], "description": "what it has published"},
                "metrics": {"type": ["object", "null"]},
                "error": {"type": ["object", "null"]},
                "note": {"type": "string", "description": "what else to know of how it ended, if anything"},
                "times": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
                "links": {"type": "object", "additionalProperties": {"type": "string"}},
            },
        }
    }
}
TRIALS: dict[str, Any] = {
    "application/json": {
        "schema": {
            "type": "object",
            "required": ["best", "trials"],
            "properties": {
                "best": {"type": ["integer", "null"], "description": "the number of the best trial so far"},
                "trials": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["number", "state", "value", "point", "epochs", "seconds", "recipe"],
                        "properties": {
                            "number": {"type": "integer"},
                            "state": {"type": "string", "enum": ["complete", "pruned", "failed"]},
                            "value": {"type": ["number", "null"], "description": "the metric on rows held out"},
                            "point": {"type": "object", "description": "the fields that were chosen, by their paths"},
                            "epochs": {"type": "integer"},
                            "seconds": {"type": "number"},
                            "error": {"type": "string"},
                            "recipe": {"type": ["object", "null"], "description": "as POST /train takes it"},
                        },
                    },
                },
            },
        }
    },
    "text/csv": {"schema": {"type": "string"}},
}
PROMOTE = {
    "enum": ["always", "never", "if-better", True, False],
    "description": "whether the new version becomes the champion: if-better asks both the same rows first; true is "
    "always, and false never; without it as the recipe's promotion says, else always",
}
TOLERANCE = {
    "type": "number",
    "minimum": 0,
    "maximum": 1,
    "description": "with if-better alone: how much worse the new version may be, as a share of the champion's error; "
    "without it as the recipe's promotion says, else 0",
}
PART = {"type": "object", "description": "the fields that change, however deep"}
# A whole recipe; or the name of a pattern, and changes to its recipe.
TRAINING: dict[str, Any] = {
    "oneOf": [
        {
            "type": "object",
            "required": ["spec"],
            "additionalProperties": False,
            "properties": {"spec": {"$ref": RECIPE}, "promote": PROMOTE, "tolerance": TOLERANCE},
        },
        {
            "type": "object",
            "required": ["pattern"],
            "additionalProperties": False,
            "properties": {
                "pattern": NAMED,
                "promote": PROMOTE,
                "tolerance": TOLERANCE,
                "description": {"type": "string", "maxLength": 500},
                "seed": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
                **dict.fromkeys(("data", "split", "scaling", "network", "fit"), PART),
                "missing": {"type": "string", "enum": ["fill", "refuse"]},
                "outside": {
                    "type": ["string", "null"],
                    "enum": ["warn", "clip", "reject", "formula", None],
                    "description": "what becomes of rows outside what training saw, where a request does not say",
                },
                "cross_validate": {"type": ["object", "null"]},
                "search": {"type": ["object", "null"], "description": "try other values of the recipe's fields"},
                "promotion": {
                    "type": ["object", "null"],
                    "description": "when versions of this recipe become champion, where a request does not say so",
                },
                "formula": {"type": "object", "description": "how the formula behind the rows is looked for"},
            },
        },
    ]
}
TRAIN_BODY: dict[str, Any] = {
    "responses": {
        "200": {"description": "The job, ended within the time that Prefer: wait gave it", "content": JOB},
        "202": {"description": "The job, queued; its address is in Location", "content": JOB},
    },
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": TRAINING,
                "examples": {
                    "again": {"summary": "Train a pattern again", "value": {"pattern": "quadratic"}},
                    "changed": {
                        "summary": "… with changes to its recipe",
                        "value": {"pattern": "add-ten", "fit": {"epochs": 200}, "seed": 7, "promote": False},
                    },
                    "search": {
                        "summary": "Search for a better recipe",
                        "value": {
                            "pattern": "quadratic",
                            "search": {"trials": 20, "space": {"network.layers.*.units": [16, 32]}},
                        },
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
        "kind": {"enum": list(KINDS), "type": "string"},
        "missing": {"type": "integer"},
        "distinct": {"type": "integer"},
        "examples": {"type": "array", "items": {"type": ["number", "string", "boolean"]}},
        "dropped": {"type": ["string", "null"], "description": "why it is left out unless a recipe names its kind"},
        "note": {"type": ["string", "null"], "description": "what to know about it, though it is kept"},
    },
}
DATASET_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            **dict.fromkeys(("text/csv", "application/gzip", "application/zstd"), BYTES),
            **dict.fromkeys(("application/x-ndjson", "application/jsonl", "application/jsonlines"), BYTES),
            "application/vnd.apache.parquet": BYTES,
            "application/vnd.apache.arrow.stream": BYTES,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": BYTES,
            "application/vnd.oasis.opendocument.spreadsheet": BYTES,
            **dict.fromkeys(("text/x-arff", "application/x-spss-sav", "application/x-stata-dta"), BYTES),
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
                            "remarks": {
                                "type": "array",
                                "items": {"type": "string"},
                                "description": "what to know of how the file was read",
                            },
                        },
                    }
                }
            },
        }
    },
}
