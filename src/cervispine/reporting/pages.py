"""Pages: one file each, without scripts and without anything from the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["render"]


def render(template: str, values: Mapping[str, Any], **filters: Callable[..., Any]) -> str:
    """Return a page as HTML; what it needs and is not given is an error.

    Parameters
    ----------
    template
        A file of ``cervispine.reporting.templates``.
    values
        What stands in it; all text is escaped.
    filters
        Functions that the template calls.

    Raises
    ------
    jinja2.UndefinedError
        When a value is missing.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("cervispine.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(template).render(values)
