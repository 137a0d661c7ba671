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

import cervispine
from cervispine import Comparison
from cervispine.exceptions import DataError, ResourceError
from cervispine.reporting import write_report
from cervispine.reporting.figures import MARK_COLOUR
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


def described(patients: int) -> dict[str, Any]:
    """What is said of a part."""
    return {
        "patients": patients, "studies": patients, "series": patients, "scanners": {},
        "classes": {"OPLL": patients},
    }  # fmt: skip


def case(**values: str) -> dict[str, str]:
    usual = {
        "file": "one.png", "patient": "patient-00", "kind": "missed", "truth": "OPLL",
        "type": "continuous", "call": "DSS", "score": "0.123", "threshold": "0.500",
        "models": "resnet34 0.12", "readers": "1 of 2 called OPLL",
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
            cases=(case(type=HOSTILE, models=HOSTILE, readers=HOSTILE),),
            configuration={"preset": HOSTILE, "seed": HOSTILE, "loader": HOSTILE},
            versions={"torch": HOSTILE, "cervispine": HOSTILE},
            preprocessor={HOSTILE: 1},
            classifier={"depth": HOSTILE},
            seconds={HOSTILE: 1.0},
            files={HOSTILE: HOSTILE},
            participants={HOSTILE: described(24) | {"site": {HOSTILE: 24}}},
            cohort=described(24) | {"site": {HOSTILE: 24}},
            models={
                HOSTILE: {
                    "backbone": HOSTILE,
                    "epoch": 1,
                    "epochs": 1,
                    "precision": HOSTILE,
                    "device": HOSTILE,
                    "threshold": 0.5,
                    "band": None,
                    "advice": {
                        HOSTILE: {
                            "studies": 1,
                            "undecided": 0,
                            "unlike_training": 0,
                            "ct_advised": 1,
                        }
                    },
                }
            },
            checks=[{"parts": [HOSTILE, "b"], "shared": {HOSTILE: 0}, "look_alikes": 0}],
        )
    )
    assert not page.tags() & {"script", "b", "iframe", "object", "embed", "form", "base", "link"}
    assert not [name for _, attributes in page.elements for name in attributes if name[:2] == "on"]
    # A dozen places show it, each as the text that it is.
    assert page.text.count("<script>alert('1')</script> & ") > 20
    in_tables = {cell for table in page.tables for row in table for cell in row}
    assert {HOSTILE, HOSTILE + "2"} <= in_tables


def test_nothing_is_fetched_and_nothing_runs(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison, synthetic=True, cases=(case(), case(file="two.png")))
    page = written(run)
    sources = [str(attributes["src"]) for tag, attributes in page.elements if tag == "img"]
    kinds = [source.split(",")[0] for source in sources]
    assert kinds.count("data:image/png;base64") == 2
    assert kinds.count("data:image/svg+xml;base64") == len(comparison.figures) + 1 == 6
    assert len(kinds) == 8
    contents = {base64.b64decode(source.split(",")[1]) for source in sources}
    assert (run / "cases" / "one.png").read_bytes() in contents
    for kind in (*comparison.figures, "history"):
        assert (run / "figures" / f"{kind}.svg").read_bytes() in contents
    assert not page.tags() & {"script", "link", "iframe", "image", "base", "object", "embed"}
    for tag, attributes in page.elements:
        for name in ("href", "xlink:href", "srcset", "data", "poster", "action", "background"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, name)
    raw = (run / "report.html").read_text()
    assert not re.search(r"@import|url\(|https?://|//[a-z]+\.", raw)


