"""The Evaluator end to end: three models and three surgeons, against the R programs."""

import json
import pickle
import re
import subprocess
import sys
import warnings
from itertools import product
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from cervispine.evaluation import Evaluator, ReaderTable, Threshold
from cervispine.exceptions import (
    EvaluationError,
    LabelError,
    MismatchedCasesError,
    StatisticsWarning,
    UsageError,
)

mpl.use("Agg")
MODELS = ("resnet34", "resnet50", "resnet101")


@pytest.fixture
def comparison(truth_by_patient, scores_by_patient, readers):
    return Evaluator().compare(truth_by_patient, scores_by_patient, readers, thresholds=0.5)


@pytest.fixture
def evaluation(study):
    return Evaluator().evaluate(study["label"], study["resnet34"], threshold=0.5)


def test_it_is_a_scikit_learn_estimator():
    evaluator = Evaluator(confidence=0.9, correction="hochberg")
    copy = clone(evaluator)
    assert copy.get_params() == evaluator.get_params()
    assert copy.set_params(seed=3).seed == 3
    assert pickle.loads(pickle.dumps(evaluator)).get_params() == evaluator.get_params()
    assert "confidence=0.9" in repr(evaluator)


def test_rates_equal_r(comparison, expected):
    for name, wanted in expected("study171_binary")["accuracy"].items():
        rater = comparison.raters[name]
        for rate in ("sensitivity", "specificity", "ppv", "npv", "accuracy"):
            estimate = getattr(rater, rate)
            assert estimate.value == pytest.approx(wanted[rate]["est"], abs=1e-8)
            assert (estimate.low, estimate.high) == pytest.approx(wanted[rate]["wilson"], abs=1e-8)


def test_pairs_equal_r(comparison, expected):
    reference = expected("study171_binary")
    pairs = {(p.model, p.reader, p.endpoint): p for p in comparison.against_readers}
    for row in reference["cnn_vs_reader"]:
        for endpoint in ("sensitivity", "specificity", "accuracy"):
            wanted, pair = row[endpoint], pairs[row["cnn"], row["reader"], endpoint]
            counts = pair.counts
            assert (counts.both, counts.only_first, counts.only_second, counts.neither) == tuple(
                wanted[key] for key in ("both_correct", "cnn_only", "reader_only", "both_wrong")
            )
            assert pair.difference.value == pytest.approx(wanted["diff"], abs=1e-8)
            assert pair.difference.p_value == pytest.approx(wanted["midp"], abs=1e-8)
            assert pair.exact_p_value == pytest.approx(wanted["exact_p"], abs=1e-8)
            limits = pair.difference.low, pair.difference.high
            assert limits == pytest.approx(wanted["tango"], abs=1e-5)


def test_every_interval_has_the_confidence_that_was_asked_for(
    truth_by_patient, scores_by_patient, readers, comparison
):
    narrow = Evaluator(confidence=0.5).compare(
        truth_by_patient, scores_by_patient, readers, thresholds=0.5
    )
    pairs = [(narrow.agreement.fleiss, comparison.agreement.fleiss)]
    pairs += zip(narrow.agreement.pairs.values(), comparison.agreement.pairs.values(), strict=True)
    for half, most in pairs:
        assert half.value == most.value
        assert most.low < half.low < half.high < most.high


def test_each_endpoint_is_a_family_of_its_own(comparison):
    from statsmodels.stats.multitest import multipletests

    for endpoint, readers_are in product(("sensitivity", "auc"), ("fixed", "random")):
        family = [
            item
            for item in comparison.against_mean
            if (item.endpoint, item.readers_are) == (endpoint, readers_are)
        ]
        assert [item.model for item in family] == list(MODELS)
        wanted = multipletests([item.difference.p_value for item in family], method="holm")[1]
        assert [item.adjusted_p_value for item in family] == pytest.approx(wanted.tolist())
    for endpoint in ("sensitivity", "specificity", "accuracy", "auc"):
        family = [pair for pair in comparison.against_readers if pair.endpoint == endpoint]
        assert len(family) == 9
        wanted = multipletests([pair.difference.p_value for pair in family], method="holm")[1]
        assert [pair.adjusted_p_value for pair in family] == pytest.approx(list(wanted))


