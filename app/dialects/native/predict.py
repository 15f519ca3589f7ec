"""POST /predict/{pattern}: raw values in, raw values out."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from app.answering.answer import Answering
from app.answering.plan import MOST_LABELS_ANSWERED, MOST_NUMBERS
from app.answering.registry import Served
from app.dialects.beyond import by_way, treated, way_of
from app.dialects.levels import NUMBERS_OF_INTERVAL, UNSURE, WORK, Levels, without_guarantee
from app.dialects.native import bodies
from app.dialects.native.bodies import NativeQuestion
from app.dialects.native.openapi import PREDICT
from app.dialects.parameters import Version
from app.dialects.remarks import NOTHING, remarks_on, with_remarks
from app.dialects.ways import Said, Way
from app.errors import Unprocessable
from app.formats.compression import check_plain
from app.formats.media_types import JSON
from app.formats.reply import Reply
from app.http.call import Call
from app.http.dispatch import Address, Dialect
from app.responses import Response
from models_store.arrays import Array
from models_store.bundle import Bundle


class Wanted(Levels, Version):
    outside: Said | None = None
    """What becomes of rows outside what training saw; None: what the recipe says."""
    probabilities: bool = False


async def predict(answering: Answering, call: Call) -> Response:
    """Answer rows in the layout of the question; the answer never holds NaN or Infinity.

    Categories that training never saw, and missing values that something stands in for, are named in the answer, asked
    for or not: in its body if that is JSON, else in its headers.
    """
    wanted = Wanted.by(call)
    release = await answering.registry.release(call.path_params["pattern"], wanted.version, wanted.label)
    bundle = release.bundle
    if wanted.probabilities and bundle.labels is None:
        raise Unprocessable("not_a_classification", "only classification patterns have probabilities")
    if wanted.is_sure:
        wanted.check(bundle)
    # None of most requests, for which nothing of it costs anything.
    way = way_of(wanted.outside, bundle, is_sure=wanted.is_sure)
    headers = call.head.headers
    check_plain(headers.get("content-encoding", ""))
    body = await call.body()
    content_type = headers.get("content-type", "")
    expected = release.expected if wanted.extra == "refuse" else wanted.known(release.expected)
    read = partial(bodies.read, body, content_type, expected, answering.settings.max_rows)
    most = MOST_LABELS_ANSWERED if wanted.probabilities or wanted.confidence is not None else MOST_NUMBERS
    cost = len(body) if content_type == JSON else bodies.cost(body, content_type, expected)
    if way is not None:
        read, cost = partial(_read_to_treat, bundle, way, read, is_sure=wanted.is_sure), max(cost, len(body))
    if wanted.interval is not None:
        most //= NUMBERS_OF_INTERVAL
    if wanted.interval is not None or (way is not None and bundle.region is not None):
        cost *= WORK
    return await answering.answer(call.id, release, cost, read, partial(_written, release, wanted, way), most)


PREDICT_DIALECT = Dialect([Address("POST", "/predict/{pattern}", predict, documented=PREDICT, example=Bundle.sample)])


def _read_to_treat(bundle: Bundle, way: Way, read: Callable[[], NativeQuestion], *, is_sure: bool) -> NativeQuestion:
    """Return what `read` does, its rows outside what training saw treated."""
    # Not light: the answer names rows one by one.
    return replace(treated(bundle, way, read(), is_sure=is_sure), is_light=False)


def _written(release: Served, wanted: Wanted, way: Way | None, question: NativeQuestion, answers: Array) -> Response:
    remarks = remarks_on(release.bundle, question) if release.shape.is_table else NOTHING
    if question.outside is not None and (question.outside or wanted.outside not in (None, "false")):
        outside = without_guarantee(question.outside) if wanted.is_sure else question.outside
        remarks = {**remarks, "outside": outside}
    answers = by_way(release.bundle, way, question, answers)
    headers = release.headers if question.media_type == JSON else with_remarks(release.headers, remarks)
    sure = wanted.sureness(release.bundle, question.rows, answers) if wanted.is_sure else UNSURE
    reply = Reply(release.bundle, answers, wanted.probabilities, release.version, remarks, *sure)
    return Response(question.write(reply), headers=headers, media_type=question.media_type)
