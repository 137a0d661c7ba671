"""
Comparing with your surgeons
============================

Does the network read as well as the surgeons, on the same patients? The comparison takes truth,
scores and readings, not networks: it works for any model's numbers, and needs no torch.
"""

# %%
# Truth, readers, scores
# ----------------------
# Here are 171 invented patients, as many as Qu et al. 2024 tested. The three readers are
# *simulated*: random numbers whose sensitivity by type of OPLL is one that was published for
# MRI. So are the scores. With data of your own, ``labels.csv``, ``readers.csv`` and
# ``scores.csv`` hold all this.

import attrs
import numpy as np
import pandas as pd

from cervispine import Evaluator, ReaderTable
from cervispine.phantom import Case, simulate_readers

generator = np.random.default_rng(0)
types = generator.choice(
    ["continuous", "segmental", "mixed", "localized"], 68
)
cases = [
    Case(f"{number:05d}", kind)
    for number, kind in enumerate([*types, *[None] * 103])
]
truth = {case.patient: int(case.opll_type is not None) for case in cases}

readings = pd.DataFrame(
    [attrs.asdict(reading) for reading in simulate_readers(cases, seed=1)]
)
readers = ReaderTable.from_frame(readings)

logits = generator.normal(
    [1.0 if label else -1.0 for label in truth.values()], 1.0
)
scores = dict(zip(truth, 1 / (1 + np.exp(-logits))))
readings.head(3)

# %%
# One call
# --------
# The threshold comes from validation data, not from these patients; a model's folder carries
# it. The seed decides whatever is resampled.

comparison = Evaluator(seed=0).compare(
    truth,
    {"network": scores},
    readers,
    thresholds={"network": 0.5},
    strata={
        "type": {case.patient: case.opll_type or "none" for case in cases}
    },
)
print(comparison.summary())

# %%
# Curves and points
# -----------------
# A network gives a score, so it has a curve; its dot is the threshold. A reader who said yes or
# no is a point. A point above the curve reads better than the network at the same specificity.

comparison.plot()

# %%
# How large is the difference
# ---------------------------
# Differences are model minus reader, on the same patients, each with its interval. A difference
# that is not significant is not equality: look at how much the interval leaves open.

comparison.plot(kind="differences")

# %%
# The paper's tables
# ------------------
# ``tables()`` gives them as they are printed, ``to_csv()`` and ``to_latex()`` for a manuscript,
# ``to_dict()`` with every method, number of patients and degree of freedom for machines.

comparison.tables()["T1"]

# %%
# By type of OPLL
# ---------------
# Segmental OPLL is the kind that people miss on MRI most often, so an average over types hides
# what matters.

comparison.tables()["T6"]

# %%
# Not worse than the surgeons?
# ----------------------------
# That is a question of its own, with a margin that is chosen before the data are seen.

from cervispine.evaluation import model_against_readers

ratings = readings.pivot(
    index="reader", columns="patient", values="rating"
)[list(truth)]
model_against_readers(
    list(truth.values()),
    list(scores.values()),
    ratings.to_numpy(),
    margin=0.05,
)

# %%
# By default readers are random: the answer is for surgeons like these, and three of them say
# little about all others. ``readers_are="fixed"`` speaks of these three only.
