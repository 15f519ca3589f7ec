"""Words of messages: names in a list, shortened where they are many or long, and how many there are."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


def counted(number: int, one: str, several: str) -> str:
    """Return how many there are: "1 row", "1,000 rows"."""
    return f"{number:,} {one if number == 1 else several}"


def shortened(names: Iterable[str], most: int = 10) -> str:
    """Return at most `most` names in a list; "none" if it is empty."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return (", ".join(listed[:most]) or "none") + more


def shortened_name(name: str, most: int = 40) -> str:
    """Return at most `most` characters of a name."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def unlike(name: str, known: Sequence[str]) -> str:
    """Return what to say about an unknown column: the one that may be meant, and those that there are."""
    near = get_close_matches(name, known, n=1)
    meant = f"did you mean {shortened_name(near[0])}? " if near else ""
    return f"{meant}there are {shortened(map(shortened_name, known))}"
