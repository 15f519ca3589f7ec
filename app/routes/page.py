"""The page for people, and its files; programs get a word of JSON at the same address."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.errors import NotHere
from app.formats.media_types import offers
from app.page import PAGE_FILES
from app.routes.documented import PAGE, answer

router = APIRouter(tags=["health"])


@router.get(
    "/",
    summary="The page for people, or a word for programs",
    openapi_extra=answer(PAGE, "The page, or a word"),
    response_class=Response,
)
async def root(request: Request) -> Response:
    if offers(request.headers.get("accept", "")).get("text/html"):
        return PAGE_FILES["index.html"].answer(request)
    alive = {"status": "alive", "name": "pattern-server", "docs": "/docs", "patterns": "/patterns"}
    return JSONResponse(alive, headers={"vary": "accept"})


@router.get("/page/{name:path}", include_in_schema=False)
async def page_file(name: str, request: Request) -> Response:
    """Files are known by name, and none is looked for on the disk."""
    if name not in PAGE_FILES:
        raise NotHere
    return PAGE_FILES[name].answer(request)


@router.get("/favicon.ico", include_in_schema=False)
async def icon(request: Request) -> Response:
    return PAGE_FILES["icon.svg"].answer(request)
