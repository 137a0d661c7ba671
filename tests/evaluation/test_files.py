"""A comparison from the files that people bring."""

import pytest

from cervispine.evaluation import Threshold, compare_files, read_scores
from cervispine.exceptions import LabelError, MismatchedCasesError, UsageError

MODELS = ("resnet34", "resnet50")


@pytest.fixture
def labels_csv(tmp_path, study):
    rows = [
        f"{patient},{'OPLL' if label else 'DSS'},{'mixed' if label else ''}\n"
        for patient, label in zip(study["patient"], study["label"], strict=True)
    ]
    path = tmp_path / "labels.csv"
    path.write_text("patient,label,type\n" + "".join(rows) + "trained,OPLL,mixed\n")
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
    assert {item.level for item in result.strata} == {"mixed"}


def test_models_alone_and_a_threshold_given(labels_csv, scores_csv):
    result = compare_files(labels_csv, scores_csv, threshold=0.38)
    assert result.readers == {}
    assert result.models["resnet34"].threshold == Threshold(0.38, "given by the user")


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
        ("P1,m,0.2,1\nP2,m,0.3,0\n", "not below every score called 1"),
    ],
)
def test_faults_of_the_scores_are_refused(tmp_path, rows, words):
    path = tmp_path / "scores.csv"
    path.write_text("patient,model,score,call\n" + rows)
    with pytest.raises(LabelError) as caught:
        read_scores(path)
    assert caught.value.code == "SCORES_INVALID"
    assert words in str(caught.value)


def test_a_patient_one_model_did_not_score_is_refused(labels_csv, scores_csv):
    lines = scores_csv.read_text().splitlines()
    scores_csv.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(MismatchedCasesError):
        compare_files(labels_csv, scores_csv)
