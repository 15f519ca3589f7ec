"""Routes that take no other parameters behind the question mark than those that they name, and each of them once.

Names that are misspelt would else be ignored, and of several values all but the last.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, Request, params
from fastapi.routing import APIRoute

from app.http.parameters import check_parameters


async def check_query(request: Request) -> None:
    """Raise Unprocessable where the route does not know a parameter, or it is given more than once."""
    if request.url.query:
        check_parameters(request.query_params, [field.alias for field in request.scope["route"].dependant.query_params])


class StrictRoute(APIRoute):
    """A route that looks at its parameters once its other conditions are met, such as a key."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        dependencies: Sequence[params.Depends] | None = None,
        **others: Any,
    ) -> None:
        super().__init__(path, endpoint, dependencies=[*(dependencies or ()), Depends(check_query)], **others)
