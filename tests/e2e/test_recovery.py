"""Disks that are lost and copies that are restored, with real processes, as an operator comes through them.

``scripts/docs/recovery.md`` says what is typed; what it gives as seconds is what these tests print (``pytest -s``).
"""

from __future__ import annotations

from p2p.local.commandline import pasted

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chain.content.actions import Enrol
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import shipped_policy
from chain.disk.database import DATABASE
from chain.disk.places import tally_of
from p2p.local.config import HomeConfig
from p2p.local.home import create_home, peer_id_of
from scripts.testnet_parts.homes import free_ports
from tests.support.running import RunningNode, run_to_end, starting, wait_for
from tests.support.world import Actor, secret

SLOT_MS = 250


class Testnet:
    """Four validators on this machine, and a client that enrols members."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        seeds = [secret(number + 1).seed for number in range(4)]
        keys = [secret(number + 1).public for number in range(4)]
        self.genesis: Genesis = found_genesis(
            "drill",
            shipped_policy("marketplace"),
            keys,
            genesis_time_ms=time.time_ns() // 1_000_000,
            slot_ms=SLOT_MS,
            heartbeat_slots=8,
        )
        addresses = [
            f"/ip4/127.0.0.1/tcp/{port}/p2p/{peer_id_of(seed)}" for port, seed in zip(free_ports(4), seeds, strict=True)
        ]
        self.homes = [folder / f"node{number}" for number in range(4)]
        for home, seed, address in zip(self.homes, seeds, addresses, strict=True):
            others = [other for other in addresses if other != address]
            listen = [address.partition("/p2p/")[0]]
            create_home(home, self.genesis, seed, HomeConfig(listen=listen, peers=others, http="127.0.0.1:0"))
        self._stacks = [ExitStack() for _ in self.homes]
        self.nodes: dict[int, RunningNode] = {}
        self._numbers = count(1_000)

    def start(self, *numbers: int, join: str = "blocks") -> None:
        """Start these nodes, all at once, and wait until they are ready."""
        for number in numbers:
            node = starting(self.homes[number], "--join", join)
            self.nodes[number] = self._stacks[number].enter_context(node)
        for number in numbers:
            self.nodes[number].wait_ready()

    def stop(self, *numbers: int, kill: bool = False) -> None:
        """Stop these nodes."""
        for number in numbers:
            process = self.nodes.pop(number).process
            if kill:
                process.kill()
            else:
                process.terminate()
            process.wait()
            self._stacks[number].close()

    def close(self) -> None:
        """Kill what runs."""
        for stack in self._stacks:
            stack.close()

    def status(self) -> list[dict[str, Any]]:
        """What each node that runs says."""
        return [self.nodes[number].status() for number in sorted(self.nodes)]

    def feed(self) -> None:
        """One more member."""
        node = self.nodes[min(self.nodes)]
        node.submit([Actor(self.genesis, next(self._numbers)).sign(Enrol(), self.genesis.max_expiry_blocks)])

    def grow(self, blocks: int) -> None:
        """Wait until so many more blocks are made, and while that, enrol members."""
        height = max(status["height"] for status in self.status()) + blocks
        self.until(lambda: max(status["height"] for status in self.status()) >= height, f"height {height}")

    def until(self, condition: Any, what: str) -> None:
        """Wait for a condition on a busy network."""

        def fed() -> bool:
            self.feed()
            return bool(condition())

        wait_for(fed, what, every_s=0.1)

    def until_height(self, number: int, height: int) -> None:
        """Wait until a node has so many blocks."""
        self.until(lambda: self.nodes[number].status()["height"] >= height, f"node {number} has height {height}")

    def until_final(self) -> float:
        """How many seconds it takes until a block that is made from now on is final everywhere."""
        began = time.monotonic()
        height = max(status["height"] for status in self.status())
        self.until(
            lambda: all(status["finalized_height"] > height for status in self.status()), f"height {height} is final"
        )
        return time.monotonic() - began

    def until_made_by(self, number: int) -> float:
        """How many seconds it takes until a node made a block."""
        node = self.nodes[number]
        after = node.get("/heads")["heads"]
        last = max((head["seq"] for head in after), default=0)
        began = time.monotonic()
        self.until(
            lambda: any(head["made_here"] for head in node.get(f"/heads?after={last}")["heads"]), "it makes a block"
        )
        return time.monotonic() - began

    def lose_disk(self, number: int) -> None:
        """A node's database is gone; its operator begins it anew."""
        for path in self.homes[number].glob(f"{DATABASE}*"):
            path.unlink()
        ended = run_to_end("init", "--resync", "--home", str(self.homes[number]))
        assert ended.returncode == 0, ended.stderr

    def restart(self, file: Path, numbers: Sequence[int]) -> None:
        """The operators of three homes sign a restart, one after the other, each as soon as it has the block.

        Where others went on without that block, and so do not fetch it, the first begins another file.
        """
        first, second, third = numbers
        self._sign(file, first, "1 of the 3 needed")
        while not (self._comes_to_have(second, file) and self._comes_to_have(third, file)):
            file.unlink()
            self._sign(file, first, "1 of the 3 needed", "--again")
        self._sign(file, second, "2 of the 3 needed")
        self._sign(file, third, "that is enough")

    def _sign(self, file: Path, number: int, progress: str, *options: str) -> None:
        self.stop(number)
        signed = run_to_end("restart", "sign", str(file), "--home", str(self.homes[number]), *options)
        assert signed.returncode == 0, signed.stderr
        assert progress in signed.stdout
        assert f"run --home {pasted(self.homes[number])}" in signed.stdout
        self.start(number)

    def _comes_to_have(self, number: int, file: Path) -> bool:
        """Wait until a node has as many blocks as a restart goes on from; whether its block is one of them."""
        restart = json.loads(file.read_text(encoding="ascii"))
        self.until_height(number, restart["height"])
        return self.nodes[number].ask(f"/blocks/{restart['tip']}").status_code == HTTPStatus.OK

    def check_nobody_is_to_blame(self) -> None:
        """No node saw anybody contradict itself, and none is jailed: all four lead."""
        for home in self.homes:
            log = (home.parent / f"{home.name}.log").read_text(encoding="utf-8")
            assert "equivocation" not in log
            assert "Traceback" not in log
        self.until(lambda: all(each["validator"] and not each["silent"] for each in self.status()), "all four lead")


