"""MLflow's ScoringServerClient, which knows no model names: the default pattern answers."""

import numpy as np
import pandas as pd
from cases import ADDRESS, QUADRATIC, case, close, main, native
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

host, _, port = ADDRESS.partition(":")
client = ScoringServerClient(host, int(port))


def predicted(*given):
    return [row["y"] for row in client.invoke(*given)["predictions"]]


def expected():
    return [row[0] for row in native("quadratic", QUADRATIC)]


@case
def ping_and_version():
    client.ping()
    client.wait_server_ready()
    assert client.get_version()


@case
def a_data_frame():
    close(predicted(pd.DataFrame(QUADRATIC, columns=["x1", "x2"])), expected())
    close(predicted(pd.DataFrame([row[::-1] for row in QUADRATIC], columns=["x2", "x1"])), expected())


@case
def a_data_frame_of_ints_and_its_index():
    frame = pd.DataFrame(np.array(QUADRATIC, int), columns=["x1", "x2"], index=[7, 8, 9])
    close(predicted(frame), expected())


@case
def params_are_accepted():
    close(predicted(pd.DataFrame(QUADRATIC, columns=["x1", "x2"]), {"temperature": 0.5}), expected())


@case
def intervals_are_columns():
    answer = client.invoke(pd.DataFrame(QUADRATIC, columns=["x1", "x2"]), {"interval": 0.9}).get_predictions()
    assert list(answer.columns) == ["y", "y_lower", "y_upper"]
    assert (answer["y_lower"] < answer["y"]).all() and (answer["y"] < answer["y_upper"]).all()


@case
def an_array():
    close(predicted(np.array(QUADRATIC)), expected())


@case
def answers_are_a_data_frame_again():
    answer = client.invoke(pd.DataFrame(QUADRATIC, columns=["x1", "x2"])).get_predictions()
    assert list(answer.columns) == ["y"] and len(answer) == 3


@case
def what_is_wrong_is_said():
    for frame in (pd.DataFrame({"x1": [1.0]}), pd.DataFrame({"x1": ["sesame"], "x2": [1]})):
        try:
            client.invoke(frame)
        except Exception as error:
            assert "error code 400" in str(error) and "BAD_REQUEST" in str(error), error
        else:
            raise AssertionError("was not refused")


main()
