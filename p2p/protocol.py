"""The ledger's conversation: bytes of the network become events, effects become bytes.

Gossip is checked without the chain (size, form, signature, leader, clock) and passed on before the engine
sees it; whether a block is any good on its branch is the engine's to say, and never a reason to reject.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import trio

from chain.blocktree import CLOCK_DISPARITY_MS
from chain.errors import Disposition, Reason, Refused
from chain.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    BlockAnnounced,
    BlocksReceived,
    Effect,
    Event,
    GossipTransactions,
    MissingReceived,
    PeerLost,
    Penalise,
    Request,
    RequestFailed,
    StatusReceived,
    TransactionsReceived,
)
from chain.genesis import Genesis
from chain.headers import Header, decode_header
from chain.merkle import merkle_root
from chain.messages import (
    BATCH_TARGET_BYTES,
    MAX_ANNOUNCEMENT_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_TRANSACTIONS,
    MAX_MESSAGE_BYTES,
    MAX_REQUEST_BYTES,
    Announcement,
    GetBlocks,
    GetTransactions,
    RawItems,
    Status,
    cut_to_size,
)
from chain.transactions import VerifiedTransaction
from p2p import requests
from p2p.limits import Quota
from p2p.network import Transport
from p2p.reputation import Weight
from p2p.signatures import Signatures

if TYPE_CHECKING:
    from trio_typing import TaskStatus

log = logging.getLogger(__name__)

TRANSACTIONS = "transactions"
BLOCKS = "blocks"
# Transactions are collected this long, so that many travel in one message: gossip costs messages, not bytes.
BATCH_WAIT_S = 0.05
# Transactions waiting for their batch; more than the mempool takes is never offered.
MAX_OUTBOX = 40_000
# A megabyte takes 0.03 s on loopback; ten seconds is a slow line.
REQUEST_TIMEOUT_S = 10.0
STATUS_TIMEOUT_S = 5.0
# An announcement is made in its slot.  What comes later than this was held back, and sync brings it if it matters.
MAX_LATE_SLOTS = 1_024
# An honest leader makes one block a slot.  The second is evidence; more would be a flood that everyone forwards.
MAX_ANNOUNCED_PER_SLOT = 2
# What no honest peer even stores, so it did not come by it through others: a proof, where the rest is a suspicion.
_PROOFS = frozenset({Reason.MALFORMED, Reason.BAD_KEY, Reason.BAD_SIGNATURE})
# Failures that no honest peer causes; the others happen to anyone who is slow, busy or gone.
_BLAMED = frozenset({requests.Failure.TOO_LARGE, requests.Failure.MALFORMED})


class Backend(Protocol):
    """What the conversation needs of the node behind it."""

    genesis: Genesis

    def now_ms(self) -> int:
        """The wall clock."""

    def status(self) -> Status:
        """Where this node stands."""

    def is_known(self, block_id: bytes) -> bool:
        """Whether a block's announcement brings nothing new."""

    def check_leader(self, header: Header) -> None:
        """Refuse a header that its proposer cannot make: see :meth:`chain.blockchain.Blockchain.check_leader`."""

    def waiting(self, transaction_id: bytes) -> VerifiedTransaction | None:
        """A transaction in the mempool."""

    async def post(self, event: Event) -> None:
        """Queue an event for the engine; waits only while the queue is full."""

    async def read_blocks(self, request: GetBlocks) -> list[bytes]:
        """Stored blocks, encoded, at most a message full."""

    async def read_transactions(self, ids: Sequence[bytes]) -> list[bytes]:
        """Waiting or recently stored transactions, encoded."""


