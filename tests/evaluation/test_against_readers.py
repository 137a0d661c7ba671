"""One model against several readers: RJafroc 2.1.3, pROC's covariances, reader_study.py."""

import csv
import json
import math
import warnings

import numpy as np
import pytest

from cervispine.evaluation import compare_aucs, delong_covariance, model_against_readers
from cervispine.evaluation.against_readers import _random_readers
from cervispine.evaluation.results import Difference
from cervispine.exceptions import (
    EvaluationError,
    MismatchedCasesError,
    StatisticsWarning,
    UsageError,
)

MODELS = ("resnet34", "resnet50", "resnet101")
FEW = pytest.mark.filterwarnings("ignore:only 3 readers")


@pytest.fixture
def ratings(study):
    return {f"surgeon{place}": study[f"surgeon{place}_rating"] for place in (1, 2, 3)}


@FEW
@pytest.mark.parametrize("model", MODELS)
def test_areas_equal_the_reference(study, ratings, expected, model):
    reference = expected("ai_vs_readers_study171")["ai_vs_three_surgeon_ratings"][model]
    delong = reference["delong"]
    areas, covariance = delong_covariance(
        study["label"], np.stack([study[model], *ratings.values()])
    )
    np.testing.assert_allclose(areas, list(delong["auc"].values()), atol=1e-8)
    np.testing.assert_allclose(covariance.ravel(), delong["delong_cov"], atol=1e-12)

    fixed = model_against_readers(study["label"], study[model], ratings, readers_are="fixed")
    wanted = delong["fixed_readers_random_cases"]
    assert fixed.value == pytest.approx(-wanted["diff_readers_minus_AI"], abs=1e-8)
    assert fixed.statistic == pytest.approx(-wanted["z"], abs=1e-8)
    assert fixed.p_value == pytest.approx(wanted["p"], abs=1e-8)
    assert (fixed.low, fixed.high) == pytest.approx([-x for x in wanted["ci95"][::-1]], abs=1e-8)
    assert "these 3 readers only" in fixed.scope

    random = model_against_readers(study["label"], study[model], ratings)
    wanted = delong["random_readers_random_cases_DeLong_cov"]
    assert random.statistic == pytest.approx(-wanted["t"], abs=1e-8)
    assert random.df == pytest.approx(wanted["df"], abs=1e-8)
    assert random.p_value == pytest.approx(wanted["p"], abs=1e-8)
    assert (random.low, random.high) == pytest.approx([-x for x in wanted["ci95"][::-1]], abs=1e-8)
    assert "readers like these" in random.scope

    jackknife = model_against_readers(study["label"], study[model], ratings, covariance="jackknife")
    wanted = reference["StCadVsRad_jackknife"]["1T-RRRC"]
    assert jackknife.statistic == pytest.approx(-wanted["Tstat"], abs=1e-8)
    assert jackknife.df == pytest.approx(wanted["df"], abs=1e-7)
    assert jackknife.p_value == pytest.approx(wanted["pval"], abs=1e-8)

    for row in delong["each_reader_vs_AI"]:
        pair = compare_aucs(study["label"], study[model], ratings[row["reader"]])
        assert pair.value == pytest.approx(-row["diff"], abs=1e-8)
        assert pair.p_value == pytest.approx(row["p"], abs=1e-8)


@FEW
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("measure", ["sensitivity", "specificity"])
def test_calls_equal_reader_study(study, expected, model, measure):
    reference = expected("ai_vs_readers_study171")["binary_calls_model_vs_readers_orh_jackknife"]
    wanted = reference["results"][model][measure]
    calls = np.stack([study[f"surgeon{place}_call"] for place in (1, 2, 3)])
    result = model_against_readers(study["label"], study[model] >= 0.5, calls, measure=measure)
    assert result.value == pytest.approx(wanted["effect"], abs=1e-8)
    assert (result.low, result.high) == pytest.approx(wanted["ci"], abs=1e-8)
    assert result.statistic == pytest.approx(wanted["statistic"], abs=1e-8)
    assert result.df == pytest.approx(wanted["dof"], abs=1e-8)
    assert result.p_value == pytest.approx(wanted["pvalue"], abs=1e-8)


