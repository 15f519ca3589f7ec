"""Every format of tables but JSON, whose documents differ: of questions, and of rows with their right answers."""

from collections.abc import Mapping

from app.formats import arrow_stream, csv_rows, json_lines, npy, parquet
from app.formats.format import Format
from app.formats.media_types import ARROW, ARROW_FILE, CSV, JSON_LINES, NPY, PARQUET

TABLES: Mapping[str, Format] = {
    CSV: Format(csv_rows.read),
    NPY: Format(npy.read, has_arrays=True, is_array=npy.is_array),
    ARROW: Format(arrow_stream.read, has_arrays=True, is_array=arrow_stream.is_one_array, unpacks=arrow_stream.unpacks),
    ARROW_FILE: Format(arrow_stream.read, unpacks=arrow_stream.unpacks),
    PARQUET: Format(parquet.read, unpacks=parquet.unpacks),
    **dict.fromkeys(JSON_LINES, Format(json_lines.read)),
}
