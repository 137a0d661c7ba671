"""Which backbones are installed, and building one by name.

Listing reads the metadata of the installed distributions and imports nothing. A backbone is
imported only when it is asked for by name, so that one that is broken disturbs nobody else.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from typing import TYPE_CHECKING

import attrs
from importlib_metadata import EntryPoint, PackageMetadata, distributions

from cervispine.backbones.backbone import Backbone
from cervispine.backbones.contract import call_build, check_module
from cervispine.exceptions import (
    BackboneContractError,
    BackboneLoadError,
    BackboneNotFoundError,
    UsageError,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "InstalledBackbone",
    "build_backbone",
    "find_backbone",
    "list_backbones",
    "load_backbone",
]

#: The entry-point group that backbones are declared in.
GROUP = "cervispine.backbones"

#: The distribution whose backbones are built in.
BUILT_IN = "cervispine"

#: Environment variable: "off" leaves only the built-in backbones, to find out who is at fault.
SWITCH = "CERVISPINE_PLUGINS"

logger = logging.getLogger(__name__)


@attrs.frozen(kw_only=True)
class InstalledBackbone:
    """A backbone as its distribution declares it, known without importing anything.

    Parameters
    ----------
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
        return f"backbone {self.name!r} from {self.distribution} {self.version} ({self.object})"


def list_backbones() -> tuple[InstalledBackbone, ...]:
    """Return every installed backbone, in the order of their names, importing none.

    Raises
    ------
    UsageError
        When the environment variable ``CERVISPINE_PLUGINS`` is neither "on" nor "off".
    """
    only_built_in = _plugins_are_off()
    found: list[InstalledBackbone] = []
    seen: set[str] = set()
    for distribution in distributions():
        # One distribution's damaged metadata must not hide the others' backbones.
        try:
            name = _normalised(distribution.name)
            if name in seen or (only_built_in and name != BUILT_IN):
                continue
            declared = [
                InstalledBackbone(
                    name=entry_point.name,
                    distribution=distribution.name,
                    version=distribution.version,
                    object=entry_point.value,
                    licence=_licence(distribution.metadata),
                )
                for entry_point in distribution.entry_points.select(group=GROUP)
            ]
        except Exception:
            logger.debug("metadata of an installed distribution cannot be read", exc_info=True)
            continue
        # As Python itself: of two copies of a distribution on the path, the first counts.
        seen.add(name)
        found += declared
    return tuple(sorted(found, key=lambda backbone: (backbone.name, backbone.distribution)))


def find_backbone(name: str) -> InstalledBackbone:
    """Return the one backbone installed under a name, without importing it.

    Parameters
    ----------
    name
        ``name``, or ``distribution:name`` where two distributions use the same one.

    Raises
    ------
    BackboneNotFoundError
        When none has the name (``BACKBONE_NOT_FOUND``), or several (``BACKBONE_AMBIGUOUS``).
    """
    installed = list_backbones()
    fitting = [backbone for backbone in installed if _answers_to(backbone, name)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise BackboneNotFoundError(
            f"{len(fitting)} backbones are named {name!r}",
            where="; ".join(str(backbone) for backbone in fitting),
            advice="pick one: " + " or ".join(repr(b.qualified_name) for b in fitting),
            code="BACKBONE_AMBIGUOUS",
        )
    names = sorted({backbone.name for backbone in installed})
    nearest = difflib.get_close_matches(
        name, [*names, *(backbone.qualified_name for backbone in installed)], n=1
    )
    question = f"did you mean {nearest[0]!r}? " if nearest else ""
    raise BackboneNotFoundError(
        f"no backbone named {name!r}",
        where=f"installed: {', '.join(names) or 'none'}",
        advice=f"{question}`cervispine backbones` lists them",
    )


def load_backbone(name: str) -> Backbone:
    """Import one backbone.

    Parameters
    ----------
    name
        As for `find_backbone`.

    Raises
    ------
    BackboneNotFoundError
        When none has the name, or several.
    BackboneLoadError
        When importing it fails in any way, naming distribution, version and object; the original
        error is its cause. Only a keyboard interrupt passes, since it is the user's.
    BackboneContractError
        When the entry point names neither a callable nor a `Backbone`.
    """
    installed = find_backbone(name)
    try:
        target = EntryPoint(installed.name, installed.object, GROUP).load()
    except (Exception, SystemExit) as error:
        raise BackboneLoadError(
            f"backbone {installed.name!r} failed to import: {type(error).__name__}: {error}",
            where=str(installed),
            advice=f"mend or uninstall {installed.distribution}; other backbones are unaffected",
        ) from error
    if isinstance(target, Backbone):
        return target
    if not callable(target):
        raise BackboneContractError(
            f"the entry point names a {type(target).__name__} "
            "where a callable or a Backbone is expected",
            where=str(installed),
        )
    return Backbone(target)


def build_backbone(
    name: str,
    *,
    in_channels: int,
    num_classes: int,
    pretrained: bool = False,
    size: tuple[int, int] = (224, 224),
) -> nn.Module:
    """Build a network by name, and check it on two blank images.

    Initial weights come from torch's global random generator: seed it first, inside
    ``torch.random.fork_rng()`` where the caller's own state must survive.

    Parameters
    ----------
    name
        As for `find_backbone`.
    in_channels
        Channels of the images, at least 1.
    num_classes
        Columns of the logits, at least 2.
    pretrained
        Whether to start from the backbone's own weights instead of random ones.
    size
        Rows and columns of the blank images: the size the network is going to see.

    Returns
    -------
    torch.nn.Module
        On the CPU, in training mode.

    Raises
    ------
    UsageError
        When a number is out of range.
    BackboneNotFoundError, BackboneLoadError
        As for `load_backbone`; also when ``build`` itself fails.
    BackboneContractError
        When the module does not give finite float32 logits of shape ``(2, num_classes)``.
    """
    for parameter, value, least in (
        ("in_channels", in_channels, 1),
        ("num_classes", num_classes, 2),
        ("size", min(size), 64),
    ):
        if value < least:
            raise UsageError(f"{parameter} must be at least {least}, got {value}")
    installed = find_backbone(name)
    backbone = load_backbone(name)
    module = call_build(
        backbone.build,
        in_channels=in_channels,
        num_classes=num_classes,
        pretrained=pretrained,
        where=str(installed),
    )
    checked = check_module(
        module, in_channels=in_channels, num_classes=num_classes, size=size, where=str(installed)
    )
    return checked.train()


def _plugins_are_off() -> bool:
    setting = os.environ.get(SWITCH, "on")
    if setting not in ("on", "off"):
        raise UsageError(f"{SWITCH} is {setting!r}; it can be 'on' or 'off'", where="environment")
    return setting == "off"


def _licence(metadata: PackageMetadata) -> str:
    # The older free-text field may hold the whole licence; its first line names it.
    return (metadata.get("License-Expression") or metadata.get("License") or "").partition("\n")[0]


def _answers_to(backbone: InstalledBackbone, name: str) -> bool:
    distribution, _, rest = name.rpartition(":")
    return rest == backbone.name and (
        not distribution or _normalised(distribution) == _normalised(backbone.distribution)
    )


def _normalised(distribution: str) -> str:
    """Spell a distribution's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
