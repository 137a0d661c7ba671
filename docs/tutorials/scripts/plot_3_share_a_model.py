"""
Sharing a model
===============

A model that nobody else can run is a claim. A saved one is a folder without code: weights,
settings, a card that says what it is for, and enough to know its own patients again.
"""

# %%
# Train one
# ---------

import tempfile
from pathlib import Path

from cervispine import Loader, OPLLClassifier, Phantom, Preprocessor
from cervispine.records import Key

folder = Path(tempfile.mkdtemp())
data = Phantom(n_opll=12, n_dss=12, difficulty=0.1, seed=1).write(
    folder / "phantom"
)
train, test = (
    Loader()
    .index(data.dicom)
    .with_labels(data.labels)
    .split(test=8, seed=0)
)

key = Key.open(folder / "hospital.key")
small = Preprocessor(size=(64, 64), spacing=2.0)
classifier = OPLLClassifier(
    backbone="resnet34", preprocessor=small, epochs=1, progress=False
)
classifier.fit(train, key=key).save(folder / "model")

# %%
# The key stays with the hospital: with it, and only with it, hashes of patient identifiers can
# be compared.

# %%
# What is in the folder
# ---------------------

for path in sorted((folder / "model").iterdir()):
    print(f"{path.stat().st_size:>10,}  {path.name}")

# %%
# ``model.safetensors`` holds numbers only and nothing is unpickled, so a model from a stranger
# can be loaded. It holds no patient either: of them there are hashes, by which the model knows
# what it was trained on.

print((folder / "model" / "README.md").read_text())

# %%
# Elsewhere
# ---------
# The other group loads it and reads its own patients. Threshold, calibration and preprocessing
# travel with the model.

again = OPLLClassifier.load(folder / "model")
again.classify(test).to_frame()

# %%
# What it refuses
# ---------------
# An evaluation on patients that it was trained on measures memory, so it is refused unless you
# insist.

from cervispine.exceptions import LeakageError

try:
    again.classify(train)
except LeakageError as error:
    print(error)

# %%
# A folder that was damaged, cut short or made by another program is refused within a second.

from cervispine.exceptions import ModelFormatError

weights = folder / "model" / "model.safetensors"
weights.write_bytes(weights.read_bytes()[:-1])
try:
    OPLLClassifier.load(folder / "model")
except ModelFormatError as error:
    print(error.code)
