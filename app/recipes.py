"""The recipe that a pattern is trained by when only its name is given."""

from models_store.errors import BundleUnreadable, PatternServerError, UnknownPattern
from models_store.store import Store
from training.spec import PatternSpec, shipped


def recipe_of_pattern(store: Store, name: str) -> PatternSpec:
    """The newest version's that is whole, else the shipped one. UnknownPattern, or BundleUnreadable for now."""
    published, known = store.patterns(), shipped()
    for version in reversed(store.versions(name)) if name in published else ():
        try:
            return PatternSpec.parse(store.describe(name, version).recipe)
        except BundleUnreadable:
            raise  # it may be whole: an older recipe would be a surprise
        except PatternServerError:
            continue
    if name not in known:
        raise UnknownPattern(sorted({*published, *known}))
    return known[name]
