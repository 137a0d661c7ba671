"""Numbers decide before names."""

from __future__ import annotations

from typing import Any

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
    (("SE",), 4000, 60, None, "STIR sag", "STIR"),  # TR and TE do not tell a STIR from a T2
    (("SE",), 9000, 120, None, "sag dark-fluid", "unknown"),
    (("SE", "IR"), 4000, 60, None, "sag", "unknown"),
    (("IR",), 4000, 60, 1000, "T2", "T2"),
    (("SE", "GR"), 3000, 100, None, "T2 GRASE", "unknown"),
    (("RM",), None, None, None, "MEDIC sag", "GRE"),
    (("RM",), None, None, None, "T2* sag", "GRE"),
    (("SE",), 3200, 700, None, "t2 space myelo", "unknown"),
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
    found = weighting(
        scanning_sequence=scanning,
        repetition_time=tr,
        echo_time=te,
        inversion_time=ti,
        description=name,
    )
    assert found.sequence == expected
    assert found.sequence in SEQUENCES
    assert found.reason
    assert not name or name not in found.reason, "a description may name a patient"


T2 = {"scanning_sequence": ("SE",), "repetition_time": 3000, "echo_time": 100}
NAMELESS = {"inversion_time": None, "description": ""}


@pytest.mark.parametrize(
    ("changes", "sequence", "fat_suppressed"),
    [
        ({}, "T2", False),
        ({"scan_options": ("FS",)}, "T2", True),
        ({"scan_options": ("PFP", "FC")}, "T2", False),
        ({"description": "t2_tse_fs_sag"}, "T2", True),
        ({"description": "T2 offset sag"}, "T2", False),
        # Spectral saturation writes a TI of its own; an inversion recovery is a STIR.
        ({"scan_options": ("FS",), "inversion_time": 130}, "T2", True),
        ({"scanning_sequence": ("SE", "IR"), "scan_options": ("FS",), "inversion_time": 130},
         "STIR", False),
        ({"image_words": ("DERIVED", "PRIMARY", "DIXON", "WATER")}, "T2", True),
        ({"image_words": ("DERIVED", "PRIMARY", "DIXON", "IN_PHASE")}, "T2", False),
        ({"image_words": ("DERIVED", "PRIMARY", "DIXON", "FAT")}, "unknown", False),
        ({"image_words": ("ORIGINAL", "PRIMARY", "OP", "OP")}, "unknown", False),
        ({"b_value": 800}, "unknown", False),
        ({"b_value": 0}, "T2", False),
        ({"repetition_time": 1000, "echo_time": 120, "echo_train": 60}, "T2", False),
        ({"repetition_time": 1000, "echo_time": 120, "echo_train": 3}, "unknown", False),
    ],
)  # fmt: skip
def test_what_real_protocols_add(
    changes: dict[str, Any], sequence: str, fat_suppressed: bool
) -> None:
    found = weighting(**{**T2, **NAMELESS, **changes})
    assert (found.sequence, found.fat_suppressed) == (sequence, fat_suppressed)
    assert found.reason
