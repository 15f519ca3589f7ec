"""The container contracts of SageMaker and Vertex AI, asked by httpx as their own health checks and routers do."""

import httpx
from cases import PASSENGERS, QUADRATIC, URL, case, close, main, native

client = httpx.Client(base_url=URL, timeout=60)
CSV = "text/csv"


@case
def sagemaker_ping():
    assert client.get("/ping").status_code == 200


@case
def sagemaker_json():
    answer = client.post("/invocations", json={"instances": QUADRATIC})
    close([row["y"] for row in answer.json()["predictions"]], native("quadratic", QUADRATIC))


@case
def sagemaker_csv_without_a_header():
    body = "\n".join(",".join(map(str, row)) for row in QUADRATIC)
    answer = client.post("/invocations", content=body, headers={"content-type": CSV, "accept": CSV})
    assert answer.headers["content-type"].startswith(CSV)
    close([float(line) for line in answer.text.split()], native("quadratic", QUADRATIC))


@case
def sagemaker_csv_with_a_header():
    body = "x2,x1\n" + "\n".join(f"{x2},{x1}" for x1, x2 in QUADRATIC)
    answer = client.post("/invocations", content=body, headers={"content-type": CSV})
    close([row["y"] for row in answer.json()["predictions"]], native("quadratic", QUADRATIC))


@case
def sagemaker_another_pattern():
    names = ("age", "port", "crew", "boarded", "note")
    records = [dict(zip(names, row, strict=True)) for row in PASSENGERS]
    answer = client.post("/invocations?pattern=passengers", json={"dataframe_records": records})
    close([row["survived"] for row in answer.json()["predictions"]], native("passengers", PASSENGERS))


@case
def sagemaker_says_what_is_wrong():
    answer = client.post("/invocations", json={"sesame": 1})
    assert (answer.status_code, answer.json().keys()) == (400, {"error_code", "message"})
    assert client.post("/invocations", content=b"x", headers={"content-type": "image/png"}).status_code == 415


@case
def vertex_health_route():
    assert client.get("/vertex/health").status_code == 200


@case
def vertex_predict_route():
    body = {"instances": [{"x1": x1, "x2": x2} for x1, x2 in QUADRATIC], "parameters": {"sampleCount": 1}}
    answer = client.post("/vertex/predict", json=body)
    assert set(answer.json()) == {"predictions"}
    close([row["y"] for row in answer.json()["predictions"]], native("quadratic", QUADRATIC))


main()
