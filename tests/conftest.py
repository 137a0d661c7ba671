"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images and reference values that lies beside the checkout, where it does."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip(
            "the folder `shared` (real images, reference values) is not beside the checkout"
        )
    return folder
