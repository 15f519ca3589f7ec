"""A real browser, and a real server for it: ONNX Runtime answers, from a copy of a kept store.

The store holds `area` (versions 1 to 3 of a formula, champion 2), `exact` (a formula with two outputs), `kinds` (labels
from a table), `rents` (numbers from one with categories, dates and texts), `lost` (unloaded), and a table, `rents`.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from tests.server.conftest import Server

KEPT = Path(__file__).parents[1] / "stores" / "format_1"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing of it may ask anybody outside.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 15_000
# Plots take the server longer to draw than all else that a page asks for; a test that is of them takes the route away.
PICTURES = "**/plots/*"
PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="504" height="302"/>'

expect.set_options(timeout=PATIENCE_MS)


# Not for the session: while Playwright runs, no test elsewhere could start an event loop in this thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("Chromium is not installed; tests/install_browser.sh installs it for root, with apt-get")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with a_page(browser) as page:
        yield page


@contextmanager
def a_page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own. No script of it may fail, and its CSP may forbid nothing that it does."""
    context = browser.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    context.route(PICTURES, lambda route: route.fulfill(content_type="image/svg+xml", body=PICTURE))
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("console", lambda message: failures.append(message.text) if is_failure(message) else None)
    yield page
    context.close()
    assert failures == []


def is_failure(message: ConsoleMessage) -> bool:
    """True if a script has failed; refusals, and a server that is away, are told by the browser as well."""
    return message.type == "error" and "Failed to load resource" not in message.text


@pytest.fixture
def serve(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server on a store of its own; stopped by its own process id."""
    started: list[Server] = []

    def start(**settings: object) -> Server:
        started.append(served(tmp_path, **settings))
        return started[-1]

    yield start
    for server in started:
        ended(server)


@pytest.fixture(scope="package")
def shared(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that change nothing on it."""
    server = served(tmp_path_factory.mktemp("shared"))
    yield server
    ended(server)


def served(root: Path, **settings: object) -> Server:
    store = Path(shutil.copytree(KEPT, root / "store"))
    return Server(store, root / "server.log", engine="onnx", log_level="warning", **settings).wait_ready()


def ended(server: Server) -> None:
    server.client.close()
    server.stop()


def at(server: Server, view: str = "") -> str:
    """The address of a view: empty for the overview, the name of a pattern, `/new` or `/new/table`."""
    return f"http://127.0.0.1:{server.port}/#{view}"
