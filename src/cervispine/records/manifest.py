"""Manifest: which bytes a cohort was made of, wherever they lie and whatever they are called."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import attrs

from cervispine.exceptions import LoadError, UsageError
from cervispine.records.files import write_text

__all__ = ["Fingerprint", "Manifest", "SeriesManifest"]

FORMAT = "cervispine/data-manifest"
VERSION = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9.]{1,64}")


def _matching(pattern: re.Pattern[str]) -> Any:
    def check(_: object, attribute: attrs.Attribute[str], value: object) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"{attribute.name} is malformed")

    return check


def _positive(_: object, attribute: attrs.Attribute[int], value: object) -> None:
    if type(value) is not int or value <= 0:
        raise ValueError(f"{attribute.name} is malformed")


@attrs.frozen(kw_only=True)
class Fingerprint:
    """One slice's file.

    Parameters
    ----------
    sha256
        SHA-256 of the whole file, hexadecimal.
    pixels
        SHA-256 of its encoded pixel data alone: tells an edited header from an edited image.
    size
        Bytes.
    """

    sha256: str = attrs.field(validator=_matching(_SHA256))
    pixels: str = attrs.field(validator=_matching(_SHA256))
    size: int = attrs.field(validator=_positive)


@attrs.frozen(kw_only=True)
class SeriesManifest:
    """One series: its identifiers, and a fingerprint a slice in order along their normal.

    Parameters
    ----------
    study, series
        StudyInstanceUID and SeriesInstanceUID.
    sequence
        As :attr:`Series.sequence <cervispine.Series>`: one series UID can hold two.
    slices
        In the order of :attr:`Series.files <cervispine.Series>`.
    """

    study: str = attrs.field(validator=_matching(_UID))
    series: str = attrs.field(validator=_matching(_UID))
    sequence: str = attrs.field(validator=attrs.validators.instance_of(str))
    slices: tuple[Fingerprint, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """What a series is found by."""
        return self.study, self.series, self.sequence


def _in_order(series: Any) -> tuple[SeriesManifest, ...]:
    return tuple(sorted(series, key=lambda each: each.key))


@attrs.frozen
class Manifest:
    """The content of every file of a cohort, by hash.

    It holds neither names nor paths of files, nor identifiers of patients, so that it stays valid
    when a folder is moved or its files are renamed, and can be handed on with a result.

    Parameters
    ----------
    series
        Sorted by their identifiers, whatever order they are given in.

    Examples
    --------
    >>> from cervispine.loading import Loader, make_manifest
    >>> cohort = Loader().index("archive")  # doctest: +SKIP
    >>> make_manifest(cohort).save("data-manifest.json")  # doctest: +SKIP
    >>> Loader().index("archive", manifest="data-manifest.json")  # doctest: +SKIP
    """

    series: tuple[SeriesManifest, ...] = attrs.field(converter=_in_order, repr=False)

    def __attrs_post_init__(self) -> None:
        if len({each.key for each in self.series}) < len(self.series):
            raise ValueError("one series stands there twice")

    @property
    def files(self) -> int:
        """How many fingerprints it holds, one a slice."""
        return sum(len(each.slices) for each in self.series)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest as text: one hash for all the data."""
        return hashlib.sha256(self._text().encode()).hexdigest()

    def __iter__(self) -> Iterator[SeriesManifest]:
        return iter(self.series)

    def save(self, path: str | Path) -> None:
        """Write it as JSON.

        Raises
        ------
        ResourceError
            When the file cannot be written (``OUTPUT_UNWRITABLE``).
        """
        write_text(Path(path), self._text())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`save` wrote.

        Raises
        ------
        UsageError
            When the file cannot be read (``FILE_MISSING``).
        LoadError
            When it is no manifest, or one that is damaged (``MANIFEST_INVALID``).
        """
        path = Path(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if (content["format"], content["version"]) != (FORMAT, VERSION):
                raise ValueError("another format or version")
            return cls(
                SeriesManifest(
                    study=each["study"],
                    series=each["series"],
                    sequence=each["sequence"],
                    slices=tuple(Fingerprint(**one) for one in each["slices"]),
                )
                for each in content["series"]
            )
        except OSError as error:
            raise UsageError(
                f"the manifest cannot be read: {type(error).__name__}",
                where=path.name,
                advice="check its path",
                code="FILE_MISSING",
            ) from None
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            # The text of these may quote the file.
            raise LoadError(
                f"this is no manifest of version {VERSION}: {type(error).__name__}",
                where=path.name,
                advice="cervispine index DATA --out DIR writes DIR/data-manifest.json",
                code="MANIFEST_INVALID",
            ) from None

    def _text(self) -> str:
        content = {
            "format": FORMAT,
            "version": VERSION,
            "series": [attrs.asdict(each) for each in self.series],
        }
        return json.dumps(content, indent=1) + "\n"
