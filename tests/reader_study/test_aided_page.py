"""The aided arm in a real browser, from the first training case to the comparison of the arms.

Two readers are trained, read a session, wait, read the other, and what is exported is compared
with what they clicked. What a reader may not have is asked for by every call that there is.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra `reader` is not installed")
pytest.importorskip("playwright", reason="playwright is not installed")

from cervispine import Cohort
from cervispine.evaluation import mrmc
from cervispine.phantom import PhantomCohort
from cervispine.reader_study import ARMS, Design
from cervispine.reader_study.cases import Materials
from cervispine.reader_study.images import heatmap_path
from cervispine.reader_study.schema import CaseRow, ReadingRow
from cervispine.reader_study.server import make_app
from cervispine.reader_study.store import Store
from cervispine.reader_study.study import make_study

from .conftest import CHROMIUM, WallClock, begin, case_of, next_case, open_page, serving

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium"),
    # Two readers of four cases: that they are few is said, and is no fault here.
    pytest.mark.filterwarnings("ignore::cervispine.exceptions.StatisticsWarning"),
]

READERS = ("ann", "bob")
#: With it those that come twice are one of each class.
SEED = 3
#: Of the heat map of the first patient, and from each to the next.
GREY, STEP = 40, 20
TABLET = {"viewport": {"width": 1024, "height": 768}, "has_touch": True, "is_mobile": True}


@attrs.frozen(kw_only=True)
class Said:
    """What was clicked for a case, and what the database knows of the case."""

    reader: str
    patient: str
    session: int
    arm: str
    repeated: bool
    call: int
    rating: int
    quality: str


@attrs.define
class Ward:
    """A study that is served, and who is said to have OPLL."""

    store: Store
    clock: WallClock
    address: str
    truth: dict[str, int]

    def place(self, case: CaseRow) -> int:
        """Return where the patient of a case stands in the cohort."""
        return list(self.truth).index(case.patient)

    def find(self, reading: str) -> tuple[ReadingRow, CaseRow]:
        with self.store.reads() as session:
            row = session.get_one(ReadingRow, reading)
            case = session.get_one(CaseRow, row.case)
            session.expunge_all()
        return row, case

    def readings_of(self, reader: int, case: int) -> list[ReadingRow]:
        """Return a reader's readings of a case, of both sessions."""
        with self.store.reads() as session:
            rows = session.query(ReadingRow).filter_by(reader=reader, case=case).all()
            session.expunge_all()
        return rows

    def heatmap(self, case: int) -> bytes:
        return heatmap_path(self.store.folder, case).read_bytes()


@pytest.fixture
def ward(patients: Cohort, tables: Path, tmp_path: Path) -> Iterator[Ward]:
    """Serve four cases, two of them twice in a session, and two of training."""
    names, labels = patients.patients, [study.label for study in patients]
    taught = [row["patient"] for row in rows(tables / "training.csv")]
    kinds = ("mixed" if label else "" for label in labels)
    lessons = [
        f"{name},{'OPLL' if label else 'DSS'},{kind}\n"
        for name, label, kind in zip(names, labels, kinds, strict=True)
        if name in taught
    ]
    (tmp_path / "training.csv").write_text("patient,label,type\n" + "".join(lessons))
    untaught = [study for study in patients if study.patient not in taught]
    chosen = [
        study.patient
        for label in (0, 1)
        for study in [each for each in untaught if each.label == label][:2]
    ]
    (tmp_path / "cases.csv").write_text("\n".join(["patient", *chosen]) + "\n")
    # No two patients have a probability or a picture in common, so that each can be told.
    (tmp_path / "heat").mkdir()
    scores = "patient,model,score\n"
    for place, name in enumerate(names):
        scores += f"{name},net,{0.1371 + 0.0917 * place:.4f}\n"
        picture = np.full((60, 90, 3), GREY + STEP * place, np.uint8)
        Image.fromarray(picture).save(tmp_path / "heat" / f"{name}.png")
    (tmp_path / "scores.csv").write_text(scores)
    materials = Materials(
        cohort=patients,
        cases=tmp_path / "cases.csv",
        training=tmp_path / "training.csv",
        scores=tmp_path / "scores.csv",
        heatmaps=tmp_path / "heat",
    )
    design = Design(readers=READERS, arms=ARMS, repeats=2, washout=14, seed=SEED)
    store = make_study(tmp_path / "study", design, materials)
    store.clock = clock = WallClock()
    truth = {study.patient: int(study.label or 0) for study in patients}
    with serving(store) as address:
        yield Ward(store, clock, address, truth)
    store.close()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def opinion(ward: Ward, row: ReadingRow, case: CaseRow) -> tuple[int, int]:
    """Return what a reader says: call, and rating of OPLL."""
    truth = ward.truth[case.patient]
    if row.arm == "aided":
        return truth, (90 if truth else 10) + case.number % 5
    # Without the aid Bob changes his mind of whoever comes again and has no OPLL.
    changes = READERS[row.reader - 1] == "bob" and not truth and row.repeated
    return 1 - truth if changes else truth, 40 + 7 * (case.number * row.reader % 4)


