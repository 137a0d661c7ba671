"""Studies to predictions.

estimator     Classifier: scikit-learn outside, a plain torch module inside
opll          OPLLClassifier: the task of the paper
ensemble      Ensemble: several classifiers that answer as one
domain        what the training part looked like, and how far another study is from it
inputs        studies and their truth, and the part held out for validation
parameters    what is asked for: whether it can be meant, and its fingerprint
networks      the network of a classifier: its backbone and its pooling
pooling       how the slices of a study become one answer
protocols     how the training studies were acquired, and in what another differs
training      the loop: epochs, validation, early stopping
state         where a training stands, and its way to a checkpoint and back
checkpoints   generations of checkpoints: written whole, verified, found again
distributed   several processes that train one network
interruption  Ctrl-C and SIGTERM at the end of a step
abstention    where a probability decides, and where CT is advised whatever the call
calibration   logits to probabilities, by the odds of the training part and a temperature
hardware      which device and which precision the machine offers
explaining    where the evidence for a class lies: Grad-CAM and occlusion
heatmap       Heatmap: that evidence on the pixels of the series as it was stored
overlay       a heat map as a picture
folding       a copy of a network that only reads: folded, packed, proved equal
engines       what reads with a fitted network
exporting     the network as ONNX beside its weights, and ONNX Runtime to read with it
reading       what every trained model does: where it decides, what it reads, and its limits
storage       a fitted classifier to a folder and back: safetensors and JSON, nothing unpickled
storage_of_ensembles   the same of an ensemble: a folder of model folders
card          the model card that is saved beside the weights
"""

from cervispine.classification.abstention import Band
from cervispine.classification.domain import Domain
from cervispine.classification.ensemble import Ensemble
from cervispine.classification.estimator import Classifier
from cervispine.classification.heatmap import Heatmap, Peak
from cervispine.classification.opll import OPLLClassifier
from cervispine.classification.protocols import Protocols
from cervispine.classification.storage_of_ensembles import load_model
from cervispine.classification.training import Epoch

__all__ = [
    "Band",
    "Classifier",
    "Domain",
    "Ensemble",
    "Epoch",
    "Heatmap",
    "OPLLClassifier",
    "Peak",
    "Protocols",
    "load_model",
]
