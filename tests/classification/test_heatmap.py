from __future__ import annotations

import io
from pathlib import Path

import attrs
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cervispine import Predictions, Series, Volume
from cervispine.classification import Heatmap
from cervispine.classification.overlay import BANNER, Turned
from cervispine.exceptions import UsageError
from cervispine.records import Geometry

SHAPE = (4, 12, 9)

PREDICTION = Predictions(
    patients=("P1",),
    probabilities=np.array([0.7]),
    threshold=0.4,
    band=(0.2, 0.5),
    model="resnet34",
)


def heatmap_of(*, manufacturer: str = "ge") -> Heatmap:
    geometry = Geometry(
        origin=(6.0, -20.0, 30.0),
        row_cosine=(0.0, 1.0, 0.0),
        column_cosine=(0.0, 0.0, -1.0),
        slice_step=(-3.0, 0.0, 0.0),
        pixel_spacing=(2.0, 1.5),
    )
    values = np.zeros(SHAPE, dtype=np.float32)
    seen = np.zeros(SHAPE, dtype=bool)
    seen[1:4, 2:10, 1:8] = True
    values[1, 5, 4], values[2, 7, 3] = 0.5, 2.0
    pixels = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    return Heatmap(
        values=values,
        seen=seen,
        volume=Volume(pixels=pixels, affine=geometry.affine, sequence="T2"),
        series=Series(
            uid="1.2.3.4",
            plane="sagittal",
            sequence="T2",
            files=(),
            shape=SHAPE,
            geometry=geometry,
            transfer_syntaxes=(),
            protocol={"manufacturer": manufacturer},
        ),
        study="1.2.3",
        method="grad-cam",
        target="OPLL",
        prediction=PREDICTION,
    )


def test_peaks_are_told_in_the_patient() -> None:
    heatmap = heatmap_of()
    assert heatmap.slices == (1, 2, 3)
    first, second = heatmap.peaks()
    assert (first.slice, first.index, first.value) == (1, (1, 5, 4), 0.5)
    assert first.position == pytest.approx((3.0, -14.0, 20.0))
    assert heatmap.peak == second
    assert second.position == pytest.approx((0.0, -15.5, 16.0))
    table = heatmap.to_frame()
    assert list(table["slice"]) == [1, 2, 3]
    assert list(table["value"]) == [0.5, 2.0, 0.0]
    assert table.loc[1, ["left_mm", "posterior_mm", "superior_mm"]].tolist() == [0.0, -15.5, 16.0]
    assert table.loc[2].isna().tolist() == [False, False, True, True, True, True, True]


def test_a_heat_map_does_not_change() -> None:
    heatmap = heatmap_of()
    with pytest.raises(ValueError, match="read-only"):
        heatmap.values[0, 0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        heatmap.seen[0, 0, 0] = True
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        heatmap.method = "other"  # type: ignore[misc]
    with pytest.raises(ValueError, match="shapes"):
        attrs.evolve(heatmap, seen=heatmap.seen[:2])


def test_a_volume_read_from_other_planes_is_shown_in_sagittal_ones() -> None:
    heatmap = heatmap_of()
    # The same patient with columns for slices: axes (row, column, slice).
    order = (1, 2, 0)
    affine = heatmap.volume.affine[:, [*order, 3]]
    axial = attrs.evolve(
        heatmap,
        values=heatmap.values.transpose(order),
        seen=heatmap.seen.transpose(order),
        volume=attrs.evolve(
            heatmap.volume, pixels=heatmap.volume.pixels.transpose(order), affine=affine
        ),
    )
    assert axial.sagittal_axis == 2
    assert axial.slices == heatmap.slices
    assert [peak.position for peak in axial.peaks()] == [peak.position for peak in heatmap.peaks()]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("down", [1, -1])
@pytest.mark.parametrize("across", [1, -1])
def test_pictures_are_head_up_and_front_to_the_left(
    transposed: bool, down: int, across: int
) -> None:
    # Pixels that hold how far they are to superior and to posterior.
    steps = np.array([[0, 0], [0, across * 2.0], [down * 3.0, 0]])
    rows, columns = np.indices((6, 4))
    superior, posterior = rows * steps[2, 0], columns * steps[1, 1]
    if transposed:
        steps, superior, posterior = steps[:, ::-1], superior.T, posterior.T
    turned = Turned.of(steps)
    assert turned.aspect == pytest.approx(1.5)
    assert (np.diff(turned.apply(superior.astype(np.float32)), axis=0) == -3).all()
    assert (np.diff(turned.apply(posterior.astype(np.float32)), axis=1) == 2).all()


def test_a_phantom_is_called_one_and_a_patient_is_not() -> None:
    for manufacturer, expected in (("cervispine", True), ("ge", False)):
        ax = heatmap_of(manufacturer=manufacturer).plot(Figure().subplots())
        assert (BANNER in [text.get_text() for text in ax.texts]) == expected


def test_a_slice_is_drawn_with_its_evidence_and_the_strongest_pixel() -> None:
    heatmap = heatmap_of()
    ax = heatmap.plot(Figure().subplots())
    assert ax.get_title() == "slice 2"
    grey, colours = ax.images
    np.testing.assert_array_equal(grey.get_array(), heatmap.volume.pixels[2])
    assert colours.get_array().max() == 1
    assert [line.get_xydata().tolist() for line in ax.lines] == [[[3, 7]]]
    assert not heatmap.plot(Figure().subplots(), slice=3).lines
    with pytest.raises(UsageError, match=r"\(1, 2, 3\)"):
        heatmap.plot(Figure().subplots(), slice=0)


def test_a_study_without_evidence_is_drawn_all_the_same() -> None:
    heatmap = heatmap_of()
    dark = attrs.evolve(heatmap, values=np.zeros(SHAPE))
    assert dark.peak is None
    assert len(dark.plot(Figure().subplots()).images) == 1
    assert dark.to_png().startswith(b"\x89PNG")


def test_the_picture_is_the_same_each_time(tmp_path: Path) -> None:
    heatmap = heatmap_of(manufacturer="cervispine")
    content = heatmap.to_png(tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes() == content == heatmap.to_png()
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.width > picture.height
        assert "Software" not in picture.info


def test_the_arrays_come_back(tmp_path: Path) -> None:
    heatmap = heatmap_of()
    heatmap.to_npz(tmp_path / "map.npz")
    with np.load(tmp_path / "map.npz") as saved:
        np.testing.assert_array_equal(saved["values"], heatmap.values)
        np.testing.assert_array_equal(saved["seen"], heatmap.seen)
        np.testing.assert_array_equal(saved["affine"], heatmap.volume.affine)
        assert str(saved["series"]) == heatmap.series.uid


def test_it_says_what_the_prediction_says() -> None:
    heatmap = heatmap_of()
    assert (heatmap.probability, heatmap.threshold, heatmap.called) == (0.7, 0.4, True)
    assert heatmap.advice == "CT advised"
    below = attrs.evolve(PREDICTION, probabilities=np.array([0.3]))
    undecided = attrs.evolve(heatmap, prediction=below)
    assert not undecided.called
    assert undecided.advice == "CT advised"


def test_it_is_of_one_study() -> None:
    two = attrs.evolve(PREDICTION, patients=("P1", "P2"), probabilities=np.array([0.7, 0.1]))
    with pytest.raises(ValueError, match="one study"):
        attrs.evolve(heatmap_of(), prediction=two)
