"""Whose an image is and what it shows, by names and sidecars."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cervispine.exceptions import LoadError
from cervispine.loading.bids import Names, names_of, read_sidecar, sequence_of, stem_of

NAMES = [
    ("sub-01/anat/sub-01_T2w.nii.gz", "sub-01", "", None),
    ("sub-01/ses-02/anat/sub-01_ses-02_T2w.nii", "sub-01", "ses-02", None),
    ("sub-007_T2w.nii.gz", "sub-007", "", None),
    ("sub-A1/ses-x/scan.nii.gz", "sub-A1", "ses-x", None),
    # The file's own name decides before that of a folder.
    ("sub-1/sub-2_T2w.nii.gz", "sub-2", "", None),
    ("00123_T2w.nii.gz", "00123", "", ""),
    ("00123_t2.NII.GZ", "00123", "", ""),
    ("00123.nii", "00123", "", ""),
    ("case_left_hand.nii.gz", "case_left_hand", "", ""),
    ("t2.nii.gz", "t2", "", ""),
    ("P7/t2.nii.gz", "P7", "", "P7"),
    ("site/P7/t2.nii.gz", "P7", "", "site/P7"),
    ("subject-1/t2.nii.gz", "subject-1", "", "subject-1"),
]


@pytest.mark.parametrize(("path", "patient", "session", "place"), NAMES)
def test_names(path: str, patient: str, session: str, place: str | None) -> None:
    expected = Names(patient=patient, session=session, place=place)
    assert names_of(path) == expected
    assert patient not in repr(expected)


@pytest.mark.parametrize(
    "name",
    ["t2_seg.nii.gz", "t2_seg-manual.nii.gz", "labels.nii.gz", "sub-1_T2w_label-disc_dseg.nii.gz",
     "sub-1_T2w_mask.nii", "x.seg.nii", "sub-1_mod-T2w_defacemask.nii.gz", "t2_gmseg.nii.gz",
     "sub-1_T2w_lesion-manual.nii.gz"],
)  # fmt: skip
def test_masks(name: str) -> None:
    assert names_of(name).mask


@pytest.mark.parametrize(
    "name",
    ["segovia_T2w.nii.gz", "masked-man_T2w.nii.gz", "t2.nii", "sub-damask_T2w.nii", "damask.nii"],
)
def test_what_only_sounds_like_a_mask(name: str) -> None:
    assert not names_of(name).mask


@pytest.mark.parametrize("part", ["phase", "real", "imag"])
def test_parts_other_than_magnitude(part: str) -> None:
    assert names_of(f"sub-1_part-{part}_T2w.nii.gz").component == part
    assert names_of("sub-1_part-mag_T2w.nii.gz").component == ""
    assert names_of("sub-part_T2w.nii.gz").component == ""


def test_derivatives() -> None:
    assert names_of("derivatives/sct/sub-01/sub-01_T2w.nii.gz").derived
    assert not names_of("derivatives.nii").derived


def test_stems() -> None:
    assert stem_of("x/a.b.nii.gz") == "a.b"
    assert stem_of("a.NII") == "a"
    assert stem_of("a.json") == "a"


SEQUENCES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"repetition_time_ms": 3000, "echo_time_ms": 100}, "sub-1_T1w", "T2", "TR 3000 ms"),
    ({"scanning_sequence": ("GR",)}, "sub-1_T2w", "GRE", "gradient echo"),
    ({"scanning_sequence": ("EP",)}, "sub-1_T2w", "unknown", "echo-planar"),
    ({"repetition_time_ms": 1300, "echo_time_ms": 50}, "sub-1_T2w", "T2", "the BIDS suffix"),
    ({}, "sub-1_T2w", "T2", "the BIDS suffix"),
    ({}, "sub-1_acq-sag_T1w", "T1", "the BIDS suffix"),
    ({}, "sub-1_PDw", "PD", "the BIDS suffix"),
    ({}, "sub-1_T2star", "GRE", "the BIDS suffix"),
    ({}, "p7_T2_TSE_sag", "T2", "the name of the file"),
    ({}, "t2s", "GRE", "the name of the file"),
    ({}, "sag_t2_stir", "STIR", "the name of the file"),
    ({"repetition_time_ms": 4000, "echo_time_ms": 90}, "sag_stir", "STIR", "the name of the file"),
    ({"repetition_time_ms": 4000, "echo_time_ms": 900}, "x_T2w", "unknown", "TR 4000 ms"),
    ({}, "t1_and_t2", "unknown", "neither"),
    ({}, "sub-1_mod-T2w_UNIT1", "unknown", "neither"),
    ({}, "scan", "unknown", "neither"),
    ({}, "bt2b", "unknown", "neither"),
]


@pytest.mark.parametrize(("protocol", "stem", "sequence", "reason"), SEQUENCES)
def test_sequences(protocol: dict[str, Any], stem: str, sequence: str, reason: str) -> None:
    found = sequence_of(protocol, stem)
    assert found.sequence == sequence
    assert found.reason.startswith(reason)


def test_a_sidecar_in_the_units_of_dicom(tmp_path: Path) -> None:
    fields = {
        "RepetitionTime": 3.2,
        "EchoTime": [0.101],
        "MagneticFieldStrength": 3,
        "Manufacturer": "Siemens Healthineers",
        "ScanningSequence": "SE_IR",
        "EchoTrainLength": 17,
        "PatientName": "SECRET^NAME",
        "InversionTime": None,
    }
    path = tmp_path / "a.json"
    path.write_text(json.dumps(fields), encoding="utf-8")
    protocol = read_sidecar(path)
    assert protocol == {
        "repetition_time_ms": 3200.0,
        "echo_time_ms": 101.0,
        "field_strength_t": 3.0,
        "echo_train_length": 17.0,
        "manufacturer": "siemens",
        "scanning_sequence": ("SE", "IR"),
    }


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "{", '{"EchoTime": "0.1"}', '{"EchoTime": -1}', '{"EchoTime": true}',
     '{"RepetitionTime": NaN}', '{"EchoTime": [0.1, 0.2]}', '{"ScanningSequence": 3}',
     '{"ScanningSequence": [1]}', "[" * 100_000, " " * 2_000_000],
    ids=lambda text: text[:24].strip(),
)  # fmt: skip
def test_a_sidecar_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LoadError) as caught:
        read_sidecar(path)
    assert caught.value.code == "SIDECAR_INVALID"
