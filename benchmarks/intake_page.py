"""Write the page of an intake for a cohort of phantoms in which a few faults were planted.

``python benchmarks/intake_page.py FOLDER`` writes ``FOLDER/intake/intake.html``, of which
``docs/_static/intake.png`` is a picture. Prints the account.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pydicom

from cervispine import Loader, Phantom
from cervispine.reporting import save_intake


def main() -> int:
    folder = Path(sys.argv[1])
    phantom = Phantom(n_opll=6, n_dss=10, difficulty=0.3, seed=3).write(folder / "cohort")
    plant(sorted(path for path in phantom.dicom.iterdir() if path.is_dir()), phantom.dicom)
    cohort = Loader().index(phantom.dicom).with_labels(phantom.labels)
    print(cohort.summary())
    print(save_intake(cohort, folder / "intake"))
    return 0


def plant(studies: list[Path], root: Path) -> None:
    files = [sorted(study.rglob("*.dcm")) for study in studies]
    cut_off = files[1][3]
    cut_off.write_bytes(cut_off.read_bytes()[:-3000])
    middle_of(files[3]).unlink()
    for path in files[5]:
        dataset = pydicom.dcmread(path)
        dataset.BurnedInAnnotation = "YES"
        dataset.PatientIdentityRemoved = "NO"
        dataset.InstitutionName = "Somewhere General"
        dataset.private_block(0x0051, "SOMEONE", create=True).add_new(1, "LO", "something")
        dataset.save_as(path)
    scout = pydicom.dcmread(files[6][0])
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.SeriesInstanceUID += ".9"
    scout.SOPInstanceUID += ".9"
    scout.save_as(root / "scout.dcm")
    shutil.copy(files[7][0], root / "copy.dcm")
    (root / "notes.txt").write_text("no DICOM")
    (root / ".DS_Store").write_bytes(b"\0")


def middle_of(files: Iterable[Path]) -> Path:
    across = sorted(files, key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[0]))
    return across[len(across) // 2]


if __name__ == "__main__":
    sys.exit(main())
