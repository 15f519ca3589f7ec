"""Pattern Server as an application of Ray Serve, whose proxies listen instead of ours: docs/examples/ray-serve.yaml.

serve run app.ray_serve:app
"""

from typing import Any

from fastapi import FastAPI
from ray import serve

from app.main import create_app
from app.settings import SettingsError, load_settings
from app.telemetry import logs


def build() -> FastAPI:
    """Return the ASGI app of a replica. Raises SettingsError without an admin key: proxies listen on all interfaces."""
    settings = load_settings()
    if settings.admin_key is None:
        raise SettingsError("admin_key: must be set under Ray Serve, whose proxies may listen beyond this machine")
    logs.configure(settings.log_level)
    return create_app(settings)


# Ray makes these of types that depend on its options.
deployment: Any = serve.deployment(name="patterns", max_ongoing_requests=256)
app: Any = deployment(serve.ingress(build)()).bind()
