"""What every exported text says of itself first."""

from typing import Any


def stated(portable: dict[str, Any], mark: str) -> str:
    """Return comment lines that say what the file is, and how exact. Names of patterns are letters and dashes."""
    allowed = f"{portable['tolerance']:g}"
    return (
        f"{mark} The pattern {portable['pattern']}, version {portable['version']}, as Pattern Server exported it.\n"
        f"{mark} Its answers were compared with the server's on the pattern's golden rows and on 1000 rows drawn from\n"
        f"{mark} what training saw. They differ by at most {allowed} of what an output varies by, plus its size.\n"
    )
