"""Two servers with a directory each, and one bucket and one PostgreSQL for both, are one service."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.jobs.postgres import running
from tests.buckets import Network, a_bucket
from tests.server.conftest import Server, has_ended
from tests.server.test_replicas import QUICK
from tests.server.test_training import heard, wait_until

pytestmark = [pytest.mark.keras, pytest.mark.server]

TABLE = "a,b,y\n" + "".join(f"{number},{number % 7},{number * 2 + number % 7}\n" for number in range(60))


@pytest.fixture(scope="module")
def bucket() -> Iterator[tuple[Network, dict[str, str]]]:
    with a_bucket() as found:
        yield found


@pytest.fixture(scope="module")
def network(bucket: tuple[Network, dict[str, str]]) -> Network:
    return bucket[0]


@pytest.fixture(scope="module")
def pair(
    trained: Path, tmp_path_factory: pytest.TempPathFactory, bucket: tuple[Network, dict[str, str]]
) -> Iterator[list[Server]]:
    """A server whose store is there already, and one whose store is empty."""
    root = tmp_path_factory.mktemp("buckets")
    shutil.copytree(trained, root / "store-0")
    with running() as postgres, pytest.MonkeyPatch.context() as environment:
        for name, value in bucket[1].items():
            environment.setenv(name, value)
        shared = {
            "database_url": postgres.new_database(),
            "store_url": "s3://patterns/of/tests",
            "engine": "onnx",
        }
        pair = [Server(root / f"store-{number}", root / f"server-{number}.log", **shared) for number in range(2)]
        yield [server.wait_ready() for server in pair]
        for server in pair:
            server.client.close()
            server.kill()


def answers(server: Server, version: int) -> bool:
    answer = server.client.post("/predict/add-ten", json={"inputs": [150]})
    return answer.status_code == 200 and answer.json()["version"] == version


def test_what_was_there_and_what_is_trained_through_one_is_served_by_the_other(pair: list[Server]) -> None:
    wait_until(lambda: all(answers(server, 1) for server in pair))
    for number, (asked, other) in enumerate((pair, pair[::-1])):
        job = asked.trained("add-ten", fit=QUICK)
        assert (job["status"], job["version"], job["error"]) == ("succeeded", 2 + number, None)
        wait_until(lambda: answers(other, 2 + number))  # noqa: B023
        assert other.predict("add-ten", [150]) == asked.predict("add-ten", [150])
        assert heard(other, job["id"], "0") == heard(asked, job["id"], "0")
    assert pair[1].client.post("/patterns/add-ten/rollback").json()["champion"] == 2
    wait_until(lambda: answers(pair[0], 2))


def test_a_table_that_is_uploaded_to_one_is_learned_from_wherever_the_training_runs(pair: list[Server]) -> None:
    uploaded = pair[0].client.post("/datasets?name=sums", content=TABLE, headers={"content-type": "text/csv"})
    assert uploaded.status_code == 201
    dataset = uploaded.json()["id"]
    spec = {"name": "sums", "data": {"kind": "table", "dataset": dataset, "target": ["y"]}, "fit": {"epochs": 5}}
    for server in pair[::-1]:
        answer = server.client.post("/train", json={"spec": spec})
        assert answer.status_code == 202, answer.text
        assert server.until(answer.json()["id"], has_ended)["status"] == "succeeded"
    assert pair[1].client.get(f"/datasets/{dataset}").json() == uploaded.json()


def test_without_the_bucket_both_serve_on_and_what_is_trained_is_published_when_it_is_back(
    pair: list[Server], network: Network
) -> None:
    before = pair[0].version("add-ten")
    with network.cut():
        wait_until(lambda: not any(bucket_of(server)["reachable"] for server in pair))
        assert "patterns_bucket_reachable 0.0" in pair[0].client.get("/metrics").text
        refused = pair[1].client.post("/patterns/add-ten/rollback")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "bucket_unavailable")
        assert int(refused.headers["retry-after"]) > 0
        job = pair[0].train("add-ten", fit=QUICK)
        wait_until(lambda: any(waiting(server, job) for server in pair))
        assert all(answers(server, before) for server in pair)
        assert pair[1].job(job)["status"] == "running"
    ended = pair[1].until(job, has_ended)
    assert ended["status"] == "succeeded"
    wait_until(lambda: all(answers(server, ended["version"]) for server in pair))
    wait_until(lambda: all(bucket_of(server)["reachable"] for server in pair))


def bucket_of(server: Server) -> dict[str, object]:
    told: dict[str, object] = server.client.get("/readyz").json()["bucket"]
    return told


def waiting(server: Server, job: str) -> bool:
    """True if the server has trained the job, and its version waits for the bucket."""
    return (server.store / ".outbox" / job / "add-ten" / "1").is_dir()


def test_a_server_that_is_killed_while_it_uploads_loses_nothing_and_shows_nothing_half(
    pair: list[Server], network: Network
) -> None:
    before = pair[0].client.get("/patterns/add-ten").json()["versions"]
    with network.hanging():
        job = pair[0].train("add-ten", fit=QUICK)
        wait_until(lambda: any(waiting(server, job) for server in pair))
        publisher, other = pair if waiting(pair[0], job) else pair[::-1]
        publisher.kill()
        assert other.predict("add-ten", [150])["version"] in before
    ended = other.until(job, has_ended)
    assert (ended["status"], ended["version"]) == ("succeeded", before[-1] + 1)
    publisher.restart()
    wait_until(lambda: all(answers(server, before[-1] + 1) for server in pair))
    shown = [server.client.get("/patterns/add-ten").json()["versions"] for server in pair]
    assert shown[0] == shown[1]
    assert shown[0][-1] == before[-1] + 1
