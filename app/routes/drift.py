"""What versions were asked, and how far their answers were off, or from those of a shadow.

GET /patterns/{pattern}/drift   POST /patterns/{pattern}/outcomes   GET /patterns/{pattern}/shadow
"""

import asyncio
import contextlib
import time
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from app.answering.registry import Served
from app.answering.shadow import Pair
from app.drift.outcomes import RunningError, read, sums_of
from app.drift.records import DAY, summed
from app.drift.report import drift
from app.drift.shadow import Shadowed
from app.drift.since import since_of
from app.drift.watch import Watch, Window
from app.errors import Draining, NoProfile, NotCounted, QueueFull
from app.formats.compression import check_plain
from app.http.keys import require_admin, require_predictor
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.promotion import BY_RECIPE
from app.jobs.recipes import recipe_of_pattern
from app.routes.dependencies import (
    JobsPart,
    LabelAsked,
    RegistryPart,
    StorePart,
    VersionAsked,
    WatchPart,
    check_one_named,
)
from app.routes.documented import DRIFT, OUTCOMES_BODY, SHADOWED, SINCE, answer
from app.routes.strict import StrictRoute
from models_store.arrays import Array
from models_store.storage.store import Store
from training.recipe.base import RecipeError
from training.recipe.promotion import Promotion

UNLESS_WORSE = Promotion(when="if-better")
router = APIRouter(tags=["patterns"], route_class=StrictRoute)

Since = Annotated[str, Query(description="hour, day, or a moment in ISO 8601", json_schema_extra=SINCE)]


@router.get(
    "/patterns/{pattern}/drift",
    openapi_extra=answer(DRIFT, "The columns, those that moved most before the others"),
    response_class=Response,
    dependencies=[Depends(require_predictor)],
)
async def drifted(
    pattern: str,
    registry: RegistryPart,
    watch: WatchPart,
    since: Since = "day",
    version: VersionAsked = None,
    label: LabelAsked = None,
) -> Response:
    """Has the world moved: distances of each column, and a verdict where there are enough rows for one."""
    check_one_named(version, label)
    began = since_of(since, time.time())
    release = await registry.release(pattern, version, label)
    if release.bundle.profile is None:
        raise NoProfile(pattern, release.version)
    if release.tally is None:
        raise NotCounted
    window = await watch.window(pattern, release.version, release.tally, began)
    error = await _running_error(release, watch, began)
    # Thresholds that nobody has asked for yet are simulated, which takes some time.
    return Response(
        await asyncio.to_thread(partial(_written, release, window, error, is_kept=watch.is_kept)),
        media_type="application/json",
    )


def _written(release: Served, window: Window, error: RunningError | None, *, is_kept: bool) -> bytes:
    assert release.bundle.profile is not None
    document = drift(release.bundle.pattern, release.version, release.bundle.profile, window)
    return orjson.dumps(document | {"outcomes": error and error.to_json(), "kept": is_kept})


@router.get(
    "/patterns/{pattern}/shadow",
    openapi_extra=answer(SHADOWED, "How far the shadow's answers were from the champion's"),
    dependencies=[Depends(require_predictor)],
)
async def shadow(
    pattern: str,
    registry: RegistryPart,
    watch: WatchPart,
    since: Since = "day",
) -> dict[str, Any]:
    """What the version with the label `shadow` says to a share of the questions that the champion answers."""
    began = since_of(since, time.time())
    pair = registry.pair(pattern)
    [[counts]] = await watch.shadowed({pair.key: pair.likeness}, [began])
    return shadowed_of(pair, counts).to_json(began) | {"share": watch.shadow_share, "kept": watch.is_kept}


def shadowed_of(pair: Pair, counts: Array) -> Shadowed:
    champion, shadow = pair.champion, pair.shadow
    return Shadowed(champion.bundle, champion.version, shadow.version, pair.agreement, counts)


async def _running_error(release: Served, watch: Watch, since: float) -> RunningError | None:
    """Return how far answers were off since a moment; None if nothing is known of it."""
    kept = await watch.outcomes(since, release.bundle.pattern, release.version)
    return RunningError(release.bundle, summed(kept)) if kept else None


@router.post(
    "/patterns/{pattern}/outcomes",
    openapi_extra=OUTCOMES_BODY,
    dependencies=[Depends(require_admin)],
)
async def outcomes(
    pattern: str,
    request: Request,
    registry: RegistryPart,
    watch: WatchPart,
    jobs: JobsPart,
    store: StorePart,
    version: VersionAsked = None,
    label: LabelAsked = None,
    retrain: Annotated[bool, Query(description="train again if the error of a day is worse than the card's")] = False,
) -> Response:
    """Add rows whose right answers are known by now to the running error; `GET …/drift` and `/metrics` have it."""
    check_one_named(version, label)
    release = await registry.release(pattern, version, label)
    if retrain:
        jobs.check_trainer()
    check_plain(request.headers.get("content-encoding", ""))
    body, content_type = await request.body(), request.headers.get("content-type", "")
    sums = await asyncio.to_thread(_sums, release, body, content_type, watch.max_rows)
    await watch.add_outcomes(pattern, release.version, sums)
    error = await _running_error(release, watch, time.time() - DAY)
    job = await _retrained(error, jobs, store) if retrain and error is not None else None
    document = {
        "pattern": pattern,
        "version": release.version,
        "added": int(sums[0]),
        "outcomes": error and error.to_json(),
        "job": None if job is None else job.to_json(),
    }
    return Response(orjson.dumps(document), media_type="application/json")


def _sums(release: Served, body: bytes, content_type: str, max_rows: int) -> Array:
    found = read(body, content_type, release.expected, release.bundle, max_rows)
    return sums_of(release.bundle.predict(found.rows), found.right, release.bundle)


async def _retrained(error: RunningError, jobs: Jobs, store: Store) -> Job | None:
    """Return the training that a worse error asks for, or the one of the pattern that has not ended.

    None if the error is not worse. None also where nothing can be queued now: the rows are added, and must not come
    again. What it publishes is promoted if it is not worse on the same rows, unless its recipe says otherwise.
    """
    if not error.is_worse:
        return None
    spec = await asyncio.to_thread(recipe_of_pattern, store, error.bundle.pattern)
    promote = BY_RECIPE.promote(spec, UNLESS_WORSE)
    with contextlib.suppress(QueueFull, Draining, RecipeError):
        # Several processes are told of outcomes at the same moment.
        return await jobs.submit(spec, promote=promote, key=None, body=b"", unless_under_way=True)
    return None
