"""/patterns: what is served and how good it is (cards, history, plots), and which version answers (labels)."""

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response

from app.answering.registry import Registry, Shelf
from app.errors import NoFormula, TrainingUnderWay, Unprocessable
from app.http.keys import require_admin
from app.routes.bodies import ParsedJson
from app.routes.dependencies import ArtistPart, ChallengersPart, JobsPart, RegistryPart, StorePart
from app.routes.documented import LABEL_BODY, SVG_OR_PNG, answer
from app.routes.strict import StrictRoute
from models_store.bundle import Description
from models_store.card import Card
from models_store.comparison.versions import Answered, compare
from models_store.errors import NotComparable, UnknownVersion
from models_store.names import NAME_RULE, is_name
from models_store.plots.draw import PlotName, draw, plots_of
from models_store.storage.store import Store

# A version never changes, so neither does its plot; an SVG opened by itself is a document, in which no script may run.
PICTURE_HEADERS = {
    "cache-control": "max-age=86400",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
}
TWO_VERSIONS = "^[1-9][0-9]{0,8},[1-9][0-9]{0,8}$"
router = APIRouter(tags=["patterns"], route_class=StrictRoute)


@router.get("/patterns")
async def patterns(registry: RegistryPart) -> dict[str, list[dict[str, Any]]]:
    """Every pattern that the store holds, with what its champion takes, answers, and is worth."""
    return {"patterns": [_summary(shelf) for shelf in registry.shelves]}


@router.get("/patterns/{pattern}")
async def pattern(pattern: str, registry: RegistryPart, challengers: ChallengersPart) -> dict[str, Any]:
    shelf = registry.shelf(pattern)
    bundle = shelf.release.bundle
    compared = await asyncio.to_thread(challengers.beside, pattern, shelf.release.version, shelf.versions)
    return _summary(shelf) | {
        "card": bundle.card.model_dump(mode="json"),
        **compared,
        "recipe": bundle.recipe,
        "links": _links(pattern, shelf.release.version, bundle.card),
    }


@router.get("/patterns/{pattern}/sample")
async def sample(pattern: str, registry: RegistryPart) -> dict[str, Any]:
    """A body for `/predict` that works as it is."""
    bundle = registry.champion(pattern).bundle
    return bundle.sample()


@router.get("/patterns/{pattern}/formula")
async def formula(
    pattern: str, registry: RegistryPart, store: StorePart, version: Annotated[int | None, Query(ge=1)] = None
) -> dict[str, Any]:
    """The formula behind each output that has one, of the champion or of another version."""
    shelf = registry.shelf(pattern)
    number = shelf.release.version if version is None else version
    described = await _describe(shelf, store, number)
    found = described.card.closed_forms
    if not found:
        raise NoFormula(pattern, number)
    outputs = {output: form.model_dump(mode="json") for output, form in found.items()}
    return {"pattern": pattern, "version": number, "outputs": outputs}


@router.get("/patterns/{pattern}/compare")
async def compare_versions(
    pattern: str,
    registry: RegistryPart,
    store: StorePart,
    versions: Annotated[str, Query(pattern=TWO_VERSIONS, examples=["1,2"], description="two versions, as in 1,2")],
) -> dict[str, Any]:
    """What the test rows that two versions have in common say of them, of linear models and of trees."""
    shelf = registry.shelf(pattern)
    numbers = [int(number) for number in versions.split(",")]
    described = {f"{pattern}@{number}": await _describe(shelf, store, number) for number in numbers}
    if len(described) < 2:
        raise NotComparable(f"version {numbers[0]} is named twice", "name two versions, as in 1,2")
    found = await asyncio.to_thread(lambda: compare(Answered.in_test(described)))
    return {"pattern": pattern, "versions": numbers, **found.model_dump(mode="json")}


@router.get("/patterns/{pattern}/versions/{version}")
async def card(
    pattern: str, version: int, registry: RegistryPart, store: StorePart, challengers: ChallengersPart
) -> dict[str, Any]:
    """The card of a version: metrics in raw units, column ranges, lineage, notes, and the recipe that made it."""
    shelf = registry.shelf(pattern)
    described = await _describe(shelf, store, version)
    compared = await asyncio.to_thread(challengers.beside, pattern, version, shelf.versions)
    aliases = [alias for alias, pointed_at in shelf.aliases.items() if pointed_at == version]
    return {
        "pattern": pattern,
        "version": version,
        "labels": aliases,
        "card": described.card.model_dump(mode="json"),
        **compared,
        "recipe": described.recipe,
        "links": _links(pattern, version, described.card),
    }


@router.get("/patterns/{pattern}/versions/{version}/history")
async def history(pattern: str, version: int, registry: RegistryPart, store: StorePart) -> Response:
    """Loss of each epoch, and validation loss where rows were held out, in scaled units."""
    described = await _describe(registry.shelf(pattern), store, version)
    document = {"pattern": pattern, "version": version, "history": described.history}
    # Up to two million numbers: writing them would block the event loop.
    return Response(await asyncio.to_thread(orjson.dumps, document), media_type="application/json")


