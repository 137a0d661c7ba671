"""What a run knows of the questions that reporting standards ask, a sentence or two each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cervispine.reporting import wording

__all__ = ["facts_of"]

Manifest = Mapping[str, Any]
Comparison = Mapping[str, Any]


def facts_of(manifest: Manifest, comparison: Comparison, *, heatmaps: bool) -> dict[str, str]:
    """Return what the run knows, by subject; a subject it knows nothing of is empty.

    Parameters
    ----------
    manifest, comparison
        ``manifest.json`` and ``comparison.json`` of a finished run.
    heatmaps
        Whether the run holds heat maps.

    Raises
    ------
    KeyError
        When they are not those of a finished run.
    """
    return {
        **_of_data(manifest),
        **_of_parts(manifest),
        **_of_models(manifest),
        **_of_evaluation(manifest, comparison),
        "heatmaps": "Heat maps of the cases shown lie in heatmaps/." if heatmaps else "",
        "limits": " ".join(wording.limits(comparison, manifest, heatmaps=heatmaps)),
    }


def _of_data(manifest: Manifest) -> dict[str, str]:
    synthetic, cohort, intake = manifest["synthetic"], manifest["cohort"], manifest["intake"]
    loader = manifest["configuration"]["loader"]
    brought = f"brought by the authors, read by {loader}; data manifest SHA-256 "
    brought += f"{manifest['data_sha256']}."
    made = manifest["phantom"]
    reasons = _listed(
        f"{each['fate']} {each['code']} {each['files']}"
        for each in intake["reasons"]
        if each["fate"] != "noted"
    )
    left_out = (
        "Studies without a label and labels without images were left out and counted."
        if manifest["configuration"].get("allow_missing")
        else "None was allowed: a study without a label, or a case that a reader had not read, "
        "would have stopped the run."
    )
    return {
        "source": f"Synthetic phantoms computed by cervispine ({_settings(made)}); no patients."
        if made
        else f"Synthetic phantoms of cervispine, no patients, {brought}"
        if synthetic
        else f"Images {brought}",
        "account": f"{intake['found']} files found = {intake['used']} used + {intake['rejected']} "
        f"rejected + {intake['ignored']} ignored" + (f" ({reasons})." if reasons else "."),
        "preprocessing": "Rescaled as the header says, oriented, resampled in the plane, "
        f"normalised and cropped: {_settings(manifest['preprocessor'])}.",
        "slices": "The slices about the mid-sagittal one, cut about the canal; both are found in "
        "the images by the same rule for every study.",
        "identity": "No patients: phantoms."
        if synthetic
        else "Report, figures, models and comparison.json name no patient; split.csv, "
        "predictions.csv and cases.csv hold the identifiers that labels.csv has.",
        "missing": left_out,
        "acquisition": f"Sagittal series; scanners: {_counted(cohort['scanners'])}.",
        "labels": "The phantoms' own truth, by construction."
        if made
        else "Taken from labels.csv; the run does not know how they came about.",
        "ethics": "No patients: phantoms." if synthetic else "",
        "sites": f"Sites as labels.csv names them: {_counted(cohort['site'])}."
        if "site" in cohort
        else "",
        "quality": "Series without geometry, with missing slices or undecodable pixels are "
        "refused with a code before anything is computed.",
        "noneread": "None: predictors are pixels.",
    }


def _of_parts(manifest: Manifest) -> dict[str, str]:
    configuration, participants = manifest["configuration"], manifest["participants"]
    sizes = _listed(
        f"{part} {told['patients']} ({_counted(told['classes'])})"
        for part, told in participants.items()
    )
    drawn = (
        "Given by the authors as a file."
        if configuration.get("split")
        else f"Drawn by patient and label with seed {configuration['seed']}"
        + _and(configuration.get("stratify"), "; the same shares of {} in each part")
        + "."
    )
    found = sum(sum(check["shared"].values()) for check in manifest["checks"])
    looked = _listed(manifest["checks"][0]["shared"])
    alike = sum(check["look_alikes"] for check in manifest["checks"])
    test = participants["test"]
    described = [name for name in ("type", "sex", "age", "site") if name in manifest["cohort"]]
    return {
        "parts": f"{sizes}.",
        "drawn": drawn,
        "disjoint": f"By patient. Each pair of parts was searched for the same {looked}: {found} "
        f"found; pairs of pictures that look alike: {alike}.",
        "testsize": f"The test part holds {test['patients']} ({_counted(test['classes'])}); the "
        "reason for that number is for the authors to give (cervispine power).",
        "flow": "figures/flow.svg and the report show it.",
        "characteristics": f"tables/participants.csv: class, scanner{_and(described, ', {}')}.",
        "types": f"Types in the test part: {_counted(test['type'])}." if "type" in test else "",
        "controls": f"Degenerative stenosis in all {test['classes'].get('DSS', 0)} of the test "
        "part.",
    }


def _of_models(manifest: Manifest) -> dict[str, str]:
    models = manifest["models"]
    settings = manifest["classifier"]
    thresholds = _listed(f"{name} {each['threshold']:.4f}" for name, each in models.items())
    kept = _listed(f"{name} {each['epoch']} of {each['epochs']}" for name, each in models.items())
    begun = "weights of the backbone's own" if settings.get("pretrained") else "random weights"
    return {
        "technology": "Deep learning, convolutional networks: "
        + _listed(f"{name} ({each['backbone']})" for name, each in models.items())
        + ".",
        "use": "Research only; not a medical device. A positive call would ask for CT, and a "
        "negative one excludes nothing.",
        "goal": "Development of models with internal testing, compared with readers where there "
        "are any.",
        "output": "A calibrated probability of OPLL for a study, and a call at a threshold "
        "(OPLLClassifier.classify; predictions.csv).",
        "software": f"{_settings(manifest['versions'])}, Python {manifest['python']}.",
        "initial": f"From {begun}, drawn from seed {manifest['configuration']['seed']}.",
        "training": f"AdamW with a falling learning rate; {_settings(settings)}; "
        + _listed(sorted({f"{each['precision']} on {each['device']}" for each in models.values()}))
        + "; every other setting in models/NAME/config.json.",
        "selection": "The epoch with the least validation loss was kept: "
        f"{kept}. Every network is reported, and none was chosen by the test part.",
        "ensemble": "None.",
        "threshold": f"Youden's on the validation part, before the test: {thresholds}.",
        "imbalance": "The loss weighs both classes equally; the log odds of the training part are "
        "added to the logit, and a temperature fitted on the validation part calibrates the "
        "probabilities.",
        "updating": "None.",
        "models": "models/NAME holds weights, settings and a model card for each network.",
        "record": "manifest.json, data-manifest.json, predictions.csv and comparison.json keep "
        "settings, versions, hashes, outputs and figures.",
    }


def _of_evaluation(manifest: Manifest, comparison: Comparison) -> dict[str, str]:
    settings, sample = comparison["settings"], comparison["sample"]
    models = [each for each in comparison["raters"] if each["kind"] == "model"]
    methods = dict.fromkeys(
        each[figure]["method"]
        for each in comparison["raters"]
        for figure in ("auc", "sensitivity")
        if each[figure]
    )
    levels = dict.fromkeys(f"{each['stratum']} {each['level']}" for each in comparison["strata"])
    wrong = _listed(
        f"{each['name']} missed {_lost(each['sensitivity'])} and falsely called "
        f"{_lost(each['specificity'])}"
        for each in models
    )
    return {
        "asked": wording.asked(comparison, manifest),
        "found": wording.found(comparison, manifest),
        "measures": "AUC, sensitivity, specificity, accuracy, PPV, NPV, Brier score, calibration "
        "slope and intercept, net benefit.",
        "uncertainty": f"{100 * settings['confidence']:g} % intervals ({_listed(methods)}); "
        f"corrected p-values by {settings['correction']} within each endpoint; "
        f"{settings['resamples']} resamples, seed {settings['seed']}.",
        "internal": "The test part is of the same collection as the training part, was kept out "
        "of training and of every choice, and was read once, at the end.",
        "external": "No external test was made.",
        "subgroups": f"By {_listed(levels)}: tables/T6.csv, figures/strata.svg; described, not "
        "tested."
        if levels
        else "",
        "tables": "Tables T1 to T4 and figures/roc.svg.",
        "failures": f"Of the test part {wrong}; cases/ and the report show the surest errors.",
        "counts": "Of the test part " + wrong + f", of {sample['positives']} OPLL and "
        f"{sample['negatives']} stenosis.",
        "blind": "The networks had the images alone. What the readers knew is for the authors to "
        "say."
        if any(each["kind"] == "reader" for each in comparison["raters"])
        else "The networks had the images alone.",
        "indeterminate": "Every study gets a probability and a call, and the figures are of all "
        f"calls. For some CT is advised whatever the call: {_undecided(manifest)}.",
        "prevalence": f"{100 * sample['positives'] / sample['patients']:.0f} % of the test part "
        "have OPLL.",
    }


def _undecided(manifest: Manifest) -> str:
    told = []
    for name, model in manifest["models"].items():
        counts = {
            kind: sum(each[kind] for each in model["advice"].values())
            for kind in ("studies", "undecided", "unlike_training")
        }
        told.append(
            f"{name} was undecided for {counts['undecided']} of {counts['studies']} and found "
            f"{counts['unlike_training']} unlike its training"
        )
    return _listed(told)


def _lost(rate: Mapping[str, Any] | None) -> str:
    if rate is None:
        return "an unknown number"
    return str(rate["n"] - round(rate["value"] * rate["n"]))


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _counted(counts: Mapping[str, int]) -> str:
    # Names of scanners have commas in them.
    return "; ".join(f"{count} {value}" for value, count in counts.items())


def _listed(items: Any) -> str:
    return ", ".join(str(item) for item in items)


def _and(items: Any, told: str) -> str:
    return told.format(_listed(items)) if items else ""
