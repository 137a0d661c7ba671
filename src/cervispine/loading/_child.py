"""What `isolation` runs in a process of its own: images in by standard input, pixels out.

A request is a length of 8 bytes and JSON, a length and one encoded image; an answer a length and
JSON, a length and the decoded bytes. The process ends with its input.
"""

from __future__ import annotations

import contextlib
import json
import sys

from pydicom import config
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

#: Memory that decoding may take on top of what the libraries take, bytes.
MEMORY = 4 * 2**30


def main() -> None:
    """Answer requests until there are no more."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    config.settings.reading_validation_mode = config.IGNORE
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while length := source.read(8):
        options = json.loads(source.read(int.from_bytes(length, "little")))
        encoded = source.read(int.from_bytes(source.read(8), "little"))
        syntax, plugin = options.pop("syntax"), options.pop("plugin")
        options["number_of_frames"] = 1
        try:
            stored, _ = get_decoder(UID(syntax)).as_array(
                encapsulate([encoded], has_bot=False),
                index=0,
                raw=True,
                decoding_plugin=plugin,
                **options,
            )
            answer, content = {"dtype": stored.dtype.str}, stored.tobytes()
        except Exception as error:  # each decoder raises its own classes
            answer, content = {"error": type(error).__name__}, b""
        for part in (json.dumps(answer).encode(), content):
            sink.write(len(part).to_bytes(8, "little") + part)
        sink.flush()


if __name__ == "__main__":
    main()
