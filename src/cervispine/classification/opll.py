"""The task of the paper as a classifier."""

from __future__ import annotations

from typing import ClassVar

import attrs

from cervispine.classification.estimator import Classifier

__all__ = ["OPLLClassifier"]


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class OPLLClassifier(Classifier):
    """Tell ossification of the posterior longitudinal ligament from degenerative stenosis.

    The task of Qu et al. 2024 (Clin Spine Surg 37:E106) on sagittal cervical MRI; see
    :class:`Classifier` for the parameters.
    """

    class_names: ClassVar[tuple[str, str]] = ("DSS", "OPLL")
    intended_use: ClassVar[str] = (
        "Research on telling cervical OPLL from degenerative spinal stenosis on sagittal MRI. "
        "Not a medical device; a positive call asks for CT, a negative one excludes nothing."
    )
