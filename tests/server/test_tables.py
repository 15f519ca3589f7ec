"""A person's own table, from the file to a served answer: over HTTP, and by the command line beside a server."""

import csv
import io
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import PATTERNS, Server, environment
from tests.server.test_training import heard

pytestmark = [pytest.mark.keras, pytest.mark.server]

QUICK = {"epochs": 30, "optimizer": {"learning_rate": 0.01}}


def harvests(n_rows: int = 240, seed: int = 0) -> str:
    """A CSV of harvests: sweet ones are late and sunny; for some nobody wrote down the soil, or how much rain fell."""
    drawn = random.Random(seed)
    text = io.StringIO()
    written = csv.writer(text, lineterminator="\n")
    written.writerow(["picked", "sun", "rain", "soil", "sprayed", "remark", "sweet"])
    for _ in range(n_rows):
        day, sun, rain = drawn.randint(1, 28), drawn.random() * 10, drawn.random() * 5
        sweet = "yes" if day / 3 + sun > 9.5 else "no"
        soil, sprayed = drawn.choice(["loam", "clay", "sand", ""]), drawn.choice(["true", "false"])
        remark = " ".join(drawn.choice(["small", "red", "round", "late", "good", "wormy"]) for _ in range(5))
        rained = "" if drawn.random() < 0.1 else f"{rain:.2f}"
        written.writerow([f"2024-09-{day:02}", f"{sun:.3f}", rained, soil, sprayed, remark, sweet])
    return text.getvalue()


def recipe(dataset: str, **changes: Any) -> dict[str, Any]:
    data = {"kind": "table", "dataset": dataset, "target": "sweet", **changes.pop("data", {})}
    return {"spec": {"name": changes.pop("name", "harvest"), "data": data, "fit": QUICK, **changes}}


def uploaded(server: Server, content: str) -> dict[str, Any]:
    answer = server.client.post("/datasets?name=harvests", content=content, headers={"content-type": "text/csv"})
    assert answer.status_code == 201, answer.text
    said: dict[str, Any] = answer.json()
    return said


