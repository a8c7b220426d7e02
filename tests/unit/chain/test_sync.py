"""Whom to ask for what: one download at a time, from the longest claim, until the claim proves empty."""

from __future__ import annotations

import pytest

from chain.blockchain import Blockchain
from chain.blocks import Block
from chain.errors import Reason
from chain.events import Ask
from chain.messages import MAX_BLOCKS_PER_REQUEST, GetBlocks, Status
from chain.sync import CATCH_UP_MS, MAX_GAP_SLOTS, MAX_STATUSES, REST_MS, SHORT_BRANCH, START_PAUSE_MS, Sync, linked
from tests.support.forge import Forge, blockchain
from tests.support.refusals import refusal
from tests.support.world import genesis_of

GENESIS = genesis_of(4)
FORGE = Forge(GENESIS)
BLOCKS = FORGE.chain(8)  # three of them final


@pytest.fixture
def chain() -> Blockchain:
    return blockchain(GENESIS, BLOCKS)


def claim(height: int, mhp: int = 10, head: int = 1) -> Status:
    return Status(head.to_bytes(32, "big"), height, mhp, 0)


def status_of(block: Block) -> Status:
    return Status(block.id, block.header.height, block.header.mhp, 0)


def request(sync: Sync, chain: Blockchain) -> GetBlocks:
    ask = sync.next_request(chain, 0)
    assert ask is not None
    assert isinstance(ask.request, GetBlocks)
    return ask.request


def test_nobody_is_asked_without_a_longer_claim(chain: Blockchain) -> None:
    sync = Sync()
    assert sync.next_request(chain, 0) is None
    sync.note("same", status_of(BLOCKS[-1]))
    sync.note("known", status_of(BLOCKS[4]))
    sync.note("as long", Status(bytes(32), 8, BLOCKS[-1].header.mhp, 0))
    sync.note("more blocks, fewer prevotes", claim(99, mhp=0))
    sync.note("below what is final", claim(3, mhp=99))
    assert sync.next_request(chain, 0) is None
    assert not sync.is_downloading


