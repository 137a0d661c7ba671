"""Reads DICOM as cervispine does, and dies of some studies, as a decoder in C may.

FATAL names them: ``UID=die;UID=hang;UID=fail``; ``UID=wait`` only takes a second.
"""

import ctypes
import os
import time

import attrs

from cervispine.loading import Loader

NAME = "fatal-loader:fatal"


class FatalLoader(Loader):
    def index(self, source, **options):
        cohort = super().index(source, **options)
        studies = [
            attrs.evolve(study, series=[attrs.evolve(s, loader=NAME) for s in study.series])
            for study in cohort
        ]
        return attrs.evolve(cohort, studies=studies)

    def read(self, study, sequence="T2", **options):
        pairs = (pair.split("=") for pair in os.environ.get("FATAL", "").split(";") if pair)
        fate = dict(pairs).get(study.uid)
        if fate == "die":
            os.abort()
        if fate == "hang":
            # Without letting go of the interpreter: no Python of this process runs any more.
            ctypes.PyDLL(None).sleep(3600)
        if fate == "wait":
            time.sleep(1)
        if fate == "fail":
            raise RuntimeError("PatientName^Of a header")
        return super().read(study, sequence, **options)
