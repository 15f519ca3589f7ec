"""How often a column is called drifted that has not moved, and one that has: part of `python -m benchmarks.honesty`.

    training rows -> Profile;  windows of other rows -> counts -> psi, threshold -> figures -> docs/honesty.md

`python -m benchmarks.drift --cost` measures what counting costs a server, beside the same server without it; `--cost
shadow` what a shadow costs that answers a tenth of the questions; `--cost remembering` what it costs to remember
answers by request id; and `--cost nothing` how far two servers differ that do the same. `--cost shadow-cpu` and `--cost
remembering-cpu` measure two of these as time on a core, in this process, which tells something on a busy machine too.
`chrt -r 1 python -m benchmarks.drift …` runs servers and load before all else on the machine.
"""

import argparse
import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from app.answering.shadow import SHADOW, Shadows
from app.drift.divergence import ENOUGH_ROWS
from app.drift.report import columns_of
from app.drift.watch import Watch, Window
from app.settings import Settings
from app.telemetry.answer_log import AnswerLog
from app.telemetry.likeness import Likenesses
from app.telemetry.tally import Tallies
from benchmarks.bodies import CROWD, ONE, Workload
from benchmarks.contenders import available_engines, ours, train
from benchmarks.network import PATTERN
from benchmarks.servers import Contender, running
from benchmarks.turns import in_turns
from models_store.arrays import Array
from models_store.encoding.categories import CategoryEncoder
from models_store.encoding.columns import ColumnEncoder
from models_store.encoding.numbers import NumberEncoder
from models_store.encoding.outputs import OutputDecoder
from models_store.encoding.rows import TableEncoder
from models_store.encoding.scaler import Scaler
from models_store.networks.engines import loader
from models_store.profiles.counting import Counting
from models_store.profiles.profile import Profile
from models_store.storage.store import Release, Store
from models_store.tables.table import Table, Values, take

