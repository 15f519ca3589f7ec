"""GET /patterns/{pattern}/export: a version as one file of another language or format, tried before it leaves."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from app.errors import Unprocessable
from app.http.keys import require_predictor
from app.routes.dependencies import ExporterPart, RegistryPart
from app.routes.documented import EXPORTED, answer
from models_store.exports.names import TARGETS
from models_store.exports.targets import export
from models_store.names import LARGEST_VERSION

router = APIRouter(tags=["patterns"])


@router.get(
    "/patterns/{pattern}/export",
    openapi_extra=answer(EXPORTED, "The file; headers say how far its answers were from the server's"),
    response_class=Response,
    dependencies=[Depends(require_predictor)],
)
async def exported(
    pattern: str,
    registry: RegistryPart,
    exporter: ExporterPart,
    to: Annotated[str, Query(description="the language or format", json_schema_extra={"enum": [*TARGETS]})],
    version: Annotated[int | None, Query(ge=1, le=LARGEST_VERSION, description="without it the champion")] = None,
    label: Annotated[str | None, Query(description="a label, instead of a version")] = None,
) -> Response:
    """Encoders, network and decoder in one file, which answers raw values as the server does."""
    if version is not None and label is not None:
        raise Unprocessable("bad_parameter", "give a version or a label, not both")
    release = await registry.release(pattern, version, label)
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
