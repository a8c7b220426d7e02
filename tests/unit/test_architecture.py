"""Who may import whom, and what has no place in ``chain/``."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAIN = sorted((ROOT / "chain").rglob("*.py"))
P2P = sorted((ROOT / "p2p").rglob("*.py"))
SOURCES = [*CHAIN, *P2P, ROOT / "node.py"]

# What chain/ may import besides the standard library, and SQLite for one file.
LIBRARIES = {"msgpack", "cryptography", "nacl", "sortedcontainers"}
# Clocks, randomness, the network, other processes and other worlds of concurrency.
FORBIDDEN = {
    "asyncio", "concurrent", "ctypes", "http", "logging", "multiprocessing", "os", "pickle", "queue", "random",
    "sched", "secrets", "select", "selectors", "shelve", "signal", "socket", "socketserver", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib", "uuid", "zoneinfo",
}  # fmt: skip
# Names that read a clock, draw randomness or depend on the process.
FORBIDDEN_NAMES = {"today", "now", "utcnow", "hash", "id", "open", "input", "print", "eval", "exec", "float"}
# Only with these can a file be opened by a method; without them one of that name opens something of ours.
OPENERS = {"bz2", "codecs", "gzip", "io", "lzma", "pathlib", "tarfile", "zipfile"}


def order() -> list[str]:
    """The files of ``chain/`` in the order of its docstring, as modules."""
    docstring = ast.get_docstring(ast.parse((ROOT / "chain" / "__init__.py").read_text("utf-8"))) or ""
    _, listing = docstring.split("::", 1)
    listed, package = [], ""
    for indent, name in re.findall(r"^( {2,4})(\w+) {2,}\S", listing, re.MULTILINE):
        if indent == "  ":
            package = f"chain.{name}"
        else:
            listed.append(f"{package}.{name}")
    return listed


def module_of(path: Path) -> str:
    """What a file of ``chain/`` is imported as."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: a relative import"
            module = node.module or ""
            is_package = module in ("chain", "p2p") or (module.startswith("chain.") and module.count(".") == 1)
            yield from (f"{module}.{alias.name}" if is_package else module for alias in node.names)


def rooms(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {module.split(".")[0] for module in imports(path)}


def test_the_list_of_files_is_complete() -> None:
    listed = order()
    assert len(listed) == len(set(listed))
    assert sorted(listed) == sorted(module_of(path) for path in CHAIN if path.stem != "__init__")


@pytest.mark.parametrize("room", ["p2p", "p2p/local", "p2p/meshsub"])
def test_the_lists_of_the_network_are_complete(room: str) -> None:
    docstring = ast.get_docstring(tree_of(ROOT / room / "__init__.py")) or ""
    listed = set(re.findall(r"^ {4}(\w+) {2,}\S", docstring, re.MULTILINE))
    inside = {path.parent.name for path in (ROOT / room).glob("*/__init__.py")}
    assert {path.stem for path in (ROOT / room).glob("[!_]*.py")} == listed - inside


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_message_of_a_node_names_what_the_wheel_does_not_have(path: Path) -> None:
    tree = tree_of(path)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    said = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    told = [str(node.value) for node in said if id(node) not in documentation]
    assert [text for text in told if "scripts/docs" in text or "python scripts/" in text] == []


def test_no_two_files_have_one_name() -> None:
    """So that a name is enough in a note, and in the tools that break one file after the other."""
    names = [path.stem for path in CHAIN if path.stem != "__init__"]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", CHAIN, ids=lambda path: path.stem)
def test_files_import_only_files_above_them(path: Path) -> None:
    listed = order()
    above = listed[: listed.index(module_of(path))] if path.stem != "__init__" else []
    wanted = {module for module in imports(path) if module.startswith("chain.")}
    assert wanted - set(above) == set()


@pytest.mark.parametrize("path", CHAIN, ids=lambda path: path.stem)
def test_chain_imports_no_clock_no_randomness_no_network(path: Path) -> None:
    allowed = LIBRARIES | {"chain"} | (sys.stdlib_module_names - FORBIDDEN - {"sqlite3"})
    if path.stem in {"arrived", "database", "migrate", "newcomer", "storage"}:
        allowed |= {"sqlite3"}
    assert rooms(path) - allowed == set()


def test_p2p_imports_no_node_and_nothing_imports_scripts_or_tests() -> None:
    for path in P2P:
        assert rooms(path) & {"node", "scripts", "tests"} == set(), path
    for path in SOURCES:
        assert rooms(path) & {"scripts", "tests"} == set(), path


@pytest.mark.parametrize("path", CHAIN, ids=lambda path: path.stem)
def test_chain_computes_with_integers_and_reads_nothing_of_its_process(path: Path) -> None:
    found: list[str] = []
    methods = FORBIDDEN_NAMES if rooms(path) & OPENERS else FORBIDDEN_NAMES - {"open"}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"line {node.lineno}: the number {node.value}")
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            if not isinstance(node.right, ast.Constant | ast.JoinedStr):  # those join paths
                found.append(f"line {node.lineno}: a division with a fraction")
        elif isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if name in FORBIDDEN_NAMES or attribute in methods:
                found.append(f"line {node.lineno}: {name or attribute}()")
    assert found == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_grows_and_is_kept_small_is_no_plain_dict(path: Path) -> None:
    """Deleting the first key again and again takes a ``dict`` time for every key deleted before: see ``Newest``."""
    for node in ast.walk(tree_of(path)):
        for target in node.targets if isinstance(node, ast.Delete) else ():
            assert not ast.unparse(target).startswith("self.") or "next(iter(self." not in ast.unparse(target)
