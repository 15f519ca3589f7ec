"""The parameters behind the question mark of an address that predicts."""

from functools import lru_cache
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from app.errors import Unprocessable
from app.formats.expected import Expected
from app.http.call import Call
from app.http.parameters import check_parameters

Parameters = TypeVar("Parameters", bound="Version")

# Clients ask with few different parameters, and very often; so many are remembered, of so many bytes.
MOST_REMEMBERED, LONGEST_REMEMBERED = 256, 200

LEVELS = ("interval", "confidence", "joint")
LEVELS_GO_TO = (
    "not in this address; POST /predict/{pattern} and /invocations take it, and the Open Inference Protocol in "
    'the parameters of the body: "parameters": {"interval": 0.9}'
)
NAMED_ANYWAY = "without it, rows with a category that training never saw are named"


class Version(BaseModel):
    """The version that answers, by number or label; without either, the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int | None, Field(ge=1)] = None
    label: str | None = None
    extra: Literal["refuse", "ignore"] = "refuse"
    """What to do with columns that the pattern does not know."""

    @classmethod
    def by(cls, call: Call) -> Self:
        """Return what the call's parameters say. Raises Unprocessable where one is unknown, repeated or bad."""
        query = call.head.query
        return (_remembered if len(query) <= LONGEST_REMEMBERED else _read)(cls, query)

    @classmethod
    def of(cls, query: bytes) -> Self:
        parameters = QueryParams(query)
        check_parameters(parameters, cls.model_fields)
        try:
            wanted = cls.model_validate(dict(parameters))
        except ValidationError as error:
            raise cls._bad(error) from None
        if wanted.version is not None and wanted.label is not None:
            raise Unprocessable("bad_parameter", "give a version or a label, not both")
        return wanted

    def known(self, expected: Expected) -> Expected:
        """Return the columns of the pattern as the question may have them."""
        return expected.ignoring_extra if self.extra == "ignore" else expected

    @classmethod
    def _bad(cls, error: ValidationError) -> Unprocessable:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        return Unprocessable("bad_parameter", f"{fault['loc'][0]}: {fault['msg']}")


def expected_by(call: Call, expected: Expected) -> Expected:
    """Return the columns as the question may have them, where the address has other parameters, which are ignored.

    Raises Unprocessable where `extra` is neither refuse nor ignore, and for what nothing here would heed.
    """
    query = call.head.query
    parameters = QueryParams(query) if query else {}
    if sure := [name for name in LEVELS if name in parameters]:
        raise Unprocessable("bad_parameter", f"{sure[0]}: {LEVELS_GO_TO}")
    if "outside" in parameters:
        raise Unprocessable("bad_parameter", f"outside: only POST /predict/{{pattern}} takes it; {NAMED_ANYWAY}")
    said = parameters.get("extra")
    return expected if said is None else Version.of(urlencode({"extra": said}).encode()).known(expected)


def _read(kind: type[Parameters], query: bytes) -> Parameters:
    return kind.of(query)


_remembered = lru_cache(maxsize=MOST_REMEMBERED)(_read)
