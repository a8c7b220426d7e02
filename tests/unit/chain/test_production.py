"""When a validator signs, what it signs, and when it keeps silent."""

from __future__ import annotations

import pytest

from chain import production
from chain.blockchain import Blockchain
from chain.events import SigningState
from chain.mempool import Mempool
from chain.production import Made, Producer
from chain.transactions import Enrol, Rate
from tests.support.forge import Forge, blockchain
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)
BOB = secret(2)  # the leader of slots 1, 5, 9, …


def producer(signing: SigningState | None = SigningState()) -> Producer:  # noqa: B008  # frozen
    return Producer(GENESIS, BOB, signing)


def at(slot: int, into_ms: int = 0) -> int:
    return GENESIS.slot_start_ms(slot) + into_ms


def pool(chain: Blockchain) -> Mempool:
    return Mempool(chain.ledger.next_nonce)


def make(maker: Producer, chain: Blockchain, waiting: Mempool, slot: int) -> Made:
    made = maker.make(chain, waiting, slot)
    assert made is not None
    return made


def test_a_leader_signs_in_the_first_half_of_its_slot_only() -> None:
    chain = Blockchain(GENESIS)
    due = [producer().due_slot(chain, now_ms) for now_ms in (at(1), at(1, 500), at(1, 501), at(0, 999))]
    assert due == [1, 1, None, None]


def test_nobody_signs_in_anothers_slot() -> None:
    chain = Blockchain(GENESIS)
    assert [slot for slot in range(13) if producer().due_slot(chain, at(slot))] == [1, 5, 9]


def test_nobody_signs_before_the_genesis() -> None:
    assert producer().due_slot(Blockchain(GENESIS), at(-3)) is None
    assert producer().due_slot(Blockchain(GENESIS), 0) is None


def test_no_slot_is_signed_twice_or_after_a_later_one() -> None:
    chain = Blockchain(GENESIS)
    maker = producer(SigningState(slot=5, height=1, last_height=1))
    assert [slot for slot in range(13) if maker.due_slot(chain, at(slot))] == [9]


def test_a_slot_that_the_head_has_passed_is_gone() -> None:
    forge = Forge(GENESIS)
    chain = blockchain(GENESIS, [forge.block(None, slot=6)])
    assert [slot for slot in range(13) if producer().due_slot(chain, at(slot))] == [9]


def test_a_block_holds_what_waits_and_follows_from_the_state() -> None:
    chain, ann = Blockchain(GENESIS), Actor(GENESIS, 50)
    waiting = pool(chain)
    body = [ann.sign(Enrol()), ann.sign(Rate(BOB.public, 1, 1))]
    for transaction in body:
        waiting.add(transaction, 1)

    made = make(producer(), chain, waiting, 1)

    assert made.block.transactions == (body[0],)  # Bob is not enrolled, and may be one day
    assert made.hopeless == ()
    assert made.signing == SigningState(slot=1, height=1, last_height=1, last_mhg=0, last_mhp=0)
    header = made.block.header
    assert (header.height, header.slot, header.parent, header.mhg, header.mhp) == (1, 1, GENESIS.id, 0, 0)
    chain.adopt(made.block, made.changes)
    assert blockchain(GENESIS, [made.block]).ledger.state == chain.ledger.state


def test_what_never_can_enter_a_block_is_named() -> None:
    chain, ann = Blockchain(GENESIS), Actor(GENESIS, 50)
    waiting = pool(chain)
    enrol, self_rating = ann.sign(Enrol()), ann.sign(Rate(ann.key, 1, 1))
    for transaction in (enrol, self_rating):
        waiting.add(transaction, 1)
    assert make(producer(), chain, waiting, 1).hopeless == (self_rating,)