def fill(page: Any, call: int, rating: int, quality: str) -> None:
    """Answer with mouse or finger."""
    page.locator(f"#form input[name=call][value='{call}']").check()
    page.locator("#sure").fill(str(rating))
    for value in ("mixed", "C4", "C5") if call else ():
        page.locator(f"#form input[value={value}]").check()
    page.locator(f"#form input[value={quality}]").check()


def everything(ward: Ward, page: Any, reading: str) -> dict[str, tuple[int, bytes]]:
    """Return what each call that gives something gives of a reading to whoever is at a page."""
    given = {}
    for path, methods in make_app(ward.store).openapi()["paths"].items():
        for place in range(3) if "{place}" in path else (0,):
            if "get" in methods:
                name = path.format(reading=reading, place=place)
                answer = page.context.request.get(ward.address + name)
                given[name] = (answer.status, answer.body())
    assert any(name.endswith("/heatmap") for name in given)
    return given


def gives_aid(ward: Ward, given: dict[str, tuple[int, bytes]], case: CaseRow) -> bool:
    content = [body for _, body in given.values()]
    told = any(str(case.probability).encode() in body for body in content)
    drawn = any(body == ward.heatmap(case.number) for body in content)
    assert told == drawn, "both or nothing"
    return told


def grey_of(page: Any) -> int:
    """Return how bright the large heat map is, once it is there."""
    page.wait_for_function("() => document.getElementById('heat-large').naturalWidth > 0")
    return int(
        page.evaluate(
            """() => {
                const canvas = document.createElement("canvas");
                const context = canvas.getContext("2d");
                context.drawImage(document.getElementById("heat-large"), 0, 0);
                return context.getImageData(5, 5, 1, 1).data[0];
            }"""
        )
    )


def check_aid(ward: Ward, page: Any, row: ReadingRow, case: CaseRow) -> None:
    """What the page shows and what can be had otherwise is that of the arm, and no more."""
    aided = row.arm == "aided"
    assert gives_aid(ward, everything(ward, page, row.id), case) == aided
    for other in ward.readings_of(row.reader, case.number):
        if (other.session, other.arm) != (row.session, row.arm):
            given = everything(ward, page, other.id)
            assert not gives_aid(ward, given, case), "another session's reading is none"
            assert {status for name, (status, _) in given.items() if other.id in name} == {404}
    percent = f"{round(100 * case.probability)} %"
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    if not aided:
        assert percent not in page.locator("#reading").inner_text()
        assert not page.locator("#aid").is_visible()
        assert not page.locator("#heat-large").is_visible()
        assert page.locator("#heat").get_attribute("src") is None
        assert page.locator("img[src]").count() == 0
        return
    assert page.locator("#probability").text_content() == percent
    large = page.locator("#heat-large")
    assert large.is_visible()
    assert grey_of(page) == GREY + STEP * ward.place(case), "the picture is the case's own"
    page.keyboard.press("h")
    assert not large.is_visible()
    page.locator("#heat-button").click()
    assert large.is_visible()
    large.click()
    assert not large.is_visible()


