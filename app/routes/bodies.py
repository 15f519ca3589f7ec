"""JSON bodies of native routes, read equally strictly on all of them."""

from typing import Annotated, Any

from fastapi import Depends, Request

from app.errors import BodyTooLarge, NotAcceptedType
from app.formats import strict_json
from app.formats.compression import check_plain
from app.formats.media_types import JSON, media_type_of
from app.formats.strict_json import LARGEST


async def _strict(request: Request) -> bytes:
    """Return the body of a request that says it is JSON. Raises NotAcceptedType, BodyTooLarge."""
    if media_type_of(request.headers.get("content-type", "")) != JSON:
        raise NotAcceptedType(f"the content type must be {JSON}")
    check_plain(request.headers.get("content-encoding", ""))
    body = await request.body()
    if len(body) > LARGEST:
        raise BodyTooLarge(LARGEST)
    return body


async def _parsed(body: Annotated[bytes, Depends(_strict)]) -> Any:
    return strict_json.loads(body)


RawJson = Annotated[bytes, Depends(_strict)]
ParsedJson = Annotated[Any, Depends(_parsed)]
