"""The waiting times of trainings, all in seconds."""

from dataclasses import dataclass

from app.jobs.leases import LEASE_SECONDS


@dataclass(frozen=True)
class Patience:
    """The pauses and time limits between server, trainer and listeners; tests pass shorter ones."""

    queue_poll_seconds: float = 0.25
    """The pause between two looks for a job that another process has queued."""
    leader_poll_seconds: float = 0.5
    """The pause between two attempts to become the process that trains, and after a fault of disk or database."""
    supervision_poll_seconds: float = 0.25
    """The pause between two checks of a running training: is it cancelled, has it taken too long."""
    lease_poll_seconds: float = LEASE_SECONDS / 4
    """The pause between two renewals of a running job's lease, and between two looks for jobs whose process is gone."""
    bucket_poll_seconds: float = 1.0
    """The pause between two attempts to publish in a bucket that was away."""
    cancel_seconds: float = 5.0
    """The time that a training has to stop, once asked, before its process is killed."""
    listener_poll_seconds: float = 0.1
    """The first pause between two looks for a job's next events; pauses grow while nothing happens."""
    longest_listener_poll_seconds: float = 1.0
    """The longest of those pauses."""
    keep_alive_seconds: float = 10.0
    """The silence after which a stream sends a comment, so that no proxy closes the connection."""


USUAL = Patience()
