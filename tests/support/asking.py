"""The commands of ``inspect_chain.py`` as a process runs them, exit codes included."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from scripts.inspect_chain import inspect_chain


def ask(home: Path, *args: str) -> Result:
    """The command's exit code and what it printed."""
    return CliRunner().invoke(inspect_chain, [*args, "--home", str(home)])


def answer(home: Path, *args: str, exit_code: int = 0) -> Any:
    """The one JSON document."""
    result = ask(home, *args, "--json")
    assert (result.exit_code, result.stderr) == (exit_code, "")
    return json.loads(result.stdout)


def column(rows: Sequence[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Of each row what stands under these names."""
    return [tuple(row[name] for name in names) for row in rows]


def problems(home: Path) -> list[tuple[int, str]]:
    """What ``verify`` finds wrong, as ``(height, what)``."""
    result = ask(home, "verify", "--json")
    document = json.loads(result.stdout)
    assert document["ok"] is (result.exit_code == 0) is (not document["problems"])
    assert result.exit_code in (0, 1)
    return [(problem["height"], problem["what"]) for problem in document["problems"]]


def mistake(home: Path, *args: str) -> str:
    """The one sentence on stderr."""
    result = ask(home, *args)
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line
