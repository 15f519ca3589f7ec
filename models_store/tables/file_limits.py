"""The most that the file of a table may hold once it is unpacked."""

from models_store.errors import TableError

MOST_CELLS = 50_000_000
MOST_BYTES = 4 << 30


def check_size(n_rows: int, n_columns: int) -> None:
    """Raise TableError where there are more than MOST_CELLS cells."""
    if n_rows * n_columns > MOST_CELLS:
        raise TableError(f"more than {MOST_CELLS} values, the most that a table may have, in {n_columns} columns")


def check_bytes(n_bytes: int) -> None:
    """Raise TableError where there are more than MOST_BYTES bytes."""
    if n_bytes > MOST_BYTES:
        raise TableError(f"the table is larger than {MOST_BYTES >> 30} GB when it is unpacked")
