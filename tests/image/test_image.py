"""The images, built and run as a user would: read-only, as their user, until SIGTERM. `make test-image` asks for it.

Building takes minutes and fetches a gigabyte, so a plain run of the tests leaves it out.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.image.containers import PROJECT, USER, Container, builder, health_check, runner, started, works

BASE = "python:3.12-slim"
OWN_BASE = "localhost/pattern-server-base"
KEPT = PROJECT / "tests" / "stores" / "format_1"


@pytest.fixture(scope="module")
def program() -> str:
    if not os.environ.get("PATTERNS_TEST_IMAGE"):
        pytest.skip("building images takes minutes; `make test-image` does it")
    if (found := builder()) is None:
        pytest.skip("an image is built by docker, podman or buildah, and none of them is here or works")
    return found


@pytest.fixture(scope="module")
def base(program: str) -> str:
    """Return the base image: that of the Dockerfile, or one of Debian's packages where no registry is reached."""
    if works(program, "pull", BASE):
        return BASE
    if not shutil.which("debootstrap"):
        pytest.skip(f"{BASE} cannot be pulled, and debootstrap, which would make a base image, is not installed")
    if not works(program, "inspect", OWN_BASE):
        subprocess.run([PROJECT / "tests" / "image" / "debian_base.sh", OWN_BASE], check=True)
    return OWN_BASE


@pytest.fixture(scope="module")
def build(base: str) -> Callable[[str], str]:
    """Return what builds a target, and returns the name of its image."""

    def build(target: str) -> str:
        image = f"localhost/pattern-server-test:{target}"
        command = ["./build_image.sh", "--build-arg", f"BASE={base}", "--target", target, "--tag", image, "."]
        subprocess.run(command, cwd=PROJECT, check=True)
        return image

    return build


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store that an earlier release made, and that the images' user may write."""
    store = tmp_path / "store"
    shutil.copytree(KEPT, store)
    for path in (store, *store.rglob("*")):
        os.chown(path, int(USER), int(USER))
    # The user has to come this far.
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    return store


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def environment_mb(container: Container) -> int:
    """Return the megabytes of all that stands beside the base image."""
    return int(container.run("du", "-sm", "/opt/patterns").split()[0])


def test_the_image_for_serving_is_small_and_answers_all_but_trainings(
    build: Callable[[str], str], program: str, store: Path
) -> None:
    image = build("serve")
    with started(runner(program, image), image, free_port(), store) as container:
        ready = container.ready_after()
        _, said = container.ask("/predict/area?version=3", {"inputs": [[2, 3]]})
        assert said["version"] == 3
        assert container.ask("/patterns/area/versions/3/plots/residuals.png") == (200, b"\x89PNG\r\n\x1a\n")
        assert (refused := container.ask("/train", {"pattern": "area"}))[0] == 503
        assert refused[1]["error"]["code"] == "no_trainer"
        container.run(*health_check(container.runner, image))
        resident, environment = container.resident_mb(), environment_mb(container)
        # Megabytes, and seconds on a machine that may be busy.
        assert (resident < 220, environment < 380, ready < 10) == (True, True, True), (resident, environment, ready)
        with pytest.raises(subprocess.CalledProcessError):
            container.run("/opt/patterns/bin/python", "-c", "import tensorflow")
        assert container.stop() == 0


def test_the_full_image_predicts_trains_and_stops(build: Callable[[str], str], program: str, tmp_path: Path) -> None:
    image = build("full")
    store = tmp_path / "store"
    store.mkdir()
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    os.chown(store, int(USER), int(USER))
    recipe = {
        "name": "twice",
        "data": {
            "kind": "formula",
            "inputs": {"x": {"distribution": "uniform", "low": 0, "high": 1}},
            "outputs": {"y": "2 * x"},
            "rows": 200,
        },
        "fit": {"epochs": 5},
    }
    with started(runner(program, image), image, free_port(), store) as container:
        container.ready_after()
        container.run(*health_check(container.runner, image))
        status, job = container.ask("/train", {"spec": recipe})
        assert status == 202, job
        while container.ask(f"/train/{job['id']}")[1]["status"] in ("queued", "running"):
            pass
        assert container.ask(f"/train/{job['id']}")[1]["status"] == "succeeded"
        assert container.ask("/predict/twice", {"inputs": [[0.5]]})[1]["version"] == 1
        assert (store / "twice" / "1").is_dir()
        assert container.stop() == 0
