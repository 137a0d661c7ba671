"""Finding, importing and building backbones, and who is named when one is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from cervispine.backbones import (
    Backbone,
    build_backbone,
    find_backbone,
    list_backbones,
    load_backbone,
)
from cervispine.exceptions import (
    BackboneContractError,
    BackboneLoadError,
    BackboneNotFoundError,
    UsageError,
)

BUILT_IN = ["resnet101", "resnet34", "resnet50"]
SMALL = {"in_channels": 1, "num_classes": 2, "size": (64, 64)}

Install = Callable[..., None]
Write = Callable[[str, Path], None]


def test_the_three_resnets_come_from_cervispine_itself() -> None:
    ours = [backbone for backbone in list_backbones() if backbone.distribution == "cervispine"]
    assert [backbone.name for backbone in ours] == BUILT_IN
    assert ours[0].object == "cervispine.backbones.resnet:resnet101"
    assert ours[0].licence == "Apache-2.0"
    assert ours[0].qualified_name == "cervispine:resnet101"


def test_listing_imports_neither_torch_nor_a_plugin(
    write_distribution: Write, tmp_path: Path
) -> None:
    for name in ("good", "exits"):
        write_distribution(name, tmp_path / name)
    code = (
        "import sys\n"
        f"sys.path[:0] = [{str(tmp_path / 'good')!r}, {str(tmp_path / 'exits')!r}]\n"
        "import cervispine\n"
        "print(*(backbone.name for backbone in cervispine.list_backbones()))\n"
        "print(*sorted({'torch', 'torchvision', 'spine_tiny', 'exits_at_import'} & {*sys.modules}))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert output == "exits resnet101 resnet34 resnet50 tiny\n\n"


def test_a_plugin_is_found_with_its_origin_and_built(install: Install) -> None:
    install("good")
    found = find_backbone("tiny")
    assert str(found) == "backbone 'tiny' from spine-tiny 1.2 (spine_tiny:backbone)"
    assert found.licence == "MIT"
    backbone = load_backbone("tiny")
    assert isinstance(backbone, Backbone)
    assert (backbone.licence, backbone.map_layer) == ("MIT", "0")
    module = build_backbone("tiny", in_channels=3, num_classes=4)
    assert isinstance(module, nn.Module)
    assert module.training
    assert module(torch.zeros(5, 3, 80, 64)).shape == (5, 4)


def test_unknown_name_gives_the_installed_ones_and_the_nearest() -> None:
    with pytest.raises(BackboneNotFoundError, match="no backbone named 'resnet5'") as caught:
        find_backbone("resnet5")
    assert caught.value.code == "BACKBONE_NOT_FOUND"
    assert caught.value.exit_code == 4
    assert "resnet101, resnet34, resnet50" in caught.value.where
    assert "did you mean 'resnet50'?" in caught.value.advice


def test_a_name_like_no_other_is_not_guessed_at() -> None:
    with pytest.raises(BackboneNotFoundError) as caught:
        find_backbone("zzz")
    assert "did you mean" not in caught.value.advice


@pytest.mark.parametrize("name", ["", ":resnet50x", "other:resnet50", "cervispine:"])
def test_what_is_almost_a_qualified_name_is_not_found(name: str) -> None:
    with pytest.raises(BackboneNotFoundError):
        find_backbone(name)


def test_same_name_twice_names_both_and_the_qualified_name_picks(install: Install) -> None:
    install("good", "duplicate")
    with pytest.raises(BackboneNotFoundError, match="2 backbones are named 'tiny'") as caught:
        build_backbone("tiny", **SMALL)
    assert caught.value.code == "BACKBONE_AMBIGUOUS"
    assert "spine-tiny 1.2" in caught.value.where
    assert "other-tiny 0.9" in caught.value.where
    assert "'other-tiny:tiny' or 'spine-tiny:tiny'" in caught.value.advice
    assert isinstance(build_backbone("spine-tiny:tiny", **SMALL)[0], nn.Conv2d)
    assert isinstance(build_backbone("other-tiny:tiny", **SMALL)[0], nn.AdaptiveAvgPool2d)
    assert find_backbone("Spine_Tiny:tiny") == find_backbone("spine-tiny:tiny")


def test_taking_our_name_overrides_nothing(install: Install) -> None:
    install("takes_our_name")
    with pytest.raises(BackboneNotFoundError, match="2 backbones are named 'resnet50'"):
        find_backbone("resnet50")
    assert find_backbone("cervispine:resnet50").distribution == "cervispine"
    assert find_backbone("resnet34").distribution == "cervispine"


@pytest.mark.parametrize(
    ("plugin", "name", "cause", "origin"),
    [
        (
            "broken_import",
            "broken",
            ModuleNotFoundError,
            "backbone 'broken' from broken-import 0.3 (broken_import.models:build)",
        ),
        ("exits", "exits", SystemExit, "from exits-at-import 0.1 (exits_at_import:build)"),
        ("no_module", "absent", AttributeError, "from no-module 0.7 (no_module:absent)"),
        ("fails_to_build", "fails", KeyError, "from fails-to-build 0.5 (fails_to_build:build)"),
    ],
)
def test_a_failing_plugin_is_named_and_disturbs_nobody(
    install: Install, plugin: str, name: str, cause: type[BaseException], origin: str
) -> None:
    install(plugin, "good")
    with pytest.raises(BackboneLoadError, match=cause.__name__) as caught:
        build_backbone(name, **SMALL)
    assert caught.value.code == "BACKBONE_LOAD"
    assert origin in caught.value.where
    assert isinstance(caught.value.__cause__, cause)
    build_backbone("tiny", **SMALL)


@pytest.mark.parametrize(
    ("plugin", "name", "breach"),
    [
        (
            "wrong_shape",
            "flat",
            r"expected output of shape \(2, 2\) for a \(2, 1, 64, 64\) input, got \(2, 8, 3844\)",
        ),
        ("not_finite", "nan", r"the logits for a \(2, 1, 64, 64\) input are not finite"),
        ("no_module", "plain", "build returned a function where a torch.nn.Module is expected"),
        ("no_module", "number", "the entry point names a int where a callable"),
    ],
)
def test_a_plugin_that_breaks_the_contract_is_named(
    install: Install, plugin: str, name: str, breach: str
) -> None:
    install(plugin)
    with pytest.raises(BackboneContractError, match=breach) as caught:
        build_backbone(name, **SMALL)
    assert str(find_backbone(name)) == caught.value.where


def test_a_keyboard_interrupt_is_the_users(install: Install, tmp_path: Path) -> None:
    install("good")
    (tmp_path / "good" / "spine_tiny.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_backbone("tiny")


def test_damaged_metadata_hide_only_themselves(install: Install, tmp_path: Path) -> None:
    install("good", "duplicate")
    (tmp_path / "duplicate" / "other_tiny-0.9.dist-info" / "METADATA").unlink()
    (tmp_path / "duplicate" / "other_tiny-0.9.dist-info" / "entry_points.txt").write_text(
        "[cervispine.backbones]\nno equals sign\n"
    )
    assert [backbone.name for backbone in list_backbones()] == [*BUILT_IN, "tiny"]


def test_of_two_copies_of_a_distribution_the_first_on_the_path_counts(
    install: Install,
    write_distribution: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("good")
    write_distribution("good", tmp_path / "older")
    info = tmp_path / "older" / "spine_tiny-1.2.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: Spine.Tiny\nVersion: 0.1\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "older")])
    assert find_backbone("tiny").version == "1.2"


def test_plugins_off_leaves_the_built_in_ones(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good", "takes_our_name")
    monkeypatch.setenv("CERVISPINE_PLUGINS", "off")
    assert [backbone.name for backbone in list_backbones()] == BUILT_IN
    assert find_backbone("resnet50").distribution == "cervispine"


def test_an_unknown_switch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERVISPINE_PLUGINS", "no")
    with pytest.raises(UsageError, match="'on' or 'off'"):
        list_backbones()


@pytest.mark.parametrize(
    "wrong", [{"in_channels": 0}, {"num_classes": 1}, {"size": (63, 224)}], ids=str
)
def test_numbers_out_of_range_are_refused_before_any_import(
    install: Install, wrong: dict[str, object]
) -> None:
    install("exits")
    with pytest.raises(UsageError, match="must be at least"):
        build_backbone("exits", **{**SMALL, **wrong})


def test_building_follows_the_callers_seed_and_leaves_batch_statistics_alone() -> None:
    states = []
    for _ in range(2):
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(7)
            states.append(build_backbone("resnet34", **SMALL).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert states[0]["bn1.num_batches_tracked"] == 0
