"""Engines that compute networks: Keras on TensorFlow, or ONNX Runtime. Each is imported when it is first asked for."""

from functools import partial
from importlib.util import find_spec

from models_store.errors import DeviceUnavailable, EngineUnavailable
from models_store.networks.architecture import Device, Engine, LoadNetwork

ONNX_PACKAGES = ("onnxruntime", "onnx")
KERAS_PACKAGES = ("tensorflow", "keras")


def loader(engine: Engine, device: Device) -> LoadNetwork:
    """Return the function that loads a network for this engine and device.

    Raises EngineUnavailable where its packages are missing, and DeviceUnavailable, here or at the first load, where the
    device is.
    """
    return _onnx_loader(device) if engine == "onnx" else _keras_loader(device)


def check(engine: Engine, device: Device) -> None:
    """Raise what `loader` and the first load would; imports TensorFlow only to look for a GPU."""
    if engine == "onnx":
        _onnx_loader(device)
    elif (missing := missing_for_keras()) is not None:
        raise EngineUnavailable("keras", f"there is no {missing}")
    elif device == "gpu":
        from models_store.networks.keras_network import device_name  # deferred: importing TensorFlow takes seconds

        device_name(device)


def missing_for_keras() -> str | None:
    """Return the package that Keras lacks here, and so trainings; None if all are there. Imports nothing."""
    return next((package for package in KERAS_PACKAGES if find_spec(package) is None), None)


def _keras_loader(device: Device) -> LoadNetwork:
    from models_store.networks.keras_network import KerasNetwork  # deferred: importing TensorFlow takes seconds

    return partial(KerasNetwork.from_bytes, device=device)


def _onnx_loader(device: Device) -> LoadNetwork:
    if device == "gpu":
        raise DeviceUnavailable(
            "a GPU was asked for, and the engine onnx computes on the CPU; set PATTERNS_DEVICE to cpu or auto, or "
            "PATTERNS_ENGINE to keras"
        )
    try:
        from models_store.networks.onnx_network import OnnxNetwork  # deferred: its packages are an extra
    except ModuleNotFoundError as error:
        # Any other ImportError has another cause, which must be seen: a broken installation, or an interrupted import.
        if error.name in ONNX_PACKAGES:
            raise EngineUnavailable("onnx", str(error)) from error
        raise
    return OnnxNetwork.from_bytes
