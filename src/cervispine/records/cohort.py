"""Cohort: an immutable sequence of studies, with labels, split and leakage."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import DataWarning, LabelError, LeakageError, UsageError
from cervispine.records.identity import look_alikes, shared_identities
from cervispine.records.intake import IntakeReport, Problem
from cervispine.records.labels import CLASSES, label_studies, read_labels
from cervispine.records.splitting import draw_folds, draw_test
from cervispine.records.study import Study
from cervispine.records.tables import TableLike, listing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cohort"]


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
    def synthetic(self) -> bool:
        """Whether any of the studies is a phantom of cervispine: then no figure is of patients."""
        return any(study.synthetic for study in self)

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
        """Return the studies for which ``keep`` is true and every attribute has its value.

        Parameters
        ----------
        keep
            Told each study.
        attributes
            Columns of the labels, each with the text that stands in it, ``type="segmental"``.

        Raises
        ------
        UsageError
            No study has such an attribute, or the value is no text.
        """
        known = {name for study in self.studies for name in study.attributes}
        for name, value in attributes.items():
            if self.studies and name not in known:
                raise UsageError(
                    f"no study has the attribute {name!r}",
                    advice=f"there is {', '.join(sorted(known)) or 'none'}",
                )
            if not isinstance(value, str):
                raise UsageError(
                    f"attributes are text, and {name}={value!r} is none",
                    advice=f"give {name}={str(value)!r}, as it stands in the table",
                )
        return self._with(
            study
            for study in self.studies
            if (keep is None or keep(study))
            and all(study.attributes.get(name) == value for name, value in attributes.items())
        )

    def without(self, other: Iterable[Study]) -> Cohort:
        """Return the studies of the patients who are not in another cohort."""
        patients = {study.patient for study in other}
        return self._with(study for study in self.studies if study.patient not in patients)

    def split(
        self, test: int | float = 0.25, *, stratify: Sequence[str] = (), seed: int = 0
    ) -> tuple[Cohort, Cohort]:
        """Split into a training and a test part, stratified by label.

        Whatever shares a patient, study UID, frame of reference or pixel hash stays together.
        The same seed gives the same parts whatever the order of the files was.

        Parameters
        ----------
        test
            How many patients the test part takes, exactly; or which fraction of them, as nearly
            as whole groups allow.
        stratify
            Attributes, ``("site",)`` for example, whose values are to have the same share of
            each part within each label.
        seed
            Decides which.

        Returns
        -------
        train, test : Cohort

        Raises
        ------
        UsageError
            When either part would lack a class, or groups cannot be put together to that
            number (``SPLIT_IMPOSSIBLE``); when no study has an attribute; for a negative seed.

        Warns
        -----
        DataWarning
            When the parts hold pictures that are nearly the same (``NEAR_DUPLICATE``).
        """
        in_test = draw_test(self.studies, self.labels, test, stratify=stratify, seed=seed)
        train, held = (
            self._with(study for study, side in zip(self, in_test, strict=True) if side == part)
            for part in (False, True)
        )
        train.warn_of_near_duplicates(held)
        return train, held

    def folds(
        self, count: int = 5, *, stratify: Sequence[str] = (), seed: int = 0
    ) -> tuple[Cohort, ...]:
        """Divide into parts of equal size, each to be tested by a model of the others.

        What shares a patient, study UID, frame of reference or pixel hash stays together, and
        each class has its share of each part, as in :meth:`split`.

        Parameters
        ----------
        count
            How many parts, from 2.
        stratify
            Attributes whose values are to have the same share of each part within each label.
        seed
            Decides who is in which.

        Raises
        ------
        UsageError
            When a part would lack a class (``SPLIT_IMPOSSIBLE``); as :meth:`split`.

        Warns
        -----
        DataWarning
            When two parts hold pictures that are nearly the same (``NEAR_DUPLICATE``).
        """
        parts = draw_folds(self.studies, self.labels, count, stratify=stratify, seed=seed)
        folds = tuple(
            self._with(study for study, own in zip(self, parts, strict=True) if own == part)
            for part in range(count)
        )
        for number, fold in enumerate(folds[:-1], start=1):
            fold.warn_of_near_duplicates(Cohort(s for other in folds[number:] for s in other))
        return folds

    def leakage(self, other: Cohort) -> tuple[Problem, ...]:
        """Return what the two cohorts share that a training and a test part must not share.

        One problem for each patient, study UID, frame of reference or pixel hash that stands in
        both; its item names the studies by UID, those of this cohort first.
        """
        return tuple(shared_identities(self.studies, other.studies))

    def refuse_leakage(self, other: Cohort) -> None:
        """Raise when the two cohorts share a patient or an image; warn when images look alike.

        Raises
        ------
        LeakageError
            Naming what is shared and the studies that share it.

        Warns
        -----
        DataWarning
            As :meth:`split`.
        """
        if problems := self.leakage(other):
            counts = Counter(problem.reason for problem in problems)
            raise LeakageError(
                listing(
                    "; ".join(f"{reason} ({count})" for reason, count in counts.items()),
                    [f"{problem.code}: {problem.item}" for problem in problems],
                ),
                advice="cohort.split(test=...) keeps together what belongs together",
            )
        self.warn_of_near_duplicates(other)

    def near_duplicates(self, other: Cohort | None = None) -> tuple[Problem, ...]:
        """Return pairs of studies that share no identity and hold nearly the same picture.

        Middle slices are compared by ``Series.appearance``: copies that were rescaled,
        compressed, windowed or cropped by 2 % are found.

        Parameters
        ----------
        other
            Pairs of one study here and one there; None for pairs within this cohort.
        """
        return tuple(
            Problem(
                code="NEAR_DUPLICATE",
                reason="nearly the same picture under two identifiers",
                item=" | ".join(f"study {study.uid}" for study in pair),
                fate="noted",
                files=0,
            )
            for pair in look_alikes(self.studies, None if other is None else other.studies)
        )

    def warn_of_near_duplicates(self, other: Cohort) -> None:
        """Warn when this cohort and another hold pictures that are nearly the same.

        Warns
        -----
        DataWarning
            Naming the pairs of studies by UID (``NEAR_DUPLICATE``).
        """
        if problems := self.near_duplicates(other):
            reason = f"NEAR_DUPLICATE: {len(problems)} pairs of studies in two parts look alike"
            warnings.warn(
                listing(reason, [problem.item for problem in problems]), DataWarning, stacklevel=3
            )

    def summary(self) -> str:
        """Return who is in the cohort, as text."""
        patients = len(set(self.patients))
        counts = Counter(
            "unlabelled" if s.label is None else CLASSES[s.label] for s in self.studies
        )
        classes = ", ".join(f"{counts[name]} {name}" for name in sorted(counts, reverse=True))
        lines = [f"{len(self)} studies of {patients} patients ({classes})"]
        kinds = Counter(
            f"{series.plane} {series.sequence}" for study in self for series in study.series
        )
        lines += [f"  {count} {kind} series" for kind, count in sorted(kinds.items())]
        if self.intake is not None:
            lines.append(self.intake.summary())
        return "\n".join(lines)

    def _with(self, studies: Iterable[Study]) -> Cohort:
        return Cohort(studies, self.intake)
