"""What readers may see, say and lock, through the calls that their pages make."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections import Counter

import numpy as np
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from cervispine import Cohort, Loader
from cervispine.exceptions import DataError
from cervispine.preprocessing.orientation import orient
from cervispine.reader_study.schema import CaseRow, ReadingRow
from cervispine.reader_study.store import Store

from .conftest import ANSWER, NO_OPLL, Site


def test_a_link_works_once_and_its_cookie_is_for_the_browser_alone(plain: Site) -> None:
    token = plain.store.make_link(1)
    first, second = plain.browser(), plain.browser()
    answer = first.client.post("/api/enter", json={"token": token})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert first.get("/api/me").json()["reader"] == "ann"
    assert second.enter(token).status_code == 401
    assert second.get("/api/me").status_code == 401


def test_a_new_link_ends_the_older_one(plain: Site) -> None:
    old, new = plain.store.make_link(1), plain.store.make_link(1)
    browser = plain.browser()
    assert browser.enter(old).status_code == 401
    assert browser.enter(new).status_code == 200


def test_whoever_leaves_is_no_longer_known(plain: Site) -> None:
    browser = plain.browser(1)
    assert browser.send("POST", "/api/leave").status_code == 200
    assert browser.get("/api/me").status_code == 401


def test_signing_in_does_not_last_for_ever(plain: Site) -> None:
    browser = plain.browser(1)
    plain.clock.pass_by(days=61)
    assert browser.get("/api/me").status_code == 401


def test_what_is_shown_names_nobody_and_tells_nothing(plain: Site, patients: Cohort) -> None:
    browser = plain.browser(1)
    listed = browser.get("/api/list").text
    shown = browser.get(f"/api/readings/{browser.list()[0]['id']}").text
    for text_ in (listed, shown, browser.get("/api/me").text):
        assert not any(patient in text_ for patient in patients.patients)
        assert not any(series.uid in text_ for study in patients for series in study.series)
        assert not any(word in text_ for word in ("OPLL", "DSS", "repeated", '"arm"', "label"))
    assert json.loads(shown)["aid"] is None
    assert json.loads(shown)["feedback"] is None


def test_the_values_of_the_images_are_those_of_the_scanner(plain: Site, patients: Cohort) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    shown = browser.get(f"/api/readings/{reading}").json()["images"][0]
    answer = browser.get(f"/api/readings/{reading}/images/0")
    assert answer.headers["content-type"] == "application/octet-stream"
    stored = np.frombuffer(answer.content, "<i2").reshape(shown["shape"])
    with plain.store.reads() as session:
        patient = session.get_one(CaseRow, session.get_one(ReadingRow, reading).case).patient
    study = next(study for study in patients if study.patient == patient)
    volume = orient(Loader().read(study))
    np.testing.assert_array_equal(stored * shown["slope"] + shown["intercept"], volume.pixels)
    assert shown["spacing"] == pytest.approx(volume.spacing)
    assert shown["slope"] == 1


def test_cases_come_one_after_the_other_and_the_next_may_be_loaded(plain: Site) -> None:
    browser = plain.browser(1)
    first, second, third, *_ = (each["id"] for each in browser.list())
    assert browser.get(f"/api/readings/{second}").status_code == 200
    assert browser.get(f"/api/readings/{second}/images/0").status_code == 200
    assert browser.get(f"/api/readings/{third}").status_code == 409
    assert browser.get(f"/api/readings/{third}/images/0").status_code == 409
    assert browser.send("POST", f"/api/readings/{second}/begin").status_code == 409
    assert browser.read(second).status_code == 409
    assert browser.read(first).status_code == 200
    assert browser.get(f"/api/readings/{third}").status_code == 200
    assert browser.read(second).status_code == 200


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"call": None, "type": None, "levels": []}, ["call"]),
        ({"rating": None}, ["rating"]),
        ({"type": None}, ["type"]),
        ({"levels": []}, ["levels"]),
        ({"quality": None}, ["quality"]),
        ({"call": 0}, ["type", "levels"]),
        ({"rating": None, "quality": None}, ["rating", "quality"]),
    ],
)
def test_what_is_not_complete_is_not_done(
    plain: Site, change: dict[str, object], missing: list[str]
) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    answer = browser.read(reading, {**ANSWER, **change})
    assert answer.status_code == 422
    assert answer.json() == {"reason": "incomplete", "missing": missing}
    assert browser.list()[0]["state"] == "new"
    kept = browser.read(reading, {**ANSWER, **change}, complete=False)
    assert kept.status_code == 200
    assert browser.get(f"/api/readings/{reading}").json()["answer"] == {**ANSWER, **change}


def test_a_rating_beyond_the_scale_of_the_study_is_refused(plain: Site) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    assert browser.read(reading, {**ANSWER, "rating": 101}).status_code == 422


@pytest.mark.parametrize(
    "comment",
    ["後縦靱帯\u3000骨化", "C4\u00a0: ?", "\U0001f468\u200d\u2695\ufe0f", "one\n\ttwo", "\u0e33"],
)
def test_a_comment_may_be_in_any_script(plain: Site, comment: str) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    assert browser.read(reading, {**ANSWER, "comment": comment}).status_code == 200
    assert browser.get(f"/api/readings/{reading}").json()["answer"]["comment"] == comment


def test_an_unopened_case_cannot_be_answered(plain: Site) -> None:
    browser = plain.browser(1)
    path = f"/api/readings/{browser.list()[0]['id']}"
    body = {"answer": ANSWER, "complete": True}
    assert browser.send("PUT", f"{path}/answer", body).json() == {"reason": "unopened"}
    assert browser.send("POST", f"{path}/defer").json() == {"reason": "unopened"}


def test_a_case_left_for_later_stays_open_and_the_session_with_it(plain: Site) -> None:
    browser = plain.browser(1)
    first, *others = (each["id"] for each in browser.list())
    browser.send("POST", f"/api/readings/{first}/begin")
    assert browser.send("POST", f"/api/readings/{first}/defer").status_code == 200
    for reading in others:
        assert browser.read(reading).status_code == 200
    assert browser.get("/api/me").json()["sessions"][0]["deferred"] == 1
    refused = browser.send("POST", "/api/lock")
    assert (refused.status_code, refused.json()) == (409, {"reason": "unanswered", "count": 1})
    assert browser.read(first).status_code == 200
    assert browser.send("POST", "/api/lock").status_code == 200


def test_an_answer_can_be_mended_until_the_session_is_locked_and_never_after(plain: Site) -> None:
    browser = plain.browser(1)
    browser.read_all()
    reading = browser.list()[0]["id"]
    assert browser.read(reading, NO_OPLL).status_code == 200
    assert browser.send("POST", "/api/lock").status_code == 200
    assert browser.read(reading).json() == {"reason": "finished"}
    assert browser.send("POST", "/api/lock").json() == {"reason": "finished"}
    with plain.store.reads() as session:
        assert session.get_one(ReadingRow, reading).answer["call"] == 0


def test_an_answer_made_incomplete_is_open_again(plain: Site) -> None:
    browser = plain.browser(1)
    browser.read_all()
    reading = browser.list()[3]["id"]
    browser.read(reading, {**ANSWER, "quality": None}, complete=False)
    assert browser.list()[3]["state"] == "deferred"
    assert browser.send("POST", "/api/lock").json()["reason"] == "unanswered"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE reading SET answer = '{}'",
        "DELETE FROM reading",
        "UPDATE session SET locked = NULL",
        "DELETE FROM session",
    ],
)
def test_the_database_itself_keeps_a_locked_session(plain: Site, statement: str) -> None:
    browser = plain.browser(1)
    browser.read_all()
    browser.send("POST", "/api/lock")
    with pytest.raises(IntegrityError, match="locked"), plain.store.writes() as session:
        session.execute(text(statement))


def test_time_is_what_the_page_counts_and_never_more_than_has_passed(plain: Site) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    browser.send("POST", f"/api/readings/{reading}/begin")
    plain.clock.pass_by(seconds=15)
    assert browser.send("POST", f"/api/readings/{reading}/time", {"seconds": 14}).status_code == 200
    plain.clock.pass_by(seconds=10)
    browser.send("POST", f"/api/readings/{reading}/time", {"seconds": 5000})
    plain.clock.pass_by(hours=8)  # a closed lid: the page counts nothing
    body = {"answer": ANSWER, "complete": True, "seconds": 3.0}
    browser.send("PUT", f"/api/readings/{reading}/answer", body)
    with plain.store.reads() as session:
        row = session.get_one(ReadingRow, reading)
    assert row.seconds == pytest.approx(14 + 12 + 3)
    assert row.opened < row.answered


def test_answers_survive_a_server_that_is_gone(plain: Site) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    browser.read(reading, NO_OPLL)
    # A second connection sees it while the first is still open: nothing waits to be written.
    with sqlite3.connect(plain.store.folder / "study.sqlite") as other:
        row = other.execute("SELECT state, answer FROM reading WHERE id = ?", [reading]).fetchone()
    assert row[0] == "done"
    assert json.loads(row[1]) == NO_OPLL
    again = Site(Store(plain.store.folder, clock=plain.clock), plain.clock)
    cookies = browser.client.cookies
    after = again.browser()
    after.client.cookies = cookies
    assert after.get("/api/me").json()["sessions"][0]["done"] == 1


def test_training_teaches_and_is_no_reading(aided: Site, patients: Cohort) -> None:
    browser = aided.browser(1)
    assert browser.get("/api/me").json()["current"] == 0
    truth = {study.patient: study.label for study in patients}
    for each in browser.list():
        path = f"/api/readings/{each['id']}"
        assert browser.get(path).json()["feedback"] is None
        drafted = browser.read(each["id"], complete=False)
        assert drafted.json()["feedback"] is None
        with aided.store.reads() as session:
            case = session.get_one(CaseRow, session.get_one(ReadingRow, each["id"]).case)
        told = browser.read(each["id"]).json()["feedback"]
        assert told["label"] == ("OPLL" if truth[case.patient] else "DSS")
        again = browser.read(each["id"], NO_OPLL)
        assert again.status_code in (404, 409)
    assert browser.get("/api/me").json()["current"] == 1
    assert browser.get("/api/me").json()["sessions"][0]["state"] == "locked"


def test_the_aid_is_shown_in_the_aided_arm_alone(aided: Site) -> None:
    seen: Counter[str] = Counter()
    browser = aided.browser(1)
    browser.read_all()
    for session in (1, 2):
        for each in browser.list():
            shown = browser.get(f"/api/readings/{each['id']}").json()
            with aided.store.reads() as database:
                row = database.get_one(ReadingRow, each["id"])
                case = database.get_one(CaseRow, row.case)
            heat = browser.get(f"/api/readings/{each['id']}/heatmap")
            seen[f"{row.arm} {session}"] += 1
            if row.arm == "aided":
                assert shown["aid"] == {
                    "probability": case.probability,
                    "advice": case.advice,
                    "heatmap": True,
                }
                assert heat.content.startswith(b"\x89PNG")
            else:
                assert shown["aid"] is None
                assert heat.status_code == 404
            assert browser.read(each["id"]).status_code == 200
        assert browser.send("POST", "/api/lock").status_code == 200
        if session == 1:
            me = browser.get("/api/me").json()
            assert me["current"] is None
            assert me["sessions"][2]["state"] == "washout"
            assert browser.get("/api/list").json() == {"reason": "washout"}
            aided.clock.pass_by(days=13.9)
            assert browser.get("/api/list").status_code == 409
            aided.clock.pass_by(days=0.2)
    assert seen == {"aided 1": 3, "unaided 1": 3, "aided 2": 3, "unaided 2": 3}
    assert browser.get("/api/list").json() == {"reason": "finished"}


def test_the_administrator_sees_progress_and_no_answers(plain: Site, patients: Cohort) -> None:
    reader, administrator = plain.browser(2), plain.browser(0)
    reader.read(reader.list()[0]["id"], {**ANSWER, "comment": "canary"})
    told = administrator.get("/api/administrator")
    progress = {each["reader"]: each["sessions"][0] for each in told.json()["readers"]}
    assert progress["bob"]["done"] == 1
    assert progress["ann"]["done"] == 0
    assert progress["bob"]["total"] == 10
    for word in ("canary", "segmental", "C5", '"call"', '"rating"', *patients.patients):
        assert word not in told.text
    token = administrator.send("POST", "/api/administrator/links", {"number": 1}).json()["token"]
    assert plain.browser().enter(token).status_code == 200
    assert administrator.send("POST", "/api/administrator/links", {"number": 9}).status_code == 404


def test_the_audit_log_tells_all_and_only_grows(plain: Site) -> None:
    browser = plain.browser(1)
    browser.read_all()
    browser.send("POST", "/api/lock")
    actions = Counter(row.action for row in plain.store.audit())
    assert actions["made"] == 1
    assert actions["signed in"] == 1
    assert actions["case opened"] == actions["answered"] == 10
    assert actions["session opened"] == actions["session locked"] == 1
    for statement in ("UPDATE audit SET actor = 'x'", "DELETE FROM audit"):
        with pytest.raises(IntegrityError, match="only grows"), plain.store.writes() as session:
            session.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET detail = '{\"a\": 1}' WHERE number = 3",
        "DELETE FROM audit WHERE number = 3",
        "UPDATE audit SET actor = 'bob' WHERE number = 2",
    ],
)
def test_a_log_that_somebody_mended_by_force_is_noticed(plain: Site, statement: str) -> None:
    plain.browser(1).read_all()
    with sqlite3.connect(plain.store.folder / "study.sqlite") as forced:
        forced.executescript("DROP TRIGGER audit_UPDATE; DROP TRIGGER audit_DELETE;")
        forced.execute(statement)
    with pytest.raises(DataError) as caught:
        plain.store.audit()
    assert caught.value.code == "AUDIT_BROKEN"


def test_identifiers_of_readings_say_nothing_of_their_cases(plain: Site) -> None:
    with plain.store.reads() as session:
        rows = session.scalars(select(ReadingRow)).all()
    assert len({row.id for row in rows}) == len(rows) == 30
    assert all(len(row.id) == 32 for row in rows)


def test_an_image_that_is_not_the_cases_is_not_shown(plain: Site) -> None:
    browser = plain.browser(1)
    for path in (plain.store.folder / "images").glob("*.gz"):
        path.write_bytes(gzip.compress(b"another"))
    answer = browser.get(f"/api/readings/{browser.list()[0]['id']}/images/0")
    assert (answer.status_code, answer.json()) == (500, {"reason": "damaged"})
