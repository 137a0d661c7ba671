"""The pages in a real browser: three readers, a killed server, a closed page, a comparison.

Needs chromium; the rest is proved without, by the calls that
the pages make.
"""

from __future__ import annotations

import csv
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `reader` is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from cervispine import Cohort, ReaderTable
from cervispine.phantom import PhantomCohort
from cervispine.reader_study.schema import ReadingRow

from .conftest import CHROMIUM, Site, WallClock, begin, case_of, next_case, open_page, serving

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium")

READERS = ("ann", "bob", "cy")
LINK = re.compile(r"^  (\S+).* (http://127\.0\.0\.1:\d+/\S*#[\w-]{43})$", re.MULTILINE)


class Server:
    """`cervispine read serve`, as somebody starts it, and as it can be killed."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.process: subprocess.Popen[str] | None = None

    def start(self, *arguments: object) -> dict[str, str]:
        command = [sys.executable, "-m", "cervispine", "read", "serve", *map(str, arguments)]
        command += ["--out", str(self.folder), "--port", str(self.port)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        told = ""
        while "Interrupt" not in told:
            line = self.process.stdout.readline()
            assert line, "the server ended"
            told += line
        return {name.strip("("): link for name, link in LINK.findall(told)}

    def kill(self) -> None:
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdout.close()
            self.process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(tmp_path / "study", port)
    yield server
    server.kill()


def answer(page: Any, *, opll: bool, sure: int) -> None:
    """Answer by keys alone, as somebody without a mouse does."""
    page.keyboard.press("o" if opll else "n")
    page.keyboard.press("c")
    page.keyboard.press("End" if sure == 100 else "Home")
    if sure not in (0, 100):
        for _ in range(sure):
            page.keyboard.press("ArrowRight")
    for value in ("segmental", "C5", "good") if opll else ("good",):
        page.locator(f"#form input[value={value}]").focus()
        page.keyboard.press("Space")
    page.keyboard.press("Escape")
    # Nobody answers within a twentieth of a second, which the export rounds to none.
    page.wait_for_timeout(100)


def drag(page: Any, x: int, y: int, button: str = "left") -> None:
    box = page.locator("#image").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down(button=button)
    page.mouse.move(box["x"] + box["width"] / 2 + x, box["y"] + box["height"] / 2 + y, steps=6)
    page.mouse.up(button=button)


def facts(page: Any) -> dict[str, float]:
    """Return slice, window, level and zoom, as the page shows them."""
    page.wait_for_timeout(120)
    text = page.locator("#facts").text_content()
    found = re.fullmatch(
        r"(\w+) · slice (\d+) of (\d+) · W (-?\d+) L (-?\d+) · zoom ([\d.]+)", text
    )
    assert found, text
    names = ("slice", "slices", "width", "level", "zoom")
    return {name: float(value) for name, value in zip(names, found.groups()[1:], strict=True)}


@pytest.mark.slow
def test_three_readers_a_killed_server_a_closed_page_and_a_comparison(
    server: Server,
    chromium: Any,
    phantom: PhantomCohort,
    patients: Cohort,
    tables: Path,
    tmp_path: Path,
) -> None:
    cases = tmp_path / "cases.csv"
    chosen = [study for label in (0, 1) for study in patients if study.label == label]
    chosen = [*chosen[:2], *chosen[-2:]]
    cases.write_text("\n".join(["patient", *(study.patient for study in chosen)]) + "\n")
    links = server.start(phantom.dicom, "--readers", ",".join(READERS), "--cases", cases)
    assert set(links) == {*READERS, "progress,"}
    faults: list[str] = []
    contexts = {
        name: chromium.new_context(viewport={"width": 1280, "height": 800}) for name in READERS
    }
    pages = {name: open_page(contexts[name], links[name], faults) for name in READERS}
    for name, page in pages.items():
        assert "#" not in page.url
        begin(page)
        answer(page, opll=name != "cy", sure=100 if name != "cy" else 0)
        next_case(page)
    # Ann has begun her second case when the server dies; she goes on speaking meanwhile.
    answer(pages["ann"], opll=False, sure=7)
    pages["ann"].wait_for_selector("#saved:text-is('Saved')")
    # Bob's page is closed, after an answer that he did not finish.
    pages["bob"].keyboard.press("o")
    pages["bob"].wait_for_selector("#saved:text-is('Saved')")
    pages["bob"].close()
    server.kill()
    pages["ann"].locator("textarea").fill("said while nobody listened")
    pages["ann"].wait_for_selector("#saved.bad")
    server.start()
    pages["ann"].wait_for_selector("#saved:text-is('Saved')")
    pages["ann"].keyboard.press("Escape")
    pages["bob"] = open_page(contexts["bob"], f"http://127.0.0.1:{server.port}/", faults)
    begin(pages["bob"])
    assert pages["bob"].locator("#where").text_content() == "Session 1, case 2 of 4"
    assert pages["bob"].locator("input[name=call][value='1']").is_checked()
    for name, page in pages.items():
        for number in (2, 3, 4):
            assert f"case {number} of 4" in page.locator("#where").text_content()
            if (name, number) != ("ann", 2):
                answer(page, opll=number % 2 == 0, sure=number)
            next_case(page)
        page.click("#ask button[value=yes]")
        page.wait_for_selector("#overview:visible")
        assert "read everything" in page.locator("#sessions").text_content()
    assert faults == []
    exported = [sys.executable, "-m", "cervispine", "read", "export", server.folder]
    subprocess.run([*exported, "--out", tmp_path / "reads"], check=True, capture_output=True)
    table = ReaderTable.from_csv(tmp_path / "reads" / "readers.csv")
    assert (set(table.readers), len(table.patients)) == ({*READERS}, 4)
    with (tmp_path / "reads" / "readers.csv").open(newline="") as stream:
        written = [row for row in csv.DictReader(stream) if row["reader"] == "ann"]
    assert [row["call"] for row in written] == ["1", "0", "0", "1"]
    assert [row["rating"] for row in written] == ["100", "7", "3", "4"]
    assert written[1]["comment"] == "said while nobody listened"
    assert all(0 < float(row["seconds"]) < 120 for row in written)
    scores = tmp_path / "scores.csv"
    header, *lines = (tables / "scores.csv").read_text().splitlines()
    read = set(table.patients)
    scores.write_text("\n".join([header, *(x for x in lines if x.split(",")[0] in read)]) + "\n")
    compared = subprocess.run(
        [sys.executable, "-m", "cervispine", "compare", "--truth", phantom.labels,
         "--scores", scores, "--readers", tmp_path / "reads" / "readers.csv",
         "--out", tmp_path / "comparison"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert all(name in compared.stdout for name in READERS)
    assert (tmp_path / "comparison" / "comparison.json").is_file()


@pytest.fixture
def link(plain: Site) -> Iterator[str]:
    """Serve a study; return a reader's link."""
    plain.store.clock = WallClock()
    with serving(plain.store) as address:
        yield f"{address}/#{plain.store.make_link(1)}"


