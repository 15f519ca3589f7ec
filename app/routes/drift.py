"""What versions were asked, and how far their answers were from those of a shadow.

GET /patterns/{pattern}/drift   GET /patterns/{pattern}/shadow
"""

import asyncio
import time
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Query, Response

from app.answering.registry import Served
from app.answering.shadow import Pair
from app.drift.outcomes import RunningError
from app.drift.report import drift
from app.drift.shadow import Shadowed
from app.drift.since import since_of
from app.drift.watch import Window
from app.errors import NoProfile, NotCounted
from app.http.keys import require_predictor
from app.routes.dependencies import (
    LabelAsked,
    RegistryPart,
    VersionAsked,
    WatchPart,
    check_one_named,
)
from app.routes.documented import DRIFT, SHADOWED, SINCE, answer
from app.routes.outcomes import running_error
from app.routes.strict import StrictRoute
from models_store.arrays import Array

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
    error = await running_error(release, watch, began)
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
