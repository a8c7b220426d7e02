"""What nodes spend their CPU time on, by their samples."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from scripts.bench_parts import sampling, shares
from scripts.bench_parts.shares import REST, THREADS, part_of

TREE, RULES, WEB, READING, _, NET = (part for part, _ in shares.PARTS)


def test_the_most_special_part_has_a_stack() -> None:
    loop = ["unrolled_run (/site-packages/trio/_core/_run.py)", "decided (/goodfaith/p2p/local/passphrase.py)"]
    pump = ["Ledger.extend (/goodfaith/chain/branches/ledger.py)", "Node.pump (/home/ann/goodfaith/node.py)", *loop]
    assert part_of(["EpollIOManager.get_events (/site-packages/trio/_core/_io_epoll.py)", *loop]) == THREADS
    assert part_of(["_apply (/goodfaith/chain/tree/statetree.py)", "StateTree.update (/x.py)", *pump]) == TREE
    assert part_of(pump) == RULES
    assert part_of(["Signatures._screened (/goodfaith/p2p/signatures.py)", *loop]) == READING
    assert part_of(["submit (/goodfaith/p2p/local/face.py)", "x (/site-packages/hypercorn/app.py)", *loop]) == WEB
    assert part_of(["Yamux.read (/site-packages/libp2p/stream_muxer/yamux.py)", *loop]) == NET
    assert part_of(loop) == REST


def test_samples_of_all_nodes_are_added_up(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"{number}.json").write_text(json.dumps([[3, ["work (/x.py)"]], [1, ["Ledger.seal (/x.py)"]]]))
    assert shares.shares(tmp_path) == {REST: 6, RULES: 2}


def test_who_is_no_node_is_not_sampled(tmp_path: Path) -> None:
    folder = Path(next(iter(sampling.__path__)))
    code = "import signal, sitecustomize; print(sitecustomize.__file__, signal.getitimer(signal.ITIMER_PROF)[0])"
    environment = {**os.environ, "PYTHONPATH": str(folder), "SAMPLES": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert told.stdout.split() == [str(folder / "sitecustomize.py"), "0.0"]
