"""report.html: one file that escapes what it is given, names nobody and says what is a phantom."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cervispine import Comparison
from cervispine.exceptions import DataError, ResourceError
from cervispine.reporting import write_report
from cervispine.reporting.published import PUBLISHED

Make = Callable[..., Any]

HOSTILE = "<script>alert('1')</script> & \"<b onload=x>\""
ESTIMATE = re.compile(r"(\d/\d+, )?\d\.\d{3} \(\d\.\d{3} to \d\.\d{3}\)")
FIGURES = ("AUC", "sensitivity", "specificity", "accuracy", "PPV", "NPV")
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """A page as a browser takes it: its elements with their attributes, its text, its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open or "metadata" in self._open:
            return
        self.text += data
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


def case(**values: str) -> dict[str, str]:
    usual = {
        "file": "one.png", "patient": "patient-00", "truth": "OPLL", "type": "continuous",
        "call": "DSS", "score": "0.123",
    }  # fmt: skip
    return usual | values


def written(run: Path) -> Page:
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_whatever_comes_from_data_is_escaped(make_comparison: Make, make_run: Make) -> None:
    comparison = make_comparison(
        models=("resnet34", HOSTILE), readers=("surgeon1", HOSTILE + "2"), types=("plain", HOSTILE)
    )
    page = written(
        make_run(
            comparison,
            cases=(case(type=HOSTILE),),
            configuration={"preset": HOSTILE, "seed": HOSTILE},
            versions={"torch": HOSTILE},
            preprocessor={HOSTILE: 1},
            classifier={"depth": HOSTILE},
            seconds={HOSTILE: 1.0},
            files={HOSTILE: HOSTILE},
            parts={HOSTILE: {"OPLL": 1, "DSS": 2}},
        )
    )
    assert not page.tags() & {"script", "b", "iframe", "object", "embed", "form", "base", "link"}
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    # A dozen places show it, each as the text that it is.
    assert page.text.count("<script>alert('1')</script> & ") > 12
    in_tables = {cell for table in page.tables for row in table for cell in row}
    assert {HOSTILE, HOSTILE + "2"} <= in_tables


def test_nothing_is_fetched(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison, synthetic=True, cases=(case(), case(file="two.png")))
    page = written(run)
    sources = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert len(sources) == 2
    for source in sources:
        start, content = str(source).split(",")
        assert start == "data:image/png;base64"
        assert base64.b64decode(content) == (run / "cases" / "one.png").read_bytes()
    assert not page.tags() & {"script", "link", "iframe", "image", "base"}
    for tag, attributes in page.elements:
        for name in ("href", "xlink:href", "srcset", "data", "poster", "action", "background"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, name)
    raw = (run / "report.html").read_text()
    assert "@import" not in raw
    assert set(re.findall(r"url\((.)", raw)) <= {"#"}


def test_nobody_is_named(comparison: Comparison, make_run: Make, patients: tuple[str, ...]) -> None:
    run = make_run(comparison, cases=tuple(case(patient=patient) for patient in patients))
    page = written(run)
    assert "img" in page.tags()
    raw = (run / "report.html").read_text()
    assert [patient for patient in patients if patient in raw] == []


def test_each_figure_has_its_interval(comparison: Comparison, make_run: Make) -> None:
    page = written(make_run(comparison))
    for model in comparison.models.values():
        area = f"{model.auc.value:.3f} ({model.auc.low:.3f} to {model.auc.high:.3f})"
        assert f"{model.name} reached an AUC of {area}" in page.text
    told = " ".join(page.text.split())
    shown = "the networks had a sensitivity of {} and a specificity of {}; the 2 readers {} and {}."
    rates = []
    for raters in (comparison.models, comparison.readers):
        for figure in ("sensitivity", "specificity"):
            values = [getattr(rater, figure).value for rater in raters.values()]
            rates.append(
                " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(values), max(values))))
            )
    assert shown.format(*rates) in told
    paper = next(table for table in page.tables if "published, other data" in table[0])
    for row, model in zip(paper[2:], comparison.models.values(), strict=True):
        estimates = (model.auc, model.accuracy, model.sensitivity, model.specificity)
        shown = [f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})" for e in estimates]
        assert row[:5] == [model.name, *shown]
    raters = next(table for table in page.tables if table[0][0] == "rater")
    assert [row[0] for row in raters[1:]] == list(comparison.raters)
    for row in raters[1:]:
        figures = [row[raters[0].index(name)] for name in FIGURES]
        assert [cell for cell in figures if cell != "-" and not ESTIMATE.search(cell)] == []


