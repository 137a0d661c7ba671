"""Measure whether heat maps meet the plaques of phantoms, and fall to chance without training.

    python benchmarks/explanations.py [--phantoms 11] [--seed 0] [--folder DIR]
    python benchmarks/explanations.py --backbone resnet50 --layers layer1 layer2 layer3 layer4

Trains one network on phantoms by the quick preset and explains the test patients whose OPLL it
finds. Each line: name, ratio, target, pass or fail. Everything here is synthetic. With --folder
phantoms and model are kept there, and used again. With --layers only Grad-CAM of these layers is
held against the plaques: how a backbone's own layer is chosen.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import numpy as np
import torch

from cervispine import Cohort, Loader, OPLLClassifier, Phantom, Preprocessor, Study
from cervispine.backbones import build_backbone, load_backbone
from cervispine.classification import Heatmap, explaining
from cervispine.evaluation import (
    Estimate,
    Localisation,
    Meeting,
    auc,
    localisation,
    meet,
    proportion,
)
from cervispine.experiment import PRESETS
from cervispine.phantom import (
    PatientSpecification,
    PhantomCohort,
    from_json,
    levels_at,
    render,
    twin,
    write_series,
)

#: How far from the plaque the strongest pixel may lie, mm: a third of a vertebra with its disc.
TOLERANCE = 5.0

#: Phantoms with OPLL, made for nothing but the last test of Grad-CAM.
FRESH = 32

#: Networks with random weights.
DRAWS = 3

#: Cases that occlusion, which is slow, explains.
OCCLUDED = 8

failures = 0


def line(name: str, ratio: float, target: str, passes: bool | None, note: str = "") -> None:
    global failures
    verdict = "informational" if passes is None else ("pass" if passes else "fail")
    failures += verdict == "fail"
    print(f"{name:44} {ratio:6.3f}  {target:10} {verdict:14} {note}", flush=True)


def interval(estimate: Estimate) -> str:
    return f"95% {estimate.low:.2f} to {estimate.high:.2f}, n {estimate.n}"


@attrs.frozen(eq=False)
class Truth:
    """What only the phantom knows of a patient."""

    specification: PatientSpecification
    plaque: np.ndarray
    kind: str

    @classmethod
    def of(cls, data: PhantomCohort, patient: str) -> Truth:
        """Return what the phantom wrote beside a patient's images."""
        told = json.loads((data.truth / f"{patient}.json").read_text())
        specification = from_json(PatientSpecification, json.dumps(told["specification"]))
        with np.load(data.truth / f"{patient}.npz") as masks:
            return cls(specification, masks["plaque"], told["type"] or "")

    def levels(self, planes: Iterable[int]) -> set[str]:
        """Return the vertebrae beside the plaque in these slices."""
        painted = self.plaque[list(planes)].any(axis=0)
        return set(levels_at(self.specification, np.argwhere(painted))) - {None}


def held_against(heatmap: Heatmap, truth: Truth) -> Meeting:
    return meet(
        heatmap.values,
        truth.plaque,
        spacing=heatmap.volume.spacing,
        tolerance=TOLERANCE,
        seen=heatmap.seen,
    )


def trained(
    folder: Path, backbone: str, phantoms: int, seed: int
) -> tuple[OPLLClassifier, Cohort, PhantomCohort]:
    preset = PRESETS["quick"]
    data = Phantom(**preset.phantom, seed=phantoms).write(folder / "phantom")
    cohort = Loader().index(data.dicom).with_labels(data.labels)
    train, test = cohort.split(test=preset.test, seed=seed)
    model = folder / backbone
    if not (model / "config.json").exists():
        OPLLClassifier(
            backbone=backbone,
            preprocessor=Preprocessor(**preset.preprocessor),
            seed=seed,
            progress=False,
            **preset.classifier,
        ).fit(train).save(model)
    return OPLLClassifier.load(model), test, data