def test_who_hears_or_types_finds_everything(comparison: Comparison, make_run: Make) -> None:
    page = written(make_run(comparison, synthetic=True, cases=(case(),)))
    # The page bears the mark of its tables itself, and not in a column of each.
    assert "data" not in {cell for table in page.tables for row in table for cell in row}
    tags = [tag for tag, _ in page.elements]
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert tags.count(landmark) == 1, landmark
    ids = [str(each["id"]) for _, each in page.elements if "id" in each]
    assert len(set(ids)) == len(ids)
    targets = {str(each["href"])[1:] for tag, each in page.elements if tag == "a"}
    assert targets <= set(ids)
    assert {each["aria-labelledby"] for tag, each in page.elements if tag == "section"} <= set(ids)
    # The first thing that the keyboard reaches goes past the contents.
    assert next(each for tag, each in page.elements if tag == "a")["href"] == "#main"
    assert [each for tag, each in page.elements if tag == "img" and not each.get("alt")] == []
    assert {each.get("scope") for tag, each in page.elements if tag == "th"} == {
        "col", "row", "colgroup"
    }  # fmt: skip
    # What scrolls can be reached and says what it is.
    scrolled = [each for _, each in page.elements if each.get("class") in ("wide", "figure")]
    assert len(scrolled) > 10
    for each in scrolled:
        assert (each["tabindex"], each["role"]) == ("0", "region")
        assert each["aria-label"]
    assert ("html", {"lang": "en"}) in page.elements