def trained(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    answer = server.client.post("/train", json=body)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = server.until(answer.json()["id"], lambda job: job["status"] not in ("queued", "running"))
    assert job["status"] == "succeeded", job
    return job


@pytest.fixture(scope="module")
def harvest(server: Server) -> dict[str, Any]:
    """Return what is known of the pattern, once it is trained and served."""
    trained(server, recipe(uploaded(server, harvests())["id"]))
    said: dict[str, Any] = server.client.get("/patterns/harvest").json()
    return said


def test_an_uploaded_table_says_what_its_columns_are(server: Server) -> None:
    said = uploaded(server, harvests())
    assert (said["rows"], said["name"]) == (240, "harvests")
    assert {column["name"]: column["kind"] for column in said["columns"]} == {
        "picked": "date",
        "sun": "number",
        "rain": "number",
        "soil": "category",
        "sprayed": "boolean",
        "remark": "text",
        "sweet": "category",
    }


def test_the_card_says_how_well_labels_are_told_and_by_what_else(harvest: dict[str, Any]) -> None:
    card = harvest["card"]
    assert (card["task"], harvest["task"]) == ("classification", "classification")
    assert card["test"]["overall"]["accuracy"] > 0.8
    assert card["baselines"]["figures"].keys() == {"majority", "linear", "trees", "network"}
    assert [column["name"] for column in card["inputs"] if column["missing"]] == ["rain", "soil"]


def test_a_csv_of_rows_comes_back_as_a_csv_of_labels_in_the_same_order(server: Server, harvest: dict[str, Any]) -> None:
    asked = list(csv.DictReader(io.StringIO(harvests(50, seed=1))))
    lines = ["sun,picked,remark,soil,sprayed,rain"]
    lines += [",".join(row[name] for name in lines[0].split(",")) for row in asked]
    headers = {"content-type": "text/csv"}
    answer = server.client.post("/predict/harvest", content="\n".join(lines), headers=headers)
    assert answer.status_code == 200, answer.text
    head, *labels = answer.text.splitlines()
    assert (head, len(labels)) == ("sweet", 50)
    right = sum(label == row["sweet"] for label, row in zip(labels, asked, strict=True))
    assert right > 40
    one_by_one = [
        server.client.post("/predict/harvest", content=f"{lines[0]}\n{line}", headers=headers).text.splitlines()[1]
        for line in lines[1:6]
    ]
    assert one_by_one == labels[:5]


def test_the_sample_works_as_it_is_and_each_plot_is_there(server: Server, harvest: dict[str, Any]) -> None:
    sample = server.client.get("/patterns/harvest/sample").json()
    assert server.client.post("/predict/harvest", json=sample).status_code == 200
    plots = [link for name, link in harvest["links"].items() if "/plots/" in link]
    assert {link.rsplit("/", 1)[1] for link in plots} == {
        "learning-curve.svg",
        "confusion.svg",
        "roc.svg",
        "calibration.svg",
    }
    for link in plots:
        assert server.client.get(link).content.startswith(b"<?xml")


def test_a_retraining_with_folds_tells_each_and_keeps_the_recipe(server: Server, harvest: dict[str, Any]) -> None:
    changes = {"pattern": "harvest", "cross_validate": {"folds": 3}, "fit": {"epochs": 5}}
    job = trained(server, changes)
    folds = [data for _, kind, data in heard(server, job["id"], "0") if kind == "fold"]
    assert [fold["fold"] for fold in folds] == [1, 2, 3]
    crossed = server.client.get(f"/patterns/harvest/versions/{job['version']}").json()["card"]["cross_validation"]
    assert [fold["score"]["accuracy"] for fold in crossed["folds"]] == [fold["accuracy"] for fold in folds]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (recipe("0" * 32), 404, "dataset_gone"),
        (recipe("file:///etc/passwd"), 422, "bad_recipe"),
        (recipe("ID", data={"target": "sour"}), 422, "bad_recipe"),
        (recipe("ID", data={"columns": {"colour": "drop"}}), 422, "bad_recipe"),
        (recipe("ID", split={"validation": 0}), 422, "bad_recipe"),
        (recipe("ID", scaling={"scope": "global"}), 422, "bad_recipe"),
        (recipe("ID", data={"weight": "heft"}), 422, "bad_recipe"),
        (recipe("ID", data={"test": "ID"}), 422, "bad_recipe"),
        (recipe("ID", data={"test": "0" * 32}), 404, "dataset_gone"),
        (recipe("ID", split={"group": "farm"}), 422, "bad_recipe"),
        (recipe("ID", split={"time": "hour"}), 422, "bad_recipe"),
    ],
)
def test_a_recipe_that_does_not_fit_its_table_is_refused_at_once(
    server: Server, body: dict[str, Any], status: int, code: str
) -> None:
    dataset = uploaded(server, harvests())["id"]
    sent = json.loads(json.dumps(body).replace('"ID"', f'"{dataset}"'))
    answer = server.client.post("/train", json=sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


def test_weights_groups_and_test_rows_of_ones_own_are_trained_and_asked_without_them(server: Server) -> None:
    kept = harvests().splitlines()
    table = "\n".join([f"{kept[0]},farm,heft", *(f"{line},{place % 9},2.5" for place, line in enumerate(kept[1:]))])
    dataset, test = (uploaded(server, content)["id"] for content in (table, table.replace(",2.5", ",1")))
    asked = recipe(dataset, name="weighted", data={"test": test, "weight": "heft"}, split={"group": "farm"})
    job = trained(server, asked)
    card = server.client.get(f"/patterns/weighted/versions/{job['version']}").json()["card"]
    assert (card["test"]["rows"], card["train"]["rows"]) == (240, 240)
    assert {column["name"] for column in card["inputs"]} == {"picked", "sun", "rain", "soil", "sprayed", "remark"}
    # The table itself may be asked, with its target, groups and weights.
    answer = server.client.post("/predict/weighted", content=table, headers={"content-type": "text/csv"})
    assert (answer.status_code, len(answer.text.splitlines())) == (200, 241), answer.text
    late = {"picked": "2024-09-28", "sun": 9.5, "rain": None, "soil": "loam", "sprayed": True, "remark": "red"}
    assert server.predict("weighted", late)["outputs"] == {"sweet": "yes"}


def test_one_command_makes_a_served_pattern_of_a_csv(server: Server, tmp_path: Path) -> None:
    (tmp_path / "Fruit 2024.csv").write_text(harvests())

    def patterns(*arguments: str) -> "subprocess.CompletedProcess[str]":
        settings = environment(STORE=server.store, PORT=server.port)
        return subprocess.run(
            [PATTERNS, *arguments], cwd=tmp_path, env=settings, capture_output=True, text=True, check=False
        )

    ran = patterns("train", "--csv", "Fruit 2024.csv", "--target", "sweet", "--column", "remark=drop", "--epochs", "20")
    assert ran.returncode == 0, ran.stderr
    assert "left out: as the recipe says" in ran.stderr
    row = ["picked=2024-09-28", "sun=9.5", "rain=", "soil=loam", "sprayed=true"]
    asked = patterns("predict", "fruit-2024", *row)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("sweet = yes")
    assert "from the server" in asked.stderr
    crossed = patterns("cross-validate", "fruit-2024", "--folds", "2", "--json")
    assert crossed.returncode == 0, crossed.stderr
    assert [fold["rows"] for fold in json.loads(crossed.stdout)["folds"]] == [120, 120]
    refused = patterns("train", "--csv", "Fruit 2024.csv", "--target", "price")
    assert refused.returncode == 1
    assert "data.target: the table has no such column; did you mean picked?" in " ".join(refused.stderr.split())
