"""How the training studies were acquired, and in what another study differs from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Self

import attrs

from cervispine.records import Series, Study

__all__ = ["Protocols"]

#: How far beyond the values of the training a number may lie, as a share of itself: protocols of
#: one site scatter as much, and networks are shown images scaled by a tenth in training.
TOLERANCE = 0.2

#: What is compared, in words, with its unit.
MEASURES: dict[str, tuple[str, str]] = {
    "field_strength_t": ("field strength", " T"),
    "repetition_time_ms": ("repetition time", " ms"),
    "echo_time_ms": ("echo time", " ms"),
    "inversion_time_ms": ("inversion time", " ms"),
    "echo_train_length": ("echo train", ""),
    "slice_thickness_mm": ("slice thickness", " mm"),
    "slice_spacing": ("distance of slices", " mm"),
    "pixel_spacing": ("coarser pixel spacing", " mm"),
    "slices": ("number of slices", ""),
    "height": ("field of view along columns", " mm"),
    "width": ("field of view along rows", " mm"),
    "matrix": ("smaller side of the matrix", ""),
}


@attrs.frozen(kw_only=True)
class Protocols:
    """The protocols of the training studies, for each sequence.

    Parameters
    ----------
    ranges
        Sequence and measure to the lowest and the highest value there was.
    manufacturers
        Sequence to those there were.
    """

    ranges: Mapping[str, Mapping[str, tuple[float, float]]]
    manufacturers: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, studies: Iterable[Study], sequences: Iterable[str]) -> Self:
        """Take them from studies, in the sequences that a model reads."""
        series = [series for study in studies for series in study.series]
        ranges, manufacturers = {}, {}
        for sequence in sequences:
            fitting = [each for each in series if each.sequence == sequence]
            values: dict[str, list[float]] = {}
            for each in fitting:
                for name, value in _measures(each).items():
                    values.setdefault(name, []).append(value)
            ranges[sequence] = {name: (min(each), max(each)) for name, each in values.items()}
            manufacturers[sequence] = frozenset(map(_manufacturer, fitting)) - {""}
        return cls(ranges=ranges, manufacturers=manufacturers)

    def summary(self) -> str:
        """Return manufacturers and ranges of every sequence, in a sentence."""
        parts = []
        for sequence, ranges in self.ranges.items():
            parts.append(f"{sequence} of {', '.join(sorted(self.manufacturers[sequence])) or '?'}")
            parts += [
                f"{MEASURES[name][0]} {_span(*limits)}{MEASURES[name][1]}"
                for name, limits in ranges.items()
            ]
        return ", ".join(parts)

    def differences(self, study: Study) -> tuple[str, ...]:
        """Return in what a study differs, a phrase each; what is not stated does not differ."""
        return tuple(
            difference
            for series in study.series
            if series.sequence in self.ranges
            for difference in self._differences(series)
        )

    def _differences(self, series: Series) -> list[str]:
        found = []
        known = self.manufacturers[series.sequence]
        if known and _manufacturer(series) not in {"", *known}:
            found.append(
                f"manufacturer {_manufacturer(series)}, trained on {', '.join(sorted(known))}"
            )
        for name, value in _measures(series).items():
            low, high = self.ranges[series.sequence].get(name, (-math.inf, math.inf))
            if not low * (1 - TOLERANCE) <= value <= high * (1 + TOLERANCE):
                words, unit = MEASURES[name]
                found.append(f"{words} {value:g}{unit}, trained on {_span(low, high)}{unit}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            sequence: {
                "ranges": {name: list(limits) for name, limits in ranges.items()},
                "manufacturers": sorted(self.manufacturers[sequence]),
            }
            for sequence, ranges in self.ranges.items()
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take what :meth:`to_dict` gave.

        Raises
        ------
        ValueError, TypeError, KeyError
            It is something else.
        """
        ranges = {
            sequence: {
                name: (float(low), float(high)) for name, (low, high) in held["ranges"].items()
            }
            for sequence, held in content.items()
        }
        limits = [limit for held in ranges.values() for pair in held.values() for limit in pair]
        if not all(map(math.isfinite, limits)) or any(
            set(held) - set(MEASURES) for held in ranges.values()
        ):
            raise ValueError("no ranges of protocols")
        manufacturers = {
            sequence: frozenset(map(str, held["manufacturers"]))
            for sequence, held in content.items()
        }
        return cls(ranges=ranges, manufacturers=manufacturers)


def _span(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _manufacturer(series: Series) -> str:
    return str(series.protocol.get("manufacturer", ""))


def _measures(series: Series) -> dict[str, float]:
    """Return what is known of MEASURES; the header's own numbers where they are numbers."""
    geometry, (slices, rows, columns) = series.geometry, series.shape
    between_rows, between_columns = geometry.pixel_spacing
    measures: dict[str, Any] = {
        **series.protocol,
        "slice_spacing": geometry.slice_spacing,
        "pixel_spacing": max(geometry.pixel_spacing),
        "slices": slices,
        "height": rows * between_rows,
        "width": columns * between_columns,
        "matrix": min(rows, columns),
    }
    return {
        # Six digits: headers round, and so does whoever reads the reason.
        name: float(f"{float(measures[name]):.6g}")
        for name in MEASURES
        if isinstance(measures.get(name), (int, float)) and math.isfinite(measures[name])
    }
