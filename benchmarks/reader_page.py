"""How fast the pages of a reader study are while 30 readers read, and what they withstand.

``python benchmarks/reader_page.py`` makes a study of phantoms, serves it as `cervispine read serve`
does, and lets 30 readers read at once: 29 by the calls that their pages make, a case every four
seconds, several times as fast as anybody reads, and one in a real chromium, which is measured. Then
it sends 10,000 requests that schemathesis makes of the description of the calls, half of them
malformed. Everything stays on this machine.

Prints `name ratio target pass|fail`: seconds, milliseconds, or requests that fell over or leaked.
``--pictures FOLDER`` also writes the pictures of the documentation; ``--requests`` how many.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select
from starlette.testclient import TestClient

from cervispine import Loader, Phantom
from cervispine.phantom import PhantomCohort
from cervispine.reader_study.guard import Rates
from cervispine.reader_study.schema import CaseRow, ReadingRow
from cervispine.reader_study.server import make_app
from cervispine.reader_study.store import Store
from cervispine.records import CLASSES

READERS = 30
READY, SLICE, SAVED = 2.0, 50.0, 200.0
#: Seconds between two answers of one of the crowd; each case has a draft and an answer.
PAUSE = 2.0
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

ANSWER = {"call": 0, "rating": 10, "type": None, "levels": [], "quality": "good", "comment": ""}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        phantom = Phantom(n_opll=4, n_dss=4, difficulty=0.3, seed=3, sequences=["T2", "T1"])
        cohort = phantom.write(folder / "cohort")
        if options.pictures is not None:
            take_pictures(folder, cohort, options.pictures)
        results = [*measure(folder, cohort), *fuzz(folder / "study", options.requests)]
    failed = False
    for what, value, target, passed in results:
        failed |= not passed
        print(f"{what} {value:.3g} {target:g} {'pass' if passed else 'fail'}")
    return int(failed)


@contextmanager
def served(folder: Path, *arguments: object) -> Iterator[dict[str, str]]:
    """Serve a study; give the links by reader, that of the administrator by ``progress``."""
    command = [sys.executable, "-m", "cervispine", "read", "serve", *map(str, arguments)]
    process = subprocess.Popen(
        [*command, "--out", str(folder), "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        told = ""
        while "Interrupt" not in told:
            line = process.stdout.readline()
            assert line, "the server ended"
            told += line
        yield dict(re.findall(r"^  \(?(\w+)\b.* (http:\S+)$", told, re.MULTILINE))
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measure(folder: Path, cohort: PhantomCohort) -> list[tuple[str, float, float, bool]]:
    names = [f"reader{number:02d}" for number in range(READERS)]
    saved: list[float] = []
    stop = threading.Event()
    with served(
        folder / "study", cohort.dicom, "--readers", ",".join(names), "--sequences", "T2,T1",
        "--repeats", 4,
    ) as links, sync_playwright() as started:  # fmt: skip
        crowd = [
            threading.Thread(target=read_by_calls, args=(links[name], stop, saved))
            for name in names[1:]
        ]
        for each in crowd:
            each.start()
            time.sleep(PAUSE / len(crowd))
        try:
            browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            begun = time.perf_counter()
            page.goto(links[names[0]])
            page.wait_for_selector("#start:visible")
            page.click("#start")
            page.wait_for_selector("body[data-ready]")
            ready = time.perf_counter() - begun
            page.wait_for_timeout(1000)
            slices = change_slices(page)
            browser.close()
        finally:
            stop.set()
            for each in crowd:
                each.join()
    slowest, kept = float(np.percentile(slices, 95)), float(np.percentile(saved, 95))
    print(f"# {READERS} readers at once; {len(saved)} answers kept meanwhile; slices: median "
          f"{np.median(slices):.0f} ms, 95th percentile {slowest:.0f} ms")  # fmt: skip
    return [
        ("reader_page_ready_s", ready, READY, ready < READY),
        ("reader_page_slice_ms", slowest, SLICE, slowest < SLICE),
        ("reader_page_answer_kept_ms", kept, SAVED, kept < SAVED),
    ]


def change_slices(page: Page) -> list[float]:
    """Return the milliseconds from a key to the slice on the canvas, 40 times."""
    return page.evaluate(
        """async () => {
            const image = document.getElementById("image");
            const times = [];
            for (let turn = 0; turn < 40; turn++) {
                await new Promise((later) => setTimeout(later, 60));
                const key = turn % 20 < 10 ? "ArrowUp" : "ArrowDown";
                const drawn = new Promise((done) =>
                    image.addEventListener("CORNERSTONE_IMAGE_RENDERED", done, { once: true }));
                const begun = performance.now();
                image.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
                const ended = await Promise.race([
                    drawn.then(() => performance.now()),
                    new Promise((later) => setTimeout(() => later(null), 1000)),
                ]);
                // At the first slice there is nothing to change.
                if (ended !== null) times.push(ended - begun);
            }
            return times;
        }"""
    )


def read_by_calls(link: str, stop: threading.Event, saved: list[float]) -> None:
    """Read case after case as a page does: images, opening, a draft, the answer, a pause."""
    address, token = link.split("/#")
    with httpx2.Client(base_url=address, timeout=60) as client:
        client.post("/api/enter", json={"token": token}).raise_for_status()
        headers = {"X-CSRF-Token": client.get("/api/me").json()["csrf"]}
        for each in client.get("/api/list").json()["readings"]:
            path = f"/api/readings/{each['id']}"
            for image in client.get(path).json()["images"]:
                # Unpacked by nobody: readers' own computers would do that.
                with client.stream("GET", f"{path}/images/{image['place']}") as sent:
                    sent.raise_for_status()
                    for _ in sent.iter_raw():
                        pass
            client.post(f"{path}/begin", headers=headers).raise_for_status()
            for complete in (False, True):
                if stop.wait(PAUSE):
                    return
                begun = time.perf_counter()
                body = {"answer": ANSWER, "complete": complete, "seconds": 0.5}
                client.put(f"{path}/answer", json=body, headers=headers).raise_for_status()
                saved.append(1000 * (time.perf_counter() - begun))


def fuzz(folder: Path, wanted: int) -> list[tuple[str, float, float, bool]]:
    """Send what fits the calls and what does not, as a stranger, a reader and the administrator."""
    plenty = "1000000/second"
    store = Store(folder)
    app = make_app(store, rates=Rates(address=plenty, stranger=plenty, person=plenty))
    schema = schemathesis.openapi.from_dict(app.openapi())
    calls = [each.ok() for each in schema.get_all_operations()]
    calls = [call for call in calls if call.path != "/api/leave"]
    with store.reads() as session:
        patients = [row.patient for row in session.scalars(select(CaseRow))]
        reading = session.scalars(
            select(ReadingRow.id).where(ReadingRow.reader == 1).order_by(ReadingRow.position)
        ).first()
    counts = {"sent": 0, "fell": 0, "leaked": 0}
    rounds = 0
    while counts["sent"] < wanted:
        rounds += 1
        for who in (None, 0, 1):
            with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as at:
                csrf = ""
                if who is not None:
                    at.post("/api/enter", json={"token": store.make_link(who)})
                    csrf = at.get("/api/me" if who else "/api/administrator").json()["csrf"]

                def send(case: Any, at: TestClient = at, csrf: str = csrf) -> None:
                    if "reading" in (case.path_parameters or {}):
                        case.path_parameters["reading"] = reading
                    case.headers["X-CSRF-Token"] = csrf
                    answer = at.request(**case.as_transport_kwargs(base_url="http://127.0.0.1"))
                    counts["sent"] += 1
                    counts["fell"] += answer.status_code >= 500
                    counts["leaked"] += any(patient in answer.text for patient in patients)

                for call in calls:
                    send_many(call, send, rounds)
    store.audit()
    store.close()
    print(f"# {counts['sent']} requests: {counts['fell']} fell over, {counts['leaked']} leaked")
    wrong = counts["fell"] + counts["leaked"]
    return [("reader_page_fuzzed", wrong, 0, wrong == 0)]


def send_many(call: Any, send: Callable[[Any], None], number: int) -> None:
    for mode in schemathesis.GenerationMode:
        cases = call.as_strategy(generation_mode=mode)
        test = settings(
            max_examples=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(seed(number)(given(case=cases)(lambda case: send(case))))
        with suppress(Unsatisfiable):
            test()


def take_pictures(folder: Path, cohort: PhantomCohort, pictures: Path) -> None:
    """Write what the documentation shows: an aided case, and the administrator's page."""
    studies = Loader().index(cohort.dicom).with_labels(cohort.labels)
    scores = folder / "scores.csv"
    scores.write_text(
        "patient,model,score,call\n"
        + "".join(f"{each.patient},net,{0.1 + 0.8 * each.label},{each.label}\n" for each in studies)
    )
    training = folder / "training.csv"
    training.write_text(
        "patient,label\n"
        + "".join(f"{each.patient},{CLASSES[each.label]}\n" for each in [*studies][:2])
    )
    pictures.mkdir(parents=True, exist_ok=True)
    with served(
        folder / "pictured", cohort.dicom, "--readers", "Ito,Sato,Abe", "--sequences", "T2,T1",
        "--scores", scores, "--training", training, "--title", "OPLL on MRI, phantoms",
    ) as links, sync_playwright() as started:  # fmt: skip
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1180, "height": 760}).new_page()
        page.goto(links["Ito"])
        page.click("#start")
        page.wait_for_selector("body[data-ready]")
        page.wait_for_selector("#reading:not(.waiting)")
        page.keyboard.press("o")
        page.locator("#sure").fill("85")
        for value in ("segmental", "C4", "C5", "good"):
            page.locator(f"#form input[value={value}]").check()
        page.click("[data-tool=Length]")
        box = page.locator("#image").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x - 10, y)
        page.mouse.down()
        page.mouse.move(x + 40, y + 8, steps=5)
        page.mouse.up()
        page.wait_for_timeout(800)
        page.screenshot(path=pictures / "reader-study.png")
        page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        page.wait_for_selector("#feedback:visible")
        other = browser.new_context(viewport={"width": 1180, "height": 620}).new_page()
        other.goto(links["progress"])
        other.wait_for_selector("#progress-page:visible")
        other.screenshot(path=pictures / "reader-study-progress.png")
        browser.close()
    for path in pictures.glob("reader-study*.png"):
        # As many colours as a dark page with grey images has; a third of the size.
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(160)
        few.save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main())
