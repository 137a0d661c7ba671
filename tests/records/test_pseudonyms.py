"""Pseudonyms: stable for one key, different for another, and the key stays private."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.exceptions import DataWarning, ResourceError, UsageError
from cervispine.records.pseudonyms import FIRST_LINE, Key

posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")


@posix
def test_a_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "cervispine.key"
    before = os.umask(0)
    try:
        made = Key.open(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Key.open(path) == made
    assert Key.open(tmp_path / "other.key") != made
    assert made.secret.hex() in path.read_text()
    assert made.secret.hex() not in repr(made)
    assert str(made.secret) not in repr(made)


@posix
def test_a_key_that_others_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "cervispine.key"
    Key.open(path)
    path.chmod(0o640)
    with pytest.warns(DataWarning, match="chmod 600"):
        Key.open(path)


@given(st.binary(min_size=32, max_size=32), st.text())
def test_pseudonyms_are_short_stable_and_of_their_key(secret: bytes, patient: str) -> None:
    key = Key(secret)
    name = key.pseudonym(patient)
    assert re.fullmatch("P(-[0-9A-HJKMNP-TV-Z]{4}){2}", name)
    assert Key(secret).pseudonym(patient) == name
    assert Key(bytes(32) if any(secret) else bytes([1] * 32)).pseudonym(patient) != name


def test_the_pseudonym_is_hmac_sha256() -> None:
    secret = bytes(range(32))
    expected = hmac.new(secret, b"pseudonym\x0000123", hashlib.sha256).digest()
    bits = "".join(f"{byte:08b}" for byte in expected[:5])
    places = [int(bits[start : start + 5], 2) for start in range(0, 40, 5)]
    letters = "".join("0123456789ABCDEFGHJKMNPQRSTVWXYZ"[place] for place in places)
    assert Key(secret).pseudonym("00123") == f"P-{letters[:4]}-{letters[4:]}"


def test_ten_thousand_patients_keep_their_own_names() -> None:
    key = Key(bytes(32))
    assert len({key.pseudonym(str(number)) for number in range(10_000)}) == 10_000
    assert key.pseudonym("00123") != key.pseudonym("123")


def test_one_purpose_says_nothing_of_another() -> None:
    key = Key(bytes(32))
    assert key.digest("pseudonym", "1") != key.digest("training", "1")
    assert key.fingerprint != Key(bytes([1]) + bytes(31)).fingerprint
    assert len(key.fingerprint) == 16


@pytest.mark.parametrize(
    "content",
    [b"", b"patient,label\n", FIRST_LINE.encode(), f"{FIRST_LINE}\nabcd\n".encode(), b"\xff\xfe",
     f"{FIRST_LINE}\n{'zz' * 32}\n".encode()],
)  # fmt: skip
def test_what_is_no_key_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cervispine.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError) as caught:
        Key.open(path)
    assert caught.value.code == "KEY_INVALID"
    assert path.read_bytes() == content


def test_a_key_never_lies_among_results(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(UsageError) as caught:
        Key.open(run / "models" / ".." / "cervispine.key", outside=run)
    assert caught.value.code == "KEY_MISPLACED"
    assert not list(run.iterdir())
    assert Key.open(tmp_path / "cervispine.key", outside=run) == Key.open(
        tmp_path / "cervispine.key"
    )


def test_a_key_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "absent" / "cervispine.key", tmp_path):
        with pytest.raises(ResourceError) as caught:
            Key.open(path)
        assert caught.value.code == "KEY_UNREADABLE"


def test_a_key_that_is_only_to_be_read_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "cervispine.key"
    with pytest.raises(UsageError) as caught:
        Key.open(path, make=False)
    assert caught.value.code == "KEY_MISSING"
    assert not path.exists()
    assert Key.open(path) == Key.open(path, make=False)


def test_half_a_key_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceError, match="No space left"):
        Key.open(tmp_path / "cervispine.key")
    assert not list(tmp_path.iterdir())
