"""An observer that shares no code with us, on js-libp2p, follows a network of real nodes and checks what it is told.

It runs where Node.js is, and the packages of ``tests/foreign/js``: ``npm ci`` in that folder brings them.  No test
downloads anything.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chain.content.actions import Approve, Enrol, Propose
from chain.content.genesis import Genesis
from chain.content.proposals import ReweighValidator
from p2p.client import announced
from p2p.network import PROTOCOL_VERSION
from tests.support.foreign import Foreigner, foreigner, validators, work_for
from tests.support.running import DEADLINE_S, ROOT, RunningNode
from tests.support.world import Actor, genesis_of

FOLDER = ROOT / "tests" / "foreign" / "js"
NODE_JS = shutil.which("node")
# Blocks to follow until it is stopped.
MANY = 1_000_000

pytestmark = [
    pytest.mark.skipif(NODE_JS is None, reason="Node.js is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "libp2p").exists(),
        reason="js-libp2p is not installed: npm ci in tests/foreign/js brings it",
    ),
]


@contextmanager
def observing(node: RunningNode, chain_id: bytes, key: bytes, folder: Path, blocks: int = 3) -> Iterator[Foreigner]:
    address, genesis = announced(node.home).addresses[0], node.home / "genesis.json"
    command = [str(NODE_JS), "observer.js", address, chain_id.hex(), str(genesis), key.hex(), str(blocks)]
    with foreigner(command, FOLDER, folder / "observer.jsonl") as observer:
        yield observer


def follows(observer: Foreigner, node: RunningNode, rules: Genesis) -> None:
    """Give each slot work until the observer has seen all that it waits for."""
    for _ in work_for(node, rules):
        if observer.process.poll() is not None:
            break
    assert observer.process.returncode == 0, (observer.story, node.log())


def test_a_js_observer_follows_blocks_fetches_them_and_checks_a_proof(tmp_path: Path) -> None:
    rules = genesis_of(2, genesis_time_ms=int(time.time() * 1000))
    member = Actor(rules, 100)
    with validators(tmp_path, rules, 2) as (node, _):
        assert node.submit([member.sign(Enrol())]) == [None]
        with observing(node, rules.id, member.key, tmp_path) as observer:
            follows(observer, node, rules)
        identified = observer.events("identified")[0]
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
    with validators(tmp_path, rules, 2) as (node, _):
        assert node.submit([member.sign(Enrol()), heavier, second.sign(Approve(0))]) == [None, None, None]
        with observing(node, rules.id, member.key, tmp_path, blocks=MANY) as observer:
            for _ in work_for(node, rules):
                assert observer.process.poll() is None, (observer.story, node.log())
                if any(has_changed(each) for each in observer.events("counted")):
                    break


def has_changed(counted: dict[str, Any]) -> bool:
    """The change is over, and blocks become final by the new weights."""
    is_over = (counted["weights"], counted["isChanging"]) == ([1, 2], False)
    return is_over and counted["final"] >= counted["height"] - 4


def test_a_js_observer_of_another_network_is_told_so(tmp_path: Path) -> None:
    rules = genesis_of(1, genesis_time_ms=int(time.time() * 1000))
    with (
        validators(tmp_path, rules, 1) as (node,),
        observing(node, bytes(32), bytes(32), tmp_path) as observer,
    ):
        assert observer.process.wait(DEADLINE_S) == 1, observer.story
        (refused,) = observer.events("refused")
        assert refused["why"] == "network"
        assert f"/goodfaith/{PROTOCOL_VERSION}/{rules.id.hex()[:16]}/" in refused["text"]
        node.wait_said("its genesis begins with 0000000000000000")
