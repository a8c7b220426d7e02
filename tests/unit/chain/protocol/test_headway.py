"""What follows where the head moves."""

from __future__ import annotations

from chain.branches.blockchain import Blockchain
from chain.content.actions import Enrol, NameGuardians
from chain.protocol.headway import Headway
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.outbox import Outbox
from chain.protocol.throttle import Throttle
from tests.support.forge import Forge
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)


def test_what_was_promised_comes_back_before_what_took_its_nonce() -> None:
    # given what this node promised, and a block with another of its nonce
    forge, chain, ann = Forge(GENESIS), Blockchain(GENESIS), Actor(GENESIS, 50)
    pool = Mempool(chain.ledger.next_nonce)
    headway = Headway(chain, pool, Heard(), Throttle(GENESIS.slot_ms), Outbox())
    first = forge.block(None, [ann.sign(Enrol())], slot=1)
    headway.moved(chain.add(first, arrived_in_slot=True), 0)
    promised = ann.sign(NameGuardians(bytes(32)))
    ann.nonce -= 1
    rival = ann.sign(NameGuardians(bytes([1]) * 32))
    pool.add(promised, 2)
    pool.claim((promised,))
    headway.moved(chain.add(forge.block(first, [rival], slot=2), arrived_in_slot=True), 0)
    assert not len(pool)
    # when a longer branch without it wins
    other = forge.block(first, slot=3)
    for block in (other, forge.block(other, slot=4)):
        headway.moved(chain.add(block, arrived_in_slot=True), 0)
    # then that waits again which was promised: whoever took the other has that one
    assert list(pool) == list(pool.claimed(9)) == [promised]


def test_what_an_abandoned_block_held_comes_back_though_another_branch_used_its_nonce_first() -> None:
    # given a block with one of two that cannot both be, and a longer branch with the other
    forge, chain, ann = Forge(GENESIS), Blockchain(GENESIS), Actor(GENESIS, 50)
    pool = Mempool(chain.ledger.next_nonce)
    headway = Headway(chain, pool, Heard(), Throttle(GENESIS.slot_ms), Outbox())
    first = forge.block(None, [ann.sign(Enrol())], slot=1)
    one = ann.sign(NameGuardians(bytes(32)))
    ann.nonce -= 1
    other = ann.sign(NameGuardians(bytes([1]) * 32))
    longer = forge.block(first, [other], slot=3)
    for block in (first, forge.block(first, [one], slot=2), longer, forge.block(longer, slot=4)):
        headway.moved(chain.add(block, arrived_in_slot=True), 0)
    assert chain.head.header.height == 3
    assert not len(pool)
    # when a branch wins that has neither
    parent = first
    for slot in (5, 6, 7):
        parent = forge.block(parent, slot=slot)
        headway.moved(chain.add(parent, arrived_in_slot=True), 0)
    # then the first one waits again, and the other for it to go
    assert list(pool) == list(pool.claimed(9)) == [one]
    pool.remove(one.id)
    pool.became_final(0, 5)
    assert list(pool) == list(pool.claimed(9)) == [other]


def test_what_both_branches_hold_is_not_set_aside() -> None:
    forge, chain, ann = Forge(GENESIS), Blockchain(GENESIS), Actor(GENESIS, 50)
    pool = Mempool(chain.ledger.next_nonce)
    headway = Headway(chain, pool, Heard(), Throttle(GENESIS.slot_ms), Outbox())
    enrol = ann.sign(Enrol())
    longer = forge.block(None, [enrol], slot=2)
    for block in (forge.block(None, [enrol], slot=1), longer, forge.block(longer, slot=3)):
        headway.moved(chain.add(block, arrived_in_slot=True), 0)
    assert chain.head.header.height == 2
    assert not len(pool)
    # where it would come back to a key that is not known there
    parent = None
    for slot in (4, 5, 6):
        parent = forge.block(parent, slot=slot)
        headway.moved(chain.add(parent, arrived_in_slot=True), 0)
    assert list(pool) == [enrol]
