"""POST /predict/{pattern}: raw values in, raw values out."""

from functools import partial
from typing import Annotated, Any, Self

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import Unprocessable
from app.front import Address, Dialect
from app.openapi import PREDICT
from app.protocols import native
from app.protocols.cells import Expected
from app.protocols.native import Question
from app.protocols.reply import Reply
from app.serving import Serving
from models_store.bundle import Bundle
from models_store.scaler import Array
from models_store.store import Release


class Wanted(BaseModel):
    """The parameters of the address."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int | None, Field(ge=1)] = None
    label: str | None = None
    outside: bool = False
    probabilities: bool = False

    @classmethod
    def by(cls, request: Request) -> Self:
        if not request.scope["query_string"]:
            return cls()
        try:
            wanted = cls.model_validate(dict(request.query_params))
        except ValidationError as error:
            raise _bad_parameter(error) from None
        if wanted.version is not None and wanted.label is not None:
            raise Unprocessable("bad_parameter", "give a version or a label, not both")
        return wanted


async def predict(serving: Serving, request: Request) -> Response:
    """The answer has the layout of the question; it never holds NaN or Infinity.

    Where a category that training never saw is in the question, the answer says so, asked or not.
    """
    wanted = Wanted.by(request)
    release = await serving.served.release(request.path_params["pattern"], wanted.version, wanted.label)
    bundle = release.bundle
    if wanted.probabilities and bundle.labels is None:
        raise Unprocessable("not_a_classification", "only classification patterns have probabilities")
    native.check_plain(request.headers.get("content-encoding", ""))
    body = await request.body()
    content_type = request.headers.get("content-type", "")
    read = partial(_read, body, content_type, bundle, wanted, serving.settings.max_rows)
    question, content = await serving.answered(release, len(body), read, partial(_written, release, wanted))
    return Response(content, media_type=question.media_type, headers={"x-pattern-version": str(release.version)})


PREDICT_DIALECT = Dialect([Address("POST", "/predict/{pattern}", predict, documented=PREDICT)])


def _read(body: bytes, content_type: str, bundle: Bundle, wanted: Wanted, max_rows: int) -> Question:
    question = native.read(body, content_type, Expected.by(bundle.predictor.encoder), max_rows)
    if wanted.outside and question.media_type != native.JSON:
        raise Unprocessable("bad_parameter", "outside: only an answer in JSON has a place for it; ask in JSON")
    return question


def _written(release: Release, wanted: Wanted, question: Question, answers: Array) -> bytes:
    bundle = release.bundle
    beyond = bundle.outside(question.rows) if wanted.outside else bundle.unseen(question.rows)
    reply = Reply.of(bundle, answers, with_probabilities=wanted.probabilities)
    extra: dict[str, Any] = {"outside": beyond} if wanted.outside or beyond else {}
    return question.write(release, reply, extra)


def _bad_parameter(error: ValidationError) -> Unprocessable:
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if fault["type"] == "extra_forbidden":
        return Unprocessable("bad_parameter", f"there is no such parameter; there are {', '.join(Wanted.model_fields)}")
    return Unprocessable("bad_parameter", f"{fault['loc'][0]}: {fault['msg']}")
