"""The running of trials: candidates in, their outcomes out, in whatever order they end.

    recipes of a batch -> [ fit -> score ] -> outcomes

No trial of a batch depends on another but by what `Watch.report` answers, so that they may as well run elsewhere.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from models_store.errors import PatternServerError
from training.fitting.learn import Runtime
from training.fitting.progress import Curves, Progress
from training.recipe.spec import PatternSpec
from training.search.choosing import epochs_per_report
from training.search.scoring import Scoring


@dataclass(frozen=True)
class Candidate:
    """A trial that is to be run."""

    number: int
    recipe: PatternSpec


@dataclass(frozen=True)
class Outcome:
    """A trial that has ended."""

    number: int
    state: Literal["complete", "pruned", "failed"]
    value: float | None
    """The metric on rows that the trial did not learn from; None unless it is complete."""
    epochs: int
    seconds: float
    error: str | None = None
    """Why it failed."""


class Watch(Protocol):
    """Those who follow the trials of a batch."""

    def epochs(self, number: int, done: int, curves: Curves) -> None:
        """`done` epochs of a trial are complete, those of all its fits; `curves` are those of the newest."""

    def report(self, number: int, step: int, value: float) -> bool:
        """Take the value of a trial after some epochs, or folds; True if others did so much better that it is to end.

        It is asked for the trials of a batch in the order of their steps, and of their numbers within a step.
        """

    def pulse(self) -> None:
        """Raise what ends the search, if anything does. Called a few times a second."""


Run = Callable[[Sequence[Candidate], Watch], Iterator[Outcome]]
"""Runs the trials of a batch, and yields each as it ends. A trial that fails is an outcome as well.

Raises what `Watch.pulse` raises; the trials that have not ended are given up then.
"""
MakeRun = Callable[[Scoring, Runtime], Run]


class Pruned(Exception):
    """A trial is ended early, because others do better."""


def alone(candidate: Candidate, scoring: Scoring, runtime: Runtime, watch: Watch) -> Outcome:
    """Run a trial by itself. Raises what `watch` raises."""
    per_report = epochs_per_report(scoring.search, candidate.recipe.fit.most_epochs)
    progress = TrialProgress(candidate.number, watch, per_report)
    began = time.perf_counter()

    def ended(state: Literal["complete", "pruned", "failed"], value: float | None, error: str | None) -> Outcome:
        seconds = round(time.perf_counter() - began, 3)
        return Outcome(candidate.number, state, value, progress.done, seconds, error)

    watch.pulse()
    try:
        value = scoring.score(candidate.recipe, replace(runtime, progress=progress), progress.report)
    except Pruned:
        return ended("pruned", None, None)
    except PatternServerError as error:
        return ended("failed", None, str(error))
    return ended("complete", value, None)


class TrialProgress(Progress):
    """Progress of a trial: it may be ended early, and its curves are not those of the served network."""

    def __init__(self, number: int, watch: Watch, per_report: int | None) -> None:
        self.epochs_per_report = per_report
        self._number = number
        self._watch = watch
        self._before = 0
        self.done = 0
        """Epochs that are complete, those of all its fits."""

    def epochs(self, done: int, curves: Curves) -> None:
        """Raises Pruned, and what the watch raises."""
        if done == len(curves["loss"]):
            self._before = self.done
        self.done = self._before + done
        self._watch.epochs(self._number, self.done, curves)
        if self.epochs_per_report is not None:
            self.report(done, float(curves.get("val_loss", curves["loss"])[-1]))
        self._watch.pulse()

    def report(self, step: int, value: float) -> None:
        """Raises Pruned if others did better at this epoch, or after this fold."""
        if self._watch.report(self._number, step, value):
            raise Pruned

    def pulse(self) -> None:
        self._watch.pulse()
