"""The statistics: how good a model is, and whether it reads as well as the readers.

Usable on anyone's numbers; never imports torch. Label 1 is the diseased class, a
higher score means more diseased, a call is positive at or above a threshold, a
difference is first minus second. Joins are by patient, never by row order.

evaluator        Evaluator: evaluate one model, compare models and readers
performance      Evaluation: the figures of one rater
comparison       Comparison: models and readers on the same patients
judging          from what people give to a Comparison; its steps are comparing, matching
                 (a reader's operating point) and strata
settings         confidence, correction, resamples and seed
readers          ReaderTable: the readers' calls and ratings
files            a comparison from labels.csv, scores.csv and readers.csv
areas, delong    areas under ROC curves, their covariance and differences; resampling
cross_validated  the area of a cross-validation, in which each fold has its own model
independent      two areas on different cases: two hospitals, two groups of patients
roc              the curve itself, and partial areas
proportions      one proportion and its interval
predictive       PPV and NPV where the disease is as common as it is in practice
paired           two sets of calls on the same cases: Tango, Newcombe, McNemar
clustered        the same where cases are not independent
against_readers  one model against the mean of several readers
mrmc             the same readers in several modalities (aided and unaided, say); its steps are
                 readings (the table), covariances, components (of variance) and factorial
agreement        kappas and Cochran's Q
calibration      whether probabilities mean what they say; net benefit
localisation     whether heat maps meet what they should
thresholds       the operating point
multiplicity     correction of a family of p-values
results          Estimate, Difference, Test
tables, latex, wording, plotting, forest   what the results print, write and draw
checking, roots  what is refused before any statistic is computed; where a function is zero
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cervispine.evaluation.against_readers import model_against_readers
from cervispine.evaluation.agreement import cochran_q, cohen_kappa, fleiss_kappa
from cervispine.evaluation.areas import auc, compare_aucs
from cervispine.evaluation.calibration import Calibration, calibration, net_benefit
from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.cross_validated import cross_validated_auc
from cervispine.evaluation.delong import delong_covariance
from cervispine.evaluation.files import compare_files, read_scores
from cervispine.evaluation.independent import compare_independent_aucs
from cervispine.evaluation.localisation import Localisation, Meeting, localisation, meet
from cervispine.evaluation.mrmc import MRMC, mrmc
from cervispine.evaluation.multiplicity import adjust
from cervispine.evaluation.paired import PairedCounts, mcnemar, paired_difference
from cervispine.evaluation.performance import Evaluation
from cervispine.evaluation.power import (
    OneAUC,
    PairedAUCs,
    PairedCalls,
    ReaderStudy,
    SampleSize,
    sample_size,
)
from cervispine.evaluation.predictive import PredictiveValues, predictive_values
from cervispine.evaluation.proportions import proportion
from cervispine.evaluation.readers import ReaderTable
from cervispine.evaluation.readings import read_readings
from cervispine.evaluation.results import Difference, Estimate, Test
from cervispine.evaluation.roc import RocCurve, partial_auc, roc_curve
from cervispine.evaluation.thresholds import Threshold, choose_threshold

if TYPE_CHECKING:
    from cervispine.evaluation.evaluator import Evaluator

__all__ = [
    "MRMC",
    "Calibration",
    "Comparison",
    "Difference",
    "Estimate",
    "Evaluation",
    "Evaluator",
    "Localisation",
    "Meeting",
    "OneAUC",
    "PairedAUCs",
    "PairedCalls",
    "PairedCounts",
    "PredictiveValues",
    "ReaderStudy",
    "ReaderTable",
    "RocCurve",
    "SampleSize",
    "Test",
    "Threshold",
    "adjust",
    "auc",
    "calibration",
    "choose_threshold",
    "cochran_q",
    "cohen_kappa",
    "compare_aucs",
    "compare_files",
    "compare_independent_aucs",
    "cross_validated_auc",
    "delong_covariance",
    "fleiss_kappa",
    "localisation",
    "mcnemar",
    "meet",
    "model_against_readers",
    "mrmc",
    "net_benefit",
    "paired_difference",
    "partial_auc",
    "predictive_values",
    "proportion",
    "read_readings",
    "read_scores",
    "roc_curve",
    "sample_size",
]


def __getattr__(name: str) -> Any:
    # The Evaluator is a scikit-learn estimator; importing scikit-learn takes longer than most
    # comparisons, and the functions need none of it.
    if name != "Evaluator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from cervispine.evaluation.evaluator import Evaluator

    globals()[name] = Evaluator
    return Evaluator