def train(ward: Ward, page: Any) -> None:
    """Go through the training; what is true is told after an answer, and ends it."""
    begin(page)
    total = 2
    for number in range(1, total + 1):
        assert page.locator("#where").text_content() == f"Training, case {number} of {total}"
        row, case = ward.find(case_of(page))
        check_aid(ward, page, row, case)
        assert not page.locator("#feedback").is_visible()
        truth = ward.truth[case.patient]
        call = truth if number == 1 else 1 - truth
        fill(page, call, 50, "good")
        before = everything(ward, page, row.id)[f"/api/readings/{row.id}"][1]
        assert json.loads(before)["feedback"] is None
        page.locator("#next").click()
        page.wait_for_selector("#feedback:visible")
        word = "Yes" if call == truth else "No"
        true = "OPLL, mixed" if truth else "no OPLL, but degenerative stenosis"
        assert page.locator("#feedback").text_content() == f"{word}: this is {true}."
        assert page.locator("#form fieldset:enabled").count() == 0
        assert page.locator("#later").is_hidden()
        # Of the last case the way back is none: the training is over.
        assert page.locator("#previous").is_disabled() == (number in (1, total))
        assert put(page, row.id, 1 - call) in (404, 409)
        assert ward.find(row.id)[0].answer["call"] == call
        page.locator("#next").click()
        if number < total:
            page.wait_for_function(
                "before => document.body.dataset.ready !== before", arg=case_of(page)
            )
            page.wait_for_selector("#reading:not(.waiting)")
    page.wait_for_selector("#start:has-text('Begin session 1')")
    assert "finished, 2 cases" in page.locator("#sessions").inner_text()


def put(page: Any, reading: str, call: int) -> int:
    """Send an answer as the page would, past the page; return the status."""
    answer = {"call": call, "rating": 3, "type": None, "levels": [], "quality": "good"}
    if call:
        answer |= {"type": "mixed", "levels": ["C4"]}
    return int(
        page.evaluate(
            """async ([reading, answer]) => {
                const { csrf } = await (await fetch("/api/me")).json();
                const sent = await fetch(`/api/readings/${reading}/answer`, {
                    method: "PUT",
                    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
                    body: JSON.stringify({ answer, complete: true }),
                });
                return sent.status;
            }""",
            [reading, answer],
        )
    )


def read_session(ward: Ward, page: Any, session: int) -> list[Said]:
    """Read a whole session, up to the question whether to lock it."""
    said = []
    page.wait_for_selector(f"#start:has-text('Begin session {session}')")
    begin(page)
    total = 6
    for number in range(1, total + 1):
        where = page.locator("#where").text_content()
        assert where == f"Session {session}, case {number} of {total}"
        row, case = ward.find(case_of(page))
        check_aid(ward, page, row, case)
        call, rating = opinion(ward, row, case)
        quality = ("good", "limited", "unusable")[number % 3]
        fill(page, call, rating, quality)
        assert page.locator("#feedback").is_hidden()
        said.append(
            Said(
                reader=READERS[row.reader - 1],
                patient=case.patient,
                session=session,
                arm=row.arm,
                repeated=row.repeated,
                call=call,
                rating=rating,
                quality=quality,
            )
        )
        if number == 3:
            page.locator("#pause").click()
            begin_again = page.wait_for_selector("#start:has-text('Go on')")
            assert begin_again is not None
            begin(page)
            assert page.locator("#where").text_content().startswith(f"Session {session}, case 3")
            assert page.locator("#sure").input_value() == str(rating)
            assert page.locator(".ends").count() == 1, "what stands below the scale, once"
        page.keyboard.press("Escape")
        next_case(page)
    assert "never be changed" in page.locator("#question").text_content()
    assert sum(each.repeated for each in said) == 2
    return said