def with_random_weights(classifier: OPLLClassifier, seed: int) -> OPLLClassifier:
    """Return the classifier with a network that has learned nothing."""
    other = copy.copy(classifier)
    preprocessor = classifier.preprocessor_
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        other.module_ = build_backbone(
            classifier.backbone,
            in_channels=preprocessor.slices * len(preprocessor.sequences),
            num_classes=2,
            size=preprocessor.size,
        ).to(classifier.device_)
    return other


def show(name: str, meetings: Sequence[Meeting], target: float | None = None) -> Localisation:
    result = localisation(meetings)
    ratio = result.pointing.value
    line(
        name, ratio, "" if target is None else f">= {target}",
        None if target is None else ratio >= target,
        f"{interval(result.pointing)}, chance {result.pointing_by_chance:.3f}",
    )  # fmt: skip
    return result


def score_maps(maps: dict[str, Heatmap], truths: dict[str, Truth]) -> None:
    meetings = {name: held_against(heatmap, truths[name]) for name, heatmap in maps.items()}
    result = show("grad-cam points at the plaque", list(meetings.values()), 0.8)
    for kind in ("continuous", "segmental", "mixed", "localized"):
        of_kind = [meetings[name] for name in maps if truths[name].kind == kind]
        if of_kind:
            show(f"  {kind}", of_kind)
    inside = result.energy
    line(
        "  evidence inside, over evenly spread", inside.value / result.energy_by_chance, "> 1",
        inside.low is not None and inside.low > result.energy_by_chance,
        f"share {inside.value:.3f} (95% {inside.low:.3f} to {inside.high:.3f})",
    )  # fmt: skip
    names = list(maps)
    moved = {
        name: moved_plaque(maps[name], maps[other], truths[other])
        for name, other in zip(names, [*names[1:], names[0]], strict=True)
    }
    show(
        "  the same maps, another patient's plaque",
        [
            held_against(maps[name], attrs.evolve(truths[name], plaque=plaque))
            for name, plaque in moved.items()
            if plaque[maps[name].seen].any()
        ],
    )
    right = 0
    for name, heatmap in maps.items():
        peak = heatmap.peak
        if peak is not None:
            (level,) = levels_at(truths[name].specification, peak.index[1:])
            right += level in truths[name].levels(heatmap.slices)
    rate = proportion(right, len(maps))
    line("  at a vertebra with plaque", rate.value, "", None, interval(rate))


def moved_plaque(heatmap: Heatmap, other: Heatmap, truth: Truth) -> np.ndarray:
    """Return another patient's plaque, where it lies from the middle of what was cut."""
    mask = np.zeros(heatmap.values.shape, dtype=bool)
    here, there = (np.argwhere(each.seen).mean(axis=0) for each in (heatmap, other))
    scale = np.divide(other.volume.spacing, heatmap.volume.spacing)
    scale[0] = 1  # slice by slice, however far apart they are
    places = ((np.argwhere(truth.plaque) - there) * scale + here).round().astype(int)
    inside = ((places >= 0) & (places < mask.shape)).all(axis=1)
    mask[tuple(places[inside].T)] = True
    return mask


def score_occlusion(
    classifier: OPLLClassifier, found: list[Study], truths: dict[str, Truth]
) -> None:
    show(
        "occlusion points at the plaque",
        [
            held_against(classifier.explain(study, method="occlusion"), truths[study.patient])
            for study in found[:OCCLUDED]
        ],
    )


def score_random(classifier: OPLLClassifier, found: list[Study], truths: dict[str, Truth]) -> None:
    meetings = [
        held_against(other.explain(study), truths[study.patient])
        for other in (with_random_weights(classifier, seed) for seed in range(DRAWS))
        for study in found
    ]
    result = localisation(meetings)
    # The same patients in each draw: the interval is that of the patients alone.
    once = proportion(round(result.pointing.value * len(found)), len(found))
    line(
        "random weights", result.pointing.value, f"= {result.pointing_by_chance:.3f}",
        once.low <= result.pointing_by_chance, f"{interval(once)}, {DRAWS} networks",
    )  # fmt: skip


