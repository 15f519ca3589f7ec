"""The names that pandas gives to an index without a name, where it writes one as a column."""

import re

IN_PARQUET = "__index_level_[0-9]+__"
# In a CSV file that pandas has read, and written again.
IN_CSV = "Unnamed: 0"

PARQUET_INDEX = re.compile(IN_PARQUET)
ANY_INDEX = re.compile(f"{IN_PARQUET}|{IN_CSV}")