@pytest.fixture
def page(link: str, chromium: Any) -> Iterator[Any]:
    faults: list[str] = []
    context = chromium.new_context(viewport={"width": 1000, "height": 700})
    page = open_page(context, link, faults)
    begin(page)
    yield page
    context.close()
    assert faults == []


def test_the_same_link_again_finds_a_browser_that_is_signed_in(link: str, chromium: Any) -> None:
    context = chromium.new_context()
    open_page(context, link, []).close()
    again = open_page(context, link, [])
    assert again.locator("#reader").text_content() == "ann"
    stranger = chromium.new_context().new_page()
    stranger.goto(link)
    stranger.wait_for_selector("#message:has-text('not signed in')")


def test_mouse_and_keys_move_through_the_stack_and_change_what_is_seen(page: Any) -> None:
    first = facts(page)
    page.keyboard.press("ArrowDown")
    assert facts(page)["slice"] == first["slice"] + 1
    page.keyboard.press("Home")
    assert facts(page)["slice"] == 1
    page.keyboard.press("ArrowUp")
    assert facts(page)["slice"] == 1
    page.keyboard.press("End")
    assert facts(page)["slice"] == first["slices"]
    page.mouse.move(300, 300)
    page.mouse.wheel(0, -100)
    assert facts(page)["slice"] == first["slices"] - 1
    page.locator("#slice").fill("2")
    assert facts(page)["slice"] == 3
    page.keyboard.press("Escape")
    drag(page, 80, 0)
    wider = facts(page)
    assert wider["width"] != first["width"]
    page.keyboard.press("ArrowDown")
    again = facts(page)
    assert (again["width"], again["level"]) == (wider["width"], wider["level"])
    drag(page, 0, 1)
    assert abs(facts(page)["width"] - wider["width"]) < 0.05 * wider["width"], "a drag begins anew"
    page.keyboard.press("q")
    assert facts(page)["width"] < wider["width"]
    page.keyboard.press("a")
    assert facts(page)["level"] > again["level"]
    drag(page, 0, -60, "right")
    assert facts(page)["zoom"] != first["zoom"]
    page.keyboard.press("+")
    page.keyboard.press("r")
    reset = facts(page)
    assert {**reset, "slice": 0} == {**first, "slice": 0}


