"""What every request passes before anything reads it, and what every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import logging
from urllib.parse import urlsplit

import attrs
from fastapi import HTTPException, Request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BODY_LIMIT", "Guard", "Rates", "Turnstile", "check_origin", "csrf_of"]

logger = logging.getLogger("cervispine.reader_study")

#: Of a request, in bytes; the longest answer with its comment is a fraction of it.
BODY_LIMIT = 32 * 1024

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), display-capture=()",
    # What a reader sees stays on no disk of a shared computer.
    "Cache-Control": "no-store",
}


@attrs.frozen(kw_only=True)
class Rates:
    """How often something may be asked for, in the notation of the package ``limits``.

    Parameters
    ----------
    address
        By one address, of anything.
    stranger
        By one address, without being signed in.
    person
        By one person who is signed in.
    """

    address: str = "6000/minute"
    stranger: str = "120/minute"
    person: str = "900/minute"


class Turnstile:
    """Counts who asks how often.

    Parameters
    ----------
    rates
        What is allowed.
    """

    def __init__(self, rates: Rates) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._rates = {name: parse(rate) for name, rate in attrs.asdict(rates).items()}

    def admits(self, kind: str, who: str) -> bool:
        """Count one request, and say whether it is one too many."""
        return self._limiter.hit(self._rates[kind], kind, who)

    def check(self, kind: str, who: str) -> None:
        """Count one request; raise the answer 429 where it is one too many."""
        if not self.admits(kind, who):
            raise HTTPException(429, "too often", headers={"Retry-After": "60"})


def csrf_of(cookie: str) -> str:
    """Return what a page must send along, which other sites cannot know."""
    return hmac.new(cookie.encode(), b"cervispine csrf", hashlib.sha256).hexdigest()


def check_origin(request: Request, cookie: str | None) -> None:
    """Raise the answer 403 for a request that changes something and comes from elsewhere."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise HTTPException(403, "from elsewhere")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403, "from elsewhere")
    if cookie is not None:
        sent = request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(sent.encode(), csrf_of(cookie).encode()):
            raise HTTPException(403, "csrf")


class Guard:
    """Bodies of a certain size, addresses at a certain rate, headers on every answer.

    Parameters
    ----------
    app
        What is guarded.
    turnstile
        Counts addresses.
    """

    def __init__(self, app: ASGIApp, turnstile: Turnstile) -> None:
        self.app = app
        self.turnstile = turnstile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        address = (scope.get("client") or ("",))[0]
        if not self.turnstile.admits("address", address):
            await _answer(send_with_headers, 429, b'{"reason":"too often"}')
            return
        body = await _body(scope, receive)
        if body is None:
            await _answer(send_with_headers, 413, b'{"reason":"too large"}')
            return
        given = False

        async def receive_again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self.app(scope, receive_again, send_with_headers)
        except Exception as error:
            # What the exception says may quote a path or an answer; its class does not.
            logger.error("a call failed: %s", type(error).__name__)
            if not started:
                await _answer(send_with_headers, 500, b'{"reason":"fault"}')


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the whole body, or None where it is too large; what is announced is not believed."""
    lengths: list[bytes] = [value for name, value in scope["headers"] if name == b"content-length"]
    if any(not value.isdigit() or int(value[:12]) > BODY_LIMIT for value in lengths):
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > BODY_LIMIT:
            return None
        if not message.get("more_body", False):
            return bytes(body)


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
