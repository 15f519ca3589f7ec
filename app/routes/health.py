"""Is the server alive, is it ready, and what has it counted: /livez, /readyz, /metrics."""

import asyncio
import contextlib
import time
from functools import partial

from fastapi import APIRouter, Response

from app.answering.answer import check_ready
from app.answering.registry import Registry
from app.drift import metrics as drift_metrics
from app.drift.metrics import Looked
from app.drift.report import columns_of
from app.drift.since import SPANS
from app.drift.watch import Watch, Window
from app.routes.dependencies import JobsPart, RegistryPart, WatchPart
from app.routes.documented import PROMETHEUS, answer
from app.telemetry import metrics
from models_store.bundle import Bundle
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
async def readyz(registry: RegistryPart, jobs: JobsPart) -> dict[str, object]:
    check_ready(registry, jobs)
    unloaded = [shelf.pattern for shelf in registry.shelves if shelf.is_unloaded]
    patterns = [name for name in registry.patterns if name not in unloaded]
    return {"ready": True, "patterns": patterns, "without_good_version": registry.empty, "unloaded": unloaded}


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
    """Return the metrics of what champions were asked in the last hour, and in the last day."""
    served = [shelf.champion.release for shelf in registry.shelves if shelf.champion is not None]
    counted = {(one.bundle.pattern, one.version): one for one in served if one.tally is not None}
    tallies = {key: one.tally for key, one in counted.items() if one.tally is not None}
    if not tallies:
        return b""
    now = time.time()
    windows = await watch.windows(tallies, [now - seconds for seconds in SPANS.values()])
    looked = partial(
        _looked, windows, [one.bundle for one in counted.values()], [one.version for one in counted.values()]
    )
    return await asyncio.to_thread(lambda: drift_metrics.exposition(looked()))


def _looked(windows: list[list[Window]], bundles: list[Bundle], versions: list[int]) -> list[Looked]:
    return [
        Looked(bundle.pattern, version, span, window.rows, columns_of(bundle.profile, window))
        for span, of_span in zip(SPANS, windows, strict=True)
        for window, bundle, version in zip(of_span, bundles, versions, strict=True)
        if bundle.profile is not None
    ]
