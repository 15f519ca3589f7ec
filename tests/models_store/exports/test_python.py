"""The Python file as a module: a list of records in, a list of records out."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models_store.bundle import Bundle
from models_store.exports.targets import export
from models_store.tables.table import Table, to_json
from tests.exported import probable, spelled


def imported(bundle: Bundle, folder: Path) -> Any:
    path = folder / "pattern_exported.py"
    path.write_bytes(export(bundle, 1, "python").content)
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_records_are_answered_with_records(tmp_path: Path) -> None:
    bundle = spelled()
    module = imported(bundle, tmp_path)
    assert isinstance(bundle.golden_inputs, Table)
    rows = to_json(bundle.golden_inputs, bundle.kinds)
    records = [dict(zip(bundle.inputs, row, strict=True)) for row in rows]
    answers = [answer["y"] for answer in module.predict(records)]
    assert answers == pytest.approx(bundle.predict(bundle.golden_inputs)[:, 0].tolist(), rel=1e-6)
    assert module.predict([]) == []
    assert module.COLUMNS.keys() == {*bundle.inputs}


def test_labels_have_the_type_that_they_had_and_probabilities(tmp_path: Path) -> None:
    module = imported(probable(), tmp_path)
    [answer] = module.predict([{"x": 1}])
    [likely] = module.probabilities([{"x": 1}])
    assert answer["class"] in (1, 2)
    assert likely["class"].keys() == {"1", "2"}
    assert sum(likely["class"].values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"x": "1"}, "row 0, column x: expected a number"),
        ({"x": True}, "row 0, column x: expected a number"),
        ({"x": float("nan")}, "row 0, column x: expected a finite number"),
        ({"x": 10**400}, "row 0, column x: expected a finite number"),
        ({}, "row 0: missing: x"),
        ({"x": 1, "z": 2}, "row 0: no columns of the pattern: z; there are x"),
        ({"x": 1e300}, "row 0: a value is too large for the network"),
    ],
)
def test_a_record_that_the_server_refuses_is_refused(tmp_path: Path, record: dict[str, Any], words: str) -> None:
    module = imported(probable(), tmp_path)
    with pytest.raises(module.Refused, match=words):
        module.predict([record])


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    module = imported(spelled(), tmp_path)
    plain = module.predict([{"n": 2, "b": True}, {"n": 2.5, "b": None}])
    assert module.predict([{"n": np.int64(2), "b": np.bool_(1)}, {"n": np.float32(2.5), "b": np.nan}]) == plain
    with pytest.raises(module.Refused, match="row 0, column n: expected a number"):
        module.predict([{"n": np.timedelta64(2, "s")}])


def test_numbers_have_no_probabilities(tmp_path: Path) -> None:
    module = imported(spelled(), tmp_path)
    with pytest.raises(module.Refused, match="only classification patterns"):
        module.probabilities([{"n": 1}])
