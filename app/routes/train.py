"""POST /train and what becomes of it: poll, listen, cancel."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Header, Response
from fastapi.responses import JSONResponse, StreamingResponse

from app.answering.registry import Served
from app.errors import Malformed, Overloaded, Unprocessable
from app.http.keys import require_admin
from app.jobs.job import TERMINAL, Job
from app.jobs.jobs import Jobs
from app.jobs.recipes import check_columns, check_doubts, recipe_of_pattern
from app.openapi import TRAIN_BODY
from app.routes.bodies import ParsedJson, RawJson
from app.routes.dependencies import DatasetsPart, JobsPart, ServedPart, StorePart
from models_store.errors import DatasetGone, PatternServerError, UnknownDataset
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store
from training.recipe.base import RecipeError
from training.recipe.data import TableData, WellKnown
from training.recipe.fit import Fit
from training.recipe.spec import PatternSpec

router = APIRouter(tags=["train"])

POLL_SECONDS = 0.1
LONGEST_WAIT = 60.0
LONGEST_PAUSE = 1.0
MOST_LISTENERS = 200
KEEP_ALIVE_SECONDS = 10.0
LONGEST_KEY = 255
WAIT = re.compile(r"\bwait=([0-9]{1,5})\b")
LAST_EVENTS = frozenset({"published", "failed", "cancelled", "interrupted"})
CHANGES = frozenset({"data", "split", "scaling", "network", "fit", "seed", "description", "cross_validate"})


@router.post("/train", openapi_extra=TRAIN_BODY, dependencies=[Depends(require_admin)], status_code=202)
async def train(
    body: RawJson,
    asked: ParsedJson,
    jobs: JobsPart,
    served: ServedPart,
    store: StorePart,
    datasets: DatasetsPart,
    idempotency_key: Annotated[str | None, Header(max_length=LONGEST_KEY)] = None,
    prefer: Annotated[str, Header()] = "",
) -> Response:
    """Queue a training. 202 with its address, or with `Prefer: wait=30` 200 when it has ended by then."""
    spec = await asyncio.to_thread(recipe_of, asked, store)
    await asyncio.to_thread(check_dataset, spec, datasets)
    job = await jobs.submit(spec, promote=_flag(asked, "promote", default=True), key=idempotency_key or None, body=body)
    wait = WAIT.search(prefer)
    if wait is not None:
        job = await _ended(jobs, job, min(float(wait[1]), LONGEST_WAIT))
    return await _job_answer(job, served, 200 if job.has_ended else 202, location=True)


@router.get("/train")
async def trainings(jobs: JobsPart) -> dict[str, list[dict[str, Any]]]:
    """The last hundred, newest first."""
    return {"jobs": [job.to_json() for job in await jobs.recent()]}


@router.get("/train/{job}")
async def training(job: str, jobs: JobsPart, served: ServedPart) -> Response:
    return await _job_answer(await jobs.get(job), served, 200)


async def _listening(jobs: JobsPart) -> AsyncIterator[None]:
    """A place among those who listen, from before anything is looked up for them until their stream has ended."""
    if jobs.listeners >= MOST_LISTENERS:
        raise Overloaded
    jobs.listeners += 1
    try:
        yield
    finally:
        jobs.listeners -= 1


@router.get("/train/{job}/events", response_class=StreamingResponse, dependencies=[Depends(_listening)])
async def events(
    job: str, jobs: JobsPart, served: ServedPart, last_event_id: Annotated[str, Header()] = "0"
) -> Response:
    """Server-sent events: queued, started, every epoch, evaluated, and how it ended. Resumes after `Last-Event-ID`."""
    await jobs.get(job)
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10):
        raise Unprocessable("bad_parameter", "Last-Event-ID must be the number of an event")
    stream = _blocks(job, int(last_event_id), jobs, served)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


@router.delete("/train/{job}", dependencies=[Depends(require_admin)])
async def cancel(job: str, jobs: JobsPart, served: ServedPart) -> Response:
    """A queued training ends at once, a running one within seconds; 409 if it has ended."""
    return await _job_answer(await jobs.cancel(job), served, 200)


def recipe_of(asked: Any, store: Store) -> PatternSpec:
    """The recipe that a body asks for: a whole one, or a pattern's own with changes. RecipeError names the field."""
    if not isinstance(asked, dict):
        raise Malformed("the body must be a JSON object")
    changes = {name: value for name, value in asked.items() if name in CHANGES}
    unknown = asked.keys() - changes.keys() - {"pattern", "spec", "promote"}
    if unknown & Fit.model_fields.keys():
        raise RecipeError('how to fit stands together: {"fit": {"epochs": 300}}')
    if unknown:
        raise RecipeError(
            f"{len(unknown)} unknown field(s); a body has pattern or spec, promote, and {', '.join(sorted(CHANGES))}"
        )
    if "spec" in asked:
        if "pattern" in asked or changes:
            raise RecipeError("spec: a whole recipe stands alone; give pattern for changes to a recipe")
        return PatternSpec.parse(asked["spec"])
    name = asked.get("pattern")
    if not isinstance(name, str):
        raise RecipeError("pattern: give the name of a pattern, or a whole recipe as spec")
    return recipe_of_pattern(store, name).overridden(changes)