def score_twins(
    classifier: OPLLClassifier, found: list[Study], truths: dict[str, Truth], folder: Path
) -> None:
    for study in found:
        patient = twin(truths[study.patient].specification)
        write_series(render(patient), patient, folder / study.patient, name=study.patient)
    twins = {study.patient: study for study in Loader().index(folder)}
    without = [twins[study.patient] for study in found]
    scores = classifier.decision_function([*found, *without])
    truth = [1] * len(found) + [0] * len(found)
    area = auc(truth, scores)
    line(
        "with against without plaque, AUC", area.value, ">= 0.8", area.value >= 0.8,
        interval(area),
    )  # fmt: skip
    falls = scores[: len(found)] - scores[len(found) :]
    line("  pairs whose logit falls with the plaque", float((falls > 0).mean()), "", None)
    calls = classifier.predict(without)
    line("  still called OPLL without it", float(calls.mean()), "", None)
    # The map of the twin, held to where the plaque was: what is left is not the plaque's.
    show(
        "  grad-cam of the twin points there",
        [held_against(classifier.explain(each), truths[each.patient]) for each in without],
    )


def score_layers(
    classifier: OPLLClassifier,
    found: list[Study],
    truths: dict[str, Truth],
    layers: Sequence[str],
) -> None:
    for layer in layers:
        backbone = attrs.evolve(load_backbone(classifier.backbone), map_layer=layer)
        with mock.patch.object(explaining, "load_backbone", return_value=backbone):
            meetings = [held_against(classifier.explain(s), truths[s.patient]) for s in found]
        hits = sum(each.hit for each in meetings)
        show(f"grad-cam of {layer}: {hits} of {len(meetings)}", meetings)


def score_fresh(classifier: OPLLClassifier, folder: Path, seed: int) -> None:
    """Point again, at phantoms on which nothing was chosen."""
    difficulty = PRESETS["quick"].phantom["difficulty"]
    fresh = Phantom(n_opll=FRESH, n_dss=0, difficulty=difficulty, seed=seed)
    data = fresh.write(folder / "fresh")
    studies = list(Loader().index(data.dicom))
    meetings = []
    for study, call in zip(studies, classifier.predict(studies), strict=True):
        heatmap, truth = classifier.explain(study), Truth.of(data, study.patient)
        # As above: a plaque outside of what the network was given cannot be pointed at.
        if call == 1 and (heatmap.seen & truth.plaque).any():
            meetings.append(held_against(heatmap, truth))
    show(f"grad-cam, {FRESH} fresh phantoms", meetings, 0.8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", default="resnet34")
    parser.add_argument("--phantoms", type=int, default=11, help="seed of the phantoms")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the training")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--layers", nargs="+", help="hold Grad-CAM of these layers to the plaques")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        classifier, test, data = trained(folder, options.backbone, options.phantoms, options.seed)
        diseased = [study for study in test if study.label == 1]
        found = [
            study
            for study, call in zip(diseased, classifier.predict(diseased), strict=True)
            if call == 1
        ]
        area = auc(test.labels, classifier.decision_function(test))
        print(
            f"synthetic, seeds {options.phantoms} and {options.seed}; {options.backbone}: "
            f"AUC {area}, n {len(test)}; "
            f"{len(found)} of {len(diseased)} OPLL found; "
            f"a hit is within {TOLERANCE:g} mm of the plaque"
        )
        truths = {study.patient: Truth.of(data, study.patient) for study in found}
        maps = {study.patient: classifier.explain(study) for study in found}
        # A plaque beside the slices that the network was given cannot be pointed at.
        missed = [name for name in maps if not (maps[name].seen & truths[name].plaque).any()]
        for name in missed:
            del maps[name]
        print(f"of {len(missed)} of these the plaque lies outside of what the network was given")
        found = [study for study in found if study.patient in maps]
        if options.layers:
            score_layers(classifier, found, truths, options.layers)
            return 0
        score_maps(maps, truths)
        score_occlusion(classifier, found, truths)
        score_random(classifier, found, truths)
        with tempfile.TemporaryDirectory() as twins:
            score_twins(classifier, found, truths, Path(twins))
        score_fresh(classifier, folder, options.phantoms + 1)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
