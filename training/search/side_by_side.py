"""Trials of a batch side by side: those that differ in numbers alone are fitted in one compiled program.

trials -> their fits, one or a fold each -> groups of one kind -> [ chunk of epochs -> pruning ] -> outputs -> scores
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np

from models_store.arrays import Encoded
from models_store.bundle import all_finite
from models_store.encoding.outputs import OutputDecoder
from models_store.errors import PatternServerError
from models_store.networks.keras_network import device_name
from training.fitting.fit import MOST_WORK, Diverged, diverged_after
from training.fitting.learn import NOT_FINITE, Runtime
from training.fitting.side_by_side import SideBySide, groups, work_of
from training.recipe.spec import PatternSpec
from training.search.choosing import epochs_per_report, pruning_of
from training.search.encodings import Encodings, ScoredFit
from training.search.running import Candidate, Outcome, Run, Watch, alone
from training.search.scoring import Scoring

# Fields of a recipe in which trials may differ that are fitted side by side, if their fits turn out to be of one kind.
NUMBERS = (
    ("seed",),
    ("data", "numbers"),
    ("network", "dropout"),
    ("fit", "optimizer", "learning_rate"),
    ("fit", "optimizer", "weight_decay"),
    ("fit", "early_stopping", "patience"),
    ("fit", "early_stopping", "restore_best"),
    ("fit", "class_weights"),
)


def side_by_side(scoring: Scoring, runtime: Runtime, most_work: int = MOST_WORK) -> Run:
    """Return what runs the trials of a batch side by side, as far as they are alike and small.

    Where an epoch of one takes more than `most_work` floating-point operations, others beside it would only wait.
    """
    return Trials(scoring, runtime, most_work)


@dataclass(eq=False)
class Going:
    """A trial under way."""

    candidate: Candidate
    scores: dict[int, float] = field(default_factory=dict)
    """Of each fold that is scored, by its number."""
    epochs: int = 0
    seconds: float = 0.0
    state: Literal["complete", "pruned", "failed"] | None = None
    """How it ended; None while it goes on."""
    error: str | None = None
    is_told: bool = False

    @property
    def mean(self) -> float:
        """The mean of the folds so far."""
        return float(np.mean([self.scores[fold] for fold in sorted(self.scores)]))

    def fail(self, error: PatternServerError) -> None:
        self.state, self.error = "failed", str(error)

    @property
    def outcome(self) -> Outcome:
        assert self.state is not None
        value = self.mean if self.state == "complete" else None
        return Outcome(self.candidate.number, self.state, value, self.epochs, round(self.seconds, 3), self.error)


@dataclass(frozen=True, eq=False)
class Fitting:
    """One fit of a trial: of its training rows, or of a fold."""

    trial: Going
    fold: int
    scored: ScoredFit

    @property
    def learns_logarithms(self) -> bool:
        """True if its answers become means after the fit, which `learn` sees to."""
        decoder = self.scored.fit.encoding.decoder
        return isinstance(decoder, OutputDecoder) and decoder.logarithm is not None


Group = list[Fitting]
"""Fits that go on side by side."""


@dataclass(frozen=True, eq=False)
class Report:
    """The value of a trial after an epoch, by which it may be pruned."""

    done: int
    number: int
    value: float
    trial: Going
    stop: Callable[[], None]


class Trials:
    """What runs the trials of a search."""

    def __init__(self, scoring: Scoring, runtime: Runtime, most_work: int) -> None:
        self._scoring = scoring
        self._runtime = runtime
        self._most_work = most_work
        self._encodings = Encodings(scoring)
        self._prunes = pruning_of(scoring.search) != "none"

    def __call__(self, candidates: Sequence[Candidate], watch: Watch) -> Iterator[Outcome]:
        trials = [Going(candidate) for candidate in candidates]
        # A trial that drops no outputs shares the program of those that do.
        drops = any(candidate.recipe.network.dropout != 0 for candidate in candidates)
        # Pruning compares the trials of a batch, which go on together then.
        for some in [trials] if self._prunes else _alike(trials):
            yield from self._run(some, watch, drops=drops)

    def _run(self, trials: Sequence[Going], watch: Watch, *, drops: bool) -> Iterator[Outcome]:
        folds = range(self._scoring.fits)
        for some in [[fold] for fold in folds] if self._prunes else [folds]:
            fittings: list[Fitting] = []
            for trial in [trial for trial in trials if trial.state is None]:
                found = self._fittings(trial, some, watch)
                if any(work_of(fitting.scored.fit) > self._most_work or fitting.learns_logarithms for fitting in found):
                    outcome = alone(trial.candidate, self._scoring, self._runtime, watch)
                    trial.state, trial.is_told = outcome.state, True
                    yield outcome
                else:
                    fittings += found
            alike = _groups(fittings, device_name(self._runtime.device))
            for wave in [alike] if self._prunes else [[group] for group in alike]:
                going = [[fitting for fitting in group if fitting.trial.state is None] for group in wave]
                Wave(going, self._scoring, self._runtime, watch, drops=drops).run()
                yield from self._ended(trials)
            if self._prunes and self._scoring.are_folds:
                _report_fold(trials, some[0] + 1, watch)
                yield from self._ended(trials)
        yield from self._ended(trials)

    def _fittings(self, trial: Going, folds: Sequence[int], watch: Watch) -> list[Fitting]:
        """Return the fits of a trial that are to be run; none of one that fails."""
        began = time.perf_counter()
        try:
            watch.pulse()
            spec = trial.candidate.recipe
            return [Fitting(trial, fold, self._encodings.fit(spec, fold)) for fold in folds]
        except PatternServerError as error:
            trial.fail(error)
            return []
        finally:
            trial.seconds += time.perf_counter() - began

    def _ended(self, trials: Sequence[Going]) -> Iterator[Outcome]:
        """Yield the trials that have ended, each once."""
        for trial in trials:
            if trial.state is None and len(trial.scores) == self._scoring.fits:
                trial.state = "complete"
            if trial.state is not None and not trial.is_told:
                trial.is_told = True
                yield trial.outcome


class Wave:
    """Groups of fits that go on together, a chunk of epochs after another, until all have ended."""

    def __init__(
        self, groups: Sequence[Group], scoring: Scoring, runtime: Runtime, watch: Watch, *, drops: bool
    ) -> None:
        self._groups = [group for group in groups if group]
        self._scoring = scoring
        self._runtime = runtime
        self._watch = watch
        self._drops = drops
        self._turn = 0
        self._reports_epochs = pruning_of(scoring.search) != "none" and not scoring.are_folds

    def run(self) -> None:
        """Fit, and score. Raises what the watch raises."""
        began = time.perf_counter()
        running: list[SideBySide] = []
        try:
            for group in self._groups:
                fits = [fitting.scored.fit for fitting in group]
                device = device_name(self._runtime.device)
                running.append(SideBySide(fits, device, self._runtime.programs, may_drop=self._drops))
            self._fit(running)
            for group, one in zip(self._groups, running, strict=True):
                self._score(group, one)
        finally:
            for one in running:
                one.close()
        fittings = [fitting for group in self._groups for fitting in group]
        for fitting in fittings:
            fitting.trial.seconds += (time.perf_counter() - began) / len(fittings)

    def _fit(self, running: Sequence[SideBySide]) -> None:
        while going := [place for place, one in enumerate(running) if not one.have_ended.all()]:
            ends = {place: running[place].done + self._chunk(place, running[place].done) for place in going}
            # Those first that are behind, so that values are reported in the order of their epochs.
            end = min(ends.values())
            reports: list[Report] = []
            for place in [place for place in going if ends[place] == end]:
                reports += self._advance(self._groups[place], running[place], end)
            if self._reports_epochs:
                self._report(reports)

    def _chunk(self, place: int, done: int) -> int:
        """Return the most epochs until fits of a group report, or end."""
        epochs = self._groups[place][0].scored.fit.spec.fit.most_epochs
        per_report = epochs_per_report(self._scoring.search, epochs)
        return min(epochs, per_report) - done % per_report if per_report else epochs - done

    def _advance(self, group: Group, fits: SideBySide, end: int) -> list[Report]:
        """Run a group up to an epoch; return the value of each trial that goes on, or has ended by then."""
        reports: dict[int, Report] = {}
        while fits.done < end and not fits.have_ended.all():
            self._watch.pulse()
            found = list(fits.run(end - fits.done).items())
            epochs = fits.epochs
            # Those who follow are shown one trial a few times a second, and each in its turn.
            self._turn += 1
            for place, curves in [*found[self._turn % len(found) :], *found[: self._turn % len(found)]]:
                trial, done = group[place].trial, int(epochs[place])
                trial.epochs += len(curves["loss"])
                if not all(np.isfinite(curve).all() for curve in curves.values()):
                    trial.fail(diverged_after(done))
                    fits.stop([other for other, fitting in enumerate(group) if fitting.trial is trial])
                if trial.state is None:
                    self._watch.epochs(trial.candidate.number, trial.epochs, curves)
                    value = float(curves.get("val_loss", curves["loss"])[-1])
                    reports[place] = Report(done, trial.candidate.number, value, trial, partial(fits.stop, [place]))
        return [*reports.values()]

    def _report(self, reports: Sequence[Report]) -> None:
        for report in sorted(reports, key=lambda report: (report.done, report.number)):
            if self._watch.report(report.number, report.done, report.value):
                report.trial.state = "pruned"
                report.stop()

    def _score(self, group: Group, fits: SideBySide) -> None:
        finite = fits.have_finite_weights()
        asked: dict[int, list[int]] = {}
        for place, fitting in enumerate(group):
            if fitting.trial.state is None and not finite[place]:
                fitting.trial.fail(Diverged(NOT_FINITE))
            elif fitting.trial.state is None:
                asked.setdefault(id(fitting.scored.asked), []).append(place)
        for places in asked.values():
            outputs = fits.outputs(places, group[places[0]].scored.asked)
            for place, output in zip(places, outputs, strict=True):
                self._score_one(group[place], output)

    def _score_one(self, fitting: Fitting, outputs: Encoded) -> None:
        scored, trial = fitting.scored, fitting.trial
        answers = scored.fit.encoding.decoder.decode(outputs)
        answers[~np.isfinite(scored.asked).all(axis=1)] = np.nan
        try:
            trial.scores[fitting.fold] = self._scoring.value(all_finite(answers), scored.held_out)
        except PatternServerError as error:
            trial.fail(error)


def _report_fold(trials: Sequence[Going], step: int, watch: Watch) -> None:
    """Report the mean of the folds so far of each trial that goes on."""
    for trial in sorted(trials, key=lambda trial: trial.candidate.number):
        if trial.state is None and watch.report(trial.candidate.number, step, trial.mean):
            trial.state = "pruned"


def _alike(trials: Sequence[Going]) -> list[list[Going]]:
    """Return the trials in groups of those whose recipes differ in numbers alone."""
    groups: dict[str, list[Going]] = {}
    for trial in trials:
        groups.setdefault(without_numbers(trial.candidate.recipe), []).append(trial)
    return [*groups.values()]


def without_numbers(spec: PatternSpec) -> str:
    """Return the recipe but for the numbers that fits side by side may differ in, as a word to compare."""
    recipe = spec.to_json()
    for *path, name in NUMBERS:
        part: dict[str, Any] = recipe
        for step in path:
            part = part.get(step) or {}
        part.pop(name, None)
    return json.dumps(recipe)


def _groups(fittings: Sequence[Fitting], device: str) -> list[Group]:
    places = groups([fitting.scored.fit for fitting in fittings], device)
    return [[fittings[place] for place in some] for some in places]
