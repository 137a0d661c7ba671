"""Preprocessor: studies and volumes to tensors, as a scikit-learn estimator and as a value."""

from __future__ import annotations

import json
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pydicom
import pytest
import torch
from joblib import Parallel, delayed
from sklearn.base import clone

from cervispine import Loader, Preprocessor, Volume
from cervispine.exceptions import GeometryError, LoadError, PixelError, UsageError

if TYPE_CHECKING:
    from conftest import Painted

SMALL = {"size": (64, 48), "spacing": 2.0}


def test_a_painted_patient_goes_through_from_files_to_tensor(painted: Painted) -> None:
    tensor = Preprocessor().transform(painted.cohort("T2"))
    assert tensor.shape == (1, 3, 224, 224)
    assert tensor.dtype == torch.float32
    assert (float(tensor.min()), float(tensor.max())) == (0.0, 1.0)
    assert 0.1 < float(tensor.mean()) < 0.9
    # The files hold what was painted, so the volume gives the same.
    direct = Preprocessor().transform([painted.t2])
    torch.testing.assert_close(tensor, direct, atol=1e-4, rtol=0)


def test_a_loader_made_by_name_reads_what_one_with_other_parameters_indexed(
    painted: Painted, tmp_path: Path
) -> None:
    shutil.copytree(painted.folder, tmp_path / "data")
    path = painted.cohort("T2")[0].series[0].files[2]
    path = tmp_path / "data" / path.relative_to(painted.folder)
    dataset = pydicom.dcmread(path)
    dataset.ImagePositionPatient[0] += 1.0
    dataset.save_as(path)
    loader = Loader(spacing_tolerance=0.45)
    cohort = loader.index(tmp_path / "data")
    by_name = Preprocessor(**SMALL).transform(cohort)
    assert torch.equal(by_name, Preprocessor(**SMALL, loader=loader).transform(cohort))


def test_the_history_tells_every_step_in_order(painted: Painted) -> None:
    study = painted.cohort("T2")[0]
    read = Loader().read(study, "T2")
    prepared = Preprocessor().prepare(read)
    assert prepared.history[: len(read.history)] == read.history
    steps = prepared.history[len(read.history) :]
    assert len(steps) == 4
    starts = ("oriented", "slice ", "cut 3 slices", "normalised")
    assert all(step.startswith(start) for step, start in zip(steps, starts, strict=True))
    assert "plane of symmetry" in steps[1]
    assert painted.identifier not in " ".join(prepared.history)
    assert prepared.sequence == "T2"


def test_the_prepared_volume_has_the_spacing_and_shape_asked_for(painted: Painted) -> None:
    prepared = Preprocessor(size=(100, 80), spacing=1.1, slices=5).prepare(painted.t2)
    assert prepared.pixels.shape == (5, 100, 80)
    assert prepared.spacing == pytest.approx((painted.t2.spacing[0], 1.1, 1.1))


