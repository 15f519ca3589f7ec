"""The page for people, and its files; programs get a word of JSON at the same address."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from app.errors import NotHere
from app.formats.media_types import offers
from app.page import PAGE, PAGE_FILES, PAGE_HEADERS

router = APIRouter(tags=["health"])


@router.get("/", summary="The page for people, or a word for programs", response_class=Response)
async def root(request: Request) -> Response:
    if offers(request.headers.get("accept", "")).get("text/html"):
        return FileResponse(PAGE / "index.html", headers=PAGE_HEADERS)
    alive = {"status": "alive", "name": "pattern-server", "docs": "/docs", "patterns": "/patterns"}
    return JSONResponse(alive, headers={"vary": "accept"})


@router.get("/page/{name}", include_in_schema=False)
async def page_file(name: str) -> Response:
    """Files are known by name, and none is looked for on the disk."""
    if name not in PAGE_FILES:
        raise NotHere
    return FileResponse(PAGE / name, headers=PAGE_HEADERS)


@router.get("/favicon.ico", include_in_schema=False)
async def icon() -> Response:
    return FileResponse(PAGE / "icon.svg", headers=PAGE_HEADERS)