def check_dataset(spec: PatternSpec, datasets: Datasets) -> None:
    """Said before the training is queued, and not when it begins. UnknownDataset, RecipeError."""
    if not isinstance(spec.data, TableData) or spec.data.dataset in get_args(WellKnown):
        return
    try:
        columns = datasets.get(spec.data.dataset).columns
    except UnknownDataset:
        raise DatasetGone from None
    check_columns(spec.data, columns)
    if not spec.data.missing and spec.data.dates == "auto":  # else it takes the table to know
        check_doubts(spec.data, columns)


def _flag(asked: dict[str, Any], name: str, *, default: bool) -> bool:
    value = asked.get(name, default)
    if not isinstance(value, bool):
        raise RecipeError(f"{name}: must be true or false")
    return value


async def _ended(jobs: Jobs, job: Job, seconds: float) -> Job:
    """The job when it has ended, or as it is after `seconds`, or when the server is told to stop."""
    deadline = time.monotonic() + seconds
    # It is accepted: where nobody can say how it goes on, the answer says where to ask, and not to ask for another.
    with contextlib.suppress(PatternServerError):
        while not job.has_ended and time.monotonic() < deadline and not jobs.is_draining:
            await asyncio.sleep(POLL_SECONDS)
            job = await jobs.get(job.id)
    return job


async def _job_answer(job: Job, served: Served, status: int, *, location: bool = False) -> Response:
    if job.status == "succeeded" and not served.holds(job.pattern, job.row["version"]):
        # Whoever reads that a version is published gets answers from it, from now on by this process, and by others
        # as soon as they have looked.
        await served.catch_up()
    headers = {"location": f"/train/{job.id}"} if location else {}
    return JSONResponse(job.to_json(), status, headers)


async def _blocks(job: str, number: int, jobs: Jobs, served: Served) -> AsyncIterator[str]:
    quiet_since = time.monotonic()
    pause = POLL_SECONDS
    while not jobs.is_draining:
        happened = await jobs.events_after(job, number)
        for event in happened:
            if event.kind == "published":
                await served.catch_up()
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"
            number, quiet_since, pause = event.number, time.monotonic(), POLL_SECONDS
            if event.kind in LAST_EVENTS:
                return
        if not happened:
            if (await jobs.get(job)).status in TERMINAL and not await jobs.events_after(job, number):
                return
            if time.monotonic() - quiet_since > KEEP_ALIVE_SECONDS:
                yield ": still here\n\n"
                quiet_since = time.monotonic()
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