@pytest.fixture
def testnet(tmp_path: Path) -> Iterator[Testnet]:
    """Four nodes that run."""
    net = Testnet(tmp_path)
    try:
        net.start(0, 1, 2, 3)
        net.grow(8)
        yield net
    finally:
        net.close()


def test_one_lost_disk(testnet: Testnet) -> None:
    testnet.stop(3)
    testnet.lose_disk(3)
    testnet.start(3)
    began = time.monotonic()
    print(f"\none disk: final again after {testnet.until_final():.1f} s")
    testnet.until(lambda: not testnet.nodes[3].status()["silent"], "it speaks again")
    print(f"one disk: it speaks again after {time.monotonic() - began:.1f} s")
    testnet.until_made_by(3)
    testnet.check_nobody_is_to_blame()


@pytest.mark.parametrize("is_hot", [False, True], ids=["copied after a kill", "its file alone while it ran"])
def test_a_restored_backup(testnet: Testnet, tmp_path: Path, is_hot: bool) -> None:
    # given a backup, and a node that went on
    home, backup = testnet.homes[3], tmp_path / "backup"
    backup.mkdir()
    if not is_hot:
        testnet.stop(3, kill=True)
    for path in home.glob(DATABASE if is_hot else f"{DATABASE}*"):
        shutil.copy(path, backup / path.name)
    if not is_hot:
        testnet.start(3)
    testnet.until_made_by(3)
    testnet.grow(8)

    # when it is restored, and started; what else lies in the home stays only where the file alone is put back
    testnet.stop(3, kill=True)
    for path in home.glob(f"{DATABASE}*"):
        if not is_hot or path != tally_of(home / DATABASE):
            path.unlink()
    for path in backup.iterdir():
        shutil.copy(path, home / path.name)
    testnet.start(3)
    began = time.monotonic()

    # then it knows that it is old, by itself or by what others show, and makes blocks again
    why = "lacks what was durable in it" if is_hot else "nobody else speaks with this key"
    testnet.until(lambda: why in testnet.nodes[3].log(), why)
    testnet.until(lambda: not testnet.nodes[3].status()["silent"], "it speaks again")
    testnet.until_made_by(3)
    print(f"\na backup: it makes blocks {time.monotonic() - began:.1f} s after its node is ready")
    testnet.check_nobody_is_to_blame()