def test_the_longest_claim_is_followed(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("long", claim(20, mhp=5))
    sync.note("longest", claim(9, mhp=6))
    ask = sync.next_request(chain, 0)
    assert ask is not None
    assert ask.peer == "longest"
    assert sync.is_downloading
    assert sync.is_expected("longest", ask.request)
    assert not sync.is_expected("long", ask.request)
    assert sync.next_request(chain, 0) is None


def test_a_short_branch_is_asked_for_from_what_is_final(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(3 + SHORT_BRANCH))
    assert request(sync, chain) == GetBlocks(claim(1).head_id, 4, SHORT_BRANCH)


def test_a_long_branch_is_asked_for_from_the_head(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    assert request(sync, chain) == GetBlocks(claim(1).head_id, 9, MAX_BLOCKS_PER_REQUEST)


def test_a_branch_with_more_prevotes_but_fewer_blocks_is_asked_for_from_what_is_final(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(7, mhp=99))
    assert request(sync, chain) == GetBlocks(claim(1).head_id, 4, 4)


def test_absurd_claims_make_ordinary_requests(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(2**64 - 1, mhp=2**64 - 1))
    asked = request(sync, chain)
    assert GetBlocks.decode(asked.encode()) == asked


def test_a_long_download_goes_on_where_it_stopped(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    first = request(sync, chain)
    assert sync.received("peer", first, last_height=200, attached=True)
    second = request(sync, chain)
    assert second == GetBlocks(first.tip_id, 201, MAX_BLOCKS_PER_REQUEST)
    assert sync.received("peer", second, last_height=456, attached=True)
    assert request(sync, chain).from_height == 457


def test_a_branch_that_does_not_attach_is_asked_for_again_from_what_is_final(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    assert sync.received("peer", request(sync, chain), last_height=9, attached=False)
    again = request(sync, chain)
    assert again.from_height == 4
    assert not sync.received("peer", again, last_height=4, attached=False)


def test_each_peer_has_its_own_second_try(chain: Blockchain) -> None:
    # given a download from one peer that is well under way
    sync = Sync()
    sync.note("one", claim(1_000))
    assert sync.received("one", request(sync, chain), last_height=264, attached=True)

    # when another peer claims more, and its branch does not attach to our head
    sync.note("two", claim(2_000, mhp=11, head=2))
    asked = request(sync, chain)
    assert asked.tip_id == claim(1, head=2).head_id

    # then it is asked once more from what is final, as the first one would have been
    assert sync.received("two", asked, last_height=asked.from_height, attached=False)
    assert request(sync, chain).from_height == 4


def test_an_empty_claim_rests_longer_each_time_until_it_is_kept(chain: Blockchain) -> None:
    sync, now_ms = Sync(), 0
    for rest_ms in (REST_MS, 2 * REST_MS, 4 * REST_MS):
        sync.note("peer", claim(20))
        assert peer_asked(sync, chain, now_ms) == "peer"
        assert not sync.received("peer", sync_request(sync), last_height=0, attached=True)
        sync.failed("peer", now_ms)
        sync.note("peer", claim(20))
        sync.note("other", claim(10))
        assert peer_asked(sync, chain, now_ms + rest_ms - 1) == "other"
        sync.forget("other")
        now_ms += rest_ms
    sync.delivered("peer", now_ms)
    assert peer_asked(sync, chain, 0) == "peer"


def peer_asked(sync: Sync, chain: Blockchain, now_ms: int) -> str:
    ask = sync.next_request(chain, now_ms)
    assert ask is not None
    return ask.peer


def sync_request(sync: Sync) -> GetBlocks:
    assert sync._download is not None
    return sync._download[1]


def test_losing_the_peer_ends_its_download(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(20))
    sync.note("other", claim(10))
    sync.next_request(chain, 0)
    sync.forget("nobody")
    assert sync.is_downloading
    sync.forget("peer")
    assert not sync.is_downloading
    assert sync.next_request(chain, 0) == Ask("other", GetBlocks(claim(1).head_id, 4, 7))


def test_the_last_claim_of_a_peer_counts(chain: Blockchain) -> None:
    sync = Sync()
    sync.note("peer", claim(1_000))
    sync.note("peer", status_of(BLOCKS[-1]))
    assert sync.next_request(chain, 0) is None


def test_an_announced_header_is_a_claim_if_it_says_more(chain: Blockchain) -> None:
    sync = Sync()
    unknown = FORGE.chain(3, BLOCKS[-1])[-1].header
    sync.note_header("peer", unknown)
    assert sync.statuses["peer"] == Status(unknown.id, unknown.height, unknown.mhp, 0)
    sync.note_header("peer", BLOCKS[2].header)
    assert sync.statuses["peer"].head_id == unknown.id
    sync.note("far", claim(5_000))
    sync.note_header("far", unknown)
    assert sync.statuses["far"] == claim(5_000)


def test_claims_are_bounded() -> None:
    sync = Sync()
    for number in range(MAX_STATUSES + 10):
        sync.note(f"peer{number}", claim(10))
    assert len(sync.statuses) == MAX_STATUSES
    assert "peer9" not in sync.statuses
    assert "peer10" in sync.statuses


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
    request(sync, chain)
    assert sync.is_catching_up(now_ms + CATCH_UP_MS - 1, 1_000, is_alone=True)
    assert not sync.is_catching_up(now_ms + CATCH_UP_MS, 1_000, is_alone=True), "it brings nothing"
    sync.delivered("ahead", now_ms + CATCH_UP_MS)
    assert sync.is_catching_up(now_ms + CATCH_UP_MS, 1_000, is_alone=True)


def test_a_reply_is_one_branch_from_the_height_asked_for() -> None:
    asked = GetBlocks(BLOCKS[7].id, 3, 6)
    assert list(linked(asked, BLOCKS[2:])) == BLOCKS[2:]
    assert list(linked(asked, [])) == []
    other = FORGE.chain(4, slot=20)
    for blocks, reason in (
        (BLOCKS[3:], Reason.WRONG_HEIGHT),
        ([BLOCKS[2], BLOCKS[2]], Reason.WRONG_HEIGHT),
        ([BLOCKS[2], other[3]], Reason.UNSOLICITED),
    ):
        assert refusal(list, linked(asked, blocks)) is reason


def test_asked_twice_in_a_moment_it_has_not_been_suspended() -> None:
    sync = Sync()
    asked = [sync.is_catching_up(now_ms, 1_000, is_alone=False) for now_ms in (0, START_PAUSE_MS, START_PAUSE_MS)]
    assert asked == [True, False, False]
