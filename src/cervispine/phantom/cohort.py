"""A whole synthetic cohort: its specifications, and their way to disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs
from joblib import Parallel, delayed

from cervispine.exceptions import UsageError
from cervispine.phantom.randomness import Stream, generator
from cervispine.phantom.readers import Case, simulate_readers
from cervispine.phantom.sampling import sample_patient
from cervispine.phantom.settings import ProtocolRanges, Settings, TypeMix
from cervispine.phantom.specification import Label, PatientSpecification, Sequence
from cervispine.phantom.storage import (
    claim_folder,
    is_finished,
    write_patient,
    write_table,
    writing,
)

__all__ = ["Phantom", "PhantomCohort"]

logger = logging.getLogger("cervispine.phantom")

Progress = Callable[[int, int], object]


def _sequences(names: Iterable[Sequence]) -> tuple[Sequence, ...]:
    return tuple(names)


@attrs.frozen
class PhantomCohort:
    """Where a written cohort lies.

    Attributes
    ----------
    folder : Path
    dicom : Path
        A folder a patient, in it a folder a series.
    labels, readers : Path
        ``labels.csv`` and ``readers.csv``; the readers are simulated.
    truth : Path
        Masks, specification and severity of each patient.
    """

    folder: Path
    dicom: Path = attrs.field(init=False)
    labels: Path = attrs.field(init=False)
    readers: Path = attrs.field(init=False)
    truth: Path = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        for name, leaf in (
            ("dicom", "dicom"), ("labels", "labels.csv"),
            ("readers", "readers.csv"), ("truth", "truth"),
        ):  # fmt: skip
            object.__setattr__(self, name, self.folder / leaf)


@attrs.frozen(kw_only=True)
class Phantom:
    """A cohort of synthetic patients, by default of the paper's size: 272 OPLL, 412 stenosis.

    Nothing that it makes is evidence about patients.

    Parameters
    ----------
    n_opll : int
        Patients with ossification (and degeneration beside it, as the others have).
    n_dss : int
        Patients with degenerative stenosis alone.
    difficulty : float
        0 to 1. The scale was set by hand, so that networks are good at 0.5 and not perfect.
    seed : int
        Decides everything.
    sequences : tuple of {"T2", "T1"}
        The series to write.
    n_readers : int
        Simulated surgeons.
    type_mix, mimic_rate, protocols
        See :class:`~cervispine.phantom.Settings`.
    jobs : int or None
        Processes that write at once; None takes one a processor. The result is the same.

    Raises
    ------
    UsageError
        If a parameter cannot be meant.

    Examples
    --------
    >>> from cervispine import Phantom
    >>> phantom = Phantom(n_opll=2, n_dss=3, seed=1)
    >>> len(phantom.specifications())
    5
    """

    n_opll: int = 272
    n_dss: int = 412
    difficulty: float = 0.5
    seed: int = 0
    sequences: tuple[Sequence, ...] = attrs.field(default=("T2",), converter=_sequences)
    n_readers: int = 3
    type_mix: TypeMix = attrs.field(factory=TypeMix)
    mimic_rate: float | None = None
    protocols: ProtocolRanges = attrs.field(factory=ProtocolRanges)
    jobs: int | None = attrs.field(default=None, eq=False)

    def __attrs_post_init__(self) -> None:
        wrong = {
            "n_opll": self.n_opll < 0,
            "n_dss": self.n_dss < 0,
            "n_opll + n_dss": self.n_opll + self.n_dss < 1,
            "seed": self.seed < 0,
            "n_readers": self.n_readers < 1,
            "jobs": self.jobs is not None and self.jobs < 1,
            "sequences": not self.sequences
            or len(set(self.sequences)) < len(self.sequences)
            or not set(self.sequences) <= {"T2", "T1"},
        }
        for name in (name for name, is_wrong in wrong.items() if is_wrong):
            raise UsageError(
                f"a phantom cohort cannot have this {name}",
                where=f"{name}={getattr(self, name, 0)!r}",
                advice="counts and seeds are not negative; sequences are of 'T2' and 'T1'",
            )
        Settings(difficulty=self.difficulty, mimic_rate=self.mimic_rate)

    def specifications(self) -> tuple[PatientSpecification, ...]:
        """Return the patients; the seed shuffles the labels, so that order tells nothing."""
        random = generator(self.seed, Stream.COHORT)
        size = self.n_opll + self.n_dss
        labels: list[Label] = ["OPLL" if place < self.n_opll else "DSS" for place in range(size)]
        order = random.permutation(size)
        seeds = random.integers(0, 2**62, size)
        return tuple(
            sample_patient(
                int(seed),
                labels[place],
                difficulty=self.difficulty,
                type_mix=self.type_mix,
                mimic_rate=self.mimic_rate,
                protocols=self.protocols,
            )
            for seed, place in zip(seeds, order, strict=True)
        )

    def names(self) -> tuple[str, ...]:
        """Return the patients' identifiers, in the order of :meth:`specifications`."""
        size = self.n_opll + self.n_dss
        width = max(4, len(str(size)))
        return tuple(f"P{number:0{width}d}" for number in range(1, size + 1))

    def write(self, folder: str | Path, *, progress: Progress | None = None) -> PhantomCohort:
        """Write DICOM, labels, simulated readings and truth.

        A patient is written whole or not at all. Writing into a folder that holds the same
        cohort goes on where it stopped.

        Parameters
        ----------
        folder : str or Path
            Made if missing.
        progress : callable, optional
            Called with the numbers of finished and of all patients.

        Raises
        ------
        UsageError
            If the folder holds something else, or another cohort.
        ResourceError
            If the folder cannot be written.
        """
        # Workers outlive a call, so their working folder may be another one.
        cohort = PhantomCohort(Path(folder).absolute())
        with writing(cohort.folder):
            claim_folder(cohort.folder, self._settings())
            patients = dict(zip(self.names(), self.specifications(), strict=True))
            write_table(
                cohort.labels,
                ("patient", "label", "type", "site", "age", "sex"),
                (
                    (name, each.label, each.opll_type or "", each.protocol.site, each.age, each.sex)
                    for name, each in patients.items()
                ),
            )
            cases = [Case(name, each.opll_type) for name, each in patients.items()]
            write_table(
                cohort.readers,
                ("patient", "reader", "call", "rating"),
                map(attrs.astuple, simulate_readers(cases, readers=self.n_readers, seed=self.seed)),
            )
            waiting = [name for name in patients if not is_finished(cohort.folder, name)]
            done = len(patients) - len(waiting)
            if done:
                logger.info("%d patients are there already", done)
            for _ in self._write_all(cohort.folder, {name: patients[name] for name in waiting}):
                done += 1
                if progress is not None:
                    progress(done, len(patients))
        return cohort

    def _settings(self) -> dict[str, object]:
        return attrs.asdict(self, filter=attrs.filters.exclude("jobs"))

    def _write_all(self, folder: Path, patients: dict[str, PatientSpecification]) -> Iterator[None]:
        # loky starts processes afresh, so threads of torch do no harm, and, unlike the standard
        # library's way of doing so, without importing the caller's script a second time.
        finished: Iterator[None] = Parallel(
            n_jobs=self.jobs or os.cpu_count() or 1, return_as="generator_unordered"
        )(
            delayed(write_patient)(folder, name, patient, self.sequences)
            for name, patient in patients.items()
        )
        return finished
