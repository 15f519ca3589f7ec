"""API keys, and the origin of pages in a browser: guards of addresses.

They are checked before a body is read; on the direct way a small one has arrived by then.
"""

import secrets
from typing import cast

from fastapi import Request
from pydantic import SecretStr

from app import errors
from app.http.call import Call
from app.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def require_admin(request: Request) -> None:
    """Guard a route of FastAPI that changes state. Raises as `check_admin` does."""
    check_admin(request, cast(Settings, request.app.state.parts.settings))


async def require_predictor(request: Request) -> None:
    """Guard a route of FastAPI that gives away what a pattern has learned. Raises as `check_predictor` does."""
    check_predictor(request, cast(Settings, request.app.state.parts.settings))


def check_admin(request: Request | Call, settings: Settings) -> None:
    """Guard everything that changes state.

    Raises KeyMissing, KeyWrong, or ForeignOrigin: a browser sends the origin of a page, and only our own page may.
    """
    origin = request.headers.get("origin")
    if origin is not None and not _is_ours(origin, request, settings):
        raise errors.ForeignOrigin
    _check_key(request, settings.admin_key)


def check_predictor(request: Request | Call, settings: Settings) -> None:
    """Guard predictions where there is a key for them; the admin key is good for them as well."""
    if settings.predict_key is not None:
        _check_key(request, settings.predict_key, settings.admin_key)


def _is_ours(origin: str, request: Request | Call, settings: Settings) -> bool:
    """True if the page came from this server.

    Without a key the server's name must be a loopback name or the configured host: a foreign page could give itself any
    name, and have its DNS point that name here (DNS rebinding).
    """
    is_same = origin.partition("://")[2] == request.headers.get("host")
    # `base_url` leaves out the query, whose bytes may not be text.
    return is_same and (settings.admin_key is not None or request.base_url.hostname in {*LOOPBACK, settings.host})


def _check_key(request: Request | Call, *accepted: SecretStr | None) -> None:
    keys = [key.get_secret_value().encode() for key in accepted if key is not None]
    if not keys:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise errors.KeyMissing
    if not any(secrets.compare_digest(given.strip().encode(), key) for key in keys):
        raise errors.KeyWrong
