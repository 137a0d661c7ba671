"""Keyed pseudonyms: a patient has one short name for those who hold the key, and none for others.

An identifier is one of few (a counter, a birth date and initials), so a plain hash of it is undone
by trying them all. HMAC-SHA256 with a secret key is not (RFC 2104). The key is a file of the user,
private to the user: it is never written into a run, a model, a log or an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
import warnings
from pathlib import Path

import attrs

from cervispine.exceptions import DataWarning, ResourceError, UsageError

__all__ = ["Key"]

FIRST_LINE = "cervispine key 1: keep it secret, keep it for as long as you keep the data"
KEY_BYTES = 32

#: Crockford's base 32: no letter that is read as a digit or as another letter.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUP = 4


@attrs.frozen
class Key:
    """A secret from which the pseudonyms of patients are made.

    Parameters
    ----------
    secret
        32 random bytes; not shown by ``repr``.
    """

    secret: bytes = attrs.field(repr=False)

    @classmethod
    def open(cls, path: str | Path, *, outside: str | Path | None = None, make: bool = True) -> Key:
        """Read a key file; make it first, readable by its owner alone, where there is none.

        Parameters
        ----------
        path
            The file: beside your data, never where results are shared.
        outside
            A folder that will be shared, in which the key must not lie.
        make
            False where only a key that exists already is of use: to know somebody again.

        Raises
        ------
        UsageError
            The file is no key (``KEY_INVALID``); it lies in a folder of results
            (``KEY_MISPLACED``); it is not there and is not to be made (``KEY_MISSING``).
        ResourceError
            It cannot be read or made (``KEY_UNREADABLE``).

        Warns
        -----
        DataWarning
            Others than the owner may read the file.
        """
        path = Path(path)
        if outside is not None and path.resolve().is_relative_to(Path(outside).resolve()):
            raise UsageError(
                "the key would lie in a folder of results, and go wherever that goes",
                where=str(path),
                advice="keep it beside your data",
                code="KEY_MISPLACED",
            )
        try:
            if make:
                with contextlib.suppress(FileExistsError):
                    _write_new(path)
            elif not path.exists():
                raise UsageError(
                    "there is no key here",
                    where=str(path),
                    advice="name that of the training; without one, images alone are compared",
                    code="KEY_MISSING",
                )
            text = path.read_text(encoding="ascii")
            others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        except UnicodeDecodeError:
            raise _no_key(path) from None
        except OSError as error:
            raise ResourceError(
                f"the key can be neither read nor made: {error.strerror or type(error).__name__}",
                where=str(path),
                advice="name a file in a folder of yours",
                code="KEY_UNREADABLE",
            ) from error
        first, _, rest = text.partition("\n")
        try:
            secret = bytes.fromhex(rest.strip())
        except ValueError:
            secret = b""
        if first != FIRST_LINE or len(secret) != KEY_BYTES:
            raise _no_key(path)
        if others and os.name == "posix":
            warnings.warn(
                f"others may read the key {path}; chmod 600 makes it yours alone",
                DataWarning,
                stacklevel=2,
            )
        return cls(secret)

    def digest(self, purpose: str, identifier: str) -> bytes:
        """Return 32 bytes that stand for an identifier, unlike those for any other purpose."""
        message = f"{purpose}\0{identifier}".encode("utf-8", "surrogateescape")
        return hmac.new(self.secret, message, hashlib.sha256).digest()

    def pseudonym(self, patient: str) -> str:
        """Return a short name for a patient, for example ``P-7K3M-9QXA``.

        The same key and identifier give the same name everywhere. It has 40 bits: among 10,000
        patients two share a name with a probability of 1 in 22,000.
        """
        number = int.from_bytes(self.digest("pseudonym", patient)[:5], "big")
        letters = "".join(ALPHABET[number >> shift & 31] for shift in range(35, -1, -5))
        return f"P-{letters[:GROUP]}-{letters[GROUP:]}"

    @property
    def fingerprint(self) -> str:
        """What tells this key from another, and says nothing about it: 16 hexadecimal digits."""
        return self.digest("fingerprint", "").hex()[:16]


def _write_new(path: Path) -> None:
    """Write a new key, private from the first byte on."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as stream:
            stream.write(f"{FIRST_LINE}\n{secrets.token_hex(KEY_BYTES)}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        # Half a key would be refused for ever after.
        path.unlink(missing_ok=True)
        raise


def _no_key(path: Path) -> UsageError:
    return UsageError(
        "the file is no key of cervispine",
        where=str(path),
        advice="name another file; where there is none, a new key is made",
        code="KEY_INVALID",
    )
