"""What is said of a cluster before there is one: the connection itself is tried in search/test_elsewhere.py."""

import subprocess
import sys

import pytest

from training.cluster import ClusterUnavailable, connect


def test_a_head_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_task_oom_retries", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "0")
    waited: list[None] = []
    with pytest.raises(ClusterUnavailable) as refused:
        connect("ray://127.0.0.1:9", lambda: waited.append(None), patience=0.1)
    assert waited
    assert str(refused.value) == (
        "no Ray cluster answers at ray://127.0.0.1:9; start its head with `ray start --head`, or set PATTERNS_RAY to "
        "local"
    )


def test_importing_this_imports_no_ray() -> None:
    script = "import sys, training.cluster; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
