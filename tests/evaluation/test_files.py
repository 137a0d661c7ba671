"""A comparison from the files that people bring."""

import re

import pytest

from cervispine.evaluation import Evaluator, Threshold, compare_files, read_scores
from cervispine.exceptions import EvaluationError, LabelError, UsageError

MODELS = ("resnet34", "resnet50")
TYPES = ("mixed", "segmental")


@pytest.fixture
def labels_csv(tmp_path, study):
    rows = [
        f"{patient},{'OPLL' if label else 'DSS'},{TYPES[place % 2] if label else ''},"
        f"{'MF'[place % 2]},{40 + place % 39}\n"
        for place, (patient, label) in enumerate(zip(study["patient"], study["label"], strict=True))
    ]
    path = tmp_path / "labels.csv"
    path.write_text("patient,label,type,sex,age\n" + "".join(rows) + "trained,OPLL,mixed,F,61\n")
    return path


@pytest.fixture
def scores_csv(tmp_path, study):
    rows = [
        f"{patient},{model},{study[model][place]},{int(study[model][place] >= 0.5)}\n"
        for place, patient in enumerate(study["patient"])
        for model in MODELS
    ]
    path = tmp_path / "scores.csv"
    path.write_text("patient,model,score,call\n" + "".join(rows))
    return path


def test_files_give_the_figures_of_the_same_numbers(labels_csv, scores_csv, readers_csv, expected):
    result = compare_files(labels_csv, scores_csv, readers_csv)
    wanted = expected("roc_study171")["singles"]["resnet34"]["auc"]
    assert result.models["resnet34"].auc.value == pytest.approx(wanted, abs=1e-8)
    assert result.models["resnet34"].sensitivity.value == pytest.approx(57 / 68)
    assert result.models["resnet34"].threshold.source == "from the calls in the scores file"
    assert list(result.readers) == ["surgeon1", "surgeon2", "surgeon3"]
    assert result.n == 171  # the patient of the training part is left out
    assert {(item.stratum, item.level) for item in result.strata} == {
        ("type", "mixed"),
        ("type", "segmental"),
        ("sex", "M"),
        ("sex", "F"),
    }
    assert "1 patients with a label and without scores were left out" in result.notes
    assert any(note.startswith("no figures by age: 39 levels") for note in result.notes)


def test_models_alone_and_a_threshold_given(labels_csv, scores_csv):
    result = compare_files(labels_csv, scores_csv, threshold=0.38)
    assert result.readers == {}
    assert result.models["resnet34"].threshold == Threshold(0.38, "given by the user")


def test_a_threshold_that_is_no_number_is_refused(labels_csv, scores_csv):
    with pytest.raises(UsageError, match="finite number"):
        compare_files(labels_csv, scores_csv, threshold=float("nan"))


def test_scores_without_calls_need_a_threshold(labels_csv, scores_csv):
    lines = [line.rsplit(",", 1)[0] for line in scores_csv.read_text().splitlines()]
    scores_csv.write_text("\n".join(lines) + "\n")
    with pytest.raises(UsageError) as caught:
        compare_files(labels_csv, scores_csv)
    assert caught.value.code == "THRESHOLD_MISSING"
    assert compare_files(labels_csv, scores_csv, threshold=0.5).n == 171


def test_a_model_that_called_nobody_has_a_threshold_above_all(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("patient,model,score,call\nP1,m,0.2,0\nP2,m,0.4,0\n")
    scores, thresholds = read_scores(path)
    assert scores == {"m": {"P1": 0.2, "P2": 0.4}}
    assert thresholds["m"].value > 0.4


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("P1,m,high,1\n", "row 2: the score is not a finite number"),
        ("P1,m,nan,1\n", "row 2: the score is not a finite number"),
        ("P1,m,0.2,0\nP1,m,0.3,1\n", "row 3: the model has scored this patient already"),
        ("P1,m,0.2,maybe\n", "row 2: the call is not 0 or 1"),
        (",m,0.2,0\n", "row 2: the patient or the model is empty"),
        (
            "P1,m,0.2,1\nP2,m,0.3,0\n",
            "the model of row 2: a score called 0 is not below every one called 1",
        ),
    ],
)
def test_faults_of_the_scores_are_refused(tmp_path, rows, words):
    path = tmp_path / "scores.csv"
    path.write_text("patient,model,score,call\n" + rows)
    with pytest.raises(LabelError) as caught:
        read_scores(path)
    assert caught.value.code == "SCORES_INVALID"
    assert words in str(caught.value)


