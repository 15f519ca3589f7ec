"""What an export is tried with, and what happens where its answers are others."""

from dataclasses import replace

import numpy as np
import pytest

from models_store.errors import ExportDiffers, RuntimeAbsent, UnknownTarget
from models_store.exports import programs, targets
from models_store.exports.sample import UNSEEN, Sample
from models_store.exports.targets import export
from models_store.tables.table import Table, are_missing
from tests.exported import probable, spelled


def test_a_sample_holds_golden_rows_missing_values_and_unseen_ones() -> None:
    bundle = spelled()
    sample = Sample.of(bundle)
    assert len(sample) > 900
    assert isinstance(sample.raw, Table)
    assert isinstance(bundle.golden_inputs, Table)
    for name, kind in bundle.kinds.items():
        assert 0.05 < are_missing(sample.raw.columns[name]).mean() < 0.2
        np.testing.assert_array_equal(sample.raw.columns[name][:4], bundle.golden_inputs.columns[name][:4])
        assert (UNSEEN in sample.texts[name]) == (kind == "category")
    np.testing.assert_array_equal(sample.answers, bundle.predict(sample.raw))


def test_a_sample_is_drawn_from_what_the_training_rows_held() -> None:
    bundle = spelled()
    beyond = {name for row in bundle.outside(Sample.of(bundle).raw) for name in row["columns"]}
    assert beyond <= {"c", "x"}


def test_a_file_that_answers_otherwise_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = targets.BY_NAME["python"]
    wrong = replace(honest, answers=lambda content, sample: honest.answers(content, sample) + 1e-3)
    monkeypatch.setattr(targets, "BY_NAME", {"python": wrong})
    with pytest.raises(ExportDiffers, match=r"its answers differ by 0\.00\d+, and 0\.0001 is allowed"):
        export(spelled(), 1, "python")


def test_a_file_that_fails_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(targets.BY_NAME["python"], write=lambda _bundle, _version: b"import nothing")
    monkeypatch.setattr(targets, "BY_NAME", {"python": broken})
    with pytest.raises(ExportDiffers, match="No module named 'nothing'"):
        export(spelled(), 1, "python")


@pytest.mark.parametrize(
    ("was", "becomes", "words"),
    [
        (b"answers.argmax(axis=1)", b"answers.argmin(axis=1)", "in 1008 of 1008 rows its label is not the most"),
        (b"else cell\n", b'else cell if cell != 1 else "one"\n', r"in \d+ of 1008 rows its label is not the most"),
        (b"{output['column']}={label}", b"{label}", "its answers have other columns than the server's"),
        (b"columns, values = list(", b"columns, values = sorted(['z']) + list(", "other columns than the server's"),
        (b"values += answers.T.tolist()", b"values += [['-'] * len(row) for row in answers.T]", "no CSV of answers"),
        (b"values += answers.T.tolist()", b"values += answers.T.tolist()[1:]", "no CSV of answers"),
        (b".encode()\n", b".encode('utf-16')\n", "it writes no CSV of answers"),
        (b'return "".join(', b'return b"" and "".join(', "it writes no CSV of answers"),
    ],
)
def test_a_program_whose_columns_or_labels_are_others_is_not_handed_out(
    monkeypatch: pytest.MonkeyPatch, was: bytes, becomes: bytes, words: str
) -> None:
    honest = targets.BY_NAME["python"]
    changed = replace(honest, write=lambda bundle, version: replaced(honest.write(bundle, version), was, becomes))
    monkeypatch.setattr(targets, "BY_NAME", {"python": changed})
    with pytest.raises(ExportDiffers, match=words):
        export(probable(), 1, "python")


def replaced(content: bytes, was: bytes, becomes: bytes) -> bytes:
    assert was in content
    return content.replace(was, becomes)


def test_a_target_that_there_is_not_is_refused() -> None:
    with pytest.raises(UnknownTarget, match="there are c, js, litert, onnx, onnx-net, pmml, python"):
        export(spelled(), 1, "cobol")


def test_a_runtime_that_is_absent_is_named_with_the_way_out() -> None:
    with pytest.raises(RuntimeAbsent, match="no-such-program or other is not here; install it"):
        programs.found(("no-such-program", "other"), "install it")
