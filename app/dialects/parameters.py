"""The parameters behind the question mark of an address that predicts."""

from functools import cache
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.errors import Unprocessable
from app.http.call import Call

Parameters = TypeVar("Parameters", bound="Version")


@cache
def _nothing_said(kind: type[Parameters]) -> Parameters:
    """Return the defaults, made once: they are frozen, and most requests have no parameters."""
    return kind()


class Version(BaseModel):
    """The version that answers, by number or label; without either, the champion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[int | None, Field(ge=1)] = None
    label: str | None = None

    @classmethod
    def by(cls, call: Call) -> Self:
        if not call.has_query:
            nothing: Self = _nothing_said(cls)
            return nothing
        try:
            wanted = cls.model_validate(dict(call.query_params))
        except ValidationError as error:
            raise cls._bad(error) from None
        if wanted.version is not None and wanted.label is not None:
            raise Unprocessable("bad_parameter", "give a version or a label, not both")
        return wanted

    @classmethod
    def _bad(cls, error: ValidationError) -> Unprocessable:
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        if fault["type"] == "extra_forbidden":
            there_are = ", ".join(cls.model_fields)
            return Unprocessable("bad_parameter", f"there is no such parameter; there are {there_are}")
        return Unprocessable("bad_parameter", f"{fault['loc'][0]}: {fault['msg']}")
