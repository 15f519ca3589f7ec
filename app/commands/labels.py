"""`patterns promote` and `patterns label`: which version answers when none is named, and names for others."""

from contextlib import suppress

from app.answering.shadow import SHADOW
from app.commands.store import open_store_to_change
from app.errors import Unprocessable
from models_store.comparison.agreement import Signature, check_comparable
from models_store.errors import NotComparable, PatternServerError
from models_store.names import NAME_RULE, is_name
from models_store.storage.store import Store


def set_label(pattern: str, label: str, version: int) -> str | None:
    """Point a label at a version; return why it is asked nothing, if it is a shadow that cannot be compared.

    Raises UnknownPattern, Unprocessable for what is no name of a label, and all that `Store.set_alias` raises.
    """
    store = open_store_to_change()
    store.versions(pattern)  # refused where there is no such pattern
    if not is_name(label):
        raise Unprocessable("bad_label", f"a label is {NAME_RULE}")
    store.set_alias(pattern, label, version)
    return _why_idle(store, pattern, version) if label == SHADOW else None


def remove_label(pattern: str, label: str) -> None:
    """Take a label away. Raises UnknownPattern, UnknownAlias, and ChampionStays."""
    open_store_to_change().remove_alias(pattern, label)


def _why_idle(store: Store, pattern: str, shadow: int) -> str | None:
    with suppress(PatternServerError):
        champion = store.champion(pattern)
        if champion == shadow:
            return "it is the champion itself"
        try:
            check_comparable(*(Signature.described(store.describe(pattern, number)) for number in (champion, shadow)))
        except NotComparable as error:
            return str(error)
    return None
