"""What authors of loaders run: our own loader passes, every breach is caught."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest

from cervispine.exceptions import LoadError
from cervispine.loading import Loader
from cervispine.records import Cohort, Geometry, IntakeReport, Problem, Series, Study, Volume
from cervispine.testing import check_loader

GEOMETRY = Geometry(
    origin=(0.0, 0.0, 0.0),
    row_cosine=(0.0, 1.0, 0.0),
    column_cosine=(0.0, 0.0, -1.0),
    slice_step=(3.0, 0.0, 0.0),
    pixel_spacing=(0.5, 0.5),
)


class ArrayLoader:
    """A loader of .npy files, each a patient: keeps the contract, for others to break."""

    def index(self, path: str | Path) -> Cohort:
        files = sorted(Path(path).rglob("*"))
        arrays = [file for file in files if file.suffix == ".npy"]
        others = tuple(
            Problem(code="NOT_AN_ARRAY", reason="another kind of file", fate="ignored")
            for file in files
            if file.is_file() and file.suffix != ".npy"
        )
        return Cohort(
            [self.study(file) for file in arrays],
            IntakeReport(found=len(arrays) + len(others), used=len(arrays), problems=others),
        )

    def study(self, file: Path) -> Study:
        pixels = np.load(file)
        uid = str(int(pixels.sum()))
        series = Series(
            uid=f"{uid}.1",
            plane="sagittal",
            sequence="T2",
            files=(file,),
            shape=pixels.shape,
            geometry=GEOMETRY,
            transfer_syntax="",
        )
        return Study(patient=uid, uid=uid, series=(series,))

    def read(self, study: Study, sequence: str) -> Volume:
        series = study.one_series(sequence)
        return Volume(
            pixels=np.load(series.files[0]), affine=series.geometry.affine, sequence=sequence
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for number in range(1, 4):
        np.save(tmp_path / "deep" / f"image{number}.npy", np.full((2, 4, 5), number))
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


class NoAccount(ArrayLoader):
    def index(self, path: str | Path) -> Cohort:
        return attrs.evolve(super().index(path), intake=None)


class ForgetsFiles(ArrayLoader):
    def index(self, path: str | Path) -> Cohort:
        return attrs.evolve(super().index(path), intake=IntakeReport(found=3, used=3))


class FindsNothing(ArrayLoader):
    def index(self, path: str | Path) -> Cohort:
        return attrs.evolve(super().index(path), studies=())


class GivesAList(ArrayLoader):
    def index(self, path: str | Path) -> Cohort:
        return list(super().index(path))  # type: ignore[return-value]


class TrustsNames(ArrayLoader):
    def study(self, file: Path) -> Study:
        return attrs.evolve(super().study(file), uid=file.stem)


class CropsSilently(ArrayLoader):
    def read(self, study: Study, sequence: str) -> Volume:
        volume = super().read(study, sequence)
        return attrs.evolve(volume, pixels=volume.pixels[:, 1:])


class MovesImages(ArrayLoader):
    def read(self, study: Study, sequence: str) -> Volume:
        return attrs.evolve(super().read(study, sequence), affine=np.eye(4))


class ForgetsSequence(ArrayLoader):
    def read(self, study: Study, sequence: str) -> Volume:
        return attrs.evolve(super().read(study, sequence), sequence="unknown")


class AddsNoise(ArrayLoader):
    generator = np.random.default_rng(0)

    def read(self, study: Study, sequence: str) -> Volume:
        volume = super().read(study, sequence)
        return attrs.evolve(volume, pixels=volume.pixels + self.generator.random())


class GivesAnArray(ArrayLoader):
    def read(self, study: Study, sequence: str) -> Volume:
        return super().read(study, sequence).pixels  # type: ignore[return-value]


def test_a_loader_that_keeps_the_contract(folder: Path) -> None:
    assert len(check_loader(ArrayLoader(), folder)) == 3


def test_our_loader_keeps_it_on_real_images(shared: Path) -> None:
    folder = shared / "data" / "dicom2nifti" / "ge_sagittal"
    assert len(check_loader(Loader(sequences=("GRE",)), folder)) == 1


@pytest.mark.parametrize(
    ("loader", "breach"),
    [
        (GivesAList, "index returned a list, not a Cohort"),
        (FindsNothing, "index found no study"),
        (NoAccount, "the cohort has no intake report"),
        (ForgetsFiles, "the folder has 4 files, the intake accounts for 3"),
        (TrustsNames, "the studies change with the names and places of the files"),
        (GivesAnArray, "read returned a ndarray, not a Volume"),
        (CropsSilently, r"read gave \(2, 3, 5\) where indexing announced \(2, 4, 5\)"),
        (MovesImages, "the affine of the volume is not the one"),
        (ForgetsSequence, "the volume has another sequence"),
        (AddsNoise, "reading the same images twice gives two volumes"),
    ],
)
def test_each_breach_of_a_loader_is_caught(
    folder: Path, loader: type[ArrayLoader], breach: str
) -> None:
    with pytest.raises(LoadError, match=breach) as caught:
        check_loader(loader(), folder)
    assert caught.value.code == "LOADER_CONTRACT"
