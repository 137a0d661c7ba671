"""The knobs of a cohort, each apart from the others: none of them sees a patient's label."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import validators

from cervispine.exceptions import UsageError

__all__ = ["ProtocolRanges", "Settings", "TypeMix"]


def _share(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 <= value <= 1:
        raise UsageError(
            f"{attribute.name} lies between 0 and 1", where=f"{attribute.name}={value!r}"
        )


@attrs.frozen(kw_only=True)
class TypeMix:
    """Shares of the four types of OPLL among the patients who have it.

    The default is a surgical mix between published cohorts that lie far apart (continuous 15 to
    63 %, segmental 11 to 85 %): a choice, not a measurement.
    """

    continuous: float = 0.25
    segmental: float = 0.35
    mixed: float = 0.30
    localized: float = 0.10

    def __attrs_post_init__(self) -> None:
        shares = attrs.astuple(self)
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise UsageError(
                "the shares of the four types are not negative and sum to 1",
                where=f"type_mix={shares}",
            )


@attrs.frozen(kw_only=True)
class ProtocolRanges:
    """What scanners of the cohort may do; each patient draws from the ranges (low, high).

    Attributes
    ----------
    field_strengths, matrices, slices, fields_of_view : tuple
        Equally likely values: tesla, pixels, slices, mm.
    signal_to_noise : tuple of float
        At 1.5 T; a fifth more at 3 T.
    shading, apodisation, flow_void, motion : tuple of float
        See :class:`~cervispine.phantom.Protocol`; half of the patients keep still.
    t2_repetition, t2_echo, t1_repetition, t1_echo : tuple of float
        ms.
    """

    field_strengths: tuple[float, ...] = (1.5, 3.0)
    matrices: tuple[int, ...] = (320, 352, 384)
    slices: tuple[int, ...] = (11, 13, 13, 15)
    fields_of_view: tuple[float, ...] = (220.0, 230.0, 240.0, 250.0)
    signal_to_noise: tuple[float, float] = (16.0, 36.0)
    shading: tuple[float, float] = (0.3, 1.0)
    apodisation: tuple[float, float] = (0.0, 0.7)
    flow_void: tuple[float, float] = (0.1, 0.6)
    motion: tuple[float, float] = (0.1, 0.7)
    t2_repetition: tuple[float, float] = (2400.0, 4000.0)
    t2_echo: tuple[float, float] = (85.0, 120.0)
    t1_repetition: tuple[float, float] = (400.0, 700.0)
    t1_echo: tuple[float, float] = (8.0, 15.0)


@attrs.frozen(kw_only=True)
class Settings:
    """Everything that decides a patient beside seed and label.

    Attributes
    ----------
    difficulty : float
        0 (thick, black plaques, few mimics) to 1 (thin, grey ones, many mimics).
    type_mix : TypeMix
    mimic_rate : float or None
        Share of patients, of either class, with a mass that resembles a plaque; None lets the
        difficulty decide (0.05 to 0.85).
    protocols : ProtocolRanges
    """

    difficulty: float = attrs.field(default=0.5, validator=_share)
    type_mix: TypeMix = attrs.field(factory=TypeMix)
    mimic_rate: float | None = attrs.field(default=None, validator=validators.optional(_share))
    protocols: ProtocolRanges = attrs.field(factory=ProtocolRanges)

    @property
    def mimics(self) -> float:
        """The share of patients with mimics."""
        return 0.05 + 0.8 * self.difficulty if self.mimic_rate is None else self.mimic_rate
