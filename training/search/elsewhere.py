"""Trials on the nodes of a cluster: the rows are put there once, and a call runs a few trials side by side.

trials of a batch -> parts that are alike -> [ call: trials -> outcomes ] -> pruned as on one machine -> outcomes
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import ceil

from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from training.cluster import CallLost, Cluster, Put
from training.fitting.learn import Runtime
from training.fitting.program import Programs
from training.fitting.progress import Curves, Progress
from training.search.choosing import pruning_of
from training.search.running import Candidate, MakeRun, Outcome, Run, Watch
from training.search.scoring import Scoring
from training.search.side_by_side import side_by_side, without_numbers

# Trials of as many shapes come back to a program that their process has compiled.
MOST_PROGRAMS = 64
# Trials of a call: they take little longer than one, and all of them are run again if their node dies.
MOST_TOGETHER = 16


@dataclass(frozen=True, eq=False)
class Ground:
    """All that the trials of a search have in common."""

    scoring: Scoring
    device: Device


@dataclass(frozen=True)
class Report:
    """The value of a trial at a step, and the epochs it had done by then."""

    step: int
    number: int
    value: float
    epochs: int


@dataclass(frozen=True)
class Told:
    """A trial that was run to its end, with the values by which it might have been pruned."""

    outcome: Outcome
    reports: tuple[Report, ...]


def on(cluster: Cluster) -> MakeRun:
    """Return what runs trials on a cluster, as many at a time as it has cores.

    Whether a trial is pruned depends on the others of its batch, which run elsewhere. So each is run to its end and is
    pruned afterwards, where it would have been on one machine: the same search has the same trials on both.
    """

    def make_run(scoring: Scoring, runtime: Runtime) -> Run:
        calls = Calls(cluster, cluster.put(Ground(scoring, runtime.device)), 1 if runtime.device == "gpu" else 0)

        def run(candidates: Sequence[Candidate], watch: Watch) -> Iterator[Outcome]:
            watch.pulse()
            ended = calls.run(_parts(candidates, cluster.cores), watch)
            return (told.outcome for told in ended) if pruning_of(scoring.search) == "none" else _pruned(ended, watch)

        return run

    return make_run


def _parts(candidates: Sequence[Candidate], cores: int) -> list[list[Candidate]]:
    """Return the trials in parts of those that share a program, none too large for each core to have one."""
    size = min(MOST_TOGETHER, ceil(len(candidates) / cores))
    alike: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        alike.setdefault(without_numbers(candidate.recipe), []).append(candidate)
    return [group[start : start + size] for group in alike.values() for start in range(0, len(group), size)]


@dataclass(frozen=True, eq=False)
class Calls:
    """Runs parts of a batch, a call each."""

    cluster: Cluster
    ground: Put[Ground]
    gpus: int

    def run(self, parts: Sequence[Sequence[Candidate]], watch: Watch) -> Iterator[Told]:
        """Yield each trial as it was run to its end. Those of a call that died too often are tried one by one."""
        lost: list[list[Candidate]] = []
        for place, result in self.cluster.each(_run_trials, self.ground, parts, watch.pulse, gpus=self.gpus):
            if isinstance(result, CallLost) and len(parts[place]) > 1:
                lost += [[candidate] for candidate in parts[place]]
            elif isinstance(result, PatternServerError):
                yield from (_failed(candidate, result) for candidate in parts[place])
            else:
                yield from result
        if lost:
            yield from self.run(lost, watch)


def _failed(candidate: Candidate, error: PatternServerError) -> Told:
    return Told(Outcome(candidate.number, "failed", None, 0, 0.0, str(error)), ())


def _pruned(ended: Iterator[Told], watch: Watch) -> Iterator[Outcome]:
    """Report all values in the order of their steps, as one machine does, and yield each trial as it then ended."""
    told = list(ended)
    outcomes = {one.outcome.number: one.outcome for one in told}
    reports = [report for one in told for report in one.reports]
    for report in sorted(reports, key=lambda report: (report.step, report.number)):
        outcome = outcomes[report.number]
        if outcome.state != "pruned" and watch.report(report.number, report.step, report.value):
            outcomes[report.number] = replace(outcome, state="pruned", value=None, epochs=report.epochs, error=None)
    yield from (outcomes[number] for number in sorted(outcomes))


# -- on a node -----------------------------------------------------------------------------------------------------


def _run_trials(ground: Ground, candidates: Sequence[Candidate]) -> list[Told]:
    log = Log()
    run = side_by_side(ground.scoring, Runtime(ground.device, Progress(), _programs()))
    outcomes = list(run(candidates, log))
    return [Told(outcome, tuple(log.reports.get(outcome.number, ()))) for outcome in outcomes]


@cache
def _programs() -> Programs:
    return Programs(MOST_PROGRAMS)


class Log:
    """Watches trials by writing down their values; it ends none."""

    def __init__(self) -> None:
        self.reports: dict[int, list[Report]] = {}
        """Of each trial, by its number."""
        self._done: dict[int, int] = {}

    def epochs(self, number: int, done: int, curves: Curves) -> None:
        self._done[number] = done

    def report(self, number: int, step: int, value: float) -> bool:
        report = Report(step, number, value, self._done.get(number, 0))
        self.reports.setdefault(number, []).append(report)
        return False

    def pulse(self) -> None:
        """Nobody waits here; Ray ends a call that is cancelled."""
