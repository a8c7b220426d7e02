"""What a home stood behind, and a restart would leave out."""

from __future__ import annotations

import pytest

from chain.base.errors import Refused
from chain.consensus.restart import SALT_BYTES, Restart
from chain.protocol.events import SigningState
from chain.protocol.rescue import may_come, undone
from tests.support.forge import Forge, blockchain
from tests.support.world import genesis_of

GENESIS = genesis_of(4)
SALT = bytes(SALT_BYTES)


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


def test_what_it_said_is_held_where_as_much_is_prevoted(forge: Forge) -> None:
    blocks = forge.attested(6)
    chain = blockchain(GENESIS, blocks)
    head, final = chain.head.header, chain.finalized
    said = SigningState(last_mhp=head.mhp, last_height=head.height)
    assert undone(Restart(head.id, head.height, SALT), chain, said, None) == 0
    assert undone(Restart(final.id, final.height, SALT), chain, said, None) == head.mhp
    assert undone(Restart(bytes(32), 9, SALT), chain, said, None) == 0, "nothing is known of a block that is not there"


def test_who_gave_up_its_signing_state_for_another_restart_stands_behind_what_it_said_before(forge: Forge) -> None:
    # given a home that signed a restart whose block's own vote shows as much as it ever said, and went back there
    below, _, tip = blocks = forge.chain(3)
    chain = blockchain(GENESIS, blocks)
    assert (tip.header.mhp, chain.head.votes.mhp) == (0, 1)
    before = Restart(tip.id, 3, SALT)

    # then it signs no other one that leaves that out, but one that does not
    other = Restart(below.id, 1, bytes([1]) * SALT_BYTES)
    assert undone(other, chain, None, before) == 1
    assert undone(other, chain, None, None) == 0
    assert undone(before, chain, None, before) == undone(before._replace(salt=other.salt), chain, None, before) == 0


def test_nothing_goes_on_from_a_block_that_proves_invalid(forge: Forge) -> None:
    one = forge.block()
    good, bad = forge.block(one, slot=2), forge.block(one, slot=3, state_root=bytes(32))
    chain = blockchain(GENESIS, [one, good, bad])
    restart = Restart(bad.id, 2, SALT)
    assert may_come(restart, chain), "nobody looked yet"
    with pytest.raises(Refused):
        chain.return_to(bad.id)
    assert not may_come(restart, chain)
