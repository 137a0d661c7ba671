"""Reads DICOM as cervispine does: a plug-in that keeps the contract."""

from cervispine.loading import Loader


class LabLoader(Loader):
    pass
