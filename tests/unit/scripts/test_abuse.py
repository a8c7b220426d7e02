from __future__ import annotations

from p2p.local.startup import EXIT_MISTAKE

from dataclasses import replace
from pathlib import Path

import pytest

from scripts import abuse
from scripts.abuse_parts.report import document
from scripts.abuse_parts.strike import Outcome
from tests.support.commands import exit_code


def test_the_page_has_the_verdicts_and_no_figure_of_the_machine() -> None:
    banned = Outcome("not-protobuf", "junk", visitors=3, banned=1, goes_on=True)
    stuck = Outcome("request-flood", "questions", visitors=1)
    rows = document([banned, stuck]).splitlines()[-2:]
    assert rows[0].startswith("| not-protobuf | junk | banned | yes |")
    assert rows[1].startswith("| request-flood | questions | limited | **no** |")
    slower = replace(banned, most_rss_mb=100, most_peers=4, slots=9, kept=7)
    assert document([slower, stuck]).splitlines()[-2:] == rows


def test_a_home_that_there_is_not_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(abuse.main, ["--home", str(tmp_path / "gone")]) == EXIT_MISTAKE
    assert "gone does not exist; name a node's home with --home" in capsys.readouterr().err