def test_areas_against_readers_and_models_equal_proc(comparison, expected):
    reference = {
        (pair["score1"], pair["score2"]): pair for pair in expected("roc_study171")["pairs"]
    }
    found = {
        (pair.model, f"{pair.reader}_rating"): pair.difference
        for pair in comparison.against_readers
        if pair.endpoint == "auc"
    }
    found |= {(pair.first, pair.second): pair.difference for pair in comparison.between_models}
    assert len(found) == 12
    for names, difference in found.items():
        assert difference.p_value == pytest.approx(reference[names]["delong_paired"]["p"], abs=1e-8)


def test_mean_of_readers_equals_the_reference(comparison, expected):
    reference = expected("ai_vs_readers_study171")["ai_vs_three_surgeon_ratings"]
    items = {
        (item.model, item.endpoint, item.readers_are): item.difference
        for item in comparison.against_mean
    }
    assert len(items) == 18
    for model in MODELS:
        delong = reference[model]["delong"]
        for readers_are, key in (
            ("fixed", "fixed_readers_random_cases"),
            ("random", "random_readers_random_cases_DeLong_cov"),
        ):
            difference = items[model, "auc", readers_are]
            assert difference.p_value == pytest.approx(delong[key]["p"], abs=1e-8)
    assert any("weak below five" in note for note in comparison.notes)


def test_agreement_equals_irr(comparison, expected):
    reference = expected("agreement")
    agreement = comparison.agreement
    assert agreement.fleiss.value == pytest.approx(reference["fleiss_calls"], abs=1e-8)
    pair = agreement.pairs["surgeon1", "surgeon2"]
    assert pair.value == pytest.approx(reference["cohen_s1_s2_calls"]["kappa"], abs=1e-8)
    wanted = expected("study171_binary")["cochran_q_correctness_six_raters"]["all"]
    assert agreement.cochran_q.statistic == pytest.approx(wanted["Q"], abs=1e-8)


def test_the_order_of_patients_does_not_matter(
    comparison, truth_by_patient, scores_by_patient, readers
):
    turned = Evaluator().compare(
        truth_by_patient,
        {
            model: pd.Series(scores).sample(frac=1, random_state=1)
            for model, scores in scores_by_patient.items()
        },
        readers.select(reversed(readers.patients)),
        thresholds=dict.fromkeys(MODELS, 0.5),
    )
    assert turned.to_dict() == comparison.to_dict()


def test_arrays_with_cases_are_joined_by_patient(study, comparison, readers):
    same = Evaluator().compare(
        study["label"],
        {model: study[model] for model in MODELS},
        readers,
        thresholds=Threshold(0.5, "chosen on 150 validation patients"),
        cases=study["patient"],
    )
    assert same.models["resnet34"].auc == comparison.models["resnet34"].auc
    assert "150 validation patients" in same.summary()


def test_the_sample_comes_first(comparison, evaluation):
    first = comparison.summary().splitlines()[0]
    assert first == "171 patients: 68 positive, 103 negative; 3 models, 3 readers"
    assert evaluation.summary().splitlines()[0] == "model: 171 cases, 68 positive, 103 negative"
    assert "T0000" not in comparison.summary()


def test_json_has_no_nan_and_comes_back(comparison):
    text = json.dumps(comparison.to_dict(), allow_nan=False)
    again = json.loads(text)
    assert again == comparison.to_dict()
    assert (again["schema"], again["version"]) == ("cervispine/comparison", 1)
    assert again["sample"] == {
        "patients": 171,
        "positives": 68,
        "negatives": 103,
        "left_out": 0,
    }
    assert "T0000" not in text


def test_every_key_of_the_json_is_documented(comparison):
    page = Path(__file__).parents[2] / "docs/reference/comparison-json.md"
    documented = set(re.findall(r"`(\w+)`", page.read_text(encoding="utf-8")))

    def keys(value):
        if isinstance(value, dict):
            for key, item in value.items():
                yield key
                yield from keys(item)
        elif isinstance(value, list):
            for item in value:
                yield from keys(item)

    content = comparison.to_dict()
    del content["software"]  # its keys are names of packages
    assert set(keys(content)) <= documented


