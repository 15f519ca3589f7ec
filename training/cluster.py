"""A Ray cluster that works for this process: data is put there once, calls go out, and results come back.

    connect -> each node is tried -> put(data) -> each(work, data, items) -> results, in whatever order they come

A call whose node dies is made again on another node. Ray is an extra, imported when a cluster is connected.
"""

import hashlib
import logging
import os
import platform
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from models_store.errors import PatternServerError, error_of

# A call is made again so many times if its node or process dies: enough for a few nodes that go, and an end for a call
# that takes its process with it each time.
RETRIES = 3
POLL_SECONDS = 0.25
# For a head to take a connection, and for a node to start a process and import the packages.
CONNECT_SECONDS, PROBE_SECONDS = 10.0, 120.0
# A head under load may be too slow for Ray's own patience.
ATTEMPTS = 3
# For the head of a cluster that was lost to come back.
RETURN_SECONDS = 120.0
# A cluster is asked for its nodes every few seconds. One that has not answered for so long is lost.
ASK_SECONDS, LOST_SECONDS = 2.0, 20.0
# To fetch a result that is there; it comes from another node.
FETCH_SECONDS = 60.0
# Of a cluster on this machine alone. Larger data goes to disk.
OBJECT_STORE_BYTES = 1 << 30
PACKAGES = ("ray", "tensorflow", "keras", "numpy")
SOURCES = Path(__file__).parents[1]
# Kept as long as the process, because nodes keep their own processes warm for a connection.
CONNECTED: dict[str, "Cluster"] = {}

Data = TypeVar("Data")
Item = TypeVar("Item")
Result = TypeVar("Result")


class ClusterUnavailable(PatternServerError):
    """No cluster answers at the address, or it refuses this process."""

    code = "cluster_unavailable"


class NodeUnfit(PatternServerError):
    """A node of the cluster lacks what a training needs, or has another version of it."""

    code = "node_unfit"


class CallLost(PatternServerError):
    """The process or node of a call died each time."""

    code = "call_lost"


class ClusterLost(Exception):
    """The cluster no longer answers. This process cannot connect to another one reliably: it is to end."""


@dataclass(frozen=True, eq=False)
class Put(Generic[Data]):
    """Data that lies in the cluster."""

    reference: Any


@dataclass(frozen=True)
class Raised:
    """An error of the work itself, as it comes back."""

    code: str
    message: str


