"""Finding, importing and making loaders, and who is named when one is broken."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cervispine.exceptions import (
    LoaderContractError,
    LoaderLoadError,
    LoaderNotFoundError,
    UsageError,
)
from cervispine.loading import (
    Loader,
    NiftiLoader,
    build_loader,
    find_loader,
    list_loaders,
    load_loader,
)

Install = Callable[..., None]


def test_ours_come_from_cervispine_itself() -> None:
    ours = [loader for loader in list_loaders() if loader.distribution == "cervispine"]
    assert [loader.name for loader in ours] == ["dicom", "nifti"]
    assert str(ours[0]).startswith("loader 'dicom' from cervispine ")
    assert ours[1].qualified_name == "cervispine:nifti"
    assert load_loader("dicom") is Loader
    made = build_loader("nifti", sequences=["T1"])
    assert isinstance(made, NiftiLoader)
    assert made.sequences == ("T1",)


def test_listing_imports_no_plugin(
    write_distribution: Callable[[str, Path], None], tmp_path: Path
) -> None:
    write_distribution("loader_broken", tmp_path / "site")
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import cervispine\n"
        "print(*(loader.name for loader in cervispine.list_loaders() if loader.version == '0.3'))\n"
        "print(*{'broken_loaders', 'loader_exits'} & {*sys.modules})"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout
    assert output == "broken exits fails nothing number silent strict toothless\n\n"


def test_unknown_name_gives_the_installed_ones_and_the_nearest() -> None:
    with pytest.raises(LoaderNotFoundError, match="no loader named 'nift'") as caught:
        build_loader("nift")
    assert caught.value.code == "LOADER_NOT_FOUND"
    assert "dicom, nifti" in caught.value.where
    assert "did you mean 'nifti'? `cervispine loaders`" in caught.value.advice


def test_same_name_twice_names_both_and_the_qualified_name_picks(install: Install) -> None:
    install("loader", "loader_duplicate")
    with pytest.raises(LoaderNotFoundError, match="2 loaders are named 'lab'") as caught:
        build_loader("lab")
    assert caught.value.code == "LOADER_AMBIGUOUS"
    assert "lab-loader 1.2" in caught.value.where
    assert "'lab-loader:lab' or 'other-loader:lab'" in caught.value.advice
    assert type(build_loader("lab-loader:lab")).__name__ == "LabLoader"
    made = build_loader("other_loader:lab")
    assert isinstance(made, Loader)
    assert made.spacing_tolerance == 0.2


def test_taking_our_name_overrides_nothing(install: Install) -> None:
    install("loader_duplicate")
    with pytest.raises(LoaderNotFoundError, match="2 loaders are named 'dicom'"):
        find_loader("dicom")
    assert load_loader("cervispine:dicom") is Loader
    assert load_loader("nifti") is NiftiLoader


@pytest.mark.parametrize(
    ("name", "cause", "origin"),
    [
        ("broken", ModuleNotFoundError, "(broken_loaders.absent:Loader)"),
        ("exits", SystemExit, "loader 'exits' from broken-loaders 0.3 (loader_exits:Loader)"),
        ("nothing", AttributeError, "(broken_loaders:NOTHING)"),
        ("fails", KeyError, "(broken_loaders:fails)"),
        ("strict", TypeError, "(broken_loaders:Strict)"),
    ],
)
def test_a_failing_plugin_is_named_and_disturbs_nobody(
    install: Install, name: str, cause: type[BaseException], origin: str
) -> None:
    install("loader_broken", "loader")
    with pytest.raises(LoaderLoadError, match=cause.__name__) as caught:
        build_loader(name)
    assert caught.value.code == "LOADER_LOAD"
    assert origin in caught.value.where
    assert isinstance(caught.value.__cause__, cause)
    assert build_loader("lab")
    assert build_loader("dicom")


@pytest.mark.parametrize(
    ("name", "breach"),
    [
        ("number", "the entry point names a int where a callable is expected"),
        ("toothless", "expected a loader with the methods index and read, got a Toothless"),
    ],
)
def test_what_is_no_loader_is_named(install: Install, name: str, breach: str) -> None:
    install("loader_broken")
    with pytest.raises(LoaderContractError, match=breach) as caught:
        build_loader(name)
    assert caught.value.code == "LOADER_CONTRACT"
    assert str(find_loader(name)) == caught.value.where


def test_a_keyboard_interrupt_is_the_users(install: Install, tmp_path: Path) -> None:
    install("loader")
    (tmp_path / "loader" / "lab_loader.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        load_loader("lab")


def test_plugins_off_leaves_the_built_in_ones(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("loader", "loader_duplicate")
    monkeypatch.setenv("CERVISPINE_PLUGINS", "off")
    assert {loader.distribution for loader in list_loaders()} == {"cervispine"}
    assert load_loader("dicom") is Loader
    monkeypatch.setenv("CERVISPINE_PLUGINS", "no")
    with pytest.raises(UsageError, match="'on' or 'off'"):
        list_loaders()
