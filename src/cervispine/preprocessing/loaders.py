"""By whom images are read, as caches, models and their records know it."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence

from cervispine.exceptions import LoaderContractError, UsageError
from cervispine.loading import ImageLoader
from cervispine.loading.registry import identity_of, with_version
from cervispine.records import Study

__all__ = ["identity_or_class", "loaders_of", "name_in"]


def identity_or_class(loader: str | ImageLoader) -> str:
    """Return what tells the images of a loader from those of another, as far as that is known.

    Parameters
    ----------
    loader
        The name of an installed loader; or an object.

    Returns
    -------
    str
        Qualified name and version; of an object also a hash of its parameters. Of an object that
        no distribution declares its class and that hash: it has no version.

    Raises
    ------
    LoaderContractError
        It is an object that cannot be pickled.
    """
    try:
        return identity_of(loader)
    except UsageError:
        kind = type(loader)
        name = f"{kind.__module__}.{kind.__qualname__}"
        try:
            content = pickle.dumps(loader)
        except Exception as error:
            raise LoaderContractError(
                "the loader cannot be pickled, so what it reads cannot be told from other images",
                where=name,
                advice="define its class in a module, and keep no open file or lock in it",
            ) from error
        return f"{name} {hashlib.sha256(content).hexdigest()}"


def name_in(identity: str) -> str | None:
    """Return the name under which the loader of an identity is installed; None where under none."""
    name = identity.partition(" ")[0]
    return name if ":" in name else None


def loaders_of(studies: Sequence[Study], loader: str | ImageLoader | None) -> list[str]:
    """Return by whom studies are read, each as :func:`identity_or_class` gives it.

    Parameters
    ----------
    studies
        As they were indexed.
    loader
        That of the preprocessor; None for those that the series name.
    """
    if loader is not None:
        return [identity_or_class(loader)]
    names = sorted({series.loader for study in studies for series in study.series})
    return [with_version(name) for name in names]
