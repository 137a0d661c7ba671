"""Cohort: an immutable sequence of studies, with labels, split and leakage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import LabelError, LeakageError, UsageError
from cervispine.records.intake import IntakeReport, Problem
from cervispine.records.labels import CLASSES, label_studies, read_labels
from cervispine.records.study import Study
from cervispine.records.tables import TableLike

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

    def with_labels(self, labels: TableLike, *, allow_missing: bool = False) -> Cohort:
        """Return the cohort with the labels and attributes of a table.

        Rows and studies are joined where their identifiers are equal, character for character.

        Parameters
        ----------
        labels
            Path of a CSV file with the columns ``patient,label``, labels ``OPLL`` or ``DSS``; any
            other column becomes an attribute of the study. Or a data frame with these columns,
            or a mapping from patient to label. A patient whose every study was refused or
            ignored may stand there: that is counted in the account of the intake
            (``PATIENTS_UNUSED``).
        allow_missing
            Leave out studies without a row (``LABEL_ABSENT``) and rows without a study
            (``PATIENTS_ABSENT``), and count them in the account of the intake. A patient
            twice, an unknown label or an identifier that a spreadsheet has probably damaged is
            an error in any case.

        Raises
        ------
        LabelError
            All faults of the table at once, by row: unknown labels, patients listed twice
            (``LABELS_INVALID``), studies without a row or rows of patients who are not in the
            folder (``LABELS_UNMATCHED``), identifiers probably damaged
            (``ID_LEADING_ZERO_SUSPECT``, ``ID_LOOKALIKE``, ``ID_EXCEL_DAMAGE``) or not text
            (``ID_NOT_TEXT``).
        """
        return Cohort(
            *label_studies(
                self.studies, self.intake, read_labels(labels), allow_missing=allow_missing
            )
        )

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


def _identities(study: Study) -> tuple[set[str], ...]:
    """Return what identifies a study, in the order of IDENTITIES; nothing where it is empty."""
    frames = {series.frame_of_reference_uid for series in study.series} - {""}
    hashes = {series.pixel_hash for series in study.series} - {""}
    return {study.patient}, {study.uid}, frames, hashes
