"""The requests that a trainer has been sent and has not done yet."""

import queue
from collections.abc import Iterable
from dataclasses import dataclass, field

from models_store.card import EarlyEnd
from training.messages import Cancel, Finish, Measure, MeasureEach, Publish, PublishEach, ScoreFolds, request_of

Work = Publish | PublishEach | Measure | MeasureEach | ScoreFolds


@dataclass(frozen=True)
class Inbox:
    """Filled by one thread and emptied by another, so that a cancellation is seen while a training runs."""

    requests: "queue.SimpleQueue[Work | None]" = field(default_factory=queue.SimpleQueue)
    """Requests in the order of their lines; None at the end."""
    cancelled: set[str] = field(default_factory=set)
    finishing: dict[str, EarlyEnd] = field(default_factory=dict)
    """Searches whose best trial so far is wanted, and why."""

    def read(self, lines: Iterable[str]) -> None:
        """Take requests until the input ends. Raises ValueError at a line that is not a request."""
        try:
            for line in lines:
                request = request_of(line)
                if isinstance(request, Cancel):
                    self.cancelled.add(request.id)
                elif isinstance(request, Finish):
                    self.finishing.setdefault(request.id, request.why)
                else:
                    self.requests.put(request)
        finally:
            # Also after a wrong line: the trainer ends, and its sender does not wait for it in vain.
            self.requests.put(None)
