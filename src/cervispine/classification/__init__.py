"""Studies to predictions.

estimator     Classifier: scikit-learn outside, a plain torch module inside
opll          OPLLClassifier: the task of the paper
inputs        studies and their truth, and the part held out for validation
parameters    what is asked for: whether it can be meant, and its fingerprint
networks      the network of a classifier: its backbone and its pooling
pooling       how the slices of a study become one answer
training      the loop: epochs, validation, early stopping
state         where a training stands, and its way to a checkpoint and back
checkpoints   generations of checkpoints: written whole, verified, found again
interruption  Ctrl-C and SIGTERM at the end of a step
calibration   logits to probabilities, by the temperature that validation data ask for
hardware      which device and which precision the machine offers
explaining    where the evidence for a class lies: Grad-CAM and occlusion
heatmap       Heatmap: that evidence on the pixels of the series as it was stored
overlay       a heat map as a picture
folding       a copy of a network that only reads: folded, packed, proved equal
engines       what reads with a fitted network
exporting     the network as ONNX beside its weights, and ONNX Runtime to read with it
storage       a fitted classifier to a folder and back: safetensors and JSON, nothing unpickled
card          the model card that is saved beside the weights
"""

from cervispine.classification.estimator import Classifier
from cervispine.classification.heatmap import Heatmap, Peak
from cervispine.classification.opll import OPLLClassifier
from cervispine.classification.training import Epoch

__all__ = ["Classifier", "Epoch", "Heatmap", "OPLLClassifier", "Peak"]
