"""Aliases of a pattern's versions: names such as champion, and the version that each points at.

<root>/<pattern>/labels.json      {"labels": {"champion": 2}, "highest": 3, "sha256": "..."}

Users know them as labels, so the file, the addresses and the messages say label.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from models_store.errors import (
    AliasesDamaged,
    ChampionStays,
    NoGoodVersion,
    NothingToRollBack,
    StoreUnwritable,
    UnknownAlias,
)
from models_store.names import LARGEST_VERSION, is_name
from models_store.storage import manifest
from models_store.storage.disk import Disk
from models_store.storage.quarantine import Quarantine

log = logging.getLogger("patterns.store")

CHAMPION = "champion"
FILE = "labels.json"
# Each has a name of at most 63 letters, so the file stays far below the most bytes that are read of it.
MOST_ALIASES, LARGEST_FILE = 1000, 1 << 20
NO_FILE = "the labels are no regular file, or too large"
BROKEN = "the seal of the labels is broken"
UNPARSABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class AliasRecord:
    """The content of labels.json: the aliases, and the highest version ever, so that no number is used twice."""

    aliases: dict[str, int] = field(default_factory=dict)
    highest: int = 0

    def to_bytes(self) -> bytes:
        return manifest.sealed({"labels": self.aliases, "highest": self.highest})

    @classmethod
    def from_bytes(cls, written: bytes) -> Self:
        """Raises one of UNPARSABLE if these are not the bytes that `to_bytes` made."""
        saved: dict[str, Any] = json.loads(written)
        if written != manifest.sealed({"labels": saved["labels"], "highest": saved["highest"]}):
            raise ValueError("the seal is broken")
        aliases = {str(alias): int(version) for alias, version in saved["labels"].items()}
        highest = int(saved["highest"])
        if not all(0 <= version <= LARGEST_VERSION for version in (highest, *aliases.values())):
            raise ValueError("a version has a number that none can have")
        return cls(aliases, highest)


def champion_of(aliases: Mapping[str, int], versions: Sequence[int]) -> int:
    """Return the champion among `versions`, at least one, oldest first; see `Aliases.champion`."""
    named = aliases.get(CHAMPION)
    before = [version for version in versions if named is None or version <= named]
    return max(before) if before else max(versions)


class Aliases:
    """The aliases of one pattern, on disk. Stateless; changed under the lock of the store."""

    def __init__(self, root: Path, pattern: str, disk: Disk) -> None:
        self._root = root
        self._pattern = pattern
        self._path = root / pattern / FILE
        self._disk = disk

    # -- reading: OSError where the disk will not, which says nothing about the file -----------------------------------

    def read(self) -> AliasRecord | None:
        """An empty record where there is no file yet; None where it is damaged."""
        try:
            written = manifest.read_regular(self._path, LARGEST_FILE)
            return None if written is None else AliasRecord.from_bytes(written)
        except (FileNotFoundError, NotADirectoryError):
            return AliasRecord()
        except UNPARSABLE:
            return None

    def is_damaged(self) -> bool:
        return self.read() is None

    def found(self) -> dict[str, int]:
        """The version of each alias; none while the file is damaged."""
        return (self.read() or AliasRecord()).aliases

    def known(self) -> dict[str, int]:
        """The version of each alias. Raises AliasesDamaged."""
        record = self.read()
        if record is None:
            raise AliasesDamaged(self._pattern)
        return record.aliases

    def champion(self, versions: Sequence[int]) -> int:
        """The champion, or if that version is gone the nearest before it, or else the newest. Raises NoGoodVersion."""
        if not versions:
            raise NoGoodVersion(self._pattern)
        return champion_of(self.found(), versions)

    def before_champion(self, versions: Sequence[int]) -> int:
        """The version to roll back to. Raises NothingToRollBack, NoGoodVersion, AliasesDamaged."""
        champion = self.champion(versions)
        self.known()  # refused while nobody knows which version the champion was
        before = [version for version in versions if version < champion]
        if not before:
            raise NothingToRollBack(self._pattern, champion)
        return max(before)

    # -- changing ------------------------------------------------------------------------------------------------------

    def write(self, record: AliasRecord) -> None:
        """Replace the file; a damaged one is kept in quarantine."""
        if self.is_damaged():
            self._keep_damaged()
        self._disk.replace_file(self._root, self._path, record.to_bytes())

    def set(self, alias: str, version: int, highest: int) -> None:
        """Point an alias at a version. Raises UnknownAlias if it is not a name, StoreUnwritable if it is one too many.

        Raises AliasesDamaged, unless the alias is champion: naming a champion replaces damaged aliases.
        """
        if not is_name(alias):
            raise UnknownAlias(self._pattern, self.found())
        known = {} if alias == CHAMPION and self.is_damaged() else self.known()
        if alias not in known and len(known) >= MOST_ALIASES:
            raise StoreUnwritable(f"{self._pattern} has {MOST_ALIASES} labels, which is the most")
        self.write(AliasRecord({**known, alias: version}, highest))

    def remove(self, alias: str, highest: int) -> None:
        """Raises AliasesDamaged, ChampionStays, UnknownAlias."""
        known = self.known()
        if alias == CHAMPION:
            raise ChampionStays(self._pattern)
        if alias not in known:
            raise UnknownAlias(self._pattern, known)
        left = {name: version for name, version in known.items() if name != alias}
        self.write(AliasRecord(left, highest))

    def record_published(self, version: int, *, promote: bool) -> None:
        """Note a version that has just been published. The first one is champion, whether promoted or not."""
        record = self.read()
        if record is not None:
            champion = {CHAMPION: version} if promote or CHAMPION not in record.aliases else {}
            self.write(AliasRecord({**record.aliases, **champion}, version))
        elif promote:  # damaged aliases are replaced only where a new champion is wanted
            self.write(AliasRecord({CHAMPION: version}, version))

    def promote_late(self, version: int) -> None:
        """Promote a version whose publish was cut short before `record_published`; aliases written since then stay."""
        record = self.read()
        if record is not None and record.highest < version:
            self.write(AliasRecord({**record.aliases, CHAMPION: version}, version))

    def _keep_damaged(self) -> None:
        written = manifest.read_regular(self._path, LARGEST_FILE)
        reason = NO_FILE if written is None else BROKEN
        quarantine = Quarantine(self._root, self._disk)
        kept = quarantine.keep_file(self._path, f"{self._pattern}-labels", written, reason)
        log.error("damaged labels are replaced", extra={"pattern": self._pattern, "kept": kept})
