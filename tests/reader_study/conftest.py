"""A small study of phantoms, made once and copied for each test, and people who read it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `reader` is not installed")
import uvicorn
from fastapi.testclient import TestClient

from cervispine import Cohort
from cervispine.reader_study import ARMS, Design
from cervispine.reader_study.cases import Materials
from cervispine.reader_study.guard import Rates
from cervispine.reader_study.server import listen, make_app
from cervispine.reader_study.store import Store
from cervispine.reader_study.study import make_study

CHROMIUM = next(
    (path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), ""
)

UNHURRIED = Rates(address="100000/second", stranger="100000/second", person="100000/second")

ANSWER = {
    "call": 1,
    "rating": 80,
    "type": "segmental",
    "levels": ["C5", "C6"],
    "quality": "good",
    "comment": "",
}
NO_OPLL = {"call": 0, "rating": 10, "type": None, "levels": [], "quality": "good", "comment": ""}


@attrs.define
class Clock:
    """A clock that goes when it is told to."""

    now: datetime = datetime(2026, 1, 5, 9, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **more: float) -> None:
        self.now += timedelta(**more)


@attrs.define
class WallClock:
    """The clock on the wall, which can be put forward."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def pass_by(self, **more: float) -> None:
        self.ahead += timedelta(**more)


@attrs.define
class Browser:
    """Somebody at a browser."""

    client: TestClient
    csrf: str = ""

    def get(self, path: str, **more: Any) -> Any:
        return self.client.get(path, **more)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        headers = {"X-CSRF-Token": self.csrf, **more.pop("headers", {})}
        return self.client.request(method, path, json=body, headers=headers, **more)

    def enter(self, token: str) -> Any:
        answer = self.client.post("/api/enter", json={"token": token})
        if answer.status_code == 200:
            place = "administrator" if answer.json()["administrator"] else "me"
            self.csrf = self.get(f"/api/{place}").json()["csrf"]
        return answer

    def list(self) -> list[dict[str, str]]:
        return self.get("/api/list").json()["readings"]

    def read(self, reading: str, answer: dict[str, Any] = ANSWER, **more: Any) -> Any:
        begun = self.send("POST", f"/api/readings/{reading}/begin")
        if begun.status_code != 200:
            return begun
        body = {"answer": answer, "complete": True, "seconds": 0.0, **more}
        return self.send("PUT", f"/api/readings/{reading}/answer", body)

    def read_all(self, say: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: ANSWER) -> None:
        for each in self.list():
            shown = self.get(f"/api/readings/{each['id']}").json()
            answer = self.read(each["id"], say(shown))
            assert answer.status_code == 200, answer.text


@attrs.define
class Site:
    """A study that is served, inside the process of the test."""

    store: Store
    clock: Clock
    rates: Rates = UNHURRIED

    def browser(self, number: int | None = None) -> Browser:
        """Return a browser; signed in as a reader, or as 0, the administrator."""
        app = make_app(self.store, rates=self.rates)
        browser = Browser(TestClient(app, base_url="http://127.0.0.1"))
        if number is not None:
            assert browser.enter(self.store.make_link(number)).status_code == 200
        return browser


@pytest.fixture(scope="session")
def patients(cohort: Cohort) -> Cohort:
    """Return eight patients, of both classes."""
    return Cohort([*cohort][::3])


@pytest.fixture(scope="session")
def tables(patients: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with training.csv (two patients), scores.csv and heat maps."""
    folder = tmp_path_factory.mktemp("tables")
    names = patients.patients
    labels = ["OPLL" if study.label else "DSS" for study in patients]
    rows = [f"{names[place]},{labels[place]}," for place in (0, 5)]
    (folder / "training.csv").write_text("\n".join(["patient,label,type", *rows]) + "\n")
    (folder / "scores.csv").write_text(
        "patient,model,score,call\n"
        + "".join(
            f"{name},net,{0.2 + 0.6 * (label == 'OPLL')},{int(label == 'OPLL')}\n"
            for name, label in zip(names, labels, strict=True)
        )
    )
    (folder / "heat").mkdir()
    for name in names:
        Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save(folder / "heat" / f"{name}.png")
    return folder


def _make(folder: Path, design: Design, materials: Materials) -> Path:
    make_study(folder, design, materials).close()
    return folder


@pytest.fixture(scope="session")
def plain_folder(patients: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of one arm: three readers, eight cases, two of them twice."""
    design = Design(readers=("ann", "bob", "cy"), repeats=2, seed=7)
    return _make(tmp_path_factory.mktemp("plain") / "study", design, Materials(cohort=patients))


@pytest.fixture(scope="session")
def aided_folder(patients: Cohort, tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of both arms with training: two readers, six cases."""
    design = Design(readers=("ann", "bob"), arms=ARMS, washout=14, seed=7)
    materials = Materials(
        cohort=patients,
        training=tables / "training.csv",
        scores=tables / "scores.csv",
        heatmaps=tables / "heat",
    )
    return _make(tmp_path_factory.mktemp("aided") / "study", design, materials)


def _site(folder: Path, tmp_path: Path) -> Iterator[Site]:
    copy = tmp_path / "study"
    shutil.copytree(folder, copy)
    clock = Clock()
    store = Store(copy, clock=clock)
    yield Site(store, clock)
    store.close()


@pytest.fixture
def plain(plain_folder: Path, tmp_path: Path) -> Iterator[Site]:
    yield from _site(plain_folder, tmp_path)


@pytest.fixture
def aided(aided_folder: Path, tmp_path: Path) -> Iterator[Site]:
    yield from _site(aided_folder, tmp_path)


@contextmanager
def serving(store: Store) -> Iterator[str]:
    """Serve a study on a port of its own, inside this process; give its address."""
    listening = listen("127.0.0.1", 0)
    config = uvicorn.Config(make_app(store), log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def launch() -> Iterator[Callable[..., Any]]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:

        def launched(*arguments: str) -> Any:
            return started.chromium.launch(
                executable_path=CHROMIUM, args=["--no-sandbox", *arguments]
            )

        yield launched


@pytest.fixture(scope="module")
def chromium(launch: Callable[..., Any]) -> Iterator[Any]:
    browser = launch()
    yield browser
    browser.close()


def open_page(context: Any, address: str, faults: list[str]) -> Any:
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda told: faults.append(told.text) if "Content Security" in told.text else None,
    )
    page.goto(address)
    page.wait_for_selector("#start:visible")
    return page


def begin(page: Any) -> None:
    page.click("#start")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector("#reading:not(.waiting)")


def case_of(page: Any) -> str:
    return str(page.evaluate("document.body.dataset.ready"))


def next_case(page: Any) -> None:
    before = case_of(page)
    page.keyboard.press("Enter")
    page.wait_for_function(
        "before => document.body.dataset.ready !== before || document.getElementById('ask').open",
        arg=before,
    )
    page.wait_for_selector("#reading:not(.waiting)")
