"""The page for people: its files, and that nothing else is served from the disk."""

import html
import re
from typing import Any, get_args

import httpx
import pytest

from app.page import PAGE_FILES
from models_store.tables.csv_dialect import PLAIN, Charset, Decimal, Delimiter, Header
from tests.app.over_http import refusal

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("accept", ["", "*/*", "application/json"])
async def test_programs_get_a_word_at_the_root(shared: httpx.AsyncClient, accept: str) -> None:
    answer = await shared.get("/", headers={"accept": accept})
    assert answer.json() == {"status": "alive", "name": "pattern-server", "docs": "/docs", "patterns": "/patterns"}


async def test_people_get_a_page_at_the_root(shared: httpx.AsyncClient) -> None:
    answer = await shared.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.lower().startswith("<!doctype html>")


async def test_every_file_is_served_with_its_policy_and_only_once(shared: httpx.AsyncClient) -> None:
    assert {"index.html", "page.css", "icon.svg", "main.js", "views/pattern.js"} <= PAGE_FILES.keys()
    for name in PAGE_FILES:
        answer = await shared.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["content-security-policy"].startswith("default-src 'self';")
        known = {"if-none-match": answer.headers["etag"]}
        again = await shared.get(f"/page/{name}", headers=known)
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/page/main.js", "text/javascript; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml"),
    ],
)
async def test_a_file_says_what_it_is(shared: httpx.AsyncClient, path: str, media_type: str) -> None:
    assert (await shared.get(path)).headers["content-type"] == media_type


async def test_everything_that_the_page_refers_to_is_there(shared: httpx.AsyncClient) -> None:
    paths = re.findall(r'(?:src|href)="(/[^"#]*)"', text_of("index.html"))
    assert {"/page/page.css", "/page/main.js"} <= set(paths)
    for path in paths:
        assert (await shared.get(path)).status_code == 200, path


def test_every_module_is_loaded_before_it_is_imported() -> None:
    preloaded = re.findall(r'rel="modulepreload" href="/page/([^"]+)"', text_of("index.html"))
    assert set(preloaded) == {name for name in PAGE_FILES if name.endswith(".js")} - {"main.js"}


def test_no_id_is_given_twice_where_both_could_be_shown() -> None:
    """Views are templates, and one of them is shown at a time."""
    templates = re.findall(r"<template.*?</template>", text_of("index.html"), re.DOTALL)
    always = re.sub(r"<template.*?</template>", "", text_of("index.html"), flags=re.DOTALL)
    assert len(templates) > 1
    for template in templates:
        ids = re.findall(r' id="([^"]+)"', always + template.partition(">")[2])
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("field", "known"), [("delimiter", Delimiter), ("decimal", Decimal), ("encoding", Charset), ("header", Header)]
)
def test_the_page_offers_what_a_csv_file_may_be_written_with(field: str, known: Any) -> None:
    """The first choice is what is taken where nothing is said."""
    [choices] = re.findall(rf'data-query="{field}">(.*?)</select>', text_of("index.html"), re.DOTALL)
    values = re.findall(r'<option(?: value="([^"]*)")?>([^<]*)</option>', choices)
    offered = [html.unescape(value or words) for value, words in values[1:]]
    assert set(offered) == set(get_args(known)) - {default_of(field)}
    assert len(offered) == len(set(offered))


def default_of(field: str) -> str | None:
    default: str | None = getattr(PLAIN, field)
    return default


def text_of(name: str) -> str:
    return PAGE_FILES[name].content.decode()


def test_the_page_makes_markup_of_nothing_that_it_is_told() -> None:
    scripts = "".join(text_of(name) for name in PAGE_FILES if name.endswith(".js"))
    assert "textContent" in scripts
    assert not re.search("innerHTML|outerHTML|insertAdjacentHTML|document\\.write", scripts)


@pytest.mark.parametrize(
    "path",
    [
        "/page/..%2fmain.py",
        "/page/%2e%2e/main.py",
        "/page/../main.py",
        "/page//etc/passwd",
        "/page/views",
        "/page/__init__.py",
    ],
)
async def test_the_page_is_all_that_is_served_from_the_disk(shared: httpx.AsyncClient, path: str) -> None:
    assert refusal(await shared.get(path)) == (404, "not_found")
