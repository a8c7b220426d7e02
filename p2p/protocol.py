"""The ledger's conversation: bytes of the network become events, effects become bytes.

What gossip and the relay bring goes to :mod:`p2p.reception`; what peers ask is answered by
:mod:`chain.protocol.serving`.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from chain.base.errors import Reason, Refused
from chain.base.keys import KEY_BYTES
from chain.content.blocks import Block
from chain.content.transactions import VerifiedTransaction
from chain.disk.bodies import Missing
from chain.protocol import serving
from chain.protocol.admission import Admission, AdmittedClaim, Blamed
from chain.protocol.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    BlocksReceived,
    Dismiss,
    Effect,
    Event,
    GossipTransactions,
    HeadingsReceived,
    MissingReceived,
    PeerLost,
    Penalise,
    ReplyUnderWay,
    Request,
    RequestFailed,
    SendAttestations,
    StatusReceived,
)
from chain.protocol.messages import (
    MAX_ANNOUNCEMENT_BYTES,
    MAX_BATCH_BYTES,
    MAX_MESSAGE_BYTES,
    MAX_PART_REQUEST_BYTES,
    Announcement,
    GetBlocks,
    GetHeadings,
    GetPart,
    GetStatus,
    GetTransactions,
    batches,
)
from chain.protocol.serving import Kind, Question
from p2p import requests
from p2p.backend import Backend
from p2p.lobby import Use
from p2p.network import Transport
from p2p.prices import PROOF, STATE, Prices
from p2p.reception import Reception
from p2p.refusals import Refusal, Why
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
# Until a reply begins: with its way it takes 0.5 s around the world, more where the line is full of other replies.
REQUEST_TIMEOUT_S = 10.0
# What arrives of a reply is told so often: who has to decide whether it comes too slowly looks at whole seconds.
PROGRESS_S = 1.0
STATUS_TIMEOUT_S = 5.0
# Parts of the state that are being given away, of 256 kB each.
MAX_PARTS_AT_ONCE = 4
# Failures that no honest peer causes; the others happen to anyone who is slow, busy or gone.
_BLAMED = frozenset({requests.Failure.TOO_LARGE, requests.Failure.MALFORMED})


T = TypeVar("T")


class LedgerProtocol:
    """One node's end of the conversation."""

    def __init__(self, node: Backend, transport: Transport, signatures: Signatures) -> None:
        self._node = node
        self._transport = transport
        self._signatures = signatures
        self._admission = Admission(node.genesis)
        self._reception = Reception(node, transport.peers, signatures, self._admission)
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
            self._transport.requests.dues.prices = Prices()
            for kind in serving.KINDS:
                serve(
                    kind.name,
                    partial(self._serve, kind),
                    max_request=kind.max_request,
                    max_response=kind.max_reply,
                    max_concurrent=kind.max_concurrent,
                )
            # One at a time, of whomever.
            serve(PROOF, self._prove, max_request=KEY_BYTES, max_response=MAX_MESSAGE_BYTES, max_concurrent=1)
            serve(
                STATE,
                self._give,
                max_request=MAX_PART_REQUEST_BYTES,
                max_response=MAX_MESSAGE_BYTES,
                max_concurrent=MAX_PARTS_AT_ONCE,
            )
            gossip = self._transport.gossip
            await gossip.subscribe(TRANSACTIONS, self._reception.on_batch, max_bytes=MAX_BATCH_BYTES)
            await gossip.subscribe(BLOCKS, self._reception.on_announcement, max_bytes=MAX_ANNOUNCEMENT_BYTES)
            self._transport.relay.serve(self._reception.on_attestations, lambda: gossip.mesh(BLOCKS))
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
                announcement = Announcement(block.header.raw, block.ballot.raw, ids)
                await self._transport.gossip.publish(BLOCKS, announcement.encode())
            case SendAttestations(attestations):
                self._transport.relay.send(attestation.raw for attestation in attestations)
            case GossipTransactions(transactions):
                self._offer(transactions)
            case Ask(peer, request):
                self._spawn(self._ask, peer, request)
            case AskStatus(peer):
                self._spawn(self._ask_status, peer)
            case Penalise(peer, refusal):
                self._transport.peers.refuse(peer, refusal)
            case Dismiss(peer):
                self._transport.peers.penalise(peer, Weight.EXCESS, "claims a chain that it does not serve")
                self._transport.peers.disconnect(peer, Refusal(Why.UNSERVED))
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
            for batch in batches(raws):
                await self._transport.gossip.publish(TRANSACTIONS, batch.encode())
                # publish() only queues: let the senders run before the next one.
                await trio.sleep(0)

    async def _ask(self, peer: str, request: Request) -> None:
        try:
            await self._node.post(await self._fetch(peer, request))
        except requests.RequestError as failure:
            log.info("request to %s failed: %s", peer, failure)
            self._blame(peer, failure)
            is_refused = failure.failure is requests.Failure.REFUSED
            await self._node.post(RequestFailed(peer, request, is_refused))
        except Refused as refusal:
            self._transport.peers.refuse(peer, refusal)
            await self._node.post(RequestFailed(peer, request))

    async def _fetch(self, peer: str, request: Request) -> Event:
        items = serving.read_reply(request, await self._reply(peer, request, REQUEST_TIMEOUT_S))
        match request:
            case GetTransactions():
                return MissingReceived(peer, request, await self._signatures.transactions(items, for_block=True))
            case GetHeadings():
                return HeadingsReceived(peer, request, self._good_of(peer, *await self._signatures.headings(items)))
            case GetBlocks():
                blocks = self._good_of(peer, *await self._signatures.blocks(items))
                if blocks:
                    self._transport.peers.credit(peer, Use.DELIVERED)
                return BlocksReceived(peer, request, blocks)

    async def bring(self, missing: Sequence[Missing]) -> tuple[Block, ...]:
        """Old blocks of one branch, lowest first, of whichever connected peer has them; () where none has."""
        wanted = {each.id for each in missing}
        request = GetBlocks(missing[-1].id, missing[0].height, missing[-1].height - missing[0].height + 1)
        for peer in self._transport.peers.connected():
            try:
                event = await self._fetch(peer.peer_id, request)
            except requests.RequestError as failure:
                self._blame(peer.peer_id, failure)
            except Refused as refusal:
                self._transport.peers.refuse(peer.peer_id, refusal)
            else:
                blocks = event.blocks if isinstance(event, BlocksReceived) else ()
                if any(block.id in wanted for block in blocks):
                    return tuple(block for block in blocks if block.id in wanted)
        return ()

    def _good_of(self, peer: str, good: tuple[T, ...], refusal: Refused | None) -> tuple[T, ...]:
        """What comes before the first bad item of a reply, which is held against the peer; if it is all bad, no reply.

        Raises :class:`Refused`.
        """
        if refusal is not None and not good:
            raise refusal
        if refusal is not None:
            self._transport.peers.refuse(peer, refusal)
        return good

    async def _reply(self, peer: str, question: Question, timeout_s: float) -> bytes:
        kind, told_at = serving.kind_of(question), -PROGRESS_S  # how large it is, at once

        def tell(received: int, size: int) -> None:
            nonlocal told_at
            if not isinstance(question, GetStatus) and trio.current_time() - told_at >= PROGRESS_S:
                told_at = trio.current_time()
                self._spawn(self._node.post, ReplyUnderWay(peer, question, received, size))

        return await self._transport.requests.ask(
            peer, kind.name, question.encode(), max_response=kind.max_reply, timeout_s=timeout_s, on_progress=tell
        )

    async def _ask_status(self, peer: str) -> None:
        try:
            await self._note_status(peer, await self._reply(peer, GetStatus(), STATUS_TIMEOUT_S))
        except requests.RequestError as failure:
            log.debug("no status from %s: %s", peer, failure)
            self._blame(peer, failure)

    def _blame(self, peer: str, failure: requests.RequestError) -> None:
        if failure.failure in _BLAMED:
            self._transport.peers.penalise(peer, Weight.INVALID, f"answers with what is no reply: {failure}")

    # ---------------------------------------------------------------------------------------------- requests

    def _on_hello(self, peer: str, payload: bytes) -> None:
        self._spawn(self._note_status, peer, payload)

    async def _note_status(self, peer: str, data: bytes) -> None:
        match self._admission.claim(data, peer, self._node.now_ms()):
            case AdmittedClaim() as claim:
                self._note_validator(peer, claim.status.credential.key)
                await self._node.post(StatusReceived(peer, claim))
            case Blamed(refusal):
                self._transport.peers.refuse(peer, refusal)

    def _note_validator(self, peer: str, key: bytes) -> None:
        peers, speakers = self._transport.peers, self._node.chain.electorate.speakers
        former = peers.release(speakers)
        if key in speakers:
            former += peers.reserve(peer, key)
        for each in former:
            self._transport.gossip.vouch(each, False)
        self._transport.gossip.vouch(peer, key in speakers)

    async def _serve(self, kind: Kind, peer: str, question: bytes) -> bytes:
        self._transport.peers.credit(peer, Use.ASKED)
        with requests.reading():
            asked = kind.decode(question)
        return await self._node.answer(asked)

    async def _prove(self, peer: str, key: bytes) -> bytes:
        self._transport.peers.credit(peer, Use.ASKED)
        with requests.reading():
            if len(key) != KEY_BYTES:
                raise Refused(Reason.MALFORMED, f"a proof is about a key, which has {KEY_BYTES} bytes")
        proof = await self._node.prove(key)
        if len(proof) > MAX_MESSAGE_BYTES:
            raise Refused(Reason.TOO_LARGE, f"the proof has {len(proof)} bytes, a reply holds {MAX_MESSAGE_BYTES}")
        return proof

    async def _give(self, peer: str, question: bytes) -> bytes:
        self._transport.peers.credit(peer, Use.ASKED)
        with requests.reading():
            asked = GetPart.decode(question)
        return await self._node.give(asked)
