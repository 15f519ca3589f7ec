"""Cases, and the native answers that others are compared with. All scripts use it, so it needs no package."""

import inspect
import json
import sys
import traceback
import urllib.error
import urllib.request
from asyncio import run
from collections.abc import Callable
from typing import Any

URL = sys.argv[1] if len(sys.argv) > 1 else ""
ADDRESS = URL.removeprefix("http://")
GRPC_ADDRESS = sys.argv[2] if len(sys.argv) > 2 else ""
# Relative: as close as float32 allows. Labels must be the same.
CLOSE = 1e-5
_cases: list[Callable[[], Any]] = []

QUADRATIC = [[2.0, 1.0], [0.0, 0.0], [50.0, 7.0]]
ADD_TEN = [[1.0], [2.0], [5.5]]
PAIR = [[1.0, 2.0, 3.0, 4.0], [500.0, 501.0, 502.0, 503.0]]
IRIS = [[5.1, 3.5, 1.4, 0.2], [6.0, 2.9, 4.5, 1.5], [6.3, 3.3, 6.0, 2.5]]
PASSENGERS: list[list[Any]] = [
    [22.0, "S", True, "1912-04-10", "first class cabin"],
    [None, None, False, "1912-04-02", "deck"],
    [71.0, "Atlantis", False, "1912-04-28", "é 中 sea view"],
]
COLUMNS = ["age", "port", "crew", "boarded", "note"]


def case(function: Callable[[], Any]) -> Callable[[], Any]:
    """One thing that a client does; the case holds if it raises nothing."""
    _cases.append(function)
    return function


def main() -> None:
    for function in _cases:
        fault = None
        try:
            run(function()) if inspect.iscoroutinefunction(function) else function()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            fault = f"{type(error).__name__}: {str(error)[:300]} (line {where.lineno} of {where.filename[-40:]})"
        print(json.dumps({"name": function.__name__, "fault": fault}), flush=True)


def asked(method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers with lower-case names, and body."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(URL + path, body, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def posted(path: str, body: object, **headers: str) -> Any:
    """Return the JSON of an answer, which must have status 200."""
    headers.setdefault("content_type", "application/json")
    status, _, content = asked("POST", path, json.dumps(body).encode(), **headers)
    assert status == 200, (status, content[:300])
    return json.loads(content)


def got(path: str) -> Any:
    status, _, content = asked("GET", path)
    assert status == 200, (status, content[:300])
    return json.loads(content)


def native(pattern: str, rows: list[list[Any]], query: str = "") -> Any:
    """Return the outputs of the native API, a list for each row."""
    return posted(f"/predict/{pattern}{query}", {"inputs": rows})["outputs"]


def likely(pattern: str, rows: list[list[Any]]) -> list[dict[str, float]]:
    """Return the probabilities of a classification by label, for each row."""
    answer = posted(f"/predict/{pattern}?probabilities=true", {"inputs": rows})
    return [row[0] for row in answer["probabilities"]]


def close(given: Any, expected: Any) -> None:
    """True if numbers are as close as float32 allows and everything else is the same; takes lists of any shape."""
    flat, wanted = list(_flat(given)), list(_flat(expected))
    assert len(flat) == len(wanted), (given, expected)
    for one, other in zip(flat, wanted, strict=True):
        if isinstance(other, str | bool) or other is None:
            assert one == other, (given, expected)
        else:
            assert abs(float(one) - float(other)) <= CLOSE * max(1.0, abs(float(other))), (given, expected)


def refused(status: int, method: str, path: str, body: bytes | None = None) -> str:
    """Return the message of `{"error": …}`."""
    found, _, content = asked(method, path, body)
    assert found == status, (found, content[:300])
    said = json.loads(content)
    assert set(said) == {"error"} and isinstance(said["error"], str), said
    return str(said["error"])


def _flat(values: Any) -> Any:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, dict):
        values = [values[name] for name in sorted(values)]
    if isinstance(values, list | tuple):
        for value in values:
            yield from _flat(value)
    else:
        yield values.decode() if isinstance(values, bytes) else values
