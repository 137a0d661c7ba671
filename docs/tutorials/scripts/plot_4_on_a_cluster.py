"""
On a cluster
============

A trained model, an archive that one process would read for days, and machines that come and go.
Two processes of this machine stand for the cluster here; what you would write for a real one
differs in one address.
"""

# %%
# A model and an archive
# ----------------------
# The archive is a folder that every worker sees under the same path, and so are the model and the
# folder for the answers.

import tempfile
from pathlib import Path

from cervispine import Loader, OPLLClassifier, Phantom, Preprocessor

folder = Path(tempfile.mkdtemp())
data = Phantom(n_opll=12, n_dss=12, difficulty=0.1, seed=1).write(
    folder / "phantom"
)
classifier = OPLLClassifier(
    backbone="resnet34",
    preprocessor=Preprocessor(size=(64, 64), spacing=2.0),
    epochs=1,
    progress=False,
)
classifier.fit(Loader().index(data.dicom).with_labels(data.labels))
classifier.save(folder / "model")

archive = Phantom(n_opll=3, n_dss=3, seed=2).write(folder / "archive").dicom

# %%
# A scheduler and its workers
# ---------------------------
# Dask hands out the work. Here it starts two workers; on SLURM, ``SLURMCluster`` of dask-jobqueue
# starts them as jobs, and elsewhere ``dask scheduler`` and ``dask worker`` are typed in by hand.
# One thread for each worker: a network of this size gains more from another process.

from distributed import LocalCluster

from cervispine.archive import infer_archive

with LocalCluster(
    n_workers=2, threads_per_worker=1, dashboard_address=None
) as cluster:
    run = infer_archive(
        folder / "model",
        archive,
        out=folder / "answers",
        scheduler=cluster.scheduler_address,
        progress=False,
    )
print(run.summary())

# %%
# Every file and every study is in the account: done, set aside, or refused. A network of one epoch
# knows nothing, so the scores are not worth looking at:

run.predictions.to_frame()

# %%
# The cluster goes away
# ---------------------
# Each study was published by itself the moment it was read, under a hash of its bytes and of the
# model. So nothing is read twice, whoever dies. Here half of the answers are lost, and a study has
# come in since; the same call, in this process alone, reads what is missing.

import shutil

answers = sorted((folder / "answers" / "results").rglob("*.json"))
for answer in answers[::2]:
    answer.unlink()
kept = {answer: answer.stat().st_mtime_ns for answer in answers[1::2]}
newcomer = Phantom(n_opll=1, n_dss=0, seed=3).write(folder / "newcomer").dicom
shutil.move(newcomer, archive / "newcomer")

again = infer_archive(
    folder / "model",
    archive,
    out=folder / "answers",
    workers=0,
    progress=False,
)
print(again.summary())

# %%
# What was there was not touched:

assert len(again.predictions) == len(run.predictions) + 1
assert all(
    answer.stat().st_mtime_ns == then for answer, then in kept.items()
)

# %%
# On your own
# -----------
# From a shell::
#
#     cervispine infer model ARCHIVE --out answers --scheduler tcp://10.0.0.5:8786
#
# The how-to :doc:`/how-to/read-a-whole-archive` has the script for SLURM, certificates for networks
# that are not yours alone, and what happens to a study that ends the process which reads it.
# Training on several machines is another matter, and another tool:
# :doc:`/how-to/train-on-several-gpus`.
