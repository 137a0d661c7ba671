"""The values that every statistic is given as: frozen, printable, JSON-ready."""

from __future__ import annotations

import math
import warnings
from typing import Any, Protocol, TypeVar

import attrs

from cervispine.exceptions import StatisticsWarning

__all__ = [
    "Difference",
    "Estimate",
    "Test",
    "format_interval",
    "format_p_value",
    "hypothesis_in_words",
    "json_fields",
    "json_ready",
    "with_warning",
]


@attrs.frozen
class Estimate:
    """A figure with its confidence interval.

    Parameters
    ----------
    value
        The point estimate.
    low, high
        The limits of the interval; ``None`` where no honest interval exists.
    method
        How the interval was made, in words.
    n
        The number of cases (or trials) behind the figure.
    note
        What narrows the meaning of the figure, if anything does.
    """

    value: float
    low: float | None
    high: float | None
    method: str
    n: int
    note: str = ""

    def __str__(self) -> str:
        return f"{self.value:.3f} {format_interval(self.low, self.high)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values; what is not estimable is ``None``."""
        return json_fields(self)


@attrs.frozen
class Difference:
    """A difference, first minus second, with its interval and test.

    Parameters
    ----------
    value
        First minus second (model minus reader).
    low, high
        The limits of the two-sided interval; ``None`` where not estimable.
    statistic, df
        The test statistic and its degrees of freedom, where the test has them.
    p_value
        The p-value; ``None`` where not estimable.
    method
        Interval and test, in words.
    scope
        For what the inference holds: which cases, which readers.
    n
        The number of cases behind the difference.
    note
        What narrows the meaning of the figure, if anything does.
    """

    value: float
    low: float | None
    high: float | None
    statistic: float | None
    df: float | None
    p_value: float | None
    method: str
    scope: str
    n: int
    note: str = ""

    def __str__(self) -> str:
        interval = format_interval(self.low, self.high, signed=True)
        return f"{self.value:+z.3f} {interval}, {format_p_value(self.p_value)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values; what is not estimable is ``None``."""
        return json_fields(self)


@attrs.frozen
class Test:
    """A test of a hypothesis that has no single difference to estimate.

    Parameters
    ----------
    statistic, df
        The test statistic and its degrees of freedom.
    p_value
        The p-value.
    method
        The test, in words.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name

    statistic: float
    df: float
    p_value: float
    method: str

    def __str__(self) -> str:
        return f"{self.statistic:.2f} on {self.df:g} df, {format_p_value(self.p_value)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return json_fields(self)


class _Noted(Protocol):
    @property
    def note(self) -> str: ...


Result = TypeVar("Result", bound=_Noted)


def with_warning(result: Result) -> Result:
    """Say a result's note aloud, as a StatisticsWarning to the caller's caller."""
    if result.note:
        warnings.warn(result.note, StatisticsWarning, stacklevel=3)
    return result


def format_interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Write an interval as people read it, or say that there is none.

    What rounds to zero has no minus: the format ``z``.
    """
    if low is None or high is None:
        return "(interval not estimable)"
    return f"({low:+z.3f} to {high:+z.3f})" if signed else f"({low:.3f} to {high:.3f})"


def format_p_value(p_value: float | None) -> str:
    """Write a p-value to the precision that means something."""
    if p_value is None:
        return "p not estimable"
    if p_value < 0.0001:
        return "p < 0.0001"
    return f"p = {p_value:.4f}" if p_value < 0.01 else f"p = {p_value:.3f}"


def hypothesis_in_words(margin: float, alternative: str = "two-sided") -> str:
    """Return what a method says of its hypothesis, where that is not the two-sided one of none."""
    if margin > 0:
        return f", non-inferiority with margin {margin:g}, one-sided"
    return "" if alternative == "two-sided" else f", one-sided ({alternative})"


def json_fields(value: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of an attrs value, made JSON-ready."""
    names = (field.name for field in attrs.fields(type(value)))
    return {name: json_ready(getattr(value, name)) for name in names if name not in without}


def json_ready(value: Any) -> Any:
    """Return the same value made of plain Python types, with ``None`` for what is not finite."""
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, str | bool | int) or value is None:
        return value
    number = float(value)
    return number if math.isfinite(number) else None
