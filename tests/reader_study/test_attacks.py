"""What somebody may try: nothing is told, nothing is changed, nothing falls over."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from starlette.testclient import TestClient

from cervispine import Cohort
from cervispine.reader_study.guard import BODY_LIMIT, Rates, csrf_of
from cervispine.reader_study.server import make_app

from .conftest import ANSWER, UNHURRIED, Site

#: Every call that a reader's page makes of one case.
CALLS = [
    ("GET", "/api/readings/{}", None),
    ("GET", "/api/readings/{}/images/0", None),
    ("GET", "/api/readings/{}/heatmap", None),
    ("POST", "/api/readings/{}/begin", None),
    ("POST", "/api/readings/{}/time", {"seconds": 1}),
    ("PUT", "/api/readings/{}/answer", {"answer": ANSWER, "complete": True}),
    ("POST", "/api/readings/{}/defer", None),
]
OF_READERS = [("GET", "/api/me", None), ("GET", "/api/list", None), ("POST", "/api/lock", None)]
OF_THE_ADMINISTRATOR = [
    ("GET", "/api/administrator", None),
    ("POST", "/api/administrator/links", {"number": 2}),
]


def content(site: Site) -> list[Any]:
    """Return what the database holds of readings, so that it can be compared."""
    with sqlite3.connect(site.store.folder / "study.sqlite") as database:
        return database.execute("SELECT * FROM reading ORDER BY id").fetchall()


@pytest.mark.parametrize(("method", "path", "body"), [*CALLS, *OF_READERS, *OF_THE_ADMINISTRATOR])
def test_a_stranger_is_told_nothing(
    plain: Site, method: str, path: str, body: dict[str, Any] | None
) -> None:
    reading = plain.browser(1).list()[0]["id"]
    before = content(plain)
    for cookie in ("", "x", "a" * 43, "%00", "'; DROP TABLE reading; --"):
        stranger = plain.browser()
        name = f"reader-study-{plain.store.configuration['data'][:8]}"
        headers = {"cookie": f"{name}={cookie}", "X-CSRF-Token": csrf_of(cookie)}
        answer = stranger.send(method, path.format(reading), body, headers=headers)
        assert (answer.status_code, answer.json()) == (401, {"reason": "not signed in"})
    assert content(plain) == before


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
def test_another_readers_case_is_as_unknown_as_one_that_is_none(
    plain: Site, method: str, path: str, body: dict[str, Any] | None
) -> None:
    ann, bob = plain.browser(1), plain.browser(2)
    theirs = ann.list()[0]["id"]
    ann.read(theirs)
    before = content(plain)
    forged = bob.send(method, path.format("0" * 32), body)
    assert bob.send(method, path.format(theirs), body).text == forged.text
    assert forged.status_code == 404
    assert content(plain) == before


@pytest.mark.parametrize(("method", "path", "body"), [*OF_READERS, *CALLS])
def test_the_administrator_reads_no_case(
    plain: Site, method: str, path: str, body: dict[str, Any] | None
) -> None:
    reading = plain.browser(1).list()[0]["id"]
    answer = plain.browser(0).send(method, path.format(reading), body)
    assert (answer.status_code, answer.json()) == (403, {"reason": "readers only"})


@pytest.mark.parametrize(("method", "path", "body"), OF_THE_ADMINISTRATOR)
def test_a_reader_does_not_administer(
    plain: Site, method: str, path: str, body: dict[str, Any] | None
) -> None:
    assert plain.browser(1).send(method, path, body).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/pages/../server.py",
        "/pages/..%2fserver.py",
        "/pages/%2e%2e/%2e%2e/store.py",
        "/pages/....//server.py",
        "/pages/vendor/../../store.py",
        "/pages//etc/passwd",
        "/pages/%2fetc%2fpasswd",
        "/pages/index.html%00.js",
        "/pages/C:%5cwindows%5cwin.ini",
        "/api/readings/../../study.sqlite",
        "/api/readings/..%2f..%2fstudy.sqlite",
        "/api/readings/..%2f..%2f..%2fetc%2fpasswd/images/0",
        "/study.sqlite",
        "/images/00001-0.i16.gz",
        "/openapi.json",
        "/docs",
        "/.git/config",
    ],
)
def test_no_string_from_outside_becomes_a_path(plain: Site, path: str) -> None:
    answer = plain.browser(1).client.get(path)
    assert answer.status_code in (404, 422)
    assert b"root:" not in answer.content
    assert b"import" not in answer.content


def test_places_of_images_are_small_numbers(plain: Site) -> None:
    browser = plain.browser(1)
    path = f"/api/readings/{browser.list()[0]['id']}/images"
    assert browser.get(f"{path}/0").status_code == 200
    for place, status in [("1", 404), ("9", 404), ("10", 422), ("-1", 422), ("0.5", 422)]:
        assert browser.get(f"{path}/{place}").status_code == status


def test_a_page_elsewhere_cannot_write_in_a_readers_name(plain: Site) -> None:
    browser = plain.browser(1)
    path = f"/api/readings/{browser.list()[0]['id']}/begin"
    tries = [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": csrf_of("another")},
        {"X-CSRF-Token": "é".encode("latin-1")},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ]
    for headers in tries:
        answer = browser.send("POST", path, headers=headers)
        assert answer.status_code == 403, headers
    good = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert browser.send("POST", path, headers=good).status_code == 200


def test_a_link_is_not_followed_from_elsewhere(plain: Site) -> None:
    token = plain.store.make_link(1)
    elsewhere = {"Origin": "https://elsewhere.example"}
    client = plain.browser().client
    answer = client.post("/api/enter", json={"token": token}, headers=elsewhere)
    assert answer.status_code == 403
    assert plain.browser().enter(token).status_code == 200


def test_a_foreign_name_is_not_answered(plain: Site) -> None:
    app = make_app(plain.store, rates=UNHURRIED, hosts=["127.0.0.1"])
    assert TestClient(app, base_url="http://127.0.0.1").get("/").status_code == 200
    assert TestClient(app, base_url="http://rebound.example").get("/").status_code == 400


@pytest.mark.parametrize("size", [BODY_LIMIT + 1, 4 * BODY_LIMIT])
def test_a_body_that_is_too_large_is_not_read(plain: Site, size: int) -> None:
    browser = plain.browser(1)
    path = f"/api/readings/{browser.list()[0]['id']}/answer"
    headers = {"X-CSRF-Token": browser.csrf, "content-type": "application/json"}
    announced = browser.client.put(path, content=b" " * size, headers=headers)
    assert announced.status_code == 413

    def pieces() -> Iterator[bytes]:
        for _ in range(size // 1024 + 1):
            yield b" " * 1024

    assert browser.client.put(path, content=pieces(), headers=headers).status_code == 413
    lying = {**headers, "content-length": "9" * 30}
    assert browser.client.put(path, content=b"{}", headers=lying).status_code == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"answer": {}}' * 2,
        b"[" * 5000,
        b'{"answer": {"call": "1"}}',
        b'{"answer": {"call": 2}}',
        b'{"answer": {"call": true}}',
        b'{"answer": {"call": 1.0000001}}',
        b'{"answer": {"rating": NaN}}',
        b'{"answer": {"rating": 1e999}}',
        b'{"answer": {"rating": -1}}',
        b'{"answer": {"levels": ["C9"]}}',
        b'{"answer": {"levels": ["C5", "C5"]}}',
        b'{"answer": {"type": "other"}}',
        b'{"answer": {"comment": "\\u0000"}}',
        b'{"answer": {"comment": "\\ud800"}}',
        b'{"answer": {"comment": "\\u202egpj.exe"}}',
        b'{"answer": {"comment": "\\u2028"}}',
        b'{"answer": {"comment": "%s"}}' % (b"x" * 2001),
        b'{"answer": {"reader": 2}}',
        b'{"answer": {}, "seconds": -1}',
        b'{"answer": {}, "seconds": Infinity}',
        b'{"answer": {}, "state": "done"}',
        b'{"answer": {}, "complete": "yes"}',
    ],
)
def test_a_malformed_answer_is_refused_without_being_repeated(plain: Site, body: bytes) -> None:
    browser = plain.browser(1)
    reading = browser.list()[0]["id"]
    browser.send("POST", f"/api/readings/{reading}/begin")
    before = content(plain)
    headers = {"X-CSRF-Token": browser.csrf, "content-type": "application/json"}
    answer = browser.client.put(f"/api/readings/{reading}/answer", content=body, headers=headers)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) <= {"reason", "fields"}
    assert "other" not in answer.text
    assert content(plain) == before


def test_whoever_asks_too_often_waits(plain: Site) -> None:
    plain.rates = Rates(address="1000/second", stranger="3/minute", person="5/minute")
    stranger = plain.browser()
    codes = [stranger.enter("x" * 43).status_code for _ in range(5)]
    assert codes == [401, 401, 401, 429, 429]
    plain.rates = Rates(address="1000/second", stranger="99/minute", person="5/minute")
    reader = plain.browser(1)
    codes = [reader.get("/api/list").status_code for _ in range(6)]
    assert codes == [200] * 4 + [429] * 2
    assert reader.get("/api/list").headers["retry-after"] == "60"
    plain.rates = Rates(address="2/minute")
    anybody = plain.browser()
    assert [anybody.get("/pages/x").status_code for _ in range(3)] == [404, 404, 429]


def test_every_answer_carries_the_headers_that_keep_pages_apart(plain: Site) -> None:
    browser = plain.browser(1)
    image = f"/api/readings/{browser.list()[0]['id']}/images/0"
    for path in ("/", "/administrator", "/pages/none", "/api/me", image, "/none"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_a_fault_tells_its_class_to_the_log_and_nothing_to_anybody(
    plain: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = plain.browser(1)

    def fails(*_: object) -> None:
        raise ValueError("canary")

    monkeypatch.setattr("cervispine.reader_study.reading.Desk.list_of", fails)
    with caplog.at_level(logging.DEBUG):
        answer = browser.get("/api/list")
    assert (answer.status_code, answer.json()) == (500, {"reason": "fault"})
    assert "content-security-policy" in answer.headers
    assert "ValueError" in caplog.text
    assert "canary" not in caplog.text


def test_logs_name_neither_patients_nor_answers(
    plain: Site, caplog: pytest.LogCaptureFixture, patients: Cohort
) -> None:
    with caplog.at_level(logging.DEBUG, logger="cervispine"):
        plain.browser(1).read_all()
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert not any(patient in told for patient in patients.patients)
    assert "segmental" not in told


#: Of each call; benchmarks/reader_page.py sends 10,000.
EXAMPLES = 12


@pytest.mark.parametrize("who", [None, 0, 1])
def test_whatever_the_calls_are_given_nothing_falls_over(
    plain: Site, who: int | None, patients: Cohort
) -> None:
    browser = plain.browser(who)
    reading = plain.browser(1).list()[0]["id"]
    statuses: set[int] = set()

    def send(case: schemathesis.Case) -> None:
        if "reading" in (case.path_parameters or {}):
            case.path_parameters["reading"] = reading
        case.headers["X-CSRF-Token"] = browser.csrf
        answer = browser.client.request(**case.as_transport_kwargs(base_url="http://127.0.0.1"))
        assert answer.status_code < 500
        assert not any(patient in answer.text for patient in patients.patients)
        statuses.add(answer.status_code)

    schema = schemathesis.openapi.from_dict(browser.client.app.openapi())
    for operation in schema.get_all_operations():
        if operation.ok().path != "/api/leave":
            fuzz(operation.ok(), send)
    assert statuses >= ({401, 422} if who is None else {200, 403, 422})


def fuzz(operation: Any, send: Callable[[schemathesis.Case], None]) -> None:
    """Send what fits the description of a call, and what does not."""
    for mode in schemathesis.GenerationMode:
        cases = operation.as_strategy(generation_mode=mode)
        sent = settings(
            max_examples=EXAMPLES,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )(given(case=cases)(lambda case: send(case)))
        # What a call without parameters is given cannot be wrong.
        with contextlib.suppress(*([Unsatisfiable] if mode.is_negative else [])):
            sent()
