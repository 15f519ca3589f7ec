"""What an address may have behind the question mark: parameters that it knows, each once."""

from collections.abc import Collection

from starlette.datastructures import QueryParams

from app.errors import Unprocessable


def check_parameters(query: QueryParams, known: Collection[str]) -> None:
    """Raise Unprocessable where a parameter is none of the known ones, or is given more than once."""
    names = [name for name, _ in query.multi_items()]
    if not set(names) <= set(known):
        raise Unprocessable("bad_parameter", f"there is no such parameter; {_there_are(known)}")
    if repeated := [name for name in known if names.count(name) > 1]:
        raise Unprocessable("bad_parameter", f"{repeated[0]}: given {names.count(repeated[0])} times; give it once")


def _there_are(known: Collection[str]) -> str:
    return f"there are {', '.join(known)}" if known else "this address takes none"
