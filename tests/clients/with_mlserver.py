"""`mlserver infer`: a file of requests in, a file of answers out, with and without binary data."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from cases import ADDRESS, IRIS, QUADRATIC, case, close, main, native


def inferred(model, requests, *options):
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "in.jsonl"), Path(folder, "out.jsonl")
        asked.write_text("".join(json.dumps(request) + "\n" for request in requests))
        command = [Path(sys.executable).with_name("mlserver"), "infer", "-u", ADDRESS, "-m", model]
        command += ["-i", asked, "-o", answered, "-w", "2", *options]
        ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr[-500:]
        lines = [json.loads(line) for line in answered.read_text().splitlines()]
        return sorted(lines, key=lambda line: line["parameters"]["batch_index"])


def packed(rows):
    return {"inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": rows}]}


@case
def a_file_of_requests():
    answers = inferred("quadratic", [packed([row]) for row in QUADRATIC])
    close([answer["outputs"][0]["data"] for answer in answers], native("quadratic", QUADRATIC))


@case
def a_file_of_requests_as_binary_data():
    answers = inferred("quadratic", [packed([row]) for row in QUADRATIC], "--binary-data")
    close([answer["outputs"][0]["data"] for answer in answers], native("quadratic", QUADRATIC))


@case
def a_tensor_a_column():
    columns = [
        {"name": name, "shape": [3, 1], "datatype": "FP32", "data": [row[place] for row in QUADRATIC]}
        for place, name in enumerate(("x1", "x2"))
    ]
    (answer,) = inferred("quadratic", [{"inputs": columns}])
    close(answer["outputs"][0]["data"], native("quadratic", QUADRATIC))


@case
def labels():
    (answer,) = inferred("iris", [packed(IRIS)])
    close(answer["outputs"][0]["data"], native("iris", IRIS))


@case
def micro_batches():
    answers = inferred("quadratic", [packed([row]) for row in QUADRATIC], "-s", "3")
    close([answer["outputs"][0]["data"] for answer in answers], native("quadratic", QUADRATIC))


main()
