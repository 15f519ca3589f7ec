"""The trainer's protocol: every message comes out of its line as it went in, and a wrong line is refused."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models_store.card import CrossValidation, Fold, Promotion
from tests.fakes import card
from tests.table_fakes import flowers
from training import messages
from training.messages import (
    Cancel,
    Cancelled,
    Compared,
    CrossValidated,
    Epoch,
    EpochsDone,
    Evaluated,
    Failed,
    FoldScored,
    IfBetter,
    Measure,
    MeasureEach,
    Message,
    Publish,
    PublishEach,
    Published,
    Ready,
    ScoreFolds,
    Started,
    WorkDone,
    event_of,
    request_of,
    to_line,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 2**53)
numbers = st.integers(1, 2**53)
finite = st.floats(allow_nan=False, allow_infinity=False)
recipes = st.dictionaries(
    texts,
    st.recursive(st.none() | st.booleans() | counts | finite | texts, lambda part: st.lists(part, max_size=3)),
    max_size=3,
)
training = {
    "id": texts,
    "recipe": recipes,
    "device": st.sampled_from(["auto", "cpu", "gpu"]),
    "root": st.sampled_from([Path("/srv/store"), Path("/srv/größer")]),
}
epochs = st.builds(
    Epoch, epoch=numbers, loss=finite, val_loss=st.none() | finite, metric=st.none() | finite, val_metric=st.none()
)
fold = Fold(rows=3, score=card().test.overall, best_epoch=2)
crossed = CrossValidation(
    folds=[fold], mean={"mae": 0.1}, sd={"mae": 0.2}, metric="mae", curve=[1.0, 0.5], smoothed=[1.0, 0.9], epochs=2
)
promotes = st.booleans() | st.builds(IfBetter, tolerance=st.floats(0, 1))
promotion = Promotion(champion=1, promoted=False, outcome="worse", why="Not promoted.", tolerance=0.5)
publish = st.builds(Publish, **training, promote=promotes, keep=numbers, engine=st.sampled_from(["keras", "onnx"]))
measure = st.builds(Measure, **training)
requests = st.one_of(
    publish,
    st.builds(
        PublishEach, id=texts, trainings=st.lists(publish, min_size=1, max_size=2).map(tuple), is_again=st.booleans()
    ),
    measure,
    st.builds(MeasureEach, id=texts, trainings=st.lists(measure, min_size=1, max_size=2).map(tuple)),
    st.builds(ScoreFolds, **training),
    st.builds(Cancel, id=texts),
)
events = st.one_of(
    st.just(Ready()),
    st.builds(Started, id=texts, epochs=numbers),
    st.builds(WorkDone, id=texts, done=counts, of=counts),
    st.builds(FoldScored, id=texts, fold=numbers, folds=numbers, figures=st.dictionaries(texts, finite, max_size=3)),
    st.builds(
        EpochsDone,
        id=texts,
        epochs=st.lists(epochs, min_size=1, max_size=3).map(tuple),
        before=counts,
        of=st.none() | counts,
    ),
    st.builds(Evaluated, id=texts, card=st.sampled_from([card(), flowers().card])),
    st.builds(Compared, id=texts, promotion=st.just(promotion)),
    st.builds(Published, id=texts, version=numbers),
    st.builds(CrossValidated, id=texts, result=st.just(crossed)),
    st.builds(Failed, id=texts, code=texts, message=texts),
    st.builds(Cancelled, id=texts),
)


@given(requests)
def test_a_request_comes_out_of_its_line_as_it_went_in(request: Message) -> None:
    assert request_of(to_line(request)) == request


@given(events)
def test_an_event_comes_out_of_its_line_as_it_went_in(event: Message) -> None:
    assert event_of(to_line(event)) == event


@given(requests | events)
def test_a_line_is_one_json_object_in_ascii(message: Message) -> None:
    line = to_line(message)
    assert line.isascii()
    assert line.splitlines(keepends=True) == [line]
    assert isinstance(json.loads(line), dict)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_cannot_hold_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="finite number"):
        Epoch(epoch=1, loss=number, val_loss=None, metric=None, val_metric=None)
    with pytest.raises(ValueError, match="JSON compliant"):
        to_line(Measure(id="1", recipe={"seed": number}, device="cpu", root=Path("store")))


LINE = {"request": "cancel", "id": "1"}


@pytest.mark.parametrize(
    "line",
    [
        {"id": "1"},
        {**LINE, "request": "stop"},
        {**LINE, "id": 1},
        {**LINE, "more": 1},
        {"request": "cancel"},
        {"event": "cancelled", "id": "1"},
        [LINE],
    ],
)
def test_what_is_no_request_is_refused(line: Any) -> None:
    assert request_of(json.dumps(LINE)) == Cancel(id="1")
    with pytest.raises(ValueError, match="validation error"):
        request_of(json.dumps(line))


@pytest.mark.parametrize("union", [messages.Request, messages.Event])
def test_every_message_can_be_read(union: Any) -> None:
    tag = "request" if union is messages.Request else "event"
    leaves = {kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, Message)}
    assert set(get_args(get_args(union)[0])) == {kind for kind in leaves if tag in kind.model_fields}
