"""The JavaScript file as a module of node: a list of records in, a list of records out."""

import json
from pathlib import Path
from typing import Any

import pytest

from models_store.bundle import Bundle
from models_store.errors import ExportDiffers
from models_store.exports.programs import found, ran
from models_store.exports.targets import export
from models_store.tables.table import Table, to_json
from models_store.tables.words import words_of
from tests.exported import probable, spelled, without

pytestmark = without("node")


def said(bundle: Bundle, folder: Path, expression: str, records: list[dict[str, Any]]) -> Any:
    """Return the value of a JavaScript expression of the module `pattern` and of `records`."""
    (folder / "pattern.mjs").write_bytes(export(bundle, 1, "js").content)
    (folder / "ask.mjs").write_text(
        f'import * as pattern from "./pattern.mjs";\nconst records = {json.dumps(records)};\n'
        f"process.stdout.write(JSON.stringify({expression}));\n"
    )
    return json.loads(ran([found(("node", "nodejs"), "install Node.js"), str(folder / "ask.mjs")]))


def test_records_are_answered_with_records_and_null_is_missing(tmp_path: Path) -> None:
    bundle = spelled()
    assert isinstance(bundle.golden_inputs, Table)
    rows = to_json(bundle.golden_inputs, bundle.kinds)
    assert any(None in row for row in rows)
    records = [dict(zip(bundle.inputs, row, strict=True)) for row in rows]
    answers = [answer["y"] for answer in said(bundle, tmp_path, "pattern.predict(records)", records)]
    assert answers == pytest.approx(bundle.predict(bundle.golden_inputs)[:, 0].tolist(), rel=1e-6)
    assert said(bundle, tmp_path, "pattern.columns", []).keys() == {*bundle.inputs}


def test_labels_have_the_type_that_they_had_and_probabilities(tmp_path: Path) -> None:
    [answer] = said(probable(), tmp_path, "pattern.predict(records)", [{"x": 1}])
    [likely] = said(probable(), tmp_path, "pattern.probabilities(records)", [{"x": 1}])
    assert answer["class"] in (1, 2)
    assert likely["class"].keys() == {"1", "2"}
    assert sum(likely["class"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"x": "1"}, "row 0, column x: expected a number"),
        ({"x": None}, "row 0, column x: expected a number"),
        ({}, "row 0: missing: x"),
        ({"x": 1, "z": 2}, "row 0: no columns of the pattern: z; there are x"),
        ({"x": 1e300}, "row 0: a value is too large for the network"),
    ],
)
def test_a_record_that_the_server_refuses_is_refused(tmp_path: Path, record: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportDiffers, match=words):
        said(probable(), tmp_path, "pattern.predict(records)", [record])


def test_words_are_found_as_the_server_finds_them(tmp_path: Path) -> None:
    """Letters and digits of all scripts, as Python and this JavaScript know them."""
    letters = [chr(code) for code in range(0x3000) if not 0xD800 <= code < 0xE000]
    expression = "records.map(({ letter }) => (letter.toLowerCase().match(/[\\p{L}\\p{N}]+/gu) ?? []).join(' '))"
    found_by_js = said(probable(), tmp_path, expression, [{"letter": letter} for letter in letters])
    different = [
        letter
        for letter, words in zip(letters, found_by_js, strict=True)
        if words != " ".join(words_of(letter)) and letter.isprintable()
    ]
    assert different == []
