"""What is taken away: as it was said, by the right patient, straight into the comparison."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from cervispine import Cohort, ReaderTable
from cervispine.evaluation import MRMC, cohen_kappa, compare_files, mrmc, read_readings
from cervispine.exceptions import DataError, LabelError
from cervispine.phantom import PhantomCohort
from cervispine.reader_study.export import export_study
from cervispine.reader_study.schema import CaseRow, ReadingRow

from .conftest import ANSWER, NO_OPLL, Site

#: Two readers of six cases: that they are few is said, and is no fault here.
pytestmark = pytest.mark.filterwarnings("ignore::cervispine.exceptions.StatisticsWarning")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def patient_of(site: Site, reading: str) -> str:
    with site.store.reads() as session:
        return session.get_one(CaseRow, session.get_one(ReadingRow, reading).case).patient


def read_as(site: Site, number: int, say: Any) -> None:
    """Read and lock every session there is, what is said being a function of the patient."""
    browser = site.browser(number)
    while browser.get("/api/me").json()["current"] is not None:
        session = browser.get("/api/me").json()["current"]
        browser.read_all(lambda shown: say(patient_of(site, shown["id"]), shown))
        if session:
            assert browser.send("POST", "/api/lock").status_code == 200
        site.clock.pass_by(days=15)


def test_what_was_said_comes_out_by_patient_and_reader(plain: Site, tmp_path: Path) -> None:
    said: dict[tuple[str, str], dict[str, Any]] = {}

    def speaker(name: str) -> Any:
        def say(patient: str, _: Any) -> dict[str, Any]:
            number = sum(map(ord, patient + name))
            call = number % 2
            answer = {**(ANSWER if call else NO_OPLL), "rating": 50 * call + number % 51}
            said[patient, name] = answer
            return answer

        return say

    for number, name in enumerate(("ann", "bob", "cy"), start=1):
        read_as(plain, number, speaker(name))
    exported = export_study(plain.store, tmp_path)
    table = ReaderTable.from_csv(tmp_path / "readers.csv")
    assert set(table.readers) == {"ann", "bob", "cy"}
    assert len(table.patients) == 8
    written = rows(tmp_path / "readers.csv")
    assert len(written) == 24
    for row in written:
        answer = said[row["patient"], row["reader"]]
        assert (int(row["call"]), int(row["rating"])) == (answer["call"], answer["rating"])
        assert row["levels"] == " ".join(answer["levels"])
        assert (row["arm"], row["session"], row["repeated"]) == ("unaided", "1", "0")
        assert float(row["seconds"]) >= 0
        assert row["opened"] <= row["answered"]
    assert len(rows(tmp_path / "reads.csv")) == 30
    assert exported.reads == (30, 30)
    assert not (tmp_path / "readers-aided.csv").exists()
    assert "30 of 30 readings exported" in exported.summary()


def test_agreement_with_oneself_is_that_of_the_calls_on_repeated_cases(
    plain: Site, tmp_path: Path
) -> None:
    calls: dict[str, list[int]] = {}

    def fickle(patient: str, _: Any) -> dict[str, Any]:
        before = calls.setdefault(patient, [])
        # Once a case comes again, one that was OPLL is so no more, and the other stays.
        before.append(int(len(calls) % 2) if not before else 0)
        return ANSWER if before[-1] else NO_OPLL

    for number in (1, 2, 3):
        calls.clear()
        read_as(plain, number, fickle)
        if number == 1:
            twice = [each for each in calls.values() if len(each) == 2]
    assert len(twice) == 2
    exported = export_study(plain.store, tmp_path)
    found = exported.kappas["ann", "unaided"]
    first, again = zip(*twice, strict=True)
    if len({*first, *again}) == 1:
        assert isinstance(found, str)
    else:
        assert found.value == cohen_kappa(first, again).value
        assert found.n == 2
    written = rows(tmp_path / "agreement.csv")
    assert [row["reader"] for row in written] == ["ann", "bob", "cy"]


def test_readers_who_never_differ_have_no_kappa_and_the_reason_is_told(
    plain: Site, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        read_as(plain, number, lambda *_: NO_OPLL)
    exported = export_study(plain.store, tmp_path)
    assert "one category" in str(exported.kappas["ann", "unaided"])
    assert "one category" in exported.summary()


def test_open_sessions_are_not_exported_unless_asked_for(plain: Site, tmp_path: Path) -> None:
    plain.browser(1).read(plain.browser(1).list()[0]["id"])
    with pytest.raises(DataError) as caught:
        export_study(plain.store, tmp_path)
    assert caught.value.code == "SESSIONS_OPEN"
    exported = export_study(plain.store, tmp_path, unfinished=True)
    assert exported.reads == (30, 1)
    assert exported.open_sessions == 3
    assert "not locked" in exported.summary()
    assert len(rows(tmp_path / "readers.csv")) == 1


@pytest.fixture
def two_arms(aided: Site, patients: Cohort) -> Site:
    truth = {study.patient: study.label for study in patients}

    def say(patient: str, shown: dict[str, Any]) -> dict[str, Any]:
        # With the aid they are right; without it they hesitate.
        right = ANSWER if truth[patient] else NO_OPLL
        if shown["aid"] is not None:
            return right
        return {**right, "rating": 40 + 20 * right["call"] + sum(map(ord, patient)) % 20}

    for number in (1, 2):
        read_as(aided, number, say)
    return aided


def test_aided_against_unaided_is_the_analysis_of_the_file(
    two_arms: Site, tmp_path: Path, phantom: PhantomCohort
) -> None:
    exported = export_study(two_arms.store, tmp_path, labels=phantom.labels)
    for name in ("readers.csv", "readers-aided.csv"):
        table = ReaderTable.from_csv(tmp_path / name)
        assert (len(table.readers), len(table.patients)) == (2, 6)
    readings = read_readings(tmp_path / "readings.csv")
    assert len(readings["case"]) == 24
    again = mrmc(readings)
    assert isinstance(exported.comparison, MRMC)
    assert again.to_dict() == exported.comparison.to_dict()
    assert ("aided", "unaided") in exported.comparison.differences
    written = json.loads((tmp_path / "aided-against-unaided.json").read_text())
    assert written == json.loads(json.dumps(again.to_dict()))


def test_one_reader_of_both_arms_is_compared_with_oneself(
    aided: Site, tmp_path: Path, phantom: PhantomCohort
) -> None:
    read_as(aided, 1, lambda patient, _: {**ANSWER, "rating": sum(map(ord, patient)) % 101})
    exported = export_study(aided.store, tmp_path, labels=phantom.labels, unfinished=True)
    assert isinstance(exported.comparison, MRMC)
    assert exported.comparison.readers == ("ann",)
    assert "1 reader, 2 modalities" in exported.summary()
    assert exported.comparison.scope in exported.summary()
    assert tmp_path / "aided-against-unaided.json" in exported.files


def test_arms_that_cannot_be_compared_are_exported_and_the_reason_is_told(
    two_arms: Site, tmp_path: Path, phantom: PhantomCohort
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(phantom.labels.read_text().replace(",DSS,", ",OPLL,"))
    (tmp_path / "aided-against-unaided.json").write_text("{}")
    exported = export_study(two_arms.store, tmp_path, labels=labels)
    assert isinstance(exported.comparison, str)
    assert f"aided against unaided: {exported.comparison}" in exported.summary()
    assert tmp_path / "readings.csv" in exported.files
    assert not (tmp_path / "aided-against-unaided.json").exists(), "that was an export before"


def test_training_is_not_exported(two_arms: Site, tmp_path: Path, tables: Path) -> None:
    export_study(two_arms.store, tmp_path)
    taught = {row["patient"] for row in rows(tables / "training.csv")}
    assert taught.isdisjoint(row["patient"] for row in rows(tmp_path / "reads.csv"))


def test_the_export_goes_straight_into_the_comparison(
    two_arms: Site, tmp_path: Path, phantom: PhantomCohort, tables: Path
) -> None:
    export_study(two_arms.store, tmp_path)
    read = {row["patient"] for row in rows(tmp_path / "readers.csv")}
    lines = (tables / "scores.csv").read_text().splitlines()
    kept = [lines[0], *(line for line in lines[1:] if line.split(",")[0] in read)]
    (tmp_path / "scores.csv").write_text("\n".join(kept) + "\n")
    comparison = compare_files(phantom.labels, tmp_path / "scores.csv", tmp_path / "readers.csv")
    assert "ann" in comparison.summary()


def test_a_patient_without_a_label_stops_the_comparison(
    two_arms: Site, tmp_path: Path, phantom: PhantomCohort
) -> None:
    labels = tmp_path / "labels.csv"
    read = two_arms.store.configuration["cases"]
    assert read == 6
    text = phantom.labels.read_text().splitlines()
    with two_arms.store.reads() as session:
        somebody = session.get_one(CaseRow, 2).patient
    labels.write_text("\n".join(line for line in text if not line.startswith(somebody)) + "\n")
    with pytest.raises(LabelError) as caught:
        export_study(two_arms.store, tmp_path / "out", labels=labels)
    assert caught.value.code == "LABELS_UNMATCHED"
    assert somebody not in str(caught.value)
    assert not (tmp_path / "out").exists(), "nothing is written before all is known"


def test_a_comment_is_no_formula(plain: Site, tmp_path: Path) -> None:
    browser = plain.browser(1)
    browser.read(browser.list()[0]["id"], {**ANSWER, "comment": '=HYPERLINK("x")'})
    export_study(plain.store, tmp_path, unfinished=True)
    assert rows(tmp_path / "readers.csv")[0]["comment"] == '\'=HYPERLINK("x")'


def test_the_audit_log_is_a_table(plain: Site, tmp_path: Path) -> None:
    browser = plain.browser(1)
    browser.read(browser.list()[0]["id"])
    export_study(plain.store, tmp_path, unfinished=True)
    written = rows(tmp_path / "audit.csv")
    assert [int(row["number"]) for row in written] == list(range(1, len(written) + 1))
    answered = next(row for row in written if row["action"] == "answered")
    assert answered["actor"] == "ann"
    assert json.loads(answered["detail"])["answer"] == ANSWER
