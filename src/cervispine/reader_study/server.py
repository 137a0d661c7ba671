"""The application, and running it."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from cervispine.exceptions import ResourceError
from cervispine.reader_study.guard import Guard, Rates, Turnstile
from cervispine.reader_study.reading import DeniedError
from cervispine.reader_study.routes import make_router
from cervispine.reader_study.store import Store

__all__ = ["listen", "make_app", "serve"]

KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


def make_app(
    store: Store, *, rates: Rates | None = None, hosts: Sequence[str] = ("*",), secure: bool = False
) -> FastAPI:
    """Return the application of one study.

    Parameters
    ----------
    store
        Its database.
    rates
        How often something may be asked for; None for the usual.
    hosts
        The names under which it is asked for; others are refused, so that no foreign name can be
        pointed at this computer.
    secure
        Whether it is served over TLS.
    """
    turnstile = Turnstile(rates or Rates())
    app = FastAPI(title="cervispine reader study", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(make_router(store, turnstile, secure=secure))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    # The last one added is the first to see a request.
    app.add_middleware(Guard, turnstile=turnstile)
    pages = _pages()

    @app.get("/", include_in_schema=False)
    def reader() -> Response:
        return page("index.html")

    @app.get("/administrator", include_in_schema=False)
    def administrator() -> Response:
        return page("administrator.html")

    @app.get("/pages/{name}", include_in_schema=False)
    def page(name: str) -> Response:
        # A name is looked up among those that were packed; it never becomes a path.
        if name not in pages:
            raise HTTPException(404, "unknown")
        content, kind = pages[name]
        return Response(content, media_type=kind, headers={"Content-Encoding": "gzip"})

    @app.exception_handler(DeniedError)
    def denied(_: Request, error: DeniedError) -> Response:
        return JSONResponse({"reason": error.reason, **error.more}, error.status)

    @app.exception_handler(StarletteHTTPException)
    def failed(_: Request, error: StarletteHTTPException) -> Response:
        return JSONResponse({"reason": error.detail}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> Response:
        # Where it is wrong, and not what was sent.
        fields = sorted({".".join(map(str, each["loc"][1:])) for each in error.errors()})
        return JSONResponse({"reason": "invalid", "fields": fields}, 422)

    return app


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises
    ------
    ResourceError
        ``PORT_TAKEN``
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ResourceError(
            f"cannot listen there: {error.strerror or type(error).__name__}",
            where=f"{host}, port {port}",
            advice="choose another --port, or end what listens there",
            code="PORT_TAKEN",
        ) from None


def serve(
    app: FastAPI,
    listening: socket.socket,
    *,
    certificate: Path | None = None,
    private_key: Path | None = None,
) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    app
        What ``make_app`` returned.
    listening
        What ``listen`` returned.
    certificate, private_key
        PEM files, for TLS.
    """
    import uvicorn

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
        timeout_graceful_shutdown=3,
        ssl_certfile=certificate,
        ssl_keyfile=private_key,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _pages() -> dict[str, tuple[bytes, str]]:
    """Return every file of the pages and its kind, packed once; browsers of today unpack gzip."""
    root = files("cervispine.reader_study") / "pages"
    return {
        file.name: (gzip.compress(file.read_bytes(), mtime=0), KINDS[Path(file.name).suffix])
        for folder in (root, root / "vendor")
        for file in folder.iterdir()
        if Path(file.name).suffix in KINDS
    }