@pytest.mark.parametrize(
    ("order", "signs"),
    [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)],
)
def test_how_the_stack_is_stored_does_not_matter(
    painted: Painted, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    pixels, affine = painted.t2.pixels.transpose(order), painted.t2.affine.copy()
    affine[:3, :3] = affine[:3, order]
    for axis in (axis for axis in range(3) if signs[axis] < 0):
        affine[:3, 3] += affine[:3, axis] * (pixels.shape[axis] - 1)
        affine[:3, axis] *= -1
        pixels = np.flip(pixels, axis)
    preprocessor = Preprocessor(**SMALL)
    expected = preprocessor.prepare(painted.t2)
    prepared = preprocessor.prepare(Volume(pixels=pixels, affine=affine, sequence="T2"))
    np.testing.assert_allclose(prepared.pixels, expected.pixels, atol=1e-5)
    np.testing.assert_allclose(prepared.affine, expected.affine, atol=1e-6)


@pytest.mark.parametrize(("gain", "offset"), [(7.5, 0.0), (0.02, 0.0), (1.0, 50.0)])
def test_the_scanners_scale_does_not_matter(painted: Painted, gain: float, offset: float) -> None:
    scaled = attrs.evolve(painted.t2, pixels=gain * painted.t2.pixels + offset)
    preprocessor = Preprocessor(**SMALL)
    np.testing.assert_allclose(
        preprocessor.prepare(scaled).pixels, preprocessor.prepare(painted.t2).pixels, atol=1e-3
    )


def test_sequences_are_channels_cut_from_one_place(painted: Painted) -> None:
    cohort = painted.cohort("T2", "T1")
    both = Preprocessor(**SMALL, sequences=("T2", "T1")).transform(cohort)
    swapped = Preprocessor(**SMALL, sequences=("T1", "T2")).transform(cohort)
    assert both.shape == (1, 6, 64, 48)
    # T2 decides where, whichever comes first.
    assert torch.equal(both[:, :3], swapped[:, 3:])
    assert torch.equal(both[:, 3:], swapped[:, :3])
    assert torch.equal(both[:, :3], Preprocessor(**SMALL).transform(cohort))
    assert not torch.allclose(both[:, :3], both[:, 3:], atol=0.2)


def test_neither_workers_nor_neighbours_change_a_result(painted: Painted) -> None:
    preprocessor = Preprocessor(**SMALL)
    flipped = attrs.evolve(painted.t2, pixels=painted.t2.pixels[:, :, ::-1])
    other = attrs.evolve(painted.t1, sequence="T2")
    volumes = [painted.t2, flipped, other, painted.t2]
    together = preprocessor.transform(volumes)
    alone = torch.cat([preprocessor.transform([each]) for each in volumes])
    with ThreadPoolExecutor(3) as threads:
        threaded = torch.cat(
            list(threads.map(lambda each: preprocessor.transform([each]), volumes))
        )
    assert torch.equal(together, alone)
    assert torch.equal(together, threaded)
    assert torch.equal(together[0], together[3])
    assert not torch.equal(together[0], together[1])


def test_other_processes_give_the_same(painted: Painted) -> None:
    preprocessor = Preprocessor(**SMALL)
    studies = list(painted.cohort("T2"))
    (result,) = Parallel(n_jobs=2)([delayed(preprocessor.transform)(studies)])
    assert torch.equal(result, preprocessor.transform(studies))


def test_nothing_gives_an_empty_batch() -> None:
    assert Preprocessor(**SMALL).transform([]).shape == (0, 3, 64, 48)


def test_the_volume_given_is_left_alone(painted: Painted) -> None:
    pixels, affine = painted.t2.pixels.copy(), painted.t2.affine.copy()
    Preprocessor(**SMALL).prepare(painted.t2)
    np.testing.assert_array_equal(painted.t2.pixels, pixels)
    np.testing.assert_array_equal(painted.t2.affine, affine)


def test_a_real_series(shared: Path) -> None:
    cohort = Loader(sequences=("GRE",)).index(shared / "data" / "dicom2nifti" / "ge_sagittal")
    preprocessor = Preprocessor(sequences=("GRE",))
    tensor = preprocessor.transform(cohort)
    assert tensor.shape == (1, 3, 224, 224)
    volume = Loader(sequences=("GRE",)).read(cohort[0], "GRE")
    prepared = preprocessor.prepare(volume)
    np.testing.assert_array_equal(tensor[0], prepared.pixels)
    # From right to left, superior to inferior, anterior to posterior, in LPS.
    assert prepared.affine[0, 0] > 0.9
    assert prepared.affine[2, 1] == pytest.approx(-0.7, abs=1e-3)
    assert prepared.affine[1, 2] == pytest.approx(0.7, abs=1e-2)


def test_settings_survive_json() -> None:
    preprocessor = Preprocessor(
        size=(96, 64), spacing=0.9, slices=5, sequences=("T2", "T1"), normalise="zscore"
    )
    settings = json.loads(json.dumps(preprocessor.settings()))
    again = Preprocessor.from_settings(settings)
    assert again.get_params(deep=False) == preprocessor.get_params(deep=False)
    assert again.settings() == preprocessor.settings()


def test_it_clones_pickles_and_has_parameters(painted: Painted) -> None:
    preprocessor = Preprocessor(**SMALL, loader=Loader())
    expected = preprocessor.transform([painted.t2])
    for copy in (clone(preprocessor), pickle.loads(pickle.dumps(preprocessor))):
        assert copy is not preprocessor
        assert copy.settings() == preprocessor.settings()
        assert torch.equal(copy.transform([painted.t2]), expected)
    assert clone(preprocessor).set_params(slices=1).transform([painted.t2]).shape[1] == 1
    assert torch.equal(preprocessor.fit_transform([painted.t2]), expected)


CANNOT_BE_MEANT: list[dict[str, Any]] = [
    {"size": (224,)},
    {"size": (224, 8)},
    {"size": (224.0, 224)},
    {"size": 224},
    {"spacing": 0},
    {"spacing": -0.7},
    {"spacing": float("nan")},
    {"spacing": 10},
    {"spacing": "0.7"},
    {"slices": 2},
    {"slices": 0},
    {"slices": -1},
    {"slices": 3.0},
    {"sequences": "T2"},
    {"sequences": ()},
    {"sequences": ("T2", "T2")},
    {"normalise": "minmax"},
]


@pytest.mark.parametrize("parameters", CANNOT_BE_MEANT, ids=str)
def test_parameters_are_refused_when_used_not_when_set(
    painted: Painted, parameters: dict[str, Any]
) -> None:
    preprocessor = Preprocessor(**parameters)
    for use in (
        preprocessor.fit,
        lambda: preprocessor.transform([painted.t2]),
        lambda: preprocessor.prepare(painted.t2),
    ):
        with pytest.raises(UsageError) as caught:
            use()
        assert caught.value.code == "USAGE"
        assert next(iter(parameters)) in caught.value.what


@pytest.mark.parametrize("parameters", CANNOT_BE_MEANT, ids=str)
def test_settings_that_cannot_be_meant_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Preprocessor.from_settings({**Preprocessor().settings(), **parameters})


def test_settings_missing_or_unknown_are_refused() -> None:
    settings = Preprocessor().settings()
    with pytest.raises(UsageError, match="'zoom'"):
        Preprocessor.from_settings({**settings, "zoom": 2})
    del settings["spacing"]
    with pytest.raises(UsageError, match="'spacing'"):
        Preprocessor.from_settings(settings)


def test_a_volume_of_another_sequence_is_refused(painted: Painted) -> None:
    other = attrs.evolve(painted.t2, sequence="T1")
    with pytest.raises(UsageError, match="a volume of T1, and the preprocessor is for T2"):
        Preprocessor().transform([other])
    assert len(Preprocessor(**SMALL, sequences=("T1",)).transform([other])) == 1
    assert len(Preprocessor(**SMALL).transform([attrs.evolve(other, sequence="unknown")])) == 1


def test_what_is_neither_study_nor_volume_is_refused(painted: Painted) -> None:
    with pytest.raises(UsageError, match="not of ndarray"):
        Preprocessor().transform([np.ones((3, 4, 4))])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="several sequences"):
        Preprocessor(sequences=("T2", "T1")).transform([painted.t2])


