"""A search from recipe to bundle: `search(spec) -> Bundle`.

rows without test rows -> [ ask -> fit -> score -> tell ] -> the best trial's recipe -> train -> card with all trials
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from models_store.bundle import Bundle
from models_store.card import EARLY_ENDS, LOWER_IS_BETTER, EarlyEnd, Searched, SearchMetric, Trial
from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from models_store.wording import counted
from training.cross_validation import Work
from training.data.tables import ReadTable
from training.fitting.learn import Runtime
from training.fitting.program import Programs
from training.fitting.progress import Curves, Progress
from training.recipe.base import RecipeError
from training.recipe.search import Search
from training.recipe.space import Space, space_of, with_validation
from training.recipe.spec import PatternSpec
from training.refit import FirstFit
from training.run import dataset_of, no_tables, train
from training.search.choosing import Asked, Chooser
from training.search.running import Candidate, MakeRun, Outcome
from training.search.scoring import Scoring
from training.search.side_by_side import side_by_side

# Trials of as many shapes come back to a compiled program, in whatever order they are chosen; and later searches.
MOST_PROGRAMS, MOST_KEPT = 64, 16
# Kept as long as the process: a later search of the same shapes compiles nothing.
PROGRAMS = Programs(MOST_PROGRAMS)


class SearchFailed(PatternServerError):
    """No trial of a search has a score."""

    code = "search_failed"


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
    programs: Programs = PROGRAMS,
    known: Sequence[Trial] = (),
    make_run: MakeRun = side_by_side,
) -> Bundle:
    """Run the trials that the recipe's `search` asks for, and train the recipe of the best on its own rows.

    `known` are trials of the same search that was cut off; they are not run again. `make_run` makes what runs the
    others: here, or elsewhere. The same seed gives the same bundle, whether the search was cut off or not.
    Raises SearchFailed if no trial has a score, and what `train` raises.
    """
    assert spec.search is not None
    listener = listener or Listener(Progress())
    wanted, spec = spec.search, with_validation(spec, spec.search)
    searching = Searching(spec, wanted, Runtime(device, listener.progress, programs), listener, read_table, make_run)
    trials = searching.trials(known)
    best = best_of(trials, searching.metric)
    if best is None:
        raise SearchFailed(_no_score(trials, searching.ended_early))
    winner = searching.space.recipe(best.point)
    progress = AfterTrials(listener.progress, searching.done)
    bundle = train(winner, read_table=read_table, device=device, progress=progress, job=job, programs=programs)
    found = searching.summary(trials, best)
    programs.keep(MOST_KEPT)
    card = bundle.card.model_copy(update={"search": found, "notes": [*bundle.card.notes, note(found, best)]})
    return replace(bundle, card=card)


class Searching:
    """The trials of one search, a batch after another."""

    def __init__(
        self,
        spec: PatternSpec,
        search: Search,
        runtime: Runtime,
        listener: Listener,
        read_table: ReadTable,
        make_run: MakeRun,
    ) -> None:
        self.space: Space = space_of(spec, search)
        self._search = search
        self._listener = listener
        scoring = Scoring.of(spec, search, dataset_of(spec, read_table))
        self.metric: SearchMetric = scoring.metric
        self._run = make_run(scoring, runtime)
        self._chooser = Chooser(self.space, search, self.metric, spec.fit.most_epochs)
        self._planned = scoring.fits * spec.fit.most_epochs
        self._work = Work(runtime.progress, self._chooser.trials * self._planned + spec.fit.most_epochs)
        self._by_recipe: dict[str, Trial] = {}
        self._ended: list[Trial] = []
        self._began = time.monotonic()
        self.done = 0
        """Epochs of all trials that have ended."""
        self.ended_early: EarlyEnd | None = None
        """Why trials that were planned are not run."""

    def trials(self, known: Sequence[Trial]) -> list[Trial]:
        """Return the trials that have ended: those that are known, and those that are run."""
        before = {trial.number: trial for trial in known}
        self._began -= sum(trial.seconds for trial in known)
        try:
            while (left := self._chooser.trials - len(self._ended)) > 0:
                self._finish([self._chooser.ask() for _ in range(min(left, self._chooser.batch))], before)
        except Finished as finished:
            self.ended_early = finished.why
        return sorted(self._ended, key=lambda trial: trial.number)

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

    def _finish(self, asked: Sequence[Asked], before: Mapping[int, Trial]) -> None:
        """Bring the trials of a batch to their ends, but those that are known. Raises Finished."""
        known = [trial for one in asked if (trial := _same(one, before.get(one.number))) is not None]
        batch = Batch(asked, known, self._listener, self._pulse)
        for trial in known:
            # A point that makes no recipe has failed.
            self._end(None if trial.state == "failed" else self.space.recipe(trial.point).model_dump_json(), trial)
        numbers = {trial.number for trial in known}
        new = [one for one in asked if one.number not in numbers]
        try:
            if new:
                self._pulse()
            for recipe, trial in self._run_new(new, batch):
                self._end(recipe, trial)
                best = best_of(self._ended, self.metric)
                self._listener.trial(trial, best.number if best else None, self._chooser.trials)
        finally:
            batch.end()
            results = {trial.number: trial for trial in self._ended}
            # In the order of their numbers, in whatever order they ended: so the next ones are the same on every run.
            for one in asked:
                if one.number in results:
                    self._chooser.tell(one, results[one.number])

    def _run_new(self, asked: Sequence[Asked], batch: "Batch") -> Iterator[tuple[str | None, Trial]]:
        """Yield each trial as it ends, with its recipe; one that has the recipe of another has its result."""
        points = {one.number: dict(one.point) for one in asked}
        to_run, alike = {}, []
        for number, point in points.items():
            try:
                recipe = self.space.recipe(point)
            except RecipeError as error:
                failed = Outcome(number, "failed", None, 0, 0.0, str(error))
                yield None, Trial.model_validate({**vars(failed), "point": point})
                continue
            written = recipe.model_dump_json()
            if written in self._by_recipe or written in to_run:
                alike.append((number, written))
            else:
                to_run[written] = Candidate(number, recipe)
        recipes = {candidate.number: written for written, candidate in to_run.items()}
        for outcome in self._run([*to_run.values()], batch) if to_run else ():
            number = outcome.number
            facts = {"point": points[number], "reports": batch.reports[number]}
            yield recipes[number], Trial.model_validate({**vars(outcome), **facts})
        for number, written in alike:
            same = self._by_recipe[written]
            batch.repeat(number, same)
            alone = {"number": number, "point": points[number], "epochs": 0, "seconds": 0}
            yield written, same.model_copy(update=alone)

    def _end(self, recipe: str | None, trial: Trial) -> None:
        self._ended.append(trial)
        if recipe is not None:
            self._by_recipe.setdefault(recipe, trial)
        self.done += trial.epochs
        self._work.add(done=trial.epochs, spared=self._planned - trial.epochs)

    def _pulse(self) -> None:
        """Raises Finished, and what the listener raises."""
        if (why := self._listener.finishing()) is not None:
            raise Finished(why)
        is_over = self._search.seconds is not None and time.monotonic() - self._began > self._search.seconds
        if is_over and best_of(self._ended, self.metric) is not None:
            raise Finished("seconds")
        self._listener.progress.pulse()


class Batch:
    """The trials that were asked for together, watched while they run."""

    def __init__(
        self, asked: Sequence[Asked], known: Sequence[Trial], listener: Listener, pulse: Callable[[], None]
    ) -> None:
        self._asked = {one.number: one for one in asked}
        # Trials that were run before a cut are reported as if they ran beside the others.
        self._before = sorted((step, trial.number, value) for trial in known for step, value in trial.reports)
        self._listener = listener
        self.pulse = pulse
        self.reports: dict[int, list[tuple[int, float]]] = {one.number: [] for one in asked}
        """Of each trial, its values by which it might have been pruned, each with the epoch or the fold."""

    def epochs(self, number: int, done: int, curves: Curves) -> None:
        self._listener.epochs(number, done, curves)

    def report(self, number: int, step: int, value: float) -> bool:
        while self._before and self._before[0][:2] < (step, number):
            self._report_again()
        self.reports[number].append((step, value))
        return self._asked[number].is_hopeless(step, value)

    def repeat(self, number: int, same: Trial) -> None:
        """Report for a trial what another of the same recipe reported."""
        for step, value in same.reports:
            self._asked[number].is_hopeless(step, value)

    def end(self) -> None:
        while self._before:
            self._report_again()

    def _report_again(self) -> None:
        step, number, value = self._before.pop(0)
        self._asked[number].is_hopeless(step, value)


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
        f"The recipe is the best of {counted(n_scored, 'trial', 'trials')} ({how}). "
        "The best of many flatters: trust the score on the test rows, which no trial has seen."
        f"{'' if found.early_end is None else f' {found.early_end}'}"
    )


def _same(asked: Asked, known: Trial | None) -> Trial | None:
    """Return the known result of a trial; None if there is none, or of other values, as another Optuna may choose."""
    return known if known is not None and known.point == asked.point else None


def _no_score(trials: Sequence[Trial], ended_early: EarlyEnd | None) -> str:
    if not trials and ended_early is not None:
        return f"the search ended before its first trial had, because {EARLY_ENDS[ended_early]}"
    reason: Mapping[str, str] = {trial.state: trial.error or "it was ended early" for trial in reversed(trials)}
    return f"none of {counted(len(trials), 'trial', 'trials')} has a score; the last: {reason[trials[-1].state]}"
