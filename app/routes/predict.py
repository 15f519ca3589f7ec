"""POST /predict/{pattern}: raw values in, raw values out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.errors import Unprocessable
from app.keys import require_predictor
from app.openapi import PREDICT_BODY
from app.protocols import native
from app.protocols.cells import Expected
from app.protocols.reply import Reply
from app.routes.parts import BatcherPart, LargeBodiesPart, ServedPart, SettingsPart

PARAMETERS = ("version", "label", "outside", "probabilities")

router = APIRouter(tags=["predict"], dependencies=[Depends(require_predictor)])


@router.post("/predict/{pattern}", openapi_extra=PREDICT_BODY, summary="Predict", response_class=Response)
async def predict(
    pattern: str,
    request: Request,
    served: ServedPart,
    batcher: BatcherPart,
    large: LargeBodiesPart,
    settings: SettingsPart,
    version: Annotated[int | None, Query(ge=1, description="a version; without it the champion answers")] = None,
    label: Annotated[str | None, Query(description="a label, such as champion")] = None,
    outside: Annotated[bool, Query(description="JSON: add the rows outside what training saw")] = False,
    probabilities: Annotated[bool, Query(description="of labels: add how probable each is")] = False,
) -> Response:
    """The answer has the layout of the question; it never holds NaN or Infinity.

    Where a category that training never saw is in the question, the answer says so, asked or not.
    """
    if not request.query_params.keys() <= set(PARAMETERS):
        raise Unprocessable("bad_parameter", f"there is no such parameter; there are {', '.join(PARAMETERS)}")
    if version is not None and label is not None:
        raise Unprocessable("bad_parameter", "give a version or a label, not both")
    release = await served.release(pattern, version, label)
    bundle = release.bundle
    if probabilities and bundle.labels is None:
        raise Unprocessable("not_a_classification", "only classification patterns have probabilities")
    native.check_plain(request.headers.get("content-encoding", ""))
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    expected = Expected.by(bundle.predictor.encoder)
    with large.place(len(body)):
        question = await large.computed(len(body), native.read, body, content_type, expected, settings.max_rows)
        if outside and question.media_type != native.JSON:
            raise Unprocessable("bad_parameter", "outside: only an answer in JSON has a place for it; ask in JSON")
        answers = await batcher.predict(release, question.rows)

        def written() -> bytes:
            beyond = bundle.outside(question.rows) if outside else bundle.unseen(question.rows)
            reply = Reply.of(bundle, answers, with_probabilities=probabilities)
            return question.write(release, reply, {"outside": beyond} if outside or beyond else {})

        content = await large.computed(len(body), written)
    return Response(content, media_type=question.media_type, headers={"x-pattern-version": str(release.version)})
