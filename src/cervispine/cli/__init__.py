"""The command line; the only place that prints.

options      what several commands share
data         phantom, index
study        experiment, train, predict
explain      explain
statistics   compare
power        power auc, mcnemar, mrmc
reading      read serve, read export
plugins      backbones, loaders, doctor
messages     what is said on standard error, and what is not
program      the commands in order, and how the program ends
"""

from cervispine.cli.program import app, main

__all__ = ["app", "main"]
