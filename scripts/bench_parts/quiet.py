"""A testnet with next to nothing to do: what it costs, how fast one transaction is final, and what a block costs."""

from __future__ import annotations

import os
import re
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

import httpx

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.content.actions import Enrol
from chain.content.genesis import load_genesis
from chain.content.transactions import VerifiedTransaction, sign_transaction
from p2p.client import STATUS, Client, NodeStatus, announced, submit, transaction
from scripts.bench_parts.limit import NODES
from scripts.replay import EXPIRY_HEIGHT, member_secret
from scripts.testnet_parts.verdict import percentile

TESTNET = Path(__file__).resolve().parents[1] / "testnet.py"
READY_TIMEOUT_S = 120.0
FINAL_TIMEOUT_S = 60.0
LOOK_S = 0.02
# Slots with a transaction each.
BLOCKS = 20
# No member of the replay has such a number.
_STRANGERS_FROM = 1_000_000
_SENT = re.compile(r"^goodfaith_p2p_message_send_bytes_total (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Quiet:
    """Shares are of a core and for one node; times in seconds; bytes and CPU (milliseconds) a block for all nodes."""

    idle_share: float
    submissions: int
    p50_s: float
    p95_s: float
    blocks: int
    cpu_ms_per_block: float
    bytes_per_block: float


@dataclass(frozen=True, slots=True)
class _Counted:
    at_s: float
    cpu_s: float
    height: int
    sent_bytes: float


def measure_quiet(seconds: float, submissions: int) -> Quiet:
    """Watch an idle testnet for ``seconds``, send it one transaction at a time, then one a slot."""
    with tempfile.TemporaryDirectory() as folder, _testnet(Path(folder) / "testnet") as home:
        _wait_idle(home)
        before = _counted(home)
        time.sleep(seconds)  # the measurement itself
        after = _counted(home)
        idle = (after.cpu_s - before.cpu_s) / (after.at_s - before.at_s)
        strangers, random = _strangers(home), Random(1)
        waits = [_finality_s(home, next(strangers), random) for _ in range(submissions)]
        busy, done = _trickle(home, strangers)
        blocks = max(1, done.height - busy.height)
        cpu_s = done.cpu_s - busy.cpu_s - idle * (done.at_s - busy.at_s)
    times = [round(1_000 * wait) for wait in waits]
    return Quiet(
        idle_share=idle / NODES,
        submissions=submissions,
        p50_s=(percentile(times, 50) or 0) / 1_000,
        p95_s=(percentile(times, 95) or 0) / 1_000,
        blocks=blocks,
        cpu_ms_per_block=1_000 * cpu_s / blocks,
        bytes_per_block=(done.sent_bytes - busy.sent_bytes) / blocks,
    )


def _strangers(home: Path) -> Iterator[VerifiedTransaction]:
    """Enrolments, each of another key: none of them waits for another."""
    genesis, number = load_genesis(home / "genesis.json"), _STRANGERS_FROM
    while True:
        number += 1
        secret: SecretKey = member_secret(b"bench", number)
        yield sign_transaction(secret, genesis.id, 0, EXPIRY_HEIGHT, Enrol())


def _finality_s(home: Path, enrolment: VerifiedTransaction, random: Random) -> float:
    """Submit to an idle network at a random moment: seconds until the node that took it says that it is final."""
    genesis = load_genesis(home / "genesis.json")
    with Client(announced(home / f"node{random.randrange(NODES)}").http) as node:
        status = node.ask(STATUS)
        while status["transactions"] != status["final_transactions"] or status["mempool"]:
            time.sleep(LOOK_S)
            status = node.ask(STATUS)
        time.sleep((1 + random.random()) * genesis.slot_ms / 1_000)  # any moment of a slot is as likely as another
        started = time.perf_counter()
        node.ask(submit(enrolment.raw))
        while node.ask(transaction(enrolment.id)).state != "final":
            if time.perf_counter() - started > FINAL_TIMEOUT_S:
                raise OperatorError(
                    f"a transaction was not final after {FINAL_TIMEOUT_S:.0f} s; run testnet.py by hand"
                )
            time.sleep(LOOK_S)
        return time.perf_counter() - started


def _trickle(home: Path, strangers: Iterator[VerifiedTransaction]) -> tuple[_Counted, _Counted]:
    """Keep every leader busy with one transaction a slot; what was counted before and after."""
    slot_s = load_genesis(home / "genesis.json").slot_ms / 1_000
    with Client(announced(home / "node0").http) as node:
        before = _counted(home)
        started = time.perf_counter()
        for number in range(BLOCKS):
            node.ask(submit(next(strangers).raw))
            time.sleep(max(0.0, started + (number + 1) * slot_s - time.perf_counter()))
        return before, _counted(home)


def _counted(home: Path) -> _Counted:
    statuses = _statuses(home)
    return _Counted(
        time.perf_counter(),
        sum(status["cpu_s"] for status in statuses),
        max(status["height"] for status in statuses),
        sum(sent_bytes(_metrics(home / f"node{number}")) for number in range(NODES)),
    )


def _metrics(home: Path) -> str:
    return httpx.get(f"{announced(home).http}/metrics", trust_env=False).text


def sent_bytes(metrics: str) -> float:
    """What a node has sent to its peers.  Raises :class:`OperatorError` where its metrics do not say it."""
    found = _SENT.search(metrics)
    if found is None:
        raise OperatorError("a node does not count what it sends; measure nodes of this version")
    return float(found[1])


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
