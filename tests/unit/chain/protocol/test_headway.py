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
