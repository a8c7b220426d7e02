"""What docstrings promise: their examples are run, and whatever raises says so."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAIN = sorted(path for path in (ROOT / "chain").rglob("*.py") if path.stem != "__init__")
SOURCES = [*sorted((ROOT / "chain").rglob("*.py")), *sorted((ROOT / "p2p").rglob("*.py")), ROOT / "node.py"]
# Commands: what they raise ends as their one sentence and exit code.
COMMANDS = {"init", "key_encrypt", "key_decrypt"}
# Where hard arithmetic is explained by an example that is computed here.
COMPUTED = {"votes", "validators", "statetree"}


@pytest.mark.parametrize("path", CHAIN, ids=lambda path: path.stem)
def test_examples_come_out_as_they_are_written(path: Path) -> None:
    found = doctest.testmod(importlib.import_module(f"chain.{path.parent.name}.{path.stem}"))
    assert found.failed == 0
    assert bool(found.attempted) >= (path.stem in COMPUTED)


def silent(tree: ast.Module | ast.ClassDef, promise: str = "") -> Iterator[str]:
    """The public functions that raise something by themselves, where no docstring says so.

    A class may say it for its ``__init__``; what is private owes no word.
    """
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from silent(node, ast.get_docstring(node) or "")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name in COMMANDS or (node.name.startswith("_") and node.name != "__init__"):
                continue
            said = (ast.get_docstring(node) or "") + (promise if node.name == "__init__" else "")
            if "aise" not in said and any(isinstance(item, ast.Raise) and item.exc for item in ast.walk(node)):
                yield f"{node.name} in line {node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_raises_says_so(path: Path) -> None:
    assert list(silent(ast.parse(path.read_text("utf-8")))) == []


def test_the_sections_that_are_cited_exist() -> None:
    page = (ROOT / "scripts" / "docs" / "protocol.md").read_text("utf-8")
    there = set(re.findall(r"^(?:## |\*\*)(\d(?:\.\d)?)", page, re.MULTILINE))
    cited = {
        section
        for path in SOURCES
        for names in re.findall(r"protocol (\d[\d., and]*)", path.read_text("utf-8"))
        for section in re.findall(r"\d(?:\.\d)?", names)
    }
    assert len(cited) >= 15
    assert cited <= there
