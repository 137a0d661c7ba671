"""Reads DICOM as cervispine does, with other values: a power of each."""

import attrs

from cervispine.loading import Loader


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class BrightLoader(Loader):
    power: float = 2.0

    def read(self, study, sequence="T2", **options):
        volume = super().read(study, sequence, **options)
        return volume.with_step("brighter", pixels=volume.pixels**self.power)
