"""What computes networks: Keras on TensorFlow, or ONNX Runtime. Imports neither before it is wanted."""

from models_store.errors import DeviceUnavailable, EngineUnavailable
from models_store.networks.architecture import Architecture, Device, Engine, LoadNetwork, Network


def loader(engine: Engine, device: Device) -> LoadNetwork:
    """EngineUnavailable if its packages are missing; DeviceUnavailable, now or at the first load, if the device is."""
    return _onnx_loader(device) if engine == "onnx" else _keras_loader(device)


def check(engine: Engine, device: Device) -> None:
    """Raises what `loader` and the first load would, and imports TensorFlow only if there is no other way to know."""
    if engine == "onnx":
        _onnx_loader(device)
    elif device == "gpu":
        from models_store.networks.keras_network import device_name  # deferred: importing TensorFlow takes seconds

        device_name(device)


def _keras_loader(device: Device) -> LoadNetwork:
    from models_store.networks.keras_network import KerasNetwork  # deferred: importing TensorFlow takes seconds

    def load(saved: bytes, architecture: Architecture) -> Network:
        return KerasNetwork.from_bytes(saved, architecture, device)

    return load


def _onnx_loader(device: Device) -> LoadNetwork:
    if device == "gpu":
        raise DeviceUnavailable(
            "a GPU was asked for, and the engine onnx computes on the CPU; set PATTERNS_DEVICE to cpu or auto, or "
            "PATTERNS_ENGINE to keras"
        )
    try:
        from models_store.networks.onnx_network import OnnxNetwork  # deferred: its packages are an extra
    except ImportError as error:
        raise EngineUnavailable("onnx", str(error)) from error
    return OnnxNetwork.from_bytes