def test_nine_radiologists_equal_rjafroc(shared):
    with (shared / "golden/inputs/cad9_roc.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    reference = json.loads((shared / "golden/ai_vs_readers_cad9.json").read_text())
    raters = {row["reader"]: {} for row in rows}
    for row in rows:
        raters[row["reader"]][row["case"]] = float(row["rating"])
    truth = {row["case"]: int(row["truth"]) for row in rows}
    model, *readers = ([raters[name][case] for case in truth] for name in raters)
    labels = list(truth.values())
    result = model_against_readers(labels, model, np.array(readers), covariance="jackknife")
    wanted = reference["RJafroc_package_reference_values"]["1T-RRRC"]
    assert result.value == pytest.approx(-wanted["avgDiffFom"], abs=1e-8)
    assert result.statistic == pytest.approx(-wanted["Tstat"], abs=1e-8)
    assert result.df == pytest.approx(wanted["df"], rel=1e-8)
    assert result.p_value == pytest.approx(wanted["pval"], abs=1e-8)


def test_few_random_readers_draw_a_warning(study, ratings):
    with pytest.warns(StatisticsWarning, match="only 3 readers"):
        model_against_readers(study["label"], study["resnet34"], ratings)


def test_one_reader_is_no_sample_of_readers(study, ratings):
    with pytest.raises(EvaluationError) as caught:
        model_against_readers(study["label"], study["resnet34"], [ratings["surgeon1"]])
    assert caught.value.code == "READERS_TOO_FEW"
    alone = model_against_readers(
        study["label"], study["resnet34"], [ratings["surgeon1"]], readers_are="fixed"
    )
    pair = compare_aucs(study["label"], study["resnet34"], ratings["surgeon1"])
    assert alone.p_value == pytest.approx(pair.p_value)


@pytest.mark.parametrize("readers_are", ["fixed", "random"])
@pytest.mark.filterwarnings("ignore:only 2 readers")
def test_no_scatter_at_all_is_not_estimable(readers_are):
    truth, calls = [0, 0, 1, 1], [0, 0, 1, 1]
    same = {"one": calls, "two": calls}
    with pytest.warns(StatisticsWarning, match="zero or undefined"):
        result = model_against_readers(
            truth, calls, same, readers_are=readers_are, measure="sensitivity"
        )
    assert (result.value, result.low, result.p_value) == (0, None, 1)
    with pytest.warns(StatisticsWarning, match="zero or undefined"):
        other = model_against_readers(
            truth, [0, 0, 0, 0], same, readers_are=readers_are, measure="sensitivity"
        )
    assert (other.value, other.p_value) == (-1, None)


@pytest.mark.filterwarnings("ignore:only 2 readers")
def test_readers_without_scatter_have_the_degrees_of_the_cases(study):
    twins = {"one": study["surgeon1_rating"], "two": study["surgeon1_rating"]}
    result = model_against_readers(study["label"], study["resnet34"], twins)
    pair = compare_aucs(study["label"], study["resnet34"], study["surgeon1_rating"])
    assert result.df == np.inf
    assert result.p_value == pytest.approx(pair.p_value)
    assert result.to_dict()["df"] is None


@pytest.mark.parametrize("readers_are", ["fixed", "random"])
@pytest.mark.filterwarnings("ignore:only 3 readers")
def test_non_inferiority_is_the_one_sided_test_of_the_interval(study, ratings, readers_are):
    # One-sided at 2.5 % rejects exactly where the margin lies below the lower 95 % limit.
    plain = model_against_readers(
        study["label"], study["resnet34"], ratings, readers_are=readers_are
    )
    for gap, small in ((0.001, True), (-0.001, False)):
        margin = gap - plain.low if plain.low < 0 else 0.05
        tested = model_against_readers(
            study["label"], study["resnet34"], ratings, readers_are=readers_are, margin=margin
        )
        if plain.low < 0:
            assert (tested.p_value < 0.025) == small
        assert (tested.low, tested.high) == (plain.low, plain.high)
        assert "non-inferiority with margin" in tested.method
        assert tested.p_value < plain.p_value / 2 + 1e-12


@pytest.mark.parametrize(
    "arguments",
    [
        {"readers_are": "given"},
        {"measure": "accuracy"},
        {"covariance": "normal"},
        {"margin": -0.1},
        {"margin": 1},
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(study, ratings, arguments):
    with pytest.raises(UsageError):
        model_against_readers(study["label"], study["resnet34"], ratings, **arguments)


@pytest.mark.parametrize("source", ["run", "reference"])
def test_figures_of_another_kind_equal_rjafroc(expected, source):
    # RJafroc 2.1.3, FROC figures of merit: the locations are not ours to analyse, so the figures
    # and their covariance over cases are taken as given and the single-treatment analysis is run.
    wanted = expected("ai_vs_readers_CadSimuFroc_HrAuc")[source]["1T-RRRC"]
    psi = np.array(wanted["fomRAD"]) - wanted["fomCAD"]
    covariances = np.full((psi.size, psi.size), wanted["cov2"])
    np.fill_diagonal(covariances, wanted["varError"])
    result = _random_readers(psi, covariances, "figure of merit", 200, 0.95)
    assert result.value == pytest.approx(-wanted["avgDiffFom"], abs=1e-8)
    assert result.statistic == pytest.approx(-wanted["Tstat"], abs=1e-7)
    assert result.df == pytest.approx(wanted["df"], rel=1e-8)
    assert result.p_value == pytest.approx(wanted["pval"], abs=1e-8)
    limits = [-limit for limit in wanted["CIAvgDiffFom"][::-1]]
    assert (result.low, result.high) == pytest.approx(limits, abs=1e-8)


@pytest.mark.parametrize("readers_are", ["fixed", "random"])
@pytest.mark.filterwarnings("ignore:only 2 readers")
def test_readers_equal_to_the_model_have_no_interval_of_no_width(study, readers_are):
    twins = [study["resnet34"], study["resnet34"]]
    with pytest.warns(StatisticsWarning, match="zero or undefined"):
        result = model_against_readers(
            study["label"], study["resnet34"], twins, readers_are=readers_are
        )
    assert (result.value, result.low, result.p_value) == (0, None, 1)


@pytest.mark.parametrize("readers_are", ["fixed", "random"])
def test_no_difference_has_no_sign(study, readers_are):
    truth = study["label"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticsWarning)
        result = model_against_readers(truth, truth, [truth, truth], readers_are=readers_are)
    assert math.copysign(1, result.value) == 1
    assert str(result).startswith("+0.000 ")


def test_what_rounds_to_zero_is_printed_without_a_minus():
    nearly = Difference(-1e-9, -0.0002, 0.1, None, None, 1.0, "", "", 9)
    assert str(nearly) == "+0.000 (+0.000 to +0.100), p = 1.000"


def test_readers_of_unlike_lengths_are_refused():
    with pytest.raises(MismatchedCasesError) as caught:
        model_against_readers([0, 1, 0, 1], [1, 2, 3, 4], [[1, 2, 3, 4], [1, 2, 3]])
    assert caught.value.code == "LENGTHS_DIFFER"
