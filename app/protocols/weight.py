"""How much work a body is to read or to write: as much as so many bytes of JSON."""

# What holds numbers as they are in memory is looked at; texts are read, and written, digit by digit.
BYTES_OF_ARRAYS = 32
NUMBER_IN_JSON = 24.0
NUMBER_IN_ARRAY = 8 / BYTES_OF_ARRAYS


def of_array(n_bytes: int) -> int:
    return n_bytes // BYTES_OF_ARRAYS
