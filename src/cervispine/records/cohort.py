"""Cohort: an immutable sequence of studies, with labels, split and leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import LabelError, LeakageError, UsageError
from cervispine.records.intake import IntakeReport, Problem
from cervispine.records.labels import CLASSES, read_labels
from cervispine.records.study import Study
from cervispine.records.tables import Table, raise_faults

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cohort"]

#: What two studies may share that makes them one group, never to be split.
IDENTITIES = ("patient", "study UID", "frame of reference", "pixel hash")


def _in_order(studies: Iterable[Study]) -> tuple[Study, ...]:
    return tuple(sorted(studies, key=lambda study: (study.patient, study.uid)))


@attrs.frozen(eq=False, repr=False)
class Cohort(Sequence[Study]):
    """An immutable sequence of studies.

    Parameters
    ----------
    studies
        The studies, in the order of patient identifier and study UID, so that neither the names
        nor the order of files decide anything.
    intake
        What became of every file found; None for a cohort made by hand.
    """

    studies: tuple[Study, ...] = attrs.field(converter=_in_order)
    intake: IntakeReport | None = None

    def __len__(self) -> int:
        return len(self.studies)

    def __iter__(self) -> Iterator[Study]:
        return iter(self.studies)

    @overload
    def __getitem__(self, index: int) -> Study: ...
    @overload
    def __getitem__(self, index: slice) -> Cohort: ...
    def __getitem__(self, index: int | slice) -> Study | Cohort:
        if isinstance(index, slice):
            return Cohort(self.studies[index], self.intake)
        return self.studies[index]

    def __repr__(self) -> str:
        return f"<Cohort: {self.summary().splitlines()[0]}>"

    @property
    def patients(self) -> tuple[str, ...]:
        """The patient identifier of each study, in order: the groups of a cross-validation."""
        return tuple(study.patient for study in self.studies)

    @property
    def labels(self) -> NDArray[np.int64]:
        """int64 (n,): 1 for OPLL, 0 for degenerative stenosis.

        Raises
        ------
        LabelError
            When a study has no label (``LABELS_MISSING``).
        """
        missing = sum(study.label is None for study in self.studies)
        if missing:
            raise LabelError(
                f"{missing} of {len(self)} studies have no label",
                advice="cohort.with_labels('labels.csv')",
                code="LABELS_MISSING",
            )
        return np.array([study.label for study in self.studies], dtype=np.int64)

    @property
    def attributes(self) -> pd.DataFrame:
        """One row a study: patient, label and every other column of labels.csv."""
        import pandas as pd

        return pd.DataFrame(
            [
                {"patient": study.patient, "label": study.label, **study.attributes}
                for study in self.studies
            ]
        )

    def with_labels(self, path: str | Path) -> Cohort:
        """Return the cohort with the labels and attributes of a CSV file.

        Parameters
        ----------
        path
            Columns ``patient,label``, labels ``OPLL`` or ``DSS``; any other column becomes an
            attribute of the study. A patient whose every study was refused or ignored may stand
            there: that is counted in the account of the intake (``PATIENTS_UNUSED``).

        Raises
        ------
        LabelError
            Unknown labels, patients listed twice (``LABELS_INVALID``), studies without a row or
            rows of patients who are not in the folder (``LABELS_UNMATCHED``): all faults of the
            file at once.
        """
        table = read_labels(path)
        rows = {row["patient"]: row for row in table.rows}
        unused = self.intake.unused_patients if self.intake is not None else frozenset()
        extra = self.rows_without_study(table)
        unlabelled = sum(study.patient not in rows for study in self.studies)
        if unlabelled:
            extra.append(f"{unlabelled} of {len(self)} studies have no row")
        raise_faults(extra, path=table.path, code="LABELS_UNMATCHED")
        lost = Counter(row["label"] for patient, row in rows.items() if patient in unused)

        others = [column for column in table.columns if column not in ("patient", "label")]
        return Cohort(
            [
                attrs.evolve(
                    study,
                    label=CLASSES.index(rows[study.patient]["label"]),
                    attributes={column: rows[study.patient][column] for column in others},
                )
                for study in self.studies
            ],
            _noting_lost(self.intake, lost),
        )

    def rows_without_study(self, table: Table) -> list[str]:
        """Return a fault for each row of a patient of whom the intake found nothing at all."""
        known = set(self.patients)
        fault = "no study"
        if self.intake is not None:
            known |= self.intake.unused_patients
            if self.intake.rejected:
                fault += f" (of {self.intake.rejected} rejected files some may be this patient's)"
        return [f"row {row.number}: {fault}" for row in table.rows if row["patient"] not in known]

    def where(self, keep: Callable[[Study], bool] | None = None, **attributes: Any) -> Cohort:
        """Return the studies for which ``keep`` is true and every attribute has its value."""
        return self._with(
            study
            for study in self.studies
            if (keep is None or keep(study))
            and all(study.attributes.get(name) == value for name, value in attributes.items())
        )

    def split(self, test: int | float = 0.25, *, seed: int = 0) -> tuple[Cohort, Cohort]:
        """Split into a training and a test part, stratified by label.

        Whatever shares a patient, study UID, frame of reference or pixel hash stays together.
        The same seed gives the same parts whatever the order of the files was.

        Parameters
        ----------
        test
            How many patients the test part takes, or which fraction of them.
        seed
            Decides which.

        Returns
        -------
        train, test : Cohort

        Raises
        ------
        UsageError
            When either part would lack a class (``SPLIT_IMPOSSIBLE``).
        """
        labels = self.labels
        groups = self._groups()
        patients = Counter[int]()
        for group in {
            study.patient: group for study, group in zip(self, groups, strict=True)
        }.values():
            patients[group] += 1
        total = sum(patients.values())
        wanted = round(test * total) if isinstance(test, float) else test
        generator = np.random.default_rng(seed)
        # A group that holds both labels counts as positive: it is at least as rare.
        positive = {group for group, label in zip(groups, labels, strict=True) if label == 1}
        chosen: set[int] = set()
        shares = {True: sum(patients[group] for group in positive)}
        take_positive = round(wanted * shares[True] / max(total, 1))
        for is_positive, quota in ((True, take_positive), (False, wanted - take_positive)):
            members = sorted(group for group in patients if (group in positive) == is_positive)
            taken = 0
            for group in generator.permutation(members):
                if taken + patients[int(group)] <= quota:
                    chosen.add(int(group))
                    taken += patients[int(group)]
        in_test = np.array([group in chosen for group in groups], dtype=bool)
        for part, mask in (("training", ~in_test), ("test", in_test)):
            if set(labels[mask]) != {0, 1}:
                raise UsageError(
                    f"a test part of {wanted} of {total} patients leaves the {part} part "
                    "without one of the two classes",
                    advice="choose another size, or bring more patients of the rarer class",
                    code="SPLIT_IMPOSSIBLE",
                )
        return (
            self._with(study for study, held in zip(self, in_test, strict=True) if not held),
            self._with(study for study, held in zip(self, in_test, strict=True) if held),
        )

    def leakage(self, other: Cohort) -> tuple[Problem, ...]:
        """Return what the two cohorts share that a training and a test part must not share."""
        problems = []
        for position, name in enumerate(IDENTITIES):
            mine, theirs = (
                {identity for study in cohort for identity in _identities(study)[position]}
                for cohort in (self, other)
            )
            if shared := mine & theirs:
                problems.append(
                    Problem(
                        code=f"LEAKAGE_{name.replace(' ', '_').upper()}",
                        reason=f"{len(shared)} {name}(s) stand in both parts",
                        files=0,
                    )
                )
        return tuple(problems)

    def refuse_leakage(self, other: Cohort) -> None:
        """Raise when the two cohorts share a patient or an image.

        Raises
        ------
        LeakageError
            Naming what is shared and how often.
        """
        if problems := self.leakage(other):
            raise LeakageError(
                "; ".join(problem.reason for problem in problems),
                advice="cohort.split(test=...) keeps together what belongs together",
            )

    def summary(self) -> str:
        """Return who is in the cohort, as text."""
        patients = len(set(self.patients))
        counts = Counter(
            "unlabelled" if s.label is None else CLASSES[s.label] for s in self.studies
        )
        classes = ", ".join(f"{counts[name]} {name}" for name in sorted(counts, reverse=True))
        lines = [f"{len(self)} studies of {patients} patients ({classes})"]
        sequences = Counter(series.sequence for study in self for series in study.series)
        lines += [f"  {count} sagittal {name} series" for name, count in sorted(sequences.items())]
        if self.intake is not None:
            lines.append(self.intake.summary())
        return "\n".join(lines)

    def _with(self, studies: Iterable[Study]) -> Cohort:
        return Cohort(studies, self.intake)

    def _groups(self) -> NDArray[np.int64]:
        """int64 (n,): equal for studies that share any identity, directly or through others."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        column: dict[tuple[int, str], int] = {}
        edges = [
            (row, column.setdefault((kind, identity), len(column)))
            for row, study in enumerate(self.studies)
            for kind, identities in enumerate(_identities(study))
            for identity in identities
        ]
        rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
        size = len(self) + len(column)
        graph = coo_array((np.ones(len(edges)), (rows, columns + len(self))), shape=(size, size))
        return connected_components(graph, directed=False)[1][: len(self)].astype(np.int64)


def _noting_lost(intake: IntakeReport | None, lost: Counter[str]) -> IntakeReport | None:
    """Return the intake with a note of how many labelled patients it has no study of."""
    if intake is None or not lost:
        return intake
    counts = ", ".join(f"{lost[name]} {name}" for name in sorted(lost, reverse=True))
    note = Problem(
        code="PATIENTS_UNUSED",
        reason=f"labelled patients of whom no study can be used: {counts}",
        fate="noted",
        files=0,
    )
    return attrs.evolve(intake, problems=(*intake.problems, note))


def _identities(study: Study) -> tuple[set[str], ...]:
    """Return what identifies a study, in the order of IDENTITIES; nothing where it is empty."""
    frames = {series.frame_of_reference_uid for series in study.series} - {""}
    hashes = {series.pixel_hash for series in study.series} - {""}
    return {study.patient}, {study.uid}, frames, hashes
