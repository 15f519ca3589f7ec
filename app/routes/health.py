"""Is the server alive, is it ready, and what has it counted: /livez, /readyz, /metrics."""

import asyncio
import contextlib
import time
from collections.abc import Mapping

from fastapi import APIRouter, Response

from app.answering.answer import check_ready
from app.answering.registry import Registry, Served
from app.drift import metrics as drift_metrics
from app.drift.metrics import Erred, Looked
from app.drift.outcomes import RunningError
from app.drift.records import Kept, summed
from app.drift.report import columns_of
from app.drift.shadow import Shadowed
from app.drift.since import SPANS
from app.drift.watch import Watch, Window
from app.routes.dependencies import FollowingPart, JobsPart, RegistryPart, WatchPart
from app.routes.documented import PROMETHEUS, answer
from app.routes.drift import shadowed_of
from app.telemetry import metrics
from models_store.errors import PatternServerError

router = APIRouter(tags=["health"])

# What is counted of questions is left out where the database takes longer: monitoring must not depend on it.
DRIFT_SECONDS = 2.0


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Alive: the process answers")
async def livez() -> dict[str, bool]:
    """Never touches a model, a disk or a database."""
    return {"live": True}


@router.get("/readyz", summary="Ready: every pattern that can be served is loaded")
async def readyz(registry: RegistryPart, jobs: JobsPart, following: FollowingPart) -> dict[str, object]:
    check_ready(registry, jobs)
    unloaded = [shelf.pattern for shelf in registry.shelves if shelf.is_unloaded]
    patterns = [name for name in registry.patterns if name not in unloaded]
    bucket = {} if following is None else {"bucket": following.to_json()}
    known = {"patterns": patterns, "without_good_version": registry.empty, "unloaded": unloaded}
    return {"ready": True, **known, **bucket}


@router.get(
    "/metrics", summary="Prometheus metrics", openapi_extra=answer(PROMETHEUS, "Metrics"), response_class=Response
)
async def prometheus(registry: RegistryPart, watch: WatchPart) -> Response:
    content, media_type = await asyncio.to_thread(metrics.exposition)
    with contextlib.suppress(PatternServerError, OSError, TimeoutError):
        async with asyncio.timeout(DRIFT_SECONDS):
            content += await _drift(registry, watch)
    return Response(content, headers={"content-type": media_type})


async def _drift(registry: Registry, watch: Watch) -> bytes:
    """Return the metrics of what champions were asked in the last hour and day, and of how far they were off."""
    now = time.time()
    champions = [shelf.champion.release for shelf in registry.shelves if shelf.champion is not None]
    moments = {span: now - seconds for span, seconds in SPANS.items()}
    tallies = {(one.bundle.pattern, one.version): one.tally for one in champions if one.tally is not None}
    windows = await watch.windows(tallies, [*moments.values()]) if tallies else [[] for _ in moments]
    known = await watch.outcomes(min(moments.values()))
    shadowed = await _shadowed(registry, watch, moments)
    # Thresholds that nobody has asked for yet are simulated.
    return await asyncio.to_thread(
        lambda: drift_metrics.exposition(_looked(champions, windows), _erred(champions, known, moments), shadowed)
    )


async def _shadowed(registry: Registry, watch: Watch, moments: Mapping[str, float]) -> list[tuple[str, list[Shadowed]]]:
    pairs = registry.pairs
    if not pairs:
        return []
    found = await watch.shadowed({pair.key: pair.likeness for pair in pairs}, [*moments.values()])
    return [
        (span, [shadowed_of(pair, counts) for pair, counts in zip(pairs, of_span, strict=True)])
        for span, of_span in zip(moments, found, strict=True)
    ]


def _looked(champions: list[Served], windows: list[list[Window]]) -> list[Looked]:
    counted = [(one.version, one.bundle, one.bundle.profile) for one in champions if one.tally is not None]
    return [
        Looked(bundle.pattern, version, span, window.rows, columns_of(profile, window))
        for span, of_span in zip(SPANS, windows, strict=True)
        for window, (version, bundle, profile) in zip(of_span, counted, strict=True)
        if profile is not None
    ]


def _erred(champions: list[Served], known: list[Kept], moments: Mapping[str, float]) -> list[Erred]:
    return [
        Erred(span, one.version, RunningError(one.bundle, summed(within)))
        for span, moment in moments.items()
        for one in champions
        if (within := [kept for kept in known if _is_of(kept, one) and kept.began + kept.seconds > moment])
    ]


def _is_of(kept: Kept, release: Served) -> bool:
    return (kept.pattern, kept.version) == (release.bundle.pattern, release.version)
