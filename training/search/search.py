"""A search from recipe to bundle: `search(spec) -> Bundle`.

rows without test rows -> [ ask -> fit -> score -> tell ] -> the best trial's recipe -> train -> card with all trials
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from models_store.bundle import Bundle
from models_store.card import EARLY_ENDS, LOWER_IS_BETTER, EarlyEnd, Searched, SearchMetric, Trial
from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from training.cross_validation import Work
from training.data.tables import ReadTable
from training.fitting.learn import Runtime
from training.fitting.program import Programs
from training.fitting.progress import Curves, Progress
from training.recipe.search import Search
from training.recipe.space import Space, space_of, with_validation
from training.recipe.spec import PatternSpec
from training.refit import FirstFit
from training.run import dataset_of, no_tables, train
from training.search.choosing import Asked, Chooser, epochs_per_report
from training.search.scoring import Scoring

# Trials of as many shapes come back to a compiled program, in whatever order they are chosen.
MOST_PROGRAMS = 64


class SearchFailed(PatternServerError):
    """No trial of a search has a score."""

    code = "search_failed"


class Pruned(Exception):
    """A trial is ended early, because others do better."""


class Finished(Exception):
    """The search is to end with the trials that it has."""

    def __init__(self, why: EarlyEnd) -> None:
        super().__init__(why)
        self.why: EarlyEnd = why


@dataclass(frozen=True, eq=False)
class Listener:
    """Those who follow a search; the defaults ignore it."""

    progress: Progress
    trial: Callable[[Trial, int | None, int], None] = lambda trial, best, of: None
    """Told each trial that has ended, the number of the best so far, and how many there are to be."""
    epochs: Callable[[int, int, Curves], None] = lambda number, done, curves: None
    """Told the number of a trial under way, its epochs so far, and the curves of the newest."""
    finishing: Callable[[], EarlyEnd | None] = lambda: None
    """Return why no further trials are wanted, and the best so far is to be trained; None while others are."""


def search(
    spec: PatternSpec,
    *,
    read_table: ReadTable = no_tables,
    device: Device = "auto",
    listener: Listener | None = None,
    job: str | None = None,
    programs: Programs | None = None,
    known: Sequence[Trial] = (),
) -> Bundle:
    """Run the trials that the recipe's `search` asks for, and train the recipe of the best on its own rows.

    `known` are trials of the same search that was cut off; they are not run again. The same seed gives the same bundle,
    whether the search was cut off or not. Raises SearchFailed if no trial has a score, and what `train` raises.
    """
    assert spec.search is not None
    listener, programs = listener or Listener(Progress()), programs or Programs(MOST_PROGRAMS)
    wanted, spec = spec.search, with_validation(spec, spec.search)
    searching = Searching(spec, wanted, Runtime(device, listener.progress, programs), listener, read_table)
    trials = searching.trials(known)
    best = best_of(trials, searching.metric)
    if best is None:
        raise SearchFailed(_no_score(trials, searching.ended_early))
    winner = searching.space.recipe(best.point)
    progress = AfterTrials(listener.progress, searching.done)
    bundle = train(winner, read_table=read_table, device=device, progress=progress, job=job, programs=programs)
    found = searching.summary(trials, best)
    card = bundle.card.model_copy(update={"search": found, "notes": [*bundle.card.notes, note(found, best)]})
    return replace(bundle, card=card)


class Searching:
    """The trials of one search."""

    def __init__(
        self, spec: PatternSpec, search: Search, runtime: Runtime, listener: Listener, read_table: ReadTable
    ) -> None:
        self.space: Space = space_of(spec, search)
        self._search = search
        self._runtime = runtime
        self._listener = listener
        self._scoring = Scoring.of(spec, search, dataset_of(spec, read_table))
        self.metric: SearchMetric = self._scoring.metric
        self._chooser = Chooser(self.space, search, self.metric, spec.fit.most_epochs)
        self._planned = self._scoring.fits * spec.fit.most_epochs
        self._work = Work(runtime.progress, self._chooser.trials * self._planned + spec.fit.most_epochs)
        self._by_recipe: dict[str, Trial] = {}
        self._began = time.monotonic()
        self._done = 0
        self.ended_early: EarlyEnd | None = None
        """Why trials that were planned are not run."""

    def trials(self, known: Sequence[Trial]) -> list[Trial]:
        """Return the trials that have ended: those that are known, and then those that are run."""
        before = {trial.number: trial for trial in known}
        self._began -= sum(trial.seconds for trial in known)
        ended: list[Trial] = []
        try:
            while len(ended) < self._chooser.trials:
                asked = self._chooser.ask()
                trial = _same(asked, before.get(asked.number))
                is_new = trial is None
                trial = trial or self._run(asked)
                self._chooser.tell(asked, trial)
                ended.append(trial)
                self._done += trial.epochs
                self._work.add(done=trial.epochs, spared=self._planned - trial.epochs)
                if is_new and (best := best_of(ended, self.metric)) is not None:
                    self._listener.trial(trial, best.number, self._chooser.trials)
                elif is_new:
                    self._listener.trial(trial, None, self._chooser.trials)
        except Finished as finished:
            self.ended_early = finished.why
        return ended

    @property
    def done(self) -> int:
        """Epochs of all trials that have ended."""
        return self._done

    def summary(self, trials: Sequence[Trial], best: Trial) -> Searched:
        return Searched(
            method=self._search.method,
            metric=self.metric,
            folds=self._search.folds,
            best=best.number,
            trials=[trial.model_copy(update={"reports": []}) for trial in trials],
            seconds=round(sum(trial.seconds for trial in trials), 3),
            planned=self._chooser.trials,
            ended_early=self.ended_early,
            importance=self._chooser.importance(),
        )

    def _run(self, asked: Asked) -> Trial:
        """Run a trial; one that has the recipe of another has its result, without a fit. Raises Finished."""
        if (why := self._listener.finishing()) is not None:
            raise Finished(why)
        if self._search.seconds is not None and time.monotonic() - self._began > self._search.seconds:
            raise Finished("seconds")
        progress = TrialProgress(asked, self._listener)
        began = time.perf_counter()

        def ended(**result: object) -> Trial:
            facts = {"state": "complete", "value": None, "epochs": progress.done, "reports": progress.reports, **result}
            took = round(time.perf_counter() - began, 3)
            return Trial.model_validate({"number": asked.number, "point": asked.point, "seconds": took, **facts})

        try:
            recipe = self.space.recipe(asked.point)
            if (same := self._by_recipe.get(recipe.model_dump_json())) is not None:
                _repeat(asked, same)
                return same.model_copy(update={"number": asked.number, "point": asked.point, "epochs": 0, "seconds": 0})
            progress.epochs_per_report = epochs_per_report(self._search, recipe.fit.most_epochs)
            runtime = replace(self._runtime, progress=progress)
            trial = ended(value=self._scoring.score(recipe, runtime, progress.report))
        except Pruned:
            return ended(state="pruned")
        except PatternServerError as error:
            return ended(state="failed", error=str(error))
        self._by_recipe[recipe.model_dump_json()] = trial
        return trial


class TrialProgress(Progress):
    """Progress of a trial: it may be ended early, and its curves are not those of the served network."""

    def __init__(self, asked: Asked, listener: Listener) -> None:
        self._asked = asked
        self._listener = listener
        self._before = 0
        self.done = 0
        self.reports: list[tuple[int, float]] = []

    def epochs(self, done: int, curves: Curves) -> None:
        """Raises Pruned, Finished, and what the listener raises."""
        if done == len(curves["loss"]):
            self._before = self.done
        self.done = self._before + done
        self._listener.epochs(self._asked.number, self.done, curves)
        if self.epochs_per_report is not None:
            self.report(done, float(curves.get("val_loss", curves["loss"])[-1]))
        self.pulse()

    def report(self, step: int, value: float) -> None:
        """Raises Pruned if others did better at this epoch, or after this fold."""
        self.reports.append((step, value))
        if self._asked.is_hopeless(step, value):
            raise Pruned

    def pulse(self) -> None:
        if (why := self._listener.finishing()) is not None:
            raise Finished(why)
        self._listener.progress.pulse()


class AfterTrials(FirstFit):
    """Progress of the training of the best recipe, which counts the epochs of all trials as well."""

    def __init__(self, progress: Progress, trials: int) -> None:
        super().__init__(progress)
        self._trials = trials

    def work(self, done: int, of: int) -> None:
        super().work(self._trials + done, self._trials + of)


def best_of(trials: Sequence[Trial], metric: SearchMetric) -> Trial | None:
    """Return the trial with the best score, the first of those that are equal; None if none has a score."""
    scored = {trial.number: trial.value for trial in trials if trial.value is not None}
    if not scored:
        return None
    best = (min if metric in LOWER_IS_BETTER else max)(scored, key=lambda number: scored[number])
    return next(trial for trial in trials if trial.number == best)


def note(found: Searched, best: Trial) -> str:
    n_scored = sum(trial.value is not None for trial in found.trials)
    rows = f"{found.folds} folds" if found.folds else "validation rows"
    how = f"{found.method} search, {found.metric} {best.value:.4g} on {rows}"
    return (
        f"The recipe is the best of {n_scored} trials ({how}). "
        "The best of many flatters: trust the score on the test rows, which no trial has seen."
        f"{'' if found.early_end is None else f' {found.early_end}'}"
    )


def _same(asked: Asked, known: Trial | None) -> Trial | None:
    """Return the known result of a trial; None if there is none, or of other values, as another Optuna may choose."""
    if known is None or known.point != asked.point:
        return None
    _repeat(asked, known)
    return known


def _repeat(asked: Asked, known: Trial) -> None:
    """Report what a trial reported before, by which later ones are measured."""
    for step, value in known.reports:
        asked.is_hopeless(step, value)


def _no_score(trials: Sequence[Trial], ended_early: EarlyEnd | None) -> str:
    if not trials and ended_early is not None:
        return f"the search ended before its first trial had, because {EARLY_ENDS[ended_early]}"
    reason: Mapping[str, str] = {trial.state: trial.error or "it was ended early" for trial in reversed(trials)}
    return f"none of {len(trials)} trials has a score; the last: {reason[trials[-1].state]}"
