"""What a node says to peers that ask it something, as the node's own rules of serving have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chain.base.errors import Reason, Refused
from chain.content.blocks import Block, encode_block, heading_of
from chain.content.transactions import VerifiedTransaction
from chain.protocol import serving
from chain.protocol.credentials import Credential
from chain.protocol.engine import Engine
from chain.protocol.events import Request
from chain.protocol.messages import GetStatus, Status
from scripts.simulation.clocks import Clocks
from scripts.simulation.disk import Disk


class Answering:
    """Whoever has an engine and a disk; a machine that is frozen says nothing."""

    engine: Engine
    disk: Disk
    clocks: Clocks
    credential: Credential

    def status_for(self, peer: str) -> bytes | None:
        """What this node says about itself; None where it says nothing."""
        return serving.answer(GetStatus(), self) if peer and not self.clocks.is_frozen else None

    def answer(self, request: Request) -> bytes | None:
        """The reply to a request, as much as one message can hold; None where none is given.

        Raises :class:`Refused` ``BODY_GONE``.
        """
        return serving.answer(request, self) if not self.clocks.is_frozen else None

    def status(self) -> Status:
        return self.engine.status(self.clocks.now_ms, self.credential)

    def waiting(self, transaction_id: bytes) -> VerifiedTransaction | None:
        return self.engine.mempool.get(transaction_id)

    def newest_blocks(self) -> Iterable[Block]:
        return self.engine.chain.ledger.blocks()

    def branch(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        if from_height < self.disk.oldest:
            raise Refused(Reason.BODY_GONE, f"the transactions of height {from_height} are not here")
        return map(encode_block, self.find_branch(tip_id, from_height))

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return (heading_of(encode_block(block)) for block in self.find_branch(tip_id, from_height))

    def find_branch(self, tip_id: bytes, from_height: int) -> list[Block]:
        """The blocks that this node has of a branch."""
        return self.disk.branch(tip_id, from_height)
