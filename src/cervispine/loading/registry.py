"""Which loaders are installed, and making one by name."""

from __future__ import annotations

import functools
import hashlib
import inspect
import pickle
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from cervispine.exceptions import (
    CervispineError,
    LoaderAmbiguousError,
    LoaderContractError,
    LoaderLoadError,
    LoaderNotFoundError,
    UsageError,
)
from cervispine.plugins import InstalledPlugin, PluginGroup
from cervispine.records import Cohort, Series, Study, Volume

__all__ = [
    "ImageLoader",
    "MakeLoader",
    "build_loader",
    "find_loader",
    "identity_of",
    "index_with",
    "list_loaders",
    "load_loader",
    "made_once",
    "with_version",
]

LOADERS = PluginGroup(
    kind="loader",
    name="cervispine.loaders",
    not_found=LoaderNotFoundError,
    ambiguous=LoaderAmbiguousError,
    unloadable=LoaderLoadError,
)


@runtime_checkable
class ImageLoader(Protocol):
    """What a loader does: `cervispine.Loader` does it, and so must a plug-in.

    A loader can be pickled. A class attribute ``names_decide = True`` says that it takes patients
    from the names of files or folders, as that of NIfTI must; without it names decide nothing.
    """

    def index(
        self, source: str | Path, /, *, progress: Callable[[int, int], None] | None = None
    ) -> Cohort:
        """Find the studies of a source, with the account of all that was found.

        Each series carries the name of the loader that reads it, ``Series.loader``. Where nothing
        is usable, the error is a `NoImagesError`. ``progress`` is called with how much is done
        and how much there is.
        """
        ...

    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        """Read the pixels of one series of a study, or those of some slices, evenly spaced.

        Cervispine always names the sequence, also where it gives the series itself: its own.
        """
        ...


class MakeLoader(Protocol):
    """What an entry point of the group ``cervispine.loaders`` names: a class, or a function."""

    def __call__(self, *, sequences: Sequence[str]) -> ImageLoader:
        """Return a loader of studies that have exactly one series of each of these sequences."""
        ...


def list_loaders() -> tuple[InstalledPlugin, ...]:
    """Return every installed loader, in the order of their names, importing none.

    Raises
    ------
    UsageError
        When the environment variable ``CERVISPINE_PLUGINS`` is neither "on" nor "off".
    """
    return LOADERS.installed()


def find_loader(name: str) -> InstalledPlugin:
    """Return the one loader installed under a name, without importing it.

    Parameters
    ----------
    name
        ``name``, or ``distribution:name`` where two distributions use the same one.

    Raises
    ------
    LoaderNotFoundError
        When none has the name (``LOADER_NOT_FOUND``), or several (``LOADER_AMBIGUOUS``).
    """
    return LOADERS.find(name)


def load_loader(name: str) -> MakeLoader:
    """Import what makes a loader.

    Parameters
    ----------
    name
        As for `find_loader`.

    Raises
    ------
    LoaderNotFoundError
        When none has the name, or several.
    LoaderLoadError
        When importing it fails in any way, naming distribution, version and object; the original
        error is its cause. Only a keyboard interrupt passes, since it is the user's.
    LoaderContractError
        When the entry point names nothing that can be called.
    """
    return _load(find_loader(name))


def _load(installed: InstalledPlugin) -> MakeLoader:
    target = LOADERS.load(installed)
    if not callable(target):
        raise LoaderContractError(
            f"the entry point names a {type(target).__name__} where a callable is expected",
            where=str(installed),
        )
    return cast(MakeLoader, target)


