"""A cohort and a design to a folder: what is refused, what is kept, what goes on."""

from __future__ import annotations

import io
import shutil
import stat
from pathlib import Path

import attrs
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from cervispine import Cohort, Loader, Volume
from cervispine.exceptions import CervispineError
from cervispine.reader_study import ARMS, Design
from cervispine.reader_study.aids import read_aids
from cervispine.reader_study.cases import Materials
from cervispine.reader_study.images import make_frames
from cervispine.reader_study.store import Store
from cervispine.reader_study.study import make_study, open_study

DESIGN = Design(readers=("ann", "bob"), seed=3)


def refused(*arguments: object, **more: object) -> str:
    with pytest.raises(CervispineError) as caught:
        make_study(*arguments, **more)
    return caught.value.code


def volume(pixels: np.ndarray) -> Volume:
    # Slices to the left, rows down, columns to posterior.
    affine = np.array([[3.0, 0, 0, 0], [0, 0, 0.5, 0], [0, -0.6, 0, 0], [0, 0, 0, 1]])
    return Volume(pixels=pixels, affine=affine, sequence="T2")


def values(frames: object) -> np.ndarray:
    import gzip

    stored = np.frombuffer(gzip.decompress(frames.content), "<i2").reshape(frames.shape)
    return stored * frames.slope + frames.intercept


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (0, 65535), (-1024, 3071), (70000, 70001)])
def test_whole_numbers_are_kept_as_they_are(low: int, high: int) -> None:
    pixels = np.random.default_rng(1).integers(low, high + 1, (3, 8, 6)).astype(np.float32)
    pixels[0, 0, :2] = low, high
    frames = make_frames(volume(pixels))
    np.testing.assert_array_equal(values(frames), pixels)
    assert frames.slope == 1
    assert frames.spacing == pytest.approx((3, 0.6, 0.5))
    assert low <= frames.window[0] < frames.window[1]


def test_other_numbers_are_kept_to_one_part_in_65535() -> None:
    pixels = np.random.default_rng(1).normal(size=(3, 8, 6)).astype(np.float32)
    frames = make_frames(volume(pixels))
    step = (pixels.max() - pixels.min()) / 65535
    assert np.abs(values(frames) - pixels).max() <= 0.51 * step


def test_an_image_of_one_value_has_a_window_all_the_same() -> None:
    frames = make_frames(volume(np.full((2, 4, 4), 7, np.float32)))
    assert frames.window == (7, 8)


