"""What follows where the head moves: mempool, votes that were heard, and store are brought in line with it."""

from __future__ import annotations

from chain.base.errors import Refused
from chain.branches.blockchain import Added, Blockchain
from chain.protocol.events import Fault, Finalized, HeadMoved
from chain.protocol.heard import Heard
from chain.protocol.mempool import Mempool
from chain.protocol.outbox import Outbox
from chain.protocol.throttle import Throttle

# The state on disk follows what is final at most this often: what is busy is written once, half of all that storing
# costs at full speed.  A node that crashed executes so much again at its next start.
SETTLE_INTERVAL_MS = 4_000
MAX_UNSETTLED = 256
EXPIRE_EVERY_BLOCKS = 16


class Headway:
    """Keeps ``mempool``, ``heard`` and ``throttle`` in line with ``chain``, and tells ``out`` what is to be stored."""

    def __init__(self, chain: Blockchain, mempool: Mempool, heard: Heard, throttle: Throttle, out: Outbox) -> None:
        self._chain = chain
        self._mempool = mempool
        self._heard = heard
        self._throttle = throttle
        self._out = out
        self._last_settled_ms = 0

    def moved(self, added: Added, now_ms: int) -> None:
        """A block was added; most often it is the new head."""
        if not added.adopted:
            return
        self._out.store_move(added.abandoned, added.adopted)
        head = self._chain.head.header
        for block in added.adopted:
            self._mempool.discard(block.transactions, block.header.height)
        self._mempool.follow(self._chain.ledger.forgotten(len(added.adopted)), head.height)
        self._take_back(added)
        if head.height % EXPIRE_EVERY_BLOCKS == 0:
            self._mempool.expire(head.height + 1)
        delay_ms = now_ms - self._chain.genesis.slot_start_ms(head.slot)
        self._out.put(HeadMoved(head, len(added.adopted[-1].transactions), len(added.abandoned), delay_ms))
        self._tell_faults()
        self._throttle.note(
            transactions=max(len(block.transactions) for block in (*added.abandoned, *added.adopted)),
            delay_ms=delay_ms,
            was_beside=bool(added.abandoned),
        )
        if added.finalized:
            self._out.finalized_height = added.finalized[-1].height
            self._heard.drop(self._chain.finalized.height)
            self._mempool.became_final(self._chain.finalized.height, head.height + 1)
            self._out.put(Finalized(added.finalized[-1]))

    def go_back(self, tip: bytes) -> bool:
        """Leave what stands on the block that people let the chain go on from, or beside it; not where it is invalid.

        Whether the head is there now.
        """
        try:
            added = self._chain.return_to(tip)
        except Refused as refusal:
            text = f"block {tip.hex()[:12]}, from which people agreed to go on, proves invalid ({refusal}): agree anew"
            self._out.note("restart_refused", text)
            return False
        self._out.store_move(added.abandoned, added.adopted)
        for block in added.adopted:
            self._mempool.discard(block.transactions, block.header.height)
        self._take_back(added)
        return True

    def settle(self, now_ms: int) -> None:
        """Let the state on disk follow what is final, now and then."""
        unsettled = self._chain.unsettled
        since_ms = now_ms - self._last_settled_ms
        if unsettled and (not 0 <= since_ms < SETTLE_INTERVAL_MS or unsettled >= MAX_UNSETTLED):
            self._out.settled = self._chain.settle()
            self._last_settled_ms = now_ms

    def stop(self) -> None:
        """Before a clean end: the state on disk follows what is final.

        What this node acknowledged and no block holds yet, or one that may lose rules out, is kept for its next start.
        """
        self._out.settled = self._chain.settle(is_last=True)
        self._out.waiting = self._mempool.promised()

    def _tell_faults(self) -> None:
        for text in self._chain.ledger.faults:
            self._out.put(Fault(text))
        self._chain.ledger.faults.clear()

    def _take_back(self, added: Added) -> None:
        """What abandoned blocks ruled out may be possible again, and what they alone held waits for others."""
        if not added.abandoned:
            return
        head_height = self._chain.head.header.height
        held = {transaction.id for block in added.adopted for transaction in block.transactions}
        self._mempool.bring_back(head_height + 1)
        abandoned = (transaction for block in reversed(added.abandoned) for transaction in block.transactions)
        self._mempool.restore([transaction for transaction in abandoned if transaction.id not in held], head_height + 1)
        self._mempool.follow(self._mempool.actors, head_height)  # also those whom an abandoned block forgot
