"""
A first prediction
==================

The steps of a study are objects that you can use alone: a loader, a preprocessor, a classifier.
Here they are one after the other, on a cohort of synthetic patients.
"""

# %%
# Data
# ----
# No public MRI of OPLL exists, so cervispine brings a digital phantom: synthetic patients,
# written as DICOM with their truth. Your own folder of DICOM and your own ``labels.csv`` go in
# the same places.

import tempfile
from pathlib import Path

from cervispine import Phantom

folder = Path(tempfile.mkdtemp())
data = Phantom(n_opll=12, n_dss=12, difficulty=0.1, seed=1).write(
    folder / "phantom"
)

# %%
# A cohort
# --------
# Indexing reads headers only. The summary ends with the account of the files: found = used +
# rejected + ignored.

from cervispine import Loader

loader = Loader()
cohort = loader.index(data.dicom).with_labels(data.labels)
print(cohort.summary())

# %%
# A cohort is a sequence of studies that never changes; its parts are cohorts too. No patient is
# in both of them, and ``split`` draws each class in its proportion.

train, test = cohort.split(test=8, seed=0)
train.leakage(test)

# %%
# What a study looks like
# -----------------------
# A volume knows where each voxel lies in the patient (``affine``, in millimetres) and what was
# done to its values so far (``history``).

import matplotlib.pyplot as plt

study = next(study for study in train if study.label == 1)
volume = loader.read(study, "T2")
print(volume.pixels.shape, volume.spacing)

middle = volume.pixels[len(volume.pixels) // 2]
figure, axes = plt.subplots(figsize=(3.2, 3.2), layout="constrained")
axes.imshow(middle, cmap="gray")
axes.set_axis_off()
axes.set_title("synthetic phantom, OPLL", fontsize=9)

# %%
# What the network sees
# ---------------------
# The preprocessor decides it: slices about the middle of the cord, one spacing, one size, one
# scale of values. This one makes small, coarse images, so that a processor is enough.

from cervispine import Preprocessor

small = Preprocessor(size=(64, 64), spacing=2.0)
images = small.transform([study])
figure, panels = plt.subplots(
    1, images.shape[1], figsize=(6, 2.2), layout="constrained"
)
for panel, image in zip(panels, images[0]):
    panel.imshow(image, cmap="gray")
    panel.set_axis_off()

# %%
# A classifier
# ------------
# ``OPLLClassifier`` is a scikit-learn estimator whose ``X`` is a cohort. The threshold between
# its calls is chosen on patients that ``fit`` sets aside from ``train``, and so is the band of
# probabilities in which CT is advised whatever the call. With so few validation patients the model
# can exclude neither class, so CT is advised for everyone.

from cervispine import OPLLClassifier

classifier = OPLLClassifier(
    backbone="resnet34",
    preprocessor=small,
    epochs=2,
    seed=0,
    progress=False,
)
classifier.fit(train)
predictions = classifier.classify(test)
predictions.to_frame()

# %%
# Two epochs on a dozen phantoms teach a network next to nothing; the point here is the way, not
# the figures. The network itself is an ordinary ``torch.nn.Module``: whoever wants a training
# loop of their own can walk out with it.

print(
    type(classifier.module_).__name__,
    "threshold",
    round(classifier.threshold_, 3),
)