def refusal(*arguments, error=LabelError, **options):
    with pytest.raises(error) as caught:
        compare_files(*arguments, **options)
    assert "T0" not in str(caught.value)  # the patients' identifiers begin so
    return caught.value.code, str(caught.value)


def edit(path, change):
    lines = change(path.read_text().splitlines())
    path.write_text("\n".join(lines) + "\n")


def test_a_patient_one_model_did_not_score_is_refused(labels_csv, scores_csv):
    edit(scores_csv, lambda lines: lines[:-1])
    code, told = refusal(labels_csv, scores_csv)
    assert code == "SCORES_UNMATCHED"
    assert re.search(r"row 342: the model of row \d+ has no score of this patient", told)


def test_patients_without_a_label_are_refused_by_row(labels_csv, scores_csv, readers_csv):
    edit(scores_csv, lambda lines: [*lines, "stranger,resnet34,0.1,0"])
    code, told = refusal(labels_csv, scores_csv)
    assert (code, "row 344: the patient has no label" in told) == ("SCORES_UNMATCHED", True)
    edit(scores_csv, lambda lines: lines[:-1])
    edit(readers_csv, lambda lines: [*lines, "stranger,surgeon1,0,1"])
    code, told = refusal(labels_csv, scores_csv, readers_csv)
    assert (code, "row 515: the patient has no label" in told) == ("READERS_UNMATCHED", True)


def test_a_missing_reading_is_refused_unless_complete_cases_are_asked_for(
    labels_csv, scores_csv, readers_csv
):
    edit(readers_csv, lambda lines: lines[:-1])
    code, told = refusal(labels_csv, scores_csv, readers_csv)
    assert (code, "(rows 512)" in told) == ("READERS_CASE_MISSING", True)
    result = compare_files(labels_csv, scores_csv, readers_csv, complete_cases=True)
    assert (result.n, result.patients_left_out) == (170, 1)
    assert "1 patients not read by every reader were left out" in result.notes
    n = {pair.difference.n for pair in result.against_readers if pair.endpoint == "accuracy"}
    assert n == {170}
    assert set(result.tables()["T2"]["n"]) == {result.positives, result.negatives, 170}


def test_a_patient_nobody_read_is_refused_unless_complete_cases_are_asked_for(
    labels_csv, scores_csv, readers_csv
):
    edit(readers_csv, lambda lines: lines[:-3])
    code, told = refusal(labels_csv, scores_csv, readers_csv)
    assert code == "READERS_CASE_MISSING"
    assert "row 342 of the scores: the readers' table lacks it" in told
    result = compare_files(labels_csv, scores_csv, readers_csv, complete_cases=True)
    assert (result.n, result.patients_left_out) == (170, 1)
    edit(labels_csv, lambda lines: [*lines, "elsewhere,DSS,,F,50"])
    edit(readers_csv, lambda lines: [lines[0], "elsewhere,surgeon1,0,1"])
    code, told = refusal(labels_csv, scores_csv, readers_csv, complete_cases=True)
    assert (code, "no patient of the 171" in told) == ("READERS_CASE_MISSING", True)


def test_what_readers_left_out_of_patients_that_were_not_scored_is_no_gap(
    labels_csv, scores_csv, readers_csv
):
    whole = compare_files(labels_csv, scores_csv, readers_csv)
    for extra in ("trained,surgeon1,1,4", "trained,surgeon1,,"):
        edit(readers_csv, lambda lines, extra=extra: [*lines, extra])
        for complete_cases in (False, True):
            result = compare_files(
                labels_csv, scores_csv, readers_csv, complete_cases=complete_cases
            )
            assert result.to_dict() == whole.to_dict()
        edit(readers_csv, lambda lines: lines[:-1])
    edit(readers_csv, lambda lines: [*lines, "trained,surgeon1,7,4"])
    assert refusal(labels_csv, scores_csv, readers_csv)[0] == "READERS_CALL_INVALID"