def test_tables_hold_a_row_for_each_comparison(comparison):
    tables = comparison.tables()
    sizes = {name: len(table) for name, table in tables.items()}
    assert sizes == {"T1": 6, "T2": 36, "T3": 18, "T4": 3, "T5": 3, "T7": 4}
    assert not any("nan" in table.to_string().lower() for table in tables.values())
    assert tables["T1"]["sensitivity"][0] == "57/68, 0.838 (0.733 to 0.907)"
    frame = comparison.to_frame()
    assert frame.loc["resnet34", "auc"] == comparison.models["resnet34"].auc.value
    assert frame.loc["surgeon1", "kind"] == "reader"


def test_plots_are_drawn_on_the_axes_given(comparison, evaluation):
    from matplotlib import pyplot as plt

    axes = plt.figure().subplots()
    assert comparison.plot(axes) is axes
    labels = axes.get_legend_handles_labels()[1]
    assert {"surgeon1", "surgeon2", "surgeon3", "mean of the readers"} <= set(labels)
    assert any(label.startswith("resnet34, AUC 0.942") for label in labels)
    assert evaluation.plot().get_xlabel() == "1 - specificity"
    plt.close("all")


def test_html_is_escaped(truth_by_patient, scores_by_patient, readers):
    scores = {"<b>net</b>": scores_by_patient["resnet34"]}
    result = Evaluator().compare(truth_by_patient, scores, readers, thresholds=0.5)
    assert "<b>net" not in result._repr_html_()
    assert "&lt;b&gt;net" in result._repr_html_()


def test_strata_come_hardest_first_and_without_tests(truth_by_patient, scores_by_patient, readers):
    positives = [patient for patient, label in truth_by_patient.items() if label]
    caught = scores_by_patient["resnet34"]
    ranked = sorted(positives, key=caught.get)
    types = dict.fromkeys(ranked[:20], "localized") | dict.fromkeys(ranked[30:], "continuous")
    sites = {patient: "ab"[place % 2] for place, patient in enumerate(truth_by_patient)}
    result = Evaluator().compare(
        truth_by_patient,
        scores_by_patient,
        readers,
        thresholds=0.5,
        strata={"type": types, "site": sites},
    )
    of_type = [item for item in result.strata if item.stratum == "type"]
    assert [item.level for item in of_type] == ["localized"] * 6 + ["continuous"] * 6
    assert of_type[0].rater == "resnet34"
    assert of_type[0].sensitivity.n == 20
    assert of_type[0].specificity is None
    assert all(item.specificity.n > 0 for item in result.strata if item.stratum == "site")
    assert "10 positive patients without a type are in no level of it" in result.notes
    assert "p_value" not in json.dumps(result.to_dict()["strata"])
    assert len(result.tables()["T6"]) == 24


@pytest.mark.parametrize("nothing", [None, "", " ", float("nan"), np.float32("nan"), pd.NA, pd.NaT])
def test_a_missing_level_is_no_level(truth_by_patient, scores_by_patient, readers, nothing):
    types = {patient: "mixed" if label else nothing for patient, label in truth_by_patient.items()}
    types[next(patient for patient, label in truth_by_patient.items() if label)] = nothing
    result = Evaluator().compare(
        truth_by_patient, scores_by_patient, readers, thresholds=0.5, strata={"type": types}
    )
    assert {item.level for item in result.strata} == {"mixed"}
    assert "1 positive patients without a type are in no level of it" in result.notes


def test_a_stratum_of_other_cases_is_refused(truth_by_patient, scores_by_patient, readers):
    numbers = dict(enumerate(truth_by_patient.values()))
    with pytest.raises(MismatchedCasesError, match="none of the 171 cases") as refusal:
        Evaluator().compare(
            truth_by_patient, scores_by_patient, readers, thresholds=0.5, strata={"site": numbers}
        )
    assert refusal.value.code == "CASES_MISMATCHED"
    assert refusal.value.where == "strata, site"