def test_one_finger_does_what_the_tool_says_and_two_zoom(link: str, chromium: Any) -> None:
    context = chromium.new_context(
        viewport={"width": 820, "height": 1180}, has_touch=True, is_mobile=True
    )
    page = open_page(context, link, [])
    begin(page)
    box = page.locator("#image").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    fingers = context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": a, "y": b, "id": place} for place, (a, b) in enumerate(points)]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def settled() -> dict[str, float]:
        # A busy machine draws what the fingers did some time after they did it.
        now, earlier = facts(page), None
        while now != earlier:
            page.wait_for_timeout(200)
            now, earlier = facts(page), now
        return now

    def changed(*, spread: bool = False) -> set[str]:
        before = settled()
        for step in range(9):
            points = [(x + 9 * step, y + 14 * step)]
            if spread:
                points = [(x - 50 - 8 * step, y), (x + 50 + 8 * step, y)]
            touch("touchMove" if step else "touchStart", *points)
            page.wait_for_timeout(25)
        touch("touchEnd")
        after = settled()
        return {name for name in before if before[name] != after[name]}

    assert changed() == {"slice"}, "on a tablet the first tool scrolls"
    page.tap("[data-tool=WindowLevel]")
    page.wait_for_selector("[data-tool=WindowLevel][aria-pressed=true]")
    assert changed() >= {"width", "level"}
    assert changed(spread=True) == {"zoom"}
    page.tap("[data-tool=Length]")
    page.wait_for_selector("[data-tool=Length][aria-pressed=true]")
    assert changed() == set()
    assert page.locator("#image svg text").first.text_content().endswith("mm")
    context.close()


def test_the_ruler_is_as_long_as_the_image_says(page: Any) -> None:
    page.click("[data-tool=Length]")
    zoom = page.evaluate("document.getElementById('facts').textContent.match(/zoom (.+)/)[1]")
    reading = case_of(page)
    shown = page.evaluate("id => fetch(`/api/readings/${id}`).then(r => r.json())", reading)
    height = page.locator("#image").bounding_box()["height"]
    drag(page, 120, 50)
    page.wait_for_timeout(400)
    told = page.locator("#image svg text").first.text_content()
    _, rows, _ = shown["images"][0]["shape"]
    _, between_rows, between_columns = shown["images"][0]["spacing"]
    assert between_rows == pytest.approx(between_columns)
    scale = height / rows
    assert float(zoom) == pytest.approx(scale, abs=0.06)
    length = (120**2 + 50**2) ** 0.5 / scale * between_rows
    assert float(told.split()[0]) == pytest.approx(length, rel=0.015)
    assert told.endswith("mm")


def test_nothing_is_said_of_a_case_whose_images_are_not_there(link: str, chromium: Any) -> None:
    context = chromium.new_context()
    page = open_page(context, link, [])
    held: list[Any] = []
    # The first image is on its way until it is let go.
    page.route("**/images/0", lambda route: route.continue_() if held else held.append(route))
    page.click("#start")
    page.wait_for_selector("#reading.waiting")
    questions = page.locator("#form input, #form textarea")
    # The server would refuse it, and the reader be sent back to the overview.
    assert all(each.is_disabled() for each in questions.all())
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_selector("#reading:not(.waiting)")
    answer(page, opll=False, sure=0)
    page.wait_for_selector("#saved:text-is('Saved')")
    context.close()


