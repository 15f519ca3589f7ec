"""The rows of a question, and what becomes of those outside what training saw."""

from dataclasses import dataclass, field
from typing import Any

from models_store.tables.table import Raw


@dataclass(frozen=True, eq=False)
class AskedRows:
    """Raw rows in the card's column order, as the network gets them."""

    rows: Raw
    outside: list[dict[str, Any]] | None = field(default=None, kw_only=True)
    """The rows outside what training saw, and what becomes of them; None where they are answered like others."""
    unclipped: Raw | None = field(default=None, kw_only=True)
    """The rows as they were, if some were clipped."""

    @property
    def is_sure(self) -> bool:
        """True if its answers are to have intervals or sets, as far as the body says so."""
        return False

    @property
    def asked(self) -> Raw:
        return self.rows if self.unclipped is None else self.unclipped
