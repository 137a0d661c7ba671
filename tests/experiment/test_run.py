"""The whole way, small: one command's worth of data, training, comparison and report."""

from __future__ import annotations

import csv
import fnmatch
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pydicom
import pytest

from cervispine import run_experiment
from cervispine.exceptions import DataError, LoadError, UsageError
from cervispine.experiment import PRESETS, Experiment, Preset
from cervispine.phantom import PhantomCohort
from cervispine.reporting import write_report

FILE_FORMATS = Path(__file__).resolve().parents[2] / "docs" / "reference" / "file-formats.md"


@pytest.fixture(autouse=True, scope="module")
def tiny() -> Iterator[None]:
    """Make the quick preset tiny: the same way through the same rooms."""
    preset = attrs.evolve(
        PRESETS["quick"],
        phantom={"n_opll": 10, "n_dss": 14, "difficulty": 0.1},
        test=8,
        preprocessor={"size": (64, 64), "spacing": 1.8},
        classifier={"epochs": 1, "batch_size": 8},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", preset)
        yield


def run(phantom: PhantomCohort, out: Path, **more: object) -> Experiment:
    parameters = {
        "data": phantom.dicom,
        "labels": phantom.labels,
        "readers": phantom.readers,
        "backbones": ("resnet34",),
        "progress": False,
    }
    return run_experiment(out=out, **(parameters | more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(phantom: PhantomCohort, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    return run(phantom, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Run without data: on the phantom cohort that the experiment makes for itself."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return run_experiment(out=out, backbones=("resnet34",), progress=False)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_run_leaves_what_was_promised(finished: Experiment) -> None:
    for name in (
        "manifest.json", "split.csv", "rejected.csv", "predictions.csv", "comparison.json",
        "report.html", "figures/roc.svg", "tables/T1.csv", "cases/cases.csv",
        "models/resnet34/model.safetensors",
    ):  # fmt: skip
        assert (finished.folder / name).is_file(), name
    manifest = json.loads((finished.folder / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert manifest["intake"]["found"] == sum(
        manifest["intake"][fate] for fate in ("used", "rejected", "ignored")
    )
    assert sum(manifest["parts"]["test"].values()) == 8
    assert not list((finished.folder / "models").glob("*.unfinished"))


def named_in_the_reference(folder: str) -> set[str]:
    """Return the first column of a folder's table: names, patterns, and folders with a slash."""
    text = FILE_FORMATS.read_text(encoding="utf-8")
    table = text.split(f"### The {folder} folder\n")[1].split("\n#")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name.replace("NAME", "*") for cell in cells for name in re.findall("`(.+?)`", cell)}


def name_for(path: str, names: set[str]) -> str | None:
    """Return the name under which the reference speaks of a file, if it does."""
    for name in names:
        parts, wanted = path.split("/"), name.removesuffix("/").split("/")
        alike = len(parts) > len(wanted) if name.endswith("/") else len(parts) == len(wanted)
        if alike and all(map(fnmatch.fnmatchcase, parts, wanted)):
            return name
    return None


@pytest.mark.parametrize(("which", "absent"), [("finished", {"phantom/"}), ("synthetic", set())])
def test_the_files_of_a_run_are_those_of_the_reference(
    which: str, absent: set[str], request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(which).folder
    names = named_in_the_reference("run")
    found = [each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()]
    assert [path for path in found if name_for(path, names) is None] == []
    # Some systems remove a lock that is let go.
    assert names - {name_for(path, names) for path in found} - {".lock"} == absent
    model = {each.name for each in (folder / "models" / "resnet34").iterdir()}
    exported = {"model.onnx", "export.json"}
    assert model == named_in_the_reference("model") - exported


def test_no_patient_is_on_both_sides(finished: Experiment) -> None:
    part_of = [row["patient"] for row in rows(finished.folder / "split.csv")]
    assert len(set(part_of)) == len(part_of) == 24
    tested = {row["patient"] for row in rows(finished.folder / "predictions.csv")}
    assert tested == set(finished.parts["test"].patients)
    assert not finished.parts["train"].leakage(finished.parts["test"])


def test_the_report_reads_alone_and_names_nobody(finished: Experiment) -> None:
    page = finished.report.read_text()
    assert "published, other data" in page
    assert "0.914" in page
    assert "resnet34" in page
    assert not re.search(r"""(src|href)=["']https?:""", page)
    assert "<script" not in page
    for study in finished.parts["test"]:
        assert study.patient not in page


def test_the_report_is_made_again_from_what_was_saved(finished: Experiment, tmp_path: Path) -> None:
    # Neither images nor networks, so nothing can be computed.
    left = shutil.ignore_patterns("phantom", "cache", "models", "report.html", ".lock")
    again = write_report(shutil.copytree(finished.folder, tmp_path / "run", ignore=left))
    assert again.read_bytes() == finished.report.read_bytes()


def test_each_case_has_its_heat_map_in_the_report(finished: Experiment) -> None:
    cases = {row["file"] for row in rows(finished.folder / "cases" / "cases.csv")}
    assert {path.name for path in (finished.folder / "heatmaps").iterdir()} == cases
    page = finished.report.read_text()
    assert page.count('alt="Heat map') == len(cases)


def test_the_manifest_says_who_is_in_each_part_and_what_was_checked(finished: Experiment) -> None:
    manifest = json.loads((finished.folder / "manifest.json").read_text())
    for part, cohort in finished.parts.items():
        said = manifest["participants"][part]
        assert said["patients"] == len(cohort)
        assert said["classes"] == manifest["parts"][part]
        assert sum(said["scanners"].values()) == said["series"] == len(cohort)
        assert sum(said["sex"].values()) == len(cohort)
    assert manifest["cohort"]["patients"] == 24
    assert {tuple(check["parts"]) for check in manifest["checks"]} == {
        ("train", "validation"), ("train", "test"), ("validation", "test")
    }  # fmt: skip
    assert {n for check in manifest["checks"] for n in check["shared"].values()} == {0}
    assert set(manifest["models"]) == {"resnet34"}


def test_the_same_seed_gives_the_same_figures_whatever_the_files_are_called(
    finished: Experiment, phantom: PhantomCohort, tmp_path: Path
) -> None:
    shuffled = tmp_path / "dicom"
    shuffled.mkdir()
    for number, path in enumerate(sorted(phantom.dicom.rglob("*.dcm"), reverse=True)):
        shutil.copy(path, shuffled / f"{number:05d}")
    again = run(phantom, tmp_path / "run", data=shuffled)
    for name in ("split.csv", "predictions.csv", "comparison.json"):
        assert (again.folder / name).read_bytes() == (finished.folder / name).read_bytes(), name


def test_a_split_can_be_given_back(
    finished: Experiment, phantom: PhantomCohort, tmp_path: Path
) -> None:
    split = finished.folder / "split.csv"
    again = run(phantom, tmp_path / "run", split=split, seed=9)
    assert (again.folder / "split.csv").read_bytes() == split.read_bytes()


def test_an_interrupted_run_is_resumed(
    finished: Experiment, phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("cervispine.experiment.run._compare", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(phantom, out)
    assert json.loads((out / "manifest.json").read_text())["state"] == "started"
    before = (out / "models/resnet34/model.safetensors").stat().st_mtime_ns
    again = run(phantom, out, resume=True)
    assert (out / "models/resnet34/model.safetensors").stat().st_mtime_ns == before
    for name in ("predictions.csv", "comparison.json"):
        assert (again.folder / name).read_bytes() == (finished.folder / name).read_bytes()


def copy_of(phantom: PhantomCohort, folder: Path) -> Path:
    shutil.copytree(phantom.dicom, folder)
    return folder


def alter(folder: Path) -> None:
    path = sorted(folder.rglob("*.dcm"))[7]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_a_run_keeps_to_the_data_it_began_with(
    phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = copy_of(phantom, tmp_path / "data")
    out = tmp_path / "run"

    def altered(*_: object, **__: object) -> None:
        alter(data)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        # Between index and training.
        patch.setattr("cervispine.experiment.run.write_split", lambda *_: alter(data))
        with pytest.raises(LoadError) as caught:
            run(phantom, tmp_path / "other", data=data)
    assert caught.value.code == "HASH_MISMATCH"
    alter(data)  # the same bit once more: as it was
    with monkeypatch.context() as patch:
        patch.setattr("cervispine.experiment.run._train", altered)
        with pytest.raises(KeyboardInterrupt):
            run(phantom, out, data=data)
    with pytest.raises(LoadError) as caught:
        run(phantom, out, data=data, resume=True)
    assert caught.value.code == "HASH_MISMATCH"
    assert "other pixels" in caught.value.what
    assert not (out / "models").exists()
    alter(data)
    moved = tmp_path / "moved"
    data.rename(moved)
    assert run(phantom, out, data=moved, resume=True).report.is_file()
    for path in out.rglob("*"):
        if path.is_file():
            assert tmp_path.name.encode() not in path.read_bytes(), path


def test_nothing_but_the_data_that_are_meant_is_used(
    finished: Experiment, phantom: PhantomCohort, tmp_path: Path
) -> None:
    data = copy_of(phantom, tmp_path / "data")
    alter(data)
    manifest = finished.folder / "data-manifest.json"
    result = run(phantom, tmp_path / "run", data=data, verify=manifest)
    assert sum(map(len, result.parts.values())) == 23
    assert "HASH_MISMATCH" in (result.folder / "rejected.csv").read_text()
    with pytest.raises(UsageError):
        run_experiment(out=tmp_path / "phantom", verify=manifest)


def test_without_readers_the_models_stand_alone(phantom: PhantomCohort, tmp_path: Path) -> None:
    result = run(phantom, tmp_path / "run", readers=None)
    assert not result.comparison.readers
    assert "surgeon" not in result.summary()


def test_the_phantom_brings_its_own_labels_and_a_banner(
    synthetic: Experiment, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is not drawn"):
        run_experiment(
            tmp_path, labels="labels.csv", split="split.csv", stratify=("site",),
            out=tmp_path / "run",
        )  # fmt: skip
    with pytest.raises(UsageError, match="the phantom brings its own"):
        run_experiment(out=tmp_path / "run", labels=tmp_path / "labels.csv")
    page = synthetic.report.read_text()
    assert "Synthetic phantoms" in page
    assert "simulated" in page
    assert "no figure here is of patients" in synthetic.summary()
    for path in (synthetic.folder / "figures").glob("*.svg"):
        assert "Synthetic phantoms" in path.read_text(), path.name
    for name in ("comparison.json", "comparison.txt", "report.html"):
        assert "no figure here is of patients" in (synthetic.folder / name).read_text()


def test_phantoms_that_were_brought_are_phantoms_too(finished: Experiment) -> None:
    manifest = json.loads((finished.folder / "manifest.json").read_text())
    assert (manifest["synthetic"], manifest["phantom"]) == (True, None)
    page = finished.report.read_text()
    assert "phantoms brought by the user" in page
    # Who read them is not known.
    assert "simulated reader" not in page
    assert "no person read" not in page
    for path in (finished.folder / "figures").glob("*.svg"):
        assert "Synthetic phantoms" in path.read_text(), path.name
    for name in ("comparison.json", "comparison.txt", "report.html"):
        text = (finished.folder / name).read_text()
        assert "ynthetic phantoms: no figure here is of patients" in text
    lists = list((finished.folder / "checklists").glob("*.md"))
    assert lists
    assert all("Synthetic phantoms" in path.read_text() for path in lists)


def test_phantoms_among_patients_are_refused(phantom: PhantomCohort, tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(phantom.dicom, folder)
    first = min(path for path in folder.iterdir() if path.is_dir())
    for path in first.rglob("*.dcm"):
        header = pydicom.dcmread(path)
        header.Manufacturer = "GE"
        header.save_as(path)
    with pytest.raises(DataError, match="23 of 24 studies are phantoms") as caught:
        run(phantom, tmp_path / "run", data=folder)
    assert caught.value.code == "PHANTOMS_MIXED"


def test_labels_of_one_class_are_refused_and_mended(phantom: PhantomCohort, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text(phantom.labels.read_text().replace("DSS", "OPLL"))
    with pytest.raises(DataError, match="SINGLE_CLASS") as caught:
        run(phantom, tmp_path / "run", labels=labels)
    assert "OPLL" in str(caught.value)
    labels.write_text(phantom.labels.read_text())
    assert run(phantom, tmp_path / "run", labels=labels).report.is_file()


def test_two_studies_of_a_patient_are_refused(phantom: PhantomCohort, tmp_path: Path) -> None:
    import pydicom
    from pydicom.uid import generate_uid

    data = tmp_path / "dicom"
    shutil.copytree(phantom.dicom, data)
    folder = next(path for path in sorted(data.rglob("*")) if any(path.glob("*.dcm")))
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for path in sorted(folder.glob("*.dcm")):
        image = pydicom.dcmread(path)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.save_as(folder / f"again-{path.name}")
    with pytest.raises(DataError, match="PATIENT_REPEATED"):
        run(phantom, tmp_path / "run", data=data)


def test_a_preset_of_ones_own(phantom: PhantomCohort, tmp_path: Path) -> None:
    own = Preset(
        phantom={"n_opll": 10, "n_dss": 14},
        test=8,
        preprocessor={"size": (64, 64), "spacing": 2.0},
        classifier={"epochs": 1, "batch_size": 6, "pooling": "mean"},
    )
    finished = run(phantom, tmp_path / "run", preset=own)
    manifest = json.loads((finished.folder / "manifest.json").read_text())
    assert manifest["configuration"]["preset"] == "own"
    assert manifest["classifier"] == own.classifier
    assert "own, 0" in finished.report.read_text()
    other = attrs.evolve(own, classifier={**own.classifier, "batch_size": 5})
    with pytest.raises(UsageError, match="preset_parameters") as mismatch:
        run(phantom, tmp_path / "run", preset=other, resume=True)
    assert mismatch.value.code == "RESUME_MISMATCH"
    run(phantom, tmp_path / "run", preset=own, resume=True)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"classifier": {"seed": 3}}, "seed by itself"),
        ({"preprocessor": {"cache": "x"}}, "cache by itself"),
        ({"classifier": {"epoch": 3}}, "'epoch'"),
        ({"classifier": {"pretrained": Path("weights")}}, "JSON"),
        ({"phantom": {}}, "n_opll"),
        ({"test": 24}, "no part"),
    ],
)
def test_a_preset_that_cannot_be_used_is_refused(
    phantom: PhantomCohort, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    own = Preset(phantom={"n_opll": 10, "n_dss": 14}, test=8, preprocessor={}, classifier={})
    with pytest.raises(UsageError, match=says):
        run(phantom, tmp_path / "run", preset=attrs.evolve(own, **changes))
    assert not (tmp_path / "run").exists()
