"""Is the server alive, is it ready, and what has it counted: /livez, /readyz, /metrics."""

from fastapi import APIRouter, Response

from app.answering.answer import check_ready
from app.routes.dependencies import JobsPart, RegistryPart
from app.routes.documented import PROMETHEUS, answer
from app.telemetry import metrics

router = APIRouter(tags=["health"])


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
def prometheus() -> Response:
    content, media_type = metrics.exposition()
    return Response(content, headers={"content-type": media_type})
