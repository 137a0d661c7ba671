"""NIfTI that nobody here made."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from cervispine import Preprocessor
from cervispine.exceptions import NoDicomError, NoImagesError
from cervispine.loading import Loader, NiftiLoader


def test_nifti_of_the_ge_series_equals_its_dicom(shared: Path) -> None:
    folder = shared / "data" / "dicom2nifti"
    converted = NiftiLoader(sequences=("unknown",)).index(folder)
    assert converted.intake is not None
    assert [p.code for p in converted.intake.problems if p.fate == "noted"] == ["UNITS_ASSUMED"]
    theirs = NiftiLoader().read(converted[0], "unknown")
    loader = Loader(sequences=("GRE",))
    ours = loader.read(loader.index(folder / "ge_sagittal")[0], "GRE")
    assert theirs.affine == pytest.approx(ours.affine, abs=1e-4)
    assert np.array_equal(theirs.pixels, ours.pixels)
    # A patient who comes once as DICOM and once as NIfTI is known again.
    original = loader.index(folder / "ge_sagittal")[0].series[0]
    assert converted[0].series[0].pixel_hash == original.pixel_hash
    assert converted[0].series[0].appearance == original.appearance


def test_real_t2_is_reoriented_and_cut_through_the_cord(shared: Path) -> None:
    folder = shared / "data" / "sct" / "t2"
    cohort = NiftiLoader().index(folder)
    assert cohort.intake is not None
    assert (cohort.intake.found, cohort.intake.used, cohort.intake.ignored) == (4, 1, 3)
    assert nibabel.aff2axcodes(nibabel.load(folder / "t2.nii.gz").affine) == ("P", "S", "R")
    volume = NiftiLoader().read(cohort[0])
    assert volume.pixels.shape == (52, 55, 60)
    raw = nibabel.load(folder / "t2.nii.gz").get_fdata()
    assert np.array_equal(volume.pixels, raw.transpose(2, 1, 0)[:, ::-1])

    preprocessor = Preprocessor(slices=1)
    middle = preprocessor.prepare(volume)
    assert np.array_equal(preprocessor.transform(cohort)[0].numpy(), middle.pixels)
    # Each pixel of the slice, by its position, in the mask that a person drew.
    mask = nibabel.load(folder / "t2_seg-manual.nii.gz")
    indices = np.indices(middle.pixels.shape).reshape(3, -1)
    points = middle.affine @ np.vstack([indices, np.ones(indices.shape[1])])
    voxels = np.linalg.inv(mask.affine) @ np.diag([-1.0, -1, 1, 1]) @ points
    nearest = np.rint(voxels[:3]).astype(int)
    inside = ((nearest >= 0) & (nearest < np.reshape(mask.shape, (3, 1)))).all(axis=0)
    cord = np.asarray(mask.dataobj)[tuple(nearest[:, inside])] > 0
    rows = np.unique(indices[1, inside][cord])
    # The cord runs through the whole height of this image, 55 mm.
    assert (rows.max() - rows.min()) * 0.7 > 45


def test_contrast_and_plane_of_real_nifti(shared: Path) -> None:
    folder = shared / "data" / "sct"
    with pytest.raises(NoImagesError, match="T1, not T2"):
        NiftiLoader().index(folder / "t1")
    assert NiftiLoader(sequences=("T1",)).index(folder / "t1")[0].series[0].sequence == "T1"
    cohort = NiftiLoader().index(folder)
    assert cohort.patients == ("PAM50_small", "t2")
    assert cohort.intake is not None
    assert [p.reason for p in cohort.intake.problems if p.code == "PLANE_OTHER"] == [
        "axial, not sagittal"
    ]
    assert NiftiLoader().read(cohort[0]).spacing == pytest.approx((1, 2, 1))
    assert Preprocessor().transform(cohort).shape == (2, 3, 224, 224)


def test_nifti_where_dicom_is_looked_for_is_named(shared: Path) -> None:
    with pytest.raises(NoDicomError) as caught:
        Loader().index(shared / "data" / "sct" / "t2")
    assert "4 of the files are NIfTI: --loader nifti, or NiftiLoader()" in caught.value.advice
