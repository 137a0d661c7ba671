"""Files that nobody here made."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom.data import get_testdata_file

from cervispine.exceptions import LoadError
from cervispine.loading import Limits, Loader
from cervispine.loading.decoders import decode
from cervispine.loading.geometry import plane_of
from cervispine.loading.headers import HEADER_TAGS, read_headers
from cervispine.loading.parsing import parse
from cervispine.records import Problem

nibabel = pytest.importorskip("nibabel")

#: Files of pydicom's wheel that hold the same image as MR_small.dcm.
MR_SMALL = (
    "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm", "MR_small_implicit.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_padded.dcm",
    "MR_small_RLE.dcm",
)  # fmt: skip


def stored(path: Path) -> np.ndarray:
    """Return the stored values of a file, whatever kind of image it is."""
    return decode(parse(path, HEADER_TAGS, Limits(), pixels=True), 0)[0]


def test_ge_series_equals_an_independent_converters_volume(shared: Path) -> None:
    folder = shared / "data" / "dicom2nifti"
    cohort = Loader(sequences=("GRE",)).index(folder / "ge_sagittal")
    volume = Loader().read(cohort[0], "GRE")
    truth = nibabel.load(folder / "ge_sagittal_truth.nii.gz")
    # NIfTI counts (column, row, slice) from the right and the back: RAS, not LPS.
    to_truth = np.linalg.inv(truth.affine) @ np.diag([-1.0, -1, 1, 1]) @ volume.affine
    indices = np.indices(volume.pixels.shape).reshape(3, -1)
    theirs = (to_truth @ np.vstack([indices, np.ones(indices.shape[1])]))[:3]
    nearest = np.rint(theirs).astype(int)
    assert np.abs(theirs - nearest).max() < 2e-3
    values = np.asarray(truth.dataobj)[tuple(nearest)].reshape(volume.pixels.shape)
    assert np.array_equal(values.astype(np.float32), volume.pixels)


def test_implicit_twin_of_the_ge_series(shared: Path) -> None:
    # Its pixels are other random numbers, so a second reader is the truth for them.
    sitk = pytest.importorskip("SimpleITK")
    folder = shared / "data" / "dicom2nifti"
    loader = Loader(sequences=("GRE",))
    twins = [
        loader.read(loader.index(folder / name)[0], "GRE")
        for name in ("ge_sagittal", "ge_sagittal_implicit")
    ]
    assert np.array_equal(twins[0].affine, twins[1].affine)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder / "ge_sagittal_implicit"))
    image = sitk.ReadImage(names)
    assert np.array_equal(sitk.GetArrayFromImage(image), twins[1].pixels)
    assert image.GetOrigin() == pytest.approx(tuple(twins[1].affine[:3, 3]))


def test_mixed_orientations_are_never_interleaved(shared: Path) -> None:
    folder = shared / "data" / "dicom2nifti" / "mixed_orientation"
    for plane in ("sagittal", "axial"):
        cohort = Loader(plane=plane).index(folder)
        assert cohort.intake is not None
        assert cohort.intake.found == 4
        assert cohort[0].series[0].shape == (2, 288, 288)
        assert {(p.code, p.files) for p in cohort.intake.problems} == {("PLANE_OTHER", 2)}


def test_one_image_in_nine_encodings(shared: Path) -> None:
    folder = shared / "data" / "dcm_qa_ts"
    images = [stored(path) for path in sorted(folder.glob("*.dcm"))]
    assert len(images) == 9
    assert all(np.array_equal(images[0], image) for image in images)
    assert images[0].std() > 1
    with pytest.raises(LoadError, match="MOSAIC"):
        Loader().index(folder)


def test_frames_without_functional_groups_have_no_place(shared: Path, tmp_path: Path) -> None:
    for path in (shared / "data" / "pydicom").glob("*.dcm"):
        (tmp_path / path.stem).mkdir()
        shutil.copy(path, tmp_path / path.stem)
        with pytest.raises(LoadError, match="GEOMETRY_MISSING"):
            Loader().index(tmp_path / path.stem)


def test_mr_small_is_one_image_in_all_encodings() -> None:
    paths = [get_testdata_file(name, download=False) for name in MR_SMALL]
    assert None not in paths
    images = [stored(Path(str(path))) for path in paths]
    assert all(np.array_equal(images[0], image) for image in images)
    truncated = Path(str(get_testdata_file("MR_truncated.dcm", download=False)))
    with pytest.raises(LoadError) as caught:
        stored(truncated)
    assert caught.value.code == "DICOM_TRUNCATED"


#: Everything that comes in pydicom's wheel: images, objects of other kinds, texts, damaged files.
FILES = sorted(
    path
    for path in Path(pydicom.data.__file__).parent.rglob("*")
    if path.is_file() and path.suffix not in (".py", ".pyc")
)

#: What the deliberately bad ones, and the MR images, must be called.
CODES = {
    "MR_truncated.dcm": "DERIVED",
    "meta_missing_tsyntax.dcm": "TRANSFER_SYNTAX",
    "ExplVR_LitEndNoMeta.dcm": "META_MISSING",
    "MR_small.dcm": "DERIVED",
    "MR_small_bigendian.dcm": "DERIVED",
    "CT_small.dcm": "NOT_MR_IMAGE",
    "test-SR.dcm": "NOT_MR_IMAGE",
    "DICOMDIR": "NOT_MR_IMAGE",
    "README.txt": "NOT_DICOM",
    "15820": "LOCALIZER",
    "4467": "DERIVED",
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_of_pydicom_is_a_header_or_has_a_code(path: Path) -> None:
    found = read_headers(str(path), Limits())
    if isinstance(found, Problem):
        code, reason = found.code, found.reason
    else:
        (header,) = found
        code, reason = (header.fault.code, header.fault.reason) if header.fault else ("", "")
        assert header.fault is not None or len(header.orientation) == 6
    assert code == "" or (code.replace("_", "").isupper() and reason)
    assert code == CODES.get(path.name, code)


def test_all_of_pydicom_at_once_is_accounted_for() -> None:
    assert len(FILES) > 150
    assert set(CODES) <= {path.name for path in FILES}
    with pytest.raises(LoadError) as caught:
        Loader().index(Path(pydicom.data.__file__).parent)
    assert caught.value.code == "NO_DICOM"
    assert " files found = 0 used + " in str(caught.value)


@pytest.mark.parametrize("name", MR_SMALL)
def test_mr_small_gives_one_tensor_in_every_encoding(tmp_path: Path, name: str) -> None:
    """Each encoding is copied to three places: a stack, whose tensors must be equal."""
    volumes = []
    for number, each in enumerate((MR_SMALL[0], name)):
        (tmp_path / f"{number}").mkdir()
        for index in range(3):
            dataset = pydicom.dcmread(str(get_testdata_file(each, download=False)))
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
            dataset.SOPInstanceUID = f"1.2.3.{index}"
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            normal = np.cross(*np.reshape(dataset.ImageOrientationPatient, (2, 3)))
            moved = np.add(dataset.ImagePositionPatient, 4 * index * normal)
            dataset.ImagePositionPatient = [f"{value:.4f}" for value in moved]
            dataset.save_as(tmp_path / f"{number}" / f"{index}.dcm")
        (header,) = read_headers(str(tmp_path / f"{number}" / "0.dcm"), Limits())
        loader = Loader(plane=plane_of(header.orientation), sequences=(header.sequence,))
        study = loader.index(tmp_path / f"{number}")[0]
        volumes.append(loader.read(study, header.sequence))
    assert np.array_equal(volumes[0].pixels, volumes[1].pixels)
    assert np.array_equal(volumes[0].affine, volumes[1].affine)
    assert volumes[0].pixels.std() > 1
