"""Measurements of real processes: a testnet under load, and one that idles."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from chain.database import DATABASE
from chain.errors import OperatorError
from chain.genesis import load_genesis
from chain.reader import Reader
from p2p.client import STATUS, Client, NodeStatus, announced

TESTNET = Path(__file__).resolve().parents[1] / "testnet.py"
NODES = 4
# The first blocks carry enrolments and the ramp-up of the load, the last ones its end.
SUSTAINED_FROM, SUSTAINED_TO = 0.3, 0.95
READY_TIMEOUT_S = 120.0


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


def measure_load(members: int, ratings: int, max_per_s: int | None = None) -> Load:
    """Replay random ratings on four validators until everything is final, as fast as they carry it or slower."""
    with tempfile.TemporaryDirectory() as folder:
        replay, home = Path(folder) / "ratings.csv", Path(folder) / "testnet"
        write_ratings(replay, members, ratings)
        command = [sys.executable, str(TESTNET), "--home", str(home), "--replay", str(replay)]
        if max_per_s is not None:
            command += ["--rate", str(max_per_s)]
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


def measure_idle(seconds: float) -> float:
    """CPU of one node of an idle four-node testnet, as a share of a core, averaged over ``seconds``."""
    with tempfile.TemporaryDirectory() as folder, _testnet(Path(folder) / "testnet") as home:
        before = _wait_idle(home)
        started = time.perf_counter()
        time.sleep(seconds)  # the measurement itself
        after = _statuses(home)
        elapsed = time.perf_counter() - started
    spent = sum(status["cpu_s"] for status in after) - sum(status["cpu_s"] for status in before)
    return float(spent) / NODES / elapsed


@contextmanager
def _testnet(home: Path) -> Iterator[Path]:
    command = [sys.executable, str(TESTNET), "--home", str(home), "--limit", "20", "--json"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield home
        finally:
            os.kill(process.pid, signal.SIGINT)


def _wait_idle(home: Path) -> list[NodeStatus]:
    """Wait until everything that was submitted is final everywhere."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            statuses = _statuses(home)
        except OperatorError:  # not up yet
            statuses = []
        if statuses and all(0 < status["transactions"] == status["final_transactions"] for status in statuses):
            return statuses
        time.sleep(0.2)
    raise OperatorError("the testnet did not become idle; run scripts/testnet.py by hand to see why")


def _statuses(home: Path) -> list[NodeStatus]:
    statuses = []
    for number in range(NODES):
        with Client(announced(home / f"node{number}").http) as node:
            statuses.append(node.ask(STATUS))
    return statuses
