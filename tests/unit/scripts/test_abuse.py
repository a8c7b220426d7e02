from __future__ import annotations

from dataclasses import replace

from scripts.abuse_parts.report import document
from scripts.abuse_parts.strike import Outcome


def test_the_page_has_the_verdicts_and_no_figure_of_the_machine() -> None:
    banned = Outcome("not-protobuf", "junk", visitors=3, banned=1, goes_on=True)
    stuck = Outcome("request-flood", "questions", visitors=1)
    rows = document([banned, stuck]).splitlines()[-2:]
    assert rows[0].startswith("| not-protobuf | junk | banned | yes |")
    assert rows[1].startswith("| request-flood | questions | limited | **no** |")
    slower = replace(banned, most_rss_mb=100, most_peers=4, slots=9, kept=7)
    assert document([slower, stuck]).splitlines()[-2:] == rows
