"""Every view, in light and in dark, as axe-core judges it; and whether it fits its screen."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import a_page, at
from tests.server.conftest import Server

pytestmark = [pytest.mark.browser, pytest.mark.server]

VIEWS = ["overview", "area", "kinds", "rents", "lost", "/new", "/new/table"]
GRAVE = {"serious", "critical"}


@pytest.fixture(scope="module", params=VIEWS)
def view(request: pytest.FixtureRequest, browser: Browser, shared: Server) -> Iterator[Page]:
    """A view, with all that can be opened in it."""
    with a_page(browser) as page:
        page.goto(at(shared, "" if request.param == "overview" else request.param))
        expect(page.locator("#view").get_by_role("heading").first).to_be_visible()
        expect(page.locator("#pattern-list a")).to_have_count(5)
        if page.get_by_role("button", name="Predict").is_visible():
            page.get_by_role("button", name="Predict").click()
            expect(page.locator("#answer .hint")).to_be_visible()
        if request.param == "/new/table":
            page.get_by_role("button", name="Choose rents").click()
            expect(page.get_by_role("heading", name="Columns")).to_be_visible()
        for summary in page.locator("summary:visible").all():
            summary.click()
        yield page


def grave(page: Page, options: dict[str, Any] | None = None) -> list[tuple[str, Any]]:
    """What keeps people out, by the rule of axe-core that says so."""
    found = Axe().run(page, options=options).response
    assert found["passes"]
    return [(rule["id"], rule["nodes"]) for rule in found["violations"] if rule["impact"] in GRAVE]


def test_axe_finds_nothing_grave(view: Page) -> None:
    assert grave(view) == []


def test_in_the_dark_everything_can_be_read(view: Page) -> None:
    view.emulate_media(color_scheme="dark")
    assert grave(view, {"runOnly": ["color-contrast"]}) == []
    view.emulate_media(color_scheme="light")


def test_nothing_is_wider_than_a_narrow_screen(view: Page) -> None:
    view.set_viewport_size({"width": 390, "height": 844})
    assert view.evaluate("document.documentElement.scrollWidth") == 390
    view.set_viewport_size({"width": 1280, "height": 900})


def test_no_field_sticks_out_of_its_form(view: Page) -> None:
    excess = """fields => fields.map((field) =>
        field.getBoundingClientRect().right - field.form.getBoundingClientRect().right)"""
    fields = view.locator("form :is(input, select, textarea):visible")
    assert max(fields.evaluate_all(excess), default=0) <= 0


def test_the_key_dialog_is_accessible(page: Page, shared: Server) -> None:
    page.goto(at(shared))
    page.get_by_role("button", name="Key").click()
    expect(page.get_by_role("dialog", name="Key")).to_be_visible()
    assert Axe().run(page).response["violations"] == []
