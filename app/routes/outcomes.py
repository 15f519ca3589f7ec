"""Right answers that come later: POST /patterns/{pattern}/outcomes."""

import asyncio
import logging
import time
from typing import Annotated, Any, Literal, NamedTuple

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response

from app.answering.registry import Served
from app.drift.outcomes import RunningError, check_fits, read, read_right, request_named, said_of, sums_of
from app.drift.records import DAY, summed
from app.drift.remembered import Remembered
from app.drift.watch import Watch
from app.errors import Unprocessable
from app.formats.compression import check_plain
from app.http.edge import REQUEST_ID
from app.http.keys import require_admin
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.promotion import BY_RECIPE
from app.jobs.recipes import recipe_of_pattern
from app.routes.dependencies import (
    JobsPart,
    LabelAsked,
    RegistryPart,
    StorePart,
    VersionAsked,
    WatchPart,
    check_one_named,
)
from app.routes.documented import OUTCOMES_BODY
from app.routes.strict import StrictRoute
from models_store.arrays import Array
from models_store.errors import PatternServerError
from models_store.storage.store import Store
from training.recipe.promotion import Promotion

log = logging.getLogger("patterns.drift")

UNLESS_WORSE = Promotion(when="if-better")
NO_SUCH_ID = "request_id: must be a text as answers have it as x-request-id: 1 to 64 letters, digits, and any of . _ -"
router = APIRouter(tags=["patterns"], route_class=StrictRoute)


@router.post(
    "/patterns/{pattern}/outcomes",
    openapi_extra=OUTCOMES_BODY,
    dependencies=[Depends(require_admin)],
)
async def outcomes(
    pattern: str,
    request: Request,
    registry: RegistryPart,
    watch: WatchPart,
    jobs: JobsPart,
    store: StorePart,
    version: VersionAsked = None,
    label: LabelAsked = None,
    request_id: Annotated[
        str | None,
        Query(
            json_schema_extra={"pattern": f"^{REQUEST_ID.pattern}$"},  # checked with those of bodies, in `Told`
            description="x-request-id of the answer that the outcomes belong to; the body has these alone then",
        ),
    ] = None,
    extra: Annotated[
        Literal["refuse", "ignore"], Query(description="what to do with columns that the pattern does not know")
    ] = "refuse",
    retrain: Annotated[bool, Query(description="train again if the error of a day is worse than the card's")] = False,
) -> Response:
    """Add rows whose right answers are known by now to the running error; `GET …/drift` and `/metrics` have it.

    In place of rows, the request that asked about them can be named, if the server remembers what it answered.
    """
    check_one_named(version, label)
    release = await registry.release(pattern, version, label)
    if retrain:
        jobs.check_trainer()
    check_plain(request.headers.get("content-encoding", ""))
    body, content_type = await request.body(), request.headers.get("content-type", "")
    told = Told(body, content_type, watch.max_rows, request_id, ignores_extra=extra == "ignore")
    named = await asyncio.to_thread(told.request_named, release)
    if named is None:
        sums = await asyncio.to_thread(told.sums, release)
        await watch.add_outcomes(pattern, release.version, sums)
    else:
        if version is not None or label is not None:
            raise Unprocessable("bad_parameter", "version, label: the request that is named tells the version")
        remembered = await watch.remembered(pattern, named)
        release = await registry.release(pattern, remembered.version)
        sums = await asyncio.to_thread(told.sums_by, remembered, release)
        await watch.tell(remembered, sums)
    about = {"pattern": pattern, "version": release.version, "added": int(sums[0])}
    came_of_it = await _came_of_it(release, watch, jobs if retrain else None, store)
    return Response(orjson.dumps(about | came_of_it), media_type="application/json")


class Told(NamedTuple):
    """A body of outcomes, and the id of the request that they belong to, if the address has it."""

    body: bytes
    content_type: str
    max_rows: int
    request_id: str | None
    ignores_extra: bool

    def request_named(self, release: Served) -> str | None:
        """Return the id of the request in place of rows, None if there are rows. Raises as `sums` does."""
        of_rows = (release.expected, release.bundle, self.max_rows)
        in_body = self.request_id is None
        said = request_named(self.body, self.content_type, *of_rows) if in_body else self.request_id
        if said is not None and not (isinstance(said, str) and REQUEST_ID.fullmatch(said)):
            raise Unprocessable("bad_parameter", NO_SUCH_ID)
        return said

    def sums(self, release: Served) -> Array:
        """Return how far answers to the rows are off. Raises as `read` does."""
        bundle = release.bundle
        expected = release.expected.ignoring_extra if self.ignores_extra else release.expected
        found = read(self.body, self.content_type, expected, bundle, self.max_rows)
        return sums_of(said_of(bundle.predict(found.rows), bundle), found.right, bundle)

    def sums_by(self, remembered: Remembered, release: Served) -> Array:
        """Return how far remembered answers are off. Raises as `read` does, and for another number of rows."""
        right = read_right(
            self.body,
            self.content_type,
            release.bundle,
            self.max_rows,
            ignores_extra=self.ignores_extra,
            is_named_there=self.request_id is None,
        )
        check_fits(remembered.said, right)
        return sums_of(remembered.said, right, release.bundle)


async def _came_of_it(release: Served, watch: Watch, jobs: Jobs | None, store: Store) -> dict[str, Any]:
    """Return the running error, and the training that it asks for, if `jobs` can be asked for one.

    The rows are added, and must not come again: what goes wrong from here on is said, and not raised.
    """
    error = job = problem = None
    try:
        error = await running_error(release, watch, time.time() - DAY)
        if jobs is not None and error is not None:
            job = await _retrained(error, jobs, store)
    except (PatternServerError, OSError) as found:
        problem = found
        log.warning("outcomes are added, and no more", extra={"pattern": release.bundle.pattern, "reason": str(found)})
    return {
        "outcomes": error and error.to_json(),
        "job": job and job.to_json(),
        "problem": problem and _said(problem),
    }


def _said(problem: PatternServerError | OSError) -> dict[str, str]:
    """Return code and words of what went wrong; those of the system may name paths, and stay in the log."""
    if isinstance(problem, PatternServerError):
        return {"code": problem.code, "message": str(problem)}
    return {"code": "internal_error", "message": "the server has a fault here; its log says more"}


async def _retrained(error: RunningError, jobs: Jobs, store: Store) -> Job | None:
    """Return the training that a worse error asks for, or the one of the pattern that has not ended.

    None if the error is not worse. What it publishes is promoted if it is not worse on the same rows, unless its recipe
    says otherwise.
    """
    if not error.is_worse:
        return None
    spec = await asyncio.to_thread(recipe_of_pattern, store, error.bundle.pattern)
    promote = BY_RECIPE.promote(spec, UNLESS_WORSE)
    # Several processes are told of outcomes at the same moment.
    return await jobs.submit(spec, promote=promote, key=None, body=b"", unless_under_way=True)


async def running_error(release: Served, watch: Watch, since: float) -> RunningError | None:
    """Return how far answers were off since a moment; None if nothing is known of it."""
    kept = await watch.outcomes(since, release.bundle.pattern, release.version)
    return RunningError(release.bundle, summed(kept)) if kept else None
