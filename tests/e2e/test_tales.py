"""The tale of a policy on real node processes, told to the end and recounted; tests/scenarios tells those of all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from chain.content.policyfile import shipped_policy
from scripts.tale.plots import DISPUTES, plots
from tests.support.running import DEADLINE_S, ROOT

POLICY = "suppliers"


def test_a_policy_is_told_and_recounted(tmp_path: Path) -> None:
    home = tmp_path / "net"
    file = ROOT / "chain" / "policies" / f"{POLICY}.toml"
    command = [sys.executable, ROOT / "scripts" / "testnet.py", "--policy", file, "--nodes", "3", "--slot-ms", "400"]
    run = subprocess.run(
        [*map(str, command), "--until-final", "--json", "--home", str(home)],
        capture_output=True,
        text=True,
        timeout=5 * DEADLINE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert (report["agree"], report["complete"], report["scenario"], report["policy"]) == (True, True, "tale", POLICY)
    assert (report["differences"], report["faults"]) == ([], [])
    members = len((home / "outcome.csv").read_text(encoding="utf-8").splitlines()) - 1
    assert report["explained"] == f"{members} of {members}"

    # Which answers came in time is the machine's affair.
    told_of = plots(shipped_policy(POLICY))
    assert report["counts"]["filed"] == len(told_of)
    assert report["counts"]["objected"] == sum(plot.what in DISPUTES for plot in told_of) >= 4
    assert report["counts"]["silence"] >= 1
