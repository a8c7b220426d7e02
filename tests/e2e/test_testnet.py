"""Testnets of real processes over loopback, judged from outside: by their JSON, their databases and their pids.

``GOODFAITH_E2E_REPLAY=FILE`` makes the first test replay a whole file instead of 200 ratings of the sample.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from chain.base.codec import encode
from chain.base.keys import SecretKey, did_from_key, key_from_did
from chain.consensus.headers import Header
from chain.content.actions import Enrol
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from tests.support.running import DEADLINE_S, ROOT, wait_for
from tests.support.world import Actor

SAMPLE = ROOT / "scripts" / "data" / "bitcoin-otc-sample.csv.gz"
SAMPLE_TRANSACTIONS = 1_500
# From its first block until all is final is time enough to be interrupted.
SLOW = ("--slot-ms", "5000", "--nodes", "2")


class Running:
    """A testnet that runs, seen from outside."""

    def __init__(self, home: Path, process: subprocess.Popen[str]) -> None:
        self.home = home
        self.process = process
        self.pids: set[int] = set()

    def facts(self, index: int) -> dict[str, Any] | None:
        """``node.json`` of a node that is up."""
        try:
            facts: dict[str, Any] = json.loads((self.home / f"node{index}" / "node.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return facts if psutil.pid_exists(facts["pid"]) else None

    def log(self) -> str:
        """What the testnet said on stderr."""
        return (self.home.parent / "testnet.log").read_text(encoding="utf-8")

    def wait_ready(self, nodes: int) -> None:
        wait_for(lambda: all(self.facts(index) for index in range(nodes)), "every node is ready")
        self.pids = {self.now(index)["pid"] for index in range(nodes)}

    def now(self, index: int) -> dict[str, Any]:
        facts = self.facts(index)
        assert facts is not None
        return facts

    def status(self, index: int) -> dict[str, Any]:
        """``GET /status``; some of its keys with zeros while the node does not run."""
        facts = self.facts(index)
        if facts is not None:
            try:
                status: dict[str, Any] = ask(facts["http"] + "/status").json()
            except httpx.HTTPError:
                pass
            else:
                return status
        return {"transactions": 0, "final_transactions": 0, "height": 0, "finalized_height": 0}

    def finish(self, deadline_s: float = DEADLINE_S) -> tuple[int, dict[str, Any]]:
        """Wait for the end: the exit code and the report."""
        out, _ = self.process.communicate(timeout=deadline_s)
        return self.process.returncode, json.loads(out.splitlines()[-1])

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> tuple[int, dict[str, Any]]:
        """Ctrl-C, or another signal."""
        self.process.send_signal(number)
        return self.finish()

    def assert_nothing_left(self) -> None:
        wait_for(lambda: not any(_is_alive(pid) for pid in self.pids), "every node has ended")


def ask(url: str, method: str = "GET", **options: Any) -> httpx.Response:
    return httpx.request(method, url, timeout=DEADLINE_S, trust_env=False, **options)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_gone_once_pressed(running: Running, pid: int) -> bool:
    """Whether a node has ended; else Ctrl-C is pressed: what comes right after another press is taken for its echo."""
    if _is_alive(pid):
        running.process.send_signal(signal.SIGINT)
    return not _is_alive(pid)


@contextmanager
def testnet(
    home: Path,
    *args: str,
    program: Sequence[str] = (str(ROOT / "scripts" / "testnet.py"),),  # noqa: PT028 - it is no test
) -> Iterator[Running]:
    """Start a testnet with quick slots; whatever is left of it at the end is killed."""
    command = [sys.executable, *program, "--home", str(home), "--json", *args]
    with (
        (home.parent / "testnet.log").open("a") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT) as process,
    ):
        running = Running(home, process)
        try:
            yield running
        finally:
            process.kill()


testnet.__test__ = False  # type: ignore[attr-defined]  # pytest takes the name for a test


def inspect_top(home: Path) -> list[dict[str, Any]]:
    command = [sys.executable, str(ROOT / "scripts" / "inspect_chain.py"), "top"]
    done = subprocess.run(
        [*command, "--home", str(home), "--limit", "100000", "--json"], capture_output=True, text=True, check=True
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)["members"]
    return rows


def recomputed_scores(file: Path, limit: int | None, seed: bytes) -> dict[str, int]:
    """The score of every member, from the csv alone: walk the file backwards, so that the last word comes first."""
    with gzip.open(file, "rt", encoding="ascii") as lines:
        rows = [line.split(",") for line in lines][1:][:limit]
    said: set[tuple[str, str]] = set()
    sums: dict[str, int] = {}
    for rater, subject, points, _ in reversed(rows):
        sums.setdefault(rater, 0)
        sums[subject] = sums.get(subject, 0) + (int(points) if (rater, subject) not in said else 0)
        said.add((rater, subject))
    return {did_of(seed, int(number)): max(-10_000, min(10_000, total)) for number, total in sums.items()}


def did_of(seed: bytes, number: int) -> str:
    digest = sha256(b"goodfaith/testnet/member/1" + seed + bytes(4) + number.to_bytes(4, "big")).digest()
    return did_from_key(SecretKey(digest).public)


def tier_of(score: int) -> str:
    thresholds = {"trusted": 50, "good": 10, "known": 1, "unrated": 0, "doubtful": -10}
    return next((name for name, lowest in thresholds.items() if score >= lowest), "distrusted")


def test_a_replay_becomes_final_everywhere_and_the_scores_are_those_of_the_file(tmp_path: Path) -> None:
    given = os.environ.get("GOODFAITH_E2E_REPLAY")
    file, limit, slot_ms = (Path(given), None, "1000") if given else (SAMPLE, 200, "300")
    deadline_s = 5 * DEADLINE_S if given else DEADLINE_S
    home = tmp_path / "net"
    wanted = [] if limit is None else ["--limit", str(limit)]
    shape = ("--nodes", "4", "--observers", "1", "--slot-ms", slot_ms)
    with testnet(home, *shape, "--replay", str(file), *wanted, "--until-final") as running:
        code, report = running.finish(deadline_s)
    seed = bytes.fromhex(json.loads((home / "testnet.json").read_text(encoding="ascii"))["seed"])
    scores = recomputed_scores(file, limit, seed)

    assert code == 0
    assert report["agree"] is True
    assert (report["nodes"], report["observers"], report["home"]) == (4, 1, str(home))
    with gzip.open(file, "rt", encoding="ascii") as lines:
        ratings = sum(1 for _ in lines) - 1 if limit is None else limit
    assert report["submitted"] == report["final"] == len(scores) + ratings
    assert (report["refused"], report["lost"]) == ({}, 0)
    assert report["height"] >= report["finalized_height"] > 0
    assert report["tx_per_s"] > 0
    assert report["seconds"] > 0
    assert report["block_propagation_ms"]["p95"] >= report["block_propagation_ms"]["p50"] >= 0
    assert [detail["ended"] for detail in report["nodes_detail"]] == [None] * 5

    genesis = load_genesis(home / "genesis.json")
    roots = set()
    for index in range(5):
        reader = Reader(home / f"node{index}" / DATABASE, genesis)
        block = reader.block_at(report["finalized_height"])
        reader.close()
        assert block is not None
        roots.add(block.header.state_root.hex())
    assert roots == {report["state_root"]}

    for index in (0, 4):  # a validator and the observer
        rows = inspect_top(home / f"node{index}")
        assert {row["member"]: row["score"] for row in rows} == scores
        assert [row["score"] for row in rows] == sorted(scores.values(), reverse=True)
        assert all(row["tier"] == tier_of(row["score"]) for row in rows)
        # The rank counts who stands above; equal scores share it.
        assert all(row["rank"] == 1 + sum(other > row["score"] for other in scores.values()) for row in rows[:50])


def test_a_killed_validator_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    home = tmp_path / "net"
    with testnet(home, "--slot-ms", "300") as running:
        running.wait_ready(4)
        wait_for(lambda: running.status(0)["transactions"] > 300, "the replay is under way")
        victim = running.now(2)["pid"]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: not _is_alive(victim), "node2 is dead")
        final = running.status(0)["finalized_height"]
        wait_for(lambda: running.status(0)["finalized_height"] > final, "three of four make progress")

        command = [sys.executable, str(ROOT / "node.py"), "run", "--home", str(home / "node2"), "--stop-with-parent"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as by_hand:
            try:
                wait_for(lambda: "node2 is back" in running.log(), "the testnet noticed")
                # Before it says so, a rating may still be on its way, and all nodes agree on less than everything.
                wait_for(lambda: "transactions are final on" in running.log(), "everything is final")
                wait_for(
                    lambda: (
                        running.status(2)["final_transactions"]
                        == running.status(0)["final_transactions"]
                        > SAMPLE_TRANSACTIONS
                    ),
                    "node2 caught up",
                )
                code, report = running.interrupt()
            finally:
                by_hand.terminate()
    assert code == 0
    assert report["agree"] is True
    assert report["submitted"] == report["final"] > SAMPLE_TRANSACTIONS
    assert (report["lost"], report["refused"]) == (0, {})
    assert [detail["deaths"] for detail in report["nodes_detail"]] == [0, 0, 1, 0]
    running.assert_nothing_left()


def test_a_killed_testnet_leaves_no_process_and_can_be_resumed(tmp_path: Path) -> None:
    home = tmp_path / "net"
    with testnet(home, "--slot-ms", "300", "--observers", "1") as running:
        running.wait_ready(5)
        wait_for(lambda: running.status(0)["final_transactions"] > 0, "something is final")
        # What is final is on disk, too, once the next is: a node stores one block after the other.
        height = running.status(0)["finalized_height"]
        wait_for(lambda: running.status(0)["finalized_height"] > height, "and so is what comes next")
        running.process.kill()
        running.process.wait()
        running.assert_nothing_left()
    with testnet(home, "--until-final") as running:
        code, report = running.finish()
    assert code == 0
    assert report["agree"] is True
    # On a slow machine everything may have been final before the kill.
    assert 0 < report["resumed"] <= report["submitted"] == report["final"]
    assert (report["nodes"], report["observers"], report["slot_ms"]) == (4, 1, 300)


def test_ctrl_c_in_mid_replay_stops_every_node_and_says_130(tmp_path: Path) -> None:
    with testnet(tmp_path / "net", *SLOW) as running:
        running.wait_ready(2)
        wait_for(lambda: running.status(0)["transactions"] > 0, "the replay is under way")
        code, report = running.interrupt()
    assert code == 130
    assert report["agree"] is True
    assert report["interrupted"] is True
    assert report["final"] <= report["submitted"]
    running.assert_nothing_left()


# A testnet that waits forever for the clean end of its nodes, so that only a second signal can end it.
PATIENT = """
from math import inf
from scripts import testnet
from scripts.testnet_parts import nodes
nodes.STOP_TIMEOUT_S = inf
testnet.main()
"""


def test_a_second_signal_kills_nodes_that_do_not_stop(tmp_path: Path) -> None:
    with testnet(tmp_path / "net", *SLOW, program=("-c", PATIENT)) as running:
        running.wait_ready(2)
        wait_for(lambda: running.status(0)["transactions"] > 0, "the replay is under way")
        willing, stubborn = (running.now(index)["pid"] for index in range(2))
        os.kill(stubborn, signal.SIGSTOP)
        for _ in range(2):  # a terminal that is closed hangs up more than once, which is still one wish
            running.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not _is_alive(willing), "the first signal stops the nodes")
        running.process.send_signal(signal.SIGHUP)
        assert _is_alive(stubborn)
        wait_for(lambda: _is_gone_once_pressed(running, stubborn), "another signal kills what does not stop", 1.0)
        code, report = running.finish()
    assert (code, report["interrupted"]) == (130, True)
    assert [detail["ended"] for detail in report["nodes_detail"]] == [None, "did not stop cleanly (code -9)"]
    running.assert_nothing_left()


def test_a_validator_that_sleeps_catches_up_and_signs_no_slot_twice(tmp_path: Path) -> None:
    home = tmp_path / "net"
    with testnet(home, "--slot-ms", "300", "--limit", "300") as running:
        running.wait_ready(4)
        wait_for(lambda: running.status(0)["transactions"] > 0, "the replay is under way")
        sleeper, key = running.now(2)["pid"], key_from_did(running.now(2)["did"])
        os.kill(sleeper, signal.SIGSTOP)
        wait_for(lambda: psutil.Process(sleeper).status() == psutil.STATUS_STOPPED, "node2 sleeps")
        asleep = running.status(0)
        actors = (Actor(load_genesis(home / "genesis.json"), number) for number in count(5_000))
        keep_busy = partial(_keep_busy, running, actors)
        wait_for(lambda: keep_busy()["finalized_height"] > asleep["height"], "three of four make progress")
        awake = running.status(0)["slot"]
        os.kill(sleeper, signal.SIGCONT)
        wait_for(
            lambda: keep_busy() and any(item.slot > awake and item.proposer == key for item in headers_of(home, 0)),
            "node2 signs again",
        )
        wait_for(lambda: "transactions are final on 4 nodes" in running.log(), "everything is final, also on node2")
        code, report = running.interrupt(signal.SIGTERM)
    assert code == 0
    assert report["agree"] is True
    assert [(detail["ended"], detail["deaths"]) for detail in report["nodes_detail"]] == [(None, 0)] * 4
    running.assert_nothing_left()
    headers = {header for index in range(4) for header in headers_of(home, index)}
    assert len({header.slot for header in headers}) == len(headers)  # a slot has one leader


def _keep_busy(running: Running, actors: Iterator[Actor]) -> dict[str, Any]:
    """Give an idle network something to do; returns what node0 says."""
    status = running.status(0)
    if status["transactions"] == status["final_transactions"]:
        body = encode((next(actors).sign(Enrol()).raw,))
        headers = {"content-type": "application/msgpack"}
        ask(running.now(0)["http"] + "/transactions", "POST", content=body, headers=headers).raise_for_status()
    return status


def headers_of(home: Path, index: int) -> list[Header]:
    """Every header that a node has stored, on whatever branch."""
    reader = Reader(home / f"node{index}" / DATABASE, load_genesis(home / "genesis.json"))
    headers: list[Header] = [item for main in (True, False) for item, _ in reader.headers(1, 1_000_000, main=main)]
    reader.close()
    return headers


@pytest.mark.parametrize("groups", [({0, 1}, {2, 3}), ({0, 1, 2}, {3})], ids=["2-2", "3-1"])
def test_a_network_cut_apart_for_sixty_slots_ends_on_one_chain(tmp_path: Path, groups: tuple[set[int], ...]) -> None:
    with testnet(tmp_path / "net", "--slot-ms", "200") as running:
        running.wait_ready(4)
        wait_for(lambda: running.status(0)["final_transactions"] > 0, "something is final")
        ids = [running.now(index)["peer_id"] for index in range(4)]
        for group in groups:
            for index in group:
                _partition(running, index, "POST", {"peer_ids": [ids[other] for other in set(range(4)) - group]})
        cut, seqs = running.status(3), [max(head["seq"] for head in _heads(running, index)) for index in range(4)]
        wait_for(lambda: running.status(3)["slot"] > cut["slot"] + 60, "sixty slots pass")
        for group in groups:
            if group != {3}:  # one validator alone may have nothing to make a block of
                wait_for(partial(_has_made, running, group, seqs), "each side goes its own way")
        assert running.status(0)["head_id"] != running.status(3)["head_id"]
        for index in range(4):
            _partition(running, index, "DELETE", None)
        wait_for(lambda: "transactions are final on 4 nodes" in running.log(), "everything is final")
        code, report = running.interrupt()
    assert code == 0
    assert report["agree"] is True
    assert report["reorgs"] >= 1 or groups[1] == {3}
    assert report["submitted"] == report["final"] > SAMPLE_TRANSACTIONS
    running.assert_nothing_left()


def _heads(running: Running, index: int, after: int = 0) -> list[dict[str, Any]]:
    heads: list[dict[str, Any]] = ask(f"{running.now(index)['http']}/heads?after={after}").json()["heads"]
    return heads


def _has_made(running: Running, group: set[int], seqs: Sequence[int]) -> bool:
    return any(head["made_here"] for index in group for head in _heads(running, index, seqs[index]))


def _partition(running: Running, index: int, method: str, document: dict[str, Any] | None) -> None:
    url = running.now(index)["http"] + "/partition"
    ask(url, method, json=document).raise_for_status()
