"""Whom to ask for what: headers of whoever claims more, then their blocks of several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.restart import SALT_BYTES, Restart
from chain.content.blocks import Block
from chain.protocol.events import Ask
from chain.protocol.messages import GetBlocks, GetHeadings, Status
from chain.protocol.pace import FIRST_BYTES, PATIENCE_MS
from chain.protocol.suppliers import REST_MS, Asked, Supplier
from chain.protocol.sync import (
    CATCH_UP_MS,
    HEADINGS_AT_ONCE,
    MAX_GAP_SLOTS,
    PROBE_HEADINGS,
    PROBES,
    SHORT_BRANCH,
    START_PAUSE_MS,
    STUCK_MS,
    Sync,
    in_a_row,
)
from tests.support.forge import Forge, blockchain, heading
from tests.support.refusals import refusal
from tests.support.world import genesis_of, secret

GENESIS = genesis_of(4)
FORGE = Forge(GENESIS)
BLOCKS = FORGE.chain(8)  # three of them final
LONGER = [*BLOCKS, *FORGE.chain(40, BLOCKS[-1])]
SIDE = [*BLOCKS[:6], *FORGE.chain(20, BLOCKS[5], slot=80)]


@pytest.fixture
def chain() -> Blockchain:
    return blockchain(GENESIS, BLOCKS)


def claim(height: int, mhp: int = 10, head: int = 1) -> Status:
    return Status(head.to_bytes(32, "big"), height, mhp, 0)


def status_of(block: Block) -> Status:
    return Status(block.id, block.header.height, block.header.mhp, 0)


def asks(sync: Sync, chain: Blockchain, now_ms: int = 0) -> list[Ask]:
    return sync.next_requests(chain, now_ms)


def asked_of(sync: Sync, chain: Blockchain, now_ms: int = 0) -> list[str]:
    return [ask.peer for ask in asks(sync, chain, now_ms)]


def the_request(sync: Sync, chain: Blockchain, now_ms: int = 0) -> GetHeadings | GetBlocks:
    (ask,) = asks(sync, chain, now_ms)
    assert isinstance(ask.request, GetHeadings | GetBlocks)
    return ask.request


def close(sync: Sync, peer: str, request: object) -> Asked:
    (asked,) = [each for each in sync.suppliers.asked if (each.supplier.peer, each.request) == (peer, request)]
    assert sync.suppliers.close(peer, asked.request) is asked
    return asked


def show(
    sync: Sync, chain: Blockchain, ask: Ask, blocks: Sequence[Block], now_ms: int = 0, refused: Refused | None = None
) -> bool:
    """The peer shows the headers that it was asked for, out of a chain from height 1 on."""
    assert isinstance(ask.request, GetHeadings)
    first, count = ask.request.from_height, ask.request.count
    asked, good = close(sync, ask.peer, ask.request), []
    for block in blocks[first - 1 :][:count]:
        try:
            sync.skeleton.add(chain, heading(block))
        except Refused as refusal:
            refused = refusal
            break
        good.append(heading(block))
    return sync.showed(asked, good, refused, now_ms)


def bring(sync: Sync, chain: Blockchain, ask: Ask, blocks: Sequence[Block], now_ms: int = 0) -> Refused | None:
    """The peer brings the blocks that it was asked for; what can be added is."""
    assert isinstance(ask.request, GetBlocks)
    first, count = ask.request.from_height, ask.request.count
    refused = sync.download.take(close(sync, ask.peer, ask.request), blocks[first - 1 :][:count], now_ms)
    for block, judged in sync.download.ready(chain):
        chain.add(block, arrived_in_slot=True, judged=judged)
        sync.delivered(now_ms)
    return refused


def the_supplier(sync: Sync, peer: str) -> Supplier:
    supplier = sync.suppliers.get(peer)
    assert supplier is not None
    return supplier


def test_nobody_is_asked_without_a_longer_claim(chain: Blockchain) -> None:
    sync = Sync()
    assert asks(sync, chain) == []
    sync.note("same", status_of(BLOCKS[-1]))
    sync.note("known", status_of(BLOCKS[4]))
    sync.note("as long", Status(bytes(32), 8, BLOCKS[-1].header.mhp, 0))
    sync.note("more blocks, fewer prevotes", claim(99, mhp=0))
    sync.note("below what is final", claim(3, mhp=99))
    assert asks(sync, chain) == []
    assert not sync.is_downloading


def test_a_branch_that_people_let_go_on_is_asked_for_though_it_is_shorter(chain: Blockchain) -> None:
    # given a head without a restart, and a peer whose branch has as many prevotes, fewer blocks, and one
    sync, mhp = Sync(), BLOCKS[-1].header.mhp
    sync.note("restarted", Status(bytes(31) + b"r", 7, mhp, 0, restart=7))
    assert asked_of(sync, chain) == ["restarted"]


def test_a_branch_that_was_shown_ranks_by_its_restart() -> None:
    # given four who begin anew from a block that is prevoted, and one of them that went on alone before
    forge = Forge(GENESIS)
    tip = forge.block(None, slot=1)
    alone = [forge.block(tip, slot=3, carrying=forge.attestations(tip))]
    alone += [forge.block(alone[0], slot=7)]
    restart = Restart(tip.id, 1, bytes(SALT_BYTES))
    for number in (1, 2, 3):
        restart = restart.signed(secret(number), GENESIS.id)
    chain, sync = blockchain(GENESIS, [tip, *alone]), Sync()
    block = forge.block(tip, slot=4, restart=restart)
    assert (block.header.mhp, alone[-1].header.mhp, chain.finalized.height) == (1, 1, 0)
    sync.note("restarted", Status(block.id, 2, 1, 1, restart=2))
    (ask,) = asks(sync, chain)
    # when a peer shows the block that holds the restart
    assert show(sync, chain, ask, [tip, block])
    # then it is fetched, and is the head
    (ask,) = asks(sync, chain)
    assert bring(sync, chain, ask, [tip, block]) is None
    assert chain.head.header.id == block.id


def test_a_short_branch_is_shown_from_what_is_final(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(3 + SHORT_BRANCH))
    assert the_request(sync, chain) == GetHeadings(claim(1).head_id, 4, SHORT_BRANCH, FIRST_BYTES)
    assert sync.is_downloading


def test_a_long_branch_is_shown_from_the_head(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    assert the_request(sync, chain) == GetHeadings(claim(1).head_id, 9, PROBE_HEADINGS, FIRST_BYTES)


def test_a_branch_with_more_prevotes_but_fewer_blocks_is_shown_from_what_is_final(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(7, mhp=99))
    assert the_request(sync, chain) == GetHeadings(claim(1).head_id, 4, 4, FIRST_BYTES)


def test_absurd_claims_make_ordinary_requests(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(2**64 - 1, mhp=2**64 - 1))
    asked = the_request(sync, chain)
    assert GetHeadings.decode(asked.encode()) == asked


def test_what_a_peer_has_shown_it_brings(chain: Blockchain) -> None:
    # given a peer that shows its chain
    sync = Sync()
    sync.note("peer", status_of(LONGER[-1]))
    (ask,) = asks(sync, chain)
    assert show(sync, chain, ask, LONGER)

    # when its blocks are asked for, then they are those that it has shown
    the_supplier(sync, "peer").pace.rate = 10**9
    first, second = asks(sync, chain)
    assert sync.shown_height(chain) == LONGER[-1].header.height
    assert isinstance(first.request, GetBlocks)
    assert (first.request.from_height, first.request.max_bytes) == (9, FIRST_BYTES)
    assert bring(sync, chain, second, LONGER) is None
    assert chain.head.header.id == BLOCKS[-1].id, "what came too early waits"
    assert bring(sync, chain, first, LONGER) is None
    assert chain.head.header.id == LONGER[-1].id
    assert sync.shown_height(chain) == 0
    assert asks(sync, chain) == []
    assert not len(sync.skeleton)
    assert not sync.is_downloading


def test_silent_peers_with_large_claims_hold_up_nobody(chain: Blockchain) -> None:
    # given 31 peers that claim more than the honest one, and never answer
    sync = Sync()
    for number in range(31):
        sync.note(f"liar{number}", claim(10_000, mhp=10_000, head=number))
    sync.note("honest", status_of(LONGER[-1]))

    # when time passes, then a few are tried at a time, and soon it is the honest peer's turn
    tried: list[str] = []
    for turn in range(31 // PROBES + 1):
        peers = asked_of(sync, chain, turn * PATIENCE_MS)
        assert len(peers) <= PROBES
        tried += peers
    assert "honest" in tried
    assert len(set(tried)) == len(tried)


def test_peers_that_the_operator_named_are_asked_at_once(chain: Blockchain) -> None:
    sync = Sync(["friend"])
    for number in range(31):
        sync.note(f"liar{number}", claim(10_000, mhp=10_000, head=number))
    asks(sync, chain)
    sync.note("friend", status_of(LONGER[-1]))
    sync.note("validator", status_of(LONGER[-1]), b"its key")
    assert asked_of(sync, chain) == ["friend", "validator"]


def test_whoever_fails_rests_and_others_are_tried(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(20))
    assert sync.failed("peer", the_request(sync, chain), 0)
    assert not sync.failed("peer", GetHeadings(bytes(32), 1, 1), 0)
    assert asks(sync, chain, REST_MS - 1) == []
    sync.note("other", claim(10))
    assert asked_of(sync, chain, REST_MS - 1) == ["other"]
    assert asked_of(sync, chain, REST_MS) == ["peer"]


def test_whoever_lacks_old_bodies_fails_nobody(chain: Blockchain) -> None:
    sync = Sync()
    for peer in ("pruned", "full"):
        sync.note(peer, status_of(LONGER[-1]))
    for ask in asks(sync, chain):
        assert show(sync, chain, ask, LONGER)
    first, *_ = wanted = [(ask.peer, ask.request) for ask in asks(sync, chain)]
    assert sync.failed(*first, 0, is_refused=True)
    assert sync.suppliers.failures(first[0]) == 0
    (again,) = (ask.peer for ask in asks(sync, chain))
    assert again != first[0], wanted


def test_a_branch_that_does_not_attach_begins_further_below(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    (ask,) = asks(sync, chain)
    unknown = Refused(Reason.UNKNOWN_PARENT, "")
    assert sync.showed(close(sync, "peer", ask.request), [], unknown, 0)
    again = the_request(sync, chain)
    assert again.from_height == 4, "after what is final"
    assert not sync.showed(close(sync, "peer", again), [], unknown, 0), "there is nothing below that"


def test_another_branch_is_walked_from_where_it_leaves_ours(chain: Blockchain, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a peer on another branch, of which little is shown at a time
    monkeypatch.setattr("chain.protocol.sync.PROBE_HEADINGS", 5)
    monkeypatch.setattr("chain.protocol.sync.HEADINGS_AT_ONCE", 5)
    monkeypatch.setattr("chain.protocol.sync.SHORT_BRANCH", 4)
    sync, heights = Sync(), []
    sync.note("peer", status_of(SIDE[-1]))
    for _ in range(10):
        for ask in asks(sync, chain):
            if isinstance(ask.request, GetHeadings):
                heights.append(ask.request.from_height)
                show(sync, chain, ask, SIDE)
            else:
                bring(sync, chain, ask, SIDE)
    assert heights == [9, 5, 10, 15, 20, 25]
    assert SIDE[-1].id in chain.tree


@pytest.mark.parametrize("shown", [0, 5])
def test_a_peer_that_shows_little_of_what_it_claims_is_not_waited_for(chain: Blockchain, shown: int) -> None:
    sync = Sync()
    sync.note("drip", status_of(LONGER[-1]))
    (ask,) = asks(sync, chain)
    assert not show(sync, chain, ask, LONGER[: 8 + shown])
    assert sync.suppliers.failures("drip") == 1


def test_what_was_shown_before_a_bad_header_stays(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(20))
    (ask,) = asks(sync, chain)
    assert not show(sync, chain, ask, LONGER[:12], refused=Refused(Reason.WRONG_MHP, ""))
    assert LONGER[11].id in sync.skeleton
    assert [ask.peer for ask in asks(sync, chain, REST_MS) if isinstance(ask.request, GetBlocks)] == ["peer"]


def test_a_withheld_block_does_not_keep_others_from_their_branch(chain: Blockchain) -> None:
    # given a peer that shows a longer branch than the honest one, and never brings its blocks
    sync = Sync()
    sync.note("withholds", Status(SIDE[-1].id, 26, 50, 0))
    (ask,) = asks(sync, chain)
    assert show(sync, chain, ask, SIDE)
    (withheld,) = asks(sync, chain)
    assert isinstance(withheld.request, GetBlocks)
    sync.note("honest", status_of(LONGER[20]))
    asks(sync, chain)
    assert sync.failed("withholds", withheld.request, 10_000)

    # when nothing came of it for a while, then it is forgotten
    asks(sync, chain, STUCK_MS)
    assert SIDE[-1].id not in sync.skeleton


def test_losing_the_peer_ends_what_it_was_asked_for(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(20))
    asks(sync, chain)
    sync.forget("nobody")
    assert sync.is_downloading
    assert sync.shown_height(chain) == 0, "a claim proves nothing"
    sync.forget("peer")
    assert not sync.is_downloading
    assert sync.statuses == {}


def test_the_last_claim_of_a_peer_counts(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    sync.note("peer", status_of(BLOCKS[-1]))
    assert asks(sync, chain) == []


def test_an_announced_header_is_a_claim_if_it_says_more() -> None:
    sync = Sync()
    unknown = LONGER[10].header
    sync.note_header("peer", unknown)
    assert sync.statuses["peer"] == Status(unknown.id, unknown.height, unknown.mhp, 0)
    sync.note_header("peer", BLOCKS[2].header)
    assert sync.statuses["peer"].head_id == unknown.id
    sync.note("far", claim(5_000))
    sync.note_header("far", unknown)
    assert sync.statuses["far"] == claim(5_000)
    # what it dropped before, it lacks still
    sync.note("pruned", replace(claim(5, mhp=0), oldest_body=4))
    sync.note_header("pruned", unknown)
    assert sync.statuses["pruned"] == Status(unknown.id, unknown.height, unknown.mhp, 0, oldest_body=4)


def test_who_passed_on_a_block_that_another_shows_is_not_blamed_for_lacking_it(chain: Blockchain) -> None:
    # given a peer that passed on a header, and its leader's own, which shows it and withholds the block
    sync, withheld = Sync(), FORGE.block(BLOCKS[-1], slot=40)
    sync.note_header("relay", withheld.header)
    sync.note("leader", status_of(withheld))
    for ask in asks(sync, chain):
        if ask.peer == "leader":
            show(sync, chain, ask, [*BLOCKS, withheld])
    # when both are asked for the block, one after the other, and bring nothing
    for peer in ("leader", "relay"):
        (ask,) = asks(sync, chain)
        assert (ask.peer, type(ask.request)) == (peer, GetBlocks)
        sync.download.take(close(sync, ask.peer, ask.request), (), 0)
    # then only one of them claimed to have it
    assert [sync.suppliers.failures(peer) for peer in ("relay", "leader")] == [0, 1]


def test_it_is_looked_again_when_a_reply_is_late(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    asks(sync, chain, 5_000)
    assert sync.wake_ms(5_000) == [5_000 + PATIENCE_MS]
    assert sync.wake_ms(5_000 + PATIENCE_MS) == []


def test_a_validator_that_starts_or_slept_first_listens() -> None:
    sync, slot_ms = Sync(), 1_000
    assert [sync.is_catching_up(at, slot_ms, is_alone=False) for at in (5_000, 5_000 + START_PAUSE_MS - 1)] == [
        True
    ] * 2
    assert not sync.is_catching_up(5_000 + START_PAUSE_MS, slot_ms, is_alone=False)
    woke_ms = 5_000 + START_PAUSE_MS + MAX_GAP_SLOTS * slot_ms
    assert not sync.is_catching_up(woke_ms, slot_ms, is_alone=False), "a few slots are no sleep"
    assert sync.is_catching_up(2 * woke_ms, slot_ms, is_alone=False)
    assert sync.is_catching_up(woke_ms, slot_ms, is_alone=False), "neither is a clock that went back trusted"
    assert not Sync().is_catching_up(5_000, slot_ms, is_alone=True), "nobody could be ahead"


def test_a_download_holds_a_validator_back_while_it_brings_blocks(chain: Blockchain) -> None:
    sync, now_ms = Sync(), 10_000
    sync.is_catching_up(now_ms, 1_000, is_alone=True)
    assert not sync.is_catching_up(now_ms, 1_000, is_alone=True)
    sync.note("ahead", claim(20))
    asks(sync, chain, now_ms)
    assert sync.is_catching_up(now_ms + CATCH_UP_MS - 1, 1_000, is_alone=True)
    assert not sync.is_catching_up(now_ms + CATCH_UP_MS, 1_000, is_alone=True), "it brings nothing"
    sync.delivered(now_ms + CATCH_UP_MS)
    assert sync.is_catching_up(now_ms + CATCH_UP_MS, 1_000, is_alone=True)


def test_asked_twice_in_a_moment_it_has_not_been_suspended() -> None:
    sync = Sync()
    asked = [sync.is_catching_up(now_ms, 1_000, is_alone=False) for now_ms in (0, START_PAUSE_MS, START_PAUSE_MS)]
    assert asked == [True, False, False]


def test_a_reply_is_one_branch_from_the_height_asked_for_to_the_block_claimed(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", Status(b"\x09" * 32, 9, 10, 0))
    the_request(sync, chain)
    (asked,) = sync.suppliers.asked
    assert asked.request.from_height == 4
    shown = list(map(heading, LONGER[3:8]))
    assert list(in_a_row(asked, shown)) == shown
    assert list(in_a_row(asked, [])) == []
    other = list(map(heading, FORGE.chain(5, slot=20)))
    for headings, reason in (
        (shown[1:], Reason.WRONG_HEIGHT),
        ([shown[0], shown[0]], Reason.WRONG_HEIGHT),
        ([shown[0], other[4]], Reason.UNSOLICITED),
        (list(map(heading, LONGER[3:9])), Reason.UNSOLICITED),
    ):
        assert refusal(list, in_a_row(asked, headings)) is reason


def test_one_peer_at_a_time_shows_what_comes_next(chain: Blockchain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.protocol.sync.PROBE_HEADINGS", 5)
    monkeypatch.setattr("chain.protocol.sync.HEADINGS_AT_ONCE", 10)
    sync = Sync()
    for peer in ("one", "two"):
        sync.note(peer, status_of(LONGER[-1]))
    for ask in asks(sync, chain):
        show(sync, chain, ask, LONGER)
    (ask,) = [ask for ask in asks(sync, chain) if isinstance(ask.request, GetHeadings)]
    assert isinstance(ask.request, GetHeadings)
    assert (ask.request.from_height, ask.request.count) == (14, 10), "after what both have shown"
    late = [ask.peer for ask in asks(sync, chain, 90_000) if isinstance(ask.request, GetHeadings)]
    assert len(late) == 1, "another where the first is late"
    assert late != [ask.peer]
    assert HEADINGS_AT_ONCE > PROBE_HEADINGS
