"""When a validator signs, what it signs, and when it keeps silent."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from types import ModuleType, SimpleNamespace

import pytest

from chain.branches.blockchain import Blockchain
from chain.consensus.attestations import Attestation
from chain.consensus.headers import Header
from chain.consensus.restart import Restart
from chain.consensus.statements import NO_TAG, contradicting
from chain.content.actions import Enrol, Evidence, Lost, NameGuardians, Rate
from chain.content.blocks import Block
from chain.content.transactions import Transaction
from chain.protocol import filling, production
from chain.protocol.events import SigningState
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.production import Made, Producer
from chain.register import registry
from chain.register.draft import Draft
from tests.support.forge import Forge, blockchain
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)
TAG = b"a fresh new tag!"
BOB = secret(2)  # the leader of slots 1, 5, 9, …


def producer(signing: SigningState | None = SigningState()) -> Producer:  # noqa: B008  # frozen
    return Producer(GENESIS, BOB, signing, TAG)


def at(slot: int, into_ms: int = 0) -> int:
    return GENESIS.slot_start_ms(slot) + into_ms


def pool(chain: Blockchain) -> Mempool:
    return Mempool(chain.ledger.next_nonce)


def make(maker: Producer, chain: Blockchain, waiting: Mempool, slot: int) -> Made:
    made = maker.make(chain, waiting, Heard(), slot)
    assert made is not None
    return made


def accused(number: int, height: int) -> Evidence:
    """Two blocks of one slot by the validator with this secret."""
    forge, first = Forge(GENESIS), 1 + number
    made = (forge.block(slot=first, height=height, signer=secret(number), state_root=bytes([at]) * 32) for at in (0, 1))
    one, other = sorted((block.header for block in made), key=lambda header: header.id)
    return Evidence(one.raw, other.raw)


def test_an_accusation_that_does_not_count_keeps_no_other_from_the_block() -> None:
    chain, early, good = Blockchain(GENESIS), accused(3, height=4), accused(4, height=1)
    waiting = pool(chain)
    made = producer().make(chain, waiting, Heard(), 1, accusations=[early, good])
    assert made is not None
    assert [item.action for item in made.block.transactions] == [good]


def test_keys_that_cost_nothing_keep_no_member_out_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    # given more strangers whom a block refuses than it tries, and a member who comes after them
    monkeypatch.setattr(filling, "MAX_BLOCK_TRANSACTIONS", 8)
    chain, forge, ann = Blockchain(GENESIS), Forge(GENESIS), Actor(GENESIS, 60)
    chain.add(forge.block(None, [ann.sign(Enrol())], slot=4), arrived_in_slot=True)
    waiting = pool(chain)
    for number in range(9):
        waiting.add(Actor(GENESIS, 70 + number).sign(Enrol(policy_version=7)), 2)
    names = ann.sign(NameGuardians(bytes(32)))
    waiting.add(names, 2)
    made = make(producer(), chain, waiting, 5)
    assert list(made.block.transactions) == [names]
    assert len(made.hopeless) == 4


def test_a_leader_signs_in_the_first_half_of_its_slot_only() -> None:
    chain = Blockchain(GENESIS)
    due = [producer().due_slot(chain.head, now_ms) for now_ms in (at(1), at(1, 500), at(1, 501), at(0, 999))]
    assert due == [1, 1, None, None]


def test_nobody_signs_in_anothers_slot() -> None:
    chain = Blockchain(GENESIS)
    assert [slot for slot in range(13) if producer().due_slot(chain.head, at(slot))] == [1, 5, 9]


def test_nobody_signs_before_the_genesis() -> None:
    assert producer().due_slot(Blockchain(GENESIS).head, at(-3)) is None
    assert producer().due_slot(Blockchain(GENESIS).head, 0) is None


def test_no_slot_is_signed_twice_or_after_a_later_one() -> None:
    chain = Blockchain(GENESIS)
    maker = producer(SigningState(slot=5, mhg=1, last_height=1))
    assert [slot for slot in range(13) if maker.due_slot(chain.head, at(slot))] == [9]


def test_a_slot_that_the_head_has_passed_is_gone() -> None:
    forge = Forge(GENESIS)
    chain = blockchain(GENESIS, [forge.block(None, slot=6)])
    assert [slot for slot in range(13) if producer().due_slot(chain.head, at(slot))] == [9]


def test_a_block_holds_what_waits_and_follows_from_the_state() -> None:
    chain, ann = Blockchain(GENESIS), Actor(GENESIS, 50)
    waiting = pool(chain)
    body = [ann.sign(Enrol()), ann.sign(Rate(BOB.public, 1, 1))]
    for transaction in body:
        waiting.add(transaction, 1)

    maker = producer()
    made = make(maker, chain, waiting, 1)

    assert made.block.transactions == (body[0],)  # Bob is not enrolled, and may be one day
    assert made.hopeless == ()
    assert maker.signing == SigningState(slot=1, mhg=1, last_mhp=0, last_height=1, last_id=made.block.id)
    header = made.block.header
    assert (header.height, header.slot, header.parent, header.mhg, header.mhp) == (1, 1, GENESIS.id, 0, 0)
    chain.adopt(made.block, made.changes, made.votes)
    assert blockchain(GENESIS, [made.block]).ledger.state == chain.ledger.state


def test_what_never_can_enter_a_block_is_named() -> None:
    chain, ann = Blockchain(GENESIS), Actor(GENESIS, 50)
    waiting = pool(chain)
    enrol, self_rating = ann.sign(Enrol()), ann.sign(Rate(ann.key, 1, 1))
    for transaction in (enrol, self_rating):
        waiting.add(transaction, 1)
    assert make(producer(), chain, waiting, 1).hopeless == (self_rating,)


def test_a_refused_transaction_is_tried_once_and_none_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    chain, ann = Blockchain(GENESIS), Actor(GENESIS, 50)
    waiting = pool(chain)
    enrol, *ratings = ann.sign(Enrol()), *(ann.sign(Rate(BOB.public, 1, 1)) for _ in range(5))
    for transaction in (enrol, *ratings):
        waiting.add(transaction, 1)
    tried = []

    def apply(draft: Draft, transaction: Transaction) -> None:
        tried.append(transaction)
        registry.apply(draft, transaction)

    monkeypatch.setattr(filling, "registry", SimpleNamespace(apply=apply))
    assert make(producer(), chain, waiting, 1).block.transactions == (enrol,)
    assert tried == [enrol, ratings[0]]


def test_what_is_refused_does_not_keep_others_out_for_longer_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a crowd whose ratings of nobody came first, and more of them than are tried for one block
    crowd = [Actor(GENESIS, number) for number in range(50, 54)]
    forge = Forge(GENESIS)
    chain = blockchain(GENESIS, [forge.block(None, [actor.sign(Enrol()) for actor in crowd])])
    waiting = pool(chain)
    newcomer = Actor(GENESIS, 60).sign(Enrol())
    for transaction in (*(actor.sign(Rate(BOB.public, 1, 1)) for actor in crowd), newcomer):
        waiting.add(transaction, 2)
    monkeypatch.setattr(filling, "MAX_BLOCK_TRANSACTIONS", 3)

    # then the next block of this maker goes on with what was not tried, whether or not there is a first
    maker = producer(SigningState(slot=1, mhg=1, last_height=1))
    assert maker.make(chain, waiting, Heard(), 5, may_be_empty=False) is None
    made = maker.make(chain, waiting, Heard(), 9, may_be_empty=False)
    assert made is not None
    assert made.block.transactions == (newcomer,)


def test_who_was_refused_for_good_comes_last_with_what_it_sends_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a crowd whose members rate themselves, and do so again once that was dropped
    crowd, ann = [Actor(GENESIS, number) for number in range(50, 54)], Actor(GENESIS, 60)
    forge = Forge(GENESIS)
    chain = blockchain(GENESIS, [forge.block(None, [actor.sign(Enrol()) for actor in (*crowd, ann)])])
    waiting, maker = pool(chain), producer(SigningState(slot=1, mhg=1, last_height=1))
    for actor in crowd:
        waiting.add(actor.sign(Rate(actor.key, 1, 1)), 2)
    made = make(maker, chain, waiting, 5)
    chain.adopt(made.block, made.changes, made.votes)
    assert len(made.hopeless) == 4
    for transaction in made.hopeless:
        waiting.set_aside(transaction, 2)
    for actor in crowd:
        actor.nonce -= 1
        waiting.add(actor.sign(Rate(actor.key, 1, 2)), 3)
    # when a block has time for no more than what they wrote, and somebody else writes something as well
    names = ann.sign(NameGuardians(bytes(32)))
    waiting.add(names, 3)
    monkeypatch.setattr(filling, "MAX_BLOCK_TRANSACTIONS", 4)
    # then that is tried first
    assert make(maker, chain, waiting, 9).block.transactions == (names,)


@pytest.mark.parametrize(
    ("where", "bound"), [(production, "MAX_BLOCK_TRANSACTIONS"), (filling, "MAX_BODY_BYTES")], ids=["count", "bytes"]
)
def test_a_block_keeps_its_bounds(where: ModuleType, bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Blockchain(GENESIS)
    waiting = pool(chain)
    body = [Actor(GENESIS, number).sign(Enrol()) for number in range(50, 55)]
    for transaction in body:
        waiting.add(transaction, 1)
    limit = 3 if bound == "MAX_BLOCK_TRANSACTIONS" else sum(len(item.raw) for item in body[:3])
    monkeypatch.setattr(where, bound, limit)
    assert make(producer(), chain, waiting, 1).block.transactions == tuple(body[:3])


def test_the_next_block_says_how_high_the_last_ones_were() -> None:
    forge = Forge(GENESIS)
    maker, chain = producer(), Blockchain(GENESIS)
    made = make(maker, chain, pool(chain), 1)
    chain.adopt(made.block, made.changes, made.votes)
    # a longer branch without it wins
    for block in forge.chain(2, slot=2):
        chain.add(block, arrived_in_slot=True)
    assert chain.head.header.slot == 3
    again = make(maker, chain, pool(chain), 5)
    assert (again.block.header.height, again.block.header.mhg) == (3, 1)
    assert maker.signing == SigningState(slot=5, mhg=3, last_height=3, last_id=again.block.id)


# --------------------------------------------------------------------------------------------------- honest speaking


@pytest.mark.parametrize(("last", "may"), [((0, 4), True), ((0, 5), False), ((0, 9), False), ((1, 1), False)])
def test_nothing_is_said_but_of_a_better_tip_than_the_last(last: tuple[int, int], may: bool) -> None:
    blocks = Forge(GENESIS).chain(4, slot=6)  # its mhp is 1 at height 4: the next block would say 2
    chain = blockchain(GENESIS, blocks[:2])
    signing = SigningState(slot=2, mhg=0, last_mhp=last[0], last_height=last[1] - 2)
    maker, root = producer(signing), chain.ledger.state_root
    assert (maker.make(chain, pool(chain), Heard(), 13) is not None) is may
    if not may:
        assert (maker.signing, chain.ledger.state_root) == (signing, root)
    attesting = producer(replace(signing, last_height=signing.last_height - 1))
    assert (attesting.attest(chain) is not None) is may


def test_a_tip_is_attested_once_and_never_ones_own() -> None:
    forge, maker, chain = Forge(GENESIS), producer(), Blockchain(GENESIS)
    assert maker.attest(chain) is None  # the genesis
    others = forge.block(None, slot=4)
    chain.add(others, arrived_in_slot=True)
    said = maker.attest(chain)
    assert said is not None
    assert (said.tip, said.height, said.mhg, said.mhp, said.speaker) == (others.id, 1, 0, 0, BOB.public)
    assert maker.signing == SigningState(slot=0, mhg=1, last_mhp=0, last_height=1, last_id=said.id)
    assert maker.attest(chain) is None
    made = make(maker, chain, pool(chain), 5)
    assert made.block.header.mhg == 1
    chain.adopt(made.block, made.changes, made.votes)
    assert maker.attest(chain) is None


def test_who_has_no_say_at_the_tip_says_nothing() -> None:
    chain = blockchain(GENESIS, Forge(GENESIS).chain(1, slot=4))
    for signing, key in ((SigningState(), secret(77)), (None, BOB), (SigningState(tag=TAG), BOB)):
        assert Producer(GENESIS, key, signing, TAG).attest(chain) is None


def test_what_a_validator_says_never_contradicts_itself() -> None:
    # given branches that win in turn, whatever a validator hears of them
    forge, maker = Forge(GENESIS), producer()
    chain, said = Blockchain(GENESIS), list[Header | Attestation]()
    short = forge.attested(4, slot=2, by=(2, 3))
    longer = forge.attested(9, slot=20, by=(0, 2, 3))
    for block in (*short, *longer):
        chain.add(block, arrived_in_slot=True)
        spoke = maker.attest(chain)
        if spoke is not None:
            said.append(spoke)
        slot = forge.slot_of(1, chain.head.header.slot)
        made = maker.make(chain, pool(chain), Heard(), slot)
        if made is not None:
            chain.ledger.discard(made.changes)
            said.append(made.block.header)
    ranks = [(each.mhp, each.height) for each in said]
    assert len(said) > 8
    assert ranks == sorted(set(ranks))
    assert not any(contradicting(one, other) for one, other in combinations(said, 2))


def test_a_leader_carries_what_it_heard_its_own_first() -> None:
    forge, heard = Forge(GENESIS), Heard()
    blocks = forge.chain(1, slot=4)
    chain = blockchain(GENESIS, blocks)
    for said in forge.attestations(blocks[0]):
        heard.add(said)
    made = producer(SigningState(mhg=1)).make(chain, pool(chain), heard, 5)
    assert made is not None
    assert made.block.ballot.attestations == tuple(sorted(each.carried for each in forge.attestations(blocks[0])))
    assert (made.block.header.mhp, made.votes.mhp) == (1, 1)
    assert blockchain(GENESIS, [*blocks, made.block]).head.votes == made.votes


# ------------------------------------------------------------------------------------------ lost and foreign states


def test_a_validator_knows_its_own_statements_from_those_of_another_machine() -> None:
    # given a validator that signed two slots
    maker, chain = producer(), Blockchain(GENESIS)
    mine = []
    for slot in (1, 5):
        made = make(maker, chain, pool(chain), slot)
        chain.adopt(made.block, made.changes, made.votes)
        mine.append(made.block.header)

    # when they come back to it, then it speaks on; when a twin of the last does, it stops
    assert [maker.seen_elsewhere(header) for header in mine] == [False, False]
    forge = Forge(GENESIS)
    twin = forge.block(forge.block(None, slot=1, state_root=bytes(32)), slot=5).header
    assert (twin.mhp, twin.height) == (mine[1].mhp, mine[1].height)
    assert maker.seen_elsewhere(twin)
    assert maker.is_stopped
    assert not maker.seen_elsewhere(twin)  # which is no news any more
    assert maker.due_slot(chain.head, at(9)) is None
    chain.add(Forge(GENESIS).block(None, slot=40), arrived_in_slot=True)
    assert maker.attest(chain) is None


def test_a_statement_of_ones_own_that_one_knows_nothing_of_is_another_machines() -> None:
    forge = Forge(GENESIS)
    blocks = forge.attested(4)
    backup = SigningState(slot=1, mhg=1, last_height=1, last_id=blocks[0].id)
    for statement in (blocks[3].header, forge.attest(blocks[2], 2)):
        assert not producer(backup).seen_elsewhere(statement)  # another's
    assert producer(backup).seen_elsewhere(forge.attest(blocks[2], 1))
    assert not producer(backup).seen_elsewhere(forge.attest(blocks[2], 1, tag=TAG))  # from before it lost its state
    assert not producer(None).seen_elsewhere(forge.attest(blocks[2], 1))


@pytest.mark.parametrize("speaks_on", [False, True])
@pytest.mark.parametrize("is_fresh", [False, True])
def test_who_was_restored_starts_anew_once_nobody_else_speaks(*, speaks_on: bool, is_fresh: bool) -> None:
    # given a home that has all blocks again, and forgot what its key said about the last
    forge = Forge(GENESIS)
    blocks = [forge.block(None, slot=1)]
    backup = SigningState(slot=1, mhg=1, last_height=1, last_id=blocks[0].id, tag=TAG if is_fresh else NO_TAG)
    blocks.append(forge.block(blocks[0], slot=2))
    forgotten = forge.attest(blocks[1], 1, tag=backup.tag)
    blocks.append(forge.block(blocks[1], slot=3, carrying=[] if is_fresh else [forgotten]))
    maker, chain = producer(backup), blockchain(GENESIS, blocks)
    assert maker.seen_elsewhere(forgotten)
    assert not maker.is_alone(chain, 3)
    assert maker.may_be_restored is not is_fresh

    # when the chain goes on for two rounds without it, but for what another machine says with its key
    went_on = []
    for number in range(9):
        said = forge.attest(blocks[-1], 1)
        slot = blocks[-1].header.slot + (2 if blocks[-1].header.slot % 4 == 0 else 1)
        blocks.append(forge.block(blocks[-1], slot=slot, carrying=[said] if speaks_on and number == 3 else []))
        chain.add(blocks[-1], arrived_in_slot=True)
        went_on += [number] if maker.is_alone(chain, 99) else []

    # then it says that it lost what it signed, unless it is not the only one, or spoke from its new state already
    assert went_on == ([] if speaks_on or is_fresh else [8])
    assert maker.is_stopped is (speaks_on or is_fresh)
    assert maker.needs_tag(chain) is (not maker.is_stopped)


@pytest.mark.parametrize("branch", ["grows", "is another"])
@pytest.mark.parametrize("speaks_on", [False, True])
def test_what_was_said_before_a_home_was_restored_is_no_other_machines(*, branch: str, speaks_on: bool) -> None:
    # given a home that was set back far, and shown what its key said since
    forge = Forge(GENESIS)
    first = forge.block(None, slot=2)
    said = [forge.block(first, slot=3)]
    for slot in (4, 5, 6):
        said.append(forge.block(said[-1], slot=slot, carrying=[forge.attest(said[-1], 1)] if slot != 6 else []))
    chain, maker = blockchain(GENESIS, [first]), producer(SigningState())
    assert maker.seen_elsewhere(said[2].header)
    restarted_slot = 8
    if branch == "is another":
        chain.add(forge.block(first, slot=7), arrived_in_slot=True)
    assert not maker.is_alone(chain, restarted_slot)

    # when the chain comes as it was, and goes on
    for block in said:
        chain.add(block, arrived_in_slot=True)
    assert not maker.is_alone(chain, restarted_slot)
    assert maker.may_be_restored
    went_on = [said[-1]]
    while not maker.is_alone(chain, 99) and len(went_on) < 20:
        slot = went_on[-1].header.slot + (2 if went_on[-1].header.slot % 4 == 0 else 1)
        carrying = [forge.attest(went_on[-1], 1)] if speaks_on and len(went_on) == 4 else []
        went_on.append(forge.block(went_on[-1], slot=slot, carrying=carrying))
        chain.add(went_on[-1], arrived_in_slot=True)

    # then only what is said of later blocks is another machine's
    assert maker.is_stopped is speaks_on
    assert len(went_on) == (20 if speaks_on else 1 + 2 + 9)  # of slots 6, then 7 and 8, then two rounds and one


def test_a_key_that_signed_elsewhere_on_this_branch_signs_nothing_that_contradicts() -> None:
    # given a restored backup: on the branch stands a block of this key that the signing state knows nothing of
    chain = blockchain(GENESIS, Forge(GENESIS).chain(4))
    root = chain.ledger.state_root
    maker = producer(SigningState())
    # when its slot comes, then it signs nothing, and nothing is left half done
    assert maker.make(chain, pool(chain), Heard(), 5) is None
    assert (chain.ledger.state_root, maker.signing) == (root, SigningState())


def lost_and_found(blocks: int) -> tuple[Forge, list[Block]]:
    """A chain whose second block records that Bob lost his signing state; the others speak."""
    forge = Forge(GENESIS)
    spoken = forge.block(None, slot=1)  # Bob's own, of before
    first = forge.block(spoken, [Actor(GENESIS, 2).sign(Lost(NO_TAG, TAG))], slot=2)
    made = [spoken, first]
    for slot in (3, 4, 6, 7):
        made.append(forge.block(made[-1], slot=slot, carrying=forge.attestations(made[-1], by=(0, 2, 3))))
    return forge, made[:blocks]


def test_who_lost_its_signing_state_says_nothing_and_asks_for_a_new_one() -> None:
    maker = producer(None)
    chain = blockchain(GENESIS, lost_and_found(1)[1])
    assert maker.is_silent
    assert maker.needs_tag(chain)
    assert (maker.attest(chain), maker.make(chain, pool(chain), Heard(), 5), maker.resume(chain)) == (None, None, False)
    assert not producer(SigningState()).needs_tag(chain)
    assert not Producer(GENESIS, secret(77), None, TAG).needs_tag(chain)
    assert not maker.needs_tag(blockchain(GENESIS, lost_and_found(2)[1]))


def test_it_speaks_again_once_the_new_tag_is_final_and_knows_what_the_branch_knows() -> None:
    forge, blocks = lost_and_found(6)
    maker, chain = producer(None), Blockchain(GENESIS)
    for block in blocks:
        chain.add(block, arrived_in_slot=True)
        assert (
            maker.resume(chain) is (chain.finalized.height >= 2 and maker.signing is None) or maker.signing is not None
        )
        if chain.finalized.height < 2:
            assert maker.signing is None
    # then it knows what the branch knows of it, up to the block that renewed the tag
    assert maker.signing == SigningState(mhg=2, tag=TAG)
    said = maker.attest(chain)
    assert said is not None
    assert (said.tag, said.mhg) == (TAG, 2)
    again = forge.block(blocks[-1], carrying=[said])
    chain.add(again, arrived_in_slot=True)
    assert again.header.id == chain.head.header.id


def test_a_renewal_that_came_from_elsewhere_stops_this_one_once_it_is_final() -> None:
    _, blocks = lost_and_found(6)
    maker = producer(SigningState(slot=1, mhg=1, last_height=1, last_id=blocks[0].id))
    chain = Blockchain(GENESIS)
    for block in blocks:
        chain.add(block, arrived_in_slot=True)
        is_final = chain.finalized.height >= 2
        assert maker.is_overruled(chain) is (is_final and not maker.is_stopped) or maker.is_stopped
        assert maker.is_stopped is is_final


@pytest.mark.parametrize("tag", [NO_TAG, b"of this process!"])
def test_a_renewal_was_told_here_before_this_home_was_restored_unless_this_very_process_drew_the_tag_before(
    tag: bytes,
) -> None:
    maker = Producer(GENESIS, BOB, SigningState(mhg=1, last_height=1, tag=tag), b"of this process!")
    assert maker.is_overruled(blockchain(GENESIS, lost_and_found(6)[1]))
    assert (maker.is_stopped, maker.may_be_restored) == (True, tag == NO_TAG)


def test_a_branch_without_a_restart_that_may_still_come_overrules_nobody() -> None:
    # given a validator that spoke from a restart, and a longer branch beside it
    blocks = Forge(GENESIS).chain(3)
    restart = Restart(blocks[0].id, 1, bytes(16))
    signing = SigningState(mhg=2, last_height=2, tag=restart.tag(secret(2).public))
    maker = Producer(GENESIS, secret(2), signing, TAG, restart)
    chain = blockchain(GENESIS, blocks)
    # then it still knows what it said, lest it says something else
    assert not maker.is_overruled(chain)
    assert maker.signing == signing
