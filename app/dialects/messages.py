"""Messages of protocols that gRPC carries: protobuf in the body of a call and of its answer."""

from functools import partial
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from app.answering.answer import Answering
from app.answering.plan import cost_of_array, reads_on_loop
from app.errors import Malformed
from app.http.call import Call
from app.responses import Response

Said = TypeVar("Said", bound=Message)


async def message_of(kind: type[Said], answering: Answering, call: Call) -> Said:
    """Return the message in the call's body; a large one is parsed in a thread. Raises Malformed where it is none."""
    body = await call.body()
    parse = partial(kind.FromString, body)
    cost = cost_of_array(len(body))
    try:
        if reads_on_loop(cost):
            return parse()
        with answering.admission.place(cost):
            return await answering.admission.predict(parse)
    except DecodeError:
        raise Malformed(f"the body is no {kind.DESCRIPTOR.full_name}") from None


def answer_of(message: Message) -> Response:
    return Response(message.SerializeToString())


def filled(kind: type[Said], said: dict[str, Any]) -> Said:
    """Return a message with these fields, as JSON has them."""
    return json_format.ParseDict(said, kind())
