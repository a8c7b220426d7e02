"""How tables fit where they are shown."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.console import table
from scripts.tables import Layout, lay_out
from tests.support.running import DEADLINE_S, ROOT

DID = "did:key:z6MkedBU4jCt196nFUGfVEEnEbz666p9godBaENyYT5pJhLs"
ROOT_ID = "10b78d117e4a4dd5d03a4dc5e518f9796d295670c5259556a564480ed2b5f37c"
COLUMNS = ("number", "member", "category", "points", "state", "height")
ROWS = [
    ("0", DID, "breach of contract found by a court", "-30", "standing", "19"),
    ("1", "z6MkoSHKR6jU…", "heroic act", "30", "-", "104"),
]
IS_NUMBER = (True, False, False, True, False, True)


def lines(layout: Layout) -> list[str]:
    return [line for row in layout.rows for line in row]


def words(text: str) -> set[str]:
    return set(text.split())


def test_where_nobody_looks_everything_is_shown() -> None:
    layout = lay_out(COLUMNS, ROWS, IS_NUMBER, None)
    assert layout.left_out == []
    assert lines(layout) == [
        f"number  {'member':56}  {'category':35}  points  state     height",
        f"     0  {DID}  breach of contract found by a court     -30  standing      19",
        f"     1  {'z6MkoSHKR6jU…':56}  {'heroic act':35}      30  -            104",
    ]


@pytest.mark.parametrize("width", [80, 60, 40])
def test_a_table_is_no_wider_than_its_terminal_and_breaks_no_word(width: int) -> None:
    layout = lay_out(COLUMNS, ROWS, IS_NUMBER, width)
    shown = lines(layout)
    assert max(map(len, shown)) <= width
    known = words(" ".join((*COLUMNS, *(cell for row in ROWS for cell in row)))) | {"z6MkedBU4jCt196n…"}
    assert words(" ".join(shown)) <= known
    assert layout.rows[0][0].split() == [name for name in COLUMNS if name not in layout.left_out]


def test_ids_are_short_and_sentences_are_wrapped() -> None:
    assert lines(lay_out(COLUMNS[:5], [row[:5] for row in ROWS], IS_NUMBER[:5], 76)) == [
        "number  member             category                         points  state",
        "     0  z6MkedBU4jCt196n…  breach of contract found by a       -30  standing",
        "                           court",
        "     1  z6MkoSHKR6jU…      heroic act                           30  -",
    ]


def test_what_is_spared_first_can_be_said() -> None:
    assert lay_out(COLUMNS, ROWS, IS_NUMBER, 60).left_out == ["height", "state"]
    assert lay_out(COLUMNS, ROWS, IS_NUMBER, 60, ("category",)).left_out == ["category"]


def test_what_can_be_copied_is_never_cut() -> None:
    path = "/a/long/way/" * 10
    layout = lay_out(("field", "value"), [("root", ROOT_ID), ("home", path)], (False, False), 60)
    assert lines(layout)[1:] == [f"root   {ROOT_ID[:16]}", f"home   {path}"]


def test_a_table_without_rows_has_its_headings() -> None:
    assert lines(lay_out(("a", "b"), [], (True, True), 80)) == ["a  b"]


def shown_on(columns: int, tmp_path: Path) -> list[str]:
    """A table as a terminal of so many columns gets it."""
    code = tmp_path / "show.py"
    code.write_text(
        "from scripts.console import Share, table\n"
        f"table('A title of several words that say what it is, as of a height', {COLUMNS}, {ROWS}, ('height',))\n"
        "table('', ('tier', 'share'), [('A', Share(1, 4))])\n",
        encoding="utf-8",
    )
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, str(code)], stdout=theirs, env=environment, timeout=DEADLINE_S, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()


@pytest.mark.parametrize("width", [80, 60])
def test_a_terminal_is_asked_how_wide_it_is(width: int, tmp_path: Path) -> None:
    shown = shown_on(width, tmp_path)
    assert max(map(len, shown)) <= width
    assert any(line.startswith("(no room for height") for line in shown) is (width == 60)
    assert shown[-1] == "A      25.0% ██████"


def test_large_numbers_are_grouped_but_for_names(capsys: pytest.CaptureFixture[str]) -> None:
    table("", ("code", "members", "share", "head"), [(1_881, 29_912_345, True, None), (7, 999, False, b"")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["code", "members", "share", "head"],
        ["1881", "29,912,345", "yes", "-"],
        ["7", "999", "no"],
    ]
