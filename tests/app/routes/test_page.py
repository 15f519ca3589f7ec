"""The page for people: its files, and that nothing else is served from the disk."""

import re

import httpx
import pytest

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


async def test_everything_that_the_page_refers_to_is_there(shared: httpx.AsyncClient) -> None:
    page = (await shared.get("/", headers={"accept": "text/html"})).text
    paths = re.findall(r'(?:src|href)="(/[^"#]*)"', page)
    assert {"/page/page.css", "/page/page.js"} <= set(paths)
    for path in paths:
        assert (await shared.get(path)).status_code == 200, path


async def test_the_page_has_every_part_that_its_script_asks_for(shared: httpx.AsyncClient) -> None:
    page = (await shared.get("/", headers={"accept": "text/html"})).text
    script = (await shared.get("/page/page.js")).text
    parts = re.findall(r' id="([^"]+)"', page)
    assert len(parts) == len(set(parts))
    wanted = set(re.findall(r'byId\("([^"]+)"\)', script))
    assert wanted
    assert wanted <= set(parts)


async def test_the_page_makes_markup_of_nothing_that_it_is_told(shared: httpx.AsyncClient) -> None:
    script = (await shared.get("/page/page.js")).text
    assert "textContent" in script
    assert not re.search("innerHTML|outerHTML|insertAdjacentHTML|document\\.write", script)


@pytest.mark.parametrize(
    "path", ["/page/..%2fmain.py", "/page/%2e%2e/main.py", "/page/../main.py", "/page//etc/passwd"]
)
async def test_the_page_is_all_that_is_served_from_the_disk(shared: httpx.AsyncClient, path: str) -> None:
    assert refusal(await shared.get(path)) == (404, "not_found")
