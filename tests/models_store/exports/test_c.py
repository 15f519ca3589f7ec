"""The C file: what it compiles with, as a library, and which names a pattern may have without becoming code."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models_store.encoding.outputs import LabelDecoder
from models_store.encoding.rows import InputEncoder
from models_store.encoding.scaler import Scaler
from models_store.errors import NotExpressible
from models_store.exports.c_file import identifiers, literal
from models_store.exports.programs import C_OPTIONS, found, ran
from models_store.exports.targets import export
from models_store.networks.architecture import Architecture, Layer
from tests.exported import bundle_of, probable, spelled, without

pytestmark = without("gcc")
LIBRARY = """
#include <stdio.h>
#include "pattern.c"

int main(void)
{
    struct drawn_row row = {1.0};
    double answers[DRAWN_ANSWERS];
    int refused;
    printf("%d", predict(&row, answers));
    printf(" %s %.17g %s %.17g", drawn_answers[0], answers[0], drawn_answers[1], answers[1]);
    row.x = 1e300;
    refused = predict(&row, answers);
    printf(" %d", refused);
    return 0;
}
"""


def test_as_a_library_it_answers_rows(tmp_path: Path) -> None:
    bundle = probable()
    (tmp_path / "pattern.c").write_bytes(export(bundle, 1, "c").content)
    (tmp_path / "main.c").write_text(LIBRARY)
    made = str(tmp_path / "made")
    ran([found(("gcc", "clang"), "install gcc"), *C_OPTIONS, "-o", made, str(tmp_path / "main.c"), "-lm"])
    status, first, one, second, other, refused = ran([made]).decode().split()
    assert (status, first, second, refused) == ("0", "1", "2", "1")
    assert [float(one), float(other)] == pytest.approx(bundle.predict(np.array([[1.0]]))[0].tolist(), rel=1e-6)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("options", [(), ("-DPATTERN_MAIN",)])
def test_it_compiles_without_a_warning(compiler: str, options: tuple[str, ...], tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed; tests/install_runtimes.sh installs it for root")
    source = tmp_path / "pattern.c"
    source.write_bytes(export(spelled(has_text=False), 1, "c").content)
    ran([compiler, *C_OPTIONS, *options, "-c", "-o", str(tmp_path / "pattern.o"), str(source)])


def test_texts_are_refused_with_the_reason() -> None:
    with pytest.raises(NotExpressible, match="cannot be exported to c: column x is text, whose words need the tables"):
        export(spelled(), 1, "c")


HOSTILE = ['"; system("id"); //', "*/ int x; /*", "??/", "\\", "a\nb", "%s%n", "NAN", "int", "3x", "", "é", "e_"]


def test_no_name_and_no_label_becomes_code() -> None:
    names = tuple(name or "empty" for name in HOSTILE)
    raw = np.random.default_rng(0).normal(size=(16, len(names)))
    encoder = InputEncoder(names, 1, Scaler.standard(raw), "float64")
    decoder = LabelDecoder("label", tuple(HOSTILE[:3]), dtype="float64")
    architecture = Architecture(len(names), (Layer(3, "softmax"),), "float64")
    exported = export(bundle_of(raw, encoder, decoder, architecture), 1, "c")
    assert exported.difference < 1e-12
    assert b'system("' not in exported.content
    assert b"??/" not in exported.content


def test_every_column_has_a_member_of_its_own() -> None:
    made = identifiers(["a b", "a_b", "a.b", "int", "NAN", "3x", "", "é", "linux", "_x"])
    assert made == [
        "a_b",
        "a_b_2",
        "a_b_3",
        "column_int",
        "nan",
        "column_3x",
        "column",
        "column_2",
        "column_linux",
        "x",
    ]


def test_a_literal_keeps_every_byte() -> None:
    assert literal('a "é"\n?') == '"a \\042\\303\\251\\042\\012\\077"'
