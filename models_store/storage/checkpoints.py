"""The best weights of trainings under way, so that a training that is cut off need not begin again.

<root>/.checkpoints/<job>.npz      epoch, best_epoch, and the weights of the best epoch, layer by layer

A checkpoint is written while a training runs, and removed when the training ends by itself. The newest few of those
that were cut off are kept.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models_store.storage.disk import writing

KEPT = 5


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after `epoch` epochs, with its `weights` after `best_epoch`, both counted from 1."""

    epoch: int
    best_epoch: int
    weights: list[NDArray[Any]]

    def to_bytes(self) -> bytes:
        target = io.BytesIO()
        layers = {f"weights_{place}": weight for place, weight in enumerate(self.weights)}
        np.savez(target, epoch=self.epoch, best_epoch=self.best_epoch, **layers)  # type: ignore[arg-type]  # mypy takes layers for allow_pickle
        return target.getvalue()

    @classmethod
    def from_bytes(cls, saved: bytes) -> Self:
        with np.load(io.BytesIO(saved), allow_pickle=False) as found:
            weights = [found[f"weights_{place}"] for place in range(len(found.files) - 2)]
            return cls(int(found["epoch"]), int(found["best_epoch"]), weights)


class Checkpoints:
    """The checkpoints of a store. Stateless: every process that opens the root sees the same."""

    def __init__(self, root: Path) -> None:
        self._directory = root / ".checkpoints"

    def write(self, job: str, checkpoint: Checkpoint) -> None:
        """Replace the checkpoint of a job, whole or not at all. Raises DiskFull, StoreUnwritable."""
        aside = self._directory / f".{job}.part"
        with writing():
            self._directory.mkdir(parents=True, exist_ok=True)
            with aside.open("wb") as file:
                file.write(checkpoint.to_bytes())
                file.flush()
                os.fsync(file.fileno())
            aside.rename(self._path(job))

    def read(self, job: str) -> Checkpoint | None:
        """The checkpoint of a job; None if there is none, or none that can be read."""
        try:
            return Checkpoint.from_bytes(self._path(job).read_bytes())
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return None

    def remove(self, job: str) -> None:
        """Remove the checkpoint of a job, and all others but the newest few: no training came back for them."""
        with writing():
            self._path(job).unlink(missing_ok=True)
            if self._directory.is_dir():
                for path in sorted(self._directory.iterdir(), key=_written_at)[:-KEPT]:
                    path.unlink(missing_ok=True)

    def _path(self, job: str) -> Path:
        return self._directory / f"{job}.npz"


def _written_at(path: Path) -> float:
    """Seconds since 1970; 0 if another training removes the file at this moment."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