Draw = Callable[[np.random.Generator, int], Array]
WORLDS: Mapping[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "exponential": lambda rng, n: rng.exponential(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(2, size=n),
    "whole numbers": lambda rng, n: rng.poisson(3, size=n).astype(float),
    "mostly 0": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
    "a tenth missing": lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
}
TRAINING, ROWS = (300, 2000, 20_000), (ENOUGH_ROWS, 500, 5000)
WINDOWS = 400
# A window is looked at each time it has grown by a tenth.
LOOKS = sorted({round(ENOUGH_ROWS * 1.1**step) for step in range(49)})
N_COLUMNS, N_SHIFTED = 10, 100


class World:
    """Training rows of a table, and how other rows compare with them."""

    def __init__(self, training: Table) -> None:
        encoders: dict[str, ColumnEncoder] = {
            name: CategoryEncoder.fit(values) if values.dtype == object else NumberEncoder.fit(values)
            for name, values in training.columns.items()
        }
        encoder = TableEncoder(encoders)
        decoder = OutputDecoder(("y",), Scaler.identity(1))
        self._no_answers = np.zeros((0, 1))
        self._profile = Profile.learn(training, self._no_answers, encoder, decoder)
        self._counting: Counting = self._profile.counting(encoder, decoder)

    def drifted(self, rows: Table) -> list[str]:
        """Return the names of the columns that are called drifted."""
        counts = self._counting.count(rows, self._no_answers).astype(np.float64)
        columns = columns_of(self._profile, Window(0, len(rows), len(rows), counts))[: len(self._profile.inputs)]
        return [
            column.histogram.name
            for column in columns
            if column.psi is not None and column.threshold is not None and column.psi > column.threshold
        ]


def report(tables: Sequence[Path] = ()) -> None:
    """Print all figures."""
    for name, draw in WORLDS.items():
        shares = [false_alarms(draw, n_training, n_rows) for n_training in TRAINING for n_rows in ROWS]
        print(f"drift, {name}: {max(shares):.2%} false alarms at most, of {WINDOWS} windows each", flush=True)
    for n_training in TRAINING:
        print(f"drift, a window that fills, {n_training} training rows: {ever_called(n_training):.2%} ever called")
    for path in tables:
        print(f"drift, {path.name}, halves of the rows at random: {false_alarms_of_table(path):.2%} of columns called")
    named, others = shifted()
    print(f"drift, half a deviation in one of {N_COLUMNS}, 500 rows: named {named:.0%}, another {others:.2%}")
    print(f"drift, half of the rows missing: {half_missing()}; constants that move: {constants()}", flush=True)


def false_alarms(draw: Draw, n_training: int, n_rows: int) -> float:
    """Return the share of windows of the same world that are called drifted."""
    rng = np.random.default_rng(n_training + n_rows)
    called = 0
    for _ in range(WINDOWS // 20):
        world = World(_table(draw(rng, n_training)))
        called += sum(bool(world.drifted(_table(draw(rng, n_rows)))) for _ in range(20))
    return called / WINDOWS


def ever_called(n_training: int) -> float:
    """Return the share of windows of the same world that are called at one of LOOKS, while they fill."""
    rng = np.random.default_rng(n_training)
    called = 0
    for _ in range(WINDOWS):
        world, rows = World(_table(rng.normal(size=n_training))), rng.normal(size=LOOKS[-1])
        called += any(world.drifted(_table(rows[:n_rows])) for n_rows in LOOKS)
    return called / WINDOWS


def false_alarms_of_table(path: Path) -> float:
    """Return the share of columns called where one half of a table is training, and parts of the other are asked."""
    frame = pl.read_csv(path, infer_schema_length=None, null_values=["NA", "", "?"])
    table = Table({name: _values(frame[name]) for name in frame.columns})
    rng = np.random.default_rng(0)
    called = looked = 0
    for _ in range(20):
        order = rng.permutation(len(table))
        world, asked = World(table.take(order[: len(order) // 2])), table.take(order[len(order) // 2 :])
        called += len(world.drifted(asked))
        looked += len(table.columns)
    return called / looked


def shifted() -> tuple[float, float]:
    """Return the share of windows of 500 rows in which the shifted column is named, and in which another one is."""
    rng = np.random.default_rng(0)
    named = others = 0
    for _ in range(N_SHIFTED):
        world = World(_tables(rng.normal(size=(2000, N_COLUMNS))))
        rows = rng.normal(size=(500, N_COLUMNS))
        rows[:, 6] += 0.5
        found = world.drifted(_tables(rows))
        named += "x6" in found
        others += bool({*found} - {"x6"})
    return named / N_SHIFTED, others / N_SHIFTED


def half_missing() -> str:
    rng = np.random.default_rng(0)
    world = World(_table(np.where(rng.random(1000) < 0.1, np.nan, rng.normal(size=1000))))
    rows = np.where(rng.random(ENOUGH_ROWS) < 0.5, np.nan, rng.normal(size=ENOUGH_ROWS))
    return "drift" if world.drifted(_table(rows)) else "none"


def constants() -> str:
    world = World(_table(np.full(1000, 50.0)))
    moves = {move: bool(world.drifted(_table(np.full(1000, 50.0 * (1 + move))))) for move in (0.001, 0.02)}
    return ", ".join(f"by {move:.1%} {'drift' if called else 'none'}" for move, called in moves.items())


def _table(values: Values) -> Table:
    return Table({"x": values})


def _tables(rows: Array) -> Table:
    return Table({f"x{place}": column for place, column in enumerate(rows.T)})


def _values(series: pl.Series) -> Values:
    if series.dtype.is_numeric():
        numbers: Array = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return numbers
    cells = np.empty(len(series), dtype=object)
    cells[:] = series.cast(pl.String).to_list()
    return cells


# -- cost ------------------------------------------------------------------------------------------------------------


Costly = Literal["counting", "remembering", "shadow", "nothing"]
REMEMBERED = 100_000
# The settings of a server with it, and of one without. A shadow is a label in the store of the first.
SETTINGS: Mapping[Costly, tuple[dict[str, Any], dict[str, Any]]] = {
    "counting": ({"drift": True}, {"drift": False}),
    "remembering": ({"remembered_requests": REMEMBERED}, {"remembered_requests": 0}),
    "shadow": ({}, {}),
    "nothing": ({}, {}),
}
# How often each of two servers is asked, and for how many seconds: a shadow answers 0.2 s later what is copied to it.
TURNS, TURNS_OF_SHADOW = (100, 0.1), (10, 1.0)


def cost(what: Costly, rounds: int) -> None:
    """Print requests a second of a server with it, as a share of those of one without it: medians and quartiles.

    No two processes of the same code are equally fast, so both servers start anew for each round, which gives one
    ratio, the median of those of its turns.
    """
    with tempfile.TemporaryDirectory(prefix="benchmark-drift-") as folder:
        stores = Path(folder, "with"), Path(folder, "without")
        for _ in range(2):
            train(stores[0], [PATTERN])
        shutil.copytree(*stores)
        if what == "shadow":
            Store(stores[0], loader("onnx", "cpu")).set_alias(PATTERN, SHADOW, 1)
        for engine in available_engines():
            both = [ours(store, engine, **settings) for store, settings in zip(stores, SETTINGS[what], strict=True)]
            for workload in (ONE, CROWD):
                turns = TURNS_OF_SHADOW if what == "shadow" else TURNS
                ratios = [_ratios(both, workload, turns, is_second_first=place % 2 == 1) for place in range(rounds)]
                requests, times = (_quartiles(each) for each in zip(*ratios, strict=True))
                print(
                    f"{engine}, {workload.name}: requests/s {requests}, main thread for each request {times} × without",
                    flush=True,
                )


def _ratios(
    both: Sequence[Contender], workload: Workload, turns: tuple[int, float], *, is_second_first: bool
) -> tuple[float, float]:
    """Return the first server's requests a second by the second's, and its main thread's time for each request.

    Which of the two starts first changes the ratio by up to 4 %.
    """
    in_order = both[::-1] if is_second_first else both
    with contextlib.ExitStack() as stack:
        found = in_turns([stack.enter_context(running(one)) for one in in_order], workload, *turns)
    with_it, without = found[::-1] if is_second_first else found
    pairs = list(zip(with_it, without, strict=True))
    return (
        median(one.requests_per_s / other.requests_per_s for one, other in pairs),
        median(one.main_thread_us / other.main_thread_us for one, other in pairs),
    )


def _quartiles(ratios: Sequence[float]) -> str:
    lower, middle, upper = np.quantile(ratios, (0.25, 0.5, 0.75))
    return f"{middle:.3f} ({lower:.3f} to {upper:.3f})"


QUESTIONS, TOGETHER, PAUSE_SECONDS = 100_000, 27, 0.001
# By then, what was copied is compared.
SETTLED_SECONDS = 0.5


def cpu_of_a_shadow(share: float = 0.1) -> None:
    """Print how long a question with a shadow keeps the event loop beyond one without, and what the thread takes."""
    with tempfile.TemporaryDirectory(prefix="benchmark-drift-") as folder:
        store = Path(folder, "store")
        train(store, [PATTERN])
        champion = Store(store, loader("onnx", "cpu")).load(PATTERN, 1)
    found = [asyncio.run(_asked(champion, has_shadow, share)) for has_shadow in (False, True) * 5]
    (without, _), (on_loop, beside) = (
        [median(column) for column in zip(*each, strict=True)] for each in (found[::2], found[1::2])
    )
    loops = [loop - without for loop, _ in found[1::2]]
    print(
        f"shadow, {share:.0%} of the questions: {on_loop - without:.2f} µs more of the event loop for each "
        f"({min(loops):.2f} to {max(loops):.2f}), and {beside:.2%} of a core"
    )


async def _asked(champion: Release, has_shadow: bool, share: float) -> tuple[float, float]:
    """Return the microseconds of each question on the event loop, and the share of a core that other threads take.

    The questions are answered already, and come at 27 000 a second at most.
    """
    shadows = Shadows(share, Likenesses())
    shadows.follow(PATTERN, champion, Release(2, champion.bundle) if has_shadow else None)
    live, rows = shadows.live(PATTERN), take(champion.bundle.golden_inputs, slice(1))
    answers = champion.bundle.predict(rows)
    began, process_began, loop_began = time.perf_counter(), time.process_time(), time.thread_time()
    for _ in range(QUESTIONS // TOGETHER):
        live.note(champion, [rows] * TOGETHER, [answers] * TOGETHER)
        await asyncio.sleep(PAUSE_SECONDS)
    await asyncio.sleep(SETTLED_SECONDS)
    on_loop = time.thread_time() - loop_began
    beside = (time.process_time() - process_began - on_loop) / (time.perf_counter() - began)
    shadows.close()
    return on_loop / QUESTIONS * 1e6, beside


def cpu_of_remembering() -> None:
    """Print how long a question keeps the event loop where its answer is remembered, and what threads take."""
    with tempfile.TemporaryDirectory(prefix="benchmark-drift-") as folder:
        root = Path(folder, "store")
        train(root, [PATTERN])
        store = Store(root, loader("onnx", "cpu"))
        found = [asyncio.run(_remembered(store, is_on=is_on)) for is_on in (False, True) * 5]
    without, with_it = ([median(column) for column in zip(*each, strict=True)] for each in (found[::2], found[1::2]))
    loops, threads = ([one[place] - without[place] for one in found[1::2]] for place in (0, 1))
    print(
        f"remembering: {with_it[0] - without[0]:.2f} µs more of the event loop for each question ({min(loops):.2f} to "
        f"{max(loops):.2f}), and {with_it[1] - without[1]:.2%} of a core ({min(threads):.2%} to {max(threads):.2%})"
    )


async def _remembered(store: Store, *, is_on: bool) -> tuple[float, float]:
    """Return the microseconds of each question on the event loop, and the share of a core that other threads take.

    The questions are answered already, and come at 27 000 a second at most.
    """
    settings = Settings(_env_file=None, store=store.root, remembered_requests=REMEMBERED)
    answer_log = AnswerLog()
    watch = Watch(Tallies(are_on=False), Likenesses(), answer_log, store, settings)
    bundle = store.load(PATTERN, 1).bundle
    answers = bundle.predict(take(bundle.golden_inputs, slice(1)))
    saving = asyncio.create_task(watch.keep())
    began, process_began, loop_began = time.perf_counter(), time.process_time(), time.thread_time()
    for number in range(QUESTIONS):
        if is_on:
            answer_log.note(f"{number:032x}", bundle, 1, answers)
        if number % TOGETHER == 0:
            await asyncio.sleep(PAUSE_SECONDS)
    on_loop = time.thread_time() - loop_began
    beside = (time.process_time() - process_began - on_loop) / (time.perf_counter() - began)
    saving.cancel()
    await asyncio.gather(saving, return_exceptions=True)
    watch.close()
    return on_loop / QUESTIONS * 1e6, beside


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cost",
        nargs="?",
        const="counting",
        choices=[*get_args(Costly), "shadow-cpu", "remembering-cpu"],
        help="measure a server with and without counting, a shadow, or remembering, instead",
    )
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--tables", nargs="*", type=Path, default=[], metavar="FILE", help="CSV files of yours, too")
    arguments = parser.parse_args()
    if arguments.cost == "shadow-cpu":
        cpu_of_a_shadow()
    elif arguments.cost == "remembering-cpu":
        cpu_of_remembering()
    elif arguments.cost:
        cost(arguments.cost, arguments.rounds)
    else:
        report(arguments.tables)


if __name__ == "__main__":
    main()
