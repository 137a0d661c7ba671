"""The calls of readers and administrator.

Every call of a reader concerns the reader whose cookie came with it: no call names a reader but
those of the administrator, which give links and progress, and no answers.
"""

# No postponed annotations: FastAPI would look for the names inside make_router outside of it.

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from cervispine.reader_study.answers import Answer
from cervispine.reader_study.guard import Turnstile, check_origin, csrf_of
from cervispine.reader_study.images import heatmap_path, image_path
from cervispine.reader_study.reading import Desk
from cervispine.reader_study.store import SIGNED_IN, Person, Store

__all__ = ["make_router"]

ReadingId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
Place = Annotated[int, InPath(ge=0, le=9)]
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "Not signed in."},
    403: {"description": "Not yours to ask for, or from another page."},
    404: {"description": "No such thing in your open session."},
    409: {"description": "Not now: locked, waiting, too early, or not complete."},
    413: {"description": "Too large."},
    422: {"description": "Malformed, or not complete."},
    429: {"description": "Too often."},
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Ticket(_Body):
    """The token of a link."""

    token: Annotated[str, Field(min_length=20, max_length=100, pattern="^[A-Za-z0-9_-]+$")]


class Said(_Body):
    """An answer as it is sent: after every change, and once more when it is complete."""

    answer: Answer
    complete: bool = False
    seconds: Seconds = 0.0


class Spent(_Body):
    """Seconds that a case was on the screen since the last report."""

    seconds: Seconds


class LinkFor(_Body):
    """For whom a new link is wanted."""

    number: Annotated[int, Field(ge=1, le=10_000)]


def make_router(store: Store, turnstile: Turnstile, *, secure: bool) -> APIRouter:
    """Return the calls of one study.

    Parameters
    ----------
    store
        Its database.
    turnstile
        Counts who asks how often.
    secure
        Whether cookies go over TLS alone.
    """
    desk = Desk(store)
    # A browser sends a cookie to every port of a host: two studies need two names.
    cookie_name = f"reader-study-{store.configuration['data'][:8]}"
    router = APIRouter(prefix="/api", responses=REFUSALS)

    def signed_in(request: Request) -> Person:
        cookie = request.cookies.get(cookie_name, "")
        person = store.who(cookie) if cookie else None
        if person is None:
            turnstile.check("stranger", _address(request))
            raise HTTPException(401, "not signed in")
        turnstile.check("person", str(person.number))
        if request.method not in ("GET", "HEAD"):
            check_origin(request, cookie)
        return person

    def is_reader(person: Annotated[Person, Depends(signed_in)]) -> Person:
        if person.is_administrator:
            raise HTTPException(403, "readers only")
        return person

    def is_administrator(person: Annotated[Person, Depends(signed_in)]) -> Person:
        if not person.is_administrator:
            raise HTTPException(403, "administrator only")
        return person

    Reader = Annotated[Person, Depends(is_reader)]
    Administrator = Annotated[Person, Depends(is_administrator)]

    @router.post("/enter")
    def enter(ticket: Ticket, request: Request, response: Response) -> dict[str, Any]:
        turnstile.check("stranger", _address(request))
        check_origin(request, None)
        entered = store.enter(ticket.token)
        if entered is None:
            raise HTTPException(401, "used or unknown")
        cookie, person = entered
        response.set_cookie(
            cookie_name,
            cookie,
            max_age=int(SIGNED_IN.total_seconds()),
            path="/",
            secure=secure,
            httponly=True,
            samesite="strict",
        )
        return {"administrator": person.is_administrator}

    @router.post("/leave")
    def leave(
        _: Annotated[Person, Depends(signed_in)], request: Request, response: Response
    ) -> dict[str, Any]:
        store.leave(request.cookies[cookie_name])
        response.delete_cookie(cookie_name, path="/")
        return {}

    @router.get("/me")
    def me(reader: Reader, request: Request) -> dict[str, Any]:
        return {**desk.overview(reader), "csrf": csrf_of(request.cookies[cookie_name])}

    @router.get("/list")
    def the_list(reader: Reader) -> dict[str, Any]:
        return desk.list_of(reader)

    @router.get("/readings/{reading}")
    def show(reader: Reader, reading: ReadingId) -> dict[str, Any]:
        return desk.show(reader, reading)

    @router.get("/readings/{reading}/images/{place}", response_class=Response)
    def image(reader: Reader, reading: ReadingId, place: Place) -> Response:
        case, digest = desk.image(reader, reading, place)
        content = image_path(store.folder, case, place).read_bytes()
        _check(content, digest)
        return Response(
            content, media_type="application/octet-stream", headers={"Content-Encoding": "gzip"}
        )

    @router.get("/readings/{reading}/heatmap", response_class=Response)
    def heatmap(reader: Reader, reading: ReadingId) -> Response:
        case, digest = desk.heatmap(reader, reading)
        content = heatmap_path(store.folder, case).read_bytes()
        _check(content, digest)
        return Response(content, media_type="image/png")

    @router.post("/readings/{reading}/begin")
    def begin(reader: Reader, reading: ReadingId) -> dict[str, Any]:
        desk.begin(reader, reading)
        return {}

    @router.post("/readings/{reading}/time")
    def time(reader: Reader, reading: ReadingId, spent: Spent) -> dict[str, Any]:
        desk.spend(reader, reading, spent.seconds)
        return {}

    @router.put("/readings/{reading}/answer")
    def say(reader: Reader, reading: ReadingId, said: Said) -> dict[str, Any]:
        return desk.say(reader, reading, said.answer, complete=said.complete, seconds=said.seconds)

    @router.post("/readings/{reading}/defer")
    def defer(reader: Reader, reading: ReadingId) -> dict[str, Any]:
        desk.defer(reader, reading)
        return {}

    @router.post("/lock")
    def lock(reader: Reader) -> dict[str, Any]:
        desk.lock(reader)
        return {}

    @router.get("/administrator")
    def progress(_: Administrator, request: Request) -> dict[str, Any]:
        return {
            "title": store.configuration["title"],
            "readers": desk.progress(),
            "csrf": csrf_of(request.cookies[cookie_name]),
        }

    @router.post("/administrator/links")
    def link(administrator: Administrator, wanted: LinkFor) -> dict[str, Any]:
        if wanted.number not in {person.number for person in store.people()}:
            raise HTTPException(404, "no such reader")
        return {"token": store.make_link(wanted.number, by=administrator.name)}

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _check(content: bytes, digest: str) -> None:
    """Show nothing rather than an image that is not the case's."""
    if hashlib.sha256(content).hexdigest() != digest:
        raise HTTPException(500, "damaged")
