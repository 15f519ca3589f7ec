"""GET /patterns/{pattern}/drift: what a version is asked, beside what its training rows held."""

import asyncio
import time
from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends, Query, Response

from app.answering.registry import Served
from app.drift.report import drift
from app.drift.since import since_of
from app.drift.watch import Window
from app.errors import NoProfile, NotCounted, Unprocessable
from app.http.keys import require_predictor
from app.routes.dependencies import RegistryPart, WatchPart
from app.routes.documented import DRIFT, answer
from models_store.names import LARGEST_VERSION

router = APIRouter(tags=["patterns"])


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
    since: Annotated[str, Query(description="hour, day, or a moment in ISO 8601")] = "day",
    version: Annotated[int | None, Query(ge=1, le=LARGEST_VERSION, description="without it the champion")] = None,
    label: Annotated[str | None, Query(description="a label, instead of a version")] = None,
) -> Response:
    """Has the world moved: distances of each column, and a verdict where there are enough rows for one."""
    if version is not None and label is not None:
        raise Unprocessable("bad_parameter", "give a version or a label, not both")
    began = since_of(since, time.time())
    release = await registry.release(pattern, version, label)
    if release.bundle.profile is None:
        raise NoProfile(pattern, release.version)
    if release.tally is None:
        raise NotCounted
    window = await watch.window(pattern, release.version, release.tally, began)
    # Thresholds that nobody has asked for yet are simulated, which takes some time.
    return Response(
        await asyncio.to_thread(partial(_written, release, window, is_kept=watch.is_kept)),
        media_type="application/json",
    )


def _written(release: Served, window: Window, *, is_kept: bool) -> bytes:
    assert release.bundle.profile is not None
    document = drift(release.bundle.pattern, release.version, release.bundle.profile, window)
    return orjson.dumps(document | {"kept": is_kept})
