"""Blocks of a proven branch, in ranges from several peers."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from chain.base.errors import Reason
from chain.branches.blockchain import Blockchain
from chain.content.blocks import Block
from chain.protocol import download
from chain.protocol.download import PROBES, RANGES_AT_ONCE, Download
from chain.protocol.messages import GetBlocks, Status
from chain.protocol.pace import PATIENCE_MS
from chain.protocol.skeleton import Skeleton
from chain.protocol.suppliers import LACKING_MS, Asked, Supplier, Suppliers
from tests.support.forge import Forge, blockchain, heading
from tests.support.world import genesis_of

GENESIS = genesis_of(4)
FORGE = Forge(GENESIS)
BLOCKS = FORGE.chain(60)
OTHER = FORGE.chain(60, slot=500)
HEAD = BLOCKS[-1].header
FAST = 10**9


class Rig:
    """A download of :data:`BLOCKS`, from nothing, with these peers, who claim all of it."""

    def __init__(
        self, peers: Sequence[str], *, has_delivered: bool = True, a_range: int = 10, rate: int = FAST
    ) -> None:
        self.chain: Blockchain = blockchain(GENESIS, [])
        self.suppliers = Suppliers()
        self.suppliers._line_rate = rate
        self.download = Download(self.suppliers)
        self.download._block_bytes = 48_000 // a_range
        self.skeleton = Skeleton()
        self.now_ms = 0
        for block in BLOCKS:
            assert self.skeleton.add(self.chain, heading(block))
        for peer in peers:
            self.suppliers.note(peer, Status(HEAD.id, HEAD.height, HEAD.mhp, 0))
            self[peer].has_delivered, self[peer].pace.rate = has_delivered, rate
        self.follow()

    def __getitem__(self, peer: str) -> Supplier:
        supplier = self.suppliers.get(peer)
        assert supplier is not None
        return supplier

    def follow(self) -> None:
        self.skeleton.keep(self.chain, [HEAD.id])
        self.download.follow(self.skeleton.path(self.chain, HEAD.id))

    def asks(self) -> list[Asked]:
        return list(self.download.requests(self.chain, self.now_ms))

    def asked(self) -> list[tuple[str, int, int]]:
        return [(each.supplier.peer, each.request.from_height, each.request.count) for each in self.asks()]

    def brings(self, asked: Asked, blocks: Sequence[Block] | None = None) -> Reason | None:
        first, count = asked.request.from_height, asked.request.count
        given = BLOCKS[first - 1 :][:count] if blocks is None else blocks
        assert self.suppliers.close(asked.supplier.peer, asked.request) is asked
        refusal = self.download.take(asked, given, self.now_ms)
        for block, judged in self.download.ready(self.chain):
            self.chain.add(block, arrived_in_slot=True, judged=judged)
        self.follow()
        return None if refusal is None else refusal.reason

    @property
    def height(self) -> int:
        return self.chain.head.header.height


def test_ranges_are_shared_and_the_next_one_is_the_best_peers() -> None:
    rig = Rig(["slow", "fast"])
    rig["fast"].pace.ask_bytes *= 2
    assert rig.asked() == [("fast", 1, 20), ("slow", 21, 10), ("fast", 31, 20), ("slow", 51, 10)]
    assert rig.asked() == [], "nothing is asked for twice"


def test_a_request_names_the_last_block_of_its_range() -> None:
    rig = Rig(["peer"])
    (first, _) = rig.asks()
    assert first.request == GetBlocks(BLOCKS[9].id, 1, 10, rig["peer"].pace.ask_bytes)
    assert first.ids == tuple(block.id for block in BLOCKS[:10])


def test_blocks_enter_in_their_order_whatever_order_they_come_in() -> None:
    rig = Rig(["one", "two", "three"])
    asks = rig.asks()
    assert len(asks) == 3 * RANGES_AT_ONCE
    for asked in reversed(asks[1:]):
        assert rig.brings(asked) is None
        assert rig.height == 0
        assert not rig.download.is_ready
    rig.brings(asks[0])
    assert rig.height == 60
    assert rig.download.path == []
    assert len(rig.download) == 0


def test_what_a_late_peer_was_asked_for_is_asked_of_others_and_the_first_to_come_is_taken() -> None:
    # given a peer that stops in the middle
    rig = Rig(["stops", "goes on"])
    rig["stops"].pace.ask_bytes *= 2
    asks = rig.asks()
    stopped = [asked for asked in asks if asked.supplier.peer == "stops"]
    for asked in asks:
        if asked not in stopped:
            rig.brings(asked)

    # when it is late, then the other has its ranges, and it gets nothing more
    rig.now_ms += PATIENCE_MS
    again = rig.asks()
    assert {asked.supplier.peer for asked in again} == {"goes on"}
    assert again[0].request.from_height == 1
    for asked in again:
        rig.brings(asked)
    for _ in range(10):
        for asked in rig.asks():
            rig.brings(asked)
    assert rig.height == 60

    # when it comes after all, then that is no fault
    assert rig.brings(stopped[0]) is None
    assert rig.suppliers.failures("stops") == 0


def test_what_comes_slowly_is_waited_for_where_nobody_is_faster() -> None:
    rig = Rig(["one", "two"], a_range=1, rate=0)
    asks = rig.asks()
    for at_ms in range(0, 12_000, 1_000):
        rig.now_ms = at_ms
        for asked in asks:
            rig.suppliers.under_way(asked.supplier.peer, asked.request, 19 * at_ms, 900_000, rig.now_ms)
        assert all(asked.ids not in [each.ids for each in asks] for asked in rig.asks())


@pytest.mark.parametrize("good", [0, 1, 5])
def test_a_liar_in_the_middle_of_a_range_is_refused_and_what_came_before_stays(good: int) -> None:
    # given a reply with another block in its middle
    rig = Rig(["liar", "honest"])
    first = rig.asks()[0]
    assert first.supplier.peer == "liar"
    reply = [*BLOCKS[:good], OTHER[good], *BLOCKS[good + 1 : 10]]

    # when it comes, then the blocks before that are taken, and the rest is asked of another
    assert rig.brings(first, reply) is Reason.UNSOLICITED
    assert rig.height == good
    assert rig.suppliers.failures("liar") == 1
    for asked in list(rig.suppliers.asked):
        if asked.supplier.peer == "honest":
            rig.brings(asked)
    assert ("honest", good + 1) in [(peer, height) for peer, height, _ in rig.asked()]


def test_a_reply_of_nothing_is_a_failure_of_who_claims_to_have_it() -> None:
    rig = Rig(["peer"], a_range=30)
    first, last = rig.asks()
    assert HEAD.id in last.ids
    rig.brings(last, [])
    assert rig.suppliers.failures("peer") == 1
    rig["peer"].status = Status(bytes(32), 60, HEAD.mhp, 0)
    rig.suppliers._resting.clear()
    assert not first.is_claimed


def test_who_never_claimed_a_block_is_not_asked_for_it_again_and_not_blamed() -> None:
    # given a peer of the same branch that has shown the first blocks alone
    rig = Rig(["peer"])
    rig["peer"].status = Status(bytes(32), 60, HEAD.mhp, 0)
    rig["peer"].trail = BLOCKS[4].id
    first, second = rig.asks()
    assert (first.is_claimed, second.is_claimed) == (True, False)

    # when it does not know the others
    rig.brings(second, [])
    assert rig.suppliers.failures("peer") == 0

    # then it is asked for what is below them
    rig.brings(first)
    assert rig.asked() == []


def test_few_that_never_brought_anything_are_tried_at_a_time() -> None:
    rig = Rig([f"peer{number}" for number in range(10)], has_delivered=False, a_range=2)
    asked = rig.asked()
    assert len({peer for peer, _, _ in asked}) == len(asked) == PROBES
    rig.now_ms = PATIENCE_MS
    more = rig.asked()
    assert len(more) == PROBES
    assert not {peer for peer, _, _ in more} & {peer for peer, _, _ in asked}


@pytest.mark.parametrize("case", ["rests", "other branch", "below"])
def test_nobody_is_asked_for_what_it_cannot_bring(case: str) -> None:
    rig = Rig(["peer"])
    if case == "rests":
        rig.suppliers.failed(rig["peer"], 0)
    elif case == "other branch":
        rig["peer"].trail, rig["peer"].status = OTHER[3].id, Status(OTHER[-1].id, 60, 60, 0)
    else:
        rig["peer"].status = Status(HEAD.id, 4, HEAD.mhp, 0)
    assert rig.asked() == ([("peer", 1, 4)] if case == "below" else [])


def test_blocks_that_are_not_wanted_any_more_are_not_kept() -> None:
    rig = Rig(["peer"])
    first, second = rig.asks()
    rig.brings(second)
    assert len(rig.download) == 10
    rig.download.follow([])
    assert len(rig.download) == 0
    assert rig.download.take(first, BLOCKS[:10], 0) is None
    assert len(rig.download) == 0


def test_what_is_on_its_way_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chain.protocol.download.WINDOW_BYTES", 48_000)
    rig = Rig(["one", "two", "three"], a_range=5)
    assert sum(count for _, _, count in rig.asked()) == 5


def test_a_line_that_is_not_known_is_tried_with_a_range_or_three_and_a_slow_one_is_not_drowned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given peers whose line nobody knows
    rig = Rig(["one", "two", "three", "four"], rate=0)
    first, *others = rig.asks()
    assert [each.supplier.peer for each in (first, *others)] == ["one", "two", "three"]
    assert rig.asked() == []
    for other in others:
        rig.suppliers.close(other.supplier.peer, other.request)

    # when that takes three seconds, then little is asked for at once
    rig.suppliers.under_way("one", first.request, 1, 75_000, 1_000)
    rig.now_ms = 3_000
    monkeypatch.setattr(download, "block_bytes", lambda _block: 6_000)
    rig.brings(first)
    rig.download._block_bytes = 10_000
    asked = rig.asks()
    assert [each.expected for each in asked] == [40_000, 40_000], "the first leaves room"
    assert rig.asked() == []
    for each in asked:
        rig.suppliers.under_way(each.supplier.peer, each.request, each.expected, each.expected, rig.now_ms)
    assert rig.asked(), "what has arrived makes room"


@pytest.mark.parametrize("peers", [1, 4, 8])
@pytest.mark.parametrize("size", [12_000, 150_000])
def test_what_comes_over_one_slow_line_is_asked_for_once_and_the_line_is_never_idle(
    peers: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given peers that are all reached over one line of 600 kbit/s, and blocks of so many bytes
    rate = 75
    monkeypatch.setattr(download, "block_bytes", lambda _block: size)
    rig = Rig([f"peer {number}" for number in range(peers)], has_delivered=False, rate=0)
    rig.download._block_bytes = 2_000
    on_the_line: list[tuple[int, int, Asked]] = []
    free_ms = came = longest_ms = 0
    while rig.height < len(BLOCKS):
        # when each reply comes after all that was asked for before it
        for asked in rig.asks():
            begins_ms = max(free_ms, rig.now_ms)
            count = max(1, min(len(asked.ids), asked.request.max_bytes // size))
            free_ms = begins_ms + count * size // rate
            on_the_line.append((begins_ms, free_ms, asked))
        longest_ms = max(longest_ms, free_ms - rig.now_ms)
        rig.now_ms += 50
        for begins_ms, ends_ms, asked in [each for each in on_the_line if each[1] <= rig.now_ms]:
            on_the_line.remove((begins_ms, ends_ms, asked))
            came += (ends_ms - begins_ms) * rate
            first = asked.request.from_height
            rig.brings(asked, BLOCKS[first - 1 :][: (ends_ms - begins_ms) * rate // size])
        for begins_ms, ends_ms, asked in on_the_line:
            here = (rig.now_ms - begins_ms) * rate
            if here > 0 and (rig.now_ms % 1_000 == 0 or not asked.received):
                rig.suppliers.under_way(
                    asked.supplier.peer, asked.request, here, (ends_ms - begins_ms) * rate, rig.now_ms
                )
    # then hardly anything comes twice, hardly any time is lost, and a ping gets through
    assert came <= 1.1 * size * len(BLOCKS)
    assert rig.now_ms <= 1.2 * size * len(BLOCKS) / rate
    assert longest_ms < max(3_000, 5 * size // rate)  # three blocks at first, when nobody knows how large they are


def test_at_the_end_who_has_nothing_to_do_is_asked_for_what_another_says_nothing_of() -> None:
    # given two peers, of which one stops in the middle, and a line on which that may take long
    rig = Rig(["stops", "goes on"], a_range=15, rate=30_000)
    rig.suppliers._line_rate = 4 * FAST
    asks = rig.asks()
    assert len(asks) == 4, "all of it is on its way"
    for asked in asks:
        if asked.supplier.peer == "goes on":
            rig.brings(asked)
    assert rig.asked() == [], "it may yet come"

    # when nothing of it has come, then the idle one is asked for the same, once
    rig.now_ms += PATIENCE_MS
    again = rig.asks()
    assert {asked.supplier.peer for asked in again} == {"goes on"}
    assert rig.asked() == []
    for asked in again:
        rig.brings(asked)
    assert rig.height == 60


def test_of_what_is_on_its_way_nobody_else_is_asked() -> None:
    rig = Rig(["slow", "quick"], a_range=15, rate=30_000)
    rig.suppliers._line_rate = FAST
    for asked in rig.asks():
        if asked.supplier.peer == "quick":
            rig.brings(asked)
        else:
            rig.suppliers.under_way("slow", asked.request, 1, FAST, rig.now_ms)
    rig.now_ms += PATIENCE_MS
    assert rig.asked() == []


def test_who_says_that_it_sends_much_and_sends_nothing_does_not_keep_others_from_being_asked() -> None:
    # given one line of 600 kbit/s, and a peer that says a megabyte is coming
    rig = Rig(["says much", "honest"], rate=75_000)
    asks = rig.asks()
    for asked in asks:
        if asked.supplier.peer == "honest":
            rig.brings(asked)
        else:
            rig.suppliers.under_way("says much", asked.request, 1, 1_000_000, rig.now_ms)
    assert rig.asked() == [], "the line has no room for more"

    # when as much as it was asked for would be here by any means
    rig.now_ms += PATIENCE_MS + 3 * 48_000 // 75
    # then the other is asked for the same, long before a megabyte would be
    assert {asked.supplier.peer for asked in rig.asks()} == {"honest"}


def test_who_brings_a_block_that_is_larger_than_what_was_asked_for_has_the_time_that_takes() -> None:
    rig = Rig(["large", "other"], rate=75_000)
    (asked, *_) = (each for each in rig.asks() if each.supplier.peer == "large")
    for rig.now_ms in range(250, 14_000, 250):
        rig.suppliers.under_way("large", asked.request, 75 * rig.now_ms, 1_050_000, rig.now_ms)
        assert not rig.suppliers.is_late(asked, rig.now_ms)


def test_a_peer_that_lacks_old_bodies_is_asked_for_later_ones() -> None:
    rig = Rig(["pruned", "full"])
    rig.suppliers.lacks(rig["pruned"], 30, 0)
    assert rig.asked() == [("pruned", 31, 10), ("full", 1, 10), ("pruned", 41, 10), ("full", 11, 10)]


def test_where_only_such_peers_are_left_nobody_is_asked_for_what_they_lack() -> None:
    rig = Rig(["pruned"])
    rig.suppliers.lacks(rig["pruned"], 60, 0)
    assert rig.asked() == []
    rig.now_ms = LACKING_MS
    assert rig.asked() == [("pruned", 1, 10), ("pruned", 11, 10)]