def test_readers_without_calls_have_no_sensitivity_to_tell(
    comparison: Comparison, make_run: Make
) -> None:
    run = make_run(comparison)
    content = json.loads((run / "comparison.json").read_text())
    first, second = (rater for rater in content["raters"] if rater["kind"] == "reader")
    first["sensitivity"] = first["specificity"] = None
    (run / "comparison.json").write_text(json.dumps(content))
    only = f"{second['sensitivity']['value']:.3f} and {second['specificity']['value']:.3f}."
    assert f"the 2 readers {only}" in " ".join(written(run).text.split())
    second["sensitivity"] = second["specificity"] = None
    (run / "comparison.json").write_text(json.dumps(content))
    assert "the 2 readers" not in written(run).text


def test_a_column_without_anything_is_left_out(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison)
    path = run / "tables" / "T6.csv"
    path.write_text("level,AUC,specificity\nmixed,-,0.9\nplain,-,-\n")
    page = written(run)
    strata = next(table for table in page.tables if table[0][0] == "level")
    assert strata == [["level", "specificity"], ["mixed", "0.9"], ["plain", "-"]]


def test_an_interval_and_a_name_are_never_broken(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison)
    cell = "surgeon-1-b 0.9 (-0.1 to 0.99) a < b (Youden)"
    (run / "tables" / "T1.csv").write_text(f"rater\n{cell}\n")
    page = written(run)
    assert [cell] in next(table for table in page.tables if table[0] == ["rater"])
    raw = (run / "report.html").read_text()
    assert '<span class="whole">surgeon-1-b</span> 0.9 <span class="whole">(-0.1 to 0.99)</span> ' \
        "a &lt; b (Youden)</td>" in raw  # fmt: skip
    assert ".whole { white-space: nowrap; }" in raw


def test_what_the_paper_printed_is_marked_as_theirs(make_comparison: Make, make_run: Make) -> None:
    models = (*PUBLISHED, "my own network")
    page = written(make_run(make_comparison(models=models)))
    paper = next(table for table in page.tables if "published, other data" in table[0])
    assert paper[0] == ["network", "this run", "published, other data"]
    theirs = [row[5:] for row in paper[2:]]
    assert theirs == [
        ["0.914", "92.98 %"], ["0.942", "95.32 %"], ["0.971", "97.66 %"],
        ["\N{EN DASH}", "\N{EN DASH}"],
    ]  # fmt: skip
    marked = [tag for tag, each in page.elements if "theirs" in (each.get("class") or "")]
    assert sorted(marked) == ["td"] * 2 * len(models) + ["th"] * 3
    assert "PMID 37941120" in page.text
    assert "cannot be compared" in " ".join(page.text.split())


@pytest.mark.parametrize("synthetic", [True, False])
def test_phantoms_are_called_phantoms_and_patients_patients(
    comparison: Comparison, make_run: Make, synthetic: bool
) -> None:
    page = written(make_run(comparison, synthetic=synthetic, cases=(case(),)))
    banner = [each for _, each in page.elements if each.get("class") == "banner"]
    assert bool(banner) == synthetic
    for words in (
        "Phantom study", "Synthetic phantoms. Every image", "stenosis on phantoms?",
        "read 24\nphantoms", "the\n2 simulated readers", "Each simulated reader is a point",
        "this run, on phantoms", "one is of patients, one of\nphantoms", "Synthetic phantom: OPLL",
        "on the same phantoms", "no person read anything", "phantoms, n_opll 10",
    ):  # fmt: skip
        assert (words in page.text) == synthetic, words
    assert (re.search("phantom|simulated|synthetic", page.text, re.IGNORECASE) is None) != synthetic
    assert "not a medical device" in page.text


