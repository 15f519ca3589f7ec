"""Trials on the nodes of a cluster: the rows are put there once, and each trial is a call."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from models_store.errors import PatternServerError
from models_store.networks.architecture import Device
from training.cluster import Cluster
from training.fitting.learn import Runtime
from training.fitting.program import Programs
from training.fitting.progress import Curves, Progress
from training.search.choosing import pruning_of
from training.search.running import Candidate, MakeRun, Outcome, Run, Watch, alone
from training.search.scoring import Scoring

# Trials of as many shapes come back to a program that their process has compiled.
MOST_PROGRAMS = 64


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
        ground = cluster.put(Ground(scoring, runtime.device))
        gpus = 1 if runtime.device == "gpu" else 0

        def run(candidates: Sequence[Candidate], watch: Watch) -> Iterator[Outcome]:
            watch.pulse()
            results = cluster.each(_run_trial, ground, candidates, watch.pulse, gpus=gpus)
            ended = (_told(candidates[place], result) for place, result in results)
            return (told.outcome for told in ended) if pruning_of(scoring.search) == "none" else _pruned(ended, watch)

        return run

    return make_run


def _told(candidate: Candidate, result: Told | PatternServerError) -> Told:
    if isinstance(result, Told):
        return result
    return Told(Outcome(candidate.number, "failed", None, 0, 0.0, str(result)), ())


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


def _run_trial(ground: Ground, candidate: Candidate) -> Told:
    log = Log()
    runtime = Runtime(ground.device, Progress(), _programs())
    outcome = alone(candidate, ground.scoring, runtime, log)
    return Told(outcome, tuple(log.reports))


@cache
def _programs() -> Programs:
    return Programs(MOST_PROGRAMS)


class Log:
    """Watches a trial by writing down its values; it ends none."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self._done = 0

    def epochs(self, number: int, done: int, curves: Curves) -> None:
        self._done = done

    def report(self, number: int, step: int, value: float) -> bool:
        self.reports.append(Report(step, number, value, self._done))
        return False

    def pulse(self) -> None:
        """Nobody waits here; Ray ends a call that is cancelled."""
