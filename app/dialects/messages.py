"""Messages of protocols that gRPC carries: protobuf in the body of a call and of its answer."""

from functools import partial
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from app.answering.answer import Answering
from app.answering.plan import cost_of_array, reads_on_loop
from app.dialects.message_fields import has_more
from app.errors import Malformed, Unprocessable
from app.http.call import Call
from app.responses import Response

# Fields of a message that are never too many, and as many as a row of an example with a few features has.
FEWEST_REFUSED, FIELDS_A_ROW = 10_000, 20
# Bytes up to which a message cannot have fields that matter.
SMALL = 1 << 15
Said = TypeVar("Said", bound=Message)


async def message_of(kind: type[Said], answering: Answering, call: Call) -> Said:
    """Return the message in the call's body; a large one is parsed in a thread.

    Raises Malformed where it is none, and Unprocessable where it has too many fields.
    """
    body = await call.body()
    most = max(FEWEST_REFUSED, FIELDS_A_ROW * answering.settings.max_rows)
    cost = cost_of_array(len(body))
    if reads_on_loop(cost):
        return _parsed(kind, body, most)
    with answering.admission.place(cost):
        return await answering.admission.predict(partial(_parsed, kind, body, most))


def _parsed(kind: type[Said], body: bytes, most: int) -> Said:
    if len(body) > SMALL and has_more(body, kind.DESCRIPTOR, most):
        words = f"the message has more than {most} fields; send numbers packed or raw, or fewer rows at a time"
        raise Unprocessable("bad_body", words)
    try:
        return kind.FromString(body)
    except DecodeError:
        raise Malformed(f"the body is no {kind.DESCRIPTOR.full_name}") from None


def answer_of(message: Message) -> Response:
    return Response(message.SerializeToString())


def filled(kind: type[Said], said: dict[str, Any]) -> Said:
    """Return a message with these fields, as JSON has them."""
    return json_format.ParseDict(said, kind())
