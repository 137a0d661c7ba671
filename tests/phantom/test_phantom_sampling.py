"""Twins, and what is drawn: equal but for the plaque, thick, and no narrower for it."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cervispine.exceptions import UsageError
from cervispine.phantom import (
    PatientSpecification,
    Severity,
    TypeMix,
    null_cohort,
    sample_patient,
    severity,
    twin,
)

DECIDED_BY_LABEL = ("label", "opll_type", "plaques")
TYPES = ("continuous", "segmental", "mixed", "localized")


@pytest.fixture(scope="module")
def drawn() -> list[tuple[PatientSpecification, Severity, Severity]]:
    """A hundred and fifty patients with OPLL, their severity, and that of their twins."""
    patients = [sample_patient(seed, "OPLL") for seed in range(150)]
    return [(patient, severity(patient), severity(twin(patient))) for patient in patients]


@settings(max_examples=30)
@given(st.integers(0, 2**62), st.floats(0, 1))
def test_twins_are_equal_but_for_the_plaque(seed: int, difficulty: float) -> None:
    opll = sample_patient(seed, "OPLL", difficulty=difficulty)
    dss = sample_patient(seed, "DSS", difficulty=difficulty)
    assert opll.plaques
    assert opll.opll_type in TYPES
    assert dss == twin(opll)
    for field in attrs.fields(PatientSpecification):
        if field.name not in DECIDED_BY_LABEL:
            assert getattr(opll, field.name) == getattr(dss, field.name), field.name


def test_a_seed_decides_everything() -> None:
    assert sample_patient(3, "OPLL") == sample_patient(3, "OPLL")
    assert sample_patient(3, "OPLL") != sample_patient(4, "OPLL")


def test_plaques_narrow_no_canal_beyond_its_twin(
    drawn: list[tuple[PatientSpecification, Severity, Severity]],
) -> None:
    for _, with_plaque, without in drawn:
        assert with_plaque.narrowest_sac == pytest.approx(without.narrowest_sac, abs=1e-3)
        assert with_plaque.compression == pytest.approx(without.compression, abs=1e-3)


def test_plaques_can_be_thick(
    drawn: list[tuple[PatientSpecification, Severity, Severity]],
) -> None:
    easy = [severity(sample_patient(seed, "OPLL", difficulty=0.1)) for seed in range(150)]
    assert max(each.occupying_ratio for each in easy) > 0.55
    assert max(each.plaque_thickness for each in easy) > 7.0
    assert max(each.occupying_ratio for _, each, _ in drawn) > 0.5
    assert all(each.plaque_thickness > 0.8 for _, each, _ in drawn)
    assert all(each.plaque_thickness == 0 for _, _, each in drawn)


def test_severity_runs_from_mild_to_severe(
    drawn: list[tuple[PatientSpecification, Severity, Severity]],
) -> None:
    sacs = np.array([each.narrowest_sac for _, each, _ in drawn])
    low, high = np.percentile(sacs, [5, 95])
    assert low < 4.0
    assert high > 7.5
    lesions = np.mean([patient.lesion is not None for patient, _, _ in drawn])
    assert 0.1 < lesions < 0.6


def test_types_follow_their_shares(
    drawn: list[tuple[PatientSpecification, Severity, Severity]],
) -> None:
    counts = {kind: sum(patient.opll_type == kind for patient, _, _ in drawn) for kind in TYPES}
    for kind, share in attrs.asdict(TypeMix()).items():
        assert counts[kind] / len(drawn) == pytest.approx(share, abs=0.11)


def test_localized_plaques_lie_behind_one_disc_and_do_not_hide(
    drawn: list[tuple[PatientSpecification, Severity, Severity]],
) -> None:
    localized = [(p, s) for p, s, _ in drawn if p.opll_type == "localized"]
    assert localized
    for patient, measured in localized:
        assert len(patient.plaques) == 1
        assert len(patient.plaques[0].levels) == 2
        assert measured.plaque_thickness > 0.7 * patient.plaques[0].shape.thickness


def test_mimics_are_as_frequent_as_asked() -> None:
    rates = {
        rate: np.mean([bool(sample_patient(s, "DSS", mimic_rate=rate).mimics) for s in range(60)])
        for rate in (0.0, 1.0)
    }
    assert rates == {0.0: 0.0, 1.0: 1.0}


def test_a_null_cohort_keeps_labels_and_loses_plaques() -> None:
    cohort = [sample_patient(1, "OPLL"), sample_patient(2, "DSS")]
    null = null_cohort(cohort)
    assert [patient.label for patient in null] == ["OPLL", "DSS"]
    assert not any(patient.plaques for patient in null)
    assert null[1] == cohort[1]


def test_an_unknown_label_and_a_negative_seed_are_refused() -> None:
    with pytest.raises(UsageError, match="LABEL_UNKNOWN"):
        sample_patient(1, "healthy")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="seed"):
        sample_patient(-1, "DSS")
