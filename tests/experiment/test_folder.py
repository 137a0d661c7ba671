"""The run folder: one process at a time, one configuration, a split that is read back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cervispine import Cohort, Study
from cervispine.exceptions import LabelError, LeakageError, ResourceError, UsageError
from cervispine.experiment.folder import RunFolder, read_split, write_split


def study(patient: str, uid: str, label: int) -> Study:
    return Study(patient=patient, uid=uid, series=(), label=label)


@pytest.fixture
def patients() -> Cohort:
    return Cohort([study(f"{number:03d}", f"1.{number}", number % 2) for number in range(30)])


def test_a_run_is_locked_while_it_runs(tmp_path: Path) -> None:
    with (
        RunFolder(tmp_path, {"seed": 0}).opened(resume=False),
        pytest.raises(UsageError, match="RUN_LOCKED"),
        RunFolder(tmp_path, {"seed": 0}).opened(resume=True),
    ):
        raise AssertionError("two runs are in one folder")


@pytest.mark.parametrize("begun", ["models/resnet34.unfinished/latest", "tuning/fold-1/areas.json"])
def test_a_folder_is_not_used_twice_by_accident(tmp_path: Path, begun: str) -> None:
    with RunFolder(tmp_path, {"seed": 0}).opened(resume=False) as run, run.timed("step"):
        (tmp_path / begun).parent.mkdir(parents=True)
        (tmp_path / begun).touch()
    with (
        pytest.raises(UsageError, match="RUN_EXISTS"),
        RunFolder(tmp_path, {"seed": 0}).opened(resume=False),
    ):
        pass
    with (
        pytest.raises(UsageError, match="other values of seed"),
        RunFolder(tmp_path, {"seed": 1}).opened(resume=True),
    ):
        pass


def test_a_run_that_never_began_to_train_may_start_anew(tmp_path: Path) -> None:
    with (
        pytest.raises(LabelError),
        RunFolder(tmp_path, {"labels": "the first"}).opened(resume=False),
    ):
        raise LabelError("unknown label")
    with RunFolder(tmp_path, {"labels": "mended"}).opened(resume=False) as run:
        pass
    assert json.loads(run.manifest_path.read_text())["configuration"] == {"labels": "mended"}


def test_resume_continues_the_account_of_time(tmp_path: Path) -> None:
    with RunFolder(tmp_path, {"seed": 0}).opened(resume=False) as run:
        run.seconds["train"] = 10.0
        run.finish({"synthetic": True})
    with RunFolder(tmp_path, {"seed": 0}).opened(resume=True) as run:
        with run.timed("train"):
            pass
        run.finish({})
    manifest = json.loads(run.manifest_path.read_text())
    assert manifest["state"] == "finished"
    assert manifest["seconds"]["train"] >= 10.0


@pytest.mark.parametrize("name", ["cervispine", "torch"])
def test_a_run_of_another_version_is_not_continued(tmp_path: Path, name: str) -> None:
    with RunFolder(tmp_path, {"seed": 0}).opened(resume=False) as run:
        pass
    manifest = json.loads(run.manifest_path.read_text())
    manifest["versions"][name] = "0.0.1"
    run.manifest_path.write_text(json.dumps(manifest))
    with (
        pytest.raises(UsageError, match=rf"{name} 0\.0\.1, and here is") as refusal,
        RunFolder(tmp_path, {"seed": 0}).opened(resume=True),
    ):
        pass
    assert refusal.value.code == "RESUME_MISMATCH"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"seconds": 1, "configuration": 2}'])
def test_a_manifest_that_is_damaged_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with (
        pytest.raises(UsageError, match="RESUME_MISMATCH"),
        RunFolder(tmp_path, {"seed": 0}).opened(resume=True),
    ):
        pass
    assert (tmp_path / "manifest.json").read_text() == content


def test_resume_needs_something_to_resume(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="RESUME_MISMATCH"),
        RunFolder(tmp_path, {}).opened(resume=True),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(ResourceError, match="OUTPUT_UNWRITABLE") as caught,
        RunFolder(tmp_path / "file" / "run", {}).opened(resume=False),
    ):
        pass
    assert caught.value.exit_code == 5


def test_split_is_read_back_as_it_was_written(tmp_path: Path, patients: Cohort) -> None:
    rest, test = patients.split(10, seed=1)
    train, validation = rest.split(0.3, seed=1)
    parts = {"train": train, "validation": validation, "test": test}
    write_split(tmp_path / "split.csv", parts)
    again = read_split(tmp_path / "split.csv", patients)
    assert {part: again[part].patients for part in parts} == {
        part: parts[part].patients for part in parts
    }


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        (["000,train", "001,tset"], "SPLIT_INVALID"),
        (["000,train", "000,test"], "SPLIT_INVALID"),
        (["000,train", "stranger,test"], "SPLIT_UNMATCHED"),
    ],
)
def test_split_with_faults_is_refused(
    tmp_path: Path, patients: Cohort, rows: list[str], code: str
) -> None:
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["patient,part", *rows]))
    with pytest.raises(LabelError) as caught:
        read_split(path, patients)
    assert caught.value.code == code
    assert "stranger" not in str(caught.value)


def test_split_without_a_part_is_refused(tmp_path: Path, patients: Cohort) -> None:
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["patient,part", *(f"{name},train" for name in patients.patients)]))
    with pytest.raises(LabelError, match="validation"):
        read_split(path, patients)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_split_with_one_class_in_a_part_is_refused(
    tmp_path: Path, patients: Cohort, part: str
) -> None:
    others = sorted({"train", "validation", "test"} - {part})
    rows = [
        # All that end in an even digit are of one class.
        f"{name},{part if number % 6 == 0 else others[number // 2 % 2]}"
        for number, name in enumerate(patients.patients)
    ]
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["patient,part", *rows]))
    with pytest.raises(LabelError, match=rf"\['{part}'\] are of the same class") as refusal:
        read_split(path, patients)
    assert refusal.value.code == "SPLIT_INVALID"


def test_split_that_leaks_is_refused(tmp_path: Path) -> None:
    # One study under two identifiers, one of them in the test part.
    uids = ["1.1", "1.1", "1.2", "1.3", "1.4", "1.5"]
    cohort = Cohort([study(str(n), uid, n % 2) for n, uid in enumerate(uids)])
    path = tmp_path / "split.csv"
    path.write_text("patient,part\n0,train\n3,train\n1,test\n2,test\n4,validation\n5,validation\n")
    with pytest.raises(LeakageError, match="study UID"):
        read_split(path, cohort)


def test_a_split_may_name_patients_who_were_left_out(tmp_path: Path, patients: Cohort) -> None:
    rest, test = patients.split(10, seed=1)
    train, validation = rest.split(0.3, seed=1)
    path = tmp_path / "split.csv"
    write_split(path, {"train": train, "validation": validation, "test": test})
    kept = patients.where(lambda each: each.patient != "004")
    with pytest.raises(LabelError, match="SPLIT_UNMATCHED"):
        read_split(path, kept)
    parts = read_split(path, kept, allow_missing=True)
    assert sum(map(len, parts.values())) == 29
    # The other way round nobody is left out in silence.
    path.write_text(path.read_text().replace("004,", "stranger,"))
    with pytest.raises(LabelError, match=r"study 1\.4: no row"):
        read_split(path, patients, allow_missing=True)


def test_a_split_that_lost_its_zeros_is_told(tmp_path: Path, patients: Cohort) -> None:
    path = tmp_path / "split.csv"
    rows = [f"{int(name)},train\n" for name in patients.patients]
    path.write_text("patient,part\n" + "".join(rows))
    with pytest.raises(LabelError, match="30 row") as caught:
        read_split(path, patients)
    assert caught.value.code == "ID_LEADING_ZERO_SUSPECT"
