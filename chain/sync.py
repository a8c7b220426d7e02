"""Whom to ask for what: how a node that is behind, or on a losing branch, gets the blocks it lacks.

One download runs at a time, from the peer that claims the longest chain.  Everything above our finalized block
is asked for by ancestry where it is short and by height where it is long, so that branches always attach.
"""

from __future__ import annotations

from chain.blockchain import Blockchain
from chain.blocks import Header
from chain.events import Ask, Peer, Request
from chain.messages import (
    MAX_ANCESTORS_PER_REQUEST,
    MAX_BLOCKS_PER_REQUEST,
    GetAncestors,
    GetBlocks,
    GetTransactions,
    Status,
)

# More claims than the peers that a node keeps; the oldest is forgotten first.
MAX_STATUSES = 256


class Sync:
    """What peers claim, and the one download that is under way."""

    def __init__(self) -> None:
        self._statuses: dict[Peer, Status] = {}
        self._download: tuple[Peer, Request] | None = None
        self._next_height: int | None = None

    @property
    def is_downloading(self) -> bool:
        """Whether blocks of a longer chain are on their way."""
        return self._download is not None

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
        if self._download is not None and self._download[0] == peer:
            self._download = None
            self._next_height = None

    def next_request(self, chain: Blockchain) -> Ask | None:
        """Start the next download, if a peer claims a longer chain and none is under way."""
        if self._download is not None:
            return None
        head = chain.head.header
        better = [
            (status.rank, peer)
            for peer, status in self._statuses.items()
            if status.rank > (head.mhp, head.height) and status.head_id not in chain.tree
        ]
        if not better:
            self._next_height = None
            return None
        _, peer = max(better)
        status = self._statuses[peer]
        final_height = chain.finalized.height
        request: Request
        if 0 < status.height - final_height <= MAX_ANCESTORS_PER_REQUEST:
            request = GetAncestors(status.head_id, status.height - final_height)
        else:
            start = head.height + 1 if self._next_height is None else self._next_height
            request = GetBlocks(max(start, final_height + 1), MAX_BLOCKS_PER_REQUEST)
        self._download = (peer, request)
        return Ask(peer, request)

    def is_expected(self, peer: Peer, request: Request) -> bool:
        """Whether this reply is the one that the download waits for."""
        return self._download == (peer, request)

    def received(self, peer: Peer, request: Request, *, last_height: int | None, attached: bool) -> bool:
        """Close a download.  False where the peer's claim proved empty: nothing it sent leads to its head."""
        if not self.is_expected(peer, request):
            return True
        self._download = None
        if isinstance(request, GetBlocks) and last_height is not None:
            if attached:
                self._next_height = last_height + 1
                return True
            # We stand on another branch than the peer: start again from what is final for both.
            if self._next_height is None:
                self._next_height = 0
                return True
        elif attached and isinstance(request, GetAncestors | GetTransactions):
            return True
        self._statuses.pop(peer, None)
        self._next_height = None
        return False
