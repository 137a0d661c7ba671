"""What Qu et al. 2024 printed, always marked as theirs."""

from __future__ import annotations

import attrs

__all__ = ["CITATION", "PUBLISHED", "Published"]

CITATION = (
    "Qu Z, Deng B, Sun W, Yang R, Feng H. A Convolutional Neural Network for Automated Detection "
    "of Cervical Ossification of the Posterior Longitudinal Ligament using MRI. "
    "Clin Spine Surg 2024;37(3):E106-E112. PMID 37941120."
)


@attrs.frozen
class Published:
    """AUC and accuracy of one depth, as printed: 171 patients of one hospital, other data."""

    auc: float
    accuracy: float


#: The abstract gives no intervals, no sensitivity and no figures of the surgeons.
PUBLISHED = {
    "resnet34": Published(auc=0.914, accuracy=0.9298),
    "resnet50": Published(auc=0.942, accuracy=0.9532),
    "resnet101": Published(auc=0.971, accuracy=0.9766),
}
