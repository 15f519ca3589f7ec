"""A helper process: limits itself, keeps stdout for its messages, and then runs a module.

python -m app.processes MODULE PARENT BYTES [ARGUMENT …]

    MODULE    training.worker or app.processes.table_reader, whose `run(messages, arguments)` is called
    PARENT    id of the process that has started this one
    BYTES     most memory that this process may take
"""

import os
import sys
from importlib import import_module
from typing import IO, get_args

from app.processes.limits import restrain
from app.processes.spawn import Module


def main() -> None:
    module, parent, n_bytes, *arguments = sys.argv[1:]
    if module not in get_args(Module):
        sys.exit(f"{module}: no such helper; there are {', '.join(get_args(Module))}")
    with _own_stdout() as messages:
        restrain(int(parent), int(n_bytes))
        # Imported only now, because the limits are to hold for its imports too.
        import_module(module).run(messages, arguments)


def _own_stdout() -> IO[str]:
    """Return stdout for messages alone; what libraries print goes to stderr from now on."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return messages


if __name__ == "__main__":
    main()
