"""Checkpoints: the best weights of a training under way, whole or not at all, and not for ever."""

import os
from pathlib import Path

import numpy as np

from models_store.storage.checkpoints import KEPT, Checkpoint, Checkpoints

WEIGHTS = [np.array([[1.5, -2.0]], dtype=np.float32), np.array([0.25])]


def test_what_is_written_is_read_and_the_last_one_counts(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write("job", Checkpoint(10, 7, [weight + 1 for weight in WEIGHTS]))
    checkpoints.write("job", Checkpoint(20, 17, WEIGHTS))
    found = checkpoints.read("job")
    assert found is not None
    assert (found.epoch, found.best_epoch) == (20, 17)
    assert [weight.tolist() for weight in found.weights] == [weight.tolist() for weight in WEIGHTS]
    assert [weight.dtype for weight in found.weights] == [weight.dtype for weight in WEIGHTS]


def test_a_training_that_ended_by_itself_leaves_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.remove("job")
    checkpoints.write("job", Checkpoint(1, 1, WEIGHTS))
    checkpoints.remove("job")
    assert checkpoints.read("job") is None
    assert list((tmp_path / ".checkpoints").iterdir()) == []


def test_of_those_that_were_cut_off_the_newest_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    names = [f"job-{number}" for number in range(KEPT + 3)]
    for age, name in enumerate(names):
        checkpoints.write(name, Checkpoint(1, 1, WEIGHTS))
        os.utime(tmp_path / ".checkpoints" / f"{name}.npz", (age, age))
    checkpoints.remove("another")
    assert [name for name in names if checkpoints.read(name)] == names[-KEPT:]


def test_one_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.write("job", Checkpoint(1, 1, WEIGHTS))
    path = tmp_path / ".checkpoints" / "job.npz"
    for damaged in (b"", b"PK", path.read_bytes()[:-40]):
        path.write_bytes(damaged)
        assert checkpoints.read("job") is None