def build_loader(name: str, *, sequences: Sequence[str] = ("T2",)) -> ImageLoader:
    """Make a loader by name.

    Parameters
    ----------
    name
        As for `find_loader`.
    sequences
        Which sequences each study must have.

    Raises
    ------
    LoaderNotFoundError, LoaderLoadError, LoaderContractError
        As for `load_loader`; also when making it fails, or what is made has no ``index`` and
        ``read``.
    """
    installed = find_loader(name)
    make, where = _load(installed), str(installed)
    try:
        loader = make(sequences=tuple(sequences))
    except CervispineError:
        raise
    except (Exception, SystemExit) as error:
        raise LoaderLoadError(
            f"the loader cannot be made for {' and '.join(sequences)}: "
            f"{type(error).__name__}: {error}",
            where=where,
            advice=f"`cervispine loaders --check FOLDER {name}` runs its contract",
        ) from error
    if not isinstance(loader, ImageLoader):
        raise LoaderContractError(
            f"expected a loader with the methods index and read, got a {type(loader).__name__}",
            where=where,
        )
    return loader


@functools.lru_cache(maxsize=16)
def made_once(name: str, sequences: tuple[str, ...]) -> ImageLoader:
    """Make a loader once, not for each study: finding it reads all installed metadata.

    Raises
    ------
    LoaderError
        As for `build_loader`.
    """
    return build_loader(name, sequences=sequences)


def with_version(name: str) -> str:
    """Return the qualified name of a loader and its version: what it reads is theirs.

    One that is not installed is said to be so; it reads nothing.
    """
    try:
        return _with_version(name)
    except LoaderNotFoundError:
        return f"{name} (not installed)"


@functools.cache
def _with_version(name: str) -> str:
    # What a process has imported stays what it is, whatever is installed meanwhile.
    installed = find_loader(name)
    return f"{installed.qualified_name} {installed.version}"


def identity_of(loader: str | ImageLoader) -> str:
    """Return what tells the images of a loader from those of another.

    Parameters
    ----------
    loader
        The name of an installed loader; or an object, which also has parameters.

    Returns
    -------
    str
        Qualified name and version; of an object also a hash of its parameters.

    Raises
    ------
    UsageError
        ``LOADER_UNNAMED`` when the object is not of a class that a distribution declares as a
        loader: such a class has no version, and may read in another way tomorrow.
    """
    if isinstance(loader, str):
        return with_version(loader)
    kind = type(loader)
    names = [each.qualified_name for each in list_loaders() if _imported(each) is kind]
    if not names:
        raise UsageError(
            "prepared pixels are kept by the loader that read them, and this one has no version",
            where=f"a {kind.__name__}, which no installed distribution declares as a loader",
            advice="declare it as an entry point of cervispine.loaders, or use no cache",
            code="LOADER_UNNAMED",
        )
    return f"{with_version(names[0])} {hashlib.sha256(pickle.dumps(loader)).hexdigest()}"


def _imported(installed: InstalledPlugin) -> object:
    """Return what an entry point names where it is imported already; no other is for this."""
    module, _, attribute = installed.object.partition(":")
    return getattr(sys.modules.get(module), attribute.strip(), None)


def index_with(
    name: str,
    source: str | Path,
    *,
    sequences: Sequence[str] = ("T2",),
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Cohort:
    """Index a source with an installed loader.

    Parameters
    ----------
    name
        As for `find_loader`.
    source
        What the loader indexes: for most a folder.
    sequences
        Which sequences each study must have.
    progress
        Called with how much is done and how much there is.
    options
        What else was asked for; None for what was not. Not every loader takes every option:
        ``saved`` is for DICOM.

    Raises
    ------
    UsageError
        When the loader does not take an option that was asked for.
    LoaderError
        As for `build_loader`.
    CervispineError
        Whatever the loader raises.
    """
    loader = build_loader(name, sequences=sequences)
    asked = {option: value for option, value in options.items() if value is not None}
    strangers = sorted(set(asked) - set(inspect.signature(loader.index).parameters))
    if strangers:
        raise UsageError(f"the loader {name!r} takes no {', '.join(strangers)}")
    # What the protocol does not have is handed on to loaders that do.
    return cast(Any, loader).index(source, progress=progress, **asked)  # type: ignore[no-any-return]