def lock(ward: Ward, page: Any, reading: str, *, other_tab: bool) -> None:
    """Lock a session; nothing of it can be changed then, from this page or another."""
    kept = ward.find(reading)[0].answer
    if other_tab:
        other = page.context.new_page()
        other.goto(ward.address)
        other.wait_for_selector("#start:visible")
        begin(other)
        # Until it is locked an answer may be mended, from any page.
        assert other.locator("#form fieldset:enabled").count() > 0
    page.click("#ask button[value=yes]")
    page.wait_for_selector("#overview:visible")
    assert put(page, reading, 1 - kept["call"]) == 409
    if other_tab:
        other.locator("textarea").fill("too late")
        other.wait_for_selector("#overview:visible")
        other.close()
    assert ward.find(reading)[0].answer == kept


def wait_in_vain(ward: Ward, page: Any) -> None:
    """The second session stays shut until its time, whatever is tried."""
    for days in (0, 13.99):
        ward.clock.pass_by(days=days)
        page.reload()
        page.wait_for_selector("#overview:visible")
        assert page.locator("#start").is_hidden()
        assert "The next session opens on" in page.locator("#sessions").inner_text()
        told = page.context.request.get(f"{ward.address}/api/list")
        assert (told.status, told.json()) == (409, {"reason": "washout"})
        with ward.store.reads() as session:
            later = session.query(ReadingRow).filter_by(reader=1, session=2, position=0).one()
        for _, body in everything(ward, page, later.id).values():
            assert b"probability" not in body


@pytest.mark.slow
def test_two_readers_are_trained_read_both_sessions_and_are_compared(
    ward: Ward, chromium: Any, phantom: PhantomCohort, tmp_path: Path
) -> None:
    faults: list[str] = []
    contexts = {name: chromium.new_context(**TABLET) for name in READERS}
    pages = {
        name: open_page(context, f"{ward.address}/#{ward.store.make_link(number)}", faults)
        for number, (name, context) in enumerate(contexts.items(), start=1)
    }
    said: list[Said] = []
    for name, page in pages.items():
        train(ward, page)
        said += read_session(ward, page, 1)
        lock(ward, page, case_of(page), other_tab=name == "ann")
    wait_in_vain(ward, pages["ann"])
    refused = export(ward, tmp_path / "early", phantom)
    assert refused.returncode == 3
    assert "SESSIONS_OPEN" in refused.stderr
    ward.clock.pass_by(days=0.02)
    for page in pages.values():
        page.reload()
        said += read_session(ward, page, 2)
        lock(ward, page, case_of(page), other_tab=False)
        assert "read everything" in page.locator("#sessions").inner_text()
    assert faults == []
    for context in contexts.values():
        context.close()
    exported = export(ward, tmp_path / "reads", phantom)
    assert exported.returncode == 0, exported.stderr
    check_tables(tmp_path / "reads", said)
    check_agreement(tmp_path / "reads", said)
    check_comparison(ward, tmp_path / "reads", said, exported.stdout)


def export(ward: Ward, folder: Path, phantom: PhantomCohort) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cervispine", "read", "export", ward.store.folder]
    command += ["--labels", phantom.labels, "--out", folder]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def told_of(row: dict[str, str]) -> Said:
    return Said(
        reader=row["reader"],
        patient=row["patient"],
        session=int(row["session"]),
        arm=row["arm"],
        repeated=row["repeated"] == "1",
        call=int(row["call"]),
        rating=int(row["rating"]),
        quality=row["quality"],
    )


