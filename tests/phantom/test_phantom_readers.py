"""Simulated surgeons see what humans were published to see, and err together."""

from __future__ import annotations

import numpy as np
import pytest

from cervispine.exceptions import UsageError
from cervispine.phantom import Case, simulate_readers
from cervispine.phantom.readers import SENSITIVITY, SPECIFICITY

MANY = 1500


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Types of the cases, and calls and ratings of three readers."""
    kinds = [kind for kind in (*SENSITIVITY, None) for _ in range(MANY)]
    cases = [Case(f"P{number}", kind) for number, kind in enumerate(kinds)]
    readings = simulate_readers(cases, readers=3, seed=2)
    calls = np.array([each.call for each in readings]).reshape(-1, 3)
    ratings = np.array([each.rating for each in readings]).reshape(-1, 3)
    return np.array([kind or "none" for kind in kinds]), calls, ratings


@pytest.mark.parametrize("kind", SENSITIVITY)
def test_sensitivity_by_type_is_the_published_one(
    kind: str, table: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    kinds, calls, _ = table
    # Readers differ: their mean strays by a reader's deviation over the root of three.
    assert calls[kinds == kind].mean() == pytest.approx(SENSITIVITY[kind], abs=0.08)


def test_specificity_is_as_chosen(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    kinds, calls, _ = table
    assert 1 - calls[kinds == "none"].mean() == pytest.approx(SPECIFICITY, abs=0.04)


def test_readers_err_on_the_same_cases(table: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    kinds, calls, ratings = table
    segmental = kinds == "segmental"
    correlation = np.corrcoef(ratings[segmental].T)[np.triu_indices(3, 1)]
    # Half of the latent variance is the case's; coarse ratings dilute it a little.
    assert np.all((correlation > 0.35) & (correlation < 0.6))
    both = (calls[segmental][:, 0] & calls[segmental][:, 1]).mean()
    assert both > 1.3 * calls[segmental][:, 0].mean() * calls[segmental][:, 1].mean()


def test_readers_differ_and_calls_follow_ratings(
    table: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    _, calls, ratings = table
    assert set(np.unique(ratings)) == {1, 2, 3, 4, 5}
    np.testing.assert_array_equal(calls, ratings >= 4)
    assert (calls[:, 0] != calls[:, 1]).any()


def test_names_say_that_they_are_simulated() -> None:
    readings = simulate_readers([Case("P1", "mixed"), Case("P2", None)], readers=2, seed=1)
    assert [(each.patient, each.reader) for each in readings] == [
        ("P1", "simulated-surgeon-1"),
        ("P1", "simulated-surgeon-2"),
        ("P2", "simulated-surgeon-1"),
        ("P2", "simulated-surgeon-2"),
    ]
    assert simulate_readers([Case("P1", "mixed")], seed=1) == simulate_readers(
        [Case("P1", "mixed")], seed=1
    )


def test_no_reader_is_refused() -> None:
    with pytest.raises(UsageError, match="reader"):
        simulate_readers([], readers=0)