class Cluster:
    """A connection, as long-lived as the process."""

    def __init__(self, address: str) -> None:
        import ray  # deferred: an extra, and it starts threads

        self._ray: Any = ray
        self.address = address
        self._answered = time.monotonic()
        self._nodes: list[dict[str, Any]] = self._ray.nodes()
        threading.Thread(target=self._ask, daemon=True).start()

    def put(self, data: Data) -> Put[Data]:
        """Copy data into the cluster. Its arrays are read-only there."""
        return Put(self._ray.put(data))

    def each(
        self,
        work: Callable[[Data, Item], Result],
        data: Put[Data],
        items: Sequence[Item],
        pulse: Callable[[], None],
        *,
        gpus: int = 0,
    ) -> Iterator[tuple[int, Result | PatternServerError]]:
        """Yield the place of each item and the result of `work(data, item)`, or the error that it raised.

        `work` is a function of a module that all nodes have. Each call takes one core, and `gpus`. A call whose node
        died too often is CallLost. Raises ClusterLost, any other error of the work, and what `pulse` raises; calls that
        have not ended are cancelled then.
        """
        call = self._ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES, retry_exceptions=False)(_call)
        waiting = {call.remote(work, data.reference, item): place for place, item in enumerate(items)}
        try:
            while waiting:
                ended, _ = self._ray.wait([*waiting], num_returns=1, timeout=POLL_SECONDS)
                self._check()
                pulse()
                for one in ended:
                    yield waiting.pop(one), self._result(one)
        finally:
            if not self._is_lost:
                for one in waiting:
                    self._ray.cancel(one)

    @property
    def cores(self) -> int:
        """The number of calls that run at the same time."""
        return max(1, int(sum(node["Resources"].get("CPU", 0) for node in self._nodes if node["Alive"])))

    def check_nodes(self, pulse: Callable[[], None]) -> None:
        """Raise NodeUnfit where a node with cores cannot do the work of this process. Takes seconds the first time."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # deferred: an extra

        probe = self._ray.remote(num_cpus=0, max_retries=0)(_probe())
        nodes = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
        if not nodes:
            raise NodeUnfit(f"the Ray cluster at {self.address} has no node with a core; start one with --num-cpus")
        asked = {}
        for node in nodes:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[probe.options(scheduling_strategy=there).remote()] = node
        waiting, until = [*asked], time.monotonic() + PROBE_SECONDS
        while waiting and time.monotonic() < until:
            _, waiting = self._ray.wait(waiting, num_returns=len(waiting), timeout=POLL_SECONDS)
            self._check()
            pulse()
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        for call, node in asked.items():
            # A node that died meanwhile gets no calls.
            if node["NodeID"] in alive:
                _refuse_unfit(node, None if call in waiting else self._found(call))

    def _found(self, call: Any) -> dict[str, str | None] | None:
        """Return what a node has; None if it has left meanwhile."""
        try:
            found: dict[str, str | None] = self._ray.get(call, timeout=FETCH_SECONDS)
        except self._ray.exceptions.RayError:
            return None
        return found

    def _result(self, call: Any) -> Any:
        errors = self._ray.exceptions
        try:
            result = self._ray.get(call, timeout=FETCH_SECONDS)
        except errors.RayTaskError as error:
            raise error.as_instanceof_cause() from None
        except errors.GetTimeoutError as error:
            raise ClusterLost("a result was there and could not be fetched") from error
        except errors.RayError as error:
            return CallLost(
                f"the process or the node that did this on the Ray cluster died {RETRIES + 1} times; the last reason: "
                f"{str(error).splitlines()[0]}"
            )
        return error_of(result.code, result.message) if isinstance(result, Raised) else result

    def _ask(self) -> None:
        """Ask for the nodes again and again; a call of Ray to a cluster that is gone would not come back in time."""
        while True:
            with suppress(Exception):  # whatever Ray raises: only an answer counts
                self._nodes = self._ray.nodes()
                self._answered = time.monotonic()
            time.sleep(ASK_SECONDS)

    @property
    def _is_lost(self) -> bool:
        return time.monotonic() - self._answered > LOST_SECONDS

    def _check(self) -> None:
        if self._is_lost:
            raise ClusterLost(f"the Ray cluster at {self.address} has not answered for {LOST_SECONDS:g} s")


def _call(work: Callable[[Any, Any], Any], data: Any, item: Any) -> Any:
    """Do the work of one call, on a node."""
    _use_one_core()
    try:
        return work(data, item)
    except PatternServerError as error:
        return Raised(error.code, str(error))


@cache
def _use_one_core() -> None:
    from models_store.networks.keras_network import use_threads  # deferred: importing TensorFlow takes seconds

    use_threads(1)


# -- connecting ----------------------------------------------------------------------------------------------------


def connect(address: str, pulse: Callable[[], None], patience: float = CONNECT_SECONDS) -> Cluster:
    """Return the cluster at `auto`, `local` or ray://HOST:PORT, whose nodes have all been tried.

    `patience` are the seconds that a head may take to answer. Raises ClusterUnavailable, NodeUnfit, and what `pulse`
    raises, which is called a few times a second.
    """
    cluster = CONNECTED.get(address) or CONNECTED.setdefault(address, _connected(address, pulse, patience))
    cluster.check_nodes(pulse)
    return cluster


def _connected(address: str, pulse: Callable[[], None], patience: float) -> Cluster:
    # Ray reads these when it is imported. Without the first, it goes by a file in the home directory, if one was left.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    # Memory that runs out would be a reason to try again without end.
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = _local() if address == "local" else _remote(address, pulse, patience)
    import ray  # deferred: an extra, and the environment has to be there before it

    for left in reversed(range(ATTEMPTS)):
        pulse()
        try:
            ray.init(log_to_driver=False, logging_level=logging.WARNING, **where)
            break
        except Exception as error:
            if left == 0 or not isinstance(error, ConnectionError):
                refusal = f"the Ray cluster at {address} refuses this process: {_in_short(error)}"
                raise ClusterUnavailable(refusal) from error
    return Cluster(address)


def _local() -> dict[str, Any]:
    """Return the options of a cluster of this process' own, which nobody else can join."""
    parent = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir()))
    for left in parent.glob("patterns-ray-*"):
        process = left.name.rpartition("-")[2]
        # One of this number is of an attempt that failed, or of an earlier process: in a container numbers come back.
        if process == str(os.getpid()) or not Path(f"/proc/{process}").exists():
            shutil.rmtree(left, ignore_errors=True)
    home = parent / f"patterns-ray-{os.getpid()}"
    home.mkdir(mode=0o700, parents=True)
    token = home / "token"
    token.touch(mode=0o600)
    token.write_text(os.urandom(32).hex())
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(token))
    cores = max(1, (os.cpu_count() or 2) - 1)
    return {
        "address": "local",
        "num_cpus": cores,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(home),
    }


