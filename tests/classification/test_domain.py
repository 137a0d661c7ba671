"""What is unlike the training part is flagged, what is like it is not, by protocol and by image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from cervispine import Cohort, Loader, NiftiLoader, OPLLClassifier, Preprocessor
from cervispine.classification.domain import FALSE_ALARMS, Domain, image_statistics
from cervispine.classification.protocols import Protocols
from cervispine.exceptions import DataWarning
from cervispine.phantom import Phantom, ProtocolRanges
from cervispine.records import Study


def textures(random: np.random.Generator, count: int, *, noise: float = 0.05) -> torch.Tensor:
    """Return images that are alike but never the same: blurred noise of a contrast of its own."""
    images = gaussian_filter(random.normal(size=(count, 3, 64, 64)), (0, 0.6, 3, 3))
    images *= random.uniform(2, 4, (count, 1, 1, 1))
    images += 0.5 + random.normal(scale=noise, size=images.shape)
    return torch.from_numpy(np.clip(images, 0, 1).astype(np.float32))


def domain_of(cohort: Cohort, pixels: torch.Tensor, validation: int) -> Domain:
    held_out = np.arange(len(pixels)) < validation
    # The protocols of a study repeated are its own.
    return Domain.of([cohort[0]] * len(pixels), pixels, held_out, ("T2",))


@pytest.mark.parametrize("validation", [6, 12, 40])
def test_usual_images_are_flagged_as_often_as_stated(cohort: Cohort, validation: int) -> None:
    random = np.random.default_rng(0)
    rates = []
    for _ in range(12):
        domain = domain_of(cohort, textures(random, 60 + validation), validation)
        rates.append((domain.strangeness(textures(random, 50)) > 1 - FALSE_ALARMS).mean())
    # 600 images of 12 domains, which scatter; twice the rate would be a fault, and so would none.
    assert 0 < np.mean(rates) <= 2 * FALSE_ALARMS


@pytest.mark.parametrize(
    "changed",
    [
        lambda images: textures(np.random.default_rng(1), 20, noise=0.15),
        lambda images: torch.from_numpy(gaussian_filter(images.numpy(), (0, 0, 1.5, 1.5))),
        lambda images: torch.from_numpy(gaussian_filter(images.numpy(), (0, 2, 0, 0))),
        lambda images: images**3,
        lambda images: 1 - images * 0.5,
    ],
    ids=["noisier", "blurred", "slices-alike", "darker", "inverted"],
)
def test_images_of_another_kind_are_flagged(cohort: Cohort, changed: Any) -> None:
    random = np.random.default_rng(0)
    domain = domain_of(cohort, textures(random, 80), 20)
    strangeness = domain.strangeness(changed(textures(random, 20)))
    assert (strangeness > 1 - FALSE_ALARMS).mean() > 0.9


def test_statistics_do_not_depend_on_the_company(cohort: Cohort) -> None:
    images = textures(np.random.default_rng(0), 70)
    together = image_statistics(images)
    assert together.shape == (70, 14)
    assert np.isfinite(together).all()
    assert np.array_equal(image_statistics(images[40:41])[0], together[40])
    assert image_statistics(images[:, :1]).shape == (70, 12)
    # Slices that are all the same have a correlation that is clipped, and none that is not finite.
    assert np.isfinite(image_statistics(torch.zeros(2, 3, 64, 64))).all()


def test_what_did_not_vary_in_training_divides_nothing_by_zero(cohort: Cohort) -> None:
    # Air all around: the lower quantiles are 0 in each image.
    random = np.random.default_rng(0)
    images = textures(random, 60)
    images[:, :, :, :20] = 0
    domain = domain_of(cohort, images, 20)
    assert (image_statistics(images)[:, :2] == 0).all()
    usual = textures(random, 40)
    usual[:, :, :, :20] = 0
    assert (domain.strangeness(usual) > 1 - FALSE_ALARMS).mean() < 0.2
    assert (domain.strangeness(textures(random, 40)) > 1 - FALSE_ALARMS).mean() > 0.9


def changed(study: Study, **changes: Any) -> Study:
    series = study.series[0]
    return attrs.evolve(study, series=(attrs.evolve(series, **changes),))


def test_protocols_differ_where_they_lie_outside_the_training(cohort: Cohort) -> None:
    protocols = Protocols.of(cohort, ("T2",))
    assert all(protocols.differences(study) == () for study in cohort)
    assert Protocols.from_dict(protocols.to_dict()) == protocols
    study = cohort[0]
    protocol = dict(study.series[0].protocol)
    other = changed(
        study,
        protocol=protocol | {"manufacturer": "ge", "echo_time_ms": 12.0, "field_strength_t": 7.0},
        shape=(60, 64, 64),
    )
    differences = protocols.differences(other)
    assert differences[0] == "manufacturer ge, trained on cervispine"
    assert "field strength 7 T, trained on 1.5 to 3 T" in differences
    assert any(each.startswith("echo time 12 ms, trained on ") for each in differences)
    assert {each.split(" 6")[0] for each in differences} >= {
        "number of slices", "smaller side of the matrix"
    }  # fmt: skip
    # A little beyond the range is no difference, and neither is what is not stated.
    longest = max(each.series[0].protocol["echo_time_ms"] for each in cohort)
    for little in ({"echo_time_ms": longest * 1.15}, {"echo_time_ms": "?"}):
        assert protocols.differences(changed(study, protocol=protocol | little)) == ()
    assert protocols.differences(changed(study, protocol={})) == ()
    # A sequence that the model does not read is none of its business.
    assert protocols.differences(changed(study, sequence="T1", protocol={"echo_time_ms": 1})) == ()


@pytest.mark.parametrize(
    "content", [{"T2": {}}, {"T2": {"ranges": {"shoe size": [1, 2]}, "manufacturers": []}},
                {"T2": {"ranges": {"slices": [1, float("inf")]}, "manufacturers": []}}],
)  # fmt: skip
def test_what_are_no_protocols_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError)):
        Protocols.from_dict(content)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """Return phantoms of the same scanners that the fitted model has never seen."""
    folder = tmp_path_factory.mktemp("fresh")
    return Loader().index(Phantom(n_opll=4, n_dss=6, difficulty=0.1, seed=77).write(folder).dicom)


def test_fresh_phantoms_are_like_the_training(fresh: Cohort, fitted: OPLLClassifier) -> None:
    predictions = fitted.classify(fresh)
    # Ten studies at 5 %: more than three flagged have a chance of one in a thousand.
    assert predictions.unlike.sum() <= 3
    assert predictions.out_of_distribution is not None
    assert ((predictions.out_of_distribution >= 0) & (predictions.out_of_distribution <= 1)).all()


def test_another_scanner_is_told(tmp_path: Path, fitted: OPLLClassifier) -> None:
    scanner = ProtocolRanges(matrices=(192,), fields_of_view=(330.0,), t2_echo=(200.0, 205.0))
    other = Phantom(n_opll=1, n_dss=1, difficulty=0.1, seed=78, protocols=scanner).write(tmp_path)
    studies = Loader().index(other.dicom)
    with pytest.warns(DataWarning, match=r"\[UNLIKE_TRAINING\] 2 of 2 studies") as caught:
        predictions = fitted.classify(studies)
    assert predictions.unlike.all()
    assert set(predictions.advice) == {"CT advised"}
    assert predictions.unlike_training is not None
    (reasons, _) = predictions.unlike_training
    assert any("echo time 20" in reason for reason in reasons)
    assert any("smaller side of the matrix 192" in reason for reason in reasons)
    (warning,) = caught
    assert warning.filename == __file__
    assert studies[0].uid in str(warning.message)
    assert studies[0].patient not in str(warning.message)


def real_studies(shared: Path) -> dict[str, Study]:
    data = shared / "data"
    t2 = NiftiLoader().index(data / "sct" / "t2" / "t2.nii.gz")[0]
    t1 = NiftiLoader(sequences=("T1",)).index(data / "sct" / "t1" / "t1w.nii.gz")[0]
    ge = Loader(sequences=("GRE",)).index(data / "dicom2nifti" / "ge_sagittal")[0]
    # As an archive might label them wrongly.
    return {"t2": t2, "t1": changed(t1, sequence="T2"), "ge": changed(ge, sequence="T2")}


@pytest.mark.parametrize("name", ["t2", "t1", "ge"])
@pytest.mark.filterwarnings("ignore::cervispine.exceptions.ProvenanceWarning")
def test_real_mri_shown_to_a_model_of_phantoms_is_flagged(
    shared: Path, fitted: OPLLClassifier, name: str
) -> None:
    study = real_studies(shared)[name]
    with pytest.warns(DataWarning, match="UNLIKE_TRAINING"):
        predictions = fitted.classify([study])
    assert predictions.out_of_distribution is not None
    assert predictions.unlike_training is not None
    # By its protocol, and by the look of its images alone.
    assert predictions.out_of_distribution[0] > 1 - FALSE_ALARMS
    (reasons,) = predictions.unlike_training
    assert any(reason.startswith("manufacturer") for reason in reasons)
    assert any(reason.startswith("the look of its images") for reason in reasons)
    assert predictions.advice == ("CT advised",)


def test_a_model_read_back_flags_the_same(
    cohort: Cohort, fitted: OPLLClassifier, tmp_path: Path
) -> None:
    again = OPLLClassifier.load(fitted.save(tmp_path / "model"))
    assert again.domain_ is not None
    assert fitted.domain_ is not None
    pixels = Preprocessor(size=(64, 64), spacing=1.8).transform(cohort[:3])
    assert np.array_equal(again.domain_.strangeness(pixels), fitted.domain_.strangeness(pixels))
    assert again.domain_.protocols == fitted.domain_.protocols