def check_tables(folder: Path, said: list[Said]) -> None:
    """What was exported is what was clicked, each reading once and under its arm."""

    def order(each: Said) -> tuple[Any, ...]:
        return attrs.astuple(each)

    firsts = [each for each in said if not each.repeated]
    assert sorted(map(told_of, rows(folder / "reads.csv")), key=order) == sorted(said, key=order)
    for name, arm in (("readers.csv", "unaided"), ("readers-aided.csv", "aided")):
        written = [told_of(row) for row in rows(folder / name)]
        clicked = [each for each in firsts if each.arm == arm]
        assert sorted(written, key=order) == sorted(clicked, key=order)
        # Every reader, every patient, once; half of them in each session.
        assert len({(each.reader, each.patient) for each in written}) == len(written) == 8
        assert [each.session for each in written].count(1) == 4
    for row in rows(folder / "reads.csv"):
        assert row["type"] == ("mixed" if row["call"] == "1" else "")
        assert row["levels"] == ("C4 C5" if row["call"] == "1" else "")
        assert 0 < float(row["seconds"]) < 300
        assert row["comment"] == ""


def check_agreement(folder: Path, said: list[Said]) -> None:
    """Kappa of each reader and arm, by the formula, of what was clicked."""
    found = {(row["reader"], row["arm"]): row for row in rows(folder / "agreement.csv")}
    assert set(found) == {(reader, arm) for reader in READERS for arm in ARMS}
    for (reader, arm), row in found.items():
        mine = [each for each in said if (each.reader, each.arm) == (reader, arm)]
        again = {(each.patient, each.session): each.call for each in mine if each.repeated}
        first = {
            who: each.call
            for each in mine
            if not each.repeated and (who := (each.patient, each.session)) in again
        }
        pairs = [(first[who], again[who]) for who in again]
        agreed = np.mean([one == two for one, two in pairs])
        shares = np.mean(pairs, axis=0)
        chance = shares.prod() + (1 - shares).prod()
        assert int(row["cases"]) == len(pairs) == 2
        assert float(row["kappa"]) == pytest.approx((agreed - chance) / (1 - chance))
    assert float(found["bob", "unaided"]["kappa"]) == 0
    assert float(found["ann", "unaided"]["kappa"]) == 1


def check_comparison(ward: Ward, folder: Path, said: list[Said], told: str) -> None:
    """The areas are those of the ratings that were clicked, and the analysis that of the table."""
    firsts = [each for each in said if not each.repeated]
    written = json.loads((folder / "aided-against-unaided.json").read_text())
    figures = {(each["modality"], each["reader"]): each["value"] for each in written["figures"]}
    assert set(figures) == {(arm, reader) for arm in ARMS for reader in READERS}
    for (arm, reader), value in figures.items():
        mine = [each for each in firsts if (each.arm, each.reader) == (arm, reader)]
        sick, well = (
            [each.rating for each in mine if ward.truth[each.patient] == label] for label in (1, 0)
        )
        wins = [(one > two) + 0.5 * (one == two) for one in sick for two in well]
        assert value == pytest.approx(np.mean(wins))
    table = {
        "case": [each.patient for each in firsts],
        "reader": [each.reader for each in firsts],
        "modality": [each.arm for each in firsts],
        "truth": [ward.truth[each.patient] for each in firsts],
        "rating": [each.rating for each in firsts],
        "call": [each.call for each in firsts],
    }
    again = mrmc(table)
    (difference,) = written["differences"]
    assert (difference["first"], difference["second"]) == ("aided", "unaided")
    mean = {arm: np.mean([figures[arm, reader] for reader in READERS]) for arm in ARMS}
    assert difference["value"] == pytest.approx(mean["aided"] - mean["unaided"])
    assert written["p_value"] == pytest.approx(again.p_value)
    assert (written["positives"], written["negatives"]) == (2, 2)
    assert "24 of 24 readings exported" in told
    assert "bob, unaided" in told
