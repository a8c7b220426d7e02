"""What proofs are made from (:class:`chain.documents.prover.ProofSource`): a state on disk, or a node's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from chain.base.errors import InvariantBroken, Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.headers import Header
from chain.disk.reader import Reader
from chain.documents.proof import Voting, needed
from chain.register.entries import Entry
from chain.register.state import decode_entry
from chain.tree import pages
from chain.tree.stateproof import Proof

# Headers come with whole blocks; 16 of the largest are 14 MB.
_READ_HEADERS = 16
# What a node reads in its own turn: a member with so many records is not proven by it, but from its home on disk.
MAX_READ_ENTRIES = 10_000
# Changes that a node takes back and makes again in its own turn: some 150 ms of it.
MAX_REWOUND = 5_000


class StoredState:
    """The state on disk; the caller holds the reader :meth:`~chain.disk.reader.Reader.consistent`.

    Of its tree no more is read than lies on the way to what is proved.
    """

    def __init__(self, reader: Reader, header: Header) -> None:
        """``header`` is the reader's snapshot header.  Raises :class:`Refused` where the stored state is not its."""
        self.header = header
        self._reader = reader
        self._count = reader.count_entries()
        try:
            is_its = pages.root(reader.pages, self._count) == header.state_root
        except InvariantBroken:  # a page is missing
            is_its = False
        if not is_its:
            raise Refused(Reason.WRONG_STATE_ROOT, "the stored state is not that of its header")

    def entry(self, key: bytes) -> Entry | None:
        """One entry of the state."""
        return self._reader.entry(key)

    def path(self, key: bytes) -> Proof:
        """The path of an entry, or of its absence."""
        return pages.prove(self._reader.pages, self._count, key)

    def decisions(self) -> list[int]:
        """The heights of the blocks so far that decided something about who votes."""
        return self._reader.decisions()

    def votings(self, first: int) -> Iterator[Voting]:
        """The main chain from a height to the head."""
        return _stored(self._reader, first)


class LiveState:
    """The newest final state of a running node, as far as a proof about one key needs it.

    It is taken in the node's turn, from the tree in its memory; nothing is built.  What it takes afterwards comes from
    the disk, and is final: it may be taken in another thread, while the chain goes on.
    """

    def __init__(self, chain: Blockchain, reader: Reader, key: bytes) -> None:
        """Take what is needed about ``key``.

        Raises :class:`Refused`: ``CROSSES_FINALITY`` where the head's branch alone proves nothing final that can be
        gone back to, ``TOO_LARGE`` where too much happened since for that, or for a member with very many records.
        """
        ledger, height = chain.ledger, chain.head.votes.finalized
        if not height or height < ledger.base_height:
            raise Refused(Reason.CROSSES_FINALITY, "the newest headers prove nothing final yet")
        if ledger.changes_above(height) > MAX_REWOUND:
            raise Refused(Reason.TOO_LARGE, f"more than {MAX_REWOUND} entries changed since height {height}")
        self._recent = [(block.header, block.ballot) for block in ledger.blocks()][::-1]
        self._settled = chain.settled
        self._height = height
        self._decisions = list(ledger.decisions(height))
        self._reader = reader
        self._entries: dict[bytes, Entry | None] = {}

        def read(at: bytes) -> Entry | None:
            if len(self._entries) >= MAX_READ_ENTRIES:
                raise Refused(Reason.TOO_LARGE, f"a node reads {MAX_READ_ENTRIES} entries in its turn, and no more")
            value = ledger.state.get(at)
            self._entries[at] = None if value is None else decode_entry(at, value)
            return self._entries[at]

        with ledger.rewound(height):
            shown = needed(key, read)
            for at in set(shown) - self._entries.keys():
                read(at)
            self._paths = {at: ledger.prove(at) for at in shown}

    @property
    def header(self) -> Header:
        """Whose state it is."""
        above = self._height - self._settled.height
        return self._recent[above - 1][0] if above else self._settled

    def entry(self, key: bytes) -> Entry | None:
        """One entry of those that were taken."""
        return self._entries[key]

    def path(self, key: bytes) -> Proof:
        """The path of one of those."""
        return self._paths[key]

    def decisions(self) -> list[int]:
        """The heights of the blocks up to the header that decided something about who votes."""
        known = {*self._reader.decisions(), *self._decisions}
        return sorted(height for height in known if height <= self._height)

    def votings(self, first: int) -> Iterator[Voting]:
        """The main chain from a height to what was the head."""
        settled = self._settled.height
        yield from takewhile(lambda voting: voting[0].height <= settled, _stored(self._reader, first))
        yield from self._recent[max(0, first - settled - 1) :]


def _stored(reader: Reader, first: int) -> Iterator[Voting]:
    while chunk := list(reader.votings(first, _READ_HEADERS)):
        yield from chunk
        first = chunk[-1][0].height + 1
