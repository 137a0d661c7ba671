"""What is refused before any statistic is computed.

Truth and calls are 0/1, scores are finite, lengths agree, both classes are
there. Direction is never guessed: a higher score means more diseased, and
label 1 is the diseased class (OPLL).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.exceptions import EvaluationError, MismatchedCasesError, UsageError

__all__ = [
    "as_binary",
    "as_groups",
    "as_items",
    "as_rows",
    "as_scores",
    "as_truth",
    "check_bootstrap",
    "check_confidence",
    "check_margin",
    "check_same_length",
    "checked_pair",
    "choose",
    "is_by_case",
    "is_missing",
    "join",
    "keyed",
    "rows_of",
]

Binary: TypeAlias = NDArray[np.int64]
Scores: TypeAlias = NDArray[np.float64]
Checked = TypeVar("Checked", bound=np.generic)

# With fewer, a limit of a 95 % interval rests on a draw or two.
FEWEST_RESAMPLES = 100


def as_binary(values: ArrayLike, name: str) -> Binary:
    """Return 0/1 values as int64 of shape (cases,), or refuse them.

    Raises
    ------
    EvaluationError
        ``NO_CASES`` when empty, ``NOT_BINARY`` when a value is neither 0 nor 1.
    """
    array = _numbers(values, name)
    wrong = ~((array == 0) | (array == 1))
    if wrong.any():
        raise EvaluationError(
            f"{wrong.sum()} of {array.size} values are neither 0 nor 1",
            where=name,
            advice="code 1 as diseased (OPLL) and 0 as not, with no value missing",
            code="NOT_BINARY",
        )
    return array.astype(np.int64)


def as_truth(truth: ArrayLike) -> Binary:
    """Return the truth as int64, with both classes present.

    Raises
    ------
    EvaluationError
        As ``as_binary``, and ``SINGLE_CLASS`` when all cases are of one class.
    """
    array = as_binary(truth, "truth")
    positives = int(array.sum())
    if positives in (0, array.size):
        raise EvaluationError(
            f"all {array.size} cases are of class {array[0]}: "
            "a ROC curve and its area are undefined",
            where="truth",
            advice="bring cases of both classes; for one class, proportion() gives its rate",
            code="SINGLE_CLASS",
        )
    return array


def as_scores(scores: ArrayLike, name: str = "scores") -> Scores:
    """Return finite scores as float64 of shape (cases,), or refuse them.

    Raises
    ------
    EvaluationError
        ``NO_CASES`` when empty, ``SCORES_NOT_FINITE`` when one is missing or infinite.
    """
    array = _numbers(scores, name)
    wrong = ~np.isfinite(array)
    if wrong.any():
        raise EvaluationError(
            f"{wrong.sum()} of {array.size} scores are missing or infinite",
            where=name,
            advice="find out why these cases have no score; do not fill them in",
            code="SCORES_NOT_FINITE",
        )
    return array


def rows_of(values: ArrayLike | Sequence[ArrayLike]) -> list[Any]:
    """Return what each rater gave, unchecked, of shape (raters, cases); one rater may come bare."""
    try:
        return list(np.atleast_2d(np.asarray(values, dtype=np.float64)))
    except (TypeError, ValueError):
        # Rows of unlike lengths, or no numbers: the checks of each row say what it is.
        return list(values) if isinstance(values, Iterable) else [values]


def as_rows(
    values: ArrayLike | Sequence[ArrayLike],
    check: Callable[[ArrayLike, str], NDArray[Checked]],
    name: str,
) -> NDArray[Checked]:
    """Return what each rater gave, each row checked, as one array of shape (raters, cases).

    Raises
    ------
    EvaluationError
        Those of the check; ``RATERS_TOO_FEW`` when there is nobody.
    MismatchedCasesError
        ``LENGTHS_DIFFER``.
    """
    rows = [check(row, name) for row in rows_of(values)]
    if not rows:
        raise EvaluationError("there are no raters", where=name, code="RATERS_TOO_FEW")
    check_same_length(**{f"rater {number}": row for number, row in enumerate(rows, start=1)})
    return np.stack(rows)


def as_groups(
    groups: Mapping[Any, Any] | ArrayLike,
    truth: Binary,
    *,
    order: Sequence[Hashable] | None = None,
    name: str = "groups",
) -> NDArray[np.int64]:
    """Return the cluster of each case as a number from 0, in order of first appearance.

    Parameters
    ----------
    groups
        In the order of the truth; or a mapping or Series by case.
    truth
        Of the same cases, shape (cases,).
    order
        The cases in the order of the truth, where it is by case: what is by case is then
        joined. Otherwise a Series is taken in its own order.
    name
        Of the parameter, for errors.

    Raises
    ------
    EvaluationError
        ``SHAPE`` for what is not one value for each case; ``GROUPS_MISSING``.
    MismatchedCasesError
        ``LENGTHS_DIFFER``; ``CASES_MISMATCHED``, ``CASES_DUPLICATED``; ``CASES_MISSING`` for
        a mapping where the truth is not by case.
    """
    if order is not None and is_by_case(groups):
        found = join(order, keyed(groups, None, name), name)
    elif isinstance(groups, Mapping):
        raise MismatchedCasesError(
            "a mapping by case cannot be joined with a truth that is not by case",
            where=name,
            advice="give one value for each case, in the order of the truth",
            code="CASES_MISSING",
        )
    else:
        found = as_items(groups, name)
    if not all(isinstance(group, Hashable) for group in found):
        raise EvaluationError("some cases have a table and not one value", where=name, code="SHAPE")
    missing = sum(map(is_missing, found))
    if missing:
        raise EvaluationError(
            f"{missing} of {len(found)} cases have none",
            where=name,
            advice="give every case its own; a case that stands alone is a group of one",
            code="GROUPS_MISSING",
        )
    numbers: dict[Hashable, int] = {}
    places = [numbers.setdefault(group, len(numbers)) for group in found]
    result = np.array(places, dtype=np.int64)
    check_same_length(**{"truth": truth, name: result})
    return result


def as_items(values: ArrayLike, name: str) -> list[Any]:
    """Return a column of anything as a list of one value for each case.

    Raises
    ------
    EvaluationError
        ``SHAPE``.
    """
    array = np.asarray(values, dtype=object)
    if array.ndim != 1:
        raise _shape_error(array, name)
    items: list[Any] = array.tolist()
    return items


def is_missing(value: Any) -> bool:
    """Whether a cell is blank: None, a blank text, NaN, or what pandas writes for them."""
    if value is None or isinstance(value, str):
        return not (value or "").strip()
    # NaN and NaT are unlike themselves, and whether NA is cannot be told.
    same = value == value
    return not isinstance(same, (bool, np.bool_)) or not same


def check_same_length(**arrays: NDArray[Any]) -> None:
    """Refuse arrays that do not have one value for each case.

    Raises
    ------
    MismatchedCasesError
        ``LENGTHS_DIFFER``, with the length of each.
    """
    lengths = {name: array.shape[-1] for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise MismatchedCasesError(
            "the numbers of cases differ: "
            + ", ".join(f"{name} {length}" for name, length in lengths.items()),
            advice="give one value for each case, in the same order, or join by patient",
            code="LENGTHS_DIFFER",
        )


def checked_pair(
    truth: ArrayLike, scores: ArrayLike, name: str = "scores"
) -> tuple[Binary, Scores]:
    """Return truth and scores of the same cases, both checked."""
    labels, values = as_truth(truth), as_scores(scores, name)
    check_same_length(**{"truth": labels, name: values})
    return labels, values


def check_confidence(confidence: float) -> None:
    """Refuse a confidence level outside (0, 1)."""
    if not 0 < confidence < 1:
        raise UsageError(
            f"confidence must lie between 0 and 1, got {confidence!r}",
            where="confidence",
            advice="write 0.95 for a 95 % interval",
        )


def check_margin(margin: float, alternative: str = "two-sided") -> None:
    """Refuse a margin of non-inferiority outside [0, 1), or one that goes with no hypothesis."""
    if not 0 <= margin < 1:
        raise UsageError(
            f"a margin lies in [0, 1), got {margin!r}",
            where="margin",
            advice="give a share, stated beforehand: 0.05; 0 tests for a difference",
        )
    if margin > 0 and alternative == "less":
        raise UsageError(
            f"a margin of {margin} with alternative {alternative!r} states no hypothesis",
            where="margin",
            advice="a margin is above 0 and tests that the first is not worse by more than it",
        )


def check_bootstrap(resamples: int, seed: int) -> None:
    """Refuse too few resamples, and a seed that is no whole number from 0."""
    for value, least, name in ((resamples, FEWEST_RESAMPLES, "resamples"), (seed, 0, "seed")):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise UsageError(
                f"a whole number from {least} is needed, got {value!r}",
                where=name,
                advice="2000 resamples are enough for an interval, and any seed will do",
            )


def choose(value: str, options: Sequence[str], name: str) -> None:
    """Refuse an option that does not exist, and list those that do."""
    if value not in options:
        raise UsageError(
            f"{value!r} is not one of {', '.join(options)}", where=name, advice="choose one of them"
        )


def keyed(
    values: Mapping[Any, Any] | ArrayLike, cases: Sequence[Hashable] | None, name: str
) -> dict[Hashable, Any]:
    """Return values by case: from a mapping, a pandas Series, or an array with its cases.

    Raises
    ------
    MismatchedCasesError
        ``CASES_MISSING`` for an array without cases, ``LENGTHS_DIFFER``, or
        ``CASES_DUPLICATED`` when a case comes twice.
    """
    if isinstance(values, Mapping):
        return dict(values)
    if is_by_case(values):
        series: Any = values
        names, items = list(series.index), series.to_numpy().tolist()
    elif cases is None:
        raise MismatchedCasesError(
            "values without cases cannot be joined",
            where=name,
            advice="give a mapping or Series by patient, or the patients as cases=",
            code="CASES_MISSING",
        )
    else:
        names, items = list(cases), np.asarray(values).tolist()
    if len(names) != len(items):
        raise MismatchedCasesError(
            f"{len(items)} values for {len(names)} cases", where=name, code="LENGTHS_DIFFER"
        )
    result = dict(zip(names, items, strict=True))
    if len(result) < len(names):
        raise MismatchedCasesError(
            f"{len(names) - len(result)} cases come more than once",
            where=name,
            advice="give one value for each case; several images of a patient need groups=",
            code="CASES_DUPLICATED",
        )
    return result


def is_by_case(values: Any) -> bool:
    """Whether values carry their cases: a mapping or a pandas Series."""
    return isinstance(values, Mapping) or (hasattr(values, "index") and hasattr(values, "to_numpy"))


def join(
    cases: Sequence[Hashable], values: Mapping[Hashable, Any], name: str, reference: str = "truth"
) -> list[Any]:
    """Return one value for each case, in the order of the cases.

    Raises
    ------
    MismatchedCasesError
        ``CASES_MISMATCHED``, with how many cases lack a value and how many
        values belong to no case.
    """
    missing = sum(case not in values for case in cases)
    foreign = len(values) - (len(cases) - missing)
    if missing or foreign:
        raise MismatchedCasesError(
            f"{missing} of {len(cases)} cases with {reference} are not in {name}, "
            f"and {foreign} cases in {name} have no {reference}",
            where=name,
            advice="compare the same patients everywhere; identifiers are text, "
            "so 00123 and 123 differ",
        )
    return [values[case] for case in cases]


def _shape_error(array: NDArray[Any], name: str) -> EvaluationError:
    return EvaluationError(
        f"expected one value for each case, got an array of shape {array.shape}",
        where=name,
        code="SHAPE",
    )


def _numbers(values: ArrayLike, name: str) -> Scores:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            "some values are not numbers", where=name, code="NOT_NUMBERS"
        ) from error
    if array.ndim != 1:
        raise _shape_error(array, name)
    if array.size == 0:
        raise EvaluationError("there are no cases", where=name, code="NO_CASES")
    return array
