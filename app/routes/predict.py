"""POST /predict/{pattern}: raw values in, raw values out."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request, Response

from app.errors import Unprocessable
from app.keys import require_predictor
from app.openapi import PREDICT_BODY
from app.protocols import native
from app.routes.parts import BatcherPart, ServedPart, SettingsPart

MOST_BYTES_ON_LOOP = 1 << 15
Result = TypeVar("Result")

router = APIRouter(tags=["predict"], dependencies=[Depends(require_predictor)])


@router.post("/predict/{pattern}", openapi_extra=PREDICT_BODY, summary="Predict", response_class=Response)
async def predict(
    pattern: str,
    request: Request,
    served: ServedPart,
    batcher: BatcherPart,
    settings: SettingsPart,
    version: Annotated[int | None, Query(ge=1, description="a version; without it the champion answers")] = None,
    label: Annotated[str | None, Query(description="a label, such as champion")] = None,
    outside: Annotated[bool, Query(description="add the rows that lie outside what the model has seen")] = False,
    probabilities: Annotated[bool, Query(description="for classification patterns")] = False,
) -> Response:
    """The answer has the layout of the question; it never holds NaN or Infinity."""
    if version is not None and label is not None:
        raise Unprocessable("bad_parameter", "give a version or a label, not both")
    if probabilities:
        raise Unprocessable("not_a_classification", "only classification patterns have probabilities")
    release = await served.release(pattern, version, label)
    native.check_plain(request.headers.get("content-encoding", ""))
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    question = await _computed(len(body), native.read, body, content_type, release.bundle.inputs, settings.max_rows)
    answers = await batcher.predict(release, question.rows)

    def written() -> bytes:
        extra: dict[str, Any] = {"outside": release.bundle.outside(question.rows)} if outside else {}
        return question.write(release, answers, extra)

    return Response(
        await _computed(len(body), written),
        media_type=question.media_type,
        headers={"x-pattern-version": str(release.version)},
    )


async def _computed(size: int, work: Callable[..., Result], *parts: Any) -> Result:
    """Here and now for a small body; in a thread for one whose reading would keep others waiting."""
    return work(*parts) if size <= MOST_BYTES_ON_LOOP else await asyncio.to_thread(work, *parts)
