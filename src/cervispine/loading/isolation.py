"""Decoders that may die are run in a process of their own.

GDCM, the only free decoder of JPEG Lossless, ends the process on some broken images: a damaged
file of an archive would take a night's training with it. One child serves a whole process; it is
started when the first image needs it and replaced when it dies or takes too long.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import PixelError

__all__ = ["decode_apart"]

#: No image within the budget takes a decoder this long, s.
PATIENCE = 10.0

#: What the child runs; a file, so that it imports pydicom and NumPy and nothing else.
CHILD = Path(__file__).with_name("_child.py")

_lock = threading.Lock()
_child: subprocess.Popen[bytes] | None = None


def decode_apart(
    encoded: bytes, syntax: str, plugin: str, options: dict[str, Any]
) -> NDArray[np.integer[Any]]:
    """Decode one image in a process that may die of it.

    Parameters
    ----------
    encoded
        The image, as its fragments joined.
    syntax, plugin, options
        For pydicom's decoder.

    Returns
    -------
    ndarray
        Integers, (rows, columns).

    Raises
    ------
    PixelError
        ``PIXELS_INVALID`` when the decoder fails, dies or takes more than ten seconds.
    """
    request = json.dumps({**options, "syntax": syntax, "plugin": plugin}).encode()
    with _lock:
        child = _running()
        watchdog = threading.Timer(PATIENCE, child.kill)
        watchdog.start()
        try:
            assert child.stdin is not None
            assert child.stdout is not None
            for part in (request, encoded):
                child.stdin.write(len(part).to_bytes(8, "little") + part)
            child.stdin.flush()
            answer, content = json.loads(_receive(child.stdout)), _receive(child.stdout)
        except (OSError, EOFError):
            _stop()
            raise PixelError(
                "the decoder died of the image, or took too long",
                advice="the file is damaged; export it again",
            ) from None
        except BaseException:
            # Interrupted in the middle of an answer: the next one must not get its rest.
            _stop()
            raise
        finally:
            watchdog.cancel()
    if "error" in answer:
        raise PixelError(
            f"the pixels cannot be decoded: {answer['error']}",
            advice="the file is damaged; export it again",
        )
    stored = np.frombuffer(content, answer["dtype"])
    if stored.size != options["rows"] * options["columns"]:
        raise PixelError("the decoded image has another size than the header says")
    return stored.reshape(options["rows"], options["columns"])


def _receive(stream: IO[bytes]) -> bytes:
    length = stream.read(8)
    size = int.from_bytes(length, "little")
    content = stream.read(size)
    if len(length) < 8 or len(content) < size:
        raise EOFError
    return content


def _running() -> subprocess.Popen[bytes]:
    global _child
    if _child is None or _child.poll() is not None:
        _child = subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    return _child


@atexit.register
def _stop() -> None:
    global _child
    if _child is not None:
        _child.kill()
        for stream in (_child.stdin, _child.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()
        _child.wait()
    _child = None


def _forget() -> None:
    """In a forked copy of this process: its child is its parent's."""
    global _child, _lock
    _child, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
