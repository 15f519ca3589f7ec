"""Several fits, such as those of the folds of a training, or of its seeds: small ones that are alike go side by side.

What folds learned answers rows as it is, without a network that is compiled to be served.

recipes and rows -> prepared fits, as many as memory may hold -> [ groups side by side | one by one ] -> predictors
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import ceil
from typing import Self, TypeVar

import numpy as np

from models_store.errors import PatternServerError
from models_store.networks.architecture import Network
from models_store.networks.keras_network import device_name
from training.data.dataset import DataError, Dataset
from training.fitting.fit import MOST_WORK, Diverged, diverged_after
from training.fitting.learn import Choice, Fitted, Learned, Prepared, Runtime, answering, fitted_alone
from training.fitting.outputs import Members
from training.fitting.progress import Curves, History, Progress
from training.fitting.side_by_side import MOST_FITS, MOST_WASTE, SideBySide, groups, work_of
from training.recipe.spec import PatternSpec

# Floating-point operations of a step up to which most of its time is not arithmetic, and shared by fits side by side:
# 3.6 times as fast for 5 fits of 0.2 million. From 0.7 million on, one after another took as long, or less.
MOST_WORK_OF_A_STEP = 1 << 19
# Bytes of encoded rows of fits that are prepared together.
MOST_BYTES = 1 << 28

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Task:
    """A recipe, and the rows that it is fitted to."""

    spec: PatternSpec
    data: Dataset
    progress: Progress | None = None
    """Who is told of its epochs; None: who is told of all."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """A fit that is prepared, and who is told of its epochs."""

    data: Dataset
    fit: Prepared
    progress: Progress

    @property
    def is_small(self) -> bool:
        """True if it goes on faster beside others."""
        recipe, n_rows = self.fit.spec.fit, len(self.fit.train.inputs)
        of_a_step = work_of(self.fit) * min(recipe.batch_rows(n_rows), n_rows) / n_rows
        return of_a_step <= MOST_WORK_OF_A_STEP and work_of(self.fit) <= MOST_WORK

    @property
    def is_long(self) -> bool:
        """True if the fit takes more time than compiling a program of its own, about."""
        return work_of(self.fit) * self.fit.spec.fit.most_epochs > MOST_WASTE


@dataclass(frozen=True, eq=False)
class Ready:
    """A task with its prepared fits, one of which is kept."""

    task: Task
    choice: Choice
    attempts: list[Attempt]
    refused: DataError | None = None
    """Why there are none."""

    @classmethod
    def of(cls, task: Task, runtime: Runtime) -> Self:
        """Prepare the fits of a task. Raises DataError where its rows cannot be encoded."""
        choice, data = Choice.of(task.spec, task.data), task.data
        told = replace(runtime, progress=task.progress or runtime.progress)
        attempts = [Attempt(data, Prepared.of(one, data), choice.told(one, told)) for one in choice.recipes]
        return cls(task, choice, attempts)

    @classmethod
    def or_refused(cls, task: Task, runtime: Runtime) -> Self:
        """Prepare the fits of a task, or keep why they cannot be."""
        try:
            return cls.of(task, runtime)
        except DataError as error:
            return cls(task, Choice.of(task.spec, task.data), [], error)

    @property
    def n_bytes(self) -> int:
        return sum(array.nbytes for attempt in self.attempts for array in attempt.fit.train.parts)


def learn_each(
    tasks: Iterable[Task], runtime: Runtime, then: Callable[[Task, Learned], Result], workers: int = 1
) -> Iterator[Result]:
    """Fit each task, and yield what `then` makes of it, in order. Each is as `learn` does it alone, to rounding.

    `workers` threads share what does not go on side by side; how many there are may change a result by rounding where
    a fit takes seconds. Raises what `learn` raises.
    """
    each = (Ready.of(task, runtime) for task in tasks)
    # To compile a network takes longer than the few calls that score it.
    return _each(each, runtime, workers, lambda members: members, lambda task, learned: then(task, learned()))


def try_each(
    tasks: Iterable[Task], runtime: Runtime, then: Callable[[Task, Learned], Result], workers: int = 1
) -> Iterator[Result | PatternServerError]:
    """Do as `learn_each`, with networks that can be served; yield the error of a task in place of what fails."""

    def outcome(task: Task, learned: Callable[[], Learned]) -> Result | PatternServerError:
        try:
            return then(task, learned())
        except PatternServerError as error:
            return error

    each = (Ready.or_refused(task, runtime) for task in tasks)
    return _each(each, runtime, workers, Members.compiled, outcome)


def _each(
    tasks: Iterable[Ready],
    runtime: Runtime,
    workers: int,
    network_of: Callable[[Members], Network],
    then: Callable[[Task, Callable[[], Learned]], Result],
) -> Iterator[Result]:
    """Yield what `then` makes of each task; it is given what returns the kept fit, or raises why there is none."""
    with ThreadPoolExecutor(workers) as threads:
        for some in _in_memory(tasks, workers):
            yield from Together(some, runtime, workers, threads, network_of).each(then)


def _in_memory(tasks: Iterable[Ready], workers: int) -> Iterator[list[Ready]]:
    """Yield as many tasks at a time as memory may hold, but one for each worker."""
    some: list[Ready] = []
    for ready in tasks:
        some.append(ready)
        is_much = sum(each.n_bytes for each in some) > MOST_BYTES
        if (is_much and len(some) >= workers) or len(some) == MOST_FITS:
            yield some
            some = []
    if some:
        yield some


class Together:
    """Tasks whose rows are in memory."""

    def __init__(
        self,
        tasks: Sequence[Ready],
        runtime: Runtime,
        workers: int,
        threads: ThreadPoolExecutor,
        network_of: Callable[[Members], Network],
    ) -> None:
        self._tasks = tasks
        self._runtime = runtime
        self._workers = workers
        self._threads = threads
        self._network_of = network_of

    def each(self, then: Callable[[Task, Callable[[], Learned]], Result]) -> Iterator[Result]:
        found: dict[int, Fitted | Diverged] = {}
        for group, fitted in self._map(lambda group: (group, self._beside(group)), self._groups()):
            found.update(zip(map(id, group), fitted, strict=True))
        return self._map(lambda ready: then(ready.task, lambda: self._kept(ready, found)), self._tasks)

    def _kept(self, ready: Ready, found: Mapping[int, Fitted | Diverged]) -> Learned:
        if ready.refused is not None:
            raise ready.refused
        learned = []
        for each in ready.attempts:
            fitted = found[id(each)] if id(each) in found else self._alone(each)
            learned.append(answering(each.fit, each.data, fitted, self._network_of))
        return ready.choice.kept(learned)

    def _map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        return map(work, items) if self._workers == 1 else self._threads.map(work, items)

    def _groups(self) -> list[list[Attempt]]:
        """Return the fits that go on side by side; where they take long, in a group for each worker."""
        small = [attempt for ready in self._tasks for attempt in ready.attempts if attempt.is_small]
        found = []
        for places in groups([attempt.fit for attempt in small], device_name(self._runtime.device)):
            size = ceil(len(places) / self._workers) if small[places[0]].is_long else len(places)
            found += [[small[place] for place in places[start : start + size]] for start in range(0, len(places), size)]
        return [group for group in found if len(group) > 1]

    def _alone(self, attempt: Attempt) -> Fitted | Diverged:
        return fitted_alone(attempt.fit, replace(self._runtime, progress=attempt.progress))

    def _beside(self, group: Sequence[Attempt]) -> list[Fitted | Diverged]:
        self._runtime.progress.pulse()
        device, started = device_name(self._runtime.device), time.perf_counter()
        running = SideBySide([attempt.fit for attempt in group], device, self._runtime.programs)
        try:
            curves, diverged = _run(running, [attempt.progress for attempt in group])
            weights, best, have_stopped = running.weights(), running.best_epochs, running.have_stopped
        finally:
            running.close()
        # A share of the time that all took.
        seconds = (time.perf_counter() - started) / len(group)
        found: list[Fitted | Diverged] = []
        for place, attempt in enumerate(group):
            members = Members(attempt.fit.architecture, weights[place], device)
            history = History(curves[place], int(best[place]), bool(have_stopped[place]))
            found.append(diverged.get(place) or Fitted(members, history, seconds))
        return found


def _run(running: SideBySide, told: Sequence[Progress]) -> tuple[list[Curves], dict[int, Diverged]]:
    """Run all epochs; return the curves of each fit, and the places of those that diverged, which run no further."""
    chunks: list[list[Curves]] = [[] for _ in told]
    diverged: dict[int, Diverged] = {}
    while not running.have_ended.all():
        found = running.run(None)
        done = running.epochs
        for place, curves in found.items():
            chunks[place].append(curves)
            if all(np.isfinite(curve).all() for curve in curves.values()):
                told[place].epochs(int(done[place]), curves)
            else:
                diverged[place] = diverged_after(int(done[place]))
        if diverged:
            running.stop([*diverged])
    whole = [{name: np.concatenate([each[name] for each in some]) for name in some[0]} for some in chunks]
    return whole, diverged