@router.get(
    "/patterns/{pattern}/versions/{version}/plots/{kind}.{picture}",
    openapi_extra=answer(SVG_OR_PNG, "The picture"),
    response_class=Response,
)
async def plot(
    pattern: str,
    version: int,
    kind: PlotName,
    picture: Literal["svg", "png"],
    registry: RegistryPart,
    store: StorePart,
    artist: ArtistPart,
) -> Response:
    described = await _describe(registry.shelf(pattern), store, version)
    drawing = partial(draw, kind, described, picture, title=f"{pattern}, version {version}")
    content = await asyncio.get_running_loop().run_in_executor(artist, drawing)
    media_type = "image/svg+xml" if picture == "svg" else "image/png"
    return Response(content, media_type=media_type, headers=PICTURE_HEADERS)


@router.put("/patterns/{pattern}/labels/{label}", openapi_extra=LABEL_BODY, dependencies=[Depends(require_admin)])
async def set_label(
    pattern: str, label: str, target: ParsedJson, registry: RegistryPart, store: StorePart
) -> dict[str, Any]:
    registry.shelf(pattern)
    if not is_name(label):
        raise Unprocessable("bad_label", f"a label is {NAME_RULE}")
    if not isinstance(target, dict) or set(target) != {"version"} or not _is_version(target["version"]):
        raise Unprocessable("bad_body", 'the body must be {"version": n}, with the number of a version')
    await asyncio.to_thread(store.set_alias, pattern, label, target["version"])
    return await _after_change(registry, pattern)


@router.delete("/patterns/{pattern}/labels/{label}", dependencies=[Depends(require_admin)])
async def remove_label(pattern: str, label: str, registry: RegistryPart, store: StorePart) -> dict[str, Any]:
    """The version that it pointed at stays. The label `champion` can be moved, but not removed."""
    registry.shelf(pattern)
    await asyncio.to_thread(store.remove_alias, pattern, label)
    return await _after_change(registry, pattern)


@router.post("/patterns/{pattern}/rollback", dependencies=[Depends(require_admin)])
async def rollback(pattern: str, registry: RegistryPart, store: StorePart) -> dict[str, Any]:
    """The champion becomes the version before it."""
    registry.shelf(pattern)
    await asyncio.to_thread(store.rollback, pattern)
    return await _after_change(registry, pattern)


@router.delete("/patterns/{pattern}", dependencies=[Depends(require_admin)], status_code=204)
async def delete_pattern(pattern: str, registry: RegistryPart, store: StorePart, jobs: JobsPart) -> None:
    """All of its versions and labels, unless a training of it would bring it back.

    A new pattern of this name goes on counting where this one ended.
    """
    registry.shelf(pattern)
    if any(job.pattern == pattern and not job.has_ended for job in await jobs.recent()):
        raise TrainingUnderWay
    await asyncio.to_thread(store.delete_pattern, pattern)
    await registry.catch_up()


@router.delete("/patterns/{pattern}/versions/{version}", dependencies=[Depends(require_admin)])
async def delete(pattern: str, version: int, registry: RegistryPart, store: StorePart) -> dict[str, Any]:
    """Refused while a label points at the version."""
    registry.shelf(pattern)
    await asyncio.to_thread(store.delete, pattern, version)
    return await _after_change(registry, pattern)


def _is_version(value: Any) -> bool:
    return type(value) is int and value > 0


async def _after_change(registry: Registry, pattern: str) -> dict[str, Any]:
    """Return the pattern as this process serves it after the change.

    The change is in the store also where this process cannot serve it yet.
    """
    await registry.catch_up()
    return _summary(registry.shelf(pattern))


async def _describe(shelf: Shelf, store: Store, version: int) -> Description:
    if shelf.champion is not None and shelf.champion.release.version == version:
        return shelf.champion.release.bundle.description
    if version not in shelf.versions:
        raise UnknownVersion(shelf.pattern, shelf.versions)
    return await asyncio.to_thread(store.describe, shelf.pattern, version)


def _summary(shelf: Shelf) -> dict[str, Any]:
    summary = {
        "name": shelf.pattern,
        "versions": list(shelf.versions),
        "labels": shelf.aliases,
        "champion": None,
        "unloaded": shelf.is_unloaded,
    }
    if shelf.champion is None:
        return summary
    bundle = shelf.champion.release.bundle
    return summary | {
        "champion": shelf.champion.release.version,
        "description": bundle.recipe.get("description", ""),
        "task": bundle.card.task,
        "inputs": list(bundle.inputs),
        "kinds": bundle.kinds,
        "outputs": list(bundle.outputs),
        "classes": None if bundle.labels is None else list(bundle.labels),
        "formulas": bundle.recipe.get("data", {}).get("outputs"),
        "test": bundle.card.test.overall.model_dump(),
    }


def _links(pattern: str, version: int, card: Card) -> dict[str, str]:
    here = f"/patterns/{pattern}/versions/{version}"
    plots: dict[str, str] = {kind: f"{here}/plots/{kind}.svg" for kind in plots_of(card)}
    found = {"formula": f"/patterns/{pattern}/formula?version={version}"} if card.closed_forms else {}
    predict = f"/predict/{pattern}?version={version}"
    return {"card": here, "history": f"{here}/history", "predict": predict, **found, **plots}