@pytest.mark.parametrize("bound", ["MAX_BLOCK_TRANSACTIONS", "MAX_BODY_BYTES"])
def test_a_block_keeps_its_bounds(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Blockchain(GENESIS)
    waiting = pool(chain)
    body = [Actor(GENESIS, number).sign(Enrol()) for number in range(50, 55)]
    for transaction in body:
        waiting.add(transaction, 1)
    limit = 3 if bound == "MAX_BLOCK_TRANSACTIONS" else sum(len(item.raw) for item in body[:3])
    monkeypatch.setattr(production, bound, limit)
    assert make(producer(), chain, waiting, 1).block.transactions == tuple(body[:3])


def test_the_next_block_says_how_high_the_last_ones_were() -> None:
    forge = Forge(GENESIS)
    maker, chain = producer(), Blockchain(GENESIS)
    made = make(maker, chain, pool(chain), 1)
    chain.adopt(made.block, made.changes)
    # a longer branch without it wins
    for block in forge.chain(2, slot=2):
        chain.add(block, arrived_in_slot=True)
    assert chain.head.header.slot == 3
    again = make(maker, chain, pool(chain), 5)
    assert (again.block.header.height, again.block.header.mhg) == (3, 1)
    assert again.signing == SigningState(slot=5, height=3, last_height=3, last_mhg=1, last_mhp=0)


def test_a_block_that_would_contradict_the_last_one_is_not_signed() -> None:
    chain = Blockchain(GENESIS)
    maker = producer(SigningState(slot=1, height=7, last_height=7, last_mhg=0, last_mhp=3))
    root = chain.ledger.state_root
    assert maker.make(chain, pool(chain), 5) is None
    assert chain.ledger.state_root == root
    assert maker.signing == SigningState(slot=1, height=7, last_height=7, last_mhg=0, last_mhp=3)


def test_the_largest_height_ever_generated_never_falls() -> None:
    forge = Forge(GENESIS)
    blocks = forge.chain(4, slot=6)
    chain = blockchain(GENESIS, blocks)
    maker = producer(SigningState(slot=2, height=9, last_height=9, last_mhg=0, last_mhp=0))
    made = make(maker, chain, pool(chain), 13)
    assert (made.signing.height, made.block.header.mhg) == (9, 9)


def test_a_validator_knows_its_own_blocks_from_those_of_another_machine() -> None:
    # given a validator that signed two slots
    maker, chain = producer(), Blockchain(GENESIS)
    mine = []
    for slot in (1, 5):
        made = make(maker, chain, pool(chain), slot)
        chain.adopt(made.block, made.changes)
        mine.append(made.block.header)

    # when they come back to it, then it signs on; when its last slot holds another block as well, it stops
    assert [maker.seen_elsewhere(header) for header in mine] == [False, False]
    assert maker.seen_elsewhere(Forge(GENESIS).block(None, slot=5).header)
    assert maker.is_stopped


def test_a_lost_signing_state_keeps_a_validator_silent_until_a_later_block_is_final() -> None:
    forge, maker = Forge(GENESIS), producer(None)
    others = [slot for slot in range(1, 60) if slot % 4 != 1]
    chain = Blockchain(GENESIS)
    parent = None
    signed_at: list[int] = []
    for slot in others[:30]:
        if slot % 4 == 2 and maker.due_slot(chain, at(slot - 1)):
            signed_at.append(slot - 1)
            break
        assert maker.is_silent
        parent = forge.block(parent, slot=slot)
        chain.add(parent, arrived_in_slot=True)
    assert signed_at
    assert chain.finalized.slot > 1
    assert not maker.is_silent
    made = make(maker, chain, pool(chain), signed_at[0])
    assert made.block.header.mhg == chain.head.header.height


def test_silence_ends_with_the_first_final_block_of_a_later_slot_than_the_return() -> None:
    forge, maker, chain = Forge(GENESIS), producer(None), Blockchain(GENESIS)
    parent, seen = None, set()
    for slot in (slot for slot in range(2, 40) if slot % 4 != 1):
        maker.due_slot(chain, at(slot))
        assert maker.is_silent == (chain.finalized.slot <= 2)
        seen.add(chain.finalized.slot)
        parent = forge.block(parent, slot=slot)
        chain.add(parent, arrived_in_slot=True)
    assert {2, 3} <= seen


def test_a_silent_validator_makes_nothing() -> None:
    chain = Blockchain(GENESIS)
    assert producer(None).make(chain, pool(chain), 1) is None


def test_a_key_that_signed_elsewhere_on_this_branch_signs_nothing_that_contradicts() -> None:
    # given a restored backup: on the branch stands a block of this key that the signing state knows nothing of
    chain = blockchain(GENESIS, Forge(GENESIS).chain(4))
    root = chain.ledger.state_root

    # when its slot comes
    made = producer(SigningState()).make(chain, pool(chain), 5)

    # then it signs nothing, or nothing that the rules refuse
    if made is not None:
        chain.adopt(made.block, made.changes)
    else:
        assert chain.ledger.state_root == root