class LedgerProtocol:
    """One node's end of the conversation."""

    def __init__(self, node: Backend, transport: Transport, signatures: Signatures) -> None:
        self._node = node
        self._transport = transport
        self._signatures = signatures
        self._announced = Quota(MAX_ANNOUNCED_PER_SLOT, 2 * MAX_LATE_SLOTS)
        self._outbox: dict[bytes, VerifiedTransaction] = {}
        self._outbox_filled = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen and answer until cancelled; started once everything is registered and the network open."""
        peers, serve = self._transport.peers, self._transport.requests.serve
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            peers.local_hello = lambda: self._node.status().encode()
            peers.on_hello = self._on_hello
            peers.on_disconnected = lambda peer: self._spawn(self._node.post, PeerLost(peer))
            serve("status", self._serve_status, max_request=16, max_response=128, max_concurrent=32)
            serve("blocks", self._serve_blocks, max_request=64, max_response=MAX_MESSAGE_BYTES, max_concurrent=8)
            serve(
                "transactions",
                self._serve_transactions,
                max_request=MAX_REQUEST_BYTES,
                max_response=MAX_MESSAGE_BYTES,
                max_concurrent=8,
            )
            gossip = self._transport.gossip
            await gossip.subscribe(TRANSACTIONS, self._on_batch, max_bytes=MAX_BATCH_BYTES)
            await gossip.subscribe(BLOCKS, self._on_announcement, max_bytes=MAX_ANNOUNCEMENT_BYTES)
            self._transport.start()
            nursery.start_soon(self._send_batches)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None  # the transport outlives us and still reports lost peers

    # ------------------------------------------------------------------------------------------------ effects

    async def perform(self, effect: Effect) -> None:
        """Carry out an effect that concerns the network; others are ignored.  Never waits for the network."""
        match effect:
            case AnnounceBlock(block):
                ids = tuple(transaction.id for transaction in block.transactions)
                await self._transport.gossip.publish(BLOCKS, Announcement(block.header.raw, ids).encode())
            case GossipTransactions(transactions):
                self._offer(transactions)
            case Ask(peer, request):
                self._spawn(self._ask, peer, request)
            case AskStatus(peer):
                self._spawn(self._ask_status, peer)
            case Penalise(peer, refusal):
                self._penalise(peer, refusal)
            case _:
                pass

    def _spawn(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(task, *arguments)

    def _offer(self, transactions: Sequence[VerifiedTransaction]) -> None:
        for transaction in transactions[: MAX_OUTBOX - len(self._outbox)]:
            self._outbox[transaction.id] = transaction
        self._outbox_filled.set()

    async def _send_batches(self) -> None:
        while True:
            await self._outbox_filled.wait()
            await trio.sleep(BATCH_WAIT_S)
            self._outbox_filled = trio.Event()
            raws = [transaction.raw for transaction in self._outbox.values()]
            self._outbox.clear()
            while raws:
                batch = cut_to_size(raws[:MAX_BATCH_TRANSACTIONS], BATCH_TARGET_BYTES)
                del raws[: len(batch)]
                await self._transport.gossip.publish(TRANSACTIONS, RawItems(batch).encode())
                # publish() only queues: let the senders run before the next one.
                await trio.sleep(0)

    async def _ask(self, peer: str, request: Request) -> None:
        try:
            await self._node.post(await self._fetch(peer, request))
        except requests.RequestError as failure:
            log.info("request to %s failed: %s", peer, failure)
            self._blame(peer, failure)
            await self._node.post(RequestFailed(peer, request))
        except Refused as refusal:
            self._penalise(peer, refusal)
            await self._node.post(RequestFailed(peer, request))

    async def _fetch(self, peer: str, request: Request) -> Event:
        name = "blocks" if isinstance(request, GetBlocks) else "transactions"
        reply = await self._transport.requests.ask(
            peer, name, request.encode(), max_response=MAX_MESSAGE_BYTES, timeout_s=REQUEST_TIMEOUT_S
        )
        if isinstance(request, GetTransactions):
            items = RawItems.decode(reply, max_items=len(request.transaction_ids))
            return MissingReceived(peer, request, await self._signatures.transactions(items.items, for_block=True))
        items = RawItems.decode(reply, max_items=request.count)
        blocks = [await self._signatures.block(raw) for raw in items.items]
        return BlocksReceived(peer, request, tuple(blocks))

    async def _ask_status(self, peer: str) -> None:
        try:
            reply = await self._transport.requests.ask(
                peer, "status", b"", max_response=128, timeout_s=STATUS_TIMEOUT_S
            )
            await self._note_status(peer, reply)
        except requests.RequestError as failure:
            log.debug("no status from %s: %s", peer, failure)
            self._blame(peer, failure)
        except Refused as refusal:
            self._penalise(peer, refusal)

    def _blame(self, peer: str, failure: requests.RequestError) -> None:
        if failure.failure in _BLAMED:
            self._transport.peers.penalise(peer, Weight.INVALID, f"answers with what is no reply: {failure}")

    def _penalise(self, peer: str, refusal: Refused) -> None:
        weight = Weight.MALICE if refusal.reason in _PROOFS else Weight.INVALID
        if refusal.reason.disposition is Disposition.BLAME:
            self._transport.peers.penalise(peer, weight, f"sent what is refused: {refusal}")

    # ------------------------------------------------------------------------------------------------ gossip

    async def _on_batch(self, peer: str, data: bytes) -> bool:
        try:
            batch = RawItems.decode(data, max_items=MAX_BATCH_TRANSACTIONS, max_bytes=MAX_BATCH_BYTES)
            verified = await self._signatures.transactions(batch.items)
        except Refused as refusal:
            log.info("transactions from %s refused: %s", peer, refusal)
            return False
        await self._node.post(TransactionsReceived(peer, verified))
        return True

    async def _on_announcement(self, peer: str, data: bytes) -> bool:
        genesis = self._node.genesis
        try:
            announcement = Announcement.decode(data)
            header = decode_header(announcement.header)
            self._node.check_leader(header)
            # Also for a block that is known: a good header must not carry other ids through the network.
            if merkle_root(announcement.transaction_ids) != header.transaction_root:
                raise Refused(Reason.WRONG_TX_ROOT, "announced with other transactions than it commits to")
            if self._node.is_known(header.id):
                return True
            verified = await self._signatures.header(header)
        except Refused as refusal:
            if refusal.reason.disposition is not Disposition.BLAME:
                raise  # we are behind: dropped without blame
            log.info("announcement from %s refused: %s", peer, refusal)
            return False
        early_ms = genesis.slot_start_ms(header.slot) - self._node.now_ms()
        if early_ms > CLOCK_DISPARITY_MS:
            # Depends on our clock: dropped without blame, and fetched later if a chain builds on it.
            raise Refused(Reason.FUTURE_SLOT, f"slot {header.slot} begins in {early_ms} ms")
        if header.height <= self._node.status().finalized_height:
            # Anyone can send old announcements again, one after the other: they are good, but no news.
            raise Refused(Reason.CROSSES_FINALITY, f"height {header.height} is final here")
        if early_ms < -MAX_LATE_SLOTS * genesis.slot_ms:
            raise Refused(Reason.EXPIRED, f"slot {header.slot} began {-early_ms} ms ago")
        if not self._announced.take(header.slot):
            raise Refused(Reason.TREE_FULL, f"{MAX_ANNOUNCED_PER_SLOT} blocks of slot {header.slot} were announced")
        await self._node.post(BlockAnnounced(peer, verified, announcement.transaction_ids))
        return True

    # ---------------------------------------------------------------------------------------------- requests

    def _on_hello(self, peer: str, payload: bytes) -> None:
        self._spawn(self._greet, peer, payload)

    async def _greet(self, peer: str, payload: bytes) -> None:
        try:
            await self._note_status(peer, payload)
        except Refused as refusal:
            self._penalise(peer, refusal)

    async def _note_status(self, peer: str, data: bytes) -> None:
        """Pass on a claim that can be true.  Raises :class:`Refused` for one that never is."""
        status, genesis = Status.decode(data), self._node.genesis
        if max(status.mhp, status.finalized_height) > status.height:
            raise Refused(Reason.MALFORMED, "a status that contradicts itself")
        # No chain has more blocks than slots have begun.  That depends on our clock: ignored without blame.
        if status.height > max(0, genesis.slot_at(self._node.now_ms() + CLOCK_DISPARITY_MS)):
            log.info("peer %s claims height %d, for which there were too few slots", peer, status.height)
            return
        await self._node.post(StatusReceived(peer, status))

    async def _serve_status(self, _peer: str, _request: bytes) -> bytes:
        return self._node.status().encode()

    async def _serve_blocks(self, _peer: str, request: bytes) -> bytes:
        return RawItems(tuple(await self._node.read_blocks(GetBlocks.decode(request)))).encode()

    async def _serve_transactions(self, _peer: str, request: bytes) -> bytes:
        ids = GetTransactions.decode(request).transaction_ids
        return RawItems(tuple(await self._node.read_transactions(ids))).encode()
