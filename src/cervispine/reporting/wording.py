"""What a run asked and found, what its figures show, and what it does not show, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cervispine.reporting.published import PUBLISHED

__all__ = ["NOT_GIVEN", "asked", "depth", "described", "found", "interval", "limits", "spread"]

#: Stands where a figure cannot be estimated or was not printed.
NOT_GIVEN = "\N{EN DASH}"

#: Below it, after correction, a difference counts as found.
LEVEL = 0.05

Comparison = Mapping[str, Any]
Manifest = Mapping[str, Any]


def asked(comparison: Comparison, manifest: Manifest) -> str:
    """Return what the run asked, in one sentence."""
    models, readers = _raters(comparison, "model"), _raters(comparison, "reader")
    sample = comparison["sample"]
    kind = "synthetic phantoms" if manifest["synthetic"] else "patients"
    as_well = ""
    if readers:
        as_well = f" as well as {_readers(len(readers), manifest)} on the same {kind}"
    return (
        f"Can {_listed(model['name'] for model in models)} tell OPLL from degenerative stenosis on "
        f"sagittal MRI of the neck{as_well}, shown {sample['patients']:,} {kind} that they were "
        f"not trained on ({sample['positives']:,} OPLL, {sample['negatives']:,} stenosis)?"
    )


def found(comparison: Comparison, manifest: Manifest) -> str:
    """Return what the run found, in one sentence."""
    models, readers = _raters(comparison, "model"), _raters(comparison, "reader")
    areas = [f"{interval(model['auc'])} for {model['name']}" for model in models]
    told = f"The area under the ROC curve was {_listed(areas)}"
    if any(model["sensitivity"] for model in models):
        told += (
            f"; with thresholds chosen beforehand sensitivity was {spread(models, 'sensitivity')} "
            f"and specificity {spread(models, 'specificity')}"
        )
    if any(reader["sensitivity"] for reader in readers):
        told += (
            f", of {_readers(len(readers), manifest)} {spread(readers, 'sensitivity')} and "
            f"{spread(readers, 'specificity')}"
        )
    return f"{told}{_differences(comparison)}."


def depth(comparison: Comparison) -> str:
    """Say whether the deepest ResNet was the best, whichever way it came out."""
    areas = {
        model["name"]: model["auc"]["value"]
        for model in _raters(comparison, "model")
        if model["name"] in PUBLISHED and model["auc"] is not None
    }
    if len(areas) < 2:
        return ""
    deepest = areas[max(areas, key=lambda name: int(name.removeprefix("resnet")))]
    best = max(areas.values())
    if deepest < best:
        place = "not the best"
    elif list(areas.values()).count(best) > 1:
        place = "level with the best"
    else:
        place = "the best"
    significant = any(
        _is_found(pair)
        for pair in comparison["model_against_model"]
        if {pair["first"], pair["second"]} <= set(areas)
    )
    told = "some differences" if significant else "no difference"
    return (
        f"The deepest network was {place} in AUC; between the "
        f"depths {told} reached p < {LEVEL} after correction."
    )


def described(comparison: Comparison, manifest: Manifest) -> dict[str, str]:
    """Return what each figure shows, by kind, for those who do not see it."""
    models, readers = _raters(comparison, "model"), _raters(comparison, "reader")
    areas = _listed(f"{model['name']} with an area of {interval(model['auc'])}" for model in models)
    points = [
        f"{reader['name']} at sensitivity {reader['sensitivity']['value']:.2f} and specificity "
        f"{reader['specificity']['value']:.2f}"
        for reader in readers
        if reader["sensitivity"] and reader["specificity"]
    ]
    parts = manifest["participants"]
    told = {
        "flow": f"Flow diagram: {manifest['intake']['found']} files found, "
        f"{manifest['intake']['used']} used, {manifest['cohort']['patients']} patients, in "
        + _listed(f"{name} {part['patients']}" for name, part in parts.items()),
        "roc": f"ROC curves of {areas}" + (f"; readers: {_listed(points)}" if points else ""),
        "differences": "Forest plot of each network minus each reader; tables below it hold its "
        "figures",
        "strata": "Sensitivity and specificity of each rater in each level, the hardest first; "
        "the table below holds its figures",
        "calibration": "Share of positives against the probability given, in ten bins; the table "
        "below holds slope, intercept and error",
        "decision": "Net benefit against the probability at which one would act; the table below "
        "holds its value at four probabilities",
        "history": "Loss and validation AUC by epoch for "
        + _listed(
            f"{name}, which kept epoch {model['epoch']}"
            for name, model in manifest["models"].items()
        ),
    }
    mark = "Synthetic phantoms. " if manifest["synthetic"] else ""
    return {kind: mark + text + "." for kind, text in told.items()}


def limits(comparison: Comparison, manifest: Manifest, *, heatmaps: bool) -> list[str]:
    """Return what the run does not show, a sentence or two each."""
    sample = comparison["sample"]
    share = 100 * sample["positives"] / sample["patients"]
    told = []
    if manifest["synthetic"]:
        told.append(
            "Anything about patients. All of it is of phantoms, which were drawn so that the "
            "classes differ by the ossified plaque alone."
        )
    else:
        told.append(
            "How the labels came about: whether OPLL was confirmed by CT, and who decided, is for "
            "the authors to say. Against labels read from MRI alone, lesions that MRI hides count "
            "as stenosis."
        )
    if manifest["phantom"]:
        told.append(
            "Anything about readers. They are a random model with sensitivities by type as "
            "published for people, and no person read anything."
        )
    told += [
        "Results elsewhere: the test part is of the same collection as the training part, and no "
        "external test was made.",
        f"Predictive values in practice: {share:.0f} % of the test part have OPLL, and accuracy, "
        "PPV and NPV hold at that share only.",
        "What a second run would say: one split and one seed were run; another would give other "
        "figures within the intervals and sometimes outside them.",
    ]
    if not heatmaps:
        told.append("Where the networks looked: no heat maps were saved with this run.")
    return told + [note[:1].upper() + note[1:] for note in comparison["notes"]]


def interval(estimate: Mapping[str, Any] | None) -> str:
    """Return a figure with its limits in brackets, as far as it has them."""
    if estimate is None or estimate["value"] is None:
        return NOT_GIVEN
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def spread(raters: Sequence[Mapping[str, Any]], figure: str) -> str:
    """Return from the least to the greatest value that raters have of a figure."""
    values = [rater[figure]["value"] for rater in raters if rater[figure] is not None]
    shown = [f"{value:.3f}" for value in (min(values), max(values))] if values else [NOT_GIVEN]
    return " to ".join(dict.fromkeys(shown))


def _raters(comparison: Comparison, kind: str) -> list[Mapping[str, Any]]:
    return [rater for rater in comparison["raters"] if rater["kind"] == kind]


def _readers(count: int, manifest: Manifest) -> str:
    simulated = "simulated " if manifest["phantom"] else ""
    return f"{count} {simulated}reader{'' if count == 1 else 's'}"


def _differences(comparison: Comparison) -> str:
    """Say how many differences between a network and a reader were found, and whom they favour."""
    pairs = [
        pair
        for pair in comparison["model_against_reader"]
        if pair["endpoint"] in ("sensitivity", "specificity")
    ]
    if not pairs:
        return ""
    gains = [pair["difference"]["value"] for pair in pairs if _is_found(pair)]
    better = sum(gain > 0 for gain in gains)
    return (
        f"; of {len(pairs)} differences in these between a network and a reader "
        f"{better} favoured the network and {len(gains) - better} the reader at p < {LEVEL} after "
        "correction"
    )


def _is_found(pair: Mapping[str, Any]) -> bool:
    p_value = pair["adjusted_p_value"]
    return p_value is not None and p_value < LEVEL


def _listed(items: Iterable[str]) -> str:
    *before, last = items
    return f"{', '.join(before)} and {last}" if before else last
