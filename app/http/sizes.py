"""The largest body of each address."""

from app.settings import Settings

UPLOADS = "/datasets"


def most_bytes(path: str, settings: Settings) -> int:
    """Return the bytes that a body sent to this path may have."""
    return settings.max_dataset_bytes if path == UPLOADS else settings.max_body_bytes
