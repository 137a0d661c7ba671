"""Several readers who read the same cases in several modalities: the reader study.

A modality is whatever the readers compare: two sequences, or reading alone and reading with a
model's advice.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from itertools import combinations, product
from typing import TYPE_CHECKING, Any

import attrs

from cervispine.evaluation.against_readers import note_of_few
from cervispine.evaluation.checking import check_confidence, choose
from cervispine.evaluation.components import Components, Effect, components_of
from cervispine.evaluation.covariances import FigureCovariance, Measure, figures_and_covariance
from cervispine.evaluation.factorial import Factorial
from cervispine.evaluation.readings import Readings, ReadingTable, as_readings
from cervispine.evaluation.results import (
    Difference,
    Estimate,
    format_p_value,
    json_ready,
    with_warning,
)
from cervispine.exceptions import EvaluationError, UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MRMC", "mrmc"]

_LABELS = {"auc": "AUC", "sensitivity": "sensitivity", "specificity": "specificity"}


@attrs.frozen(eq=False, repr=False)
class MRMC:
    """What a reader study says of its modalities.

    Parameters
    ----------
    measure
        ``"auc"``, ``"sensitivity"`` or ``"specificity"``.
    modalities, readers
        Their names.
    positives, negatives
        The number of cases of each class.
    dropped
        How many cases complete-case analysis left out.
    figures
        Each reader's figure in each modality, by (modality, reader); the intervals are of
        this reader, over cases.
    estimates
        The mean of the readers in each modality.
    differences
        Of those means, by (first, second): first minus second; not corrected for their number.
    reader_differences
        The same of each reader alone, by (reader, first, second); these readers, cases like
        these.
    components
        The components of variance, which a sample size needs.
    statistic, df, p_value
        F of the hypothesis that all modalities are alike, and its degrees of freedom, those of
        the denominator infinite where readers are fixed; ``None`` of a single modality, and
        where nothing scatters.
    method, scope
        The analysis, and for what it holds, in words.
    confidence
        Of every interval.
    note
        What narrows the meaning of the figures, if anything does.
    """

    measure: Measure
    modalities: tuple[str, ...]
    readers: tuple[str, ...]
    positives: int
    negatives: int
    dropped: int
    figures: Mapping[tuple[str, str], Estimate]
    estimates: Mapping[str, Estimate]
    differences: Mapping[tuple[str, str], Difference]
    reader_differences: Mapping[tuple[str, str, str], Difference]
    components: Components
    statistic: float | None
    df: tuple[float, float] | None
    p_value: float | None
    method: str
    scope: str
    confidence: float
    note: str = ""

    @property
    def n(self) -> int:
        """The number of cases."""
        return self.positives + self.negatives

    def summary(self) -> str:
        """Return the analysis as text, the sample first."""
        lines = [
            f"{len(self.readers)} reader{'s' * (len(self.readers) > 1)}, "
            f"{len(self.modalities)} modalities, {self.n} cases: "
            f"{self.positives} positive, {self.negatives} negative",
            f"{_LABELS[self.measure]}, {100 * self.confidence:g} % intervals; {self.scope}",
            self.method,
        ]
        lines += [f"  {name}: {estimate}" for name, estimate in self.estimates.items()]
        for (first, second), difference in self.differences.items():
            lines.append(f"  {first} - {second}: {difference}")
            lines += [
                f"    {reader}: {self.reader_differences[reader, first, second]}"
                for reader in self.readers
            ]
        if len(self.differences) > 1:
            lines.append("  the p-values of these differences are not corrected for their number")
        if self.statistic is not None and self.df is not None:
            lines.append(
                f"  all alike: F = {self.statistic:.3f} on {self.df[0]:g} and {self.df[1]:.1f} df, "
                f"{format_p_value(self.p_value)}"
            )
        if self.dropped:
            lines.append(f"  {self.dropped} cases not read by every reader were left out")
        if self.note:
            lines.append(f"  note: {self.note}")
        return "\n".join(lines)

    def to_frame(self) -> pd.DataFrame:
        """One row for each mean and each difference: value, limits, p and df."""
        import pandas as pd

        rows: dict[str, Estimate | Difference] = {
            **self.estimates,
            **{f"{first} - {second}": value for (first, second), value in self.differences.items()},
        }
        columns = ["value", "low", "high", "statistic", "df", "p_value"]
        cells = [[getattr(value, column, None) for column in columns] for value in rows.values()]
        return pd.DataFrame(cells, index=pd.Index(list(rows), name=self.measure), columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as JSON-ready values."""
        plain = ("measure", "modalities", "readers", "positives", "negatives", "dropped")
        tested = ("statistic", "df", "p_value", "method", "scope", "confidence", "note")
        return {
            **{name: json_ready(getattr(self, name)) for name in plain},
            "figures": [
                {"modality": modality, "reader": reader, **figure.to_dict()}
                for (modality, reader), figure in self.figures.items()
            ],
            "estimates": [
                {"modality": modality, **estimate.to_dict()}
                for modality, estimate in self.estimates.items()
            ],
            "differences": [
                {"first": first, "second": second, **difference.to_dict()}
                for (first, second), difference in self.differences.items()
            ],
            "reader_differences": [
                {"reader": reader, "first": first, "second": second, **difference.to_dict()}
                for (reader, first, second), difference in self.reader_differences.items()
            ],
            "components": self.components.to_dict(),
            **{name: json_ready(getattr(self, name)) for name in tested},
        }

    def __repr__(self) -> str:
        return (
            f"<MRMC: {len(self.readers)} readers, {len(self.modalities)} modalities, "
            f"{self.n} cases, {format_p_value(self.p_value)}>"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def mrmc(
    table: ReadingTable,
    *,
    readers: Effect = "random",
    cases: Effect = "random",
    covariance: FigureCovariance = "delong",
    measure: Measure = "auc",
    confidence: float = 0.95,
    complete_cases: bool = False,
) -> MRMC:
    """Compare modalities that the same readers used on the same cases (multi-reader multi-case).

    Reading with a model's advice against reading without is this analysis with the modalities
    "aided" and "unaided".

    Parameters
    ----------
    table
        A data frame, or a mapping of columns, with one row for each reading: ``case``,
        ``reader``, ``modality``, ``truth`` (0/1), and ``rating`` (for areas) or ``call`` (0/1).
    readers, cases
        ``"random"``: the conclusion is for readers, or cases, like these. ``"fixed"``: for
        these only. One of them must be random.
    covariance
        How the covariance of areas over cases is estimated; for sensitivity and specificity
        all three are the same.
    measure
        The figure that is compared.
    confidence
        Of the two-sided intervals.
    complete_cases
        Leave out the cases that lack a reading, be its value blank or the row not there, where
        otherwise they are an error.

    Returns
    -------
    MRMC
        Differences are first minus second, in order of first appearance. A table of one
        modality gives the readers' mean and no test.

    Raises
    ------
    EvaluationError
        ``READINGS_COLUMNS``, ``READINGS_TRUTH``, ``READINGS_DUPLICATED``,
        ``READINGS_MISSING``, ``READINGS_ROWS``, ``NOT_NUMBERS``, ``NOT_BINARY``,
        ``READERS_TOO_FEW``, ``SINGLE_CASE``, ``SINGLE_CLASS``, ``NO_CASES``.
    UsageError
        Readers and cases both fixed: nothing then scatters.

    Notes
    -----
    Assumes that every reader read every case in every modality, and that the figures of two
    readers vary together over cases alike for all pairs of readers. Differences of three and
    more modalities share one variance and are not corrected for their number; ``adjust`` does.

    References
    ----------
    Obuchowski and Rockette 1995, Commun Stat Simul 24:285; Hillis 2007, Stat Med 26:596, for
    the degrees of freedom; Hillis 2014, Stat Med 33:330, for fixed readers or cases.
    """
    for name, effect in (("readers", readers), ("cases", cases)):
        choose(effect, ("random", "fixed"), name)
    if readers == cases == "fixed":
        raise UsageError(
            "with readers and cases both fixed nothing scatters",
            where="readers, cases",
            advice='leave one of them "random"',
        )
    check_confidence(confidence)
    readings = as_readings(
        table, "rating" if measure == "auc" else "call", complete_cases=complete_cases
    )
    _check_size(readings, readers)
    rows = readings.values.reshape(-1, readings.truth.size)
    figures, spread = figures_and_covariance(readings.truth, list(rows), measure, covariance)
    figures = figures.reshape(readings.values.shape[:2])
    analysis = Factorial(
        figures=figures,
        spread=spread,
        components=components_of(figures, spread),
        readers=readers,
        cases=cases,
        n=readings.truth.size,
        confidence=confidence,
        name={"auc": f"AUC, {covariance} covariance"}.get(measure, measure),
    )
    return with_warning(_result(analysis, readings, measure))


def _result(analysis: Factorial, readings: Readings, measure: Measure) -> MRMC:
    modalities, readers = list(enumerate(readings.modalities)), list(enumerate(readings.readers))
    pairs = list(combinations(modalities, 2))
    positives = int(readings.truth.sum())
    statistic, df, p_value = analysis.test()
    return MRMC(
        measure=measure,
        modalities=readings.modalities,
        readers=readings.readers,
        positives=positives,
        negatives=readings.truth.size - positives,
        dropped=readings.dropped,
        figures={
            (name, person): analysis.figure(i, j)
            for (i, name), (j, person) in product(modalities, readers)
        },
        estimates={name: analysis.mean(i) for i, name in modalities},
        differences={
            (first, second): analysis.difference(i, k) for (i, first), (k, second) in pairs
        },
        reader_differences={
            (person, first, second): analysis.reader_difference(j, i, k)
            for ((i, first), (k, second)), (j, person) in product(pairs, readers)
        },
        components=analysis.components,
        statistic=statistic,
        df=df,
        p_value=p_value,
        method=analysis.method,
        scope=analysis.scope,
        confidence=analysis.confidence,
        note=note_of_few(len(readers)) if analysis.readers == "random" else "",
    )


def _check_size(readings: Readings, readers: Effect) -> None:
    needed = 2 if readers == "random" else 1
    if len(readings.readers) < needed:
        raise EvaluationError(
            f"readers taken as {readers} must be at least {needed}, got {len(readings.readers)}",
            where="readers",
            advice='one reader is no sample of readers; readers="fixed" speaks of this one',
            code="READERS_TOO_FEW",
        )
    positives = int(readings.truth.sum())
    if min(positives, readings.truth.size - positives) < 2:
        raise EvaluationError(
            f"{positives} positive cases of {readings.truth.size}: "
            "a class of one case has no variance",
            where="truth",
            advice="bring more cases of that class",
            code="SINGLE_CASE",
        )
