"""Engines: each loads the same file, and one that is not installed, or has no GPU, is refused before it is needed."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models_store.errors import BundleDamaged, DeviceUnavailable
from models_store.networks import engines
from models_store.networks.architecture import Architecture, Engine, Layer
from models_store.networks.onnx_network import OnnxNetwork
from tests.keras_files import drawn, keras_file

PROJECT = Path(__file__).parents[3]
LINE = Architecture(1, (Layer(1, "linear"),))


def test_an_engine_whose_packages_are_missing_is_refused_with_what_installs_it() -> None:
    code = (
        "import sys\nsys.modules['onnxruntime'] = None\n"
        "from models_store import errors\nfrom models_store.networks import engines\n"
        "try:\n    engines.check('onnx', 'auto')\nexcept errors.EngineUnavailable as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "pip install 'pattern-server[onnx]'" in ran.stdout
    assert ran.stdout.count("\n") == 1


def test_keras_is_refused_where_it_is_not_installed_with_the_other_engine() -> None:
    code = (
        "import sys\nsys.modules['tensorflow'] = None\n"
        "from models_store import errors\nfrom models_store.networks import engines\n"
        "try:\n    engines.check('keras', 'auto')\nexcept errors.EngineUnavailable as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "there is no tensorflow" in ran.stdout
    assert "set PATTERNS_ENGINE to onnx" in ran.stdout


@pytest.mark.parametrize("fault", ["raise ImportError('initialization failed')", "import not_there"])
def test_an_engine_that_is_there_and_cannot_be_imported_is_not_called_missing(tmp_path: Path, fault: str) -> None:
    (tmp_path / "onnxruntime.py").write_text(fault)
    code = (
        f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "from models_store import errors\nfrom models_store.networks import engines\n"
        "try:\n    engines.check('onnx', 'auto')\nexcept errors.EngineUnavailable:\n    print('missing')\n"
        "except ImportError as error:\n    print(error)"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout in ("initialization failed\n", "No module named 'not_there'\n")


def test_a_gpu_is_refused() -> None:
    for ask in (engines.check, engines.loader):
        with pytest.raises(DeviceUnavailable, match="PATTERNS_DEVICE"):
            ask("onnx", "gpu")


def test_the_engines_are_imported_when_they_are_asked_for() -> None:
    code = (
        "import sys\nfrom models_store.networks import engines\nengines.check('keras', 'auto')\n"
        "print(sys.modules.keys() & {'tensorflow', 'keras', 'onnxruntime', 'onnx'})"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"


def test_the_loader_of_onnx_makes_networks_of_onnx() -> None:
    network = engines.loader("onnx", "auto")(keras_file(drawn(LINE)), LINE)
    assert (type(network), network.device) == (OnnxNetwork, "/CPU:0")


@pytest.mark.parametrize("engine", ["onnx", pytest.param("keras", marks=pytest.mark.keras)])
def test_every_loader_reads_the_file_of_its_architecture_and_no_other(engine: Engine) -> None:
    weights = drawn(LINE)
    load = engines.loader(engine, "cpu")
    kernel, bias = weights
    rows = np.array([[0.5], [2.0]], dtype=np.float32)
    np.testing.assert_allclose(load(keras_file(weights), LINE)(rows), rows @ kernel + bias, rtol=1e-6)
    with pytest.raises(BundleDamaged):
        load(keras_file(weights), Architecture(2, LINE.layers))
