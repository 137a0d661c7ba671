"""intake.html: the account adds up, every study is there, and nobody is named."""

from __future__ import annotations

import base64
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import attrs
import numpy as np
import pytest
from PIL import Image

from cervispine import Cohort, Loader
from cervispine.exceptions import PixelError, UsageError
from cervispine.phantom import PhantomCohort
from cervispine.records import IntakeReport, Key, Manifest, Problem, Series, Volume
from cervispine.reporting import save_intake
from cervispine.reporting.thumbnails import thumbnail

VOID = {"meta", "img", "wbr"}


class Page(HTMLParser):
    """Check that every element is closed, and gather what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.images: list[dict[str, str]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href"):
            assert re.match(r"data:image/jpeg;base64,|#", values.get(name, "#"))
        if "id" in values:
            assert values["id"] not in self.ids
            self.ids.add(values["id"])
        self.targets |= {values["href"]} if "href" in values else set()
        if tag == "img":
            self.images.append(values)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def saved(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_intake(cohort, tmp_path_factory.mktemp("intake") / "out")


def with_problems(cohort: Cohort, *problems: Problem) -> Cohort:
    assert cohort.intake is not None
    lost = sum(problem.files for problem in problems if problem.fate != "noted")
    intake = attrs.evolve(cohort.intake, found=cohort.intake.found + lost, problems=problems)
    return Cohort(cohort.studies, intake)


def test_every_study_is_seen_and_the_page_stands_alone(saved: Path, cohort: Cohort) -> None:
    page = Page(saved.read_text(encoding="utf-8"))
    assert page.targets <= {f"#{each}" for each in page.ids}
    assert len(page.images) == len(cohort)
    for number, (image, study) in enumerate(zip(page.images, cohort, strict=True), start=1):
        label = ("DSS", "OPLL")[study.label or 0]
        assert image["alt"] == f"study {number}, {label}: middle sagittal slice, T2, synthetic"
        content = base64.b64decode(image["src"].partition(",")[2])
        assert len(content) < 12_000
        assert max(Image.open(io.BytesIO(content)).size) == 208
    assert sorted(path.name for path in saved.parent.iterdir()) == [
        "data-manifest.json", "intake.html", "rejected.csv",
    ]  # fmt: skip


def test_the_facts_of_a_series_are_those_of_its_header(saved: Path, cohort: Cohort) -> None:
    text = saved.read_text(encoding="utf-8")
    for study in cohort:
        (series,) = study.series
        assert series.uid in text
        assert f"{series.shape[1]} \N{MULTIPLICATION SIGN} {series.shape[2]}" in text
        assert f"TE {series.protocol['echo_time_ms']:,.2f}".rstrip("0").rstrip(".") in text
    assert "10 OPLL, 14 DSS" in text
    assert "Synthetic phantoms." in text
    assert "Images of patients." not in text


def test_nobody_is_named(saved: Path, cohort: Cohort, phantom: PhantomCohort) -> None:
    everything = b"".join(path.read_bytes() for path in saved.parent.iterdir())
    for study in cohort:
        assert study.patient.encode() not in everything
    assert str(phantom.dicom).encode() not in everything


def test_a_key_gives_names_that_last(cohort: Cohort, tmp_path: Path) -> None:
    key = Key.open(tmp_path / "key")
    text = save_intake(cohort[:2], tmp_path / "out", key=key).read_text()
    for study in cohort[:2]:
        assert key.pseudonym(study.patient) in text
        assert study.patient not in text


def test_the_manifest_is_of_the_cohort(saved: Path, phantom: PhantomCohort) -> None:
    manifest = Manifest.load(saved.parent / "data-manifest.json")
    assert manifest.digest in saved.read_text()
    again = Loader().index(phantom.dicom, manifest=manifest)
    assert len(again) == len(manifest.series)


def test_reasons_are_counted_and_what_is_noted_comes_first(cohort: Cohort, tmp_path: Path) -> None:
    noted = cohort[5].series[0].uid
    problems = [Problem(code="DICOM_TRUNCATED", reason=f"cut <{n % 2}>", item=f"file {n}")
                for n in range(1, 31)]  # fmt: skip
    problems.append(Problem(code="LOCALIZER", reason="a localizer", fate="ignored", files=3))
    problems.append(Problem(code="BURNED_IN_ANNOTATION", reason="text", item=noted, fate="noted"))
    text = save_intake(with_problems(cohort, *problems), tmp_path).read_text()
    page = Page(text)
    assert page.images[0]["alt"].startswith("study 6,")
    assert "To be looked at first: 1" in text
    assert "The others: 23" in text
    assert "cut &lt;1&gt;" in text
    assert "cut <" not in text
    assert "(and 1 other reason)" in text
    assert "30 items" in text
    assert "and 10 more" in text
    assert text.index("<li>file 2</li>") < text.index("<li>file 10</li>")
    assert "file 21<" not in text
    assert (tmp_path / "rejected.csv").read_text().count("DICOM_TRUNCATED") == 30


def test_what_cannot_be_read_is_shown_as_such(cohort: Cohort, tmp_path: Path) -> None:
    class Broken:
        def read(self, study: Series, *_: object, **__: object) -> Volume:
            if study.uid == cohort[1].series[0].uid:
                raise PixelError("cannot be decoded", advice="export again")
            return Loader().read(study)

    page = Page(text := save_intake(cohort[:3], tmp_path, loader=Broken()).read_text())  # type: ignore[arg-type]
    assert len(page.images) == 2
    assert "PIXELS_<wbr>INVALID" in text
    assert "To be looked at first: 1" in text


def test_a_loader_that_is_not_installed_is_said_to_be_so(cohort: Cohort, tmp_path: Path) -> None:
    lost = attrs.evolve(cohort[0].series[0], loader="lab-loader:lab")
    mixed = Cohort([attrs.evolve(cohort[0], series=(lost,)), cohort[1]], cohort.intake)
    page = Page(text := save_intake(mixed, tmp_path).read_text())
    assert len(page.images) == 1
    assert "LOADER_<wbr>NOT_<wbr>FOUND" in text


def test_patients_are_not_called_phantoms(cohort: Cohort, tmp_path: Path) -> None:
    series = cohort[0].series[0]
    real = attrs.evolve(series, protocol={**series.protocol, "manufacturer": "siemens"})
    mixed = [attrs.evolve(cohort[0], series=(real,)), cohort[1]]
    text = save_intake(Cohort(mixed, cohort.intake), tmp_path).read_text()
    assert "1 of these 2 studies" in text
    assert "Images of patients." in text
    assert "Siemens, " in text


def test_a_cohort_made_by_hand_has_no_account(cohort: Cohort, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        save_intake(Cohort(cohort.studies), tmp_path)


def test_progress_counts_studies(cohort: Cohort, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    save_intake(cohort[:2], tmp_path, progress=lambda *each: seen.append(each))
    assert seen == [(1, 2), (2, 2)]


class Still:
    """A reader of one slice, bright at the front and dark at the feet."""

    def __init__(self, between_rows: float, between_columns: float, *, flipped: bool) -> None:
        pixels = np.zeros((1, 40, 20), np.float32)
        pixels[0, :20, :10] = 100
        affine = np.zeros((4, 4))
        affine[0, 0], affine[2, 1], affine[1, 2], affine[3, 3] = (
            3,
            -between_rows,
            between_columns,
            1,
        )
        if flipped:
            pixels = pixels[:, ::-1, ::-1]
            affine[:3, 1:3] *= -1
        self.volume = Volume(pixels=pixels, affine=affine, sequence="T2")

    def read(self, *_: object, **__: object) -> Volume:
        return self.volume


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(
    ("spacing", "size"), [((1, 1), (104, 208)), ((0.5, 1), (208, 208)), ((0.25, 1), (208, 104))]
)
def test_a_thumbnail_is_as_wide_as_the_patient(
    cohort: Cohort, spacing: tuple[float, float], size: tuple[int, int], flipped: bool
) -> None:
    content = thumbnail(cohort[0].series[0], Still(*spacing, flipped=flipped))
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", size)
    grey = np.asarray(picture)
    assert grey[:20, :20].mean() > 200
    assert grey[-20:, -20:].mean() < 50


def test_a_mark_is_in_the_picture(cohort: Cohort) -> None:
    still = Still(1, 1, flipped=False)
    plain, marked = (
        np.asarray(Image.open(io.BytesIO(thumbnail(cohort[0].series[0], still, mark=mark))))
        for mark in ("", "synthetic")
    )
    assert marked[-25:].max() > 200
    assert plain[-25:].max() < 50


def test_an_intake_of_nothing_but_studies_has_no_tables(cohort: Cohort, tmp_path: Path) -> None:
    files = sum(len(study.series[0].files) for study in cohort)
    text = save_intake(
        Cohort(cohort.studies, IntakeReport(found=files, used=files)), tmp_path
    ).read_text()
    Page(text)
    assert "Reasons" not in text
    assert "identity" not in text
    shutil.rmtree(tmp_path)
