"""Errors of bundles and of the store, as facts; app/statuses.py has their HTTP statuses.

PatternServerError
  UnknownPattern · UnknownVersion · UnknownAlias · PlotNotApplicable
  VersionInUse · ChampionStays · ChampionMoved · NothingToRollBack · AliasesDamaged
  BundleDamaged
    BundleUnreadable
  NoGoodVersion
  StoreUnwritable · StoreBusy · DiskFull · PublishUnconfirmed · BucketUnavailable
  DeviceUnavailable · EngineUnavailable
  NotFinite
  NoCalibration · TooFewRows
  NotExpressible · UnknownTarget · RuntimeAbsent · ExportDiffers · ImportRefused
  NotComparable
  TableError
  TablesUnavailable
  UnknownDataset
    DatasetGone
  DatasetDamaged
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import ClassVar

from models_store.wording import shortened


class PatternServerError(Exception):
    """An error that a caller can be told; `code` is the word for it in an answer."""

    code: ClassVar[str] = "error"


class UnknownPattern(PatternServerError):
    code = "unknown_pattern"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(f"no such pattern; there are {shortened(known)}")


class UnknownVersion(PatternServerError):
    code = "unknown_version"

    def __init__(self, pattern: str, known: Iterable[int]) -> None:
        super().__init__(f"pattern {pattern} has no such version; it has {shortened(map(str, known))}")


class UnknownAlias(PatternServerError):
    code = "unknown_label"

    def __init__(self, pattern: str, known: Iterable[str]) -> None:
        super().__init__(f"pattern {pattern} has no such label; it has {shortened(known)}")


class PlotNotApplicable(PatternServerError):
    code = "plot_not_applicable"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(f"there is no such plot of this version; there are {shortened(known)}")


class VersionInUse(PatternServerError):
    code = "version_in_use"

    def __init__(self, pattern: str, version: int, aliases: Iterable[str]) -> None:
        super().__init__(f"version {version} of {pattern} is what {shortened(aliases)} points at; move the label first")


class ChampionStays(PatternServerError):
    code = "champion_stays"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"{pattern} needs a champion, which answers when none is named; set it to another version")


class ChampionMoved(PatternServerError):
    """A version was to replace one as the champion that is no longer the champion; nothing was changed."""

    code = "champion_moved"

    def __init__(self, pattern: str, compared: int | None, champion: int | None) -> None:
        known = [f"version {version}" if version is not None else "no version" for version in (champion, compared)]
        super().__init__(
            f"{known[0]} of {pattern} is the champion by now, and not {known[1]}, which the new one was compared with; "
            "compare them again"
        )


class NothingToRollBack(PatternServerError):
    code = "nothing_to_roll_back"

    def __init__(self, pattern: str, version: int) -> None:
        super().__init__(f"version {version} of {pattern} is the oldest good one; there is none before it")


class AliasesDamaged(PatternServerError):
    code = "labels_damaged"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"where the labels of {pattern} pointed is lost; set the label champion, or train it again")


class BundleDamaged(PatternServerError):
    """Files of a version that do not hold what was published; the message names the file, and the field if it can."""

    code = "bundle_damaged"


class BundleUnreadable(BundleDamaged):
    """A version that the operating system would not read, which says nothing about what is on the disk."""

    code = "store_unreadable"


class PublishUnconfirmed(PatternServerError):
    code = "publish_unconfirmed"

    def __init__(self, pattern: str, version: int) -> None:
        super().__init__(
            f"version {version} of {pattern} is in place, but the disk did not confirm it; look before retrying"
        )


class NoGoodVersion(PatternServerError):
    code = "no_good_version"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"pattern {pattern} has no version that can be served; train it again")


class StoreUnwritable(PatternServerError):
    code = "store_unwritable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the store cannot be written ({reason}); what it holds is still served")


class StoreBusy(PatternServerError):
    code = "store_busy"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"something else has been changing the store for {seconds:g} s; nothing was changed, try again"
        )


class DiskFull(PatternServerError):
    code = "disk_full"

    def __init__(self) -> None:
        super().__init__("the disk that holds the store is full; nothing was changed")


# What installs an engine, and the other one.
ENGINES = {"onnx": ("pattern-server[onnx]", "keras"), "keras": ("pattern-server", "onnx")}


class BucketUnavailable(PatternServerError):
    """The bucket does not answer; what is on the local disk is served as before."""

    code = "bucket_unavailable"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the bucket of PATTERNS_STORE_URL cannot be reached or written ({reason}); predictions go on; "
            "check the address and the AWS_* variables"
        )


class DeviceUnavailable(PatternServerError):
    code = "device_unavailable"


class EngineUnavailable(PatternServerError):
    code = "engine_unavailable"

    def __init__(self, engine: str, reason: str) -> None:
        brings, other = ENGINES[engine]
        super().__init__(
            f"the engine {engine} is not installed here ({reason}); `pip install '{brings}'` brings it, or set "
            f"PATTERNS_ENGINE to {other}"
        )


TOO_LARGE = "a value is too large for the network, or its answer is not a finite number"


class NotFinite(PatternServerError):
    code = "not_finite"

    def __init__(self, row: int, why: str = TOO_LARGE) -> None:
        super().__init__(f"row {row}: {why}")
        self.row = row


class NoCalibration(PatternServerError):
    """A version that cannot say how far off it may be."""

    code = "no_calibration"

    def __init__(self, pattern: str) -> None:
        super().__init__(
            "this version has no calibration, because an earlier release trained it; train it again, and the new "
            f'version has one: POST /train {{"pattern": "{pattern}"}}, or patterns train {pattern}'
        )


class TooFewRows(PatternServerError):
    """A level that takes more calibration rows than there are; `rows` says how many it takes."""

    code = "too_few_rows"

    def __init__(self, level: Fraction, rows: int, n_rows: int, of: str = "") -> None:
        self.rows = rows
        # Rounded down, so that what is advised can be asked.
        possible = n_rows * 1000 // (n_rows + 1) / 1000
        way_out = f"ask for at most {possible:g}, or train on more rows" if n_rows else "train on more rows"
        super().__init__(
            f"a level of {float(level):g} takes {rows} calibration rows{of}, and this version has {n_rows}; {way_out}"
        )


class NotExpressible(PatternServerError):
    """A version that a format cannot hold whole; the message says what of it."""

    code = "not_expressible"

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(f"this version cannot be exported to {target}: {reason}")


class NotComparable(PatternServerError):
    """Two versions that no common rows say anything of; the message says why, and the way out."""

    code = "not_comparable"

    def __init__(self, reason: str, way_out: str) -> None:
        super().__init__(f"{reason}; {way_out}")


class UnknownTarget(PatternServerError):
    code = "unknown_target"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(f"there is no such export; there are {shortened(known)}")


class RuntimeAbsent(PatternServerError):
    """A file is handed out only once its runtime has answered with it."""

    code = "runtime_absent"

    def __init__(self, runtime: str, way_out: str) -> None:
        super().__init__(f"an export is tried before it is handed out, and {runtime} is not here; {way_out}")


class ExportDiffers(PatternServerError):
    code = "export_differs"

    def __init__(self, how: str) -> None:
        super().__init__(f"the export was tried and is not handed out: {how}")


class ImportRefused(PatternServerError):
    """A file that is no packed version, or a version that does not load here; the message says what of it."""

    code = "import_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing was imported: {reason}")


class TableError(PatternServerError):
    """A file that is no table, or a column that is not what it was taken for."""

    code = "bad_table"


class TablesUnavailable(PatternServerError):
    """Tables to learn from are read by polars, which an installation that only serves lacks."""

    code = "no_tables"

    def __init__(self) -> None:
        super().__init__(
            "tables to learn from are not read here: polars is not installed; use a server with the full installation, "
            "such as the one that trains for this store"
        )


class UnknownDataset(PatternServerError):
    code = "unknown_dataset"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__(f"no such dataset; there are {shortened(known)}")


class DatasetGone(UnknownDataset):
    """A recipe's table that is not there; its message names the field of the recipe."""

    code = "dataset_gone"

    def __init__(self) -> None:
        PatternServerError.__init__(
            self,
            "data.dataset: the table that this recipe learns from is not here, or not any more; upload the same file "
            "again, which gives it the same id, or name another",
        )


class DatasetDamaged(PatternServerError):
    code = "dataset_damaged"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the dataset is not what was uploaded: {reason}; upload it again")


def error_of(code: str, message: str) -> PatternServerError:
    """Return the error that another process has told of: of the class with this code, with the same message.

    A PatternServerError where this process knows no such class.
    """
    # A class without a code of its own inherits one, and does not stand for it.
    kinds = (kind for kind in _subclasses(PatternServerError) if vars(kind).get("code") == code)
    kind = next(kinds, PatternServerError)
    # Made without its constructor, which would build the message anew.
    error = kind.__new__(kind)
    PatternServerError.__init__(error, message)
    return error


def _subclasses(kind: type[PatternServerError]) -> Iterator[type[PatternServerError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
