"""The model card that is saved beside the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

__all__ = ["model_card"]


def model_card(classifier: Classifier) -> str:
    """Return a card in Markdown: what the model is for, how it was made, what it does not show.

    After Mitchell et al. 2019, "Model Cards for Model Reporting", with what the record of the
    training knows and nothing else.
    """
    record = classifier.record_
    best = classifier.history_[record["best_epoch"] - 1]
    negative, positive = classifier.class_names
    settings = classifier.preprocessor_.settings()
    return "\n".join(
        [
            f"# {type(classifier).__name__}: {classifier.backbone}",
            "",
            f"**Intended use.** {classifier.intended_use}",
            "",
            "## How it was made",
            "",
            f"- Trained on {record['training_patients']} patients, with "
            f"{record['validation_patients']} more for validation "
            f"({record['positive']} {positive} and {record['negative']} {negative} in all).",
            f"- Backbone {record['backbone']} from {record['backbone_distribution']} "
            f"{record['backbone_version']}; epoch {record['best_epoch']} of {record['epochs']}; "
            f"seed {record['seed']}; {record['precision']} on {record['device']}.",
            f"- cervispine {record['cervispine']}, torch {record['torch']}.",
            f"- Images read by {' and '.join(record.get('loaders', ['a loader not recorded']))}.",
            "- Input: " + ", ".join(f"{name} {value}" for name, value in settings.items()) + ".",
            f"- Threshold {classifier.threshold_:.4f} (Youden's, on the validation part); "
            f"temperature {classifier.temperature_:.3f}.",
            "",
            "## What is known of it",
            "",
            f"- Validation part: AUC {best['auc']:.3f}, log loss {best['loss']:.3f}. The epoch, "
            "the temperature and the threshold were chosen on this part, so these figures "
            "flatter the model; only patients it has never seen can say how good it is.",
            "",
            "## What this card does not show",
            "",
            "- Results on test patients, by type of lesion, by scanner or by site.",
            "- Whether the training images were of patients or of phantoms: the model cannot "
            "tell. A model trained on phantoms says nothing about patients.",
            "",
        ]
    )
