"""The document of the API: whole, true, and with examples that work when they are sent."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import httpx
import pytest
from jsonschema_rs import Draft202012Validator

from app.formats.media_types import ARROW_FILE, JSON_LINES, PARQUET
from models_store.storage.store import Store
from tests.app.over_http import ARROW, CSV, JSON, NPY, addresses, an_app, client_of, pair, serving
from tests.table_fakes import passengers
from training.recipe.spec import PatternSpec, catalogue

pytestmark = pytest.mark.anyio

FORMATS = [JSON, CSV, NPY, ARROW, ARROW_FILE, PARQUET, *JSON_LINES]

Document = dict[str, Any]
SCHEMAS = "#/components/schemas/"
# First segments of addresses whose errors have a shape of their own, and the status 400 where others have 422.
OLDER = {"v1": "PlainError", "v2": "PlainError", "invocations": "ScoringError", "ping": "ScoringError"}
OLDER |= dict.fromkeys(("health", "version"), "ScoringError")
CELLS = {"number": (int, float), "string": (str,), "boolean": (bool,), "null": (type(None),)}


@pytest.fixture
async def document(shared: httpx.AsyncClient) -> Document:
    answer = await shared.get("/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    document: Document = answer.json()
    return document


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    if isinstance(part, list):
        for inner in part:
            yield from references(inner)


# -- whole ---------------------------------------------------------------------------------------------------------


async def test_it_says_what_it_is(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    assert document["info"].keys() >= {"title", "version", "description"}


async def test_every_reference_leads_somewhere(document: Document) -> None:
    found = set(references(document))
    assert found >= {SCHEMAS + name for name in ("Error", "PlainError", "ScoringError")}
    for reference in found:
        part: Any = document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
        assert part["type"]


async def test_every_operation_is_complete(document: Document) -> None:
    ids = []
    for method, path, operation in operations(document):
        ids.append(operation["operationId"])
        declared = {given["name"] for given in operation.get("parameters", []) if given["in"] == "path"}
        assert declared == set(re.findall("{([a-z]+)}", path)), path
        assert all(given["required"] for given in operation.get("parameters", []) if given["in"] == "path")
        assert all(re.fullmatch("[1-5][0-9][0-9]", status) for status in operation["responses"])
        assert all(answer["description"] for answer in operation["responses"].values())
        assert [status for status in operation["responses"] if status.startswith("2")], (method, path)
        assert operation["tags"] and operation["summary"]
    assert len(set(ids)) == len(ids)


async def test_it_lists_every_route_and_no_other(document: Document, store: Store) -> None:
    served = {(method.lower(), path) for method, path in addresses(an_app(store), documented=True)}
    assert {(method, path) for method, path, _ in operations(document)} == served


async def test_every_operation_lists_the_errors_in_the_shape_of_its_protocol(document: Document) -> None:
    statuses = {"400", "401", "403", "404", "409", "413", "415", "429", "504", "507"}
    for _, path, operation in operations(document):
        name = OLDER.get(path.split("/")[1], "Error")
        assert statuses <= operation["responses"].keys(), path
        assert "503" in operation["responses"]
        assert ("422" in operation["responses"]) == (name == "Error"), path
        for status in statuses | ({"422"} & operation["responses"].keys()):
            assert operation["responses"][status]["content"] == {JSON: {"schema": {"$ref": SCHEMAS + name}}}
    schemas = document["components"]["schemas"]
    assert sorted(schemas["Error"]["properties"]["error"]["required"]) == ["code", "message", "request_id"]
    assert schemas["PlainError"]["properties"] == {"error": {"type": "string"}}
    assert schemas["ScoringError"]["required"] == ["error_code", "message"]


async def test_an_error_says_under_which_codes_it_comes(document: Document) -> None:
    described = document["paths"]["/predict/{pattern}"]["post"]["responses"]
    codes = {status: set(answer["description"].split(", ")) for status, answer in described.items()}
    assert codes["404"] >= {"unknown_job", "unknown_label", "unknown_pattern", "unknown_version"}
    assert codes["413"] == {"answer_too_large", "body_too_large", "too_many_rows"}


async def test_no_code_is_listed_that_is_never_sent(document: Document) -> None:
    described = document["paths"]["/predict/{pattern}"]["post"]["responses"]
    assert "error" not in described["422"]["description"].split(", ")


# -- predictions ---------------------------------------------------------------------------------------------------


async def test_a_prediction_takes_and_gives_every_format(document: Document) -> None:
    operation = document["paths"]["/predict/{pattern}"]["post"]
    assert list(operation["requestBody"]["content"]) == FORMATS
    assert list(operation["responses"]["200"]["content"]) == FORMATS
    assert operation["requestBody"]["required"]
    assert {given["name"] for given in operation["parameters"]} == {
        "pattern",
        "version",
        "label",
        "extra",
        "outside",
        "interval",
        "joint",
        "confidence",
        "probabilities",
    }


async def test_there_is_an_example_for_every_pattern_and_it_works(
    shared: httpx.AsyncClient, document: Document
) -> None:
    examples = document["paths"]["/predict/{pattern}"]["post"]["requestBody"]["content"][JSON]["examples"]
    assert list(examples) == ["fork", "line", "pair"]
    for pattern, example in examples.items():
        answer = await shared.post(f"/predict/{pattern}", json=example["value"])
        assert answer.status_code == 200, pattern
        assert len(answer.json()["outputs"]) == len(example["value"]["inputs"])


async def test_the_example_of_a_table_holds_cells_of_every_kind_and_works(store: Store) -> None:
    store.publish(passengers())
    async with serving(store) as client:
        document = (await client.get("/openapi.json")).json()
        content = document["paths"]["/predict/{pattern}"]["post"]["requestBody"]["content"]
        body = content[JSON]["examples"]["passengers"]["value"]
        assert body["inputs"][0] == {
            "age": 22.0,
            "port": "S",
            "crew": False,
            "boarded": "1912-04-10",
            "note": "first class",
        }
        assert (await client.post("/predict/passengers", json=body)).status_code == 200


async def test_the_examples_of_other_protocols_work_as_well(spoken: httpx.AsyncClient) -> None:
    document = (await spoken.get("/openapi.json")).json()
    versions = {"label": "champion", "version": "1"}
    tried = []
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get(JSON, {})
        if path.startswith("/v1/") or "invocations" in path:
            for pattern, example in content.get("examples", {}).items():
                address = path.format(model=pattern, **versions)
                answer = await spoken.request(method, address, params={"pattern": pattern}, json=example["value"])
                assert answer.status_code == 200, (address, answer.text)
                assert [len(rows) for rows in answer.json().values()] == [2]
                tried.append(f"{path} {pattern}")
    assert {"/v1/models/{model}:predict passengers", "/v1/models/{model}/labels/{label}:classify flowers"} <= set(tried)
    assert {"/v1/models/{model}:regress rents", "/invocations messages", "/v1/endpoints/7:predict line"} <= set(tried)
    assert not {"/v1/models/{model}:regress flowers", "/v1/models/{model}:classify line"} & set(tried)


async def test_examples_come_and_go_with_what_is_served(published: Store) -> None:
    async def examples(client: httpx.AsyncClient) -> list[str]:
        document = (await client.get("/openapi.json")).json()
        content = document["paths"]["/predict/{pattern}"]["post"]["requestBody"]["content"]
        assert list(content) == FORMATS
        return list(content[JSON]["examples"])

    async with serving(published) as client:
        assert await examples(client) == ["line"]
        published.publish(pair())
        await client.put("/patterns/line/labels/seen", json={"version": 1})
        assert await examples(client) == ["line", "pair"]


async def test_it_can_be_read_before_anything_is_loaded(published: Store) -> None:
    async with client_of(an_app(published)) as client:
        document = (await client.get("/openapi.json")).json()
    assert document["paths"]["/predict/{pattern}"]["post"]["requestBody"]["content"][JSON]["examples"] == {}


async def test_the_schema_of_inputs_has_a_place_for_every_layout(document: Document) -> None:
    content = document["paths"]["/predict/{pattern}"]["post"]["requestBody"]["content"]
    inputs = content[JSON]["schema"]["properties"]["inputs"]["anyOf"]
    layouts = [[[1, 2]], [{"x": 1}], {"x": 1}, {"x": [1]}, [1, 2], [["a", True, None]], {"x": "a"}, {"x": [None]}]
    assert [sum(fits(layout, schema) for schema in inputs) for layout in layouts] == [1] * len(layouts)
    refused: list[object] = ["1", True, None, 1, [[["1"]]], [{"x": {}}], {"x": [[1]]}, [1, [1]]]
    assert [sum(fits(layout, schema) for schema in inputs) for layout in refused] == [0] * len(refused)


def fits(value: object, schema: Document) -> bool:
    """True if the value matches the schema, of which only the few words are known that are used here."""
    match schema["type"]:
        case list(kinds):
            return any(type(value) in CELLS[kind] for kind in kinds)
        case "array":
            return isinstance(value, list) and all(fits(item, schema["items"]) for item in value)
        case "object":
            return isinstance(value, dict) and all(
                fits(item, schema["additionalProperties"]) for item in value.values()
            )
    raise AssertionError(schema)


async def test_the_examples_for_training_are_recipes(document: Document) -> None:
    examples = document["paths"]["/train"]["post"]["requestBody"]["content"][JSON]["examples"]
    bodies = [dict(example["value"]) for example in examples.values()]
    for body in bodies:
        if "spec" in body:
            assert PatternSpec.parse(body["spec"]).name
        else:
            changes = {name: value for name, value in body.items() if name not in ("pattern", "promote")}
            assert catalogue()[body["pattern"]].overridden(changes).name == body["pattern"]


async def test_people_find_it_at_docs(shared: httpx.AsyncClient) -> None:
    answer = await shared.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in answer.text


# -- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/health", "/ping"])
async def test_health_answers_nothing_and_says_so(shared: httpx.AsyncClient, document: Document, path: str) -> None:
    assert (await shared.get(path)).content == b""
    assert "content" not in document["paths"][path]["get"]["responses"]["200"]


@pytest.mark.parametrize(
    ("path", "accept", "address"),
    [
        ("/version", "*/*", "/version"),
        ("/metrics", "*/*", "/metrics"),
        ("/", "text/html", "/"),
        ("/", "*/*", "/"),
        ("/patterns/line/versions/1/plots/learning-curve.svg", "*/*", None),
        ("/patterns/line/versions/1/plots/learning-curve.png", "*/*", None),
    ],
)
async def test_what_is_not_json_says_so(
    shared: httpx.AsyncClient, document: Document, path: str, accept: str, address: str | None
) -> None:
    address = address or "/patterns/{pattern}/versions/{version}/plots/{kind}.{picture}"
    answer = await shared.get(path, headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] in content_of(document, "get", address)


async def test_events_are_a_stream_and_a_training_is_a_job(document: Document) -> None:
    assert list(content_of(document, "get", "/train/{job}/events")) == ["text/event-stream"]
    for method, path, status in (
        ("post", "/train", "202"),
        ("post", "/train", "200"),
        ("get", "/train/{job}", "200"),
        ("delete", "/train/{job}", "200"),
    ):
        job = content_of(document, method, path, status)[JSON]["schema"]
        assert {"id", "status", "links"} <= set(job["required"])


def content_of(document: Document, method: str, path: str, status: str = "200") -> Document:
    content: Document = document["paths"][path][method]["responses"][status]["content"]
    return content


# -- questions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/predict/{pattern}", {"inputs": []}),
        ("/predict/{pattern}", {"inputs": [[]]}),
        ("/predict/{pattern}", {"inputs": {"x": []}}),
        ("/v1/models/{model}:predict", {"instances": []}),
        ("/v1/models/{model}:predict", {"instances": [[]]}),
        ("/v1/models/{model}:predict", {"instances": [1], "signature_name": "another"}),
        ("/v1/models/{model}:predict", {"instances": [[[1, 2]]]}),
        ("/v1/models/{model}:regress", {"examples": []}),
        ("/v1/models/{model}:regress", {"examples": [{"x": 1}], "context": 1}),
        ("/invocations", {"instances": []}),
        ("/invocations", {"dataframe_records": []}),
        ("/invocations", {"dataframe_split": {"columns": ["x"]}}),
        ("/invocations", {"dataframe_split": {"data": []}}),
        ("/invocations", {"dataframe_split": {"columns": ["x", "x"], "data": [[1, 1]]}}),
        ("/invocations", {"instances": [1], "params": 1}),
        ("/v2/models/{model}/infer", {"inputs": []}),
        ("/v2/models/{model}/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}),
        ("/v2/models/{model}/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": ["1"]}]}),
        ("/v2/models/{model}/infer", {"inputs": [{"name": "x", "datatype": "FP16", "shape": [1], "data": [1]}]}),
        ("/v2/models/{model}/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [0], "data": []}]}),
        ("/v2/models/{model}/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1, 1], "data": [1]}]}),
        ("/v2/repository/models/{model}/load", {"parameters": {"config": "{}"}}),
        ("/train", {}),
        ("/train", {"pattern": "line", "epochs": 3}),
        ("/train", {"spec": {"name": "area", "data": {"inputs": {}, "outputs": {}}}}),
        ("/train", {"spec": {"name": "area", "data": {"kind": "table", "dataset": "iris", "target": []}}}),
    ],
)
async def test_what_is_refused_is_not_admitted_by_the_schema(
    shared: httpx.AsyncClient, document: Document, address: str, body: Document
) -> None:
    answer = await shared.post(address.format(pattern="line", model="line"), params=only(address), json=body)
    assert answer.status_code in (400, 422), answer.text
    assert not admits(document, address, body)


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/predict/{pattern}", {"inputs": [[1]]}),
        ("/predict/{pattern}", {"inputs": {"x": 1}}),
        ("/v1/models/{model}:predict", {"instances": [[[1]]], "signature_name": "serving_default"}),
        ("/v1/models/{model}:predict", {"inputs": {"x": [[1]]}}),
        ("/v1/models/{model}:predict", {"inputs": {"x": 1}}),
        ("/v1/models/{model}:regress", {"examples": [{}, {}], "context": {"x": 1}}),
        ("/invocations", {"dataframe_split": {"data": [[1]]}}),
        ("/invocations", {"dataframe_split": {"columns": [0], "data": [[1]]}, "params": None}),
        ("/invocations", {"inputs": {"x": 1}}),
        ("/v2/models/{model}/infer", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [[1]]}]}),
        ("/v2/repository/index", {"ready": True}),
    ],
)
async def test_what_is_answered_is_admitted_by_the_schema(
    shared: httpx.AsyncClient, document: Document, address: str, body: Document
) -> None:
    answer = await shared.post(address.format(pattern="line", model="line"), params=only(address), json=body)
    assert answer.status_code == 200, answer.text
    assert admits(document, address, body)


def only(address: str) -> dict[str, str]:
    return {"pattern": "line"} if address == "/invocations" else {}


def admits(document: Document, address: str, body: object) -> bool:
    """True if the schema of the JSON body at this address admits the body."""
    schema = document["paths"][address]["post"]["requestBody"]["content"][JSON]["schema"]
    return Draft202012Validator({**schema, "components": document["components"]}).is_valid(body)


async def test_a_path_says_what_may_stand_in_it(document: Document) -> None:
    for _, path, operation in operations(document):
        given = {each["name"]: each for each in operation.get("parameters", []) if each["in"] == "path"}
        for name in {"pattern", "model"} & given.keys():
            assert re.fullmatch(given[name]["schema"]["pattern"], "add-ten"), path
            assert not re.fullmatch(given[name]["schema"]["pattern"], "Add ten"), path
            assert given[name]["example"] == "fork", path
        if "version" in given:
            assert (given["version"]["schema"]["type"], given["version"]["schema"]["minimum"]) == ("integer", 1), path


async def test_how_a_csv_file_is_written_is_one_of_a_list(document: Document) -> None:
    given = {each["name"]: each["schema"] for each in document["paths"]["/datasets"]["post"]["parameters"]}
    assert given["delimiter"]["enum"] == [",", ";", "\t", "|", " ", "tab", "\\t", "space", "spaces"]
    assert given["decimal"]["enum"] == [".", ","]
    assert {"utf-8", "windows-1252"} <= set(given["encoding"]["enum"])


# -- keys ----------------------------------------------------------------------------------------------------------


async def test_it_says_which_keys_are_needed(published: Store) -> None:
    async with serving(published, admin_key="sesame-admin", predict_key="sesame-predict") as client:
        document = (await client.get("/openapi.json")).json()
    assert set(document["components"]["securitySchemes"]) == {"adminKey", "predictKey"}
    needed = {
        (method, path): [*chain.from_iterable(operation.get("security", []))]
        for method, path, operation in operations(document)
    }
    assert needed["post", "/train"] == needed["delete", "/patterns/{pattern}"] == ["adminKey"]
    assert needed["post", "/v2/repository/models/{model}/load"] == ["adminKey"]
    assert needed["post", "/predict/{pattern}"] == needed["post", "/invocations"] == ["predictKey", "adminKey"]
    assert needed["get", "/patterns"] == needed["get", "/health"] == []


async def test_without_keys_it_asks_for_none(document: Document) -> None:
    assert "securitySchemes" not in document["components"]
    assert not [path for _, path, operation in operations(document) if "security" in operation]


async def test_no_part_requires_a_field_twice(client: httpx.AsyncClient) -> None:
    parts = (await client.get("/openapi.json")).json()["components"]["schemas"]
    required = {name: part["required"] for name, part in parts.items() if "required" in part}
    assert {name: fields for name, fields in required.items() if len(set(fields)) < len(fields)} == {}
