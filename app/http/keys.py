"""Who may do what: keys, and where a page came from. As dependencies, asked before a body is read."""

import secrets
from typing import cast

from fastapi import Request
from pydantic import SecretStr

from app import errors
from app.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


async def require_admin(request: Request) -> None:
    """For everything that changes state. A browser says where a page came from; other pages may not use ours."""
    origin = request.headers.get("origin")
    if origin is not None and not _is_ours(origin, request):
        raise errors.ForeignOrigin
    _check_key(request, _settings(request).admin_key)


def _is_ours(origin: str, request: Request) -> bool:
    """Without a key the name must be this machine's own: any page may call itself what it likes and point that here."""
    settings = _settings(request)
    is_same = origin.partition("://")[2] == request.headers.get("host")
    # The address without its query, which may be bytes that are no text.
    return is_same and (settings.admin_key is not None or request.base_url.hostname in {*LOOPBACK, settings.host})


async def require_predictor(request: Request) -> None:
    """For predictions; the admin key opens this as well."""
    settings = _settings(request)
    if settings.predict_key is not None:
        _check_key(request, settings.predict_key, settings.admin_key)


def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.parts.settings)


def _check_key(request: Request, *accepted: SecretStr | None) -> None:
    keys = [key.get_secret_value().encode() for key in accepted if key is not None]
    if not keys:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise errors.KeyMissing
    if not any(secrets.compare_digest(given.strip().encode(), key) for key in keys):
        raise errors.KeyWrong
