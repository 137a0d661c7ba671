"""What the author of a plug-in runs.

backbones   check_backbone: the whole contract of a network
loaders     check_loader: the whole contract of a loader
oracle      OracleSeries: a series whose voxels say where they lie; check_volume
writing     write_oracle_series: such a series as DICOM
faults      FAULTS: what may be wrong with a series, and the codes that say so
mutations   MUTATORS: files broken as disks, networks and attackers break them
dark_band   dark_band: seven numbers of the dark band alone, which a network has to beat

Each check raises at the first breach, so that a plug-in's own test is one line::

    def test_contract():
        cervispine.testing.check_backbone("convnext_tiny")
"""

from cervispine.testing.backbones import check_backbone
from cervispine.testing.dark_band import DARK_BAND, dark_band
from cervispine.testing.faults import FAULTS, SeriesFault, write_faulty_series
from cervispine.testing.loaders import check_loader
from cervispine.testing.mutations import MUTATORS, mutate
from cervispine.testing.oracle import OracleSeries, check_volume
from cervispine.testing.writing import write_oracle_series

__all__ = [
    "DARK_BAND",
    "FAULTS",
    "MUTATORS",
    "OracleSeries",
    "SeriesFault",
    "check_backbone",
    "check_loader",
    "check_volume",
    "dark_band",
    "mutate",
    "write_faulty_series",
    "write_oracle_series",
]
