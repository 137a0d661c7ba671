"""The tables as people take them away: CSV and LaTeX."""

import csv
import io
import re

import attrs
import pytest

from cervispine.evaluation import Evaluator
from cervispine.evaluation.latex import escape_latex, latex_table

HARD = "net_50% & {x}^2 #1 <b> ~\\"


@pytest.fixture
def comparison(truth_by_patient, scores_by_patient, readers):
    sites = {patient: "AB"[place % 2] for place, patient in enumerate(truth_by_patient)}
    scores = {**scores_by_patient, HARD: scores_by_patient["resnet50"]}
    return Evaluator().compare(
        truth_by_patient,
        scores,
        readers,
        thresholds=0.5,
        strata={f"site {n}": sites for n in "abc"},
    )


def body(latex):
    """The rows between the rules, as lists of cells."""
    between = latex.split("\\midrule\n")[1]
    lines = [line for line in between.splitlines() if line.endswith(r" \\")]
    return [re.split(r"(?<!\\) & ", line.removesuffix(r" \\")) for line in lines]


def columns_of(latex):
    shape = re.search(r"\\begin\{(?:tabular|longtable)\}\{(.*)\}", latex)[1]
    return re.findall(r"p\{[\d.]+cm\}|l|r", shape.replace(r">{\raggedright\arraybackslash}", ""))


def test_every_table_has_its_rows_and_columns(comparison):
    written, tables = comparison.to_latex(), comparison.tables()
    assert list(written) == list(tables)
    for name, latex in written.items():
        rows = body(latex)
        assert len(rows) == len(tables[name])
        assert {len(row) for row in rows} == {len(columns_of(latex))} == {tables[name].shape[1]}


def test_every_environment_is_closed_and_every_rule_drawn_once(comparison):
    for latex in comparison.to_latex().values():
        opened, closed = (re.findall(rf"\\{word}\{{(\w+)\}}", latex) for word in ("begin", "end"))
        assert opened == closed[::-1]
        for rule in ("toprule", "midrule", "bottomrule", "caption{", "label{"):
            assert latex.count(f"\\{rule}") == 1
        plain = re.sub(r"\\[{}]", "", latex)
        assert plain.count("{") == plain.count("}")


def test_a_table_longer_than_a_page_runs_on(comparison):
    written = comparison.to_latex()
    assert len(comparison.tables()["T6"]) == 42
    assert r"\begin{longtable}" in written["T6"]
    assert r"\endhead" in written["T6"]
    assert r"\begin{table}" in written["T1"]


def test_names_are_set_as_they_stand(comparison):
    latex = comparison.to_latex()["T1"]
    name = r"net\_50\% \& \{x\}\textasciicircum{}2 \#1 \textless{}b\textgreater{}"
    assert name + r" \textasciitilde{}\textbackslash{}" in latex
    for line in latex.splitlines():
        left = line.replace(r"\%", "").replace(r"\_", "").replace(r"\#", "")
        assert not set("%_#") & set(left)


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("-0.059 (-0.235 to +0.088)", "$-$0.059 ($-$0.235 to +0.088)"),
        ("< 0.0001", r"\textless{} 0.0001"),
        ("single-treatment, 2-3, n (+/-)", "single-treatment, 2-3, n (+/-)"),
        ("\\{}", r"\textbackslash{}\{\}"),
        ('a "net"', "a ''net''"),
        (" one\n\n\ttwo\r\n", "one two"),
        ("3\N{NO-BREAK SPACE}T", "3\N{NO-BREAK SPACE}T"),
    ],
)
def test_signs_and_special_characters(text, latex):
    assert escape_latex(text) == latex


@pytest.mark.parametrize("name", ["[A] net", "*net", " [1pt] net"])
def test_no_row_is_taken_for_an_option_of_the_row_before(comparison, name):
    rows = [{"model": name, "p": "[0.5]"}, {"model": name, "p": "*"}]
    latex = latex_table("T", "title", rows, "foot")
    first, second = latex.split("\\midrule\n")[1].splitlines()[:2]
    assert first == "{}" + name.strip() + r" & [0.5] \\"
    assert second == "{}" + name.strip() + r" & * \\"


def test_each_table_says_what_it_rests_on(comparison):
    written = comparison.to_latex()
    for latex in written.values():
        assert "171 patients: 68 positive, 103 negative; 0 left out." in latex
        assert "seed 0." in latex
    assert "Tango score interval; McNemar mid-p; paired DeLong" in written["T2"]
    assert "Corrected p by Holm within each endpoint; the other not corrected" in written["T2"]
    assert "within each endpoint, fixed and random readers apart" in written["T3"]
    assert "Hillis degrees of freedom" in written["T3"]
    assert "Described and not tested" in written["T6"]


def test_csv_holds_the_same_cells(comparison):
    for name, text in comparison.to_csv().items():
        rows = list(csv.reader(io.StringIO(text)))
        table = comparison.tables()[name]
        assert rows[0] == list(table.columns)
        assert rows[1:] == table.astype(str).to_numpy().tolist()


def test_whatever_is_taken_away_bears_the_mark(comparison):
    mark = "Synthetic phantoms, no patients"
    assert comparison.to_dict()["mark"] == comparison.mark == ""
    marked = attrs.evolve(comparison, mark=mark)
    for name, text in marked.to_csv().items():
        plain = list(csv.DictReader(io.StringIO(comparison.to_csv()[name])))
        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows == [{**row, "data": mark} for row in plain]
    for latex in marked.to_latex().values():
        assert f"{mark}. 171 patients: 68 positive" in latex
    assert marked.summary().startswith(f"{mark}\n171 patients")
    assert marked.summary().endswith(comparison.summary())
    assert marked.to_dict() == comparison.to_dict() | {"mark": mark}
    assert mark in marked._repr_html_()


def test_corrected_p_values_stand_beside_those_that_are_not(comparison):
    for name in ("T2", "T3", "T5"):
        columns = list(comparison.tables()[name].columns)
        assert {"p", "corrected p"} <= set(columns), name
    assert "mean of the readers" in comparison.summary()
    of_mean = [line for line in comparison.summary().splitlines() if "readers like these" in line]
    assert all("corrected p" in line for line in of_mean)


def test_a_name_cannot_pass_for_a_formula(truth_by_patient, scores_by_patient, readers):
    scores = {"=1+1": scores_by_patient["resnet34"]}
    result = Evaluator().compare(truth_by_patient, scores, readers, thresholds=0.5)
    assert "\n'=1+1," in result.to_csv()["T1"]
    assert "\n=1+1" not in result.to_csv()["T1"]
