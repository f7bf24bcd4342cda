"""The house itself: floors, public names, sizes, words."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import stretto

SOURCE = Path(stretto.__file__).parent
ROOT = SOURCE.parent.parent
MODULES = sorted(SOURCE.rglob("*.py"))

# These maxima may only fall.
LONGEST_FUNCTION = 50
LONGEST_CORE_FILE = 400
CORE = ("units.py", "resources.py", "workflow", "platform", "scheduler", "model", "simulator")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_floors_hold() -> None:
    contracts = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert contracts.returncode == 0, contracts.stdout + contracts.stderr


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) is not None else node.body
    return 0 if not body else (node.end_lineno or 0) - body[0].lineno + 1


def test_functions_are_small() -> None:
    long = [
        f"{path.relative_to(SOURCE)}:{node.name} has {body_lines(node)} lines"
        for path in MODULES
        for node in functions(path)
        if body_lines(node) > LONGEST_FUNCTION
    ]
    assert not long, "\n".join(long)


def test_core_files_are_small() -> None:
    long = [
        str(path.relative_to(SOURCE))
        for path in MODULES
        if path.relative_to(SOURCE).parts[0] in CORE
        and len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_CORE_FILE
    ]
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in MODULES
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent


def test_exported_names_exist_and_are_sorted() -> None:
    for found in pkgutil.walk_packages(stretto.__path__, "stretto."):
        if found.name.endswith((".__main__", ".stages")) or ".starter" in found.name:
            continue
        if "stretto_worker" in found.name:
            continue
        module = importlib.import_module(found.name)
        names = getattr(module, "__all__", [])
        missing = [name for name in names if not hasattr(module, name)]
        assert not missing, f"{found.name} exports {missing}"
        assert len(set(names)) == len(names), f"{found.name} exports a name twice"


@pytest.mark.parametrize("name", stretto.__all__)
def test_public_names_are_documented(name: str) -> None:
    assert getattr(stretto, name).__doc__


def test_no_class_is_named_by_a_word_that_says_nothing() -> None:
    empty = re.compile(r"(Manager|Handler|Utils?|Helper|Processor|Base|Impl)$")
    named = [
        f"{path.relative_to(SOURCE)}: {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and empty.search(node.name)
    ]
    assert not named


def test_nothing_is_left_undone() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    left = [str(path) for path in MODULES if marks.search(path.read_text(encoding="utf-8"))]
    assert not left


def test_the_core_reads_no_clock_and_draws_no_chance() -> None:
    banned = re.compile(r"\b(monotonic|perf_counter|time\.time|datetime\.now|default_rng|random\()")
    for folder in ("scheduler", "model"):
        for path in (SOURCE / folder).rglob("*.py"):
            assert not banned.search(path.read_text(encoding="utf-8")), path


def test_the_command_line_is_there_without_the_extras() -> None:
    heavy = ["openmm", "torch", "sklearn", "matplotlib", "ortools"]
    program = f"import sys, stretto.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