def test_a_mean_of_some_readers_only_says_of_whom_it_is(truth_by_patient, scores_by_patient):
    rows = [
        {"patient": patient, "reader": f"R{number}", "call": (place + number) % 3 > 0}
        | ({"rating": (place * number) % 5 + 1} if number > 4 else {"rating": None})
        for number in range(1, 7)
        for place, patient in enumerate(truth_by_patient)
    ]
    frame = pd.DataFrame(rows).astype({"call": int})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = ReaderTable.from_frame(frame)
    result = Evaluator().compare(truth_by_patient, scores_by_patient, table, thresholds=0.5)
    [note] = [note for note in result.notes if "2 of 6 readers gave ratings" in note]
    assert "the mean of the readers in AUC is theirs; only 2 readers" in note
    scopes = {
        (item.endpoint, item.readers_are): item.difference.scope for item in result.against_mean
    }
    assert scopes["auc", "random"] == "readers like these 2 and cases like these"
    assert scopes["sensitivity", "random"] == "readers like these 6 and cases like these"


def test_a_threshold_chosen_on_the_test_set_is_said_so(
    study, truth_by_patient, scores_by_patient, readers
):
    with pytest.warns(StatisticsWarning, match="chosen on these very cases"):
        result = Evaluator().evaluate(study["label"], study["resnet34"], threshold="youden")
    assert result.threshold == Threshold(0.5, "chosen on these very cases (Youden)")
    with pytest.warns(StatisticsWarning, match="chosen on these very cases"):
        compared = Evaluator().compare(
            truth_by_patient,
            {"resnet34": scores_by_patient["resnet34"]},
            readers,
            thresholds="youden",
        )
    assert any("chosen on these very cases" in note for note in compared.notes)


def test_readers_with_calls_only_are_compared_at_their_operating_point(
    truth_by_patient, scores_by_patient, readers_csv
):
    frame = pd.read_csv(readers_csv, dtype={"patient": str}).drop(columns="rating")
    result = Evaluator().compare(
        truth_by_patient, scores_by_patient, ReaderTable.from_frame(frame), thresholds=0.5
    )
    assert result.readers["surgeon1"].auc is None
    assert {item.endpoint for item in result.against_mean} == {"sensitivity", "specificity"}
    assert any("calls only" in note for note in result.notes)
    assert json.dumps(result.to_dict(), allow_nan=False)


def test_readers_with_ratings_only_and_a_single_reader(
    truth_by_patient, scores_by_patient, readers_csv
):
    frame = pd.read_csv(readers_csv, dtype={"patient": str}).drop(columns="call")
    alone = ReaderTable.from_frame(frame[frame["reader"] == "surgeon2"])
    result = Evaluator().compare(truth_by_patient, scores_by_patient, alone, thresholds=0.5)
    assert result.readers["surgeon2"].sensitivity is None
    assert {item.readers_are for item in result.against_mean} == {"fixed"}
    assert result.agreement.fleiss is None
    result.plot()
    assert "surgeon2" in result.summary()


def test_models_are_compared_alone(truth_by_patient, scores_by_patient):
    nobody = ReaderTable.without_readers(truth_by_patient)
    result = Evaluator().compare(truth_by_patient, scores_by_patient, nobody, thresholds=0.5)
    assert len(result.between_models) == 3
    assert result.against_readers == result.against_mean == ()
    assert not any("reader" in note for note in result.notes)
    assert set(result.tables()) == {"T1", "T4", "T5"}
    assert json.dumps(result.to_dict(), allow_nan=False)
    result.plot()


def test_complete_cases_are_counted(truth_by_patient, scores_by_patient, readers_csv, study):
    frame = pd.read_csv(readers_csv, dtype={"patient": str}).iloc[1:]
    with pytest.raises(LabelError):
        ReaderTable.from_frame(frame)
    table = ReaderTable.from_frame(frame, complete_cases=True)
    truth = {patient: truth_by_patient[patient] for patient in table.patients}
    scores = {patient: scores_by_patient["resnet34"][patient] for patient in table.patients}
    result = Evaluator().compare(truth, {"resnet34": scores}, table, thresholds=0.5)
    assert (result.n, result.patients_left_out) == (170, 1)
    assert "1 patients not read by every reader were left out" in result.notes


def test_separated_classes_are_noted_and_not_fatal(truth_by_patient, readers):
    perfect = {
        patient: 0.1 + 0.8 * label + place / 1e4
        for place, (patient, label) in enumerate(truth_by_patient.items())
    }
    both = {"first": perfect, "second": {k: v**2 for k, v in perfect.items()}}
    result = Evaluator().compare(truth_by_patient, both, readers, thresholds=0.5)
    assert result.models["first"].auc.low < 1
    assert result.between_models[0].difference.p_value == 1
    assert any("first: AUC" in note for note in result.notes)
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert "nan" not in result.summary()


