"""``backbones`` and ``doctor``."""

from __future__ import annotations

from collections.abc import Callable

Run = Callable[..., tuple[int, str, str]]


def test_backbones_and_doctor(run: Run) -> None:
    code, out, _ = run("backbones")
    assert code == 0
    assert "cervispine:resnet101" in out
    code, out, _ = run("doctor")
    assert code == 0
    assert "JPEG 2000" in out
