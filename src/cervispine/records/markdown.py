"""Text and tables in Markdown, into which what people have named cannot write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["escape_markdown", "markdown_table"]

#: What Markdown or the HTML inside it would take for its own.
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!])")


def escape_markdown(text: str) -> str:
    """Return text that Markdown shows as it stands, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(text.splitlines()))


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; every cell is escaped."""
    lines = [columns, ["---"] * len(columns), *([escape_markdown(c) for c in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
