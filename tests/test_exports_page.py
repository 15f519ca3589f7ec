"""docs/exports.md lists the targets that the code knows, and the table that the benchmark makes has them all."""

import re
from pathlib import Path

from models_store import errors
from models_store.exports.names import TARGETS

PAGE = (Path(__file__).parents[1] / "docs" / "exports.md").read_text("utf-8")


def test_every_target_has_a_line_and_a_column_of_the_table_of_figures() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \| (?:one|the network)", PAGE, re.MULTILINE)
    assert {*listed} - {"bundle"} == {*TARGETS} - {"bundle"}
    assert f"| pattern | {' | '.join(f'`{target}`' for target in TARGETS)} |" in PAGE


def test_every_refusal_of_an_export_is_explained() -> None:
    kinds = (errors.NotExpressible, errors.UnknownTarget, errors.RuntimeAbsent, errors.ExportDiffers)
    for kind in kinds:
        assert f"| `{kind.code}` |" in PAGE
