"""The report in a browser, where there is one: quiet, offline, by keyboard, narrow, printed."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imsave
from numpy import zeros

from cervispine import Comparison
from cervispine.reporting import write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

#: Inside the margins of A4, in CSS pixels.
PAGE_WIDTH, PAGE_HEIGHT = 688, 1017

CASE = {
    "patient": "p", "kind": "missed", "truth": "OPLL", "type": "segmental", "call": "DSS",
    "score": "0.1", "threshold": "0.5", "models": "resnet34 0.1, resnet50 0.1",
    "readers": "1 of 2 called OPLL",
}  # fmt: skip


@pytest.fixture(scope="module")
def address(
    tmp_path_factory: pytest.TempPathFactory,
    comparison: Comparison,
    write_run: Any,
    drawn_once: Any,
) -> str:
    """Return the address of a report with everything in it."""
    cases = tuple(CASE | {"file": f"case-{number}.png"} for number in range(6))
    folder = tmp_path_factory.mktemp("browser") / "run"
    run: Path = write_run(folder, drawn_once(comparison), synthetic=True, cases=cases)
    (run / "heatmaps").mkdir()
    for case in cases:
        for where in ("cases", "heatmaps"):
            imsave(run / where / case["file"], zeros((420, 300)))
    return write_report(run).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    yield page
    page.close()


def test_it_asks_nobody_and_complains_of_nothing(page: Any, address: str) -> None:
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert said == []
    broken = "[...document.images].filter(each => !each.complete || !each.naturalWidth).length"
    assert page.evaluate("document.images.length") == 6 + 12
    assert page.evaluate(broken) == 0


def test_the_keyboard_reaches_everything(page: Any, address: str) -> None:
    page.goto(address)
    page.keyboard.press("Tab")
    skip = page.evaluate("document.activeElement.textContent")
    assert skip == "Skip to the report"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto(address)
    focusable = page.evaluate(
        "[...document.querySelectorAll('a, [tabindex=\"0\"]')].map(each => each.outerHTML)"
    )
    reached = []
    for _ in focusable:
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.outerHTML"))
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) == "solid"
    assert reached == focusable


@pytest.mark.parametrize("width", [320, 360, 768])
def test_a_narrow_screen_scrolls_one_way(page: Any, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    # A figure is not made so small that it cannot be read.
    widths = page.evaluate("[...document.querySelectorAll('.figure > img')].map(e => e.width)")
    assert min(widths) >= 430


def test_headings_go_down_step_by_step(page: Any, address: str) -> None:
    page.goto(address)
    levels = page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4')].map(each => +each.tagName[1])"
    )
    assert levels[0] == 1
    assert max(after - before for before, after in itertools.pairwise(levels)) == 1


def test_paper_holds_every_figure_whole(page: Any, address: str) -> None:
    page.set_viewport_size({"width": PAGE_WIDTH, "height": PAGE_HEIGHT})
    page.emulate_media(media="print")
    page.goto(address)
    boxes = page.evaluate(
        "[...document.querySelectorAll('img, table, .flow, .parts')]"
        ".map(each => each.getBoundingClientRect()).map(box => [box.left, box.right, box.height])"
    )
    assert len(boxes) > 25
    for left, right, _ in boxes:
        assert left >= 0
        assert right <= PAGE_WIDTH + 1
    figures = page.evaluate(
        "[...document.querySelectorAll('figure')].map(each => each.getBoundingClientRect().height)"
    )
    # Lower than a page, and never broken across two.
    assert max(figures) < PAGE_HEIGHT
    kept = "[...document.querySelectorAll('figure')].map(e => getComputedStyle(e).breakInside)"
    assert set(page.evaluate(kept)) == {"avoid"}
    assert page.pdf(format="A4").startswith(b"%PDF")
