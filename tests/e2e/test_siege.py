"""The siege as a command: real processes, an attacker beside them, a table."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.running import DEADLINE_S, ROOT


def test_a_row_is_run_and_told() -> None:
    command = [sys.executable, str(ROOT / "scripts/siege.py"), "--row", "idle-33", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode in (0, 1), done.stderr  # how fast it goes is the machine's
    (row,) = json.loads(done.stdout)["rows"]
    assert row["row"] == "idle-33"
    assert "connects" in row["measured"]


def test_what_is_written_is_all_of_it() -> None:
    command = [sys.executable, str(ROOT / "scripts/siege.py"), "--row", "idle-33", "--write"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    assert "--write takes all rows" in done.stderr
