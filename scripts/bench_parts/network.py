"""Measurements of real processes: a testnet under a steady load."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chain.database import DATABASE
from chain.errors import OperatorError
from chain.genesis import load_genesis
from chain.reader import Reader

TESTNET = Path(__file__).resolve().parents[1] / "testnet.py"
NODES = 4
# The first blocks carry enrolments and the ramp-up of the load, the last ones its end.
SUSTAINED_FROM, SUSTAINED_TO = 0.3, 0.95


@dataclass(frozen=True)
class Load:
    """What a testnet did under load; rates are a second, times in milliseconds."""

    transactions: int
    sustained_per_s: float
    slots_kept: float
    block_transactions: float
    propagation_p50_ms: int
    propagation_p95_ms: int
    cpu_ms_per_transaction: float
    rss_mb: float
    reorgs: int


def write_ratings(path: Path, members: int, ratings: int, seed: int = 1) -> None:
    """A file of random ratings in the Bitcoin OTC form."""
    random = Random(seed)
    with path.open("w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        writer.writerow(["FROM_NODE", "TO_NODE", "TRUST_INDEX", "TIME_SINCE_EPOCH"])
        for number in range(ratings):
            rater, subject = random.sample(range(1, members + 1), 2)
            writer.writerow([rater, subject, random.choice([-10, -5, -1, 1, 2, 3, 5, 10]), 1_289_000_000 + number])


def measure_load(members: int, ratings: int, max_per_s: int) -> Load:
    """Replay random ratings on four validators until everything is final."""
    with tempfile.TemporaryDirectory() as folder:
        replay, home = Path(folder) / "ratings.csv", Path(folder) / "testnet"
        write_ratings(replay, members, ratings)
        command = [sys.executable, str(TESTNET), "--home", str(home), "--replay", str(replay), "--rate", str(max_per_s)]
        ended = subprocess.run([*command, "--until-final", "--json"], stdout=subprocess.PIPE, check=False)
        if ended.returncode:
            raise OperatorError(f"the testnet ended with {ended.returncode}; run it by hand to see why")
        report = json.loads(ended.stdout)
        sustained, kept, size = _sustained(home / "node0")
    propagation = report["block_propagation_ms"]
    return Load(
        transactions=report["final"],
        sustained_per_s=sustained,
        slots_kept=kept,
        block_transactions=size,
        propagation_p50_ms=propagation["p50"],
        propagation_p95_ms=propagation["p95"],
        cpu_ms_per_transaction=report["cpu_ms_per_tx"],
        rss_mb=max(node["rss_bytes"] for node in report["nodes_detail"]) / 1e6,
        reorgs=report["reorgs"],
    )


def _sustained(home: Path) -> tuple[float, float, float]:
    """Rate, share of slots with a block, and transactions a block, over the middle of the filled chain."""
    genesis = load_genesis(home / "genesis.json")
    reader = Reader(home / DATABASE, genesis)
    headers = [(header.slot, count) for header, count in reader.headers(1, 1_000_000) if count]
    reader.close()
    middle = headers[int(len(headers) * SUSTAINED_FROM) : int(len(headers) * SUSTAINED_TO)]
    slots = middle[-1][0] - middle[0][0] + 1
    total = sum(count for _, count in middle)
    return total * 1_000 / (slots * genesis.slot_ms), len(middle) / slots, total / len(middle)