def _remote(address: str, pulse: Callable[[], None], patience: float) -> dict[str, Any]:
    """Return the options for a cluster that is there. Raises ClusterUnavailable where none answers in time."""
    until = time.monotonic() + patience
    while not _answers(address):
        if time.monotonic() > until:
            raise ClusterUnavailable(_unanswered(address))
        pulse()
        time.sleep(POLL_SECONDS)
    return {"address": address}


def _answers(address: str) -> bool:
    """Return True if the head takes connections: Ray itself would wait for minutes for one that does not."""
    found = _head(address)
    try:
        with socket.create_connection(found or ("", 0), timeout=2):
            return True
    except OSError:
        return False


def _head(address: str) -> tuple[str, int] | None:
    """Return host and port; None where `auto` finds no cluster."""
    if address == "auto":
        # Not of Ray's public API; its version is pinned.
        from ray._private.services import canonicalize_bootstrap_address  # deferred: an extra

        host, _, port = (canonicalize_bootstrap_address("auto") or "").rpartition(":")
        return (host.strip("[]"), int(port)) if host else None
    parts = urlsplit(address)
    return (parts.hostname or "", parts.port or 10001)


def _unanswered(address: str) -> str:
    if address == "auto":
        return (
            "no Ray cluster answers on this machine; start a node here with `ray start`, or set PATTERNS_RAY to "
            "ray://HEAD:10001 or local"
        )
    return f"no Ray cluster answers at {address}; start its head with `ray start --head`, or set PATTERNS_RAY to local"


# -- what a node must have -----------------------------------------------------------------------------------------


@cache
def facts() -> dict[str, str | None]:
    """Return the versions here of all that the result of a training depends on; None of a package that is missing."""
    return {
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{package: _version(package) for package in PACKAGES},
        "Pattern Server": _digest(),
    }


def _version(package: str) -> str | None:
    try:
        return version_of(package)
    except PackageNotFoundError:
        return None


def _digest() -> str:
    """Return a word for the source of the trainer, which tells two states of one version apart."""
    digest = hashlib.sha256()
    for path in sorted(path for room in ("models_store", "training") for path in (SOURCES / room).rglob("*.py")):
        digest.update(str(path.relative_to(SOURCES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _probe() -> Callable[[], dict[str, str | None]]:
    def probe() -> dict[str, str | None]:
        # Sent by value, so that it runs where Pattern Server is missing.
        try:
            from training.cluster import facts  # deferred: here it is the node's own
        except ImportError as error:
            return {"Pattern Server": None, "reason": str(error)}
        return facts()

    return probe


def _refuse_unfit(node: dict[str, Any], found: dict[str, str | None] | None) -> None:
    """Raise NodeUnfit where the node has other versions than this machine, or has not said."""
    name = f"the node {node['NodeManagerHostname']} ({node['NodeManagerAddress']}) of the Ray cluster"
    if found is None:
        raise NodeUnfit(f"{name} has not answered within {PROBE_SECONDS:g} s; stop it, or mend it")
    for what, here in facts().items():
        there = found.get(what)
        if there != here:
            has = f"has {what} {there}" if there else f"lacks {what}"
            raise NodeUnfit(
                f"{name} {has}, and this machine has {here}; install the same packages and the same state of Pattern "
                "Server there (requirements-ray.lock), and start it again"
            )


def _in_short(error: Exception) -> str:
    """Return the first line of a message and its last: between them are traces of the cluster's processes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(dict.fromkeys((lines[0], lines[-1])))
