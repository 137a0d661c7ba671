"""What the documentation says is so: its code runs, its commands parse, its lists are complete."""

from __future__ import annotations

import ast
import builtins
import importlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer

from cervispine import Cohort
from cervispine.cli import app
from cervispine.phantom import PhantomCohort
from cervispine.records.identifiers import SUSPICIONS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]

#: A block of Python, or a comment that begins with "setup" and holds what the reader has already.
PYTHON = re.compile(r"^```python\n(.*?)^```$|^<!-- setup\n(.*?)^-->$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```shell\n(.*?)^```$", re.MULTILINE | re.DOTALL)

#: Codes of the classes at the top of the tree, which are not raised by themselves.
GENERAL = {"CERVISPINE", "DATA", "MODEL"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def python_blocks(page: Path) -> list[tuple[int, str]]:
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, match.start()) + 1, match[1] or match[2])
        for match in PYTHON.finditer(text)
    ]


def commands() -> list[tuple[str, str]]:
    return [
        (name_of(page), line)
        for page in PAGES
        for block in SHELL.findall(page.read_text(encoding="utf-8"))
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("cervispine ")
    ]


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=name_of)
def test_the_python_of_a_page_runs(
    page: Path, phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    namespace: dict[str, object] = {"__name__": "__main__", "example": phantom}
    for line, block in python_blocks(page):
        # Blank lines in front: a traceback then gives the line of the page.
        exec(compile("\n" * line + block, str(page), "exec"), namespace)


@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=name_of)
def test_what_a_reader_sees_of_the_python_defines_its_names(page: Path) -> None:
    """A setup that the page hides may bring files, and no names."""
    seen = [match[1] or "" for match in PYTHON.finditer(page.read_text(encoding="utf-8"))]
    defined, used = set(dir(builtins)), set[str]()
    for node in ast.walk(ast.parse("\n".join(seen))):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else defined).add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined |= {(name.asname or name.name).split(".")[0] for name in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler):
            defined.add(node.name or "")
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
    assert used - defined == set()


def leaf_commands(group: Any, before: str = "") -> dict[str, Any]:
    """Every command that does something, by its words: of a group, the commands inside."""
    leaves = {}
    for name, command in group.commands.items():
        inside = hasattr(command, "commands")
        leaves |= leaf_commands(command, f"{before}{name} ") if inside else {before + name: command}
    return leaves


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_of_the_documentation_parses(page: str, line: str) -> None:
    words = [word.strip("[]") for word in shlex.split(line, comments=True)[1:]]
    if words[0] == "--help":
        return
    known = leaf_commands(typer.main.get_command(app))
    name = max((name for name in known if words[: len(name.split())] == name.split()), key=len)
    known[name].make_context(name, words[len(name.split()) :])


def test_the_command_reference_is_complete() -> None:
    text = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    sections = {part.split("\n", 1)[0]: part for part in text.split("\n## ")[1:]}
    known = leaf_commands(typer.main.get_command(app))
    assert set(known) == set(sections) - {"Environment"}
    for name, command in known.items():
        described = set(re.findall(r"^\| `(--[a-z0-9-]+|[A-Z]+)`", sections[name], re.MULTILINE))
        taken = {
            max(parameter.opts, key=len)
            if parameter.opts[0].startswith("-")
            else (parameter.metavar or parameter.name).strip("[]").upper()
            for parameter in command.params
        }
        assert described == taken - {"--help"}, name


def codes_in_source() -> set[str]:
    """Every code that stands in the source, whole or as a beginning and an ending.

    A code is given as ``code=...``, or to a fault or a refusal. A function that ends the code it
    is given, ``code=f"{code}_ROWS"``, makes as many codes of it as it knows endings, and as the
    functions know to which it hands the code on.
    """
    nodes = [
        node
        for path in (ROOT / "src").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    ]
    functions = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef)}
    endings = {name: _endings(name, functions) for name in functions}
    found = set()
    for node in nodes:
        ends = endings.get(ast.unparse(node.func)) if isinstance(node, ast.Call) else None
        if ends:
            codes = _codes([*node.args, *(keyword.value for keyword in node.keywords)])
            found |= {code + end for code in codes for end in ends}
        else:
            found |= _codes(_code_values(node))
    return found


def _endings(name: str, functions: dict[str, ast.FunctionDef]) -> set[str]:
    ends = set[str]()
    for call in ast.walk(functions[name]):
        for given in call.keywords if isinstance(call, ast.Call) else ():
            called = ast.unparse(call.func)
            if given.arg == "code":
                ends |= set(re.findall(r"f'{code}(_[A-Z_]+)'", ast.unparse(given.value)))
            if ast.unparse(given) == "code=code" and called in functions and called != name:
                ends |= _endings(called, functions)
    return ends


def _codes(values: list[ast.expr]) -> set[str]:
    return {
        leaf.value
        for value in values
        for leaf in ast.walk(value)
        if isinstance(leaf, ast.Constant)
        and isinstance(leaf.value, str)
        and re.fullmatch(r"[A-Z]+(_[A-Z]+)*", leaf.value)
    }


def _code_values(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.ClassDef):
        assigned = [item for item in node.body if isinstance(item, ast.Assign)]
        return [item.value for item in assigned if ast.unparse(item.targets[0]) == "code"]
    if not isinstance(node, ast.Call):
        return []
    named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    refuses = re.search("fault|refuse|ignore", ast.unparse(node.func), re.IGNORECASE)
    return [*named, *(node.args[:2] if refuses else ())]


def test_every_code_is_documented_and_every_documented_code_exists(cohort: Cohort) -> None:
    text = (DOCS / "reference" / "error-codes.md").read_text(encoding="utf-8")
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    listed = [code for cell in cells for code in re.findall(r"`([A-Z_]+)`", cell)]
    # What is shared by a cohort and itself is all that can be shared.
    shared = {problem.code for problem in cohort.leakage(cohort)}
    given = (codes_in_source() | shared | set(SUSPICIONS)) - GENERAL
    assert given - set(listed) == set(), "not documented"
    assert set(listed) - given == set(), "documented, and given by nothing"
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("page", sorted((DOCS / "reference" / "api").glob("*.md")), ids=name_of)
def test_the_reference_of_a_room_is_complete(page: Path) -> None:
    room = importlib.import_module(f"cervispine.{page.stem}")
    described = re.findall(
        r"^\.\. auto\w+:: (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    classes = {name for name in room.__all__ if isinstance(getattr(room, name), type)}
    constants = {name for name in room.__all__ if name.isupper()} - classes
    assert set(described) == set(room.__all__) - constants


def test_the_documentation_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the group docs is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", DOCS, tmp_path / "html"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "html" / "tutorials" / "first-study.html").is_file()
