"""doctor: the versions, devices, decoders and plug-ins that can matter to a result."""

from __future__ import annotations

import builtins
import importlib.metadata
import os
import platform
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cervispine import list_backbones
from cervispine.diagnosis import DISTRIBUTIONS, diagnose


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    return diagnose()


def test_every_line_is_a_name_and_a_value(found: dict[str, str]) -> None:
    for name, value in found.items():
        assert name.strip() == name != ""
        assert value.strip() == value != ""
        assert "\n" not in name + value


def test_versions_are_those_installed(found: dict[str, str]) -> None:
    assert found["python"] == platform.python_version()
    assert f"{os.cpu_count()} cores" in found["system"]
    assert found["cervispine"] == importlib.metadata.version("cervispine")
    assert found["torch"] == importlib.metadata.version("torch")


def test_nothing_of_the_user_or_the_machine_is_told(found: dict[str, str]) -> None:
    # People paste this table into public issues.
    text = " ".join(found.values())
    assert platform.node() not in text.split()
    assert os.path.expanduser("~") + "/" not in text  # noqa: PTH111


def test_a_distribution_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "python-gdcm":
            raise importlib.metadata.PackageNotFoundError(name)
        return f"version of {name}"

    monkeypatch.setattr("cervispine.diagnosis.version", version)
    found = diagnose()
    assert found["python-gdcm"] == "not installed"
    for name in set(DISTRIBUTIONS) - {"python-gdcm"}:
        assert found[name] == f"version of {name}"


def test_the_device_is_the_one_that_training_takes(found: dict[str, str]) -> None:
    if torch.cuda.is_available():
        assert found["device"] == torch.cuda.get_device_name()
    else:
        assert found["device"] in ("cpu", "mps")
    assert found["training precision"] in ("float32", "bfloat16", "float16")


def test_torch_that_does_not_import_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., Any] = builtins.__import__

    def broken(name: str, *rest: Any) -> Any:
        if name == "torch":
            raise ImportError("libtorch.so is not here")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", broken)
    found = diagnose()
    assert found["device"] == "torch does not import (ImportError)"
    assert "training precision" not in found
    # The rest is told all the same.
    assert "backbone resnet34" in found
    assert any(name.startswith("decoder ") for name in found)


def test_decoders_are_told_by_the_name_of_the_encoding(found: dict[str, str]) -> None:
    assert found["decoder JPEG 2000 Image Compression"] == "pylibjpeg-openjpeg"
    decoders = {name: value for name, value in found.items() if name.startswith("decoder ")}
    assert len(decoders) > 10
    assert not any("MPEG" in name for name in decoders)


def test_a_decoder_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from cervispine.loading import parsing

    class Unavailable:
        is_available = False
        available_plugins = ()

    real = parsing.get_decoder
    monkeypatch.setattr(
        parsing, "get_decoder", lambda uid: Unavailable() if "1.2.4.90" in uid else real(uid)
    )
    found = diagnose()["decoder JPEG 2000 Image Compression (Lossless Only)"]
    assert found == "missing; pip install 'pylibjpeg[openjpeg]'"


def test_every_backbone_is_told_with_where_it_comes_from(found: dict[str, str]) -> None:
    installed = list_backbones()
    assert {"resnet34", "resnet50", "resnet101"} <= {each.name for each in installed}
    for each in installed:
        assert found[f"backbone {each.name}"] == f"{each.distribution} {each.version}"
