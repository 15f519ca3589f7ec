"""A process whose children change a store and die at each operation of its disk. It has no TensorFlow, so it may fork.

python -m tests.dying <store> <folder>    copies the store for every death; prints {"act", "when", "at", "root"} of each
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import get_args

from models_store.storage.aliases import CHAMPION
from models_store.storage.store import Store
from tests.disks import StrickenDisk, When
from tests.fakes import LinearNetwork, line

KEEP = 3
DEAD = 9

# Changes of a store that holds the versions 1, 2 and 3, whose champion is 3.
ACTS: dict[str, Callable[[Store], object]] = {
    "publish": lambda store: store.publish(line(slope=4.0)),
    "publish unpromoted": lambda store: store.publish(line(slope=4.0), promote=False),
    "publish first": lambda store: store.publish(line(slope=1.0, pattern="other")),
    "set label": lambda store: store.set_alias("line", "challenger", 1),
    "remove label": lambda store: _set_and_remove(store, "challenger"),
    "rollback": lambda store: store.rollback("line"),
    "delete": lambda store: store.delete("line", 1),
    "recover": lambda store: store.recover(),
}


def _set_and_remove(store: Store, alias: str) -> None:
    store.set_alias("line", alias, 1)
    store.remove_alias("line", alias)


def opened(root: Path, strike_at: int, strike: Callable[[], None], when: When) -> Store:
    return Store(root, LinearNetwork.from_bytes, keep=KEEP, disk=StrickenDisk(strike_at, strike, when))


def stocked(root: Path) -> Path:
    """Make the store that `ACTS` begin with: the slope of a version is its number, and two files are half written."""
    store = Store(root, LinearNetwork.from_bytes, keep=KEEP)
    for version in (1, 2, 3):
        store.publish(line(slope=version))
    assert store.aliases("line") == {CHAMPION: 3}
    (root / ".tmp-torn").mkdir()
    (root / ".tmp-torn" / "bundle.json").write_bytes(b'{"format"')
    (root / ".tmp-labels").write_bytes(b'{"labels"')
    return root


def survives(root: Path, act: str, strike_at: int, when: When) -> bool:
    """Return False if the child died at that operation, True if it came to its end."""
    child = os.fork()
    if child == 0:
        ACTS[act](opened(root, strike_at, lambda: os._exit(DEAD), when))
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status not in (0, DEAD):
        raise SystemExit(f"{act} ended with {status}")
    return status == 0


def main(template: Path, folder: Path) -> None:
    for act in ACTS:
        for when in get_args(When):
            for strike_at in count(1):
                root = folder / f"{act} {when} {strike_at}"
                shutil.copytree(template, root)
                if survives(root, act, strike_at, when):
                    break
                said = {"act": act, "when": when, "at": strike_at, "root": str(root)}
                sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
