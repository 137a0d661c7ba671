"""Data at the edge of what statistics can answer: honest answers, never NaN."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from cervispine.evaluation import Evaluator, ReaderTable
from cervispine.exceptions import EvaluationError, StatisticsWarning

N, POSITIVES = 40, 15
PATIENTS = [f"P{place}" for place in range(N)]
TRUTH = {patient: int(place < POSITIVES) for place, patient in enumerate(PATIENTS)}
GENERATOR = np.random.default_rng(5)
NOISY = {p: 1 / (1 + np.exp(-(1.5 * TRUTH[p] + GENERATOR.normal()))) for p in PATIENTS}
PERFECT = {p: 0.2 + 0.6 * TRUTH[p] + place / 1e3 for place, p in enumerate(PATIENTS)}
WRONG = {p: 1 - score for p, score in PERFECT.items()}
FLAT = dict.fromkeys(PATIENTS, 0.3)
RIGHT = TRUTH
ALL = dict.fromkeys(PATIENTS, 1)


def table(calls, ratings=None):
    rows = [
        {"patient": p, "reader": reader, "call": values[p]}
        | ({} if ratings is None else {"rating": ratings[reader][p]})
        for reader, values in calls.items()
        for p in PATIENTS
    ]
    return ReaderTable.from_frame(pd.DataFrame(rows))


def rated(truth):
    return {p: 5 * value for p, value in truth.items()}


CASES = {
    "areas of 1": ({"a": PERFECT, "b": PERFECT}, table({"R": RIGHT, "S": RIGHT})),
    "areas of 1 and 0": ({"a": PERFECT, "b": WRONG}, table({"R": RIGHT, "S": ALL})),
    "one score for all": ({"a": FLAT, "b": NOISY}, table({"R": ALL, "S": ALL})),
    "identical scores": ({"a": NOISY, "b": NOISY}, table({"R": RIGHT})),
    "no discordant pair": (
        {"a": PERFECT},
        table({"R": RIGHT, "S": RIGHT}, {"R": rated(RIGHT), "S": rated(RIGHT)}),
    ),
    "a reader who is always wrong": (
        {"a": PERFECT},
        table({"R": {p: 1 - call for p, call in RIGHT.items()}}),
    ),
}


def compared(name, **options):
    scores, readers = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StatisticsWarning)
        return Evaluator(resamples=200).compare(TRUTH, scores, readers, thresholds=0.5, **options)


def figures(value):
    if isinstance(value, dict):
        if {"value", "low", "high"} <= set(value):
            yield value
        for item in value.values():
            yield from figures(item)
    elif isinstance(value, list):
        for item in value:
            yield from figures(item)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("clustered", [False, True])
def test_no_figure_is_nan_or_surer_than_it_can_be(name, clustered):
    groups = {p: place // 2 for place, p in enumerate(PATIENTS)} if clustered else None
    result = compared(name, groups=groups, strata={"half": {p: p[-1] < "5" for p in PATIENTS}})
    content = result.to_dict()
    text = json.dumps(content, allow_nan=False)
    assert "nan" not in (result.summary() + text).lower().replace("prevalence", "")
    found = list(figures(content))
    assert len(found) > 10
    for figure in found:
        assert figure["value"] is not None
        if figure["low"] is None or figure["low"] == figure["high"]:
            assert figure["note"], figure
        else:
            assert figure["low"] <= figure["value"] <= figure["high"]
    for tables in (result.to_csv(), result.to_latex()):
        assert not any("nan" in text.lower() for text in tables.values())


@pytest.mark.parametrize("kind", ["roc", "differences", "calibration", "decision"])
def test_they_can_be_drawn(kind):
    from matplotlib.figure import Figure

    for name in CASES:
        compared(name).plot(Figure().subplots(), kind=kind)


def test_no_discordant_pair_is_p_one_with_an_interval_of_some_width():
    result = compared("no discordant pair")
    for pair in result.against_readers:
        assert (pair.difference.value, pair.difference.p_value) == (0.0, 1.0)
        assert pair.difference.low < 0 < pair.difference.high
    for item in result.against_mean:
        assert (item.difference.p_value, item.difference.low) == (1.0, None)


def test_equal_scores_are_one_and_the_same_and_opposite_ones_are_bounded():
    same = compared("identical scores").between_models[0].difference
    assert (same.value, same.p_value) == (0.0, 1.0)
    opposite = compared("areas of 1 and 0").between_models[0].difference
    assert (opposite.value, opposite.p_value) == (1.0, None)
    assert 0.5 < opposite.low < 1.0


def test_what_narrows_a_difference_stands_in_the_notes():
    notes = compared("areas of 1").notes
    assert any(note.startswith("a - b, AUC: ") for note in notes)
    assert any(note.startswith("a - mean of the readers, sensitivity: ") for note in notes)


@pytest.mark.parametrize(("kept", "word"), [(1, "positive"), (N - 1, "negative")])
def test_a_lone_case_of_a_class_is_refused(kept, word):
    truth = {p: int(place < kept) for place, p in enumerate(PATIENTS)}
    with pytest.raises(EvaluationError, match=f"one {word} case among 40") as caught:
        Evaluator().compare(truth, {"a": NOISY}, table({"R": ALL}), thresholds=0.5)
    assert caught.value.code == "SINGLE_CASE"


def test_scores_that_are_calls_are_warned_of():
    calls = {p: float(call) for p, call in RIGHT.items()}
    with pytest.warns(StatisticsWarning, match=r"\[SCORES_BINARY\].*a point, not a curve"):
        result = Evaluator().compare(TRUTH, {"a": calls}, table({"R": ALL}), thresholds=0.5)
    assert any("this is a point, not a curve" in note for note in result.notes)