def test_faults_of_a_study_name_its_uid_and_never_the_patient(
    painted: Painted, tmp_path: Path
) -> None:
    study = painted.cohort("T2")[0]
    with pytest.raises(LoadError) as few:
        Preprocessor(**SMALL, slices=99).transform([study])
    assert few.value.code == "SLICES_TOO_FEW"
    assert f"study {study.uid}: 13 slices in T2" in few.value.what
    with pytest.raises(LoadError) as absent:
        Preprocessor(**SMALL, sequences=("T1",)).transform([study])
    assert absent.value.code == "SERIES_MISSING"
    gone = attrs.evolve(study.series[0], files=(tmp_path / "gone.dcm",) * 13)
    with pytest.raises(LoadError) as lost:
        Preprocessor(**SMALL).transform([attrs.evolve(study, series=(gone,))])
    for caught in (few, absent, lost):
        assert study.uid in str(caught.value)
        assert painted.identifier not in str(caught.value)


def test_volumes_that_hold_nothing_or_lie_askew_are_refused(painted: Painted) -> None:
    blank = attrs.evolve(painted.t2, pixels=np.full(painted.t2.pixels.shape, 7.0))
    with pytest.raises(PixelError) as degenerate:
        Preprocessor(**SMALL).prepare(blank)
    assert degenerate.value.code == "IMAGE_DEGENERATE"
    affine = painted.t2.affine @ np.array(
        [[1, 0, 0, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 0, 0, 1.0]]
    )
    with pytest.raises(GeometryError) as askew:
        Preprocessor(**SMALL).prepare(attrs.evolve(painted.t2, affine=affine))
    assert askew.value.code == "PLANE_OTHER"
