"""Whom to ask for what: how a node that is behind, or on a losing branch, gets the blocks it lacks.

One download runs at a time, along the branch of the peer that claims the longest chain.  It begins after our
head; where the branch does not attach there, it begins again after what is final, which is the same for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chain.blockchain import Blockchain
from chain.blocks import Block
from chain.errors import Reason, Refused
from chain.events import Ask, Peer, Request
from chain.headers import Header
from chain.messages import MAX_BLOCKS_PER_REQUEST, GetBlocks, Status

# More claims than the peers that a node keeps; the oldest is forgotten first.
MAX_STATUSES = 256
# A peer whose claim proved empty, or that does not answer, is not asked for blocks for so long; twice as long each
# time, up to the limit.  A download that brings blocks wipes the slate.
REST_MS = 2_000
MAX_REST_MS = 300_000
# Where so little lies above what is final, asking for all of it costs less than a second try.
SHORT_BRANCH = 32
# While a download brings blocks, ours would be made on a stale head; one that brings nothing for so long does not
# keep a validator from its slots.
CATCH_UP_MS = 2_000
# Time for peers to say where they stand, before a validator that just started, or slept, makes a block.
START_PAUSE_MS = 900
# A node looks every slot: where it did not for so many, it was suspended or its clock jumped.
MAX_GAP_SLOTS = 5


class Sync:
    """What peers claim, and the one download that is under way."""

    def __init__(self) -> None:
        self._statuses: dict[Peer, Status] = {}
        self._download: tuple[Peer, GetBlocks] | None = None
        self._final_height = 0
        # At what height the next request to a peer begins; 0 for what is above the final block.
        self._cursors: dict[Peer, int] = {}
        # Peers that failed: (how often in a row, not to be asked before).
        self._resting: dict[Peer, tuple[int, int]] = {}
        self._started_ms: int | None = None
        self._news_ms = 0
        self._last_ms = 0

    @property
    def is_downloading(self) -> bool:
        """Whether blocks of a longer chain are on their way."""
        return self._download is not None

    @property
    def final_height(self) -> int:
        """Up to where the chain was final when the last download was asked for."""
        return self._final_height

    @property
    def statuses(self) -> dict[Peer, Status]:
        """The last claim of each peer."""
        return self._statuses

    def note(self, peer: Peer, status: Status) -> None:
        """A peer says where it stands."""
        self._statuses.pop(peer, None)
        self._statuses[peer] = status
        if len(self._statuses) > MAX_STATUSES:
            del self._statuses[next(iter(self._statuses))]

    def note_header(self, peer: Peer, header: Header) -> None:
        """A peer announced a block that does not attach: it claims to have the branch below it."""
        known = self._statuses.get(peer)
        status = Status(header.id, header.height, header.mhp, known.finalized_height if known else 0)
        if known is None or status.rank > known.rank:
            self.note(peer, status)

    def forget(self, peer: Peer) -> None:
        """A peer is gone, or its claim proved empty."""
        self._statuses.pop(peer, None)
        self._cursors.pop(peer, None)
        if self._download is not None and self._download[0] == peer:
            self._download = None

    def failed(self, peer: Peer, now_ms: int) -> None:
        """A peer's claim proved empty, or it did not answer: others come first for a while."""
        self.forget(peer)
        times, _ = self._resting.pop(peer, (0, 0))
        self._resting[peer] = (times + 1, now_ms + min(REST_MS << min(times, 16), MAX_REST_MS))
        if len(self._resting) > MAX_STATUSES:
            del self._resting[next(iter(self._resting))]

    def claimed_height(self, peer: Peer, tip_id: bytes) -> int | None:
        """The height that a peer claims for this tip, if it still claims it."""
        status = self._statuses.get(peer)
        return status.height if status is not None and status.head_id == tip_id else None

    def next_request(self, chain: Blockchain, now_ms: int) -> Ask | None:
        """Start the next download, if a peer claims a longer chain and none is under way."""
        if self._download is not None:
            return None
        head, final_height = chain.head.header, chain.finalized.height
        better = [
            (status.rank, peer)
            for peer, status in self._statuses.items()
            if status.rank > (head.mhp, head.height)
            and not self._rests(peer, now_ms)
            and status.height > final_height
            and status.head_id not in chain.tree
        ]
        if not better:
            self._cursors.clear()
            return None
        _, peer = max(better)
        status = self._statuses[peer]
        first = final_height + 1
        if peer in self._cursors:
            start = max(first, self._cursors[peer])
        elif status.height - final_height <= SHORT_BRANCH or status.height <= head.height:
            start = first
        else:
            start = head.height + 1
        start = min(start, status.height)
        count = min(MAX_BLOCKS_PER_REQUEST, status.height - start + 1)
        request = GetBlocks(status.head_id, start, count)
        self._download = (peer, request)
        self._final_height = final_height
        return Ask(peer, request)

    def is_expected(self, peer: Peer, request: Request) -> bool:
        """Whether this reply is the one that the download waits for."""
        return self._download == (peer, request)

    def received(self, peer: Peer, request: GetBlocks, *, last_height: int, attached: bool) -> bool:
        """Close a download that brought blocks up to ``last_height`` (0: none that could be used).

        False where the peer's claim proved empty: it does not lead to its head.

        Example: our head is at height 120, final is 100, and a peer claims 500.

        * We ask for 121 to 376.  The first block does not stand on our head, so the caller says ``last_height=121,
          attached=False``: we are on another branch than the peer.  The cursor is set to 0, and the next request
          begins after what is final, which is the same for all: 101 to 356.
        * These attach: ``last_height=356, attached=True``.  The next request is 357 to 500.
        * Had the block at 101 not attached either, the claim would be empty: there is no chain of this network that
          leads to it.
        """
        self._download = None
        is_first = peer not in self._cursors
        if last_height and attached:
            self._cursors[peer] = last_height + 1
            return True
        if last_height and is_first:
            self._cursors[peer] = 0  # we stand on another branch: begin after what is final
            return True
        return False

    def delivered(self, peer: Peer, now_ms: int) -> None:
        """A download brought blocks that we did not know."""
        self._resting.pop(peer, None)
        self._news_ms = now_ms

    def is_catching_up(self, now_ms: int, slot_ms: int, *, is_alone: bool) -> bool:
        """Whether our head is known, or likely, to be stale; nobody is ahead of the one who ``is_alone``.

        To be asked at least once a slot, so that a pause of the process shows.
        """
        if self._started_ms is None or not 0 <= now_ms - self._last_ms <= MAX_GAP_SLOTS * slot_ms:
            self._started_ms = self._news_ms = now_ms
        self._last_ms = now_ms
        just_started = 0 <= now_ms - self._started_ms < START_PAUSE_MS and not is_alone
        return just_started or (self.is_downloading and 0 <= now_ms - self._news_ms < CATCH_UP_MS)

    def _rests(self, peer: Peer, now_ms: int) -> bool:
        _, until_ms = self._resting.get(peer, (0, 0))
        return now_ms < until_ms <= now_ms + MAX_REST_MS  # a clock that jumped back must not silence a peer


def linked(request: GetBlocks, blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks of a reply, as long as they are one branch from the height asked for.  Raises :class:`Refused`."""
    parent, height = b"", request.from_height
    for block in blocks:
        header = block.header
        if header.height != height:
            raise Refused(Reason.WRONG_HEIGHT, f"height {header.height} where {height} comes next in the reply")
        if parent and header.parent != parent:
            raise Refused(Reason.UNSOLICITED, "the reply is not one branch")
        yield block
        parent, height = block.id, height + 1
