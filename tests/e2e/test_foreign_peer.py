"""An observer that shares no code with us, on js-libp2p, follows a network of real nodes and checks what it is told.

It runs where Node.js is, and the packages of ``tests/foreign/js``: ``npm ci`` in that folder brings them.  No test
downloads anything.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain.actions import Approve, Enrol, Propose
from chain.genesis import Genesis
from chain.proposals import ReweighValidator
from p2p.client import announced
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from p2p.network import PROTOCOL_VERSION
from tests.support.running import DEADLINE_S, ROOT, RunningNode, running
from tests.support.world import Actor, genesis_of, secret

FOLDER = ROOT / "tests" / "foreign" / "js"
NODE_JS = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE_JS is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "libp2p").exists(),
        reason="js-libp2p is not installed: npm ci in tests/foreign/js brings it",
    ),
]


class Observer:
    """The process of the observer, and what it has said."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = self._output.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [each for each in self.said if each["event"] == name]


@contextmanager
def observing(node: RunningNode, chain_id: bytes, key: bytes, folder: Path, blocks: int = 3) -> Iterator[Observer]:
    output = folder / "observer.jsonl"
    address, genesis = announced(node.home).addresses[0], node.home / "genesis.json"
    command = [str(NODE_JS), "observer.js", address, chain_id.hex(), str(genesis), key.hex(), str(blocks)]
    with (
        output.open("w") as out,
        subprocess.Popen(command, cwd=FOLDER, stdout=out, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            yield Observer(process, output)
        finally:
            process.kill()


@contextmanager
def two_validators(folder: Path, rules: Genesis) -> Iterator[RunningNode]:
    """The first of two, connected with each other."""
    create_home(
        folder / "first", rules, secret(1).seed, HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")
    )
    with running(folder / "first") as first:
        peers = announced(first.home).addresses[:1]
        config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0", peers=peers)
        create_home(folder / "second", rules, secret(2).seed, config)
        with running(folder / "second"):
            yield first


def follows(observer: Observer, node: RunningNode, rules: Genesis) -> None:
    """Give each slot work until the observer has seen all that it waits for."""
    deadline, count = time.monotonic() + DEADLINE_S, 101
    while observer.process.poll() is None:
        assert time.monotonic() < deadline, observer.said
        assert node.submit([Actor(rules, count).sign(Enrol())]) == [None]
        count += 1
        time.sleep(0.5)  # something to do for every slot
    assert observer.process.returncode == 0, (observer.said, node.log())


def test_a_js_observer_follows_blocks_fetches_them_and_checks_a_proof(tmp_path: Path) -> None:
    rules = genesis_of(2, genesis_time_ms=int(time.time() * 1000))
    member = Actor(rules, 100)
    with two_validators(tmp_path, rules) as node:
        assert node.submit([member.sign(Enrol())]) == [None]
        with observing(node, rules.id, member.key, tmp_path) as observer:
            follows(observer, node, rules)
        (identified,) = observer.events("identified")
        assert identified["agent"].startswith("goodfaith/")
        assert identified["addresses"] == [announced(node.home).addresses[0].partition("/p2p/")[0]]
        assert observer.events("proven")[-1] | {"isMember": True, "nonce": 1} == observer.events("proven")[-1]
        assert observer.events("fetched")
        assert observer.events("attested")
        assert observer.events("counted")[-1]["final"] > 0
        assert observer.events("pinged")
        assert node.get("/peers")["banned"] == {}


def test_a_js_observer_follows_a_change_of_validators(tmp_path: Path) -> None:
    rules = genesis_of(2, genesis_time_ms=int(time.time() * 1000))
    first, second, member = Actor(rules, 1), Actor(rules, 2), Actor(rules, 100)
    heavier = first.sign(Propose(ReweighValidator(second.key, 2)))
    with two_validators(tmp_path, rules) as node:
        assert node.submit([member.sign(Enrol()), heavier, second.sign(Approve(0))]) == [None, None, None]
        with observing(node, rules.id, member.key, tmp_path, blocks=20) as observer:
            follows(observer, node, rules)
        last = observer.events("counted")[-1]
        assert (last["weights"], last["isChanging"]) == ([1, 2], False)
        assert last["final"] >= last["height"] - 4


def test_a_js_observer_of_another_network_is_told_so(tmp_path: Path) -> None:
    rules = genesis_of(1, genesis_time_ms=int(time.time() * 1000))
    config = HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0")
    create_home(tmp_path / "only", rules, secret(1).seed, config)
    with running(tmp_path / "only") as node, observing(node, bytes(32), bytes(32), tmp_path) as observer:
        assert observer.process.wait(DEADLINE_S) == 1, observer.said
        (refused,) = observer.events("refused")
        assert refused["why"] == "network"
        assert f"/goodfaith/{PROTOCOL_VERSION}/{rules.id.hex()[:16]}/" in refused["text"]
        assert "its genesis begins with 0000000000000000" in node.log()
