"""How much a file or a series may ask for before anything of it is decoded."""

from __future__ import annotations

import attrs

__all__ = ["DEFAULT_LIMITS", "Limits"]


@attrs.frozen(kw_only=True)
class Limits:
    """Budgets checked from headers alone, so that a hostile file costs nothing.

    A file or series beyond them is rejected with the code ``DECODE_BUDGET``, an archive with
    ``ARCHIVE_UNSAFE``. A 206 KB file can
    inflate to 200 MB, and four header bytes can ask for 8 GiB; no sagittal series of the spine
    comes near these figures.

    Parameters
    ----------
    rows, columns
        The largest image.
    slices
        The longest stack.
    file_bytes
        The largest file.
    series_bytes
        The most memory that the decoded pixels of a series may take, as float32.
    inflation
        How many times larger the content of a deflated file, or all of an archive, may be than
        the file.
    archive_entries
        How many files and folders an archive may hold.
    archive_bytes
        How much may be unpacked from an archive.
    """

    rows: int = 4096
    columns: int = 4096
    slices: int = 1024
    file_bytes: int = 256 * 2**20
    series_bytes: int = 2**30
    inflation: int = 100
    archive_entries: int = 1_000_000
    archive_bytes: int = 256 * 2**30


#: The budgets of a loader that is not told others.
DEFAULT_LIMITS = Limits()
