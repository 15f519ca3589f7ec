"""GET /patterns/{pattern}/export: a version as one file, tried before it leaves. POST /patterns/import: back."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from app.answering.registry import Served
from app.http.keys import require_admin, require_predictor
from app.routes.dependencies import ExporterPart, LabelAsked, RegistryPart, StorePart, VersionAsked, check_one_named
from app.routes.documented import EXPORTED, PACKED_BODY, answer
from app.routes.strict import StrictRoute
from models_store.exports.names import ALL, BUNDLE
from models_store.exports.targets import export
from models_store.storage.store import Store

ZIP = "application/zip"
router = APIRouter(tags=["patterns"], route_class=StrictRoute)


@router.get(
    "/patterns/{pattern}/export",
    openapi_extra=answer(EXPORTED, "The file; headers say how far its answers were from the server's"),
    response_class=Response,
    dependencies=[Depends(require_predictor)],
)
async def exported(
    pattern: str,
    registry: RegistryPart,
    store: StorePart,
    exporter: ExporterPart,
    to: Annotated[str, Query(description="the language or format", json_schema_extra={"enum": [*ALL]})],
    version: VersionAsked = None,
    label: LabelAsked = None,
) -> Response:
    """Encoders, network and decoder in one file, which answers raw values as the server does."""
    check_one_named(version, label)
    release = await registry.release(pattern, version, label)
    if to == BUNDLE:
        return await _packed(release, store)
    # A thread of its own: trying an export takes seconds.
    file = await asyncio.get_running_loop().run_in_executor(exporter, export, release.bundle, release.version, to)
    headers = {
        **release.headers,
        "content-disposition": f'attachment; filename="{file.name}"',
        "x-export-rows": str(file.rows),
        "x-export-difference": f"{file.difference:.3g}",
        "x-export-tolerance": f"{file.tolerance:g}",
    }
    return Response(file.content, media_type=file.media_type, headers=headers)


async def _packed(release: Served, store: Store) -> Response:
    content = await asyncio.to_thread(store.packed, release.bundle.pattern, release.version)
    name = f"{release.bundle.pattern}-{release.version}.zip"
    headers = {**release.headers, "content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=ZIP, headers=headers)


@router.post("/patterns/import", openapi_extra=PACKED_BODY, dependencies=[Depends(require_admin)], status_code=201)
async def imported(
    request: Request,
    registry: RegistryPart,
    store: StorePart,
    promote: Annotated[bool, Query(description="let the new version answer from now on")] = True,
) -> Response:
    """Take what `export?to=bundle` answered as a new version, after every check of a load."""
    pattern, version = await asyncio.to_thread(store.add_packed, await request.body(), promote=promote)
    await registry.follow(pattern, version)
    location = {"location": f"/patterns/{pattern}/versions/{version}"}
    return JSONResponse({"pattern": pattern, "version": version}, 201, location)