def test_a_kind_of_reading_given_of_patients_that_were_not_scored_is_not_asked_of_the_others(
    labels_csv, scores_csv, readers_csv
):
    edit(readers_csv, lambda lines: [re.sub(",[01],", ",,", line) for line in lines])
    ratings_only = compare_files(labels_csv, scores_csv, readers_csv)
    edit(readers_csv, lambda lines: [*lines, "trained,surgeon1,1,4"])
    assert compare_files(labels_csv, scores_csv, readers_csv).to_dict() == ratings_only.to_dict()


def test_one_class_and_a_lone_positive_are_refused(labels_csv, scores_csv):
    def one_class(lines):
        return ["patient,label", *(f"{line.split(',')[0]},DSS" for line in lines[1:])]

    edit(labels_csv, one_class)
    assert refusal(labels_csv, scores_csv, error=EvaluationError)[0] == "SINGLE_CLASS"
    edit(labels_csv, lambda lines: [lines[0], lines[1].replace(",DSS", ",OPLL"), *lines[2:]])
    code, told = refusal(labels_csv, scores_csv, error=EvaluationError)
    assert code == "SINGLE_CASE"
    assert "labels.csv, row 2" in told


def test_ratings_off_their_scale_are_refused_by_row(labels_csv, scores_csv, readers_csv):
    edit(readers_csv, lambda lines: [lines[0], lines[1].rsplit(",", 1)[0] + ",9", *lines[2:]])
    assert compare_files(labels_csv, scores_csv, readers_csv).n == 171
    code, told = refusal(labels_csv, scores_csv, readers_csv, rating_scale=(1, 5))
    assert code == "READERS_RATING_INVALID"
    assert "a rating is no number from 1 to 5 (rows 2)" in told
    with pytest.raises(UsageError, match="from low to high"):
        compare_files(labels_csv, scores_csv, readers_csv, rating_scale=(5, 1))


def test_strata_are_the_columns_asked_for(labels_csv, scores_csv):
    result = compare_files(labels_csv, scores_csv, strata=["sex"])
    assert {item.stratum for item in result.strata} == {"sex"}
    assert all(item.auc is not None for item in result.strata)
    assert compare_files(labels_csv, scores_csv, strata=[]).strata == ()
    code, told = refusal(labels_csv, scores_csv, strata=["type", "level"])
    assert (code, "no column level" in told) == ("LABELS_COLUMNS", True)


def test_a_column_of_identifiers_becomes_no_stratum(tmp_path):
    rows = [f"P{place},{'OPLL' if place % 2 else 'DSS'},name {place}" for place in range(10)]
    (tmp_path / "labels.csv").write_text("\n".join(["patient,label,name", *rows]))
    scores = [f"P{place},m,{place / 10}" for place in range(10)]
    (tmp_path / "scores.csv").write_text("\n".join(["patient,model,score", *scores]))
    result = compare_files(tmp_path / "labels.csv", tmp_path / "scores.csv", threshold=0.5)
    assert result.strata == ()
    assert "name 3" not in str(result.to_dict())


def test_the_settings_of_an_evaluator_hold(labels_csv, scores_csv):
    evaluator = Evaluator(confidence=0.9, correction="bonferroni")
    result = compare_files(labels_csv, scores_csv, evaluator=evaluator)
    assert (result.confidence, result.correction) == (0.9, "bonferroni")


def test_faults_of_the_readers_are_refused_by_row(labels_csv, scores_csv, readers_csv):
    whole = readers_csv.read_text()
    for change, code, row in (
        (lambda lines: [*lines[:2], lines[2] + ",5", *lines[3:]], "ROWS", 3),
        (lambda lines: [*lines, lines[5]], "ROW_DUPLICATED", 515),
        (lambda lines: [*lines, "T0001,surgeon9,7,1"], "INVALID", 515),
        (lambda lines: [*lines, ",surgeon1,1,1"], "ID_MISSING", 515),
    ):
        edit(readers_csv, change)
        found, told = refusal(labels_csv, scores_csv, readers_csv)
        assert found.startswith(f"READERS_{code}")
        assert str(row) in told
        readers_csv.write_text(whole)