@pytest.mark.parametrize(
    ("parameters", "headings"),
    [
        ({"readers": ()}, {"Each network minus each reader, on the same patients",
                           "Each network minus the mean of the readers"}),
        ({"models": ("resnet34",)}, {"Each network minus each other"}),
        ({"models": ("resnet34",), "readers": ()}, {"Differences"}),
        ({"types": ()}, {"By type of lesion, the hardest first"}),
        ({"scale": 10.0}, {"Calibration and net benefit"}),
    ],
    ids=["no readers", "one model", "one model alone", "no types", "no probabilities"],
)  # fmt: skip
def test_a_part_that_is_missing_is_left_out(
    make_comparison: Make, comparison: Comparison, make_run: Make, tmp_path: Path,
    parameters: dict[str, Any], headings: set[str],
) -> None:  # fmt: skip
    whole = written(make_run(comparison, cases=(case(),)))
    assert headings | {"A few cases"} <= set(re.findall(r"^.+$", whole.text, re.MULTILINE))
    shutil.rmtree(tmp_path / "run")
    page = written(make_run(make_comparison(**parameters)))
    left = set(re.findall(r"^.+$", page.text, re.MULTILINE))
    assert not (headings | {"A few cases"}) & left
    assert {"The cohort", "All raters", "How it was made"} <= left


def test_the_account_of_files_and_parts_is_told(comparison: Comparison, make_run: Make) -> None:
    parts = {"train": {"OPLL": 11, "DSS": 22}, "test": {"OPLL": 3, "DSS": 4}}
    page = written(make_run(comparison, parts=parts))
    account = "130 files were found = 120 used + 4 rejected\n+ 6 ignored"
    assert account in page.text
    assert ["train", "11", "22", "33"] in page.tables[0]
    assert ["test", "3", "4", "7"] in page.tables[0]
    for note in comparison.notes:
        assert note in page.text


@pytest.mark.parametrize(
    ("areas", "adjusted", "told"),
    [
        ({"resnet34": 0.7, "resnet50": 0.8}, 0.01, "was the best in AUC; between the depths some"),
        (
            {"resnet34": 0.8, "resnet50": 0.7},
            0.20,
            "was not the best in AUC; between the depths no",
        ),
        (
            {"resnet34": 0.8, "resnet50": 0.7},
            None,
            "was not the best in AUC; between the depths no",
        ),
    ],
)
def test_depth_is_judged_whichever_way_it_came_out(
    comparison: Comparison, make_run: Make, areas: dict[str, float], adjusted: float | None,
    told: str,
) -> None:  # fmt: skip
    run = make_run(comparison)
    content = json.loads((run / "comparison.json").read_text())
    for rater in content["raters"]:
        if rater["name"] in areas:
            rater["auc"]["value"] = areas[rater["name"]]
    (pair,) = content["model_against_model"]
    pair["adjusted_p_value"] = adjusted
    (run / "comparison.json").write_text(json.dumps(content))
    assert f"The deepest network {told}" in " ".join(written(run).text.split())


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "comparison.json", "figures/roc.svg", "cases/cases.csv", "cases/one.png",
     "tables/T1.csv"],
)  # fmt: skip
def test_a_run_that_lacks_a_file_is_refused(
    comparison: Comparison, make_run: Make, name: str
) -> None:
    run = make_run(comparison, cases=(case(),))
    (run / name).unlink()
    with pytest.raises(DataError) as caught:
        write_report(run)
    assert caught.value.code == "RUN_INCOMPLETE"
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", '{"state": "started"}'),
        ("manifest.json", "{}"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"state": '),
        ("comparison.json", "\xff"),
        ("figures/roc.svg", "no figure"),
    ],
)
def test_a_run_that_is_not_finished_or_damaged_is_refused(
    comparison: Comparison, make_run: Make, name: str, content: str
) -> None:
    run = make_run(comparison)
    (run / name).write_text(content, encoding="latin-1")
    with pytest.raises(DataError) as caught:
        write_report(run)
    assert caught.value.code == "RUN_INCOMPLETE"


def test_a_page_is_replaced_whole_or_not_at_all(
    comparison: Comparison, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(comparison)
    (run / "report.html").write_text("the last one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(ResourceError, match="No space left"):
            write_report(run)
    assert (run / "report.html").read_text() == "the last one"
    assert list(run.glob(".report*")) == []
    assert write_report(str(run)) == run / "report.html"
    assert (run / "report.html").read_text().startswith("<!DOCTYPE html>")