def test_more_than_are_tolerated_where_nobody_is_left_who_keeps_old_bodies(testnet: Testnet, tmp_path: Path) -> None:
    # given two of four that have no old bodies, since they once joined by state
    testnet.grow(16)
    for number in (3, 2):
        testnet.stop(number)
        testnet.lose_disk(number)
        testnet.start(number, join="state")
        testnet.until(lambda number=number: not testnet.nodes[number].status()["silent"], "it speaks again")
        assert testnet.nodes[number].status()["oldest_body"] > 1

    # when the disks of the other two are lost at once, such a node gets no block, and its operator is told why
    testnet.stop(0, 1)
    for number in (0, 1):
        testnet.lose_disk(number)
    testnet.start(0)

    def advice() -> list[str]:
        ended = run_to_end("doctor", "--home", str(testnet.homes[0]), "--json")
        return [finding["remedy"] for finding in json.loads(ended.stdout)["findings"] if finding["check"] == "height"]

    testnet.until(lambda: any("--join state" in remedy for remedy in advice()), "the doctor says how to join")
    assert testnet.nodes[0].status()["height"] == 0

    # then both join by state, and the network goes on from a restart
    testnet.stop(0)
    testnet.start(0, 1, join="state")
    testnet.restart(tmp_path / "restart.json", (2, 3, 0))
    testnet.until_final()
    for number in range(4):
        testnet.until_made_by(number)
    testnet.check_nobody_is_to_blame()


@pytest.mark.parametrize("lost", [(2, 3), (1, 2, 3)], ids=["two of four", "all but one"])
def test_more_than_are_tolerated(testnet: Testnet, tmp_path: Path, lost: tuple[int, ...]) -> None:
    # given so many of four whose disks are lost at once
    testnet.stop(*lost)
    for number in lost:
        testnet.lose_disk(number)
    testnet.start(*lost)

    def told() -> tuple[int, int, int] | None:
        stalled = testnet.nodes[0].status()["stalled"]
        return stalled and (stalled["heard"], stalled["needed"], len(stalled["missing"]))

    testnet.until(
        lambda: told() == (4 - len(lost), 3, len(lost)),
        "the status says that finality stands still, and for want of whom",
    )
    testnet.until(lambda: "restart sign" in testnet.nodes[0].log(), "the log says it too, and how to go on")
    final = max(status["finalized_height"] for status in testnet.status())

    # when three operators sign a restart, one after the other, each as soon as its home has the block
    file, began = tmp_path / "restart.json", time.monotonic()
    testnet.restart(file, (0, 2, 3))

    # then blocks are final again, above the one they agreed on, and all speak
    testnet.until_final()
    seconds = time.monotonic() - began
    print(f"\n{len(lost)} disks and a restart: final again {seconds:.1f} s after the first was stopped to sign")
    restart = json.loads(file.read_text(encoding="ascii"))
    assert all(status["finalized_height"] > restart["height"] >= final for status in testnet.status())
    for number in range(4):
        testnet.until_made_by(number)
    testnet.until(lambda: all(status["stalled"] is None for status in testnet.status()), "all know that it goes on")
    testnet.check_nobody_is_to_blame()
