"""One node's protocol: what each event leads to, and what a hostile peer cannot bring about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from chain.base.errors import Reason
from chain.branches import blocktree
from chain.branches.blockchain import ALIGNED, Blockchain, Snapshot
from chain.branches.blocktree import MAX_BLOCKS_PER_SLOT, BlockTree, Judged
from chain.consensus.attestations import VerifiedAttestation
from chain.consensus.ballots import Ballot
from chain.consensus.headers import Header
from chain.consensus.restart import Restart
from chain.content.actions import Action, Approve, Enrol, Evidence, Lost, NameGuardians, Propose, Rate
from chain.content.blocks import Block
from chain.content.proposals import RemoveValidator
from chain.content.transactions import VerifiedTransaction
from chain.protocol import engine, headway, queues, sync
from chain.protocol.admission import CLOCK_DISPARITY_MS, Admission, AdmittedClaim
from chain.protocol.arrivals import MAX_WAITING
from chain.protocol.credentials import NOBODY, Credential
from chain.protocol.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    Commit,
    Dismiss,
    Effect,
    Equivocation,
    Finalized,
    FollowWallClock,
    GossipTransactions,
    HeadMoved,
    MissingReceived,
    Notice,
    Outcomes,
    PeerLost,
    Penalise,
    RequestFailed,
    Resumed,
    SendAttestations,
    SigningState,
    Silenced,
    StatusReceived,
    Submitted,
    Tick,
    WallClockStepped,
)
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions, Status
from chain.protocol.pace import FIRST_BYTES
from chain.register.offences import last_height
from chain.register.registry import genesis_state
from tests.support.forge import FRESH_TAG, Forge, Rig, announced, blockchain, gossiped, only, told
from tests.support.world import Actor, genesis_of, secret

GENESIS = genesis_of(4)
FRESH = SigningState()


@pytest.fixture
def forge() -> Forge:
    return Forge(GENESIS)


@pytest.fixture
def rig() -> Rig:
    """An observer."""
    return Rig(GENESIS)


def enrolments(count: int) -> list[VerifiedTransaction]:
    return [Actor(GENESIS, 50 + number).sign(Enrol()) for number in range(count)]


def blamed(effects: Sequence[Effect]) -> list[tuple[str, Reason]]:
    return [(effect.peer, effect.refusal.reason) for effect in only(effects, Penalise)]


def request_of(effects: Sequence[Effect]) -> GetHeadings | GetBlocks:
    (ask,) = only(effects, Ask)
    assert not isinstance(ask.request, GetTransactions)
    return ask.request


# ------------------------------------------------------------------------------------------------ transactions


def test_what_was_taken_is_answered_and_passed_on(rig: Rig) -> None:
    one, two = enrolments(2)
    expired = Actor(GENESIS, 60).sign(Enrol(), expiry_height=0)
    assert rig.handle(Submitted((one, two))) == [Outcomes((None, None)), GossipTransactions((one, two))]
    answer, *others = rig.handle(Submitted((one, expired)))
    assert isinstance(answer, Outcomes)
    assert [outcome and outcome.reason for outcome in answer.outcomes] == [Reason.DUPLICATE, Reason.EXPIRED]
    assert others == []


def test_what_an_abandoned_block_held_comes_before_what_was_built_on_it(forge: Forge) -> None:
    # given a motion in a block, and an approval of it that waits for the next one
    rig, (proposer, approver) = Rig(GENESIS, validator=1, signing=FRESH), (Actor(GENESIS, n) for n in (3, 4))
    moves, approves = proposer.sign(Propose(RemoveValidator(secret(1).public))), approver.sign(Approve(0))
    rig.handle(Tick())
    bring(rig, forge.block(None, [moves], slot=2))
    (answer,) = only(rig.handle(Submitted((approves,))), Outcomes)
    assert answer.outcomes == (None,)
    # when a longer branch without that block wins
    rig.grow(forge.chain(2, slot=3))
    # then the next block has both
    assert made_in(rig, 5) == [("motion", 0), ("approve", 0)]


def test_what_a_block_refuses_waits_for_the_next_one_where_it_builds_on_that_block() -> None:
    # given an approval that came before its motion, since it was sent elsewhere, and one of no motion at all
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    one, two, three = (Actor(GENESIS, number) for number in (1, 3, 4))
    moves, approves, void = two.sign(Propose(RemoveValidator(one.key))), three.sign(Approve(0)), one.sign(Approve(7))
    rig.handle(Tick())
    rig.handle(Submitted((approves, void, moves)))
    rig.at(4).handle(Tick())
    # when the motion is in a block
    assert made_in(rig, 5) == [("motion", 0)]
    # then the one approval is promised still, and in the next
    assert rig.engine.mempool.claimed(9) == (approves,)
    assert made_in(rig, 9) == [("approve", 0)]


def bring(rig: Rig, *blocks: Block) -> None:
    """Announce blocks, each in its slot, with what the node lacks of them."""
    for block in blocks:
        rig.grow([block])
        ids = tuple(transaction.id for transaction in block.transactions)
        rig.handle(MissingReceived("peer", GetTransactions(ids), block.transactions))


def resumed(stopped: Rig, blocks: Sequence[Block]) -> Rig:
    """The same node after a clean stop, with these blocks."""
    (commit,) = stopped.engine.stop()
    assert isinstance(commit, Commit)
    assert commit.waiting is not None
    rig = Rig(GENESIS, chain=blockchain(GENESIS, blocks))
    rig.at(9).handle(Resumed(commit.waiting))
    return rig


def test_what_came_back_last_and_is_next_keeps_nothing_from_surviving_a_stop(
    rig: Rig, forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a queue of which a block held the beginning, that comes back where that is abandoned
    monkeypatch.setattr(queues, "MAX_EARLY_OF_ACTOR", 1)
    ann = Actor(GENESIS, 50)
    first = forge.block(None, [ann.sign(Enrol())], slot=1)
    queue = [ann.sign(NameGuardians(bytes(32))) for _ in range(6)]
    bring(rig, first, forge.block(first, queue[:2], slot=2))
    rig.handle(Submitted(tuple(queue[2:])))
    longer = forge.chain(2, first, slot=3)
    rig.grow(longer)
    assert list(rig.engine.mempool.claimed(9)) == [*queue[2:], *queue[:2]]
    # then all of it is here after a stop as well
    again = resumed(rig, [first, *longer])
    assert list(again.engine.mempool) == list(again.engine.mempool.claimed(9)) == queue
    assert only(again.effects, GossipTransactions) == [GossipTransactions((*queue[2:], *queue[:2]))]


def test_what_was_set_aside_survives_a_stop(rig: Rig, forge: Forge) -> None:
    # given what was promised, and a block with another of its nonce
    ann = Actor(GENESIS, 50)
    first = forge.block(None, [ann.sign(Enrol())], slot=1)
    promised = ann.sign(NameGuardians(bytes(32)))
    ann.nonce -= 1
    second = forge.block(first, [ann.sign(NameGuardians(bytes([1]) * 32))], slot=2)
    bring(rig, first)
    rig.handle(Submitted((promised,)))
    bring(rig, second)
    assert not len(rig.engine.mempool)
    # when that block loses after a stop
    again = resumed(rig, [first, second])
    assert not len(again.engine.mempool)
    again.grow(forge.chain(2, first, slot=11))
    # then it waits again
    assert list(again.engine.mempool.claimed(9)) == [promised]


def test_received_transactions_wait_and_are_not_passed_on_again(rig: Rig) -> None:
    one, two = enrolments(2)
    assert rig.handle(gossiped(one, two, one)) == []
    assert list(rig.engine.mempool) == [one, two]


def test_own_transactions_are_offered_again_while_they_wait(rig: Rig, forge: Forge) -> None:
    one, two = enrolments(2)
    rig.handle(Submitted((one, two)))
    rig.grow([forge.block(None, [one])])
    offered = [
        effect
        for slot in range(2, 3 * engine.REGOSSIP_EVERY_SLOTS + 1)
        for effect in only(rig.at(slot).handle(Tick()), GossipTransactions)
    ]
    assert offered == [GossipTransactions((two,))] * 2, "not the first time: it was offered just before"


# ------------------------------------------------------------------------------------------------------ blocks


def test_a_block_of_known_transactions_is_adopted_and_stored_first(rig: Rig, forge: Forge) -> None:
    body = enrolments(2)
    block = forge.block(None, body)
    rig.handle(gossiped(*body))
    effects = rig.at(1, 30).handle(announced(block))
    assert effects == [Commit(adopted=(block,)), HeadMoved(block.header, 2, 0, 30)]
    assert len(rig.engine.mempool) == 0


def test_missing_transactions_are_asked_of_the_announcer(rig: Rig, forge: Forge) -> None:
    body = enrolments(3)
    block = forge.block(None, body)
    rig.handle(gossiped(body[1], peer="other"))
    request = GetTransactions((body[0].id, body[2].id))
    assert rig.at(1).handle(announced(block)) == [Ask("peer", request)]
    assert rig.handle(announced(block, "other")) == []
    rig.handle(MissingReceived("peer", request, (body[2], body[0], enrolments(5)[4])))
    assert rig.head == block.id


def test_a_block_whose_transactions_do_not_come_is_fetched_whole(rig: Rig, forge: Forge) -> None:
    body = enrolments(2)
    block = forge.block(None, body)
    request = GetTransactions(tuple(item.id for item in body))
    rig.at(1).handle(announced(block))
    effects = rig.handle(MissingReceived("peer", request, (body[0],)))
    rig.serve(effects, {"peer": [block]})
    assert rig.head == block.id


def test_a_block_can_be_announced_again_after_a_request_failed(rig: Rig, forge: Forge) -> None:
    body = enrolments(1)
    block = forge.block(None, body)
    request = GetTransactions((body[0].id,))
    rig.at(1).handle(announced(block))
    assert rig.handle(RequestFailed("peer", request)) == [AskStatus("peer")]
    assert rig.handle(announced(block, "other")) == [Ask("other", request)]


def test_what_a_lost_peer_announced_can_be_announced_by_another(rig: Rig, forge: Forge) -> None:
    body = enrolments(1)
    block = forge.block(None, body)
    rig.at(1).handle(announced(block))
    rig.handle(PeerLost("peer"))
    assert rig.handle(announced(block, "other")) == [Ask("other", GetTransactions((body[0].id,)))]


def test_a_block_a_little_early_waits_for_its_slot(rig: Rig, forge: Forge) -> None:
    block = forge.block()
    assert rig.at(1, -CLOCK_DISPARITY_MS).handle(announced(block)) == []
    assert rig.engine.wake_ms(rig.now_ms) == GENESIS.slot_start_ms(1)
    assert rig.at(1, 0).handle(Tick())[1:] == [HeadMoved(block.header, 0, 0, 0)]
    assert rig.engine.wake_ms(rig.now_ms) == GENESIS.slot_start_ms(2)


def test_a_block_whose_slot_has_begun_wakes_at_once(rig: Rig, forge: Forge) -> None:
    rig.at(1, -CLOCK_DISPARITY_MS).handle(announced(forge.block()))
    assert rig.engine.wake_ms(GENESIS.slot_start_ms(1) + 300) == GENESIS.slot_start_ms(1)


def test_a_block_of_the_future_is_refused_and_nobody_blamed_for_another_clock(rig: Rig, forge: Forge) -> None:
    rig.at(1, -CLOCK_DISPARITY_MS - 1)
    for block in (forge.block(), forge.block(slot=2**64 - 1)):
        effects = rig.handle(announced(block))
        assert [effect.name for effect in only(effects, Notice)] == ["block_refused"]
        assert blamed(effects) == []
    assert rig.head == GENESIS.id
    assert rig.engine.wake_ms(rig.now_ms) == GENESIS.slot_start_ms(1)


def test_a_block_that_waited_while_the_clock_stepped_back_is_not_taken(rig: Rig, forge: Forge) -> None:
    # given a block that waits for its transactions
    body = enrolments(1)
    block = forge.block(None, body, slot=9)
    (ask,) = only(rig.at(9).handle(announced(block)), Ask)
    assert isinstance(ask.request, GetTransactions)

    # when the clock is set right, and they come
    effects = rig.at(3).handle(MissingReceived("peer", ask.request, tuple(body)))

    # then the block is one of the future
    assert "future_slot" in only(effects, Notice)[0].text
    assert rig.head == GENESIS.id
    rig.at(9).handle(announced(block, "another"))


def test_a_block_that_waited_is_judged_by_what_is_known_now(rig: Rig, forge: Forge) -> None:
    # given a block that waits for its transactions while others become final
    trunk = forge.chain(3)
    body = enrolments(1)
    late = forge.block(trunk[0], body, slot=4)
    rig.grow(trunk)
    (ask,) = only(rig.at(4).handle(announced(late)), Ask)
    assert isinstance(ask.request, GetTransactions)
    rig.grow(forge.chain(6, trunk[-1], slot=5))
    assert rig.engine.chain.finalized.height >= 2

    # when they come, then it is too late
    (notice,) = only(rig.handle(MissingReceived("peer", ask.request, tuple(body))), Notice)
    assert "crosses_finality" in notice.text


def test_a_block_that_was_fetched_while_it_waited_stays_on_the_main_chain(rig: Rig, forge: Forge) -> None:
    # given a block that waits for its transactions
    body = enrolments(1)
    block = forge.block(None, body)
    (ask,) = only(rig.at(1).handle(announced(block)), Ask)
    assert isinstance(ask.request, GetTransactions)

    # when a download brings it, and then the transactions come
    rig.serve(rig.at(2).claim("other", block), {"other": [block]})
    assert rig.head == block.id
    effects = rig.handle(MissingReceived("peer", ask.request, tuple(body)))

    # then nothing is stored again: beside the main chain it would be missing there
    assert only(effects, Commit) == []


def test_a_header_is_judged_once_on_its_way_in(rig: Rig, forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[bytes] = []
    check = BlockTree.check

    def counted(self: BlockTree, header: Header, ballot: Ballot, *, solicited: bool) -> Judged:
        judged.append(header.id)
        return check(self, header, ballot, solicited=solicited)

    monkeypatch.setattr(BlockTree, "check", counted)
    blocks = forge.chain(3)
    rig.grow(blocks[:2])
    rig.serve(rig.at(3).claim("peer", blocks[2]), {"peer": blocks})
    assert rig.head == blocks[2].id
    assert judged == [block.id for block in blocks]


def test_two_headers_of_a_slot_are_shown_though_the_block_proves_invalid(rig: Rig, forge: Forge) -> None:
    one = forge.block(None, slot=1)
    other = forge.block(one, slot=2)
    bad = forge.block(one, slot=2, state_root=bytes(32))
    longer = forge.block(bad, slot=3)
    rig.grow([one, other])
    assert only(rig.handle(announced(bad)), Equivocation) == [Equivocation(other.header, bad.header)]
    assert not only(rig.at(3).handle(announced(longer)), Equivocation)
    assert rig.head == other.id
    twin = forge.block(other, slot=3, state_root=bytes(32))
    assert only(rig.handle(announced(twin)), Equivocation) == [Equivocation(longer.header, twin.header)]
    assert rig.head == other.id


def test_a_served_block_of_the_future_is_refused_and_the_rest_kept(rig: Rig, forge: Forge) -> None:
    good = forge.chain(2)
    rig.at(20)
    future = forge.block(good[-1], slot=1_000)
    effects = rig.serve(rig.claim("peer", future), {"peer": [*good, future]})
    assert blamed(effects) == []
    rig.serve(rig.at(24).handle(Tick()), {"peer": good})
    assert rig.head == good[-1].id


@pytest.mark.parametrize("fields", [{"height": 9}, {"mhp": 5}, {"state_root": bytes(32)}, {"mhg": 0}])
def test_a_bad_announcement_is_noted_and_nobody_blamed_who_only_passed_it_on(
    rig: Rig, forge: Forge, fields: dict[str, Any]
) -> None:
    blocks = forge.chain(4)
    rig.grow(blocks)
    effects = rig.at(5).handle(announced(forge.block(blocks[-1], **fields)))
    assert [effect.name for effect in only(effects, Notice)] == ["block_refused"]
    assert blamed(effects) == []
    assert rig.head == blocks[-1].id


def test_two_blocks_of_one_slot_are_shown(rig: Rig, forge: Forge) -> None:
    one, two = forge.block(), forge.block(None, mhg=9)
    rig.grow([one])
    effects = rig.handle(announced(two))
    assert only(effects, Equivocation) == [Equivocation(one.header, two.header)]
    assert only(effects, Commit) == [Commit(side=(two,))]


def test_a_reorg_brings_transactions_back(rig: Rig, forge: Forge) -> None:
    one, two, three = enrolments(3)
    trunk = forge.block(None)
    short = forge.block(trunk, [one, two], slot=2)
    long = [forge.block(trunk, [two], slot=3)]
    long.append(forge.block(long[0], [three], slot=4))
    rig.handle(gossiped(one, two, three))
    rig.grow([trunk, short])
    assert list(rig.engine.mempool) == [three]
    rig.at(3).handle(announced(long[0]))
    rig.handle(MissingReceived("peer", GetTransactions((two.id,)), (two,)))
    effects = rig.at(4).handle(announced(long[1]))
    assert effects[0] == Commit(abandoned=(short,), adopted=tuple(long))
    assert only(effects, HeadMoved)[0].depth == 1
    assert list(rig.engine.mempool) == [one]


def test_what_no_block_can_hold_any_more_does_not_come_back(rig: Rig, forge: Forge) -> None:
    # given a block whose transactions expire at heights 2, 3 and 4
    body = [Actor(GENESIS, 50 + height).sign(Enrol(), expiry_height=height) for height in (2, 3, 4)]
    rig.handle(gossiped(*body))
    trunk = forge.block()
    rig.grow([trunk, forge.block(trunk, body, slot=2)])

    # when a branch of height 3 wins without it
    rig.grow(forge.chain(2, trunk, slot=3))

    # then only what height 4 can hold waits again
    assert list(rig.engine.mempool) == body[2:]


def test_what_expired_leaves_the_mempool_now_and_then(rig: Rig, forge: Forge) -> None:
    body = [Actor(GENESIS, 50 + height).sign(Enrol(), expiry_height=height) for height in (15, 16, 17)]
    rig.handle(gossiped(*body))
    rig.grow(forge.chain(headway.EXPIRE_EVERY_BLOCKS))
    assert headway.EXPIRE_EVERY_BLOCKS == 16
    assert list(rig.engine.mempool) == body[2:]


def test_of_blocks_that_become_final_together_the_last_is_told(rig: Rig, forge: Forge) -> None:
    # given a chain that half of the validators made, so that nothing is final
    blocks: list[Block] = []
    for slot in (1, 2, 5, 6, 9, 10):
        blocks.append(forge.block(blocks[-1] if blocks else None, slot=slot))
    rig.grow(blocks)
    assert rig.engine.chain.finalized.height == 0

    # when the others are back
    rig.grow(forge.chain(8, blocks[-1], slot=11))

    # then several become final at once
    told = [final.header.height for final in only(rig.effects, Finalized)]
    stored = [height for commit in only(rig.effects, Commit) if (height := commit.finalized_height) is not None]
    assert told == stored
    assert told[0] > 1
    assert told[-1] == rig.engine.chain.finalized.height


def test_finality_is_told_and_stored_and_the_snapshot_follows(rig: Rig, forge: Forge) -> None:
    blocks = forge.chain(8)
    rig.grow(blocks[:6])
    assert rig.effects[-1] == Finalized(blocks[0].header)
    commits = only(rig.effects, Commit)
    assert commits[-1].finalized_height == 1
    assert commits[-1].settled is not None
    rig.at(6, 20).handle(announced(blocks[6]))
    assert rig.engine.chain.finalized.height == 1  # a block of the future
    assert [height for commit in commits if (height := commit.finalized_height) is not None] == [1]


def test_the_snapshot_follows_now_and_then(forge: Forge) -> None:
    genesis = genesis_of(4, slot_ms=100)
    fast = Rig(genesis)
    fast.grow(Forge(genesis).chain(130))
    settled = [commit.settled.header.height for commit in only(fast.effects, Commit) if commit.settled]
    first, blocks = settled[0], headway.SETTLE_INTERVAL_MS // 100
    assert settled == [first, first + blocks, ALIGNED, first + 3 * blocks]
    (last,) = fast.engine.stop()
    assert isinstance(last, Commit)
    assert last.settled is not None
    assert last.settled.header.height == 125
    assert fast.engine.stop() == [Commit(waiting=())]


# -------------------------------------------------------------------------------------------------------- sync


def test_a_longer_claim_is_downloaded(rig: Rig, forge: Forge) -> None:
    blocks = forge.chain(7)
    rig.at(20)
    headings = request_of(rig.claim("peer", blocks[-1]))
    assert headings == GetHeadings(blocks[-1].id, 1, 7, FIRST_BYTES)
    request = request_of(rig.reply("peer", headings, blocks))
    assert request == GetBlocks(blocks[-1].id, 1, 7, FIRST_BYTES)
    effects = rig.reply("peer", request, blocks)
    assert rig.head == blocks[-1].id
    assert isinstance(effects[0], Commit)
    assert effects[0].adopted == tuple(blocks)
    assert only(effects, Ask) == []


def test_an_unknown_parent_starts_a_download(rig: Rig, forge: Forge) -> None:
    blocks = forge.chain(3)
    effects = rig.at(3).handle(announced(blocks[-1]))
    assert blamed(effects) == []
    rig.serve(effects, {"peer": blocks})
    assert rig.head == blocks[-1].id


def test_blocks_that_nobody_asked_for_are_ignored(rig: Rig, forge: Forge) -> None:
    blocks = forge.chain(7)
    rig.at(20)
    headings = request_of(rig.claim("peer", blocks[-1]))
    assert rig.reply("other", headings, blocks) == []
    request = request_of(rig.reply("peer", headings, blocks))
    assert rig.reply("other", request, blocks) == []
    assert rig.reply("peer", replace(request, count=3), blocks) == []
    assert rig.head == GENESIS.id


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"state_root": bytes(32)}, Reason.WRONG_STATE_ROOT),
        ({"mhp": 7}, Reason.WRONG_MHP),
        ({"height": 9}, Reason.WRONG_HEIGHT),
    ],
    ids=str,
)
def test_whoever_serves_a_bad_block_is_blamed(rig: Rig, forge: Forge, fields: dict[str, Any], reason: Reason) -> None:
    good = forge.chain(2)
    bad = forge.block(good[-1], **fields)
    rig.at(20)
    claim = bad if bad.header.height == 3 else None
    effects = rig.serve(rig.claim("peer", claim, height=3, mhp=0), {"peer": [*good, bad]})
    assert blamed(effects) == [("peer", reason)]
    assert only(effects, AskStatus) == [AskStatus("peer")]

    # and the good ones before it are taken all the same, from whoever has them
    rig.serve(rig.claim("other", good[-1]), {"other": good})
    rig.serve(rig.at(24).handle(Tick()), {"other": good})
    assert rig.head == good[-1].id


@pytest.mark.parametrize("is_late", [True, False])
def test_a_branch_that_lost_while_it_was_on_its_way_is_nobodys_fault(rig: Rig, forge: Forge, *, is_late: bool) -> None:
    # given a peer that claims more than we have, on another branch
    main, other = forge.chain(9), forge.chain(9, slot=20)
    rig.grow(main[: 5 if is_late else 9])
    request = request_of(rig.at(40).claim("peer", other[-1], mhp=9))

    # when more of our branch is final by the time that it answers
    if is_late:
        rig.grow(main[5:])
    assert rig.engine.chain.finalized.height == 4
    effects = rig.at(40).reply("peer", request, other[request.from_height - 1 :])

    # then it is not blamed for what it could not know; otherwise it is
    assert rig.head == main[-1].id
    assert blamed(effects) == ([] if is_late else [("peer", Reason.CROSSES_FINALITY)])


@pytest.mark.parametrize("lies", [False, True])
def test_who_begins_with_a_state_blames_nobody_whose_branch_lost_unnoticed(forge: Forge, *, lies: bool) -> None:
    # given a home that begins with the state of a final block, whose own header shows little of why that is final
    chain = blockchain(GENESIS, forge.chain(9))
    settled = chain.settle(is_last=True)
    assert settled is not None
    changed = {key: value for key, (_, value) in settled.changes.items() if value is not None}
    state = genesis_state(GENESIS) | changed
    rig = Rig(GENESIS, chain=Blockchain(GENESIS, Snapshot(settled.header, settled.votes, state)))
    assert settled.header.mhp < rig.engine.chain.finalized.height == 4

    # when a peer that was cut off before shows its branch, which is longer than that; or one claims more than any
    # branch beside what is final can have
    other = forge.chain(5, slot=20)
    effects = rig.at(40).claim("peer", other[-1], **({"mhp": 4} if lies else {}))
    effects = rig.reply("peer", request_of(effects), other[4:])

    # then only who lied is blamed, and the other is asked again where it stands
    assert rig.head == settled.header.id
    assert blamed(effects) == ([("peer", Reason.CROSSES_FINALITY)] if lies else [])
    assert only(effects, AskStatus) == [AskStatus("peer")]


def test_a_silent_peer_keeps_nobody_waiting(rig: Rig, forge: Forge) -> None:
    # given a peer that claims the longest chain, and is asked
    blocks = forge.chain(7)
    request = request_of(rig.at(20).claim("liar", height=500, mhp=500))

    # when another claims less, then it is asked beside the first, which is doubted when it does not answer
    rig.serve(rig.claim("honest", blocks[-1]), {"honest": blocks})
    assert rig.head == blocks[-1].id
    assert only(rig.handle(RequestFailed("liar", request)), AskStatus) == [AskStatus("liar")]


@pytest.mark.parametrize("answer", ["nothing", "our own head", "our whole chain", "blocks from nowhere"])
def test_a_claim_without_blocks_does_not_keep_others_waiting(rig: Rig, forge: Forge, answer: str) -> None:
    # given a peer that claims the longest chain and only ever answers with what leads nowhere
    blocks = forge.chain(7)
    rig.grow(blocks[:3])
    nowhere = Forge(GENESIS).chain(3, slot=20)[1:]
    junk = {"nothing": [], "our own head": [blocks[2]], "our whole chain": blocks[:3], "blocks from nowhere": nowhere}
    effects = rig.at(30).claim("liar", height=3, mhp=50)
    effects += rig.claim("honest", blocks[-1])

    # when both answer, then what the honest peer has is here, whatever the other says
    for ask in only(effects, Ask):
        reply = junk[answer] if ask.peer == "liar" else blocks
        rig.serve(rig.reply(ask.peer, ask.request, reply), {"honest": blocks})
    assert rig.head == blocks[-1].id


def test_a_claim_that_proved_empty_is_not_tried_again_at_once(rig: Rig, forge: Forge) -> None:
    # given a peer that repeats its claim whenever it is asked, and answers with blocks that attach nowhere
    nowhere = forge.chain(3, slot=20)[1:]
    rig.at(30)
    effects = rig.claim("liar", height=9, mhp=50)

    # when all of that happens within a moment, then we stop downloading
    requests = 0
    for _ in range(100):
        if asks := only(effects, Ask):
            requests += 1
            effects = rig.reply("liar", asks[0].request, nowhere)
        elif only(effects, AskStatus):
            effects = rig.claim("liar", height=9, mhp=50)
        else:
            break
    assert requests <= 10


def test_a_common_branch_longer_than_a_reply_is_walked_to_the_fork(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two nodes that share a long branch without finality, and then differ
    rig = Rig(GENESIS)
    slots = [slot for slot in range(1, 160) if slot % 4 in (1, 2)]
    trunk: list[Block] = []
    for slot in slots[:40]:
        trunk.append(forge.block(trunk[-1] if trunk else None, slot=slot))
    ours = [forge.block(trunk[-1], slot=slots[41])]
    theirs = [forge.block(trunk[-1], slot=slots[40])]
    theirs += [forge.block(theirs[0], slot=slots[44])]
    rig.grow(trunk + ours)
    assert rig.engine.chain.finalized.height == 0

    # when the other branch is longer, and few headers are shown at a time
    branch = trunk + theirs
    for name in ("PROBE_HEADINGS", "HEADINGS_AT_ONCE"):
        monkeypatch.setattr(sync, name, 5)
    effects = rig.at(200).claim("peer", branch[-1])
    for _ in range(30):
        if not only(effects, Ask):
            break
        request = request_of(effects)
        effects = rig.reply("peer", request, branch[request.from_height - 1 :][: request.count])

    # then it is found and adopted
    assert rig.head == branch[-1].id


def withheld(rig: Rig, block: Block) -> list[Effect]:
    """A peer passes on a block of which nobody has more than its header; all that came of it."""
    head = rig.engine.chain.head.block
    came = rig.at(block.header.slot).handle(announced(block))
    for effect in came:
        match effect:
            case Ask(peer, GetTransactions() as request):
                came += rig.handle(MissingReceived(peer, request, ()))
            case Ask(peer, GetHeadings() | GetBlocks() as request):
                came += rig.reply(peer, request, ())
            case AskStatus(peer):
                came += rig.claim(peer, head)
            case _:
                pass
    return came


@pytest.mark.parametrize("has_parent", [False, True])
def test_who_passes_on_what_a_leader_withholds_keeps_its_place(rig: Rig, forge: Forge, *, has_parent: bool) -> None:
    # given a leader that announces, in each of its slots, a block without a parent, or without its transactions
    blocks = forge.chain(7)
    rig.grow(blocks)
    rig.claim("peer", blocks[-1])
    beside: dict[str, Any] = {} if has_parent else {"parent": bytes(32), "height": 8, "mhp": 7}
    for slot in range(8, 400, 4):
        orphan = forge.block(blocks[-1], enrolments(1), slot=slot, **beside)
        came = withheld(rig, orphan)
        assert only(came, Ask)
        assert not only(came, Dismiss)
    # then it is asked as before where it claims more itself, and blamed for that alone
    assert rig.engine.sync.suppliers.failures("peer") == 0
    (ask,) = only(rig.claim("peer", head_id=b"\x01" * 32, height=300, mhp=299), Ask)
    rig.reply("peer", ask.request, ())
    assert rig.engine.sync.suppliers.failures("peer") == 1


# -------------------------------------------------------------------------------------------------- production


def test_a_leader_makes_its_block_and_stores_it_before_it_is_told() -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    (body,) = enrolments(1)
    rig.handle(Submitted((body,)))
    commit, moved, announcement = rig.at(1).handle(Tick())
    assert isinstance(commit, Commit)
    assert isinstance(announcement, AnnounceBlock)
    assert commit.adopted == (announcement.block,)
    assert commit.signing == SigningState(slot=1, mhg=1, last_height=1, last_id=announcement.block.id)
    assert isinstance(moved, HeadMoved)
    assert announcement.block.transactions == (body,)
    assert rig.handle(Tick()) == []
    assert rig.at(5, 501).handle(Tick()) == []


def test_a_key_that_the_genesis_does_not_list_makes_nothing() -> None:
    rig = Rig(GENESIS, validator=7, signing=FRESH)
    rig.handle(Submitted(tuple(enrolments(1))))
    assert [effect for slot in range(40) for effect in only(rig.at(slot).handle(Tick()), AnnounceBlock)] == []


def test_what_never_can_enter_a_block_leaves_the_mempool() -> None:
    rig, ann = Rig(GENESIS, validator=1, signing=FRESH), Actor(GENESIS, 50)
    rig.handle(Submitted((ann.sign(Enrol()), ann.sign(Rate(ann.key, 1, 1)))))
    rig.at(1).handle(Tick())
    assert len(rig.engine.mempool) == 0


@pytest.mark.parametrize(("validators", "made"), [(1, 1), (2, 0)])
def test_only_who_is_alone_makes_a_block_before_others_could_be_heard(validators: int, made: int) -> None:
    rig = Rig(genesis_of(validators), validator=validators - 1, signing=FRESH)
    body = Actor(rig.genesis, 50).sign(Enrol())
    assert len(only(rig.at(1).handle(Submitted((body,))), AnnounceBlock)) == made


def test_an_idle_validator_makes_heartbeats_only() -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    made = [slot for slot in range(200) if only(rig.at(slot).handle(Tick()), AnnounceBlock)]
    # alone, it makes two rounds of blocks that cannot become final, and from then on heartbeats from its head only
    assert made == [*range(21, 50, 4), 73, 97, 121, 145, 169, 193]


def test_a_claim_that_is_never_kept_does_not_silence_a_validator(rig: Rig, forge: Forge) -> None:
    # given a validator with work that follows the others, and a peer that claims more and never answers
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    blocks = forge.chain(3, slot=2)
    rig.grow(blocks)
    rig.handle(gossiped(*enrolments(1)))
    assert only(rig.claim("liar", height=500, mhp=500), Ask)

    # when the others go on making blocks for longer than its patience
    parent = blocks[-1]
    made: list[int] = []
    for slot in range(5, 40):
        if slot % 4 == 1:
            made += [slot for _ in only(rig.at(slot).handle(Tick()), AnnounceBlock)]
        elif not made:
            parent = forge.block(parent, slot=slot)
            rig.at(slot, 30).handle(announced(parent))

    # then it has made a block as well
    assert made != []


def test_the_chain_goes_on_where_a_key_signed_elsewhere(forge: Forge) -> None:
    # given a home restored from a backup: its key stands on the chain, its signing state says that it never signed
    blocks = forge.chain(4)
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    for block in blocks:
        rig.at(block.header.slot, 600).handle(announced(block))

    # when its slot comes
    rig.handle(gossiped(*enrolments(1)))
    rig.at(5).handle(Tick())

    # then the node is up and follows the others
    following = forge.block(blocks[-1], slot=6)
    rig.at(6).handle(announced(following))
    assert rig.head == following.id


def test_a_key_seen_signing_elsewhere_signs_no_more(forge: Forge) -> None:
    # given a block that this validator's key signed on another machine, on a branch that lost
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.at(1, 600).handle(announced(forge.block(slot=1)))
    rig.grow(forge.chain(3, slot=2))
    rig.handle(gossiped(*enrolments(1)))

    # when its slots come, then it keeps out of them: whatever it signs could contradict the other machine
    made = [slot for slot in range(5, 30) for _ in only(rig.at(slot).handle(Tick()), AnnounceBlock)]
    assert made == []


@pytest.mark.parametrize("twin_differs", [True, False])
def test_a_key_that_signs_elsewhere_in_the_same_instant_signs_no_more(forge: Forge, *, twin_differs: bool) -> None:
    # given a validator that just signed its slot
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.handle(gossiped(*enrolments(1)))
    (made,) = only(rig.at(1).handle(Tick()), AnnounceBlock)

    # when another machine's block for that slot, or an echo of its own, comes in
    twin = forge.block(slot=1) if twin_differs else made.block
    effects = rig.at(1, 20).handle(announced(twin))

    # then it says so and stops, unless it was its own
    assert [notice.name for notice in only(effects, Notice)] == ["key_used_elsewhere"] * twin_differs
    rig.handle(gossiped(*enrolments(2)))
    again = [slot for slot in range(2, 10) for _ in only(rig.at(slot).handle(Tick()), AnnounceBlock)]
    assert bool(again) != twin_differs


@pytest.mark.parametrize("behind_ms", [0, 3_600_000])
def test_a_restored_home_is_not_its_own_double_whenever_it_gets_its_chain_again(forge: Forge, behind_ms: int) -> None:
    # given a validator whose key spoke before its home was restored, empty, and with a clock that may be slow
    before = forge.attested(12)
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.now_ms = GENESIS.slot_start_ms(20) - behind_ms
    rig.handle(Tick())

    # when it hears something that it said, and no peer shows it more for a while
    rig.handle(told(forge.attest(before[8], 1)))
    assert rig.engine.producer is not None
    assert rig.engine.producer.is_stopped
    for _ in range(5):
        rig.now_ms += GENESIS.slot_ms
        rig.handle(Tick())

    # and then gets all of its chain at once, with the right time
    if behind_ms:
        rig.handle(WallClockStepped(behind_ms))
    rig.serve(rig.at(30).claim("peer", before[-1]), {"peer": before})
    assert rig.head == before[-1].id
    assert rig.engine.chain.finalized.height > 0
    for slot in range(31, 36):
        rig.at(slot).handle(Tick())

    # then it still waits whether another machine speaks, and nobody has to start it again
    assert rig.engine.producer.may_be_restored


def test_a_silent_validator_whose_key_signs_elsewhere_stays_silent(forge: Forge) -> None:
    # given a copy of a key without its signing state
    rig = Rig(GENESIS, validator=1, signing=None)
    rig.at(0).handle(Tick())

    # when the first machine goes on, and all that it made is final
    blocks = forge.chain(14)
    effects = [effect for block in blocks for effect in rig.at(block.header.slot, 600).handle(announced(block))]
    assert rig.engine.chain.finalized.height > 4
    rig.handle(gossiped(*enrolments(1)))

    # then the copy goes on being silent: what the first one made last is not final yet
    assert not only(effects, Notice)
    assert rig.engine.producer is not None
    assert rig.engine.producer.is_silent
    assert [slot for slot in range(15, 24) for _ in only(rig.at(slot).handle(Tick()), AnnounceBlock)] == []


def test_what_can_never_enter_a_block_does_not_keep_a_validator_silent() -> None:
    # given a validator that lost its signing state, and has approved a motion that is not there
    rig = Rig(GENESIS, validator=1, signing=None)
    own = Actor(GENESIS, 2)
    rig.handle(gossiped(own.sign(Approve(0))))
    first = [
        transaction
        for effect in only(rig.at(1).handle(Tick()), GossipTransactions)
        for transaction in effect.transactions
    ]
    assert [(item.kind, item.nonce) for item in first] == [("lost", 1)]

    # when some slots have passed
    effects = [effect for slot in range(2, 10) for effect in rig.at(slot).handle(Tick())]

    # then it no longer waits behind that with what it has to say
    again = [transaction for effect in only(effects, GossipTransactions) for transaction in effect.transactions]
    assert [(item.kind, item.nonce) for item in again] == [("lost", 0)]


def test_a_full_tree_does_not_stop_a_validator(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a tree without room
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    monkeypatch.setattr(blocktree, "MAX_BLOCKS", 5)
    blocks = forge.chain(3, slot=2)
    blocks.append(forge.block(blocks[-1], slot=6))
    rig.grow(blocks)
    root = rig.engine.chain.ledger.state_root

    # when its slot comes, then nothing breaks
    rig.handle(gossiped(*enrolments(1)))
    rig.at(9).handle(Tick())
    assert rig.engine.chain.ledger.state_root == rig.engine.chain.head.header.state_root
    assert rig.head != blocks[-1].id or rig.engine.chain.ledger.state_root == root


# ------------------------------------------------------------------------------------------------------ bounds


def test_waiting_blocks_are_bounded(rig: Rig, forge: Forge) -> None:
    # given more blocks than may wait, each of a slot of its own, whose transactions nobody has
    body = enrolments(1)
    blocks = [forge.block(None, body, slot=slot) for slot in range(1, MAX_WAITING + 6)]
    effects = [rig.at(MAX_WAITING + 9).handle(announced(block)) for block in blocks]

    # then the first ones wait, and the others are not even asked for
    assert [len(only(each, Ask)) for each in effects] == [1] * MAX_WAITING + [0] * 5
    assert len(rig.engine.waiting) == MAX_WAITING
    assert blocks[-1].id not in rig.engine.waiting


def test_of_one_slot_few_blocks_wait(rig: Rig, forge: Forge) -> None:
    rig.at(1, -10)
    for number in range(MAX_BLOCKS_PER_SLOT + 3):
        rig.handle(announced(forge.block(None, slot=1, state_root=bytes([number]) * 32)))
    assert len(rig.engine.waiting) == MAX_BLOCKS_PER_SLOT


def test_of_one_slot_few_announced_blocks_are_kept(rig: Rig, forge: Forge) -> None:
    rivals = [forge.block(None, slot=1, mhg=number) for number in range(MAX_BLOCKS_PER_SLOT + 1)]
    rig.grow(rivals)
    assert [block.id in rig.engine.chain.tree for block in rivals] == [True] * MAX_BLOCKS_PER_SLOT + [False]


def test_one_hostile_leader_does_not_crowd_out_a_good_block(rig: Rig, forge: Forge) -> None:
    # given a good block that waits for its transactions
    body = enrolments(1)
    good = forge.block(None, body, slot=2)
    rig.at(2, 700)
    (ask,) = only(rig.handle(announced(good)), Ask)
    assert isinstance(ask.request, GetTransactions)

    # when the next leader signs as many blocks as it likes, a little early
    for number in range(MAX_WAITING + 5):
        rig.handle(announced(forge.block(None, slot=3, state_root=bytes([number]) * 32), "evil"))

    # then the good one is still completed
    rig.handle(MissingReceived("peer", ask.request, tuple(body)))
    assert rig.head == good.id


def test_a_transaction_that_no_block_can_hold_keeps_nobody_awake(rig: Rig) -> None:
    validator = Rig(GENESIS, validator=1, signing=FRESH)
    gap = Actor(GENESIS, 50)
    gap.nonce = 5
    validator.handle(gossiped(gap.sign(Enrol())))
    made = [slot for slot in range(60) if only(validator.at(slot).handle(Tick()), AnnounceBlock)]
    assert made == list(range(21, 50, 4))


def test_a_clock_that_jumps_raises_nothing() -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    for now_ms in (0, GENESIS.genesis_time_ms, 2**62, 5, GENESIS.slot_start_ms(9), -(2**62)):
        rig.now_ms = now_ms
        rig.handle(Tick())
        rig.engine.wake_ms(now_ms)
    signed = [effect.block.header.slot for effect in only(rig.effects, AnnounceBlock)]
    assert signed == sorted(set(signed))


def test_a_step_of_the_wall_clock_keeps_a_validator_from_its_slot_until_others_confirm_the_time() -> None:
    # given a validator, and two others that it knows
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    names = {f"peer{number}": Credential(secret(number + 1).public) for number in (0, 2)}
    rig.at(19).handle(Tick())
    rig.at(20, 900).handle(Tick())
    greetings = [only(rig.claim(peer, credential=credential), AskStatus) for peer, credential in names.items()]
    assert greetings == [[AskStatus("peer0")], [AskStatus("peer2")]]

    # when its wall clock steps, then it asks them, and signs nothing in its slot
    effects = rig.handle(WallClockStepped(86_400_000))
    assert [notice.name for notice in only(effects, Notice)] == ["clock_stepped"]
    assert only(effects, AskStatus) == [AskStatus("peer0"), AskStatus("peer2")]
    effects = rig.at(21).handle(Tick())
    assert only(effects, AnnounceBlock) == []
    assert [silenced.mute is None for silenced in only(effects, Silenced)] == [False]
    assert rig.engine.silence(rig.now_ms) == only(effects, Silenced)[0].mute

    # when they confirm the time, then it does
    effects = [rig.claim(peer, credential=credential, time_ms=rig.now_ms) for peer, credential in names.items()][-1]
    assert [effect.block.header.slot for effect in only(effects, AnnounceBlock)] == [21]


@pytest.mark.parametrize("signing", [FRESH, None])
def test_while_the_time_is_in_doubt_nothing_is_attested_but_a_loss_is_told(
    forge: Forge, signing: SigningState | None
) -> None:
    # given a validator that starts a quarter of an hour past its head, and nobody who confirms that
    rig = Rig(GENESIS, validator=1, signing=signing)
    for slot in range(5_000, 5_006):
        rig.at(slot).handle(Tick())

    # when a block of long ago becomes its head
    rig.at(5_006).handle(announced(forge.block(slot=4_100)))

    # then it says nothing of it; if it lost its signing state, it says that
    assert rig.engine.chain.head.header.slot == 4_100
    assert only(rig.effects, SendAttestations) == []
    told_losses = [gossip.transactions[0].action for gossip in only(rig.effects, GossipTransactions)]
    assert [type(action) for action in told_losses] == ([] if signing else [Lost])


def test_who_stood_beyond_a_clock_that_was_slow_is_asked_again_once_that_is_right(rig: Rig, forge: Forge) -> None:
    # given a node whose clock is an hour slow, and a peer that is connected and stands where no chain can be by that
    blocks = forge.chain(7)
    rig.now_ms = GENESIS.genesis_time_ms - 3_600_000
    header = blocks[-1].header
    status = Status(header.id, header.height, header.mhp, 0)
    claim = Admission(GENESIS).claim(status.encode(), "peer", rig.now_ms)
    assert isinstance(claim, AdmittedClaim)
    assert only(rig.handle(StatusReceived("peer", claim)), Ask) == []

    # when its clock is set
    rig.handle(WallClockStepped(3_640_000))

    # then it hears the peer again, and fetches its chain
    assert FollowWallClock() in rig.effects
    assert AskStatus("peer") in rig.effects
    rig.serve(rig.at(40).claim("peer", blocks[-1]), {"peer": blocks})
    assert rig.head == blocks[-1].id


def test_a_wall_clock_that_lasts_is_followed_and_nothing_signed_in_the_same_moment() -> None:
    alone = genesis_of(1)
    rig = Rig(alone, validator=0, signing=FRESH)
    rig.at(1).handle(Tick())
    rig.handle(WallClockStepped(86_400_000))
    signed: list[int] = []
    for slot in range(2, 602):
        effects = rig.at(slot).handle(Tick())
        signed += [effect.block.header.slot for effect in only(effects, AnnounceBlock)]
        if only(effects, FollowWallClock):
            break
    assert (slot, len(signed) > 20, slot in signed) == (601, True, False)


def test_a_status_says_what_time_it_is_and_whose_machine_that_is() -> None:
    credential = Credential(secret(2).public, bytes(64))
    for number, shown in ((1, credential), (7, NOBODY)):
        rig = Rig(GENESIS, validator=number, signing=FRESH)
        assert rig.engine.status(rig.now_ms, credential).time_ms == 0, "nobody looked yet"
        rig.at(3).handle(Tick())
        status = rig.engine.status(rig.now_ms, credential)
        assert (status.time_ms, status.credential) == (rig.now_ms, shown)


def test_an_observers_mempool_does_not_keep_what_no_block_can_ever_hold(rig: Rig, forge: Forge) -> None:
    # given a member who rates itself: valid in form, impossible for ever, and with an expiry without end
    ann = Actor(GENESIS, 50)
    first = forge.block(None, [ann.sign(Enrol())])
    rig.handle(gossiped(*first.transactions))
    rig.grow([first])
    rig.handle(gossiped(ann.sign(Rate(ann.key, 1, 1), expiry_height=2**64 - 1)))

    # when many blocks have passed without it
    rig.grow(forge.chain(40, first))

    # then it is gone
    assert len(rig.engine.mempool) == 0


# ------------------------------------------------------------------------------------------------------ attestations


def test_a_validator_attests_what_it_adopts_and_repeats_what_no_block_carries(forge: Forge) -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    for slot in range(6):
        rig.at(slot).handle(Tick())
    blocks = forge.chain(2, slot=6)  # by the third and the fourth, who carry nothing
    first = rig.at(6).handle(announced(blocks[0]))
    commit, (said,) = only(first, Commit)[0], only(first, SendAttestations)
    assert [each.tip for each in said.attestations] == [blocks[0].id]
    assert commit.signing is not None
    assert (commit.signing.mhg, commit.signing.last_id) == (1, said.attestations[0].id)
    (again,) = only(rig.at(7).handle(announced(blocks[1])), SendAttestations)
    assert [each.tip for each in again.attestations] == [block.id for block in blocks]
    # its own next block carries both
    rig.handle(Submitted(tuple(enrolments(1))))
    (made,) = only(rig.at(9).handle(Tick()), AnnounceBlock)
    assert [each.height for each in made.block.ballot.attestations] == [1, 2]


def test_it_does_not_speak_while_it_catches_up_nor_of_its_own_block(forge: Forge) -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    blocks = forge.chain(40, slot=2)
    rig.at(60).claim("peer", blocks[-1])
    assert only(rig.effects, SendAttestations) == []
    alone = Rig(genesis_of(1), validator=0, signing=FRESH)
    alone.at(1).handle(Submitted(tuple(Actor(alone.genesis, 50).sign(Enrol()) for _ in range(1))))
    assert only(alone.effects, AnnounceBlock)
    assert only(alone.effects, SendAttestations) == []


def test_what_is_heard_is_carried(forge: Forge) -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.handle(Tick())
    block = forge.block(None, slot=4)
    rig.at(4).handle(announced(block))
    rig.handle(told(forge.attest(block, 2), forge.attest(block, 3)))
    rig.handle(Submitted(tuple(enrolments(1))))
    (made,) = only(rig.at(5).handle(Tick()), AnnounceBlock)
    assert len(made.block.ballot.attestations) == 3
    assert made.block.header.mhp == 1


def test_two_attestations_of_one_height_are_shown(rig: Rig, forge: Forge) -> None:
    one, other = forge.block(None, slot=4), forge.block(None, slot=4, state_root=bytes(32))
    said = forge.attest(one, 2), forge.attest(other, 2)
    rig.at(4).handle(told(*said))
    assert only(rig.effects, Equivocation) == [Equivocation(*said)]


def contradiction(forge: Forge) -> tuple[VerifiedAttestation, VerifiedAttestation]:
    """What the third validator must not both have said, in the order of evidence."""
    blocks = forge.block(None, slot=4), forge.block(None, slot=4, state_root=bytes(32))
    one, other = sorted((forge.attest(block, 2) for block in blocks), key=lambda each: each.id)
    return one, other


@pytest.fixture
def accuser(forge: Forge) -> Rig:
    """A validator, the leader of slot 5, that saw another contradict itself in slot 4."""
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.handle(Tick())
    rig.at(4).handle(told(*contradiction(forge)))
    return rig


def made_in(rig: Rig, slot: int) -> list[tuple[str, int]]:
    """Kind and nonce of what the block of a slot holds."""
    (announcement,) = only(rig.at(slot).handle(Tick()), AnnounceBlock)
    return [(item.kind, item.nonce) for item in announcement.block.transactions]


def test_a_validator_brings_the_evidence_on_the_chain_with_its_own_block(accuser: Rig) -> None:
    assert made_in(accuser, 5) == [("evidence", 0)]
    assert only(accuser.effects, GossipTransactions) == []
    # and once: its next block only makes this one final
    assert made_in(accuser, 9) == []


def test_evidence_that_another_brought_first_is_not_in_the_way_of_what_the_operator_signs(
    accuser: Rig, forge: Forge
) -> None:
    # given a block that holds the evidence already, and an operator that asks which nonce is free before it comes
    own, brought = Actor(GENESIS, 2), Actor(GENESIS, 1).sign(Evidence(*(each.raw for each in contradiction(forge))))
    own.nonce = accuser.engine.mempool.next_free(own.key)
    accuser.handle(gossiped(brought))
    accuser.handle(announced(forge.block(None, [brought], slot=4)))
    accuser.handle(Submitted((own.sign(Enrol()),)))
    # then what it signs enters the next block
    assert made_in(accuser, 5) == [("enrol", 0)]


def test_what_the_operator_signed_comes_before_what_the_node_signs(accuser: Rig) -> None:
    own = Actor(GENESIS, 2)
    accuser.handle(Submitted((own.sign(Enrol()),)))
    assert made_in(accuser, 5) == [("enrol", 0), ("evidence", 1)]


def test_evidence_waits_while_what_the_operator_signed_with_its_nonce_may_still_enter_a_block(accuser: Rig) -> None:
    # given a rating by a key that may yet enrol
    rating = Actor(GENESIS, 2).sign(Rate(secret(1).public, 1, 1))
    accuser.handle(Submitted((rating,)))
    accuser.handle(Submitted(tuple(enrolments(1))))
    assert made_in(accuser, 5) == [("enrol", 0)]
    assert rating in list(accuser.engine.mempool)


def test_evidence_fills_a_gap_before_what_the_operator_signed(accuser: Rig) -> None:
    own = Actor(GENESIS, 2)
    own.sign(Enrol())
    accuser.handle(Submitted((own.sign(Enrol()),)))
    assert made_in(accuser, 5) == [("evidence", 0)]


def test_evidence_of_an_abandoned_block_is_brought_again(accuser: Rig, forge: Forge) -> None:
    assert made_in(accuser, 5) == [("evidence", 0)]
    longer = forge.attested(3, slot=2, by=(0, 2, 3))
    for block in longer:
        accuser.handle(announced(block))
    assert accuser.head == longer[-1].id
    assert made_in(accuser, 9) == [("evidence", 0)]


def test_who_saw_a_contradiction_before_it_stopped_brings_it_afterwards(forge: Forge) -> None:
    twins = forge.block(None, slot=4), forge.block(None, enrolments(1), slot=4)
    rig = Rig(GENESIS, validator=1, signing=FRESH, chain=blockchain(GENESIS, twins))
    rig.handle(Tick())
    rig.at(4).handle(Tick())
    assert made_in(rig, 5) == [("evidence", 0)]


def test_a_contradiction_far_ahead_does_not_hide_one_that_is_over(forge: Forge) -> None:
    # given a leader that signs two blocks of its slot, far above the chain: that offence is not over for long
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.handle(Tick())
    for root in (bytes(32), b"\x01" * 32):
        far = forge.block(slot=4, height=4, parent=b"\x07" * 32, signer=secret(1), state_root=root)
        rig.at(4).handle(announced(far))
    # when it contradicts itself where the chain is
    here = forge.block(slot=3), forge.block(slot=3, state_root=bytes(32))
    rig.handle(told(*(forge.attest(block, 0) for block in here)))
    # then that is brought on the chain
    assert made_in(rig, 5) == [("evidence", 0)]


def test_a_contradiction_far_ahead_does_not_take_the_place_of_one_that_is_over(accuser: Rig, forge: Forge) -> None:
    for root in (bytes(32), b"\x01" * 32):
        far = forge.block(slot=6, height=6, parent=b"\x07" * 32, signer=secret(3), state_root=root)
        accuser.at(6).handle(announced(far))
    assert made_in(accuser, 9) == [("evidence", 0)]


def test_nor_while_that_one_is_punished_in_a_block_that_is_abandoned_later(accuser: Rig, forge: Forge) -> None:
    assert made_in(accuser, 5) == [("evidence", 0)]
    for root in (bytes(32), b"\x01" * 32):
        far = forge.block(slot=6, height=6, parent=b"\x07" * 32, signer=secret(3), state_root=root)
        accuser.at(6).handle(announced(far))
    longer = forge.attested(3, slot=2, by=(0, 2, 3))
    for block in longer:
        accuser.handle(announced(block))
    assert accuser.head == longer[-1].id
    assert made_in(accuser, 9) == [("evidence", 0)]


def test_nor_does_an_earlier_one_which_may_be_forgiven_for_good(forge: Forge) -> None:
    # given an offence at height 3, which the block of slot 5 punishes
    begun = forge.attested(2)
    rig = Rig(GENESIS, validator=1, signing=FRESH, chain=blockchain(GENESIS, begun))
    rig.handle(Tick())
    twins = forge.block(begun[-1], slot=4), forge.block(begun[-1], slot=4, state_root=bytes(32))
    rig.at(4).handle(told(*(forge.attest(block, 2) for block in twins)))
    assert made_in(rig, 5) == [("evidence", 0)]
    # when its culprit contradicts itself about height 1 as well, and that block is abandoned
    twins = forge.block(slot=3), forge.block(slot=3, state_root=bytes(32))
    rig.handle(told(*(forge.attest(block, 2) for block in twins)))
    longer = forge.attested(2, begun[-1], slot=3, by=(0, 3))
    for block in longer:
        rig.handle(announced(block))
    assert rig.head == longer[-1].id
    # then the later offence is brought again
    (announcement,) = only(rig.at(9).handle(Tick()), AnnounceBlock)
    (brought,) = (item.action for item in announcement.block.transactions)
    assert isinstance(brought, Evidence)
    assert last_height(brought) == 3


# ---------------------------------------------------------------------------------------- lost and foreign states


def test_a_key_that_speaks_elsewhere_is_lost_durably(forge: Forge) -> None:
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.handle(Tick())
    block = forge.block(None, slot=4)
    (commit, *_) = rig.at(4).handle(told(forge.attest(block, 1)))
    assert isinstance(commit, Commit)
    assert (commit.is_signing_lost, commit.signing) == (True, None)
    rig.handle(Submitted(tuple(enrolments(1))))
    rig.handle(announced(block))
    rig.at(5).handle(Tick())
    assert not only(rig.effects, AnnounceBlock)
    assert not only(rig.effects, SendAttestations)


def test_who_lost_its_state_sends_that_and_speaks_once_it_is_final(forge: Forge) -> None:
    # given a validator that lost its signing state, and three that speak
    rig = Rig(GENESIS, validator=1, signing=None)
    rig.handle(Tick())
    rig.at(4).handle(Tick())
    (gossip,) = only(rig.effects, GossipTransactions)
    assert gossip.transactions[0].action == Lost(bytes(16), FRESH_TAG)
    parent = forge.block(None, gossip.transactions, slot=4)
    rig.handle(announced(parent))
    for slot in (6, 7, 8, 10):
        assert only(rig.effects, SendAttestations) == []
        parent = forge.block(parent, slot=slot, carrying=forge.attestations(parent, by=(0, 2, 3)))
        rig.at(slot).handle(announced(parent))
        if rig.engine.chain.finalized.height >= 1:
            break
    # then it says so no more than once, and speaks with the new tag of the block that shows the renewal final
    assert len(only(rig.effects, GossipTransactions)) == 1
    (said,) = only(rig.effects, SendAttestations)
    assert [(each.tag, each.tip) for each in said.attestations] == [(FRESH_TAG, parent.id)]


def agreed(rig: Rig, block: Block, height: int) -> Rig:
    """A validator that signed a restart, as enough others did, and gave its signing state up."""
    restart = Restart(block.id, height, bytes(16))
    for number in (1, 2, 3):
        restart = restart.signed(secret(number), GENESIS.id)
    rig.engine = engine.Engine(GENESIS, rig.engine.chain, secret=secret(2), fresh_tag=FRESH_TAG, restart=restart)
    return rig


def test_a_restart_from_a_block_that_proves_invalid_stops_nobody(rig: Rig, forge: Forge) -> None:
    # given one from a block beside the head, that nobody executed
    one = forge.block()
    good, bad = forge.block(one, slot=2), forge.block(one, slot=3, state_root=bytes(32))
    rig.grow([one, good, bad])
    agreed(rig, bad, 2)

    # when its turn comes, then it says why nothing goes on from there, and that it starts anew
    effects = [effect for slot in range(4, 10) for effect in rig.at(slot).handle(Tick())]
    assert [each.name for each in only(effects, Notice) if each.name != "silent"] == ["restart_refused"]
    assert lost_in(effects) == [Lost(bytes(16), FRESH_TAG)]
    assert rig.head == good.id


def test_nor_does_one_that_was_signed_blind_and_names_another_height_than_its_block_has(rig: Rig, forge: Forge) -> None:
    blocks = forge.chain(2)
    rig.grow(blocks)
    agreed(rig, blocks[-1], 3)
    effects = [effect for slot in range(3, 10) for effect in rig.at(slot).handle(Tick())]
    assert lost_in(effects) == [Lost(bytes(16), FRESH_TAG)]


def lost_in(effects: Sequence[Effect]) -> list[Action]:
    return [each.action for gossip in only(effects, GossipTransactions) for each in gossip.transactions]


def test_an_idle_network_with_one_that_makes_empty_blocks_becomes_final_and_then_quiet(forge: Forge) -> None:
    # given a busy validator, whose block in each of its turns two others attest
    rig = Rig(GENESIS, validator=1, signing=FRESH)
    rig.handle(Tick())
    parent: Block | None = None
    made: list[int] = []
    for slot in range(4, 80):
        if slot % 4 == 0:
            said = [] if parent is None else forge.attestations(parent, by=(1, 2, 3))
            parent = forge.block(parent, slot=slot, carrying=said)
            rig.at(slot).handle(announced(parent))
        elif slot % 4 == 1 and only(rig.at(slot).handle(Tick()), AnnounceBlock):
            made.append(slot)
    # then what it makes is final, and nobody else makes blocks for that
    assert rig.engine.chain.head.header.height - rig.engine.chain.finalized.height == 2
    assert made == []
