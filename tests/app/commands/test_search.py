"""`patterns search`: what its options mean, and what is shown of a search under way."""

import pytest
from rich.console import Console

from app.commands.search import Board, follow, space_of
from app.commands.train import NotTrained, Trained, publish
from app.processes.trainer import Trainer, TrainerDied
from app.settings import Settings
from models_store.card import Trial
from tests.fakes import card
from training.messages import (
    LOST_CLUSTER,
    Epoch,
    Evaluated,
    Event,
    Failed,
    MeasureEach,
    PublishEach,
    Published,
    Started,
    TrainingRequest,
    TrialEnded,
    TrialEpochs,
)
from training.recipe.base import RecipeError
from training.recipe.spec import catalogue

SPEC = catalogue()["quadratic"].overridden({"search": {"trials": 3}})


def trial(number: int, value: float | None, **more: object) -> Trial:
    point = {"network.layers.*.units": 8 * (number + 1), "fit.optimizer.learning_rate": 0.012345}
    facts = {"state": "complete", "epochs": 5, "seconds": 1.5, "point": point, **more}
    return Trial.model_validate({"number": number, "value": value, **facts})


def shown(board: Board) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(board.table())
    return captured.get()


def test_a_space_is_written_in_yaml() -> None:
    assert space_of(["network.layers=[1, 2]", "network.dropout={low: 1e-2, high: 0.5}"]) == {
        "network.layers": [1, 2],
        "network.dropout": {"low": 0.01, "high": 0.5},
    }


@pytest.mark.parametrize("option", ["network.layers", "network.layers=[1, 2"])
def test_a_space_that_is_none_is_refused_with_an_example(option: str) -> None:
    with pytest.raises(RecipeError, match="--space: say FIELD=VALUES"):
        space_of([option])


def test_fields_that_are_a_method_or_a_name_are_called_by_what_they_are_of() -> None:
    board = Board(SPEC)
    point = {"scaling.method": "minmax", "fit.optimizer.name": "adam", "network.layers.*.units": 8}
    board.heard(TrialEnded(id="a", trial=trial(0, 4.5, point=point), best=0, of=3))
    assert "scaling minmax, optimizer adam, units 8" in shown(board)


def test_the_board_shows_the_best_first_and_what_goes_on() -> None:
    board = Board(SPEC)
    board.heard(Started(id="a", epochs=5))
    board.heard(TrialEnded(id="a", trial=trial(0, 4.5), best=0, of=3))
    board.heard(TrialEnded(id="a", trial=trial(1, 2.25), best=1, of=3))
    epoch = Epoch(epoch=4, loss=0.125, val_loss=None, metric=None, val_metric=None)
    board.heard(TrialEpochs(id="a", number=2, epoch=epoch))
    lines = [" ".join(line.split()) for line in shown(board).splitlines()]
    assert "│ 1 │ 2.25 │ 5 │ 1.5 │ units 16, learning_rate 0.0123 │" in lines
    best, other = (next(i for i, line in enumerate(lines) if value in line) for value in ("2.25", "4.5"))
    assert best < other
    caption = " ".join(lines)
    assert "2 of 3 trials" in caption and "trial 2: epoch 4, loss 0.125" in caption


def test_the_newest_trial_is_shown_also_if_it_failed() -> None:
    board = Board(SPEC)
    board.heard(TrialEnded(id="a", trial=trial(0, None, state="failed", error="it [diverged]"), best=None, of=3))
    assert "it [diverged]" in shown(board)


def test_a_search_ends_with_the_version_that_it_published() -> None:
    board = Board(SPEC)
    assert board.heard(Evaluated(id="a", card=card())) is None
    assert board.heard(Published(id="a", version=4)) == Trained(SPEC, card(), 4)


def test_a_search_that_fails_says_why() -> None:
    assert Board(SPEC).heard(Failed(id="a", code="search_failed", message="no")) == NotTrained(SPEC, "no")


class LosingTrainer(Trainer):
    """Tells of a trial, and then each time that the cluster is lost."""

    def __init__(self, trials: int) -> None:
        super().__init__()
        self.left = [TrialEnded(id="a", trial=trial(number, 4.5), best=0, of=3) for number in range(trials)]
        self.requests: list[TrainingRequest] = []
        self._is_told = False

    async def submit(self, request: TrainingRequest | PublishEach | MeasureEach) -> None:
        assert isinstance(request, TrainingRequest)
        self.requests.append(request)
        self._is_told = False

    async def event(self) -> Event:
        if self._is_told or not self.left:
            raise TrainerDied(LOST_CLUSTER)
        self._is_told = True
        return self.left.pop(0)


@pytest.mark.anyio
async def test_a_search_whose_cluster_is_lost_goes_on_as_long_as_it_gets_further() -> None:
    trainer, board = LosingTrainer(trials=2), Board(SPEC)
    with pytest.raises(TrainerDied, match="the Ray cluster no longer answered"):
        await follow(trainer, publish(SPEC, Settings(), promote=True), board)
    known = [len(request.model_dump()["trials"]) for request in trainer.requests]
    assert known == [0, 1, 2]
