"""/datasets: upload a table, see which kind each of its columns was taken for, delete it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from io import FileIO
from typing import Annotated, Any, TypeVar, get_args

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from app.errors import NotAcceptedType, Unprocessable
from app.formats.compression import check_plain
from app.formats.media_types import media_type_of
from app.http.keys import require_admin
from app.routes.dependencies import DatasetsPart, LibrarianPart, ReaderPart
from app.routes.documented import DATASET_BODY
from app.routes.strict import StrictRoute
from models_store.errors import BucketUnavailable
from models_store.storage.datasets import Datasets, Form, Stored
from models_store.storage.disk import writing
from models_store.tables.csv_dialect import LONGEST_COMMENT, Charset, CsvDialect, Decimal, Delimiter, Header

router = APIRouter(tags=["datasets"], route_class=StrictRoute)

FORMS: dict[str, Form] = {
    "text/csv": "csv",
    **dict.fromkeys(("application/gzip", "application/zstd"), "csv"),
    **dict.fromkeys(("application/x-ndjson", "application/jsonl", "application/jsonlines"), "json-lines"),
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "workbook",
    "application/vnd.oasis.opendocument.spreadsheet": "workbook",
    "text/x-arff": "arff",
    "application/x-spss-sav": "spss",
    "application/x-stata-dta": "stata",
}
Answer = TypeVar("Answer")
# How a CSV file is written, as the OpenAPI document has it; the store checks it. A tab has names, for it is not seen.
DELIMITER = Query(
    description="of CSV; without it, as the first line shows",
    json_schema_extra={"enum": [*get_args(Delimiter), "tab", "\\t", "space", "spaces"]},
)
DECIMAL = Query(description="of numbers in CSV", json_schema_extra={"enum": [*get_args(Decimal)]})
CHARSET = Query(
    description="of CSV, in upper or lower case; without it UTF-8", json_schema_extra={"enum": [*get_args(Charset)]}
)
HEADER = Query(
    description="of CSV: whether the first line holds the names; without it, it must not look like a row",
    json_schema_extra={"enum": [*get_args(Header)]},
)
COMMENT = Query(description="of CSV: the beginning of lines that are no rows", max_length=LONGEST_COMMENT)
LONGEST_NAME = 100
BYTES_A_WRITE = 1 << 20


@router.post("/datasets", openapi_extra=DATASET_BODY, dependencies=[Depends(require_admin)], status_code=201)
async def upload(
    request: Request,
    datasets: DatasetsPart,
    reader: ReaderPart,
    librarian: LibrarianPart,
    name: Annotated[str, Query(max_length=LONGEST_NAME, description="printable characters, for people")] = "",
    delimiter: Annotated[str | None, DELIMITER] = None,
    decimal: Annotated[str | None, DECIMAL] = None,
    encoding: Annotated[str | None, CHARSET] = None,
    header: Annotated[str | None, HEADER] = None,
    comment: Annotated[str | None, COMMENT] = None,
    sheet: Annotated[str | None, Query(max_length=LONGEST_NAME, description="of a workbook with several")] = None,
) -> Response:
    """Store a table to train on; the answer says what each column was taken for. The same file has the same id."""
    form = _form_of(request)
    if not name.isprintable():
        raise Unprocessable("bad_parameter", "name: a label is made of printable characters")
    dialect = CsvDialect.of(delimiter, decimal, encoding, header, comment, sheet)
    async with _received(request, datasets, librarian) as file:
        stored = await reader.add(file, form, name, dialect)
        with contextlib.suppress(BucketUnavailable):  # then the bucket gets it when it is back
            await _in(librarian, datasets.share, stored.id)
    return JSONResponse(stored.to_json(), 201, {"location": f"/datasets/{stored.id}"})


@router.get("/datasets")
async def listed(datasets: DatasetsPart, librarian: LibrarianPart) -> dict[str, list[dict[str, Any]]]:
    """Every table, newest first, without its columns and what was remarked on its file."""
    return {"datasets": [_summary(stored) for stored in await _in(librarian, datasets.list)]}


@router.get("/datasets/{dataset}")
async def one(dataset: str, datasets: DatasetsPart, librarian: LibrarianPart) -> dict[str, Any]:
    """Tell what each column of the table was taken for; a recipe may say otherwise."""
    return (await _in(librarian, datasets.get, dataset)).to_json()


@router.delete("/datasets/{dataset}", dependencies=[Depends(require_admin)], status_code=204)
async def delete(dataset: str, datasets: DatasetsPart, librarian: LibrarianPart) -> None:
    """Patterns that were trained on it stay; training them again needs it again."""
    await _in(librarian, datasets.delete, dataset)


async def _in(librarian: Executor, work: Callable[..., Answer], *given: Any) -> Answer:
    """Run the work in threads of its own: waiting for a table must not block those that all other requests share."""
    return await asyncio.get_running_loop().run_in_executor(librarian, work, *given)


def _form_of(request: Request) -> Form:
    check_plain(request.headers.get("content-encoding", ""))
    form = FORMS.get(media_type_of(request.headers.get("content-type", "")))
    if form is None:
        raise NotAcceptedType(f"the content type must be {', '.join(FORMS)}; the body is not guessed at")
    return form


@asynccontextmanager
async def _received(request: Request, datasets: Datasets, librarian: Executor) -> AsyncIterator[FileIO]:
    """The body in a file, written about a megabyte at a time as it arrives."""
    with await _in(librarian, datasets.receiving) as file:
        pending: list[bytes] = []
        async for chunk in request.stream():
            pending.append(chunk)
            if sum(map(len, pending)) >= BYTES_A_WRITE:
                await _in(librarian, _write, file, pending)
                pending = []
        await _in(librarian, _write, file, pending)
        yield file


def _write(file: FileIO, chunks: list[bytes]) -> None:
    """Write all chunks. Raises DiskFull or StoreUnwritable."""
    left = memoryview(b"".join(chunks))
    with writing():
        while left:
            left = left[file.write(left) or 0 :]


def _summary(stored: Stored) -> dict[str, Any]:
    summary = {**stored.to_json(), "n_columns": len(stored.columns)}
    del summary["columns"], summary["remarks"]
    return summary
