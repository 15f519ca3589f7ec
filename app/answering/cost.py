"""How much work a body is to read or to write: as much as so many bytes of JSON."""

# Numbers as they are in memory are looked at; texts are read, and written, digit by digit. So many bytes for one.
LIGHTER = 32
NUMBER_IN_JSON = 24.0
NUMBER_IN_ARRAY = 8 / LIGHTER
