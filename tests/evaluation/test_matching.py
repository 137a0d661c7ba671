"""A model at the operating point of a reader who gave calls only."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_curve

from cervispine.evaluation import Evaluator, ReaderTable, paired_difference


@pytest.fixture
def calls_only(readers_csv):
    frame = pd.read_csv(readers_csv, dtype={"patient": str})
    return ReaderTable.from_frame(frame.drop(columns="rating"))


@pytest.fixture
def result(truth_by_patient, scores_by_patient, calls_only):
    return Evaluator().compare(truth_by_patient, scores_by_patient, calls_only, thresholds=0.5)


def table_of(calls):
    rows = [{"patient": p, "reader": "R", "call": call} for p, call in calls.items()]
    return ReaderTable.from_frame(pd.DataFrame(rows))


def on_the_curve(truth, scores, endpoint, at):
    """The same point by scikit-learn's curve and a straight line; the upper end of a step."""
    fpr, tpr, _ = roc_curve(truth, scores, drop_intermediate=False)
    if endpoint == "sensitivity":
        return np.interp(1 - at + 1e-12, fpr, tpr)
    return np.interp(-(at - 1e-12), -tpr[::-1], (1 - fpr)[::-1])


def test_every_model_meets_every_reader_twice(result):
    assert len(result.at_readers_points) == 2 * 3 * 3
    for point in result.at_readers_points:
        assert {point.endpoint, point.matched} == {"sensitivity", "specificity"}
        reader = result.readers[point.reader]
        assert point.at == getattr(reader, point.matched).value
        assert point.reader_rate == getattr(reader, point.endpoint).value
        assert point.difference.value == pytest.approx(point.model_rate - point.reader_rate)
        assert point.difference.low < point.difference.value < point.difference.high


def test_the_point_lies_on_the_curve_of_scikit_learn(result):
    for point in result.at_readers_points:
        model = result.models[point.model]
        wanted = on_the_curve(model.truth, model.scores, point.endpoint, point.at)
        assert point.model_rate == pytest.approx(wanted, abs=1e-9)


def test_the_interval_is_that_of_a_bootstrap_written_plainly(result):
    generator = np.random.default_rng(7)
    for point in result.at_readers_points[:2]:
        model, reader = result.models[point.model], result.readers[point.reader]
        classes = [np.flatnonzero(model.truth == label) for label in (0, 1)]
        differences = []
        for _ in range(1000):
            drawn = np.concatenate([generator.choice(of, of.size) for of in classes])
            truth, calls = model.truth[drawn], reader.calls[drawn]
            at = 1 - calls[truth == 0].mean()
            own = on_the_curve(truth, model.scores[drawn], point.endpoint, at)
            differences.append(own - calls[truth == 1].mean())
        low, high = np.quantile(differences, [0.025, 0.975])
        assert (point.difference.low, point.difference.high) == pytest.approx((low, high), abs=0.03)


def test_readers_with_ratings_are_compared_by_their_areas_instead(
    truth_by_patient, scores_by_patient, readers
):
    rated = Evaluator().compare(truth_by_patient, scores_by_patient, readers, thresholds=0.5)
    assert rated.at_readers_points == ()
    assert "T8" not in rated.tables()


def test_it_describes_and_does_not_test(result):
    held = result.to_dict()["model_at_readers_point"]
    assert "p_value" not in json.dumps(held)
    assert "corrected" not in result.tables()["T8"].columns
    assert any("differences describe and are not tested" in note for note in result.notes)
    assert "sensitivity at specificity 0.728: " in result.summary()


def test_a_seed_decides_and_the_scale_of_the_scores_does_not(
    truth_by_patient, scores_by_patient, calls_only, result
):
    stretched = {
        name: {patient: np.exp(3 * score) for patient, score in scores.items()}
        for name, scores in scores_by_patient.items()
    }
    again = Evaluator().compare(truth_by_patient, stretched, calls_only, thresholds=np.exp(1.5))
    assert again.at_readers_points == result.at_readers_points


@pytest.mark.parametrize(("error", "value"), [(0, 0.0), (1, 1.0)])
def test_rates_that_no_resample_changes_have_the_limits_of_a_fixed_threshold(error, value):
    truth = {f"P{place}": int(place < 20) for place in range(50)}
    perfect = {
        patient: label + 0.001 * place for place, (patient, label) in enumerate(truth.items())
    }
    calls = {patient: label * (1 - error) for patient, label in truth.items()}
    result = Evaluator().compare(truth, {"m": perfect}, table_of(calls), thresholds=0.9)
    point = result.at_readers_points[0]
    assert point.difference.value == value
    assert point.difference.low < point.difference.high
    assert "no resample changes" in point.difference.note
    assert any(note.startswith("m - R, sensitivity: no resample") for note in result.notes)


def test_rates_that_no_resample_changes_count_clusters_and_not_cases():
    truth = {f"P{place}": int(place < 60) for place in range(120)}
    perfect = {p: label + 0.001 * place for place, (p, label) in enumerate(truth.items())}
    patients = {case: place // 20 for place, case in enumerate(truth)}
    arguments = (truth, {"m": perfect}, table_of(truth))
    alone = Evaluator().compare(*arguments, thresholds=0.9).at_readers_points[0].difference
    result = Evaluator().compare(*arguments, thresholds=0.9, groups=patients)
    point = result.at_readers_points[0].difference
    wanted = paired_difference(np.ones(3), np.ones(3))
    assert (point.low, point.high) == (wanted.low, wanted.high)
    assert point.n == alone.n == 60
    assert point.low < alone.low


def test_a_model_that_orders_like_the_reader_differs_by_nothing(truth_by_patient, calls_only):
    calls = dict(zip(calls_only.patients, calls_only.calls()["surgeon1"].tolist(), strict=True))
    same = {patient: call + 0.0 for patient, call in calls.items()}
    with pytest.warns(UserWarning, match=r"\[SCORES_BINARY\] the scores of m hold two values"):
        result = Evaluator().compare(truth_by_patient, {"m": same}, table_of(calls), thresholds=0.5)
    assert [point.difference.value for point in result.at_readers_points] == [0.0, 0.0]
