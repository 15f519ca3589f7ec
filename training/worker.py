"""The trainer process: does one request after another, and tells how each goes. `training.messages` is its protocol.

Started as `python -m app.processes training.worker`. Ends when its input does.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import IO, Generic, TypeVar

import polars as pl

from models_store.bundle import Bundle
from models_store.card import Promotion
from models_store.errors import PatternServerError
from models_store.networks import engines
from models_store.networks.architecture import Device, LoadNetwork
from models_store.networks.keras_network import use_threads
from models_store.storage.checkpoints import Checkpoint, Checkpoints
from models_store.storage.datasets import Datasets
from models_store.storage.store import InPlaceOf, Promoting, Store
from training.cluster import CONNECT_SECONDS, RETURN_SECONDS, Cluster, ClusterLost, connect
from training.data.well_known import NAMES, well_known
from training.fitting.progress import Progress
from training.fitting.together import Task
from training.inbox import Inbox
from training.messages import (
    LOST_CLUSTER,
    Cancelled,
    Compared,
    CrossValidated,
    Evaluated,
    Failed,
    IfBetter,
    Measure,
    MeasureEach,
    Message,
    Publish,
    PublishEach,
    Published,
    Ready,
    ScoreFolds,
    Started,
    to_line,
)
from training.on_nodes import Asked, Files, trained_on
from training.progress_lines import LineProgress
from training.promotion import published_if_better
from training.recipe.base import RecipeError
from training.recipe.spec import PatternSpec
from training.run import fits_once, free_cores, own_cores, score_folds, task_of, train, train_each


def run(stream: IO[str], arguments: Sequence[str]) -> None:
    """Take requests from stdin until it ends, and write events into `stream`.

    The only argument, if there is one, is the address of the Ray cluster that trials, folds, and trainings that are
    asked for together are run on.
    """
    ray = next(iter(arguments), None)

    def tell(event: Message) -> None:
        stream.write(to_line(event))
        stream.flush()

    inbox = Inbox()
    threading.Thread(target=inbox.read, args=(sys.stdin,), daemon=True).start()
    # One core is left to the server, if there are more than the two of both fits: each runs in one of these threads.
    use_threads(min(own_cores(), max(2, free_cores())))
    tell(Ready())
    while (request := inbox.requests.get()) is not None:
        if isinstance(request, PublishEach):
            Trainings(request, inbox, tell, ray).run()
        elif isinstance(request, MeasureEach):
            Measurements(request, inbox, tell, ray).run()
        else:
            Training(request, inbox, tell, ray).run()


class StopRequested(Exception):
    """The training has been cancelled."""


class Telling:
    """A request, whose end is told whatever happens."""

    def __init__(self, request: str, inbox: Inbox, tell: Callable[[Message], None], ray: str | None) -> None:
        self._id = request
        self._inbox = inbox
        self._tell = tell
        self._ray = ray

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except StopRequested:
            self._tell(Cancelled(id=self._id))
        except PatternServerError as error:
            self._fail(error.code, str(error))
        except ClusterLost as error:
            sys.stderr.write(f"the trainer ends: {error}\n")
            # Not in order: Ray would wait for the cluster.
            os._exit(LOST_CLUSTER)
        except MemoryError:
            self._fail("out_of_memory", "the training needs more memory than it may have")
        except Exception as error:  # noqa: BLE001  # a bug must end this job, with its trace in the log, and not the trainer
            sys.excepthook(type(error), error, error.__traceback__)
            self._fail("internal_error", f"the training stopped with {type(error).__name__}; the server's log has more")

    def _cluster(self, patience: float) -> Cluster | None:
        return None if self._ray is None else connect(self._ray, self._stop_if_cancelled, patience)

    def _stop_if_cancelled(self) -> None:
        if self._id in self._inbox.cancelled:
            raise StopRequested

    def _fail(self, code: str, message: str) -> None:
        # A message may name a file whose name is not UTF-8.
        self._tell(Failed(id=self._id, code=code, message=message.encode(errors="replace").decode()))


AnyTraining = TypeVar("AnyTraining", bound=Publish | Measure | ScoreFolds)


class Training(Telling, Generic[AnyTraining]):
    """One request, from its recipe to its last event."""

    def __init__(
        self,
        request: AnyTraining,
        inbox: Inbox,
        tell: Callable[[Message], None],
        ray: str | None = None,
    ) -> None:
        super().__init__(request.id, inbox, tell, ray)
        self._request = request

    def run(self) -> None:
        self._do(self._work)

    def _work(self) -> None:
        spec = PatternSpec.parse(self._request.recipe)
        if isinstance(self._request, Publish):
            self._publish(spec, self._request)
            return
        self._tell(Started(id=self._id, epochs=spec.fit.most_epochs))
        match self._request:
            case Measure(device=device):
                bundle = self._train(spec, device, self._progress())
                self._tell(Evaluated(id=self._id, card=bundle.card))
            case ScoreFolds(device=device):
                result = score_folds(
                    spec,
                    read_table=self._read_table,
                    device=device,
                    progress=self._progress(),
                    cluster=self._cluster(CONNECT_SECONDS),
                )
                self._tell(CrossValidated(id=self._id, result=result))

    def _publish(self, spec: PatternSpec, request: Publish) -> None:
        waiting = self._waiting(spec.name, request)
        if waiting is None:
            self._tell(Started(id=self._id, epochs=spec.fit.most_epochs))
        # The engine that will serve verifies the version; a missing one is reported before anything is trained.
        load = engines.loader(request.engine, request.device)
        if waiting is not None:
            self._publish_bundle(waiting, request, load)
            return
        checkpoints = Checkpoints(request.root)
        progress = self._progress(partial(checkpoints.write, self._id))
        try:
            bundle = self._bundle(spec, request, progress)
            self._tell(Evaluated(id=self._id, card=bundle.card))
            self._publish_bundle(bundle, request, load)
        finally:
            # Only a process that is killed leaves its checkpoint.
            checkpoints.remove(self._id)

    def _waiting(self, pattern: str, request: Publish) -> Bundle | None:
        """Return what this training has left in its outbox; None where it is yet to be trained."""
        if request.outbox is None or not request.outbox.is_dir():
            return None
        outbox = Store(request.outbox, engines.loader("keras", request.device))
        version = outbox.version_of(pattern, self._id)
        return None if version is None else outbox.load(pattern, version).bundle

    def _publish_bundle(self, bundle: Bundle, request: Publish, load: LoadNetwork) -> None:
        def publish(decided: Promotion) -> int:
            self._tell(Compared(id=self._id, promotion=decided))
            # What goes into an outbox is promoted where it arrives, on the same condition.
            is_here = request.outbox is None
            promote = InPlaceOf(decided.champion) if decided.promoted and is_here else decided.promoted
            card = bundle.card.model_copy(update={"promotion": decided})
            return self._published(replace(bundle, card=card), request, load, promote=promote)

        if isinstance(request.promote, IfBetter):
            store, tolerance = Store(request.root, load), request.promote.tolerance
            version = published_if_better(bundle, store, self._read_table, tolerance, publish, request.comparisons)
        else:
            version = self._published(bundle, request, load, promote=request.promote)
        self._tell(Published(id=self._id, version=version))

    def _published(self, bundle: Bundle, request: Publish, load: LoadNetwork, *, promote: Promoting) -> int:
        self._stop_if_cancelled()
        store = Store(request.outbox or request.root, load, keep=request.keep)
        if request.outbox is not None and store.version_of(bundle.pattern, self._id) is not None:
            # With another decision on its card. If the power fails now, it is trained again.
            store.delete_pattern(bundle.pattern)
        return store.publish(bundle, promote=promote)

    def _bundle(self, spec: PatternSpec, request: Publish, progress: LineProgress) -> Bundle:
        if spec.search is None:
            return self._train(spec, request.device, progress, job=self._id)
        from training.search import elsewhere  # deferred: Optuna, which other trainings do not need
        from training.search.search import Listener, search  # deferred: as above
        from training.search.side_by_side import side_by_side  # deferred: as above

        listener = Listener(
            progress, progress.trial, progress.trial_epochs, finishing=lambda: self._inbox.finishing.get(self._id)
        )
        # The head of a cluster that was lost may be about to come back.
        cluster = self._cluster(RETURN_SECONDS if request.trials else CONNECT_SECONDS)
        return search(
            spec,
            read_table=self._read_table,
            device=request.device,
            listener=listener,
            job=self._id,
            known=request.trials,
            make_run=side_by_side if cluster is None else elsewhere.on(cluster),
        )

    def _train(self, spec: PatternSpec, device: Device, progress: LineProgress, job: str | None = None) -> Bundle:
        cluster = None if spec.cross_validate is None else self._cluster(CONNECT_SECONDS)
        return train(spec, read_table=self._read_table, device=device, progress=progress, job=job, cluster=cluster)

    def _progress(self, keep: Callable[[Checkpoint], None] = lambda _: None) -> LineProgress:
        return LineProgress(self._id, self._tell, self._stop_if_cancelled, keep)

    def _read_table(self, dataset: str) -> pl.DataFrame:
        return well_known(dataset) if dataset in NAMES else Datasets(self._request.root).frame(dataset)


class AtNode(Training[Publish]):
    """One of several trainings that are done on the cluster: it says what is to be done, and publishes the result."""

    def asked(self) -> Asked | None:
        """Return what the node is to be asked for; None, once that is told, where there is nothing to train."""
        found: list[Asked] = []
        self._do(lambda: found.append(self._asked()))
        return next(iter(found), None)

    def publish(self, files: Files | PatternServerError) -> None:
        self._do(lambda: self._publish_files(files))

    def _asked(self) -> Asked:
        request = self._request
        spec = PatternSpec.parse(request.recipe)
        engines.loader(request.engine, request.device)  # a missing one is reported before anything is trained
        self._tell(Started(id=self._id, epochs=spec.fit.most_epochs))
        return Asked.of(spec, self._read_table, request.device, self._id)

    def _publish_files(self, files: Files | PatternServerError) -> None:
        if isinstance(files, PatternServerError):
            raise files
        request = self._request
        bundle = Bundle.from_files(files, engines.loader("keras", request.device))
        self._tell(Evaluated(id=self._id, card=bundle.card))
        self._publish_bundle(bundle, request, engines.loader(request.engine, request.device))


class Trainings(Telling):
    """Several requests: side by side on the cluster, or one after another where there is none."""

    def __init__(
        self, request: PublishEach, inbox: Inbox, tell: Callable[[Message], None], ray: str | None = None
    ) -> None:
        super().__init__(request.id, inbox, tell, ray)
        self._request = request

    def run(self) -> None:
        self._do(self._work)

    def _work(self) -> None:
        cluster = self._cluster(RETURN_SECONDS if self._request.is_again else CONNECT_SECONDS)
        if cluster is None:
            for each in self._request.trainings:
                self._stop_if_cancelled()
                Training(each, self._inbox, self._tell).run()
        else:
            self._train_on(cluster)

    def _train_on(self, cluster: Cluster) -> None:
        trainings = [AtNode(each, self._inbox, self._tell) for each in self._request.trainings]
        ready = [(training, asked) for training in trainings if (asked := training.asked()) is not None]
        for place, files in trained_on(cluster, [asked for _, asked in ready], self._stop_if_cancelled):
            ready[place][0].publish(files)


class BesideOthers(Training[Measure]):
    """One of several trainings that are fitted together: it says what is to be fitted, and tells the result."""

    @property
    def fits_once(self) -> bool:
        """True if it can go on beside others; a bad recipe cannot, and `run` tells why."""
        try:
            return fits_once(PatternSpec.parse(self._request.recipe))
        except RecipeError:
            return False

    def task(self, stop: Callable[[], None]) -> Task | None:
        """Return what is to be fitted, which `stop` may end; None, once that is told, where there is nothing."""
        found: list[Task] = []
        self._do(lambda: found.append(self._task(stop)))
        return next(iter(found), None)

    def end(self, found: Bundle | PatternServerError) -> None:
        self._do(lambda: self._tell_card(found))

    def _task(self, stop: Callable[[], None]) -> Task:
        spec = PatternSpec.parse(self._request.recipe)
        self._tell(Started(id=self._id, epochs=spec.fit.most_epochs))
        return task_of(spec, self._read_table, LineProgress(self._id, self._tell, stop, lambda _: None))

    def _tell_card(self, found: Bundle | PatternServerError) -> None:
        if isinstance(found, PatternServerError):
            raise found
        self._tell(Evaluated(id=self._id, card=found.card))


class Stopping(Progress):
    """Progress of several trainings, each of which tells its own; it only looks whether all are to end."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def pulse(self) -> None:
        self._stop()


class Measurements(Telling):
    """Several requests that publish nothing: side by side where each takes one fit, or one after another."""

    def __init__(
        self, request: MeasureEach, inbox: Inbox, tell: Callable[[Message], None], ray: str | None = None
    ) -> None:
        super().__init__(request.id, inbox, tell, ray)
        self._trainings = [BesideOthers(each, inbox, tell, ray) for each in request.trainings]
        self._device = request.trainings[0].device

    def run(self) -> None:
        self._do(self._work)

    def _work(self) -> None:
        together = [training for training in self._trainings if training.fits_once]
        self._side_by_side(together)
        for training in self._trainings:
            if training not in together:
                self._stop_if_cancelled()
                training.run()

    def _side_by_side(self, trainings: Sequence[BesideOthers]) -> None:
        begun: list[BesideOthers] = []

        def tasks() -> Iterator[Task]:
            for training in trainings:
                if (task := training.task(self._stop_if_cancelled)) is not None:
                    begun.append(training)
                    yield task

        found = train_each(tasks(), device=self._device, progress=Stopping(self._stop_if_cancelled))
        for place, bundle in enumerate(found):
            begun[place].end(bundle)
