"""Patterns, cards, history and plots; labels, rollback and deletion."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, get_args

import httpx
import numpy as np
import pytest

from app.answering.registry import Registry, Shelf
from models_store.bundle import Bundle
from models_store.card import ClosedForm, Promotion
from models_store.errors import BundleUnreadable
from models_store.plots.draw import PlotName
from models_store.storage.store import Store
from tests.app.over_http import JSON, fork, message, outputs_of, pair, post, refusal, serving
from tests.fakes import line, that_errs
from tests.table_fakes import passengers, rents

pytestmark = pytest.mark.anyio

EXACT = {"rmse": 0.0, "mae": 0.0, "median_error": 0.0, "r2": 1.0, "max_error": 0.0}
DOUBLE = ClosedForm(
    text="2*x",
    latex=r"2 \, x",
    python="import math\n\n\ndef y(x):\n    return 2 * x\n",
    rmse=0.0,
    network_rmse=0.1,
    terms=1,
    is_exact=True,
)
SVG = b"<?xml"
PNG = b"\x89PNG\r\n\x1a\n"
POST, DELETE = "POST", "DELETE"


@pytest.fixture
async def client(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    """Versions 1, 2, 3 of `line` with y = 2x, 20x, 200x, the last one champion; and `pair`."""
    for slope in (2, 20, 200):
        store.publish(line(slope))
    store.publish(pair())
    async with serving(store) as client:
        yield client


def links(pattern: str, version: int) -> dict[str, str]:
    here = f"/patterns/{pattern}/versions/{version}"
    return {
        "card": here,
        "history": f"{here}/history",
        "predict": f"/predict/{pattern}?version={version}",
        "learning-curve": f"{here}/plots/learning-curve.svg",
        "predicted-vs-actual": f"{here}/plots/predicted-vs-actual.svg",
        "residuals": f"{here}/plots/residuals.svg",
    }


def described(bundle: Bundle) -> dict[str, Any]:
    return {"card": bundle.card.model_dump(mode="json"), "recipe": bundle.recipe}


def line_with(champion: int, *versions: int, **labels: int) -> dict[str, Any]:
    """Return the summary of `line` with these versions."""
    return {
        "name": "line",
        "versions": list(versions),
        "labels": {"champion": champion, **labels},
        "champion": champion,
        "unloaded": False,
        "description": "",
        "task": "regression",
        "inputs": ["x"],
        "kinds": {"x": "number"},
        "outputs": ["y"],
        "classes": None,
        "formulas": None,
        "test": EXACT,
    }


async def slope(client: httpx.AsyncClient, **query: Any) -> float:
    """Tells which of the lines answers."""
    return float((await outputs_of(client, [1], **query))[0])


# -- looking -------------------------------------------------------------------------------------------------------


async def test_a_decision_on_a_promotion_stands_on_both_cards(store: Store, client: httpx.AsyncClient) -> None:
    decided = Promotion(
        champion=3, promoted=False, outcome="not_sure", why="Not promoted: it may be worse.", tolerance=0
    )
    challenger = line(2)
    card = challenger.card.model_copy(update={"promotion": decided})
    store.publish(replace(challenger, card=card), promote=False)
    await client.put("/patterns/line/labels/canary", json={"version": 4})
    said = {"version": 4, **decided.model_dump(mode="json")}
    assert (await client.get("/patterns/line")).json()["challengers"] == [said]
    told = {version: (await client.get(f"/patterns/line/versions/{version}")).json() for version in (2, 3, 4)}
    assert [told[version].get("challengers") for version in told] == [None, [said], None]
    assert told[4]["card"]["promotion"] == decided.model_dump(mode="json")


async def test_every_pattern_says_what_it_takes_answers_and_is_worth(client: httpx.AsyncClient) -> None:
    in_pair = {
        "name": "pair",
        "versions": [1],
        "labels": {"champion": 1},
        "champion": 1,
        "unloaded": False,
        "description": "a fake",
        "task": "regression",
        "inputs": ["x1", "x2"],
        "kinds": {"x1": "number", "x2": "number"},
        "outputs": ["y1", "y2"],
        "classes": None,
        "formulas": {"y1": "x1 + 2*x2", "y2": "x1 - x2"},
        "test": EXACT,
    }
    assert (await client.get("/patterns")).json() == {"patterns": [line_with(3, 1, 2, 3), in_pair]}


async def test_a_pattern_shows_the_card_and_recipe_of_its_champion(client: httpx.AsyncClient) -> None:
    answer = await client.get("/patterns/line")
    assert answer.json() == line_with(3, 1, 2, 3) | described(line(200)) | {"links": links("line", 3)}


async def test_an_answer_tells_of_one_version_also_if_another_is_swapped_in_meanwhile(
    client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Registry.shelf

    def look_before_a_swap(served: Registry, pattern: str) -> Shelf:
        shelf = look(served, pattern)
        store.publish(line(2000))
        served._follow()
        return shelf

    monkeypatch.setattr(Registry, "shelf", look_before_a_swap)
    answer = await client.get("/patterns/line")
    assert answer.json() == line_with(3, 1, 2, 3) | described(line(200)) | {"links": links("line", 3)}
    card = await client.get("/patterns/line/versions/4")
    assert (card.json()["labels"], card.json()["recipe"]) == (["champion"], line(2000).recipe)


@pytest.mark.parametrize(("version", "labels"), [(1, []), (2, []), (3, ["champion"])])
async def test_every_version_shows_its_own_card_and_recipe(
    client: httpx.AsyncClient, version: int, labels: list[str]
) -> None:
    answer = await client.get(f"/patterns/line/versions/{version}")
    facts = {"pattern": "line", "version": version, "labels": labels, "links": links("line", version)}
    assert answer.json() == facts | described(line(2 * 10 ** (version - 1)))


@pytest.mark.parametrize("version", [1, 3])
async def test_every_version_shows_its_history(client: httpx.AsyncClient, version: int) -> None:
    answer = await client.get(f"/patterns/line/versions/{version}/history")
    assert answer.json() == {"pattern": "line", "version": version, "history": {"loss": [0.5, 0.25]}}


async def test_the_links_lead_somewhere(shared: httpx.AsyncClient) -> None:
    links = (await shared.get("/patterns/pair")).json()["links"]
    predicted = await shared.post(links["predict"], json={"inputs": [[2, 1]]})
    assert predicted.json() == {"pattern": "pair", "version": 1, "outputs": [[4.0, 1.0]]}
    assert (await shared.get(links["card"])).json()["version"] == 1
    assert (await shared.get(links["history"])).json()["version"] == 1


async def test_the_formula_behind_a_pattern_is_told_with_its_error_beside_the_networks(store: Store) -> None:
    bundle = line(2)
    store.publish(replace(bundle, card=bundle.card.model_copy(update={"closed_forms": {"y": DOUBLE}})))
    store.publish(line(20))
    async with serving(store) as client:
        links = (await client.get("/patterns/line/versions/1")).json()["links"]
        told = (await client.get(links["formula"])).json()
        assert refusal(await client.get("/patterns/line/formula")) == (404, "no_formula")
        assert "formula" not in (await client.get("/patterns/line")).json()["links"]
    assert told == {"pattern": "line", "version": 1, "outputs": {"y": DOUBLE.model_dump()}}
    assert list(told["outputs"]["y"]) == ["text", "latex", "python", "rmse", "network_rmse", "terms", "is_exact"]


async def test_two_versions_are_compared_on_the_test_rows_of_both(store: Store) -> None:
    for bundle in (that_errs(by=2.0), that_errs(by=1.0), line(2)):
        store.publish(bundle)
    async with serving(store) as client:
        told = (await client.get("/patterns/line/compare?versions=1,2")).json()
        refused = await client.get("/patterns/line/compare?versions=2,3")
    assert {name: told[name] for name in ("pattern", "versions", "first", "second", "rows", "figures", "verdict")} == {
        "pattern": "line",
        "versions": [1, 2],
        "first": "line@1",
        "second": "line@2",
        "rows": 40,
        "figures": {name: {"rmse": by, "mae": by} for name, by in (("line@1", 2.0), ("line@2", 1.0), ("linear", 3.0))},
        "verdict": "line@2 is better than line@1: RMSE 1 against 2 on 40 test rows; the difference is 1 ± 0 "
        "(95 %: 1 to 1).",
    }
    assert told["differences"][0]["by"]["rmse"]["difference"] == 1.0
    assert refusal(refused) == (409, "not_comparable")


@pytest.mark.parametrize("pattern", ["pair", "fork"])
async def test_a_sample_works_as_it_is_when_it_is_posted(shared: httpx.AsyncClient, pattern: str) -> None:
    sample = await shared.get(f"/patterns/{pattern}/sample")
    bundle = {"pair": pair, "fork": fork}[pattern]()
    assert [list(record) for record in sample.json()["inputs"]] == [list(bundle.inputs)] * 2
    outputs = (await post(shared, sample.content, sample.headers["content-type"], pattern)).json()["outputs"]
    asked = np.array([list(record.values()) for record in sample.json()["inputs"]])
    assert [list(record.values()) for record in outputs] == bundle.predict(asked).tolist()


@pytest.mark.parametrize(
    ("plot", "media_type", "start"),
    [
        ("learning-curve.png", "image/png", PNG),
        ("predicted-vs-actual.svg", "image/svg+xml", SVG),
    ],
)
async def test_plots_are_pictures_and_the_same_each_time(
    shared: httpx.AsyncClient, plot: str, media_type: str, start: bytes
) -> None:
    answer, again = [await shared.get(f"/patterns/pair/versions/1/plots/{plot}") for _ in range(2)]
    assert (answer.headers["content-type"], answer.content[: len(start)]) == (media_type, start)
    assert answer.headers["cache-control"] == "max-age=86400"
    assert again.content == answer.content


async def test_who_waits_for_pictures_keeps_nobody_else_waiting(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()

    def slow(*_: object, **__: object) -> bytes:
        assert go.wait(60)
        return SVG

    monkeypatch.setattr("app.routes.models.draw", slow)
    picture = "/patterns/line/versions/3/plots/residuals.svg"
    drawing = [asyncio.create_task(client.get(picture)) for _ in range(50)]
    await asyncio.sleep(0)
    assert (await client.get("/patterns/line/versions/1")).json()["version"] == 1
    assert not any(task.done() for task in drawing)
    go.set()
    assert {answer.content for answer in await asyncio.gather(*drawing)} == {SVG}


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/patterns/unheard-of", 404, "unknown_pattern"),
        ("/patterns/unheard-of/sample", 404, "unknown_pattern"),
        ("/patterns/unheard-of/formula", 404, "unknown_pattern"),
        ("/patterns/line/formula?version=2", 404, "unknown_version"),
        ("/patterns/line/formula", 404, "no_formula"),
        ("/patterns/unheard-of/compare?versions=1,2", 404, "unknown_pattern"),
        ("/patterns/line/compare?versions=1,2", 404, "unknown_version"),
        ("/patterns/line/compare?versions=1,1", 409, "not_comparable"),
        ("/patterns/line/compare?versions=1", 422, "bad_parameter"),
        ("/patterns/line/compare?versions=1,2,3", 422, "bad_parameter"),
        ("/patterns/line/compare?versions=0,1", 422, "bad_parameter"),
        ("/patterns/line/compare", 422, "bad_parameter"),
        ("/patterns/unheard-of/versions/1", 404, "unknown_pattern"),
        ("/patterns/line/versions/2", 404, "unknown_version"),
        ("/patterns/line/versions/0", 404, "unknown_version"),
        ("/patterns/line/versions/-1", 404, "unknown_version"),
        (f"/patterns/line/versions/{10**30}", 404, "unknown_version"),
        ("/patterns/line/versions/2/history", 404, "unknown_version"),
        ("/patterns/line/versions/2/plots/residuals.svg", 404, "unknown_version"),
        ("/patterns/unheard-of/versions/1/plots/residuals.svg", 404, "unknown_pattern"),
        ("/patterns/line/versions/sesame", 404, "not_found"),
        ("/patterns/line/versions/champion", 404, "not_found"),
        ("/patterns/line/versions/1/plots/sesame.svg", 404, "not_found"),
        ("/patterns/line/versions/1/plots/confusion.svg", 404, "plot_not_applicable"),
        ("/patterns/line/versions/1/plots/residuals.gif", 404, "not_found"),
        ("/patterns/line/versions/1/plots/residuals", 404, "not_found"),
        ("/patterns/line/sesame", 404, "not_found"),
    ],
)
async def test_what_is_not_there_is_not_shown(shared: httpx.AsyncClient, path: str, status: int, code: str) -> None:
    assert refusal(await shared.get(path)) == (status, code)


# -- tables --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def tables(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    for bundle in (passengers(), rents()):
        store.publish(bundle)
    async with serving(store) as client:
        yield client


async def test_a_table_says_what_its_columns_are_and_what_it_tells_apart(tables: httpx.AsyncClient) -> None:
    said = (await tables.get("/patterns/passengers")).json()
    assert (said["task"], said["classes"], said["formulas"]) == ("classification", ["no", "yes"], None)
    assert said["kinds"] == {
        "age": "number",
        "port": "category",
        "crew": "boolean",
        "boarded": "date",
        "note": "text",
    }
    assert (said["test"]["accuracy"], said["labels"]) == (0.875, {"champion": 1})
    said = (await tables.get("/patterns/rents")).json()
    assert (said["task"], said["classes"], said["formulas"]) == ("regression", None, None)


@pytest.mark.parametrize("pattern", ["passengers", "rents"])
async def test_the_plots_that_are_linked_are_those_that_there_are(tables: httpx.AsyncClient, pattern: str) -> None:
    links = (await tables.get(f"/patterns/{pattern}")).json()["links"]
    for kind in get_args(PlotName):
        answer = await tables.get(f"/patterns/{pattern}/versions/1/plots/{kind}.svg")
        assert answer.status_code == (200 if kind in links else 404)
    assert ("residuals" in links) == (pattern == "rents")


async def test_the_sample_of_a_table_works_as_it_is(tables: httpx.AsyncClient) -> None:
    for pattern in ("passengers", "rents"):
        sample = await tables.get(f"/patterns/{pattern}/sample")
        assert (await post(tables, sample.content, JSON, pattern)).status_code == 200


# -- labels --------------------------------------------------------------------------------------------------------


async def test_a_label_points_at_a_version_and_answers_for_it(client: httpx.AsyncClient) -> None:
    answer = await client.put("/patterns/line/labels/candidate", json={"version": 1})
    assert (answer.status_code, answer.json()) == (200, line_with(3, 1, 2, 3, candidate=1))
    assert (await slope(client, label="candidate"), await slope(client)) == (2, 200)
    assert (await client.get("/patterns/line/versions/1")).json()["labels"] == ["candidate"]


async def test_a_label_that_is_removed_answers_no_more_and_its_version_stays(client: httpx.AsyncClient) -> None:
    await client.put("/patterns/line/labels/candidate", json={"version": 1})
    answer = await client.delete("/patterns/line/labels/candidate")
    assert (answer.status_code, answer.json()) == (200, line_with(3, 1, 2, 3))
    gone = await client.post("/predict/line?label=candidate", json={"inputs": [1]})
    assert refusal(gone) == (404, "unknown_label")
    assert await slope(client, version=1) == 2


async def test_moving_champion_moves_what_answers(client: httpx.AsyncClient) -> None:
    answer = await client.put("/patterns/line/labels/champion", json={"version": 2})
    assert answer.json() == line_with(2, 1, 2, 3)
    assert (await slope(client), await slope(client, label="champion")) == (20, 20)


async def test_a_label_is_moved_not_doubled(client: httpx.AsyncClient, store: Store) -> None:
    for version in (1, 2, 2):
        await client.put("/patterns/line/labels/candidate", json={"version": version})
    assert store.aliases("line") == {"champion": 3, "candidate": 2}


async def test_a_change_that_was_made_is_acknowledged_also_where_it_cannot_be_followed_yet(
    client: httpx.AsyncClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(_: Store) -> dict[str, object]:
        raise BundleUnreadable("the store cannot be read (Too many open files)")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "signature", unreadable)
        answer = await client.put("/patterns/line/labels/champion", json={"version": 1})
        assert (answer.status_code, store.aliases("line")) == (200, {"champion": 1})
    await client.put("/patterns/line/labels/stable", json={"version": 2})
    assert await slope(client) == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/patterns/line/labels/beta", '{"version": 4}', 404, "unknown_version"),
        ("/patterns/unheard-of/labels/beta", '{"version": 1}', 404, "unknown_pattern"),
        ("/patterns/line/labels/Sesame", '{"version": 1}', 422, "bad_label"),
        ("/patterns/line/labels/1", '{"version": 1}', 422, "bad_label"),
        ("/patterns/line/labels/stats", '{"version": 1}', 422, "bad_label"),
        ("/patterns/line/labels/%2e%2e", '{"version": 1}', 422, "bad_label"),
        (f"/patterns/line/labels/{'a' * 64}", '{"version": 1}', 422, "bad_label"),
        ("/patterns/line/labels/beta", '{"version": 0}', 422, None),
        ("/patterns/line/labels/beta", '{"version": "1"}', 422, None),
        ("/patterns/line/labels/beta", '{"version": 1.5}', 422, None),
        ("/patterns/line/labels/beta", '{"version": true}', 422, None),
        ("/patterns/line/labels/beta", '{"version": null}', 422, None),
        ("/patterns/line/labels/beta", "{}", 422, None),
        ("/patterns/line/labels/beta", "[1]", 422, None),
        ("/patterns/line/labels/beta", '"sesame"', 422, None),
        ("/patterns/line/labels/beta", '{"version": ' + "[" * 100_000 + "}", 400, None),
        ("/patterns/line/labels/beta", '{"version": ' + "9" * 5000 + "}", 400, None),
    ],
)
async def test_a_label_that_cannot_be_set_is_refused(
    shared: httpx.AsyncClient, path: str, body: str, status: int, code: str | None
) -> None:
    found = refusal(await shared.put(path, content=body, headers={"content-type": JSON}))
    assert found == (status, code or found[1])
    assert (await shared.get("/patterns/line")).json()["labels"] == {"champion": 1}


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"version": ', JSON, 400),
        (b"", JSON, 400),
        (b'{"version": NaN}', JSON, 400),
        (b'{"version": 1, "version": 2}', JSON, 400),
        ('{"version": 1}'.encode("utf-16"), JSON, 400),
        (b'{"version": 1}', "text/plain", 415),
        (b'{"version": 1}', "application/json; charset=utf-16", 415),
        (b'{"version": 1}', "", 415),
        (b'{"version": 1, "sesame": 1}', JSON, 422),
    ],
)
async def test_the_body_of_a_label_is_read_as_strictly_as_any_other(
    client: httpx.AsyncClient, body: bytes, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type}
    answer = await client.put("/patterns/line/labels/beta", content=body, headers=headers)
    assert refusal(answer)[0] == status


# -- rollback ------------------------------------------------------------------------------------------------------


async def test_rolling_back_goes_one_version_at_a_time_and_then_no_further(client: httpx.AsyncClient) -> None:
    for champion in (2, 1):
        answer = await client.post("/patterns/line/rollback")
        assert (answer.status_code, answer.json()) == (200, line_with(champion, 1, 2, 3))
        assert await slope(client) == 2 * 10 ** (champion - 1)
    answer = await client.post("/patterns/line/rollback")
    assert refusal(answer) == (409, "nothing_to_roll_back")
    assert await slope(client) == 2


async def test_publishing_after_a_rollback_moves_on(client: httpx.AsyncClient, store: Store) -> None:
    await client.post("/patterns/line/rollback")
    store.publish(line(5))
    answer = await client.put("/patterns/line/labels/stable", json={"version": 4})
    assert answer.json() == line_with(4, 1, 2, 3, 4, stable=4)
    assert await slope(client) == 5


# -- deletion ------------------------------------------------------------------------------------------------------


async def test_a_deleted_version_is_gone(client: httpx.AsyncClient, store: Store) -> None:
    assert await slope(client, version=1) == 2
    answer = await client.delete("/patterns/line/versions/1")
    assert (answer.status_code, answer.json()) == (200, line_with(3, 2, 3))
    assert store.versions("line") == [2, 3]
    gone = await client.post("/predict/line?version=1", json={"inputs": [1]})
    assert refusal(gone) == (404, "unknown_version")
    assert message(gone) == "pattern line has no such version; it has 2, 3"


async def test_a_deleted_pattern_is_gone(client: httpx.AsyncClient, store: Store) -> None:
    assert (await client.delete("/patterns/line")).status_code == 204
    assert "line" not in store.patterns()
    assert refusal(await client.post("/predict/line", json={"inputs": [1]})) == (404, "unknown_pattern")
    assert refusal(await client.delete("/patterns/line")) == (404, "unknown_pattern")


@pytest.mark.parametrize("label", ["champion", "candidate"])
async def test_a_version_that_a_label_points_at_is_not_deleted(client: httpx.AsyncClient, label: str) -> None:
    await client.put("/patterns/line/labels/candidate", json={"version": 1})
    version = {"champion": 3, "candidate": 1}[label]
    answer = await client.delete(f"/patterns/line/versions/{version}")
    assert refusal(answer) == (409, "version_in_use")
    assert message(answer) == f"version {version} of line is what {label} points at; move the label first"
    assert (await client.get("/patterns/line")).json()["versions"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        (DELETE, "/patterns/line/versions/4", 404, "unknown_version"),
        (DELETE, "/patterns/line/versions/0", 404, "unknown_version"),
        (DELETE, "/patterns/line/versions/sesame", 404, "not_found"),
        (DELETE, "/patterns/unheard-of/versions/1", 404, "unknown_pattern"),
        (DELETE, "/patterns/line/labels/champion", 409, "champion_stays"),
        (DELETE, "/patterns/line/labels/beta", 404, "unknown_label"),
        (DELETE, "/patterns/line/labels/%2e%2e", 404, "unknown_label"),
        (DELETE, "/patterns/unheard-of/labels/beta", 404, "unknown_pattern"),
        (POST, "/patterns/unheard-of/rollback", 404, "unknown_pattern"),
        (POST, "/patterns/pair/rollback", 409, "nothing_to_roll_back"),
        (DELETE, "/patterns/pair/versions/1", 409, "version_in_use"),
    ],
)
async def test_a_change_that_cannot_be_made_changes_nothing(
    shared: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    before = (await shared.get("/patterns")).json()
    assert refusal(await shared.request(method, path)) == (status, code)
    assert (await shared.get("/patterns")).json() == before
