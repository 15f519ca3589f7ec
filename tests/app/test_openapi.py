"""The document of the API: whole, true, and with examples that work when they are sent."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from models_store.storage.store import Store
from tests.app.over_http import ARROW, CSV, JSON, NPY, addresses, an_app, client_of, pair, serving
from tests.table_fakes import passengers
from training.recipe.spec import PatternSpec, catalogue

pytestmark = pytest.mark.anyio

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
    assert list(operation["requestBody"]["content"]) == [JSON, CSV, NPY, ARROW]
    assert list(operation["responses"]["200"]["content"]) == [JSON, CSV, NPY, ARROW]
    assert operation["requestBody"]["required"]
    assert {given["name"] for given in operation["parameters"]} == {
        "pattern",
        "version",
        "label",
        "outside",
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
        assert list(content) == [JSON, CSV, NPY, ARROW]
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
