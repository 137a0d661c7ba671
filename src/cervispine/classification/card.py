"""The model card that is saved beside the weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from cervispine.classification.abstention import Band
from cervispine.evaluation.performance import LABELS
from cervispine.records.markdown import escape_markdown, markdown_table

__all__ = ["ensemble_card", "model_card"]

Record = Mapping[str, Any]

#: What is counted by value, and what the card calls it.
COUNTED = {
    "classes": "label",
    "type": "type",
    "sex": "sex",
    "site": "site",
    "scanners": "scanner (series)",
}


def model_card(
    config: Record, history: Sequence[Mapping[str, float]], tested: Record | None = None
) -> str:
    """Return a card in Markdown: what the model is for, how it was made, what it does not show.

    After Mitchell et al. 2019, "Model Cards for Model Reporting", with what the record of the
    training, and of a test where there was one, knows, and nothing else.

    Parameters
    ----------
    config
        As ``config.json`` holds it.
    history
        Losses and AUC of each epoch.
    tested
        As ``tested.json`` holds it; None where no test is known.
    """
    record = config["record"]
    sections = [
        _head(config),
        _data(record, tested),
        _training(config, history),
        _figures(record, tested),
        _limits(record, tested),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def _head(config: Record) -> list[str]:
    record = config["record"]
    return [
        f"# {config['class']}: {escape_markdown(record['backbone'])}",
        "",
        f"**Intended use.** {config['intended_use']}",
        "",
        "**Not for.** Any decision about a patient; images of other kinds than those below.",
    ]


def _data(record: Record, tested: Record | None) -> list[str]:
    parts = {"training": record["training"], "validation": record["validation"]}
    intake, test_lines = record["intake"], []
    if tested is not None:
        parts["test"] = tested["participants"]
        intake = tested["intake"]
        test_lines = [
            f"- Data manifest of the run, SHA-256 `{tested['data_sha256']}`.",
            f"- `split.csv` of the run, SHA-256 `{tested['split_sha256']}`.",
        ]
    synthetic = sum(part["synthetic"] for part in parts.values())
    kind = f"{synthetic} of them synthetic phantoms" if synthetic else "none of them a phantom"
    studies = sum(part["studies"] for part in parts.values())
    return [
        "## Data",
        "",
        f"- {studies} studies, {kind}.",
        *_account(intake),
        f"- Images read by {escape_markdown(' and '.join(record['loaders']))}.",
        f"- Training and validation part by study UID, SHA-256 `{record['split_sha256']}`.",
        *test_lines,
        "",
        markdown_table(["", *parts], _participants(parts)),
    ]


def _account(intake: Record | None) -> list[str]:
    """Return the account of the files, with what was not used by code."""
    if intake is None:
        return ["- What became of the files found is not recorded."]
    lines = [
        f"- {intake['found']} files found = {intake['used']} used + {intake['rejected']} rejected "
        f"+ {intake['ignored']} ignored"
    ]
    left = [each for each in intake["reasons"] if each["fate"] != "noted" and each["files"]]
    lines += [
        f"  - {each['fate']}, {escape_markdown(each['code'])}: {each['files']} files"
        for each in left
    ]
    return lines


def _participants(parts: Mapping[str, Record]) -> Iterator[list[str]]:
    yield ["patients", *(str(part["patients"]) for part in parts.values())]
    for group, name in COUNTED.items():
        values = dict.fromkeys(value for part in parts.values() for value in part.get(group, {}))
        for value in values:
            counts = (part.get(group, {}).get(value, 0) for part in parts.values())
            yield [f"{name}: {value}", *map(str, counts)]
    if any("age" in part for part in parts.values()):
        yield ["age, median (quartiles)", *(_age(part) for part in parts.values())]


def _age(part: Record) -> str:
    if "age" not in part:
        return "-"
    return "{median:.0f} ({low:.0f} to {high:.0f})".format(**part["age"])


def _training(config: Record, history: Sequence[Mapping[str, float]]) -> list[str]:
    record = config["record"]
    best = history[record["best_epoch"] - 1]
    parameters = ", ".join(f"{name} {value}" for name, value in config["parameters"].items())
    settings = ", ".join(f"{name} {value}" for name, value in config["preprocessing"].items())
    return [
        "## How it was made",
        "",
        f"- Backbone {escape_markdown(record['backbone'])} from "
        f"{escape_markdown(record['backbone_distribution'])} {record['backbone_version']}.",
        f"- Epoch {record['best_epoch']} of {record['epochs']}, the one with the least validation "
        f"loss ({best['loss']:.3f}); seed {record['seed']}; {record['precision']} on "
        f"{record['device']}.",
        f"- Parameters: {escape_markdown(parameters)}.",
        f"- Input: {escape_markdown(settings)}.",
        f"- Threshold {config['threshold']:.4f} (Youden's, on the validation part); temperature "
        f"{config['temperature']:.3f}; offset {config.get('offset', 0):.3f}, the log odds that the "
        "weights of the loss took from the logit.",
        *_unknowing(config),
        f"- cervispine {record['cervispine']}, torch {record['torch']}.",
    ]


def _unknowing(config: Record) -> Iterator[str]:
    """Yield what a model does not decide and what it was not made for, where it knows them."""
    if config.get("band") is not None:
        band = Band.from_dict(config["band"]).summary(config["class_names"])
        yield f"- Undecided, so that CT is advised whatever the call: probabilities of {band}."
    if config.get("domain"):
        yield (
            "- Studies acquired otherwise than these, or of another look, are flagged "
            "(`UNLIKE_TRAINING`), and it rules nothing out for them: "
            f"{escape_markdown(config['domain'])}."
        )


def _figures(record: Record, tested: Record | None) -> list[str]:
    parts = {"validation": record["validated"]}
    if tested is not None:
        parts["test"] = tested["figures"]
    shown = [each for each in LABELS if any(part.get(each) for part in parts.values())]
    rows = (
        [LABELS[each], *(_estimate(part.get(each)) for part in parts.values())] for each in shown
    )
    chosen = (
        "95 % intervals. The epoch, the temperature and the threshold were chosen on the "
        "validation part, so its figures flatter the model"
    )
    told = "; the test part was read once, at the end." if tested else ", and no test is known."
    lines = ["## Figures", "", markdown_table(["", *parts], rows), "", chosen + told]
    if tested is not None and tested["strata"]:
        rows = (
            [f"{each['stratum']} {each['level']}", str(each["positives"] + each["negatives"]),
             _estimate(each["sensitivity"]), _estimate(each["specificity"])]
            for each in tested["strata"]
        )  # fmt: skip
        columns = ["test part", "n", "sensitivity", "specificity"]
        lines += ["", "By type, the hardest first:", "", markdown_table(columns, rows)]
    return lines


def _estimate(estimate: Record | None) -> str:
    if estimate is None:
        return "-"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.3f} (n = {estimate['n']})"
    limits = f"{estimate['low']:.3f} to {estimate['high']:.3f}"
    return f"{estimate['value']:.3f} ({limits}; n = {estimate['n']})"


def _limits(record: Record, tested: Record | None) -> list[str]:
    return [
        "## What this card does not show",
        "",
        *(f"- {limit}" for limit in _told(record, tested)),
    ]


def _told(record: Record, tested: Record | None) -> Iterable[str]:
    if record["training"]["synthetic"]:
        yield "Anything about patients: the training images were synthetic phantoms."
    else:
        yield (
            "How the labels came about, and whether CT confirmed them: the record does not know. "
            "Whether the images were of patients, it knows only from their headers."
        )
    if tested is None:
        yield "Results on patients it has never seen: only those can say how good it is."
    else:
        yield "Results elsewhere: the test part is of the same collection as the training part."
    yield (
        "Predictive values in practice: accuracy, PPV and NPV hold at the share of positives of "
        "these parts only."
    )
    missing = [name for name in ("site", "sex", "age") if name not in record["training"]]
    if missing:
        yield f"Who the patients were by {', '.join(missing)}: the labels did not say."


def ensemble_card(config: Record, members: Sequence[Record], intended_use: str) -> str:
    """Return a card of an ensemble in Markdown; each member has its own beside it.

    Parameters
    ----------
    config
        As the ensemble's ``config.json`` holds it.
    members
        The records of its members.
    intended_use
        That of its members.
    """
    first = members[0]
    names = " + ".join(member["backbone"] for member in members)
    return "\n".join(
        [
            f"# Ensemble of {len(members)}: {escape_markdown(names)}",
            "",
            f"**Intended use.** {intended_use}",
            "",
            "## How it was made",
            "",
            f"- Trained on {first['training_patients']} patients, with "
            f"{first['validation_patients']} more for validation, the same for all members; their "
            "cards say who these were.",
            *(
                f"- member-{number}: {escape_markdown(member['backbone'])}, seed "
                f"{member['seed']}, epoch {member['best_epoch']} of {member['epochs']}."
                for number, member in enumerate(members, start=1)
            ),
            "- Its logit is the mean of theirs, each calibrated, divided by "
            f"{config['temperature']:.3f}; threshold {config['threshold']:.4f} (Youden's, on the "
            "validation part).",
            *_unknowing(config),
            "",
            "## What this card does not show",
            "",
            "- Results on patients it has never seen: only those can say how good it is.",
            "",
        ]
    )
