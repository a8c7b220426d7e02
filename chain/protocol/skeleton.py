"""The headers that are judged and whose blocks are not here yet: what peers have proven to exist.

They stand on the block tree, and are judged on their branch by the same rules, :mod:`chain.consensus.judgement`;
nothing is executed.  Only validators can sign headers, so that a claim made good here is worth more than any claim that
is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from chain.branches.blockchain import Blockchain
from chain.branches.blocktree import Judged
from chain.consensus.forkchoice import Rank
from chain.consensus.judgement import check_follows, judge
from chain.content.blocks import Heading


class Skeleton:
    """Judged headers by id, each standing on another or on the block tree."""

    def __init__(self) -> None:
        self._judged: dict[bytes, Judged] = {}

    def __contains__(self, block_id: bytes) -> bool:
        return block_id in self._judged

    def __len__(self) -> int:
        return len(self._judged)

    def add(self, chain: Blockchain, heading: Heading) -> bool:
        """Judge one more header; whether it is new.

        Raises :class:`Refused` as :meth:`~chain.branches.blockchain.Blockchain.check` does.
        """
        header = heading.header
        if header.id in self._judged or header.id in chain.tree:
            return False
        parent = self._judged.get(header.parent)
        if parent is None:
            judged = chain.check(header, heading.ballot, solicited=True)
        else:
            check_follows(header, parent.header)
            judged = Judged(header, judge(header, heading.ballot, parent.votes, chain.genesis.id))
        self._judged[header.id] = judged
        return True

    def rank(self, block_id: bytes) -> Rank | None:
        """What fork choice compares of a header, if it is here."""
        judged = self._judged.get(block_id)
        return None if judged is None else judged.rank

    def path(self, chain: Blockchain, tip_id: bytes) -> list[Judged]:
        """The headers up to ``tip_id``, oldest first; none where they do not stand on a valid block of the tree."""
        path: list[Judged] = []
        while (judged := self._judged.get(tip_id)) is not None:
            path.append(judged)
            tip_id = judged.header.parent
        stands = tip_id in chain.tree and not chain.tree[tip_id].invalid
        return path[::-1] if stands else []

    def keep(self, chain: Blockchain, tips: Iterable[bytes]) -> None:
        """Forget what is in the tree by now, what cannot stand on it any more, and what leads to none of ``tips``."""
        for block_id in [block_id for block_id in self._judged if block_id in chain.tree]:
            del self._judged[block_id]
        kept: dict[bytes, Judged] = {}
        for tip_id in tips:
            way: dict[bytes, Judged] = {}
            while tip_id not in kept and (judged := self._judged.get(tip_id)) is not None:
                way[tip_id] = judged
                tip_id = judged.header.parent
            if tip_id in kept or (tip_id in chain.tree and not chain.tree[tip_id].invalid):
                kept |= way
        self._judged = kept

    def leads_through(self, chain: Blockchain, tip_id: bytes, block_id: bytes) -> bool:
        """Whether the headers up to ``tip_id`` stand on a block that proved invalid, or are its own."""
        while (judged := self._judged.get(tip_id)) is not None and tip_id != block_id:
            tip_id = judged.header.parent
        return tip_id == block_id or (tip_id in chain.tree and chain.tree[tip_id].invalid)