def test_whoever_comes_back_from_the_overview_finds_the_form_as_it_was(page: Any) -> None:
    answer(page, opll=True, sure=7)
    for _ in range(2):
        page.click("#pause")
        page.wait_for_selector("#overview:visible")
        begin(page)
    assert page.locator(".ends").all_inner_texts() == ["surely no OPLL\nsurely OPLL"]
    assert page.locator("#sure").input_value() == "7"
    assert page.locator("input[name=call][value='1']").is_checked()


def test_a_comment_is_kept_in_any_script_and_without_what_nobody_sees(
    page: Any, plain: Site
) -> None:
    answer(page, opll=False, sure=0)
    page.locator("textarea").fill("後縦靱帯\u3000骨化\u00a0?\u200b\u202e\ufeff \U0001f9b4\u2028")
    page.wait_for_selector("#saved:text-is('Saved')")
    page.keyboard.press("Escape")
    reading = case_of(page)
    next_case(page)
    with plain.store.reads() as session:
        kept = session.get_one(ReadingRow, reading).answer["comment"]
    assert kept == "後縦靱帯\u3000骨化\u00a0? \U0001f9b4"


def test_what_is_missing_is_marked_and_nothing_is_skipped_silently(page: Any) -> None:
    page.keyboard.press("Enter")
    page.wait_for_selector("fieldset.missing")
    missing = page.locator("fieldset.missing").evaluate_all(
        "all => all.map(x => x.dataset.question)"
    )
    assert missing == ["call", "rating", "quality"]
    page.keyboard.press("Escape")
    answer(page, opll=False, sure=0)
    assert page.locator("fieldset.missing").count() == 0
    next_case(page)
    before = case_of(page)
    page.click("#later")
    page.click("#ask button[value=no]")
    assert case_of(page) == before
    page.click("#later")
    page.click("#ask button[value=yes]")
    page.wait_for_function("before => document.body.dataset.ready !== before", arg=before)
    page.wait_for_selector("#reading:not(.waiting)")
    while not page.locator("#ask[open]").count():
        answer(page, opll=False, sure=0)
        next_case(page)
    assert "left for later" in page.locator("#question").text_content()
    page.click("#ask button[value=yes]")
    page.wait_for_function("before => document.body.dataset.ready === before", arg=before)


def test_after_preloading_no_image_is_asked_for(page: Any) -> None:
    asked: list[str] = []
    page.wait_for_timeout(1500)
    page.on("request", lambda request: asked.append(request.url))
    answer(page, opll=False, sure=0)
    next_case(page)
    shown = case_of(page)
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(200)
    assert not [url for url in asked if f"{shown}/images" in url]
    elsewhere = [url for url in asked if not re.match("(blob:)?http://127.0.0.1:", url)]
    assert elsewhere == []


def test_a_reading_room_without_graphics_card_can_read(
    link: str, launch: Callable[..., Any]
) -> None:
    browser = launch("--disable-gpu", "--disable-software-rasterizer", "--disable-3d-apis")
    faults: list[str] = []
    page = open_page(browser.new_context(), link, faults)
    assert page.evaluate("document.createElement('canvas').getContext('webgl2') === null")
    begin(page)
    assert facts(page)["slices"] > 5
    bright = page.evaluate(
        """(() => {
            const canvas = document.querySelector("#image canvas");
            const context = canvas.getContext("2d");
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            return data.filter((value, place) => place % 4 === 0 && value > 60).length
                / (data.length / 4);
        })()"""
    )
    browser.close()
    assert bright > 0.05
    assert faults == []


def test_the_time_that_a_case_was_looked_at_is_kept(page: Any) -> None:
    begun = time.monotonic()
    page.wait_for_timeout(1200)
    answer(page, opll=False, sure=0)
    next_case(page)
    passed = time.monotonic() - begun
    shown = page.evaluate("fetch('/api/me').then(r => r.json())")
    seconds = shown["sessions"][0]["seconds"]
    # The page had begun to count before this test did.
    assert 1.0 <= seconds <= passed + 3
