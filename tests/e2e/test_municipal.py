"""The municipal story on real node processes, whatever this machine makes of its deadlines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.running import DEADLINE_S, ROOT


def test_the_municipal_story_ends_in_agreement(tmp_path: Path) -> None:
    home = tmp_path / "net"
    command = [sys.executable, str(ROOT / "scripts" / "testnet.py"), "--scenario", "municipal"]
    told = subprocess.run(
        [*command, "--until-final", "--json", "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=5 * DEADLINE_S,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    report = json.loads(told.stdout)
    assert (report["agree"], report["complete"], report["scenario"]) == (True, True, "municipal")
    assert (report["differences"], report["faults"], report["explained"]) == ([], [], "199 of 199")
    assert len(report["chapters"]) == 9
    # The newcomer has the seat of the last validator.
    assert [detail["role"] for detail in report["nodes_detail"]] == ["validator"] * 3 + ["observer", "validator"]

    # Which answers came in time is the machine's affair; the market office loses three records either way.
    counts = report["counts"]
    assert counts["silence"] >= 2
    assert (counts["objected"], counts["suspended"], counts["amended"]) == (8, 1, 1)
    assert (counts["recovered"], counts["left"]) == (1, 1)
    assert [attempt.partition(": ")[2][:7] for attempt in report["attempts"]] == ["refused"] * 3

    outcome = (home / "outcome.csv").read_text(encoding="utf-8")
    assert outcome == (home / "outcome-on-paper.csv").read_text(encoding="utf-8")
    assert len(outcome.splitlines()) == 200
    assert "is in force, and nobody stands worse than a moment before" in told.stderr
