"""Trials as a table."""

from app.jobs.trials import as_csv
from tests.app.jobs.fakes import trial


def test_a_choice_of_nothing_differs_from_a_field_that_was_not_chosen() -> None:
    points = [{"fit.schedule": None}, {"fit.schedule": {"name": "cosine"}}, {"fit.epochs": 5}]
    trials = [trial(number).model_copy(update={"point": point}) for number, point in enumerate(points)]
    assert as_csv(trials).splitlines() == [
        "number,state,value,epochs,seconds,fit.schedule,fit.epochs,error",
        "0,complete,1.0,3,0.5,null,,",
        '1,complete,2.0,3,0.5,"{""name"": ""cosine""}",,',
        "2,complete,3.0,3,0.5,,5,",
    ]
