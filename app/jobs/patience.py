"""The waiting times of trainings, all in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long the parts of trainings wait for each other; tests are less patient."""

    queue_poll_seconds: float = 0.25
    """Between two looks for a job that another process has queued."""
    leader_poll_seconds: float = 0.5
    """Between two attempts to become the process that trains, and after a fault of disk or database."""
    supervision_poll_seconds: float = 0.25
    """Between two looks whether a running training is to stop; also the longest wait for the trainer's next word."""
    cancel_seconds: float = 5.0
    """From asking a training to stop until its process is killed."""
    listener_poll_seconds: float = 0.1
    """Between two looks for a job's next events; longer and longer while nothing happens."""
    longest_listener_poll_seconds: float = 1.0
    """The longest of those pauses."""
    keep_alive_seconds: float = 10.0
    """From the last event of a stream until a comment shows that the connection lives."""


USUAL = Patience()
