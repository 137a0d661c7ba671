"""What authors of loaders run: every installed loader passes, every breach is caught."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import nibabel
import numpy as np
import pytest

from cervispine.exceptions import LoaderContractError, LoadError, NoImagesError
from cervispine.loading import Loader, NiftiLoader, list_loaders
from cervispine.phantom import PhantomCohort
from cervispine.records import Cohort, Geometry, IntakeReport, Problem, Series, Study, Volume
from cervispine.testing import check_loader

GEOMETRY = Geometry(
    origin=(0.0, 0.0, 0.0),
    row_cosine=(0.0, 1.0, 0.0),
    column_cosine=(0.0, 0.0, -1.0),
    slice_step=(-3.0, 0.0, 0.0),
    pixel_spacing=(0.5, 0.5),
)

Progress = Callable[[int, int], None]


class ArrayLoader:
    """A loader of .npy files, each a patient: keeps the contract, for others to break."""

    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        if not Path(path).is_dir():
            raise LoadError("no folder", code="NOT_A_FOLDER")
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        arrays = [file for file in files if file.suffix == ".npy"]
        if not arrays:
            raise NoImagesError("no array")
        others = tuple(
            Problem(code="NOT_AN_ARRAY", reason="another kind of file", fate="ignored")
            for file in files
            if file.suffix != ".npy"
        )
        studies = []
        for number, file in enumerate(arrays, start=1):
            studies.append(self.study(file))
            if progress is not None:
                progress(number, len(arrays))
        return Cohort(studies, IntakeReport(found=len(files), used=len(arrays), problems=others))

    def study(self, file: Path) -> Study:
        pixels = np.load(file)
        uid = str(int(pixels.sum()))
        series = Series(
            uid=f"{uid}.1",
            plane="sagittal",
            sequence="T2",
            files=(file,) * len(pixels),
            shape=pixels.shape,
            geometry=GEOMETRY,
            transfer_syntaxes=(),
        )
        return Study(patient=f"patient {uid}", uid=uid, series=(series,))

    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        series = study if isinstance(study, Series) else study.one_series(sequence)
        wanted = list(range(series.shape[0])) if slices is None else list(slices)
        if not wanted or min(wanted) < 0 or max(wanted) >= series.shape[0]:
            raise LoadError("no such slices")
        affine = series.geometry.affine
        affine[:3, 3] += wanted[0] * affine[:3, 0]
        affine[:3, 0] *= wanted[1] - wanted[0] if len(wanted) > 1 else 1
        return Volume(
            pixels=np.load(series.files[0])[wanted],
            affine=affine,
            sequence=series.sequence,
            history=("read with numpy",),
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    for number in range(1, 4):
        np.save(tmp_path / "deep" / f"image{number}.npy", number * np.arange(60.0).reshape(3, 4, 5))
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


class NoAccount(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        return attrs.evolve(super().index(path, progress=progress), intake=None)


class ForgetsFiles(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        cohort = super().index(path, progress=progress)
        return attrs.evolve(cohort, intake=IntakeReport(found=3, used=3))


class ForgetsTexts(ArrayLoader):
    """Counts no file but its own and one more."""

    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        cohort = super().index(path, progress=progress)
        other = Problem(code="OTHER", reason="others", fate="ignored")
        return attrs.evolve(cohort, intake=IntakeReport(found=4, used=3, problems=(other,)))


class NamesPatients(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        cohort = super().index(path, progress=progress)
        assert cohort.intake is not None
        note = Problem(code="NOTE", reason=f"see {cohort[0].patient}", fate="noted")
        intake = attrs.evolve(cohort.intake, problems=(*cohort.intake.problems, note))
        return attrs.evolve(cohort, intake=intake)


class FindsNothing(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        return attrs.evolve(super().index(path, progress=progress), studies=())


class GivesAList(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        return list(super().index(path, progress=progress))  # type: ignore[return-value]


class StopsHalfway(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        if progress is not None:
            progress(1, 2)
        return super().index(path)


class TakesAnything(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        try:
            return super().index(path, progress=progress)
        except NoImagesError:
            return Cohort((), IntakeReport(found=0, used=0))


class RaisesItsOwn(ArrayLoader):
    def index(self, path: str | Path, *, progress: Progress | None = None) -> Cohort:
        try:
            return super().index(path, progress=progress)
        except NoImagesError as error:
            raise ValueError("nothing") from error


class Unpicklable(ArrayLoader):
    def __init__(self) -> None:
        self.open = lambda path: np.load(path)


class TrustsNames(ArrayLoader):
    def study(self, file: Path) -> Study:
        return attrs.evolve(super().study(file), uid=file.stem)


class Reads(ArrayLoader):
    """What is changed in a volume that was read."""

    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        return self.changed(super().read(study, sequence, slices=slices), slices)

    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return volume


class CropsSilently(Reads):
    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, pixels=volume.pixels[:, 1:])


class MovesImages(Reads):
    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, affine=np.eye(4))


class ForgetsSequence(Reads):
    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, sequence="unknown")


class ForgetsHistory(Reads):
    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, history=())


class AddsNoise(Reads):
    generator = np.random.default_rng(0)

    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, pixels=volume.pixels + self.generator.random())


class GivesAnArray(Reads):
    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return volume.pixels


class ScalesEachReading(Reads):
    """Scales by what was read, which is not the same for a part."""

    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, pixels=volume.pixels / volume.pixels.max())


class ForgetsWhere(Reads):
    def changed(self, volume: Volume, slices: Sequence[int] | None) -> Any:
        return attrs.evolve(volume, affine=GEOMETRY.affine)


class WrapsAround(ArrayLoader):
    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        inside = None if slices is None else [index % 3 for index in slices]
        return super().read(study, sequence, slices=inside)


class TakesTheFirst(ArrayLoader):
    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        series = study if isinstance(study, Series) else study.series[0]
        return super().read(series, sequence, slices=slices)


class HasNoRead:
    index = ArrayLoader.index
    study = ArrayLoader.study


def test_a_loader_that_keeps_the_contract(folder: Path) -> None:
    assert len(check_loader(ArrayLoader(), folder)) == 3


def test_our_loader_keeps_it_on_real_images(shared: Path) -> None:
    folder = shared / "data" / "dicom2nifti" / "ge_sagittal"
    assert len(check_loader(Loader(sequences=("GRE",)), folder)) == 1
    assert len(check_loader(NiftiLoader(), shared / "data" / "sct")) == 2


@pytest.fixture(scope="module")
def places(phantom: PhantomCohort, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a place that each installed loader can read."""
    bids = tmp_path_factory.mktemp("bids")
    for number, study in enumerate(Loader().index(phantom.dicom)[:3]):
        volume = Loader().read(study)
        affine = np.diag([-1.0, -1, 1, 1]) @ volume.affine
        image = nibabel.Nifti1Image(volume.pixels, affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, bids / f"sub-{number:03d}_T2w.nii.gz")
    first = next(path for path in sorted(phantom.dicom.rglob("*")) if path.is_dir())
    return {"cervispine:dicom": first, "cervispine:nifti": bids}


