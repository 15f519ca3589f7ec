"""Exports that are programs answer as the server does: drawn patterns, computed by the real runtime."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models_store.bundle import Bundle
from models_store.exports.targets import export
from tests.exported import KINDS_OF, PROGRAMS, bundles

# Of float64 without texts, which are encoded in float32: nothing is rounded otherwise than the server rounds it.
EXACT, ROUNDED = 1e-12, 1e-5


@pytest.mark.parametrize("target", PROGRAMS)
@settings(max_examples=25)
@given(data=st.data())
def test_a_program_answers_as_the_server_does(target: str, data: st.DataObject) -> None:
    bundle: Bundle = data.draw(bundles(KINDS_OF[target]))
    exported = export(bundle, 3, target)
    is_exact = bundle.architecture.dtype == "float64" and "text" not in bundle.kinds.values()
    assert exported.rows > 500
    assert exported.difference <= (EXACT if is_exact else ROUNDED)
