"""/v1: TensorFlow Serving's REST protocol, and KServe's version 1, which share their addresses.

POST /v1/models/{model}[/versions/{version}|/labels/{label}]:predict    or :classify, :regress
GET  /v1/models/{model}[/versions/{version}|/labels/{label}]            or …/metadata
GET  /v1/models                                                         KServe's; its GET / is in health.py
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import orjson

from app.answering.answer import Answering
from app.answering.plan import MOST_LABELS_ANSWERED, MOST_NUMBERS
from app.answering.registry import Served, Shelf
from app.dialects import documented as doc
from app.dialects.beyond import by_recipe
from app.dialects.parameters import expected_by
from app.dialects.remarks import remarks_on, with_remarks
from app.dialects.tensorflow_serving import bodies as tfs
from app.errors import NotHere, NotLoaded, Unprocessable
from app.formats.compression import check_plain
from app.formats.expected import Expected
from app.formats.media_types import JSON
from app.http.call import Call
from app.http.dispatch import Address, Dialect, anybody
from app.responses import Response
from app.statuses import STATUS, is_unavailable, retry_header, status_of
from models_store.arrays import Array
from models_store.bundle import Bundle
from models_store.errors import BundleDamaged, PatternServerError, UnknownAlias, UnknownVersion
from models_store.names import is_name
from models_store.storage.aliases import CHAMPION

VERSION = re.compile("[0-9]{1,18}")
TAG = "TensorFlow Serving, KServe v1"


@dataclass(frozen=True)
class Verb:
    """An action, which stands behind the colon of the address."""

    name: Literal["predict", "classify", "regress"]
    check: Callable[[Bundle], None]
    read: Callable[[bytes, Expected, int], tfs.TensorFlowServingQuestion]
    write: Callable[[Bundle, tfs.TensorFlowServingQuestion, Array], bytes]
    example: Callable[[Bundle], Any]

    async def __call__(self, answering: Answering, call: Call) -> Response:
        release = await _release(answering, call)
        self.check(release.bundle)
        # As for TensorFlow Serving, the content type does not matter: that of curl is a form's.
        check_plain(call.headers.get("content-encoding", ""))
        body = await call.body()
        read = partial(self.read, body, expected_by(call, release.expected), answering.settings.max_rows)
        most = MOST_LABELS_ANSWERED if self.name == "classify" else MOST_NUMBERS
        handled = by_recipe(release.bundle, len(body), read, partial(self._written, release))
        return await answering.answer(call.id, release, *handled, most)

    def _written(self, release: Served, question: tfs.TensorFlowServingQuestion, answers: Array) -> Response:
        headers = with_remarks(release.headers, remarks_on(release.bundle, question))
        return Response(self.write(release.bundle, question, answers), media_type=JSON, headers=headers)


async def models(answering: Answering, _call: Call) -> Response:
    return Response(orjson.dumps({"models": answering.registry.patterns}), media_type=JSON)


async def status(answering: Answering, call: Call) -> Response:
    """Tell the status of the champion first, then of all other versions, newest first.

    The answer holds what TensorFlow Serving says and what KServe says.
    """
    model = call.path_params["model"]
    try:
        statuses = statuses_of(answering, model, _version(call.path_params), _alias(call.path_params))
    except PatternServerError as error:
        # A model that is there and does not answer now is not ready; one that is not there is an error as elsewhere.
        if not is_unavailable(error):
            raise
        if not is_name(model):
            raise NotHere from None
        body = {"name": model, "ready": False, "model_version_status": []}
        return Response(orjson.dumps(body), status_of(error), retry_header(error), JSON)
    return Response(orjson.dumps({"name": model, "ready": True, "model_version_status": statuses}), media_type=JSON)


def statuses_of(answering: Answering, model: str, version: int | None, alias: str | None) -> list[dict[str, Any]]:
    """Return the status of the version or alias that is named, or of all versions, the champion first.

    Raises an error where the server is not ready, or the model does not answer.
    """
    answering.check_ready()
    shelf = answering.registry.shelf(model)
    shelf.check_loaded()
    versions = _versions(shelf, version, alias)
    refused = {version: answering.registry.refused(model, version) for version in versions}
    if all(refused.values()):
        raise BundleDamaged(refused[versions[0]])
    return [_state(version, reason) for version, reason in refused.items()]


def _state(version: int, refused: str) -> dict[str, Any]:
    code, state = ("INTERNAL", "END") if refused else ("OK", "AVAILABLE")
    return {"version": str(version), "state": state, "status": {"error_code": code, "error_message": refused}}


async def metadata(answering: Answering, call: Call) -> Response:
    return Response(orjson.dumps(tfs.signature_of(await _release(answering, call))), media_type=JSON)


# -- which version -------------------------------------------------------------------------------------------------


async def _release(answering: Answering, call: Call) -> Served:
    named = call.path_params
    return await answering.registry.release(named["model"], _version(named), _alias(named))


def _version(named: Mapping[str, str]) -> int | None:
    """Return the version in the address, or None. Raises NotHere where it is not a number."""
    given = named.get("version")
    if given is not None and not VERSION.fullmatch(given):
        raise NotHere
    return None if given is None else int(given)


def _alias(named: Mapping[str, str]) -> str | None:
    """Return the name of a version in the address, which the protocol calls a label, or None."""
    return named.get("label")


def _versions(shelf: Shelf, version: int | None, alias: str | None) -> list[int]:
    """Return the versions that are meant. Raises UnknownVersion, UnknownAlias or NoGoodVersion."""
    if alias is not None and alias != CHAMPION:
        if alias not in shelf.aliases:
            raise UnknownAlias(shelf.pattern, shelf.aliases)
        version = shelf.aliases[alias]
    if version is not None:
        if version not in shelf.versions:
            raise UnknownVersion(shelf.pattern, shelf.versions)
        return [version]
    champion = shelf.release.version
    others = [version for version in reversed(shelf.versions) if version != champion]
    return [champion] if alias == CHAMPION else [champion, *others]


# -- addresses -----------------------------------------------------------------------------------------------------


def _check_any(_bundle: Bundle) -> None:
    """Accept any pattern."""


def check_classification(bundle: Bundle) -> None:
    if bundle.labels is None:
        raise Unprocessable("not_a_classification", "only classification patterns can classify; use :predict")


def check_one_number(bundle: Bundle) -> None:
    if bundle.labels is not None or len(bundle.outputs) != 1:
        raise Unprocessable("bad_parameter", "only patterns with one number for an answer can regress; use :predict")


def _instances(bundle: Bundle) -> dict[str, Any]:
    return {"instances": bundle.sample()["inputs"]}


def _examples_of_labels(bundle: Bundle) -> dict[str, Any] | None:
    return None if bundle.labels is None else {"examples": bundle.sample()["inputs"]}


def _examples_of_numbers(bundle: Bundle) -> dict[str, Any] | None:
    takes = bundle.labels is None and len(bundle.outputs) == 1
    return {"examples": bundle.sample()["inputs"]} if takes else None


VERBS = (
    Verb("predict", _check_any, tfs.read_tensors, tfs.write_tensors, _instances),
    Verb("classify", check_classification, tfs.read_examples, tfs.write_classes, _examples_of_labels),
    Verb("regress", check_one_number, tfs.read_examples, tfs.write_tensors, _examples_of_numbers),
)
SIGNATURE = {"signature_name": {"enum": [tfs.SIGNATURE, ""]}}
CONTEXT = {"context": {**doc.RECORD, "description": "columns that are the same in all examples"}}
BODIES = {
    "predict": doc.one_of(SIGNATURE, instances=doc.ROWS, inputs=doc.TENSORS),
    "classify": doc.one_of(SIGNATURE | CONTEXT, examples=doc.RECORDS),
    "regress": doc.one_of(SIGNATURE | CONTEXT, examples=doc.RECORDS),
}
ANSWERS = {
    "predict": '{"predictions": [...]} to instances, {"outputs": ...} to inputs; without the name of a single output',
    "classify": '{"results": [[["setosa", 0.97], ...], ...]}: each label with how probable it is',
    "regress": '{"results": [4.0, ...]}',
}
NOT_READY = {
    str(STATUS[NotLoaded]): {"description": 'the same, with "ready": false', "content": {JSON: {"schema": doc.OBJECT}}}
}


def _addresses() -> list[Address]:
    described = doc.operation(TAG, "/v1/models", "modelsV1", "The names of all patterns", '{"models": [...]}')
    places = (("", ""), ("/versions/{version}", "OfVersion"), ("/labels/{label}", "OfLabel"))
    return [
        Address("GET", "/v1/models", models, anybody, described),
        *(address for place, suffix in places for address in _addresses_of(f"/v1/models/{{model}}{place}", suffix)),
    ]


def _addresses_of(path: str, suffix: str) -> list[Address]:
    about = doc.operation(
        TAG, path, f"modelStatus{suffix}", "Is it ready, and which versions there are", "the versions", **NOT_READY
    )
    signature = doc.operation(
        TAG, f"{path}/metadata", f"modelMetadata{suffix}", "Inputs and outputs", "inputs and outputs, as a signature"
    )
    return [
        *(_verb_at(verb, f"{path}:{verb.name}", suffix) for verb in VERBS),
        Address("GET", path, status, anybody, about, is_probe=True),
        Address("GET", f"{path}/metadata", metadata, anybody, signature),
    ]


def _verb_at(verb: Verb, path: str, suffix: str) -> Address:
    summary = f"{verb.name.capitalize()}, as TensorFlow Serving and KServe v1 do"
    described = doc.operation(TAG, path, f"{verb.name}V1{suffix}", summary, ANSWERS[verb.name], BODIES[verb.name])
    return Address("POST", path, verb, documented=described, example=verb.example)


V1_DIALECT = Dialect(_addresses(), tfs.ENVELOPE)
