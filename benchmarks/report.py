"""Tables of figures, and ratios beside their targets. A ratio is taken within a round; median and range are shown."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from benchmarks import rpc
from benchmarks.bodies import ANSWERED, BINARY, CROWD, ONE, THOUSAND
from benchmarks.contenders import BY_HAND, CEILING, ECHO, ENGINES, at_commit, ours_name
from benchmarks.peers import PEERS
from benchmarks.uploads import LONG, ONE_ROW, WIDE

# What a trial of a search is compared with, and how many times as fast it is to be.
SEARCHES = {"trainings": 15.0, "Optuna and Keras fit": 100.0}
Figures = Mapping[str, Any]
Values = list[float]
Unit = Literal["×", " s"]
SPEED = "requests_per_s"
# Characters of a line. Tables with broken lines are hard to read in a file.
NARROWEST = 120
# A core for each worker process and for the load generator.
CORES_FOR_TWO_WORKERS = 3


@dataclass(frozen=True)
class Line:
    """One ratio beside its target, which is at least or at most `bound`; without a target it is only shown."""

    what: str
    values: tuple[float, ...]
    bound: float | None = None
    is_ceiling: bool = False
    unit: Unit = "×"
    note: str = ""

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def verdict(self) -> str:
        if self.bound is None or self.note:
            return self.note
        return "ok" if (self.value <= self.bound if self.is_ceiling else self.value >= self.bound) else "short"

    @property
    def cells(self) -> tuple[str, ...]:
        target = "" if self.bound is None else f"{'≤' if self.is_ceiling else '≥'} {self.bound:g}{self.unit}"
        least, most = min(self.values), max(self.values)
        spread = f"{least:.2f} – {most:.2f}" if len(self.values) > 1 else ""
        return (self.what, f"{self.value:.2f}{self.unit}", spread, target, self.verdict)

    def to_dict(self) -> dict[str, Any]:
        return {"what": self.what, "ratio": self.value, "bound": self.bound, "verdict": self.verdict}


def targets(figures: Figures) -> list[Line]:
    """Return the ratios that have a target and were measured."""
    lines = [line for engine in figures["how"]["engines"] for line in _of_engine(figures, engine)]
    lines += [*_of_uploads(figures), *_of_fitting(figures.get("fitting", {}))]
    lines += _of_searching(figures.get("searching", {}))
    return [line for line in lines if line.values]


def _of_engine(figures: Figures, engine: str) -> Iterator[Line]:
    is_lean = ENGINES[engine].is_lean
    name = ours_name(engine)
    workloads = figures.get("requests", {}).get("workloads", {})
    crowd, one = workloads.get(CROWD.name, {}), workloads.get(ONE.name, {})
    where = f"{engine}: 1 row, {CROWD.connections} connections"
    yield Line(f"{where}, of the ceiling", _ratios(crowd, name, CEILING), 0.6 if is_lean else 0.35)
    yield Line(f"{where}, of the server by hand", _ratios(crowd, name, BY_HAND), None if is_lean else 4)
    yield Line(f"{where}, p99 to p50", _within(crowd.get(name, []), "p99_ms", "p50_ms"), 5, is_ceiling=True)
    alone = f"{engine}: 1 row, 1 connection, p50 to"
    by_hand, ceiling = (_ratios(one, name, other, "p50_ms") for other in (BY_HAND, CEILING))
    yield Line(f"{alone} the server by hand's", by_hand, None if is_lean else 1, is_ceiling=True)
    yield Line(f"{alone} the ceiling's", ceiling, 3 if is_lean else None, is_ceiling=True)
    thousand = workloads.get(THOUSAND.name, {})
    yield Line(f"{engine}: 1 000 rows of JSON, of the ceiling", _ratios(thousand, name, CEILING), 2)
    for binary in BINARY:
        measured = _ratios(workloads.get(binary.name, {}), name, ECHO)
        yield Line(f"{engine}: 100 000 rows of {binary.format}, of an echo", measured, 0.7)
    meanwhile = figures.get("meanwhile", {}).get(engine, {})
    for workload in (ONE, CROWD):
        slower = _ratios(meanwhile.get(workload.name, {}), "with", "without", "p99_ms")
        where = f"{workload.connections} connection{'s' if workload.connections > 1 else ''}"
        yield Line(f"{engine}: p99 while a training runs, {where}, of without", slower, 3, is_ceiling=True)
    called = figures.get("grpc", {})
    for other, calls, bound in ((PEERS["mlserver"], rpc.ONE, 3), (ECHO, rpc.MANY, 0.7)):
        runs = called.get(calls.name, {})
        yield Line(f"{engine}: {calls.name}, of {other}", _ratios(runs, name, other), bound)
        yield Line(f"{engine}: {calls.name}, CPU of a call, of {other}", _ratios(runs, name, other, "cpu_ms"))
    yield from _of_start(figures, engine, is_lean)
    two = _ratios(figures.get("workers", {}).get(engine, {}), "2", "1")
    few = "" if figures["machine"]["cores"] >= CORES_FOR_TWO_WORKERS else "too few cores to tell"
    yield Line(f"{engine}: 2 workers, of 1", two, 1.7, note=few)


def _of_start(figures: Figures, engine: str, is_lean: bool) -> Iterator[Line]:
    start = figures.get("start", {}).get(engine)
    if start is None:
        return
    count = figures["start"]["patterns"]
    beyond = tuple(ready - imported for ready, imported in zip(start["ready_s"], start["import_s"], strict=True))
    ready = f"{engine}: start to ready, {count} pattern{'s' if count > 1 else ''}"
    if is_lean:
        yield Line(ready, tuple(start["ready_s"]), 2, is_ceiling=True, unit=" s")
    else:
        yield Line(f"{ready}, beyond the import", beyond, 1, is_ceiling=True, unit=" s")
    taken = tuple(own / other for own, other in zip(start["serving_mb"], start["imported_mb"], strict=True))
    yield Line(f"{engine}: memory, of the import alone", taken, 1.2, is_ceiling=True)


def _of_uploads(figures: Figures) -> Iterator[Line]:
    """Return how many times as fast this checkout is as the other; of many columns, beyond a table of one row."""
    uploads = figures.get("uploads", {})
    commit, engine = uploads.get("commit"), figures["how"]["engines"][-1]
    if commit is None:
        return
    tables = uploads["tables"]
    new, old = (
        {table: tables[table][name] for table in tables} for name in (ours_name(engine), at_commit(engine, commit))
    )
    yield Line(f"upload, {WIDE}: faster than {commit}, beyond {ONE_ROW}", _beyond(old, new, WIDE), 10)
    yield Line(
        f"upload, {LONG}: faster than {commit}",
        _ratios({"new": new[LONG], "old": old[LONG]}, "old", "new", "seconds"),
        1,
    )


def _beyond(old: Figures, new: Figures, table: str) -> tuple[float, ...]:
    """Return old to new in each round, each less the time of a table of one row."""
    rows = zip(old[table], old[ONE_ROW], new[table], new[ONE_ROW], strict=True)
    return tuple((a["seconds"] - b["seconds"]) / (c["seconds"] - d["seconds"]) for a, b, c, d in rows)


def _of_fitting(fitting: Figures) -> Iterator[Line]:
    bounds = {"100 rows": 4.0, "9 500 rows": 20.0}
    for recipe, runs in fitting.items():
        for other in (name for name in runs if name != "ours"):
            whole = _ratios(runs, other, "ours", "seconds")
            bound = bounds[recipe] if other == "Keras fit" else None
            yield Line(f"training, {recipe}: faster than {other}", whole, bound)
            yield Line(
                f"training, {recipe}: faster than {other} to the loss of all", _ratios(runs, other, "ours", "to_loss_s")
            )


def _of_searching(figures: Figures) -> Iterator[Line]:
    runs = figures.get("speed", {})
    for other, bound in SEARCHES.items():
        yield Line(f"64 trials on iris: faster than {other}", _ratios(runs, other, "search", "trial_s"), bound)
    memory = _within(figures.get("memory", ()), "64", "1")
    yield Line("memory of 64 trials on 20 640 rows, of that of one", memory, 2.0, is_ceiling=True)


def _ratios(runs: Figures, name: str, other: str, figure: str = SPEED) -> tuple[float, ...]:
    """Return the ratio of each round; none if one of the two was not measured."""
    if name not in runs or other not in runs:
        return ()
    pairs = zip(runs[name], runs[other], strict=True)
    return tuple(own[figure] / theirs[figure] for own, theirs in pairs if theirs[figure])


def _within(runs: Iterable[Figures], figure: str, other: str) -> tuple[float, ...]:
    return tuple(run[figure] / run[other] for run in runs if run[other])


# -- tables ----------------------------------------------------------------------------------------------------------


def show(figures: Figures) -> None:
    out = Console()
    out.width = max(out.width, NARROWEST)
    machine, how = figures["machine"], figures["how"]
    out.print(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}; load by {how['generator']}")
    if machine["load"] > machine["cores"] / 2:
        out.print(f"the machine was busy before this began, at load {machine['load']}; expect wide ranges")
    for table in tables(figures):
        if table.row_count:
            out.print(table)
    for name, reason in not_compared(figures).items():
        out.print(f"{name}: {reason}", markup=False, highlight=False)


def tables(figures: Figures) -> Iterator[Table]:
    yield _table(
        "Ratios and targets", ("", "median", "least – most", "target", ""), (line.cells for line in targets(figures))
    )
    for workload, runs in figures.get("requests", {}).get("workloads", {}).items():
        yield requests_table(workload, runs)
    for engine, found in figures.get("against", {}).get("engines", {}).items():
        yield against_table(engine, figures["against"]["commit"], found["workloads"])
    for workload, runs in figures.get("grpc", {}).items():
        yield calls_table(workload, runs)
    if installed := peers_of(figures):
        yield peers_table(installed, ours_name(figures["how"]["engines"][0]))
    if uploaded := figures.get("uploads", {}).get("tables"):
        yield uploads_table(uploaded)
    for recipe, runs in figures.get("fitting", {}).items():
        yield fitting_table(recipe, runs)
    if searched := figures.get("searching"):
        yield searching_table(searched["speed"])
    for engine, parts in figures.get("scaling", {}).items():
        for part, points in parts.items():
            columns = [name for name in points[0] if name != "failed"]
            rows = ([f"{point[column]:.4g}" for column in columns] for point in points)
            yield _table(f"{engine}: by {part}", tuple(columns), rows)


def requests_table(workload: str, runs: Figures) -> Table:
    names = sorted(runs, key=lambda name: -_median(runs[name], SPEED))
    return _table(
        workload,
        ("", "requests/s", "least", "most", "p50 ms", "p99 ms"),
        ([name, *_told(runs[name], SPEED, "{:.0f}"), *_medians(runs[name], "p50_ms", "p99_ms")] for name in names),
    )


def calls_table(workload: str, runs: Figures) -> Table:
    return _table(
        workload,
        ("", "calls/s", "least", "most", "p50 ms", "p99 ms", "CPU ms"),
        (
            [name, *_told(found, SPEED, "{:.0f}"), *_medians(found, "p50_ms", "p99_ms", "cpu_ms")]
            for name, found in runs.items()
        ),
    )


def peers_of(figures: Figures) -> dict[str, Figures]:
    """Return {name in the report: {workload: runs}} of the peers that were measured."""
    peers: Figures = figures.get("peers", {})
    return {PEERS[name]: found["workloads"] for name, found in peers.items() if name in PEERS and found["workloads"]}


def peers_table(installed: Mapping[str, Figures], ours: str) -> Table:
    """Return a table of peers, each measured in turn with ours alone: its requests/s, and the ratio of ours to them."""
    names = [workload.name for workload in ANSWERED]
    columns = ("", *(part for workload in ANSWERED for part in (workload.name.removeprefix("json, "), "ours to it")))

    def cells(peer: str, workloads: Figures) -> Iterator[str]:
        yield peer
        for name in names:
            runs = workloads.get(name, {})
            ratios = _ratios(runs, ours, peer)
            yield f"{_median(runs[peer], SPEED):.0f}/s" if ratios else ""
            yield f"{median(ratios):.1f}×" if ratios else ""

    return _table(f"Peers, each in turn with {ours}: requests/s", columns, (cells(*each) for each in installed.items()))


def against_table(engine: str, commit: str, workloads: Figures) -> Table:
    """Return a line for each workload: requests/s, share of the ceiling or the echo, and p99 to p50, of both."""
    columns = ("new/s", "old/s", "new to old", "least – most", "ceiling", "old", "p99/p50", "old")
    new, old = ours_name(engine), at_commit(engine, commit)

    def cells(name: str, runs: Figures) -> Iterator[str]:
        yield name
        yield from (f"{_median(runs[server], SPEED):.0f}" if server in runs else "" for server in (new, old))
        ratios = _ratios(runs, new, old)
        yield f"{median(ratios):.2f}×" if ratios else ""
        yield f"{min(ratios):.2f} – {max(ratios):.2f}" if len(ratios) > 1 else ""
        yield from (_share(_ratios(runs, server, ECHO if ECHO in runs else CEILING)) for server in (new, old))
        yield from (_share(_within(runs.get(server, []), "p99_ms", "p50_ms")) for server in (new, old))

    title = f"{engine}: this checkout (new) to {commit} (old)"
    return _table(title, ("", *columns), (cells(*each) for each in workloads.items()))


def _share(ratios: tuple[float, ...]) -> str:
    return f"{median(ratios):.2f}" if ratios else ""


def uploads_table(tables: Figures) -> Table:
    """Return a line for each table and server."""
    columns = ("", "", "seconds", "least", "most")
    rows = (
        [table, name, *_told(runs, "seconds", "{:.2f}")]
        for table, found in tables.items()
        for name, runs in found.items()
    )
    return _table("Uploads of CSV files", columns, rows)


def fitting_table(recipe: str, runs: Figures) -> Table:
    columns = ("", "seconds", "least", "most", "last loss", "to the loss of all, s")
    rows = (
        [name, *_told(runs[name], "seconds", "{:.2f}"), f"{_median(runs[name], 'loss'):.1e}", *_to_loss(runs[name])]
        for name in runs
    )
    return _table(f"Training, {recipe}, 100 epochs", columns, rows)


def searching_table(runs: Figures) -> Table:
    columns = ("", "trials", "ms a trial", "least", "most")
    milliseconds = {name: [{"ms": run["trial_s"] * 1000} for run in found] for name, found in runs.items()}
    rows = ([name, f"{found[0]['trials']}", *_told(milliseconds[name], "ms", "{:.0f}")] for name, found in runs.items())
    return _table("Search, iris, 50 epochs, rate and seed", columns, rows)


def _to_loss(runs: list[Figures]) -> list[str]:
    return [f"{_median(runs, 'to_loss_s'):.2f}"]


def not_compared(figures: Figures) -> dict[str, str]:
    """Return {name: reason} of what was not compared."""
    peers = figures.get("peers", {})
    absent = dict.fromkeys(peers.get("not_installed", []), "not installed")
    troubles = dict(figures.get("requests", {}).get("not_compared", {}))
    for name, found in [*peers.items(), *figures.get("against", {}).get("engines", {}).items()]:
        if name != "not_installed":
            troubles |= found["not_compared"]
    return {**absent, **troubles, **figures.get("failed", {})}


def _table(title: str, columns: tuple[str, ...], rows: Iterable[Iterable[str]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _median(runs: Iterable[Figures], figure: str) -> float:
    return float(median(run[figure] for run in runs))


def _told(runs: Iterable[Figures], figure: str, form: str) -> list[str]:
    values = [run[figure] for run in runs]
    summaries: tuple[Callable[[Values], float], ...] = (median, min, max)
    return [form.format(summary(values)) for summary in summaries]


def _medians(runs: list[Figures], *figures: str) -> list[str]:
    return [f"{_median(runs, figure):.2f}" for figure in figures]