def test_mismatched_patients_are_counted_and_not_named(
    truth_by_patient, scores_by_patient, readers
):
    fewer = dict(list(truth_by_patient.items())[:-2])
    for truth, scores in (
        (fewer, scores_by_patient),
        (truth_by_patient, {"resnet34": fewer}),
        (truth_by_patient | {"X1": 1}, {m: s | {"X1": 0.5} for m, s in scores_by_patient.items()}),
    ):
        with pytest.raises(MismatchedCasesError) as caught:
            Evaluator().compare(truth, scores, readers, thresholds=0.5)
        assert caught.value.code == "CASES_MISMATCHED"
        assert "X1" not in str(caught.value)
        assert "T0" not in str(caught.value)


def test_one_class_is_refused(truth_by_patient, scores_by_patient, readers):
    with pytest.raises(EvaluationError) as caught:
        Evaluator().compare(
            dict.fromkeys(truth_by_patient, 1), scores_by_patient, readers, thresholds=0.5
        )
    assert caught.value.code == "SINGLE_CLASS"


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"confidence": 95}, {}),
        ({"correction": "none"}, {}),
        ({"resamples": 0}, {}),
        ({"resamples": 99}, {}),
        ({"resamples": 10.5}, {}),
        ({"seed": -1}, {}),
        ({}, {"scores": {}}),
        ({}, {"thresholds": {"resnet34": 0.5}}),
        ({}, {"thresholds": "best"}),
        ({}, {"thresholds": float("nan")}),
    ],
)
def test_what_cannot_be_meant_is_refused(
    truth_by_patient, scores_by_patient, readers, parameters, arguments
):
    given = {"scores": scores_by_patient, "thresholds": 0.5} | arguments
    with pytest.raises(UsageError):
        Evaluator(**parameters).compare(truth_by_patient, readers=readers, **given)


def test_predictive_values_at_a_stated_prevalence(
    truth_by_patient, scores_by_patient, readers, comparison
):
    stated = Evaluator().compare(
        truth_by_patient, scores_by_patient, readers, thresholds=0.5, prevalence=0.18
    )
    assert comparison.predictive_values == {}
    assert list(stated.predictive_values) == list(stated.raters)
    rater = stated.raters["resnet50"]
    found, spared = rater.sensitivity.value, rater.specificity.value
    by_bayes = 0.18 * found / (0.18 * found + 0.82 * (1 - spared))
    assert stated.predictive_values["resnet50"].ppv.value == pytest.approx(by_bayes)
    assert "at prevalence 0.18" in stated.summary()
    assert len(stated.tables()["T9"]) == len(stated.raters)
    assert "T9" in stated.to_latex()
    assert "T9" not in comparison.tables()
    assert any("prevalence of 0.18" in note for note in stated.notes)
    with pytest.raises(UsageError, match="independent"):
        Evaluator().compare(
            truth_by_patient,
            scores_by_patient,
            readers,
            thresholds=0.5,
            prevalence=0.18,
            groups=dict.fromkeys(truth_by_patient, 0),
        )


def test_a_model_cannot_have_the_name_of_a_reader(truth_by_patient, scores_by_patient, readers):
    with pytest.raises(UsageError, match="surgeon1"):
        Evaluator().compare(
            truth_by_patient, {"surgeon1": scores_by_patient["resnet34"]}, readers, thresholds=0.5
        )


def test_the_estimates_print_as_people_read_them(comparison):
    assert str(comparison.models["resnet34"].auc) == "0.942 (0.901 to 0.982)"
    difference = comparison.against_readers[0].difference
    assert str(difference) == "+0.015 (-0.097 to +0.127), p = 0.791"
    assert np.isfinite(difference.value)


def test_torch_is_never_imported():
    code = (
        "import sys\n"
        "from cervispine.evaluation import Evaluator\n"
        "Evaluator().evaluate([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9], threshold=0.5).to_dict()\n"
        "assert not {'torch', 'matplotlib'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
