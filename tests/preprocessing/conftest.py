"""One painted patient, as volumes and as files."""

from __future__ import annotations

from pathlib import Path

import attrs
import numpy as np
import pytest

from cervispine import Cohort, Loader, Volume
from cervispine.phantom import Rendering, render_sequences, sample_patient, write_series


@attrs.frozen(eq=False, kw_only=True)
class Painted:
    """A phantom patient: the images, and what only the painter knows."""

    t2: Volume
    t1: Volume
    cord: Volume
    mid_slice: int
    folder: Path
    identifier: str

    def cohort(self, *sequences: str) -> Cohort:
        return Loader(sequences=sequences).index(self.folder)


def _volume(rendering: Rendering) -> Volume:
    return Volume(
        pixels=rendering.pixels.astype(np.float32),
        affine=rendering.affine,
        sequence=rendering.sequence,
    )


@pytest.fixture(scope="session")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Painted:
    """Return one phantom patient with a T2 and a T1 series."""
    patient = sample_patient(17, "OPLL", difficulty=0.1)
    identifier = "Mustermann-19530412"
    t2, t1 = render_sequences(patient, ("T2", "T1"))
    folder = tmp_path_factory.mktemp("painted")
    for rendering in (t2, t1):
        write_series(rendering, patient, folder / rendering.sequence, name=identifier)
    return Painted(
        t2=_volume(t2),
        t1=_volume(t1),
        cord=Volume(pixels=t2.cord, affine=t2.affine),
        mid_slice=t2.mid_slice,
        folder=folder,
        identifier=identifier,
    )
