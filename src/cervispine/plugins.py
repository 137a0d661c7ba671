"""What is installed under an entry-point group, and importing one of it by name.

Listing reads the metadata of the installed distributions and imports nothing. A plug-in is
imported only when it is asked for by name, so that one that is broken disturbs nobody else.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from typing import Any

import attrs
from importlib_metadata import EntryPoint, PackageMetadata, distributions

from cervispine.exceptions import CervispineError, UsageError

__all__ = ["InstalledPlugin", "PluginGroup"]

#: The distribution whose plug-ins are built in.
BUILT_IN = "cervispine"

#: Environment variable: "off" leaves only what is built in, to find out who is at fault.
SWITCH = "CERVISPINE_PLUGINS"

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class InstalledPlugin:
    """A plug-in as its distribution declares it, known without importing anything.

    Parameters
    ----------
    kind
        "backbone" or "loader".
    name
        What it is asked for by.
    distribution
        The installed distribution that declares it.
    version
        The version of that distribution.
    object
        Where it lives, as "module:attribute".
    licence
        What the distribution's metadata give as its licence; empty when they give none.
    """

    kind: str
    name: str
    distribution: str
    version: str
    object: str
    licence: str = ""

    @property
    def qualified_name(self) -> str:
        """``distribution:name``, which stays unique when two distributions use one name."""
        return f"{self.distribution}:{self.name}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r} from {self.distribution} {self.version} ({self.object})"


@attrs.frozen(kw_only=True)
class PluginGroup:
    """One kind of plug-in: where it is declared, and the errors that speak of it.

    Parameters
    ----------
    kind
        "backbone" or "loader"; ``cervispine backbones`` and ``cervispine loaders`` list them.
    name
        The entry-point group.
    not_found, ambiguous, unloadable
        Raised when no plug-in has a name, when several have, and when importing it fails.
    """

    kind: str
    name: str
    not_found: type[CervispineError]
    ambiguous: type[CervispineError]
    unloadable: type[CervispineError]

    def installed(self) -> tuple[InstalledPlugin, ...]:
        """Return every installed plug-in, in the order of their names, importing none.

        Raises
        ------
        UsageError
            When the environment variable ``CERVISPINE_PLUGINS`` is neither "on" nor "off".
        """
        only_built_in = _plugins_are_off()
        found: list[InstalledPlugin] = []
        seen: set[str] = set()
        for distribution in distributions():
            # One distribution's damaged metadata must not hide the others' plug-ins.
            try:
                name = _normalised(distribution.name)
                if name in seen or (only_built_in and name != BUILT_IN):
                    continue
                declared = [
                    InstalledPlugin(
                        kind=self.kind,
                        name=entry_point.name,
                        distribution=distribution.name,
                        version=distribution.version,
                        object=entry_point.value,
                        licence=_licence(distribution.metadata),
                    )
                    for entry_point in distribution.entry_points.select(group=self.name)
                ]
            except Exception:
                logger.debug("metadata of an installed distribution cannot be read", exc_info=True)
                continue
            # As Python itself: of two copies of a distribution on the path, the first counts.
            seen.add(name)
            found += declared
        return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.distribution)))

    def find(self, name: str) -> InstalledPlugin:
        """Return the one plug-in installed under a name, without importing it.

        Parameters
        ----------
        name
            ``name``, or ``distribution:name`` where two distributions use the same one.

        Raises
        ------
        CervispineError
            ``not_found`` when none has the name, ``ambiguous`` when several have.
        """
        installed = self.installed()
        fitting = [plugin for plugin in installed if _answers_to(plugin, name)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise self.ambiguous(
                f"{len(fitting)} {self.kind}s are named {name!r}",
                where="; ".join(str(plugin) for plugin in fitting),
                advice="pick one: " + " or ".join(repr(p.qualified_name) for p in fitting),
            )
        names = sorted({plugin.name for plugin in installed})
        nearest = difflib.get_close_matches(
            name, [*names, *(plugin.qualified_name for plugin in installed)], n=1
        )
        question = f"did you mean {nearest[0]!r}? " if nearest else ""
        raise self.not_found(
            f"no {self.kind} named {name!r}",
            where=f"installed: {', '.join(names) or 'none'}",
            advice=f"{question}`cervispine {self.kind}s` lists them",
        )

    def load(self, plugin: InstalledPlugin) -> Any:
        """Import what a plug-in's entry point names.

        Raises
        ------
        CervispineError
            ``unloadable`` when importing it fails in any way, naming distribution, version and
            object; the original error is its cause. Only a keyboard interrupt passes, since it
            is the user's.
        """
        try:
            return EntryPoint(plugin.name, plugin.object, self.name).load()
        except (Exception, SystemExit) as error:
            raise self.unloadable(
                f"{self.kind} {plugin.name!r} failed to import: {type(error).__name__}: {error}",
                where=str(plugin),
                advice=f"mend or uninstall {plugin.distribution}; "
                f"other {self.kind}s are unaffected",
            ) from error


def _plugins_are_off() -> bool:
    setting = os.environ.get(SWITCH, "on")
    if setting not in ("on", "off"):
        raise UsageError(f"{SWITCH} is {setting!r}; it can be 'on' or 'off'", where="environment")
    return setting == "off"


def _licence(metadata: PackageMetadata) -> str:
    # The older free-text field may hold the whole licence; its first line names it.
    return (metadata.get("License-Expression") or metadata.get("License") or "").partition("\n")[0]


def _answers_to(plugin: InstalledPlugin, name: str) -> bool:
    distribution, _, rest = name.rpartition(":")
    return rest == plugin.name and (
        not distribution or _normalised(distribution) == _normalised(plugin.distribution)
    )


def _normalised(distribution: str) -> str:
    """Spell a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
