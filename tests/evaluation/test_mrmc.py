"""The reader study against R: MRMCaov 0.3.0, RJafroc 2.1.3 (OR and DBM) and iMRMC 2.1.0."""

import csv
import json

import numpy as np
import pandas as pd
import pytest

from cervispine.evaluation import auc, compare_aucs, mrmc, paired_difference
from cervispine.evaluation.readings import read_readings
from cervispine.exceptions import (
    EvaluationError,
    LabelError,
    MismatchedCasesError,
    StatisticsWarning,
    UsageError,
)

CLOSED = 1e-8
FEW = pytest.mark.filterwarnings("ignore:only [234] readers")
MEASURES = {"auc": "auc", "sens": "sensitivity", "spec": "specificity"}


def renamed(columns, **names):
    return {names.get(name, name): values for name, values in columns.items()}


@pytest.fixture
def synthetic(columns):
    data = renamed(columns("mrmc_synthetic"), treatment="modality")
    return {**data, **{name: data[name].astype(int) for name in ("reader", "modality", "case")}}


@pytest.fixture(scope="session")
def van_dyke(shared):
    with (shared / "golden/inputs/VanDyke.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return renamed({name: [row[name] for row in rows] for name in rows[0]}, treatment="modality")


@pytest.fixture
def imrmc_example(columns):
    data = columns("iMRMC_example")
    rows = list(
        zip(data["readerID"], data["caseID"], data["modalityID"], data["score"], strict=True)
    )
    truth = {case: score for reader, case, _, score in rows if reader == "truth"}
    return {
        "reader": [row[0] for row in rows if row[0] != "truth"],
        "case": [row[1] for row in rows if row[0] != "truth"],
        "modality": [row[2] for row in rows if row[0] != "truth"],
        "rating": [row[3] for row in rows if row[0] != "truth"],
        "truth": [truth[row[1]] for row in rows if row[0] != "truth"],
    }


def equals_mrmcaov(table, reference):
    assert reference["MRMCaov"]
    for wanted in reference["MRMCaov"]:
        design = wanted["design"]
        result = mrmc(
            table,
            readers="fixed" if design.startswith("FR") else "random",
            cases="fixed" if design.endswith("FC") else "random",
            covariance=wanted["cov"].lower(),
            measure=MEASURES[wanted["metric"]],
        )
        (test,) = wanted["test_equality"]
        assert result.statistic == pytest.approx(test.get("F", test.get("X2")), abs=CLOSED)
        assert result.p_value == pytest.approx(test["p-value"], abs=CLOSED)
        assert result.df == pytest.approx((1, test.get("df2", np.inf)), abs=CLOSED)
        for estimate, mean in zip(result.estimates.values(), wanted["test_means"], strict=True):
            found = estimate.value, estimate.low, estimate.high
            assert found == pytest.approx(
                (mean["Estimate"], mean["CI.Lower"], mean["CI.Upper"]), abs=CLOSED
            )
        same(result.differences["1", "2"], wanted["test_diffs"][0])
        for name, value in (wanted["vcov_comps"] or {}).items():
            found = {"Error": "error", "treatment:reader": "modality_by_reader"}.get(name, name)
            assert getattr(result.components, found.lower()) == pytest.approx(value, abs=CLOSED)
        for row in wanted["reader_test_diffs"] or ():
            same(result.reader_differences[row["Reader"], "1", "2"], row)
        for row in wanted["reader_means"] or ():
            figure = result.figures[row["treatment"], row["reader"]]
            limits = row["CI.Lower"], row["CI.Upper"]
            assert (figure.low, figure.high) == pytest.approx(limits, abs=CLOSED)


def same(difference, row):
    found = difference.value, difference.low, difference.high, difference.p_value
    wanted = row["Estimate"], row["CI.Lower"], row["CI.Upper"], row["p-value"]
    assert found == pytest.approx(wanted, abs=CLOSED)
    assert difference.statistic == pytest.approx(row.get("t", row.get("z")), abs=1e-7)


@FEW
def test_synthetic_study_equals_mrmcaov(synthetic, expected):
    equals_mrmcaov(synthetic, expected("mrmc_synthetic"))


def test_van_dyke_equals_mrmcaov(van_dyke, expected):
    equals_mrmcaov(van_dyke, expected("mrmc_VanDyke"))


def test_van_dyke_equals_rjafroc(van_dyke, expected):
    reference = expected("dbm_VanDyke")
    random = mrmc(van_dyke, covariance="jackknife")
    for analysis in (reference["OR_RJafroc"], reference["DBM"]["RRRC"]):
        f_test, error = analysis["FTests"]
        assert random.statistic == pytest.approx(f_test["FStat"], abs=CLOSED)
        assert random.df == pytest.approx((f_test["DF"], error["DF"]), abs=1e-7)
        assert random.p_value == pytest.approx(f_test["p"], abs=CLOSED)
        like_rjafroc(random, analysis)
    readers = mrmc(van_dyke, covariance="jackknife", cases="fixed")
    like_rjafroc(readers, reference["DBM"]["RRFC"])
    # DBM refers the same F of fixed readers to a denominator of cases - 1, Obuchowski and
    # Rockette to an infinite one.
    fixed = mrmc(van_dyke, covariance="jackknife", readers="fixed")
    analysis = reference["DBM"]["FRRC"]
    assert fixed.statistic == pytest.approx(analysis["FTests"][0]["FStat"], abs=CLOSED)
    assert analysis["FTests"][1]["DF"] == fixed.n - 1
    for reader, row in zip(fixed.readers, analysis["ciDiffTrtEachRdr"], strict=True):
        alone = fixed.reader_differences[reader, "1", "2"]
        assert alone.statistic == pytest.approx(row["t"], abs=1e-7)


def like_rjafroc(result, analysis):
    (row,) = analysis["ciDiffTrt"]
    difference = result.differences["1", "2"]
    limits = row["CILower"], row["CIUpper"]
    assert (difference.low, difference.high) == pytest.approx(limits, abs=CLOSED)
    assert difference.df == pytest.approx(row["DF"], abs=1e-7)
    for mean, row in zip(result.estimates.values(), analysis["ciAvgRdrEachTrt"], strict=True):
        limits = row["CILower"], row["CIUpper"]
        assert (mean.low, mean.high) == pytest.approx(limits, abs=CLOSED)


@FEW
@pytest.mark.parametrize("name", ["imrmc_example", "mrmc_synthetic"])
def test_unbiased_variances_equal_imrmc(name, imrmc_example, synthetic, expected):
    # iMRMC's U-statistic has the variance of Obuchowski and Rockette with the unbiased
    # covariance; its degrees of freedom (Gallas) are others than Hillis'.
    table = imrmc_example if name == "imrmc_example" else synthetic
    reference = expected(name)
    reference = reference.get("iMRMC", reference)
    result = mrmc(table, covariance="unbiased")
    (difference,) = result.differences.values()
    pair = reference["Ustat"][2]
    assert difference.value == pytest.approx(pair["AUCAminusAUCB"], abs=CLOSED)
    variance = (difference.value / difference.statistic) ** 2
    assert variance == pytest.approx(pair["varAUCAminusAUCB"], abs=CLOSED)
    alone = [row for row in reference["perReader"] if row["modalityB"] == "NO_MOD"]
    fixed = mrmc(table, covariance="unbiased", readers="fixed")
    for figure, row in zip(fixed.figures.values(), alone, strict=True):
        assert figure.value == pytest.approx(row["AUCA"], abs=CLOSED)
        half = 1.959963984540054 * row["varAUCA"] ** 0.5
        assert figure.low == pytest.approx(row["AUCA"] - half, abs=CLOSED)
    pairs = [row for row in reference["perReader"] if row["modalityB"] != "NO_MOD"]
    for reader, row in zip(fixed.reader_differences.values(), pairs, strict=True):
        variance = (reader.value / reader.statistic) ** 2
        assert variance == pytest.approx(row["varAUCAminusAUCB"], abs=CLOSED)


def test_unbiased_covariance_is_the_sum_over_pairs_that_share_no_case():
    generator = np.random.default_rng(2)
    truth = np.array([1] * 5 + [0] * 4)
    first, second = np.round(generator.normal(size=(2, 9)) + truth, 1)
    wins = [
        (score[:5, None] > score[None, 5:]) + 0.5 * (score[:5, None] == score[None, 5:])
        for score in (first, second)
    ]
    apart = [
        wins[0][i, j] * wins[1][k, m]
        for i, k in np.ndindex(5, 5)
        for j, m in np.ndindex(4, 4)
        if i != k and j != m
    ]
    covariance = wins[0].mean() * wins[1].mean() - np.mean(apart)
    table = long_table(truth, {("a", "x"): first, ("b", "x"): second})
    result = mrmc(table, readers="fixed", covariance="unbiased")
    assert result.components.cov1 == pytest.approx(covariance)


def long_table(truth, values):
    """Rows of each (modality, reader)."""
    rows = [
        (case, reader, modality, truth[case], value)
        for (modality, reader), column in values.items()
        for case, value in enumerate(column)
    ]
    names = ("case", "reader", "modality", "truth", "rating")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def test_one_reader_is_a_paired_comparison(study):
    scores = {("a", "x"): study["resnet34"], ("b", "x"): study["resnet50"]}
    result = mrmc(long_table(study["label"], scores), readers="fixed")
    pair = compare_aucs(study["label"], study["resnet34"], study["resnet50"])
    (difference,) = result.differences.values()
    found = difference.value, difference.low, difference.high, difference.p_value
    assert found == pytest.approx((pair.value, pair.low, pair.high, pair.p_value))
    assert result.statistic == pytest.approx(pair.statistic**2)
    alone = auc(study["label"], study["resnet34"])
    assert result.estimates["a"].low == pytest.approx(alone.low)


def test_one_modality_has_a_mean_and_no_test(van_dyke):
    one = [place for place, name in enumerate(van_dyke["modality"]) if name == "1"]
    table = {name: [column[place] for place in one] for name, column in van_dyke.items()}
    both, alone = mrmc(van_dyke), mrmc(table)
    assert alone.estimates["1"] == both.estimates["1"]
    assert (alone.differences, alone.statistic, alone.p_value) == ({}, None, None)
    assert alone.to_dict()["components"]["cov1"] is None
    assert "all alike" not in alone.summary()


def test_three_modalities_have_three_differences(study):
    generator = np.random.default_rng(4)
    truth = study["label"]
    values = {
        (modality, reader): truth * strength + generator.normal(size=truth.size)
        for modality, strength in (("none", 1.0), ("model", 1.6), ("peer", 1.5))
        for reader in "abcdef"
    }
    result = mrmc(long_table(truth, values))
    assert list(result.differences) == [("none", "model"), ("none", "peer"), ("model", "peer")]
    assert result.df[0] == 2
    widths = {round(each.high - each.low, 12) for each in result.differences.values()}
    assert len(widths) == 1
    assert result.p_value < 0.001
    assert set(result.to_frame().index) >= {"none", "none - model"}
    json.dumps(result.to_dict(), allow_nan=False)


@FEW
def test_many_differences_are_said_not_to_be_corrected(study, synthetic):
    calls = {
        (modality, reader): np.roll(study["resnet34"], place + ord(reader))
        for place, modality in enumerate("abc")
        for reader in "xyz"
    }
    three = mrmc(long_table(study["label"], calls))
    for difference in (*three.differences.values(), *three.reader_differences.values()):
        assert difference.method.endswith("not corrected for the number of differences")
    assert "not corrected for their number" in three.summary()
    two = mrmc(synthetic)
    assert "not corrected" not in two.summary() + str(two.to_dict())


def test_rows_in_any_order_and_a_frame_give_the_same(synthetic):
    frame = pd.DataFrame(synthetic)
    shuffled = frame.sample(frac=1, random_state=3).sort_values("modality", kind="stable")
    with pytest.warns(StatisticsWarning, match="only 4 readers"):
        first = mrmc(frame)
    with pytest.warns(StatisticsWarning, match="only 4 readers"):
        second = mrmc(shuffled)
    (one,), (other,) = first.differences.values(), second.differences.values()
    assert other.value == pytest.approx(one.value)
    assert second.p_value == pytest.approx(first.p_value)
    assert "4 readers, 2 modalities, 70 cases: 30 positive" in repr(first) + first.summary()


@FEW
def test_sensitivities_differ_by_the_calls_of_the_diseased(synthetic):
    result = mrmc(synthetic, measure="sensitivity", readers="fixed")
    frame = pd.DataFrame(synthetic)
    diseased = frame[(frame.truth == 1) & (frame.reader == 2)]
    first, second = (group.call.to_numpy() for _, group in diseased.groupby("modality"))
    alone = result.reader_differences["2", "1", "2"]
    assert alone.value == pytest.approx(paired_difference(first, second).value)


@FEW
def test_readings_that_are_all_alike_have_no_interval_and_a_word():
    truth = np.array([0, 0, 1, 1, 1, 0])
    same = {(modality, reader): truth * 1.0 for modality in "ab" for reader in "xyz"}
    for readers, cases in (("random", "random"), ("fixed", "random"), ("random", "fixed")):
        result = mrmc(long_table(truth, same), readers=readers, cases=cases)
        difference = result.differences["a", "b"]
        assert (difference.value, difference.low, difference.p_value) == (0, None, 1)
        assert "nothing scatters" in difference.note
        assert result.estimates["a"].low is None
        assert (result.statistic, result.p_value) == (None, 1)
    worse = {key: value if key[0] == "a" else -value for key, value in same.items()}
    result = mrmc(long_table(truth, worse))
    assert (result.differences["a", "b"].value, result.p_value) == (1, None)


def changed(table, name, place, value):
    column = list(table[name])
    column[place] = value
    return {**table, name: column}


@pytest.mark.parametrize(
    ("fault", "kind", "code", "says"),
    [
        (lambda t: {**t, "truth": t["truth"][:-1]}, EvaluationError, "LENGTHS_DIFFER", ""),
        (
            lambda t: {k: v for k, v in t.items() if k != "rating"},
            EvaluationError,
            "READINGS_COLUMNS",
            "rating",
        ),
        (lambda t: changed(t, "truth", 4, 1), EvaluationError, "READINGS_TRUTH", "rows"),
        (
            lambda t: changed(t, "modality", 1, "1"),
            EvaluationError,
            "READINGS_DUPLICATED",
            "rows 2",
        ),
        (
            lambda t: {name: values[:-1] for name, values in t.items()},
            MismatchedCasesError,
            "READINGS_MISSING",
            "1 of 1140 readings are missing, of 1 of 114 cases",
        ),
        (lambda t: {**t, "rating": t["rating"][:-1]}, EvaluationError, "LENGTHS_DIFFER", "rating"),
        (lambda t: changed(t, "rating", 2, "nan"), EvaluationError, "NOT_NUMBERS", "rows 3"),
        (lambda t: changed(t, "rating", 2, "high"), EvaluationError, "NOT_NUMBERS", "rows 3"),
        (lambda t: changed(t, "rating", 2, np.inf), EvaluationError, "NOT_NUMBERS", "rows 3"),
        (lambda t: changed(t, "rating", 2, [1]), EvaluationError, "NOT_NUMBERS", "rows 3"),
        (lambda t: changed(t, "truth", 2, "yes"), EvaluationError, "NOT_NUMBERS", "rows 3"),
        (lambda t: changed(t, "truth", 2, None), EvaluationError, "NOT_BINARY", "rows 3"),
        (lambda t: changed(t, "truth", 2, 2), EvaluationError, "NOT_BINARY", "rows 3"),
        (lambda t: changed(t, "case", 2, None), EvaluationError, "READINGS_ROWS", "rows 3"),
        (lambda t: changed(t, "reader", 2, " "), EvaluationError, "READINGS_ROWS", "rows 3"),
    ],
)
def test_what_is_no_reader_study_is_refused(van_dyke, fault, kind, code, says):
    with pytest.raises(kind) as caught:
        mrmc(fault(van_dyke))
    assert caught.value.code == code
    assert says in str(caught.value)


def test_complete_cases_are_counted(van_dyke):
    table = {name: values[:-1] for name, values in van_dyke.items()}
    result = mrmc(table, complete_cases=True)
    assert (result.dropped, result.n) == (1, 113)
    assert "1 cases not read by every reader" in result.summary()
    apart = long_table([0, 1], {("a", "x"): [1, 2], ("b", "x"): [1, 2]})
    apart["case"] = [0, 1, 2, 3]
    with pytest.raises(MismatchedCasesError, match="no case was read by every reader"):
        mrmc(apart, complete_cases=True)


@pytest.mark.parametrize("blank", [None, np.nan, "", " ", pd.NA])
@pytest.mark.parametrize("measure", ["auc", "sensitivity"])
def test_a_blank_reading_is_a_gap(van_dyke, measure, blank):
    value = "rating" if measure == "auc" else "call"
    table = {**van_dyke, "call": [int(float(rating) > 3) for rating in van_dyke["rating"]]}
    gap = changed(table, value, 4, blank)
    with pytest.raises(MismatchedCasesError) as caught:
        mrmc(gap, measure=measure)
    assert caught.value.code == "READINGS_MISSING"
    assert (
        f"1 of 1140 readings are missing, of 1 of 114 cases; the {value} is blank in rows 5,"
        in (caught.value.what)
    )
    result = mrmc(gap, measure=measure, complete_cases=True)
    absent = {name: [*column[:4], *column[5:]] for name, column in table.items()}
    assert result.to_dict() == mrmc(absent, measure=measure, complete_cases=True).to_dict()
    assert (result.dropped, result.n) == (1, 113)


def test_a_call_that_is_neither_0_nor_1_is_named_by_its_row(van_dyke):
    table = {**van_dyke, "call": van_dyke["truth"]}
    with pytest.raises(EvaluationError, match="neither 0 nor 1: rows 7,") as caught:
        mrmc(changed(table, "call", 6, 2), measure="sensitivity")
    assert caught.value.code == "NOT_BINARY"


@FEW
def test_a_blank_reading_of_a_file_is_a_gap(tmp_path, synthetic):
    path = tmp_path / "readings.csv"
    table = pd.DataFrame(synthetic)
    table["rating"] = table["rating"].astype(object)
    table.loc[0, "rating"] = ""
    table.to_csv(path, index=False)
    assert mrmc(read_readings(path), complete_cases=True).dropped == 1


def test_designs_without_an_answer_are_refused(van_dyke):
    with pytest.raises(UsageError):
        mrmc(van_dyke, readers="fixed", cases="fixed")
    with pytest.raises(UsageError):
        mrmc(van_dyke, readers="some")
    with pytest.raises(UsageError):
        mrmc(van_dyke, covariance="normal")
    lone = long_table([0, 1, 1, 0], {("a", "x"): [1, 2, 3, 1], ("b", "x"): [1, 2, 3, 4]})
    with pytest.raises(EvaluationError) as caught:
        mrmc(lone)
    assert caught.value.code == "READERS_TOO_FEW"
    with pytest.raises(EvaluationError) as caught:
        mrmc(long_table([0, 1, 0], {("a", "x"): [1, 2, 3]}), readers="fixed")
    assert caught.value.code == "SINGLE_CASE"


@FEW
def test_a_file_of_readings(tmp_path, synthetic):
    path = tmp_path / "readings.csv"
    pd.DataFrame(synthetic).to_csv(path, index=False)
    assert mrmc(read_readings(path)).p_value == pytest.approx(mrmc(synthetic).p_value)
    path.write_text("case,reader,truth,rating\n1,a,0,2\n", encoding="utf-8")
    with pytest.raises(LabelError) as caught:
        read_readings(path)
    assert caught.value.code == "READINGS_COLUMNS"
