"""A DICOMweb archive of files in a folder, as small as the loader needs it, on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pydicom

BOUNDARY = "boundary-of-parts"


class Archive(BaseHTTPRequestHandler):
    """Answers QIDO-RS and WADO-RS from the files of the server that it belongs to.

    A page has ``server.page`` answers; without one all come at once, whatever offset is asked for,
    as some archives do.
    """

    server: Any

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.requests.append((self.path, self.headers.get("Authorization")))
        match parts.path.strip("/").split("/")[1:]:
            case ["studies"]:
                found = {
                    file.StudyInstanceUID: file
                    for file in self.server.files
                    if query.get("PatientID", file.PatientID) == file.PatientID
                }
                studies = [self._described(f, "StudyInstanceUID") for f in found.values()]
                self._json(self._page(studies, query))
            case ["studies", study, "series"]:
                inside = [file for file in self.server.files if file.StudyInstanceUID == study]
                found = {file.SeriesInstanceUID: file for file in inside}
                self._json([self._described(file, "SeriesInstanceUID") for file in found.values()])
            case ["studies", _, "series", series, "metadata"]:
                inside = [file for file in self.server.files if file.SeriesInstanceUID == series]
                self._json([self._described(file) for file in inside])
            case ["studies", _, "series", _, "instances", instance]:
                self._instance(instance)
            case _:
                self.send_error(404)

    def _page(self, answers: list[Any], query: dict[str, str]) -> list[Any]:
        offset = int(query.get("offset", 0))
        return answers[offset : offset + self.server.page] if self.server.page else answers

    def _described(self, file: pydicom.Dataset, *keywords: str) -> dict[str, Any]:
        return {
            f"{element.tag:08X}": element.to_json_dict(None, 1024)
            for element in file
            if element.keyword != "PixelData" and (not keywords or element.keyword in keywords)
        }

    def _instance(self, uid: str) -> None:
        paths = [Path(f.filename) for f in self.server.files if f.SOPInstanceUID == uid]
        if uid in self.server.lost or not paths:
            self.send_error(404)
            return
        path = self.server.swapped.get(uid, paths[0])
        body = b"--%s\r\nContent-Type: application/dicom\r\n\r\n" % BOUNDARY.encode()
        body += path.read_bytes() + b"\r\n--%s--\r\n" % BOUNDARY.encode()
        kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        self._send(kind, body)

    def _json(self, content: list[dict[str, Any]]) -> None:
        self._send("application/dicom+json", json.dumps(content).encode())

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(folder: Path) -> Iterator[Any]:
    """Serve the DICOM files below a folder; the server tells its ``url`` and its ``requests``."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Archive)
    server.files = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    server.requests, server.lost, server.swapped, server.page = [], set(), {}, 0
    server.url = f"http://127.0.0.1:{server.server_port}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
