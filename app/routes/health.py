"""Is it alive, is it ready, what does it count."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from app import errors
from app.answering.answer import check_ready
from app.page import PAGE, PAGE_FILES, PAGE_HEADERS
from app.routes.dependencies import JobsPart, ServedPart
from app.telemetry import metrics

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Alive: the process answers")
async def livez() -> dict[str, bool]:
    """Never touches a model, a disk or a database."""
    return {"live": True}


@router.get("/readyz", summary="Ready: every pattern that can be served is loaded")
async def readyz(served: ServedPart, jobs: JobsPart) -> dict[str, object]:
    check_ready(served, jobs)
    unloaded = [shelf.pattern for shelf in served.shelves if shelf.is_unloaded]
    patterns = [name for name in served.patterns if name not in unloaded]
    return {"ready": True, "patterns": patterns, "without_good_version": served.empty, "unloaded": unloaded}


@router.get("/metrics", summary="Prometheus metrics", response_class=Response)
def prometheus() -> Response:
    content, media_type = metrics.exposition()
    return Response(content, headers={"content-type": media_type})


@router.get("/", summary="The page for people, or a word for programs", response_class=Response)
async def root(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)
    said = {"status": "alive", "name": "pattern-server", "docs": "/docs", "patterns": "/patterns"}
    return JSONResponse(said, headers={"vary": "accept"})


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> Response:
    """Known by name, never looked for on the disk."""
    if name not in PAGE_FILES:
        raise errors.NotHere
    return FileResponse(PAGE / name, headers=PAGE_HEADERS)


@router.get("/favicon.ico", include_in_schema=False)
async def icon() -> Response:
    return FileResponse(PAGE / "icon.svg", headers=PAGE_HEADERS)