@pytest.mark.parametrize("name", [loader.qualified_name for loader in list_loaders()])
def test_every_installed_loader_keeps_it(name: str, places: dict[str, Path]) -> None:
    assert len(check_loader(name, places[name])) > 0


def test_a_series_must_name_the_loader_that_reads_it(
    install: Callable[..., None], monkeypatch: pytest.MonkeyPatch, places: dict[str, Path]
) -> None:
    install("loader")
    assert check_loader("lab", places["cervispine:dicom"])
    import lab_loader

    class Renamed(NiftiLoader):
        def index(self, *given: Any, **more: Any) -> Cohort:
            cohort = super().index(*given, **more)
            return Cohort(
                [
                    attrs.evolve(
                        study,
                        series=tuple(
                            attrs.evolve(s, loader="lab-loader:lab") for s in study.series
                        ),
                    )
                    for study in cohort
                ],
                cohort.intake,
            )

    monkeypatch.setattr(lab_loader, "LabLoader", Renamed)
    monkeypatch.setattr("cervispine.testing.loaders.build_loader", _first_then(Renamed(), Loader()))
    with pytest.raises(LoaderContractError, match="names 'lab-loader:lab' as its loader"):
        check_loader("lab", places["cervispine:nifti"])


def _first_then(first: Any, rest: Any) -> Callable[..., Any]:
    """Return a function that gives one thing at its first call and another later."""
    given = [first]
    return lambda name: given.pop() if given else rest


@pytest.mark.parametrize(
    ("loader", "breach"),
    [
        (HasNoRead, "a HasNoRead has not the methods index and read"),
        (GivesAList, "index returned a list, not a Cohort"),
        (FindsNothing, "index found no study"),
        (NoAccount, "the cohort has no intake report"),
        (StopsHalfway, "progress does not rise to its end"),
        (NamesPatients, "the intake names patients"),
        (Unpicklable, "the loader cannot be pickled"),
        (ForgetsFiles, "the folder has 4 files, the intake accounts for 3"),
        (ForgetsTexts, "a text file beside the images is not counted as ignored"),
        (TrustsNames, "the studies change with the names and places of the files"),
        (TakesAnything, "a folder of empty is not refused"),
        (RaisesItsOwn, "a folder of empty is refused by a ValueError, not by a NoImagesError"),
        (GivesAnArray, "read returned a ndarray, not a Volume"),
        (CropsSilently, r"read gave \(3, 3, 5\) where indexing announced \(3, 4, 5\)"),
        (MovesImages, "the affine of the volume is not the one"),
        (ForgetsSequence, "the volume has another sequence"),
        (ForgetsHistory, "the volume does not say how it was read"),
        (AddsNoise, "reading the same images twice gives two volumes"),
        (ScalesEachReading, r"slices \[1\] read alone are not those of the whole"),
        (ForgetsWhere, r"slices \[1\] read alone are not those of the whole"),
        (WrapsAround, r"slices=\[3\] of 3 slices is not refused"),
        (TakesTheFirst, "an absent sequence is not refused"),
    ],
)
def test_each_breach_of_a_loader_is_caught(
    folder: Path, loader: type[ArrayLoader], breach: str
) -> None:
    with pytest.raises(LoaderContractError, match=breach) as caught:
        check_loader(loader(), folder)
    assert caught.value.code == "LOADER_CONTRACT"


def test_a_loader_that_never_says_how_far_it_is(
    install: Callable[..., None], places: dict[str, Path]
) -> None:
    install("loader_broken")
    with pytest.raises(LoaderContractError, match="progress does not rise"):
        check_loader("silent", places["cervispine:dicom"])
