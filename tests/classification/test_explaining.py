from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import cervispine.classification.explaining as explaining
from cervispine import Backbone, Cohort, OPLLClassifier, Preprocessor, Series, Study, Volume
from cervispine.classification import Heatmap
from cervispine.classification.explaining import onto_series
from cervispine.classification.pooling import FEATURES, AttentionOverSlices, PooledSlices
from cervispine.exceptions import BackboneContractError, UsageError
from cervispine.records import Geometry

#: Side of a cell of the network's layer, in pixels of the prepared images.
CELL = 2


class Lamp(nn.Module):
    """The mean of each cell of the image, and its sum over all cells as the evidence for class 1.

    The other logits are 0; ``outputs`` of them, the evidence standing in the second.
    """

    def __init__(self, *, outputs: int = 2) -> None:
        super().__init__()
        self.cells = nn.AvgPool2d(CELL)
        self.outputs = outputs

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        # The darkness of the images takes no part: what is left is the spot.
        cells: torch.Tensor = self.cells(torch.relu(images - 3))
        evidence = cells.sum(dim=(1, 2, 3))
        place = torch.eye(self.outputs, device=images.device)[1]
        return evidence[:, None] * place


@attrs.frozen(eq=False)
class SpotLoader:
    """Reads any series as darkness with a bright spot at one place of the patient."""

    spot: tuple[float, float, float]
    radius: float = 2.0

    def read(
        self, study: Study | Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        assert slices is None
        series = study.one_series(sequence) if isinstance(study, Study) else study
        affine = series.geometry.affine
        positions = np.moveaxis(np.indices(series.shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
        offset = positions - self.spot
        normal = series.geometry.normal
        across = np.abs(offset @ normal) < series.geometry.slice_spacing / 2
        beside = np.linalg.norm(offset - (offset @ normal)[..., None] * normal, axis=-1)
        # A little unevenness, since a plain image is refused.
        pixels = 100 * (across & (beside < self.radius)) + np.arange(series.shape[2]) % 2
        return Volume(pixels=pixels, affine=affine, sequence=sequence)


def series_of(
    row: Sequence[float],
    column: Sequence[float],
    *,
    shape: tuple[int, int, int] = (7, 96, 80),
    pixel_spacing: tuple[float, float] = (0.9, 0.6),
    gap: float = 3.3,
    sequence: str = "T2",
) -> Series:
    """Return a series centred on the patient's origin."""
    step = gap * np.cross(row, column)
    half = (np.array(shape) - 1) / 2
    steps = np.column_stack(
        [step, np.multiply(column, pixel_spacing[0]), np.multiply(row, pixel_spacing[1])]
    )
    x, y, z = (-steps @ half).tolist()
    return Series(
        uid=f"1.2.3.{sequence[1]}",
        plane="sagittal",
        sequence=sequence,
        files=(),
        shape=shape,
        geometry=Geometry(
            origin=(x, y, z),
            row_cosine=triple(row),
            column_cosine=triple(column),
            slice_step=triple(step),
            pixel_spacing=pixel_spacing,
        ),
        transfer_syntaxes=(),
    )


def triple(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def study_of(*series: Series) -> Study:
    return Study(patient="00123", uid="1.2.3", series=series)


def lamp_classifier(
    spot: tuple[float, float, float],
    *,
    pooling: str = "channels",
    sequences: Sequence[str] = ("T2",),
) -> OPLLClassifier:
    """Return a classifier, as if fitted, that answers to the spot alone."""
    classifier = OPLLClassifier(pooling=pooling)
    classifier.preprocessor_ = Preprocessor(
        size=(64, 64),
        spacing=1.0,
        slices=5,
        sequences=sequences,
        normalise="zscore",
        loader=SpotLoader(spot),
    )
    if pooling == "channels":
        classifier.module_ = Lamp()
    elif pooling == "attention":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            classifier.module_ = AttentionOverSlices(Lamp(outputs=FEATURES), slices=5)
    else:
        classifier.module_ = PooledSlices(Lamp(), slices=5, pooling=pooling)
    classifier.classes_ = np.array([0, 1])
    classifier.device_ = torch.device("cpu")
    classifier.offset_, classifier.temperature_, classifier.threshold_ = 0.0, 1.0, 0.5
    classifier.record_ = {"backbone": classifier.backbone}
    classifier.band_, classifier.domain_ = None, None
    return classifier


COSINE, SINE = np.cos(0.3), np.sin(0.3)

#: Orientations of a sagittal stack: direction along a row, direction along a column.
ORIENTATIONS = {
    "plain": ((0, 1, 0), (0, 0, -1)),
    "front to the right": ((0, -1, 0), (0, 0, -1)),
    "feet up": ((0, 1, 0), (0, 0, 1)),
    "lying": ((0, 0, -1), (0, 1, 0)),
    "oblique": ((SINE, COSINE, 0), (0, 0, -1)),
    "oblique and nodding": ((SINE * COSINE, COSINE**2, SINE), (-(SINE**2), -SINE * COSINE, COSINE)),
}

SPOT = (-3.3, 9.3, -11.7)


@pytest.fixture(autouse=True)
def lamp_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    lamp = Backbone(lambda **_: nn.Identity(), map_layer="cells")
    monkeypatch.setattr(explaining, "load_backbone", lambda name: lamp)


def distances(heatmap: Heatmap, spot: tuple[float, float, float]) -> np.ndarray:
    """How far each pixel's centre lies from a spot, mm."""
    affine = heatmap.volume.affine
    indices = np.moveaxis(np.indices(heatmap.values.shape), 0, -1)
    return np.linalg.norm(indices @ affine[:3, :3].T + affine[:3, 3] - spot, axis=-1)


def place_in(series: Series, *index: int) -> tuple[float, float, float]:
    x, y, z = (series.geometry.affine @ (*index, 1.0))[:3].tolist()
    return x, y, z


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
@pytest.mark.parametrize("name", ORIENTATIONS)
def test_what_the_network_sees_lights_up_where_it_lies(name: str, method: str) -> None:
    series = series_of(*ORIENTATIONS[name])
    spot = place_in(series, 2, 41, 47)
    heatmap = lamp_classifier(spot, pooling="mean").explain(study_of(series), method=method)
    assert heatmap.values.shape == heatmap.seen.shape == series.shape
    assert heatmap.peak is not None
    assert heatmap.peak.slice == 2
    away = distances(heatmap, spot)
    blurred = CELL if method == "grad-cam" else explaining.PATCH
    assert away[heatmap.peak.index] < blurred
    lit = heatmap.values > 0
    assert lit.any()
    assert away[lit].max() < 3 * blurred + 2
    weights = heatmap.values / heatmap.values.sum()
    affine = heatmap.volume.affine
    centre = affine[:3, :3] @ (np.indices(series.shape) * weights).sum((1, 2, 3)) + affine[:3, 3]
    assert np.linalg.norm(centre - spot) < (1 if method == "grad-cam" else 2.5)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_each_slice_has_its_own_map_where_slices_are_pooled(pooling: str) -> None:
    series = series_of(*ORIENTATIONS["plain"])
    classifier = lamp_classifier(place_in(series, 4, 30, 40), pooling=pooling)
    for method in ("grad-cam", "occlusion"):
        for target in (0, 1):
            heatmap = classifier.explain(study_of(series), method=method, target=target)
            assert {peak.slice for peak in heatmap.peaks()} <= {4}
            if heatmap.peaks():
                break
        else:
            pytest.fail(f"no evidence for either class by {method}")


def test_slices_side_by_side_share_the_map_of_grad_cam_and_not_of_occlusion() -> None:
    series = series_of(*ORIENTATIONS["plain"])
    classifier = lamp_classifier(place_in(series, 4, 30, 40))
    shared = classifier.explain(study_of(series)).values
    first, *others = np.flatnonzero(shared.any(axis=(1, 2)))
    assert len(others) == 4
    for number in others:
        np.testing.assert_allclose(shared[number], shared[first], atol=1e-6)
    alone = classifier.explain(study_of(series), method="occlusion")
    assert [peak.slice for peak in alone.peaks()] == [4]


@pytest.mark.parametrize("name", ORIENTATIONS)
@pytest.mark.parametrize("spacing", [0.45, 1.3])
def test_the_way_back_is_exact(name: str, spacing: float) -> None:
    # Linear interpolation keeps a function that is linear in the patient's coordinates.
    series = series_of(*ORIENTATIONS[name])
    volume = SpotLoader(SPOT).read(series)
    prepared = Preprocessor(size=(48, 40), spacing=spacing, slices=3).prepare(volume)

    def field(of: Volume) -> np.ndarray:
        indices = np.moveaxis(np.indices(of.pixels.shape), 0, -1)
        return (indices @ of.affine[:3, :3].T + of.affine[:3, 3]) @ (3.0, 0.7, -0.4)

    values, seen = onto_series(field(prepared).astype(np.float32), prepared, volume)
    index = np.moveaxis(np.indices(series.shape), 0, -1)
    back = np.linalg.inv(prepared.affine) @ volume.affine
    cells = index @ back[:3, :3].T + back[:3, 3]
    outside = np.maximum(-cells, cells - (np.array(prepared.pixels.shape) - 1)).max(axis=-1)
    np.testing.assert_array_equal(seen, outside < 0.5)
    inside = outside < 1e-6
    assert inside.any()
    np.testing.assert_allclose(values[inside], field(volume)[inside], atol=1e-3)
    assert not values[~seen].any()


def test_evidence_for_one_class_is_none_for_the_other() -> None:
    series = series_of(*ORIENTATIONS["plain"])
    heatmap = lamp_classifier(SPOT).explain(study_of(series), target=0)
    assert heatmap.target == "DSS"
    assert not heatmap.values.any()
    assert heatmap.peak is None
    assert heatmap.peaks() == ()
    table = heatmap.to_frame()
    assert list(table["slice"]) == list(heatmap.slices)
    assert len(table) == 5
    assert table["left_mm"].isna().all()


def test_two_sequences_have_one_map_on_the_grid_of_t2() -> None:
    t2 = series_of(*ORIENTATIONS["plain"])
    t1 = series_of(*ORIENTATIONS["lying"], shape=(7, 60, 90), sequence="T1")
    for method in explaining.METHODS:
        classifier = lamp_classifier(
            place_in(t2, 3, 30, 40), sequences=("T1", "T2"), pooling="mean"
        )
        heatmap = classifier.explain(study_of(t1, t2), method=method)
        assert heatmap.series is t2
        assert heatmap.values.shape == t2.shape
        assert heatmap.peak is not None
        assert heatmap.peak.slice == 3


def test_a_phantom_is_explained_as_it_is_classified(
    fitted: OPLLClassifier, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    study = cohort[0]
    heatmap = fitted.explain(study)
    assert heatmap.probability == pytest.approx(fitted.predict_proba([study])[0, 1], abs=1e-6)
    assert heatmap.called == bool(fitted.predict([study])[0])
    assert heatmap.synthetic
    assert heatmap.study == study.uid
    assert len(heatmap.slices) == fitted.preprocessor_.slices
    assert heatmap.provenance["backbone"] == "resnet34"
    assert heatmap.provenance["layer"]
    np.testing.assert_array_equal(heatmap.values, fitted.explain(study).values)


@pytest.mark.parametrize(
    ("wrong", "words"), [({"method": "lime"}, "grad-cam"), ({"target": 2}, "class 0 or 1")]
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, object], words: str) -> None:
    series = series_of(*ORIENTATIONS["plain"])
    with pytest.raises(UsageError, match=words):
        lamp_classifier(SPOT).explain(study_of(series), **wrong)  # type: ignore[arg-type]


def test_images_that_one_patch_would_cover_are_refused() -> None:
    subject = explaining.Subject(Lamp(), torch.zeros(1, 3, 16, 16), slices=3, sign=1)
    with pytest.raises(UsageError, match="the images are 8 mm, and occlusion hides 10 mm"):
        explaining.occlusion(subject, spacing=0.5, at_once=1)


def test_a_backbone_without_a_layer_leaves_occlusion(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Backbone(lambda **_: nn.Identity())
    study = study_of(series_of(*ORIENTATIONS["plain"]))
    monkeypatch.setattr(explaining, "load_backbone", lambda name: bare)
    with pytest.raises(UsageError, match="occlusion") as caught:
        lamp_classifier(SPOT).explain(study)
    assert caught.value.code == "MAP_LAYER_MISSING"
    assert lamp_classifier(SPOT).explain(study, method="occlusion").values.any()
    for layer in ("nowhere", ""):
        wrong = attrs.evolve(bare, map_layer=layer or "cells.0")
        monkeypatch.setattr(explaining, "load_backbone", lambda name, wrong=wrong: wrong)
        with pytest.raises(BackboneContractError, match="does not have"):
            lamp_classifier(SPOT).explain(study)
