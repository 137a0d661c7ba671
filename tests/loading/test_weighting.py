"""Numbers decide before names."""

from __future__ import annotations

import pytest

from cervispine.loading.weighting import SEQUENCES, weighting

CASES = [
    # scanning sequence, TR, TE, TI, description, expected
    (("SE",), 3000, 100, None, "", "T2"),
    (("SE",), 1500, 180, None, "t2 space", "T2"),
    (("SE",), 500, 10, None, "", "T1"),
    (("SE", "IR"), 2000, 20, 860, "T1 FLAIR", "T1"),
    (("SE",), 3000, 15, None, "", "PD"),
    (("SE", "IR"), 4000, 60, 160, "", "STIR"),
    (("IR",), 4000, 40, 220, "T2 TIRM", "STIR"),
    (("SE", "IR"), 9000, 120, 2500, "T2 FLAIR", "unknown"),
    (("GR",), 600, 14, None, "T2 star", "GRE"),
    (("EP", "SE"), 5000, 80, None, "T2", "unknown"),
    (("SE",), 3000, 100, None, "T1 sag", "T2"),  # the name is wrong, the numbers are not
    (("SE",), None, None, None, "Sag T2 TSE", "T2"),
    (("RM",), None, None, None, "SAG_T1", "T1"),
    (("SE",), None, None, None, "T2 STIR", "STIR"),
    (("SE",), None, None, None, "T1 and T2", "unknown"),
    (("SE",), 1300, 50, None, "sag", "unknown"),
    ((), None, None, None, "", "unknown"),
]


@pytest.mark.parametrize(("scanning", "tr", "te", "ti", "name", "expected"), CASES)
def test_weighting(
    scanning: tuple[str, ...],
    tr: float | None,
    te: float | None,
    ti: float | None,
    name: str,
    expected: str,
) -> None:
    sequence, reason = weighting(
        scanning_sequence=scanning,
        repetition_time=tr,
        echo_time=te,
        inversion_time=ti,
        description=name,
    )
    assert sequence == expected
    assert sequence in SEQUENCES
    assert reason
    assert not name or name not in reason, "a description may name a patient"
