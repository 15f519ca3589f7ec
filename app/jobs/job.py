"""A job and its events, as values.

queued -> running -> succeeded | failed | cancelled | interrupted        nothing leaves a terminal state
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self, get_args

import sqlalchemy as sql

from training.messages import IfBetter, Promote

Status = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
STATUSES: tuple[Status, ...] = get_args(Status)
TERMINAL = ("succeeded", "failed", "cancelled", "interrupted")


@dataclass(frozen=True)
class Job:
    """A training run as it stands in the database; times of the row are seconds since 1970, UTC."""

    id: str
    pattern: str
    status: Status
    recipe: dict[str, Any]
    promote: Promote
    cancel_requested: bool
    row: dict[str, Any]

    @classmethod
    def from_row(cls, row: sql.RowMapping) -> Self:
        recipe = json.loads(row["recipe"])
        promote = row["promote"] if row["tolerance"] is None else IfBetter(tolerance=row["tolerance"])
        return cls(row["id"], row["pattern"], row["status"], recipe, promote, row["cancel_requested"], dict(row))

    @property
    def has_ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def promotion(self) -> dict[str, Any] | None:
        """Whether its version was promoted, and why; None where nothing was compared, or not yet."""
        return json.loads(self.row["decision"]) if self.row["decision"] else None

    def to_json(self) -> dict[str, Any]:
        """Return the job as the API shows it; times are UTC, ISO 8601."""
        row = self.row
        error = {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None
        return {
            "id": self.id,
            "pattern": self.pattern,
            "status": self.status,
            "progress": {name: row[name] for name in ("epoch", "epochs", "loss", "val_loss", "eta_s")},
            "version": row["version"],
            "metrics": json.loads(row["metrics"]) if row["metrics"] else None,
            "error": error,
            **({"promotion": self.promotion} if self.promotion else {}),
            # What else there is to say of a training that went well.
            **({"note": row["error_message"]} if row["error_message"] and not error else {}),
            "times": {name: _iso(row[name]) for name in ("created", "started", "heartbeat", "finished")},
            "links": {
                "self": f"/train/{self.id}",
                "events": f"/train/{self.id}/events",
                "cancel": f"/train/{self.id}",
                **({"trials": f"/train/{self.id}/trials"} if self.recipe.get("search") else {}),
            },
        }


@dataclass(frozen=True)
class Event:
    """A step of one job; events of a job are numbered from 1 without gaps."""

    number: int
    kind: str
    data: dict[str, Any]


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
