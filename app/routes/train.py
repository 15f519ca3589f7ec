"""The routes of trainings: submit, look, listen, cancel."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import ValidationError

from app.answering.registry import Registry
from app.errors import Malformed, Unprocessable
from app.formats.found import kind_of
from app.formats.media_types import CSV, media_type_of
from app.http.keys import require_admin
from app.jobs.job import Job
from app.jobs.jobs import Jobs
from app.jobs.promotion import AskedPromotion
from app.jobs.recipes import check_ambiguity, check_columns, check_formula, check_test_columns, recipe_of_pattern
from app.jobs.trials import as_csv, as_json
from app.routes.bodies import ParsedJson, RawJson
from app.routes.dependencies import DatasetsPart, JobsPart, RegistryPart, StorePart
from app.routes.documented import EVENTS, JOB, TRAIN_BODY, TRIALS, answer
from app.routes.strict import StrictRoute
from models_store.errors import DatasetGone, PatternServerError, UnknownDataset
from models_store.storage.datasets import Datasets
from models_store.storage.store import Store
from models_store.tables.column_facts import ColumnFacts
from models_store.wording import shortened, shortened_name
from training.messages import IfBetter
from training.recipe.base import RecipeError
from training.recipe.data import TableData, WellKnown
from training.recipe.fit import Fit
from training.recipe.promotion import When
from training.recipe.spec import PatternSpec

router = APIRouter(tags=["train"], route_class=StrictRoute)

# The words of recipes and of the command line; and what says the same as two of them.
WHEN: dict[bool | str, When] = {True: "always", False: "never", **{word: word for word in get_args(When)}}
LONGEST_WAIT_SECONDS = 60.0
LONGEST_KEY = 255
# While nothing happens, each pause between two looks for events is this much longer than the one before.
PAUSE_GROWTH = 1.5
WAIT = re.compile(r"\bwait=([0-9]{1,5})\b")
LAST_EVENTS = frozenset({"published", "failed", "cancelled", "interrupted"})
# Checked by the route, whose message says the way out; this is how the OpenAPI document has it.
LAST_EVENT_ID = Header(json_schema_extra={"pattern": "^[0-9]{1,9}$"})
CHANGES = frozenset(PatternSpec.model_fields) - {"name", "author", "improves"}


@router.post("/train", openapi_extra=TRAIN_BODY, dependencies=[Depends(require_admin)], status_code=202)
async def train(
    body: RawJson,
    asked: ParsedJson,
    jobs: JobsPart,
    registry: RegistryPart,
    store: StorePart,
    datasets: DatasetsPart,
    idempotency_key: Annotated[str | None, Header(max_length=LONGEST_KEY)] = None,
    prefer: Annotated[str, Header()] = "",
) -> Response:
    """Queue a training: 202 with its address; with `Prefer: wait=30`, 200 if it has ended within 30 s (at most 60)."""
    jobs.check_trainer()
    spec = await asyncio.to_thread(recipe_of, asked, store)
    await asyncio.to_thread(check_dataset, spec, datasets)
    job = await jobs.submit(spec, promote=promotion_of(asked).promote(spec), key=idempotency_key or None, body=body)
    wait = WAIT.search(prefer)
    if wait is not None:
        job = await _ended(jobs, job, min(float(wait[1]), LONGEST_WAIT_SECONDS))
    return await _job_answer(job, registry, 200 if job.has_ended else 202, location=True)


@router.get("/train")
async def trainings(jobs: JobsPart) -> dict[str, list[dict[str, Any]]]:
    """List the last hundred trainings, newest first."""
    return {"jobs": [job.to_json() for job in await jobs.recent()]}


@router.get("/train/{job}", openapi_extra=answer(JOB, "The job"))
async def training(job: str, jobs: JobsPart, registry: RegistryPart) -> Response:
    return await _job_answer(await jobs.get(job), registry, 200)


async def _listening(jobs: JobsPart) -> AsyncIterator[None]:
    """Count a listener from before anything is looked up for it until its stream has ended. Raises Overloaded."""
    with jobs.listening():
        yield


@router.get(
    "/train/{job}/events",
    openapi_extra=answer(EVENTS, "Its events, as they happen"),
    response_class=StreamingResponse,
    dependencies=[Depends(_listening)],
)
async def events(
    job: str, jobs: JobsPart, registry: RegistryPart, last_event_id: Annotated[str, LAST_EVENT_ID] = "0"
) -> Response:
    """Server-sent events: queued, started, every epoch, evaluated, and how it ended. Resumes after `Last-Event-ID`."""
    await jobs.get(job)
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10):
        raise Unprocessable(
            "bad_parameter", "Last-Event-ID must be the number of an event: one to nine digits; 0 or no header for all"
        )
    stream = _event_stream(job, int(last_event_id), jobs, registry)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"cache-control": "no-store"})


@router.get("/train/{job}/trials", openapi_extra=answer(TRIALS, "The trials that have ended"))
async def trials(
    job: str,
    jobs: JobsPart,
    accept: Annotated[str, Header()] = "",
    written: Annotated[Literal["json", "csv"] | None, Query(alias="format")] = None,
) -> Response:
    """List the trials of a search, with the recipe of each; `format=csv`, or `Accept: text/csv`, for a table."""
    found = await jobs.trials(job)
    if written == "csv" or (written is None and media_type_of(accept) == CSV):
        return Response(as_csv(found), media_type=CSV)
    return JSONResponse(as_json(await jobs.get(job), found))


@router.delete("/train/{job}", openapi_extra=answer(JOB, "The job"), dependencies=[Depends(require_admin)])
async def cancel(
    job: str, jobs: JobsPart, registry: RegistryPart, publish: Annotated[Literal["best"] | None, Query()] = None
) -> Response:
    """End a queued training at once, a running one within seconds; 409 if it has ended.

    With `publish=best`, a search that runs goes on to train the recipe of its best trial so far, and publishes it.
    """
    return await _job_answer(await (jobs.finish if publish else jobs.cancel)(job), registry, 200)


def recipe_of(asked: Any, store: Store) -> PatternSpec:
    """Return the recipe that a body asks for: a whole one, or a pattern's own with changes.

    Raises Malformed, UnknownPattern, BundleUnreadable, and RecipeError, which names the field.
    """
    if not isinstance(asked, dict):
        raise Malformed(f"the body must be a JSON object, found {kind_of(asked)}")
    changes = {name: value for name, value in asked.items() if name in CHANGES}
    unknown = asked.keys() - changes.keys() - {"pattern", "spec", "promote", "tolerance"}
    if unknown & Fit.model_fields.keys():
        raise RecipeError('how to fit stands together under "fit", as in {"fit": {"epochs": 300}}')
    if unknown:
        raise RecipeError(
            f"unknown field {shortened(map(shortened_name, sorted(unknown)))}; a body has pattern or spec, promote, "
            f"tolerance, and {', '.join(sorted(CHANGES))}"
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
    """Raise DatasetGone or RecipeError, before the training is queued, where the recipe does not fit its table."""
    if not isinstance(spec.data, TableData):
        return
    if spec.data.test is not None and (tested := _columns(spec.data.test, datasets)) is not None:
        check_test_columns(spec.data, tested)
    columns = _columns(spec.data.dataset, datasets)
    if columns is None:
        return
    check_columns(spec, spec.data, columns)
    check_formula(spec, spec.data, columns)
    if not spec.data.missing and spec.data.dates == "auto":  # else only reading the whole table can tell
        check_ambiguity(spec.data, columns)


def _columns(dataset: str, datasets: Datasets) -> Sequence[ColumnFacts] | None:
    """Return the columns of a table; None of a well-known one, which only the trainer reads. Raises DatasetGone."""
    if dataset in get_args(WellKnown):
        return None
    try:
        return datasets.get(dataset).columns
    except UnknownDataset:
        raise DatasetGone from None


def promotion_of(asked: dict[str, Any]) -> AskedPromotion:
    """Return what a body says of the promotion of the new version. Raises RecipeError."""
    promote = asked.get("promote", True)
    if not isinstance(promote, bool | str) or promote not in WHEN:
        words = ", ".join(f'"{word}"' for word in get_args(When))
        found = "another text" if isinstance(promote, str) else kind_of(promote)
        raise RecipeError(f"promote: must be {words}, true (always) or false (never), found {found}")
    when = WHEN[promote] if "promote" in asked else None
    return AskedPromotion(when, _tolerance_of(asked["tolerance"]) if "tolerance" in asked else None)


def _tolerance_of(value: object) -> float:
    try:
        return IfBetter.model_validate({"tolerance": value}).tolerance
    except ValidationError:
        raise RecipeError(
            f"tolerance: must be a number from 0 to 1, a share of the champion's error, found {kind_of(value)}"
        ) from None


async def _ended(jobs: Jobs, job: Job, seconds: float) -> Job:
    """Return the job when it has ended, after `seconds`, or when the server drains, whichever comes first."""
    deadline = time.monotonic() + seconds
    # The job is accepted: a database that fails now must not make the client submit it again.
    with contextlib.suppress(PatternServerError):
        while not job.has_ended and time.monotonic() < deadline and not jobs.is_draining:
            await asyncio.sleep(jobs.patience.listener_poll_seconds)
            job = await jobs.get(job.id)
    return job


async def _job_answer(job: Job, registry: Registry, status: int, *, location: bool = False) -> Response:
    """Answer with the job; what it has published is loaded before a client is told of it.

    Otherwise a client that reads "succeeded", and predicts at once, would be answered by the version before: this
    process looks at the store only now and then. Other worker processes follow at their next look.
    """
    if job.status == "succeeded":
        await registry.follow(job.pattern, job.row["version"])
    headers = {"location": f"/train/{job.id}"} if location else {}
    return JSONResponse(job.to_json(), status, headers)


async def _event_stream(job: str, number: int, jobs: Jobs, registry: Registry) -> AsyncIterator[str]:
    """Yield the events after `number` as server-sent events, until the last of the job or until the server drains."""
    patience = jobs.patience
    quiet_since = time.monotonic()
    pause = patience.listener_poll_seconds
    while not jobs.is_draining:
        happened = await jobs.events_after(job, number)
        for event in happened:
            if event.kind == "published":
                await registry.follow((await jobs.get(job)).pattern, event.data["version"])
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"
            number, quiet_since, pause = event.number, time.monotonic(), patience.listener_poll_seconds
            if event.kind in LAST_EVENTS:
                return
        if not happened:
            if (await jobs.get(job)).has_ended and not await jobs.events_after(job, number):
                return
            if time.monotonic() - quiet_since > patience.keep_alive_seconds:
                yield ": still here\n\n"
                quiet_since = time.monotonic()
            await asyncio.sleep(pause)
            pause = min(pause * PAUSE_GROWTH, patience.longest_listener_poll_seconds)
