"""Sample sizes equal pROC's and RJafroc's, and behave."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.evaluation.components import Components
from cervispine.evaluation.delong import delong_covariance
from cervispine.evaluation.mrmc import mrmc
from cervispine.evaluation.power import OneAUC, PairedAUCs, PairedCalls, ReaderStudy, sample_size
from cervispine.exceptions import MismatchedCasesError, UsageError

GOLDEN = Path(__file__).parent / "golden"


def test_one_auc_equals_proc():
    known, balanced, two = json.loads((GOLDEN / "power_pROC.json").read_text())["one_roc"]
    for case, ratio in ((known, 72 / 41), (balanced, 1), (two, 2)):
        out = case["out"]
        got = OneAUC(out["auc"], ratio).power(out["n_cases"])
        assert got == pytest.approx(out["power"], abs=1e-6)
    assert sample_size(OneAUC(0.8), power=0.9).n == 17


def test_reader_study_equals_rjafroc(shared):
    import pandas as pd

    golden = json.loads((GOLDEN / "power_mrmc.json").read_text())
    table = pd.read_csv(shared / "golden" / golden["input"])
    table = table.rename(columns={"treatment": "modality"})
    pilot = mrmc(table, covariance="jackknife")  # as RJafroc
    for row in golden["OR_RRRC_sample_size_power80"]:
        design = ReaderStudy(golden["effect_size"], row["J"], pilot.components, pilot.n)
        found = sample_size(design)
        assert found.n == row["K"]
        with pytest.raises(UsageError, match="above 0"):
            design.power(0)
        assert found.power == pytest.approx(row["power"], abs=1e-6)
    known = ReaderStudy(golden["effect_size"], 6, pilot.components, pilot.n).power(251)
    assert known == pytest.approx(golden["power_J6_K251"]["powerRRRC"], abs=1e-6)


def scattering(error: float, cov1: float, cov2: float, cov3: float) -> Components:
    """A pilot in which no reader gains more from a modality than another."""
    square = error - cov1 - max(cov2 - cov3, 0.0)
    return Components(
        modalities=2, readers=3, ms_modality=0.0, ms_reader=0.0, ms_modality_by_reader=square,
        error=error, cov1=cov1, cov2=cov2, cov3=cov3,
    )  # fmt: skip


def test_readers_whose_errors_are_all_shared_have_the_power_of_a_known_variance():
    # Figures that move together with the cases: the mean square of the error is 0, and its
    # degrees of freedom have no end. The limit is approached from pilots beside it.
    limit = ReaderStudy(0.05, 5, scattering(0.002, 0.001, 0.001, 0.0), 100).power(150)
    beside = ReaderStudy(0.05, 5, scattering(0.002 + 1e-7, 0.001, 0.001, 0.0), 100).power(150)
    assert limit == pytest.approx(beside, abs=1e-4)


def test_a_pilot_in_which_nothing_scatters_has_no_power():
    with pytest.raises(UsageError, match="scatter"):
        ReaderStudy(0.05, 5, scattering(0.001, 0.001, 0.0, 0.0), 100).power(150)


def test_paired_aucs_equal_proc(shared):
    import pandas as pd

    golden = json.loads((GOLDEN / "power_pROC.json").read_text())["two_paired_rocs"]
    table = pd.read_csv(shared / "golden" / golden["input"])
    for case, first in zip(golden["cases"], ("s100b", "s100b", "ndka"), strict=True):
        scores = [table[first], table["wfns"]]
        areas, spread = delong_covariance(table["label"], scores)
        design = PairedAUCs(areas[0] - areas[1], spread[0, 0], spread[1, 1], spread[0, 1], 41, 72)
        out = case["out"]
        assert design.power(out["n_cases"]) == pytest.approx(out["power"], abs=1e-6)


@given(st.floats(0.6, 0.95), st.floats(0.5, 0.9))
def test_more_power_needs_more_cases(auc, power):
    lesser = sample_size(OneAUC(auc), power=power)
    assert lesser.power >= power
    assert sample_size(OneAUC(auc), power=power + 0.05).n >= lesser.n
    assert sample_size(OneAUC(auc + 0.02), power=power).n <= lesser.n


def test_mcnemar_is_connors_formula():
    found = sample_size(PairedCalls(0.2, 0.1))
    wanted = (1.959964 * 0.3**0.5 + 0.841621 * (0.3 - 0.01) ** 0.5) ** 2 / 0.01
    assert wanted <= found.n < wanted + 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: OneAUC(0.5),
        lambda: PairedCalls(0.1, 0.1),
        lambda: PairedAUCs(0.0, 1, 1, 0.5, 10, 10),
        lambda: sample_size(OneAUC(0.8), power=1.0),
        lambda: sample_size(OneAUC(0.8), alpha=0.0),
        lambda: OneAUC(0.8).power(0),
        lambda: OneAUC(0.8).power(50, alpha=2),
        lambda: PairedAUCs(0.1, 1, 1, 0.5, 10, 10).power(0),
        lambda: PairedCalls(0.2, 0.1).power(-1),
        lambda: PairedCalls(0.2, 0.1).power(math.nan),
    ],
)
def test_what_has_no_sample_size_is_refused(make):
    with pytest.raises(UsageError):
        make()


def test_a_pilot_of_unlike_lengths_is_refused():
    with pytest.raises(MismatchedCasesError) as caught:
        PairedAUCs.from_pilot([0, 1, 0, 1], [1, 2, 3, 4], [1, 2, 3], difference=0.1)
    assert caught.value.code == "LENGTHS_DIFFER"
