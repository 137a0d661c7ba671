"""The figures hold what the numbers say."""

import io
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

from cervispine.evaluation import Evaluator, ReaderTable, net_benefit
from cervispine.evaluation.plotting import KINDS, figure_of
from cervispine.exceptions import UsageError

mpl.use("Agg")


@pytest.fixture
def comparison(truth_by_patient, scores_by_patient, readers):
    sites = {patient: "north" if place % 3 else "south" for place, patient in
             enumerate(truth_by_patient)}  # fmt: skip
    return Evaluator().compare(
        truth_by_patient, scores_by_patient, readers, thresholds=0.5, strata={"site": sites}
    )


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def lines(ax):
    return {line.get_label(): line.get_xydata() for line in ax.get_lines()}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_drawn_on_the_axes_given(comparison, kind):
    ax = plt.figure().subplots()
    assert comparison.plot(ax, kind=kind) is ax
    assert ax.get_xlabel()
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    for model in comparison.models:
        assert any(label.startswith(model) for label in told)
    ax.figure.savefig(io.BytesIO(), format="svg")


def test_the_readers_stand_at_their_rates(comparison):
    drawn = lines(comparison.plot())
    surgeon = comparison.readers["surgeon2"]
    wanted = [[1 - surgeon.specificity.value, surgeon.sensitivity.value]]
    np.testing.assert_allclose(drawn["surgeon2"], wanted)


def test_the_forest_plot_has_a_row_for_each_opponent(comparison):
    ax = comparison.plot(kind="differences")
    rows = [text.get_text() for text in ax.get_yticklabels()]
    opponents = ["surgeon1", "surgeon2", "surgeon3", "mean, these readers"]
    opponents.append("mean, readers like these")
    assert rows == [
        *("Sensitivity", *opponents), *("Specificity", *opponents), *("AUC", *opponents)
    ]  # fmt: skip
    segments = [segment for group in ax.collections for segment in group.get_segments()]
    intervals = {tuple(segment[:, 0]) for segment in segments}
    for pair in comparison.against_readers:
        if pair.endpoint != "accuracy":
            assert (pair.difference.low, pair.difference.high) in intervals


def test_the_levels_hold_every_rate_with_its_interval(comparison):
    ax = comparison.plot(kind="strata")
    rows = [text.get_text() for text in ax.get_yticklabels()]
    assert {row.split("\n")[0] for row in rows} == {"site north", "site south"}
    assert [row.split("\n")[1].split(",")[0] for row in rows] == ["sensitivity"] * 2 + [
        "specificity"
    ] * 2
    points = {round(float(line.get_xdata()[0]), 9) for line in ax.get_lines() if
              len(line.get_xdata()) == 1}  # fmt: skip
    segments = [segment for group in ax.collections for segment in group.get_segments()]
    intervals = {tuple(segment[:, 0]) for segment in segments}
    for each in comparison.strata:
        for rate, cases in ((each.sensitivity, each.positives), (each.specificity, each.negatives)):
            assert rate.n == cases
            assert round(rate.value, 9) in points
            assert (rate.low, rate.high) in intervals


def test_decision_curves_are_net_benefits(comparison):
    drawn = lines(comparison.plot(kind="decision"))
    model = comparison.models["resnet50"]
    at = drawn["resnet50"][:, 0]
    wanted = net_benefit(model.truth, model.scores, at)
    np.testing.assert_allclose(drawn["resnet50"][:, 1], wanted)


def test_reliability_is_of_the_bins(comparison):
    ax = comparison.models["resnet34"].plot(kind="calibration")
    bins = comparison.models["resnet34"].calibration.bins
    points = [line.get_xydata() for line in ax.get_lines() if len(line.get_xdata()) == len(bins)]
    assert any(np.allclose(each, bins[:, :2]) for each in points)


def test_nothing_rests_on_colour_alone(comparison):
    ax = comparison.plot()
    looks = [
        (line.get_linestyle(), line.get_marker())
        for line in ax.get_lines()
        if str(line.get_label()).split(",")[0] in comparison.raters
    ]
    assert len(looks) == len(set(looks)) == 6


HARD = ("_net", r"$\frac$", "two\n $b$ lines", "_", "5 $", r"\$")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("error")
def test_names_are_shown_as_they_stand(truth_by_patient, scores_by_patient, readers_csv, kind):
    models = dict.fromkeys(HARD[:3], scores_by_patient["resnet34"])
    frame = pd.read_csv(readers_csv, dtype={"patient": str})
    frame["reader"] = frame["reader"].map(
        dict(zip(("surgeon1", "surgeon2", "surgeon3"), HARD[3:], strict=True))
    )
    levels = {patient: HARD[place % 2] for place, patient in enumerate(truth_by_patient)}
    result = Evaluator().compare(
        truth_by_patient, models, ReaderTable.from_frame(frame), thresholds=0.5,
        strata={"$site$": levels},
    )  # fmt: skip
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none"}):
        figure_of(result, kind).savefig(buffer, format="svg")
    root = ElementTree.fromstring(buffer.getvalue())
    words = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]
    for name in HARD[:3] if kind in ("calibration", "decision") else HARD:
        assert any(" ".join(name.split()) in text for text in words), name
    if kind == "strata":
        assert any(text == r"$site$ $\frac$" for text in words)


def test_what_cannot_be_drawn_is_refused(comparison, truth_by_patient, scores_by_patient, readers):
    with pytest.raises(UsageError, match="is not one of roc"):
        comparison.plot(kind="pie")
    with pytest.raises(UsageError, match="is not one of roc"):
        comparison.models["resnet34"].plot(kind="differences")
    logits = {"m": {p: 10 * s - 5 for p, s in scores_by_patient["resnet34"].items()}}
    unbounded = Evaluator().compare(truth_by_patient, logits, readers, thresholds=0.0)
    for kind in ("calibration", "decision"):
        with pytest.raises(UsageError, match="no model gives probabilities"):
            unbounded.plot(kind=kind)
    nobody = ReaderTable.without_readers(truth_by_patient)
    alone = Evaluator().compare(truth_by_patient, scores_by_patient, nobody, thresholds=0.5)
    with pytest.raises(UsageError, match="no readers"):
        alone.plot(kind="differences")
    with pytest.raises(UsageError, match="no strata"):
        alone.plot(kind="strata")
    assert "strata" not in alone.figures
