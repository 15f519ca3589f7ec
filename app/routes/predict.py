"""POST /predict/{pattern}: raw values in, raw values out."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from app.errors import Unprocessable
from app.keys import require_predictor
from app.openapi import PREDICT_BODY
from app.protocols import native
from app.routes.parts import BatcherPart, ServedPart, SettingsPart

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
    question = native.read(body, request.headers.get("content-type", ""), release.bundle.inputs, settings.max_rows)
    answers = await batcher.predict(release, question.rows)
    extra: dict[str, Any] = {"outside": release.bundle.outside(question.rows)} if outside else {}
    return Response(
        question.write(release, answers, extra),
        media_type=question.media_type,
        headers={"x-pattern-version": str(release.version)},
    )
