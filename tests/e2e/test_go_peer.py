"""A peer on go-libp2p listens to a network of real nodes, is in the mesh, and is heard; what it may not say it is told.

It runs where the package libp2p-go is, in ``tests/foreign/go``; see the README there.  No test downloads anything.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.protocol.messages import RawItems
from p2p.client import announced
from p2p.network import PROTOCOL_VERSION
from p2p.protocol import BLOCKS, TRANSACTIONS
from p2p.refusals import Why
from tests.foreign.go.golib import LIBRARY
from tests.support.foreign import Foreigner, foreigner, mesh_of, validators, work_for
from tests.support.running import DEADLINE_S, ROOT, RunningNode, wait_for
from tests.support.world import Actor, genesis_of

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="go-libp2p is not there: see tests/foreign/go/README.md")

# One by one it hears, more of them than are passed over in silence before a member of the mesh counts as silent.
BLOCKS_HEARD = 10


@contextmanager
def observing(node: RunningNode, rules: Genesis, folder: Path, *said: str) -> Iterator[Foreigner]:
    prefix = f"/goodfaith/{PROTOCOL_VERSION}/{rules.id.hex()[:16]}/"
    arguments = [announced(node.home).addresses[0], prefix, rules.id.hex(), *said]
    command = [sys.executable, "-m", "tests.foreign.go.observer", *arguments]
    with foreigner(command, ROOT, folder / "observer.jsonl") as observer:
        yield observer


def test_a_go_peer_is_in_the_mesh_of_four_validators_and_hears_every_block(tmp_path: Path) -> None:
    rules = genesis_of(4, genesis_time_ms=int(time.time() * 1000))
    with validators(tmp_path, rules, 4) as nodes, observing(nodes[0], rules, tmp_path) as observer:
        for _ in work_for(nodes[0], rules):
            assert observer.process.poll() is None, (observer.story, nodes[0].log())
            heard = len(observer.events("gossiped")) >= BLOCKS_HEARD
            if heard and observer.events("attested") and observer.events("fetched") and mesh_of(nodes[0]) == 4:
                break
        assert len(observer.events("greeted")) == len(observer.events("pinged")) == 1
        assert all(node.get("/peers")["banned"] == {} for node in nodes)


def test_what_a_go_peer_publishes_becomes_part_of_a_block(tmp_path: Path) -> None:
    rules = genesis_of(1, genesis_time_ms=int(time.time() * 1000))
    first, second = Actor(rules, 1_000), Actor(rules, 1_001)
    with validators(tmp_path, rules, 1) as (node,):
        assert node.submit([first.sign(Enrol())]) == [None]
        batch = RawItems((second.sign(Enrol()).raw,)).encode()
        with observing(node, rules, tmp_path, TRANSACTIONS, batch.hex()) as observer:
            wait_for(lambda: node.status()["final_transactions"] >= 2, "what was published is final")
            assert observer.process.poll() is None, observer.story
        assert node.get("/peers")["banned"] == {}


def test_a_go_peer_that_publishes_nonsense_is_sent_away_and_told_why(tmp_path: Path) -> None:
    rules = genesis_of(1, genesis_time_ms=int(time.time() * 1000))
    with validators(tmp_path, rules, 1) as (node,):
        assert node.submit([Actor(rules, 1_000).sign(Enrol())]) == [None]
        with observing(node, rules, tmp_path, BLOCKS, b"nonsense".hex()) as observer:
            assert observer.process.wait(DEADLINE_S) == 1, observer.story
            (refused,) = observer.events("refused")
            (greeted,) = observer.events("greeted")
        assert refused["why"] == Why.BANNED.value
        assert "invalid" in refused["words"]
        assert list(node.get("/peers")["banned"]) == [greeted["id"]]
