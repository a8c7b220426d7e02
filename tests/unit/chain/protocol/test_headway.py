"""What follows where the head moves."""

from __future__ import annotations

from chain.branches.blockchain import Blockchain
from chain.content.actions import Enrol, NameGuardians
from chain.content.blocks import Block
from chain.protocol.headway import Headway
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.outbox import Outbox
from chain.protocol.throttle import Throttle
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)


class Net:
    """A chain, and the pool that follows its head."""

    def __init__(self) -> None:
        self.chain = Blockchain(GENESIS)
        self.pool = Mempool(self.chain.ledger.next_nonce)
        self._headway = Headway(self.chain, self.pool, Heard(), Throttle(GENESIS.slot_ms), Outbox())

    def add(self, *blocks: Block) -> None:
        """These blocks come, each in its slot."""
        for block in blocks:
            self._headway.moved(self.chain.add(block, arrived_in_slot=True), 0)


def test_what_was_promised_comes_back_before_what_took_its_nonce() -> None:
    # given what this node promised, and a block with another of its nonce
    forge, net, ann = Forge(GENESIS), Net(), Actor(GENESIS, 50)
    pool = net.pool
    first = forge.block(None, [ann.sign(Enrol())], slot=1)
    net.add(first)
    promised = ann.sign(NameGuardians(bytes(32)))
    ann.nonce -= 1
    rival = ann.sign(NameGuardians(bytes([1]) * 32))
    pool.add(promised, 2)
    pool.claim((promised,))
    net.add(forge.block(first, [rival], slot=2))
    assert not len(pool)
    # when a longer branch without it wins
    net.add(*forge.chain(2, first, slot=3))
    # then that waits again which was promised: whoever took the other has that one
    assert list(pool) == list(pool.claimed(9)) == [promised]


def test_what_an_abandoned_block_held_comes_back_though_another_branch_used_its_nonce_first() -> None:
    # given a block with one of two that cannot both be, and a longer branch with the other
    forge, net, ann = Forge(GENESIS), Net(), Actor(GENESIS, 50)
    pool = net.pool
    first = forge.block(None, [ann.sign(Enrol())], slot=1)
    one = ann.sign(NameGuardians(bytes(32)))
    ann.nonce -= 1
    other = ann.sign(NameGuardians(bytes([1]) * 32))
    longer = forge.block(first, [other], slot=3)
    net.add(first, forge.block(first, [one], slot=2), longer, forge.block(longer, slot=4))
    assert net.chain.head.header.height == 3
    assert not len(pool)
    # when a branch wins that has neither
    net.add(*forge.chain(3, first, slot=5))
    # then the first one waits again, and the other for it to go
    assert list(pool) == list(pool.claimed(9)) == [one]
    pool.remove(one.id)
    pool.became_final(0, 5)
    assert list(pool) == list(pool.claimed(9)) == [other]


def test_what_both_branches_hold_is_not_set_aside() -> None:
    forge, net, ann = Forge(GENESIS), Net(), Actor(GENESIS, 50)
    pool = net.pool
    enrol = ann.sign(Enrol())
    longer = forge.block(None, [enrol], slot=2)
    net.add(forge.block(None, [enrol], slot=1), longer, forge.block(longer, slot=3))
    assert net.chain.head.header.height == 2
    assert not len(pool)
    # where it would come back to a key that is not known there
    net.add(*forge.chain(3, slot=4))
    assert list(pool) == [enrol]
