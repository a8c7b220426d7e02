"""``scripts/docs/bad-input.md``: its reasons are the code's, cost what it says, and are shown by the tests it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from chain.base.errors import Disposition, Reason

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "scripts" / "docs" / "bad-input.md"
COSTS = {Disposition.BLAME: "blamed", Disposition.IGNORE: "ignored", Disposition.LATER: "waits"}
_ROW = re.compile(r"^\| (.+) \| (?:`(\w+)`)? ?\| (.+) \| `(\S+)` `(\w+)` \|$")


class Row(NamedTuple):
    """What comes, why it is refused ("" for no reason), what that costs, and the test that shows it."""

    what: str
    code: str
    cost: str
    file: str
    test: str


def rows() -> list[Row]:
    found = [_ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines() if "`test_" in line]
    assert all(found[1:]), "a row of another form"
    return [Row(*(field or "" for field in match.groups())) for match in found if match]


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.what)
def test_it_is_as_the_page_says(row: Row) -> None:
    source = (TESTS / row.file).read_text(encoding="utf-8")
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    assert row.test in {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, functions)}
    if row.code:
        reason = next(reason for reason in Reason if reason.code == row.code)
        assert row.cost == COSTS[reason.disposition]
        assert f"Reason.{reason.name}" in source


def test_the_page_is_about_something() -> None:
    assert len(rows()) > 40
