"""Stories of the page: a reader does something, in a real browser with a real server."""

import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from models_store.card import Calibration, Promotion
from models_store.networks.onnx_network import OnnxNetwork
from models_store.storage.store import Store
from tests.browser.conftest import PICTURES, at
from tests.fakes import sure
from tests.server.conftest import Server, has_ended
from training.region import region_of

pytestmark = [pytest.mark.browser, pytest.mark.server]

TRAINING_MS = 60_000
PATIENCE_SECONDS = 15


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def heading(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", name=name, exact=True)


def listed(page: Page, pattern: str) -> Locator:
    """The link to a pattern in the list of all patterns."""
    return page.get_by_role("navigation", name="Patterns").get_by_role("link", name=pattern)


def opened(page: Page, server: Server, pattern: str) -> None:
    page.goto(at(server, pattern))
    expect(heading(page, pattern)).to_be_visible()


def until(server: Server, pattern: str, expected: dict[str, Any]) -> None:
    """Wait until the server says this of a pattern: it follows what is published beside it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.client.get(f"/patterns/{pattern}").json().items() >= expected.items():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Held:
    """The first request to an address; it waits until it is released."""

    def __init__(self, page: Page, address: str) -> None:
        self._route: Route | None = None
        page.route(address, self._hold, times=1)

    def _hold(self, route: Route) -> None:
        self._route = route

    def release(self) -> None:
        assert self._route is not None
        self._route.continue_()


# -- looking around ------------------------------------------------------------------------------------------------


def test_the_overview_is_there_before_the_list_of_patterns(page: Page, shared: Server) -> None:
    patterns = Held(page, "**/patterns")
    page.goto(at(shared))
    expect(heading(page, "What is this?")).to_be_visible()
    expect(listed(page, "area")).to_have_count(0)
    patterns.release()
    expect(listed(page, "area")).to_be_visible()


def test_going_to_a_pattern_leads_the_reader_to_its_name(page: Page, shared: Server) -> None:
    page.goto(at(shared))
    listed(page, "rents").click()
    expect(heading(page, "rents")).to_be_focused()
    expect(page).to_have_title("rents · Pattern Server")
    expect(listed(page, "rents")).to_have_attribute("aria-current", "page")


def test_an_answer_for_a_pattern_that_was_left_draws_nothing(page: Page, shared: Server) -> None:
    rents = Held(page, "**/patterns/rents")
    page.goto(at(shared))
    listed(page, "rents").click()
    listed(page, "area").click()
    expect(heading(page, "area")).to_be_visible()
    with page.expect_response("**/patterns/rents"):
        rents.release()
    expect(heading(page, "area")).to_be_visible()
    expect(page.locator("#view > *")).to_have_count(1)


def test_a_pattern_that_cannot_be_served_says_why_and_can_still_be_trained(page: Page, shared: Server) -> None:
    opened(page, shared, "lost")
    expect(page.get_by_text("Pattern lost was unloaded")).to_be_visible()
    expect(page.get_by_text("no version served")).to_be_visible()
    expect(button(page, "Train again")).to_be_enabled()
    expect(button(page, "Predict")).to_be_hidden()


def test_pictures_of_a_version_are_drawn_and_described(page: Page, shared: Server) -> None:
    page.context.unroute(PICTURES)
    opened(page, shared, "area")
    pictures = page.get_by_role("img", name="area, version 2")
    expect(pictures).to_have_count(3)
    for picture in pictures.all():
        picture.evaluate("image => image.decode()")


# -- asking --------------------------------------------------------------------------------------------------------


def test_inside_the_region_it_answers_and_says_how_far_off_it_usually_is(page: Page, shared: Server) -> None:
    opened(page, shared, "area")
    page.get_by_label("width").fill("2")
    page.get_by_label("height").fill("3")
    button(page, "Predict").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("area = 12.949")
    expect(answer).to_contain_text("on test rows typically off by 23")
    expect(answer).to_contain_text("Version 2 answered")
    expect(page.locator("#curl")).to_contain_text('{"width":2,"height":3}')


def test_outside_the_region_it_warns_and_no_longer_says_how_far_off_it_is(page: Page, shared: Server) -> None:
    opened(page, shared, "area")
    width = page.get_by_label("width")
    width.fill("50")
    expect(width).to_have_accessible_description(re.compile("^beyond what it was trained on: 0.0469"))
    button(page, "Predict").click()
    answer = page.locator("#answer")
    expect(answer).to_contain_text("Beyond what it has seen. width = 50 lies outside 0.04695476 to 9.883738")
    expect(answer).not_to_contain_text("typically off")


def test_a_row_where_no_training_row_was_is_warned_of_with_its_score(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    store = Store(server.store, OnnxNetwork.from_bytes)
    bundle = store.load("area", store.champion("area")).bundle
    # Training rows are small in both columns, or large in both.
    small = np.random.default_rng(0).uniform(0.5, 3, (100, 2))
    region = region_of(np.concatenate([small, small + 6]), bundle.predictor.encoder, seed=0)
    lineage = bundle.card.lineage.model_copy(update={"job": None})
    card = bundle.card.model_copy(update={"lineage": lineage, "outside": "warn"})
    recipe = bundle.recipe | {"outside": "formula"}
    until(server, "area", {"champion": store.publish(replace(bundle, region=region, card=card, recipe=recipe))})
    opened(page, server, "area")
    answer = page.locator("#answer")
    page.get_by_label("width").fill("2")
    page.get_by_label("height").fill("8")
    button(page, "Predict").click()
    expect(answer).to_contain_text("Each value is in its range, but no training row was like all of them together.")
    expect(answer).to_contain_text("By the recipe a formula would answer, and training has found none.")
    expect(answer).to_contain_text(
        re.compile(r"scores 0\.[5-9]\d? of 1, and 0\.5 is the limit; 0 % of them were as far")
    )
    expect(answer).not_to_contain_text("typically off")
    page.get_by_label("width").fill("50")
    button(page, "Predict").click()
    expect(answer).to_contain_text("width = 50 lies outside 0.04695476 to 9.883738")
    expect(answer).to_contain_text(re.compile(r"scores (0\.\d+|1) of 1"))
    page.get_by_label("width").fill("8")
    button(page, "Predict").click()
    expect(answer).to_contain_text("typically off")


def test_a_category_that_training_never_saw_can_be_asked(page: Page, shared: Server) -> None:
    opened(page, shared, "rents")
    page.get_by_label("kind").select_option(label="another value …")
    kind = page.get_by_role("textbox", name="kind")
    expect(kind).to_be_focused()
    kind.fill("castle")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("kind = castle was not seen in training, or too seldom")


def test_a_category_may_read_like_the_offer_to_type_another(page: Page, shared: Server) -> None:
    def renamed(route: Route) -> None:
        described = route.fetch().json()
        described["card"]["inputs"][0]["values"][1] = "another value …"
        route.fulfill(json=described)

    page.route("**/patterns/rents", renamed)
    opened(page, shared, "rents")
    kind = page.get_by_label("kind")
    kind.select_option(value="another value …")
    expect(kind.locator("option:checked")).to_have_text("another value …")
    expect(page.get_by_role("combobox", name="kind")).to_be_visible()
    expect(page.locator("#curl")).to_contain_text('"kind":"another value …"')


def test_labels_come_with_their_probabilities(page: Page, shared: Server) -> None:
    opened(page, shared, "kinds")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("kind = flat")
    expect(page.get_by_role("meter")).to_have_count(3)


# -- versions ------------------------------------------------------------------------------------------------------


def test_an_interval_and_a_set_are_chosen_and_shown(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    store = Store(server.store, OnnxNetwork.from_bytes)
    facts = {
        "area": Calibration(of="test rows", rows=19, widths={"area": {"0.8": 32.0, "0.9": 36.0}}),
        "kinds": Calibration(of="test rows", rows=38, sizes={"0.9": 1.5}),
    }
    for pattern, calibration in facts.items():
        bundle = store.load(pattern, store.champion(pattern)).bundle
        lineage = bundle.card.lineage.model_copy(update={"job": None})
        card = bundle.card.model_copy(update={"calibration": calibration, "lineage": lineage})
        number = store.publish(sure(replace(bundle, card=card)))
        until(server, pattern, {"champion": number})
    opened(page, server, "area")
    page.get_by_label("width").fill("2")
    page.get_by_label("height").fill("3")
    page.get_by_label("How sure").select_option(label="an interval that is right 9 times in 10")
    expect(page.locator("#curl")).to_contain_text("outside=true&interval=0.9")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("between −5.05")
    expect(page.locator("#answer svg.band")).to_have_count(1)
    expect(page.locator("#answer")).not_to_contain_text("less often than asked")
    page.get_by_label("width").fill("50")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("an interval or a set holds the right one less often than asked")
    page.get_by_label("How sure").select_option(label="the answer alone")
    button(page, "Predict").click()
    expect(page.locator("#answer")).not_to_contain_text("between")
    expect(page.locator("#answer")).not_to_contain_text("less often than asked")
    opened(page, server, "kinds")
    page.get_by_label("How sure").select_option(label="a set of labels that is right 9 times in 10")
    button(page, "Predict").click()
    expect(page.locator("#answer .between")).to_be_visible()
    # A version from before there were any offers none.
    opened(page, server, "rents")
    expect(page.get_by_label("How sure")).to_be_hidden()


def test_a_pattern_is_taken_along_as_a_file(page: Page, shared: Server) -> None:
    opened(page, shared, "kinds")
    page.get_by_label("As", exact=True).select_option("python")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export", exact=True).click()
    assert saved.value.suggested_filename == "kinds-1.py"
    assert "The pattern kinds, version 1" in saved.value.path().read_text()
    expect(page.locator("#export-said")).to_contain_text("its answers differ from the server's by at most")


def test_a_pattern_is_taken_to_another_server_as_a_bundle(page: Page, shared: Server) -> None:
    opened(page, shared, "kinds")
    page.get_by_label("As", exact=True).select_option("bundle")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export", exact=True).click()
    assert saved.value.suggested_filename == "kinds-1.zip"
    expect(page.locator("#export-said")).to_have_text("Version 1, whole. It is tried where it is imported.")


def test_what_a_format_cannot_hold_is_said_in_words(page: Page, shared: Server) -> None:
    opened(page, shared, "rents")
    page.get_by_label("As", exact=True).select_option("c")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.locator("#export-problem")).to_contain_text("column note is text")


def test_what_makes_another_version_champion_can_be_undone(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    opened(page, server, "area")
    button(page, "Make version 3 champion").click()
    said = page.locator("#versions-said")
    expect(said).to_contain_text("Version 3 is the champion now.")
    expect(page.locator("#pattern-version")).to_have_text("version 3")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("Version 3 answered")
    button(page, "Undo: make version 2 champion again").click()
    expect(said).to_contain_text("Version 2 is the champion now.")
    assert server.version("area") == 2
    button(page, "Roll back").click()
    expect(said).to_contain_text("Version 1 is the champion now.")
    expect(button(page, "Roll back")).to_be_disabled()
    assert server.version("area") == 1
    button(page, "Undo: make version 2 champion again").click()
    expect(said).to_contain_text("Version 2 is the champion now.")
    assert server.version("area") == 2


def test_versions_are_compared_on_the_rows_that_both_were_tested_on(page: Page, serve: Callable[..., Server]) -> None:
    opened(page, serve(), "area")
    button(page, "Compare version 1 with the champion").click()
    found = page.locator("#versions-compared")
    expect(found).to_contain_text("area@2")
    expect(found).to_contain_text("area@1")
    expect(found.get_by_role("table", name="Figures on the same rows")).to_contain_text("RMSE")


def test_the_card_of_a_champion_tells_of_the_versions_that_were_compared_with_it(
    page: Page, serve: Callable[..., Server]
) -> None:
    server = serve()
    store = Store(server.store, OnnxNetwork.from_bytes)
    champion = store.champion("area")
    bundle = store.load("area", champion).bundle
    why = f"Not promoted: it may be worse than version {champion}; RMSE 24 against 23."
    decided = Promotion(champion=champion, promoted=False, outcome="not_sure", why=why, tolerance=0)
    lineage = bundle.card.lineage.model_copy(update={"job": None})
    card = bundle.card.model_copy(update={"promotion": decided, "lineage": lineage})
    rule = {"when": "if-better", "tolerance": 0.02}
    recipe = bundle.recipe | {"promotion": rule}
    before = store.versions("area")
    number = store.publish(replace(bundle, card=card, recipe=recipe), promote=False)
    until(server, "area", {"versions": [*before, number]})
    opened(page, server, "area")
    expect(page.get_by_role("region", name="Later versions, compared with this one")).to_have_text(
        re.compile(f"Version {number}. {why}")
    )
    # What the newest recipe says is offered first.
    chosen = page.get_by_label("The new version").locator("option:checked")
    expect(chosen).to_have_text("becomes the champion if it is not worse on the same rows, as its recipe says")
    button(page, f"Make version {number} champion").click()
    expect(page.locator("#promotion")).to_have_text(why)
    expect(page.locator("#fitted")).to_contain_text("if it is not worse on the same rows, by more than 2 %")


# -- the key -------------------------------------------------------------------------------------------------------


def test_who_needs_a_key_is_asked_for_it_and_what_was_asked_for_is_then_done(
    page: Page, serve: Callable[..., Server]
) -> None:
    opened(page, serve(admin_key="sesame", predict_key="poppy"), "area")
    dialog = page.get_by_role("dialog", name="Key")
    button(page, "Make version 3 champion").click()
    expect(dialog).to_be_visible()
    page.get_by_label("Key of this server").fill("poppy")
    button(page, "Use this key").click()
    expect(dialog).to_contain_text("This key is not valid for this address.")
    page.get_by_label("Key of this server").fill("sesame")
    button(page, "Use this key").click()
    expect(page.locator("#versions-said")).to_contain_text("Version 3 is the champion now.")
    expect(button(page, "Key ✓")).to_be_visible()
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("Version 3 answered")


def test_without_a_key_nothing_is_done_and_the_page_says_so(page: Page, serve: Callable[..., Server]) -> None:
    opened(page, serve(admin_key="sesame", predict_key="poppy"), "area")
    button(page, "Predict").click()
    button(page, "Cancel").click()
    expect(page.locator("#predict-problem")).to_contain_text("key_missing")
    expect(page.locator("#curl")).to_contain_text('-H "authorization: Bearer $PATTERNS_PREDICT_KEY"')


# -- training ------------------------------------------------------------------------------------------------------


@pytest.mark.keras
def test_a_formula_is_learned_before_the_readers_eyes_until_it_is_served(
    page: Page, serve: Callable[..., Server]
) -> None:
    page.goto(at(serve(), "/new"))
    page.get_by_label("Name", exact=True).first.fill("double")
    page.get_by_label("Formula").fill("2 * x")
    page.get_by_label("Rows", exact=True).fill("2000")
    page.get_by_text("Network and training").click()
    page.get_by_label("Epochs", exact=True).fill("400")
    page.get_by_label("Rows outside what training saw").select_option(label="are moved into its range")
    button(page, "Train it").click()
    expect(heading(page, "Training double")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Loss from .* to .* over [1-9]"))).to_be_visible(
        timeout=TRAINING_MS
    )
    expect(page.get_by_text("Version 1 of double is published.")).to_be_visible(timeout=TRAINING_MS)
    expect(page.locator("#training-facts")).to_contain_text("400 of 400")
    expect(heading(page, "double")).to_be_visible()
    expect(page.locator("#formulas .formula")).to_have_text("y = 2·x")
    expect(page.locator("#found .formula")).to_have_text("y = 2·x")
    page.get_by_label("x", exact=True).fill("1.5")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("Version 1 answered")
    rows = [[9.0]] * 199
    assert page.request.post(f"{page.url.partition('#')[0]}predict/double", data={"inputs": rows}).ok
    button(page, "Look at the last hour").click()
    expect(page.locator("#drift-words")).to_have_text("Rows asked in the last hour: 200.")
    expect(page.locator("#drift tbody tr").first).to_contain_text("drift")
    expect(page.get_by_role("img", name="x: training rows, and what was asked")).to_be_visible()
    page.get_by_label("x", exact=True).fill("1000")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("Its numbers were moved into the range of training")


@pytest.mark.keras
def test_a_trial_of_a_search_is_one_click_from_being_trained(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    space = {"fit.optimizer.learning_rate": [0.001, 0.01], "network.layers.*.units": [8]}
    job = server.train("area", fit={"epochs": 20}, search={"method": "grid", "space": space})
    assert server.until(job, has_ended)["status"] == "succeeded"
    opened(page, server, "area")
    trials = page.get_by_role("table", name="Trials")
    expect(trials.get_by_role("row")).to_have_count(3)
    expect(trials).to_contain_text("learning_rate 0.01, units 8")
    expect(page.get_by_role("img", name=re.compile("The 2 trials of the search behind area"))).to_be_visible()
    trials.get_by_role("button", name="Train the recipe of trial 1").click()
    expect(page.get_by_text("Version 5 of area is published.")).to_be_visible(timeout=TRAINING_MS)
    assert server.version("area") == 4


def test_a_version_from_before_histograms_says_what_it_lacks(page: Page, shared: Server) -> None:
    opened(page, shared, "area")
    button(page, "Look at the last day").click()
    expect(page.locator("#drift-problem")).to_contain_text("no histograms of its training rows")


def test_a_formula_that_cannot_be_read_is_marked_and_says_why(page: Page, shared: Server) -> None:
    page.goto(at(shared, "/new"))
    formula = page.get_by_label("Formula")
    formula.fill("2 * nobody")
    button(page, "Train it").click()
    expect(page.locator("#create-problem")).to_contain_text("data.outputs.y")
    expect(formula).to_have_attribute("aria-invalid", "true")
    expect(formula).to_have_accessible_description(re.compile("data.outputs.y"))
    expect(formula).to_be_focused()


def test_two_columns_of_one_name_are_refused_at_the_second(page: Page, shared: Server) -> None:
    page.goto(at(shared, "/new"))
    button(page, "Add an input").click()
    second = page.locator("#new-inputs").get_by_label("Name").nth(1)
    second.fill("x")
    button(page, "Train it").click()
    expect(second).to_be_focused()
    expect(second).to_have_accessible_description("Two columns are called x. same_name")
    second.fill("z")
    expect(page.get_by_label("Name", exact=True).first).not_to_have_attribute("aria-invalid", "true")


def test_what_was_typed_for_a_new_pattern_stays_while_the_reader_looks_elsewhere(page: Page, shared: Server) -> None:
    page.goto(at(shared, "/new"))
    page.get_by_label("Formula").fill("x / 2")
    page.get_by_role("link", name="From a table").click()
    expect(button(page, "Upload")).to_be_visible()
    page.get_by_role("link", name="Write a formula").click()
    expect(page.get_by_label("Formula")).to_have_value("x / 2")


def harvests() -> FilePayload:
    """A CSV whose column `picked` can be read as two dates: on most days the month may as well be the day."""
    days = [(day, month) for month in range(1, 5) for day in range(1, 13)]
    rows = [f"{day:02}/{month:02}/2024,{day * 3},{'yes' if day > 6 else 'no'}" for day, month in days]
    content = "\n".join(["picked,sun,sweet", *rows, ""])
    return {"name": "Harvests of 2024.csv", "mimeType": "text/csv", "buffer": content.encode()}


@pytest.mark.keras
def test_a_table_is_uploaded_its_doubt_is_settled_and_it_is_learned(page: Page, serve: Callable[..., Server]) -> None:
    page.goto(at(serve(), "/new/table"))
    page.get_by_label("File").set_input_files(harvests())
    button(page, "Upload").click()
    expect(page.get_by_text("Harvests of 2024 is here: 48 rows, 3 columns.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("harvests-of-2024")
    page.get_by_label("Predict").select_option("sweet")
    expect(page.get_by_text("labels: one of 2 different values is answered")).to_be_visible()
    picked = page.get_by_label("picked is taken for")
    expect(picked).to_have_accessible_description(re.compile("picked"))
    button(page, "Train it").click()
    assert picked.evaluate("field => field.matches(':invalid')"), "the browser asks for an answer"
    page.get_by_text("Cells and training", exact=True).click()
    page.get_by_label("Dates such as 03/04/2020").select_option("day first")
    button(page, "Train it").click()
    expect(page.get_by_text("Version 1 of harvests-of-2024 is published.")).to_be_visible(timeout=TRAINING_MS)
    expect(heading(page, "harvests-of-2024")).to_be_visible()
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("sweet = ")


def test_the_target_is_not_said_to_be_left_out(page: Page, serve: Callable[..., Server]) -> None:
    page.goto(at(serve(), "/new/table"))
    rows = "\n".join(f"{place},{place % 7}" for place in range(60))
    content = f"user_id,hours\n{rows}\n".encode()
    page.get_by_label("File").set_input_files({"name": "users.csv", "mimeType": "text/csv", "buffer": content})
    button(page, "Upload").click()
    kind = page.get_by_label("user_id is taken for")
    expect(kind).to_have_accessible_description(re.compile("Left out: "))
    page.get_by_label("Predict").select_option("user_id")
    expect(kind).to_have_accessible_description("")
    expect(page.get_by_text("Left out: ")).to_have_count(0)
    page.get_by_label("Predict").select_option("hours")
    expect(page.get_by_text("Left out: ")).to_be_visible()


def visits() -> FilePayload:
    """A CSV of times of day, durations, and dates whose years have two digits."""
    rows = [f"{place % 28 + 1:02}-03-20,{place % 24}:30,{place + 20}:00:00,{place}" for place in range(60)]
    return {"name": "visits.csv", "mimeType": "text/csv", "buffer": "\n".join(["day,at,waited,cost", *rows]).encode()}


@pytest.mark.keras
def test_times_and_dates_with_a_format_are_learned_and_asked(page: Page, serve: Callable[..., Server]) -> None:
    page.goto(at(serve(), "/new/table"))
    page.get_by_label("File").set_input_files(visits())
    button(page, "Upload").click()
    page.get_by_label("Predict").select_option("cost")
    expect(page.get_by_label("day is taken for")).to_have_accessible_description(re.compile("years of two digits"))
    page.get_by_text("Cells and training", exact=True).click()
    page.get_by_label("Formats of dates").fill("day=%d-%m-%y")
    button(page, "Train it").click()
    expect(page.get_by_text("Version 1 of visits is published.")).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_label("day", exact=True)).to_have_attribute("type", "date")
    clock = page.get_by_label("at", exact=True)
    expect(clock).to_have_attribute("type", "time")
    clock.fill("13:31")
    expect(clock).to_have_accessible_description(re.compile("trained on 00:30:00 to 23:30:00"))
    page.get_by_label("waited", exact=True).fill("2 days 01:00:00")
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("cost = ")


def scans(n_patients: int, name: str) -> FilePayload:
    """A CSV of four scans of each patient, which count by their quality."""
    rows = [f"p{place // 4},{place % 4},{place % 3 + 1},{place % 4 * 3}" for place in range(4 * n_patients)]
    return {"name": name, "mimeType": "text/csv", "buffer": "\n".join(["patient,hour,quality,dose", *rows]).encode()}


def uploaded(page: Page, file: FilePayload) -> None:
    page.get_by_label("File").set_input_files(file)
    button(page, "Upload").click()
    expect(page.locator("#columns-words")).to_contain_text(f"{file['name'].removesuffix('.csv')}: ")


@pytest.mark.keras
def test_rows_count_by_a_weight_and_test_rows_are_another_table(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    page.goto(at(server, "/new/table"))
    uploaded(page, scans(5, "later.csv"))
    uploaded(page, scans(15, "scans.csv"))
    page.get_by_label("Predict").select_option("dose")
    page.get_by_text("Rows and tests", exact=True).click()
    page.get_by_label("Rows count by").select_option("quality")
    page.get_by_label("Test rows").select_option("later, 20 rows")
    page.get_by_label("Never split").select_option("patient")
    expect(page.get_by_label("Test the last rows by")).to_be_disabled()
    button(page, "Train it").click()
    expect(page.get_by_text("Version 1 of scans is published.")).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_text("patient was left out: it names the groups")).to_be_visible()
    recipe, card = (server.client.get("/patterns/scans").json()[part] for part in ("recipe", "card"))
    assert (recipe["data"]["weight"], recipe["split"]["group"], recipe["split"]["time"]) == ("quality", "patient", None)
    assert (card["test"]["rows"], [column["name"] for column in card["inputs"]]) == (20, ["hour"])


def test_a_field_about_rows_is_marked_when_it_is_refused(page: Page, serve: Callable[..., Server]) -> None:
    page.goto(at(serve(), "/new/table"))
    uploaded(page, scans(15, "scans.csv"))
    page.get_by_label("Predict").select_option("dose")
    page.get_by_text("Rows and tests", exact=True).click()
    weight, time = page.get_by_label("Rows count by"), page.get_by_label("Test the last rows by")
    weight.select_option("dose")
    time.select_option("hour")
    expect(page.get_by_label("Never split")).to_be_disabled()
    button(page, "Train it").click()
    expect(weight).to_have_accessible_description(re.compile("names the target, which is learned"))
    weight.select_option("all alike")
    time.select_option("dose")
    button(page, "Train it").click()
    expect(time).to_have_accessible_description(re.compile("names the target or the weight"))
    expect(time).to_be_focused()


def test_a_table_is_deleted_only_when_the_reader_means_it(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    page.goto(at(server, "/new/table"))
    page.once("dialog", lambda dialog: dialog.dismiss())
    button(page, "Delete rents").click()
    expect(button(page, "Delete rents")).to_be_visible()
    assert len(server.client.get("/datasets").json()["datasets"]) == 1
    page.once("dialog", lambda dialog: dialog.accept())
    button(page, "Delete rents").click()
    expect(page.get_by_text("rents is deleted.")).to_be_visible()
    assert server.client.get("/datasets").json() == {"datasets": []}


def test_a_file_that_is_no_table_is_refused_in_words(page: Page, shared: Server) -> None:
    page.goto(at(shared, "/new/table"))
    page.get_by_label("File").set_input_files({"name": "a.parquet", "mimeType": "", "buffer": b"no table"})
    button(page, "Upload").click()
    expect(page.locator("#upload-problem")).to_be_visible()
    expect(button(page, "Upload")).to_be_enabled()


# -- a server that goes away ---------------------------------------------------------------------------------------


def test_a_connection_that_is_lost_is_told_and_comes_back(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    opened(page, server, "area")
    server.stop()
    button(page, "Predict").click()
    expect(page.locator("#predict-problem")).to_contain_text("The server cannot be reached; is it still running?")
    server.restart()
    button(page, "Predict").click()
    expect(page.locator("#answer")).to_contain_text("Version 2 answered")
    expect(page.locator("#predict-problem")).to_be_hidden()


def test_training_again_offers_what_becomes_of_rows_outside(page: Page, shared: Server) -> None:
    # The request is left without an answer, so that nothing trains here.
    page.route("**/train", lambda route: None if route.request.method == "POST" else route.fallback())
    opened(page, shared, "area")
    field = page.get_by_label("Rows outside what training saw")
    expect(field.locator("option")).to_have_count(6)
    expect(field.locator("option").first).to_have_text("are answered like others, as its recipe says")
    field.select_option(label="are refused")
    with page.expect_request(lambda request: request.method == "POST") as asked:
        button(page, "Train again").click()
    assert asked.value.post_data_json == {"pattern": "area", "outside": "reject"}


def test_a_training_whose_server_goes_away_is_followed_to_its_end(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    opened(page, server, "area")
    page.get_by_label("Epochs", exact=True).fill("100000")
    button(page, "Train again").click()
    expect(heading(page, "Training area")).to_be_visible()
    server.stop()
    expect(page.locator("#training-problem")).to_contain_text("The connection is lost; waiting for it to come back.")
    server.restart()
    expect(page.locator("#training-problem")).to_be_hidden()
    button(page, "Cancel").click()
    expect(page.get_by_text("Cancelled; nothing has changed.")).to_be_visible()
    expect(button(page, "Close")).to_be_visible()


def test_a_page_that_is_opened_while_something_trains_shows_it(page: Page, serve: Callable[..., Server]) -> None:
    server = serve()
    job = server.train("area", fit={"epochs": 100_000})
    page.goto(at(server))
    expect(heading(page, "Training area")).to_be_visible()
    button(page, "Cancel").click()
    expect(page.get_by_text("Cancelled; nothing has changed.")).to_be_visible()
    assert server.job(job)["status"] == "cancelled"


def test_the_formula_that_training_found_is_typeset_beside_the_networks_error(page: Page, shared: Server) -> None:
    opened(page, shared, "area")
    expect(heading(page, "Formula found in the rows")).to_be_hidden()
    page.route("**/patterns/area", _with_formula)
    page.reload()
    expect(heading(page, "Formula found in the rows")).to_be_visible()
    expect(page.locator("#found sup")).to_have_text("2")
    expect(page.get_by_text("is exact but for rounding: RMSE 0, the network's 0.125")).to_be_visible()


def _with_formula(route: Route) -> None:
    described = route.fetch().json()
    form = {"text": "width**2", "rmse": 0.0, "network_rmse": 0.125, "is_exact": True}
    described["card"]["closed_forms"] = {"area": form}
    route.fulfill(json=described)