def test_the_same_materials_give_the_same_study_again(
    plain_folder: Path, patients: Cohort, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(plain_folder, folder)
    design = Design(readers=("ann", "bob", "cy"), repeats=2, seed=7)
    make_study(folder, design, Materials(cohort=patients)).close()
    for other, materials in [
        (attrs.evolve(design, seed=8), Materials(cohort=patients)),
        (attrs.evolve(design, readers=("ann", "bob")), Materials(cohort=patients)),
        (design, Materials(cohort=patients, title="another")),
        (design, Materials(cohort=patients[:7])),
    ]:
        assert refused(folder, other, materials) == "RESUME_MISMATCH"


def test_what_is_kept_is_for_its_owner_alone(plain_folder: Path) -> None:
    assert stat.S_IMODE(plain_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((plain_folder / "study.sqlite").stat().st_mode) == 0o600


def test_images_that_were_changed_are_noticed_before_anybody_reads(
    plain_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(plain_folder, folder)
    next((folder / "images").iterdir()).write_bytes(b"another")
    with pytest.raises(CervispineError) as caught:
        open_study(folder)
    assert caught.value.code == "STUDY_DAMAGED"


def test_a_folder_without_a_study_and_one_with_something_else(
    patients: Cohort, tmp_path: Path
) -> None:
    with pytest.raises(CervispineError) as caught:
        open_study(tmp_path)
    assert caught.value.code == "STUDY_MISSING"
    (tmp_path / "thesis.txt").write_text("mine")
    assert refused(tmp_path, DESIGN, Materials(cohort=patients)) == "OUTPUT_TAKEN"


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\0" * 200])
def test_a_database_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "study.sqlite").write_bytes(content)
    with pytest.raises(CervispineError) as caught:
        Store(tmp_path)
    assert caught.value.code == "STUDY_INVALID"


def test_two_studies_of_one_patient_are_refused(patients: Cohort, tmp_path: Path) -> None:
    twice = Cohort([patients[0], patients[1], attrs.evolve(patients[0], uid="1.2.3")])
    assert refused(tmp_path / "s", DESIGN, Materials(cohort=twice)) == "PATIENT_REPEATED"


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_tables_choose_who_is_read_and_strangers_are_refused(
    patients: Cohort, tmp_path: Path
) -> None:
    names = patients.patients
    split = table(
        tmp_path / "split.csv",
        f"patient,part\n{names[0]},train\n{names[1]},test\n{names[2]},test\n",
    )
    store = make_study(tmp_path / "s", DESIGN, Materials(cohort=patients, cases=split))
    assert store.configuration["cases"] == 2
    store.close()
    stranger = table(tmp_path / "cases.csv", "patient\nnobody at all\n")
    materials = Materials(cohort=patients, cases=stranger)
    assert refused(tmp_path / "t", DESIGN, materials) == "CASES_UNMATCHED"
    empty = table(tmp_path / "none.csv", f"patient,part\n{names[0]},train\n")
    assert refused(tmp_path / "t", DESIGN, Materials(cohort=patients, cases=empty)) == "CASES_ROWS"
    lessons = table(tmp_path / "training.csv", "patient,label\nnobody at all,OPLL\n")
    materials = Materials(cohort=patients, training=lessons)
    assert refused(tmp_path / "t", DESIGN, materials) == "LABELS_UNMATCHED"


def test_an_aided_arm_needs_an_aid_for_everybody(
    patients: Cohort, tables: Path, tmp_path: Path
) -> None:
    design = attrs.evolve(DESIGN, arms=ARMS)
    assert refused(tmp_path / "s", design, Materials(cohort=patients)) == "USAGE"
    header, *lines = (tables / "scores.csv").read_text().splitlines()
    fewer = table(tmp_path / "few.csv", "\n".join([header, *lines[1:]]) + "\n")
    materials = Materials(cohort=patients, scores=fewer)
    assert refused(tmp_path / "s", design, materials) == "SCORES_UNMATCHED"
    text = "\n".join([header, *lines, *(line.replace(",net,", ",two,") for line in lines)]) + "\n"
    materials = Materials(cohort=patients, scores=table(tmp_path / "two.csv", text))
    assert refused(tmp_path / "s", design, materials) == "USAGE"
    materials = attrs.evolve(materials, model="three")
    assert refused(tmp_path / "s", design, materials) == "USAGE"
    odds = "\n".join([header, *(line.replace(",0.8,", ",8,") for line in lines)]) + "\n"
    materials = Materials(cohort=patients, scores=table(tmp_path / "odds.csv", odds))
    assert refused(tmp_path / "s", design, materials) == "NOT_PROBABILITIES"


def test_heat_maps_are_pictures_and_nothing_else(tables: Path, tmp_path: Path) -> None:
    scores, folder = tables / "scores.csv", tmp_path / "heat"
    patient = scores.read_text().splitlines()[1].split(",")[0]

    def code() -> str:
        with pytest.raises(CervispineError) as caught:
            read_aids([patient], scores, heatmaps=folder)
        assert patient not in str(caught.value)
        return caught.value.code

    assert code() == "FILE_MISSING"
    folder.mkdir()
    assert code() == "HEATMAP_MISSING"
    (folder / f"{patient}.png").write_bytes(b"<svg onload=alert(1)>")
    assert code() == "HEATMAP_INVALID"
    Image.new("L", (5000, 2)).save(folder / f"{patient}.png")
    assert code() == "HEATMAP_INVALID"
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "canary")
    Image.new("RGB", (5, 4), (1, 2, 3)).save(folder / f"{patient}.png", pnginfo=said)
    kept = read_aids([patient], scores, heatmaps=folder)[patient].heatmap
    assert kept is not None
    assert b"canary" not in kept
    with Image.open(io.BytesIO(kept)) as picture:
        assert (picture.size, picture.getpixel((0, 0))) == ((5, 4), (1, 2, 3, 255))


def test_the_heat_maps_of_explain_are_found_by_their_table(tables: Path, tmp_path: Path) -> None:
    scores = tables / "scores.csv"
    one, two = (line.split(",")[0] for line in scores.read_text().splitlines()[1:3])
    for name, grey in (("0001", 10), ("0002", 20)):
        Image.new("L", (3, 3), grey).save(tmp_path / f"{name}.png")
    table(tmp_path / "peaks.csv", f"file,patient,slice\n0002,{one},7\n0002,{one},8\n0001,{two},7\n")
    aids = read_aids([one, two], scores, heatmaps=tmp_path)
    greys = []
    for patient in (one, two):
        with Image.open(io.BytesIO(aids[patient].heatmap or b"")) as picture:
            greys.append(picture.getpixel((0, 0))[0])
    assert greys == [20, 10]
    table(tmp_path / "peaks.csv", f"file,patient\n../0002,{one}\n0001,{two}\n")
    with pytest.raises(CervispineError) as caught:
        read_aids([one, two], scores, heatmaps=tmp_path)
    assert caught.value.code == "HEATMAP_MISSING"


def test_both_sequences_are_kept_and_a_missing_one_is_refused(
    patients: Cohort, tmp_path: Path
) -> None:
    materials = Materials(cohort=patients, sequences=("T2", "T1"))
    assert refused(tmp_path / "s", DESIGN, materials) == "SERIES_MISSING"
    assert Loader().read(patients[0]).sequence == "T2"
