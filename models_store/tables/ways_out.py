"""What the owner of a table may say of a column, in the words of the command line and of a recipe."""

import shlex


def option(name: str, kind: str) -> str:
    """Return `--column size=number` as a shell takes it, whatever the name is."""
    return f"--column {shlex.quote(f'{name}={kind}')}"


def field(name: str, kind: str) -> str:
    """Return `data.columns: {size: number}`, the same in a recipe."""
    return f"data.columns: {{{name}: {kind}}}"


def saying(name: str, kind: str) -> str:
    return f"{option(name, kind)} ({field(name, kind)})"