def test_text_stands_out_from_its_ground() -> None:
    style = (Path(cervispine.__file__).parent / "reporting/templates/report.css").read_text()
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", style))
    for text in ("ink", "soft", "link", "warn"):
        for ground in ("paper", "tint"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert contrast(colours["warn"], colours["warn-tint"]) >= 4.5
    assert contrast("#ffffff", MARK_COLOUR) >= 4.5
    assert colours["warn"] == MARK_COLOUR
    # Of what is not text: edges of boxes, and the bars of right and wrong.
    for edge in ("edge", "right", "wrong"):
        assert contrast(colours[edge], colours["paper"]) >= 3, edge


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""

    def luminance(colour: str) -> float:
        shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
            for share in shares
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_a_heat_map_stands_beside_its_case(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison, cases=(case(), case(file="two.png")))
    assert "no heat maps were saved" in written(run).text
    (run / "heatmaps").mkdir()
    (run / "heatmaps" / "two.png").write_bytes(b"a heat map")
    page = written(run)
    address = f"data:image/png;base64,{base64.b64encode(b'a heat map').decode()}"
    maps = [each for tag, each in page.elements if tag == "img" and each["src"] == address]
    assert [each["alt"] for each in maps] == ["Heat map of the whole slice"]
    assert "no heat maps were saved" not in page.text


def test_what_is_left_to_ct_is_told(comparison: Comparison, make_run: Make) -> None:
    (table,) = (each for each in written(make_run(comparison)).tables if "band" in each[0])
    assert table[0][2:] == ["OPLL", "DSS"]
    assert table[2] == ["resnet34", "0.125 to 0.625", "9 of 10", "3", "1", "6 of 10", "4", "0"]


def test_the_most_instructive_case_is_first(comparison: Comparison, make_run: Make) -> None:
    kinds = ("surely found", "false alarm", "missed")
    page = written(make_run(comparison, cases=tuple(case(kind=kind) for kind in kinds)))
    shown = [kind.capitalize() + "." for kind in reversed(kinds)]
    assert sorted(shown, key=page.text.index) == shown


@pytest.mark.parametrize("file", ["../manifest.json", "../../secret.png", "/etc/passwd", "a/b.png"])
def test_no_picture_is_taken_from_elsewhere(
    comparison: Comparison, make_run: Make, tmp_path: Path, file: str
) -> None:
    (tmp_path / "secret.png").write_bytes(b"not yours")
    run = make_run(comparison, cases=(case(),))
    table = run / "cases" / "cases.csv"
    table.write_text(table.read_text().replace("one.png", file))
    with pytest.raises(DataError, match="RUN_INCOMPLETE"):
        write_report(run)


def test_nobody_is_named(comparison: Comparison, make_run: Make, patients: tuple[str, ...]) -> None:
    run = make_run(comparison, cases=tuple(case(patient=patient) for patient in patients))
    page = written(run)
    assert "img" in page.tags()
    raw = (run / "report.html").read_text()
    assert [patient for patient in patients if patient in raw] == []


def test_two_sentences_say_what_was_asked_and_found(comparison: Comparison, make_run: Make) -> None:
    told = " ".join(written(make_run(comparison)).text.split())
    assert (
        "Can resnet34 and resnet50 tell OPLL from degenerative stenosis on sagittal MRI of the "
        "neck as well as 2 readers on the same patients, shown 24 patients that they were not "
        "trained on (12 OPLL, 12 stenosis)?" in told
    )
    areas = [
        f"{model.auc.value:.3f} ({model.auc.low:.3f} to {model.auc.high:.3f}) for {name}"
        for name, model in comparison.models.items()
    ]
    rates = []
    for raters in (comparison.models, comparison.readers):
        for figure in ("sensitivity", "specificity"):
            values = [getattr(rater, figure).value for rater in raters.values()]
            rates.append(
                " to ".join(dict.fromkeys(f"{end:.3f}" for end in (min(values), max(values))))
            )
    assert (
        "The area under the ROC curve was {} and {}; with thresholds chosen beforehand sensitivity "
        "was {} and specificity {}, of 2 readers {} and {}; of 8 differences in these between a "
        "network and a reader 0 favoured the network and 0 the reader at p < 0.05 after "
        "correction.".format(*areas, *rates)
        in told
    )


def test_whom_the_differences_favour_is_counted(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison)
    content = json.loads((run / "comparison.json").read_text())
    pairs = [
        pair for pair in content["model_against_reader"]
        if pair["endpoint"] in ("sensitivity", "specificity")
    ]  # fmt: skip
    for pair, value in zip(pairs[:3], (0.2, -0.2, -0.1), strict=True):
        pair["adjusted_p_value"], pair["difference"]["value"] = 0.01, value
    (run / "comparison.json").write_text(json.dumps(content))
    assert "1 favoured the network and 2 the reader" in " ".join(written(run).text.split())


def test_each_figure_has_its_interval(comparison: Comparison, make_run: Make) -> None:
    page = written(make_run(comparison))
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
    only = f"{second['sensitivity']['value']:.3f} and {second['specificity']['value']:.3f};"
    assert f"of 2 readers {only}" in " ".join(written(run).text.split())
    second["sensitivity"] = second["specificity"] = None
    (run / "comparison.json").write_text(json.dumps(content))
    assert "of 2 readers" not in written(run).text


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
        "a &lt; b (Youden)</th>" in raw  # fmt: skip
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
        "shown 24 synthetic phantoms", "2 simulated readers", "Each simulated reader is a point",
        "this run, on phantoms", "one is of patients, one of\nphantoms", "Synthetic phantom: OPLL",
        "on the same phantoms", "no person read anything", "phantoms, n_opll 10",
        "Simulated readers: 1 of 2", "72 phantoms",
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
    assert headings | {"Cases to learn from"} <= set(re.findall(r"^.+$", whole.text, re.MULTILINE))
    shutil.rmtree(tmp_path / "run")
    page = written(make_run(make_comparison(**parameters)))
    left = set(re.findall(r"^.+$", page.text, re.MULTILINE))
    assert not (headings | {"Cases to learn from"}) & left
    assert {"The cohort", "All raters", "How it was made"} <= left


def test_the_account_of_files_and_parts_is_told(comparison: Comparison, make_run: Make) -> None:
    page = written(make_run(comparison))
    assert "130 files were found = 120 used + 4 rejected\n+ 6 ignored" in page.text
    left = ("4 files rejected", "4 GEOMETRY_MISSING", "6 files ignored", "6 PLANE_OTHER")
    for words in (*left, "120 files used", "72 patients", "train: 24", "12 OPLL, 12 DSS"):
        assert words in page.text, words
    who, checks = page.tables[:2]
    assert who[0] == ["characteristic", "train", "validation", "test", "together"]
    assert ["OPLL", *["12 (50 %)"] * 3, "36 (50 %)"] in who
    assert ["sex F", *["12 (50 %)"] * 3, "36 (50 %)"] in who
    assert ["series of Siemens, 3 T", *["24 (100 %)"] * 3, "72 (100 %)"] in who
    assert ["age, median (quartiles)", *["62 (55 to 68)"] * 4] in who
    assert checks == [
        ["parts", "the same patient", "the same pixel hash", "pictures that look alike"],
        ["train and test", "0", "0", "0"],
    ]
    for note in comparison.notes:
        assert note[1:] in page.text


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
    ["manifest.json", "comparison.json", "figures/roc.svg", "figures/flow.svg", "cases/cases.csv",
     "cases/one.png", "tables/T1.csv"],
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
        ("manifest.json", '{"state": "finished"}'),
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
