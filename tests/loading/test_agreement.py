"""Other readers see the same voxels at the same places: SimpleITK (GDCM) and highdicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from cervispine.loading import Loader

Reading = tuple[np.ndarray, np.ndarray]

PLANES = {
    "sagittal": [[0, 1, 0], [0, 0, -1]],
    "sagittal, rows run back": [[0, -1, 0], [0, 0, -1]],
    "sagittal, rows run down": [[0, 0, -1], [0, 1, 0]],
    "coronal": [[1, 0, 0], [0, 0, -1]],
    "axial": [[1, 0, 0], [0, 1, 0]],
}


def by_simpleitk(paths: list[Path]) -> Reading:
    """Return (slices, rows, columns) and the affine of those indices."""
    sitk = pytest.importorskip("SimpleITK")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(paths[0].parent))
    image = sitk.ReadImage(names if len(paths) > 1 else str(paths[0]))
    direction = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine = np.eye(4)
    affine[:3, :3] = direction[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image), affine


def by_highdicom(paths: list[Path]) -> Reading:
    highdicom = pytest.importorskip("highdicom")
    if len(paths) > 1:
        volume = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in paths])
    else:
        volume = highdicom.imread(paths[0]).get_volume(apply_real_world_transform=False)
    return volume.array, volume.affine


@pytest.mark.parametrize("read", [by_simpleitk, by_highdicom])
@pytest.mark.parametrize("form", ["one file a slice", "enhanced"])
@pytest.mark.parametrize("plane", PLANES)
def test_order_places_and_values(
    tmp_path: Path,
    Series: Any,
    enhance: Any,
    plane: str,
    form: str,
    read: Callable[[list[Path]], Reading],
) -> None:
    tilt = Rotation.from_euler("xyz", [4, -7, 11], degrees=True)
    series = Series(
        shape=(4, 18, 14),
        orientation=tuple(tilt.apply(PLANES[plane]).ravel()),
        slopes=(0.5,) * 4,
        intercepts=(-20,) * 4,
    )
    if form == "enhanced":
        dataset = enhance(series)
        # highdicom takes the stray slope of the top of the header, where one is.
        for keyword in ("RescaleSlope", "RescaleIntercept"):
            del dataset[keyword]
        paths = [tmp_path / "one.dcm"]
        dataset.save_as(paths[0], enforce_file_format=True)
    else:
        paths = series.write(tmp_path)
    loader = Loader(plane=plane.split(",")[0])
    volume = loader.read(loader.index(tmp_path)[0])
    theirs, affine = read(paths)
    indices = np.indices(volume.pixels.shape).reshape(3, -1)
    places = (
        np.linalg.inv(affine) @ volume.affine @ np.vstack([indices, np.ones(indices.shape[1])])
    )[:3]
    nearest = np.rint(places).astype(int)
    assert np.abs(places - nearest).max() < 2e-3
    assert nearest.min() == 0
    assert sorted(nearest.max(axis=1) + 1) == sorted(theirs.shape)
    values = theirs[tuple(nearest)].reshape(volume.pixels.shape)
    assert np.allclose(values, volume.pixels, rtol=0, atol=1e-3)
    assert len(np.unique(values)) > 50
