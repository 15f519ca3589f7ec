"""The moment from which on a window is looked at, as a request says it: hour, day, or a moment in ISO 8601."""

from datetime import UTC, datetime

from app.drift.records import DAY, FORGOTTEN_AFTER, HOUR
from app.errors import Unprocessable

SPANS = {"hour": HOUR, "day": DAY}
EXPECTED = "since: expected hour, day, or a moment of the last thirty days such as 2026-05-31T18:00:00Z"


def since_of(said: str, now: float) -> float:
    """Return seconds since 1970. Raises Unprocessable."""
    if said in SPANS:
        return now - SPANS[said]
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        raise Unprocessable("bad_parameter", EXPECTED) from None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not now - FORGOTTEN_AFTER <= seconds <= now:
        raise Unprocessable("bad_parameter", EXPECTED)
    return seconds
