"""The ledger's conversation over real transports on loopback; the nodes behind it are fakes that take notes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest
import trio

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from chain.branches.blockchain import Blockchain
from chain.consensus.ballots import EMPTY, make_ballot
from chain.consensus.electorate import Decision
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Enrol, Rate
from chain.content.blocks import MAX_BLOCK_TRANSACTIONS, Block, encode_block, heading_of
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction, sign_transaction
from chain.disk.bodies import Missing
from chain.protocol import serving
from chain.protocol.admission import CLOCK_DISPARITY_MS, MAX_LATE_SLOTS
from chain.protocol.credentials import sign_credential
from chain.protocol.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    BlockAnnounced,
    BlocksReceived,
    Event,
    GossipTransactions,
    HeadingsReceived,
    MissingReceived,
    PeerLost,
    Penalise,
    Request,
    RequestFailed,
    StatusReceived,
    Tick,
    TransactionsReceived,
)
from chain.protocol.messages import (
    BATCH_TARGET_BYTES,
    MAX_ANNOUNCEMENT_BYTES,
    MAX_BATCH_BYTES,
    MAX_BATCH_TRANSACTIONS,
    MAX_MESSAGE_BYTES,
    Announcement,
    GetBlocks,
    GetHeadings,
    GetPart,
    GetTransactions,
    RawItems,
    Status,
)
from chain.protocol.serving import Question
from chain.tree.ranges import WHOLE
from p2p import requests
from p2p.dues import Inquiry
from p2p.network import Transport, open_transport
from p2p.prices import PROOF, PROOF_BYTES, STATE
from p2p.protocol import BLOCKS, TRANSACTIONS, LedgerProtocol
from p2p.reputation import BLAMED, REFUSED, Weight
from p2p.signatures import Signatures
from tests.support.forge import Forge, announced, blockchain, claimed, heading
from tests.support.world import Actor, genesis_of, secret
from tests.unit.p2p.net import PATIENCE_S, config_of, peer_id_of, until

if TYPE_CHECKING:
    from trio_typing import TaskStatus

T = TypeVar("T")

NETWORK = genesis_of(4)
STANDING = Status(bytes(32), 0, 0, 0)
SLOT = 1000  # on every fake node's clock


@pytest.fixture(autouse=True)
def _quick_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.meshsub.router.HEARTBEAT_S", 0.05)


class FakeNode:
    """A node that knows what the test tells it and remembers what it is given."""

    def __init__(self, genesis: Genesis) -> None:
        self.genesis = genesis
        self.chain = Blockchain(genesis)
        self.posted: list[Event] = []
        self.mempool: dict[bytes, VerifiedTransaction] = {}
        self.blocks: list[Block] = []
        self.proof_size = 1
        self.standing = Status(bytes(32), 0, 0, 0)
        self.time_ms = genesis.slot_start_ms(SLOT)
        self.has_room = self.takes_strangers = True

    def now_ms(self) -> int:
        return self.time_ms

    def status(self) -> Status:
        return self.standing

    def waiting(self, transaction_id: bytes) -> VerifiedTransaction | None:
        return self.mempool.get(transaction_id)

    async def post(self, event: Event) -> None:
        self.posted.append(event)

    async def answer(self, question: Question) -> bytes:
        return serving.answer(question, self)

    async def prove(self, key: bytes) -> bytes:
        if key == bytes(32):
            raise Refused(Reason.CROSSES_FINALITY, "nothing final yet")
        return key * self.proof_size

    async def give(self, question: GetPart) -> bytes:
        if question.root == bytes(32):
            raise Refused(Reason.NOT_EXECUTED, "another state by now")
        return question.root

    def newest_blocks(self) -> Iterable[Block]:
        return ()

    def branch(self, _tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return map(encode_block, self.blocks[from_height - 1 :])

    def headings(self, tip_id: bytes, from_height: int) -> Iterator[bytes]:
        return map(heading_of, self.branch(tip_id, from_height))


class Party:
    """One end of the conversation."""

    def __init__(self, transport: Transport, protocol: LedgerProtocol, node: FakeNode) -> None:
        self.transport = transport
        self.protocol = protocol
        self.node = node
        self._scope = trio.CancelScope()
        self._ended = trio.Event()

    async def live(self, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self._scope:
            await self.protocol.run(task_status)
        self._ended.set()

    async def stop(self) -> None:
        """End the conversation; the transport stays."""
        self._scope.cancel()
        await self._ended.wait()

    @property
    def peer_id(self) -> str:
        return self.transport.peer_id

    @property
    def address(self) -> str:
        return self.transport.listen_addresses[0]

    def events(self, kind: type[T]) -> list[T]:
        """What was posted of one kind."""
        return [event for event in self.node.posted if isinstance(event, kind)]

    def score(self, peer_id: str) -> float:
        """What the peer has on its account; infinite for one that is gone."""
        scores = {info.peer_id: info.score for info in self.transport.peers.connected()}
        return scores.get(peer_id, float("inf"))

    async def ready_for(self, peer_id: str) -> None:
        """Wait until the peer is connected, in both meshes, and has said where it stands."""
        gossip = self.transport.gossip
        await until(lambda: peer_id in gossip.mesh(TRANSACTIONS) & gossip.mesh(BLOCKS))
        await until(lambda: peer_id in {event.peer for event in self.events(StatusReceived)})
        await until(lambda: self.score(peer_id) == 0)


@asynccontextmanager
async def party(number: int, *, bootstrap: tuple[str, ...] = ()) -> AsyncIterator[Party]:
    node = FakeNode(NETWORK)
    async with open_transport(config_of(number, bootstrap=bootstrap)) as transport, trio.open_nursery() as nursery:
        made = Party(transport, LedgerProtocol(node, transport, Signatures(NETWORK.id, node.waiting)), node)
        await nursery.start(made.live)
        yield made
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def two_parties() -> AsyncIterator[tuple[Party, Party]]:
    async with party(1) as first, party(2, bootstrap=(first.address,)) as second:
        await first.ready_for(second.peer_id)
        await second.ready_for(first.peer_id)
        yield first, second


class Rogue:
    """A peer with our transport and none of our manners: it says and answers what the test wants."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.peer_id = transport.peer_id
        self.heard: list[bytes] = []

    async def hear(self, _peer_id: str, data: bytes) -> bool:
        self.heard.append(data)
        return True

    async def say(self, topic: str, data: bytes) -> None:
        await self.transport.gossip.publish(topic, data)

    def answer(self, name: str, handler: Callable[[], Awaitable[bytes]]) -> None:
        async def handle(_peer_id: str, _request: bytes) -> bytes:
            return await handler()

        self.transport.requests.serve(name, handle, max_request=10**6, max_response=2 * 10**6, max_concurrent=8)


@asynccontextmanager
async def rogue(number: int, victim: Party, *, hello: bytes | None = None) -> AsyncIterator[Rogue]:
    async with open_transport(config_of(number, bootstrap=(victim.address,))) as transport:
        greeting = Status(bytes(32), 0, 0, 0).encode() if hello is None else hello
        transport.peers.local_hello = lambda: greeting
        peer = Rogue(transport)
        for topic in (TRANSACTIONS, BLOCKS):
            await transport.gossip.subscribe(topic, peer.hear, max_bytes=1_000_000)
        transport.start()
        if hello is None:
            await victim.ready_for(peer.peer_id)
            await until(lambda: victim.peer_id in transport.gossip.mesh(TRANSACTIONS) & transport.gossip.mesh(BLOCKS))
        yield peer


def enrolments(count: int, genesis: Genesis = NETWORK) -> tuple[VerifiedTransaction, ...]:
    return tuple(Actor(genesis, 1_000 + number).sign(Enrol()) for number in range(count))


def announcement(block: Block, ids: Sequence[bytes] | None = None) -> bytes:
    named = [transaction.id for transaction in block.transactions] if ids is None else ids
    return Announcement(block.header.raw, block.ballot.raw, tuple(named)).encode()


def spoilt(raw: bytes) -> bytes:
    """With another signature."""
    return raw[:-1] + bytes([raw[-1] ^ 1])


# ------------------------------------------------------------------------------------------------------ gossip


async def test_an_announced_block_arrives_once_with_a_checked_header() -> None:
    forge = Forge(NETWORK)
    block = forge.block(None, enrolments(3))
    later = forge.block(block)
    async with two_parties() as (sender, receiver):
        await sender.protocol.perform(AnnounceBlock(block))
        await sender.protocol.perform(AnnounceBlock(block))
        await until(lambda: receiver.events(BlockAnnounced))
        await sender.protocol.perform(AnnounceBlock(later))
        await until(lambda: len(receiver.events(BlockAnnounced)) >= 2)
        assert receiver.events(BlockAnnounced) == [announced(block, sender.peer_id), announced(later, sender.peer_id)]
        assert not sender.events(BlockAnnounced)


async def test_a_thousand_transactions_travel_in_a_few_messages_and_in_order() -> None:
    sent = enrolments(1_000)
    async with two_parties() as (sender, receiver):
        for start in range(0, len(sent), 100):
            await sender.protocol.perform(GossipTransactions(sent[start : start + 100]))

        def heard() -> list[tuple[VerifiedTransaction, ...]]:
            return [event.batch.transactions for event in receiver.events(TransactionsReceived)]

        await until(lambda: sum(map(len, heard())) >= 1_000)
        batches = heard()
        total = sum(len(transaction.raw) + 5 for transaction in sent)
        assert len(batches) <= total // BATCH_TARGET_BYTES + 3
        for batch in batches:
            assert sum(len(transaction.raw) for transaction in batch) <= BATCH_TARGET_BYTES
        # Batches are checked side by side, so one may overtake another; within one the order is kept.
        place = {transaction.id: number for number, transaction in enumerate(sent)}
        batches.sort(key=lambda batch: place[batch[0].id])
        assert [transaction for batch in batches for transaction in batch] == list(sent)


async def test_the_outbox_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.protocol.MAX_OUTBOX", 3)
    sent = enrolments(5)
    async with two_parties() as (sender, receiver):
        await sender.protocol.perform(GossipTransactions(sent))
        await sender.protocol.perform(GossipTransactions(sent))
        await until(lambda: receiver.events(TransactionsReceived))
        assert receiver.events(TransactionsReceived)[0].batch.transactions == sent[:3]


def hostile_batches() -> dict[str, bytes]:
    good, other = enrolments(2)
    foreign = enrolments(1, genesis_of(3))[0]
    return {
        "garbage": b"\xc1garbage",
        "not-a-list": encode((1, 2)),
        "not-canonical": b"\xdc\x00\x01\xc4\x01x",
        "empty-transaction": encode((b"",)),
        "too-large": bytes(MAX_BATCH_BYTES + 1),
        "too-many": RawItems((good.raw,) * (MAX_BATCH_TRANSACTIONS + 1)).encode()[:MAX_BATCH_BYTES],
        "wrong-signature": RawItems((spoilt(good.raw),)).encode(),
        "one-wrong-signature-among-good-ones": RawItems((good.raw, spoilt(other.raw))).encode(),
        "another-network": RawItems((foreign.raw,)).encode(),
    }


async def test_a_full_node_does_not_even_read_what_is_passed_on(caplog: pytest.LogCaptureFixture) -> None:
    sent = enrolments(1)
    async with party(1) as victim, rogue(9, victim) as peer:
        victim.node.has_room = False
        with caplog.at_level(logging.INFO):
            await peer.say(TRANSACTIONS, b"\xc1garbage")
            await until(lambda: "pool_full" in caplog.text)
        assert victim.score(peer.peer_id) == 0
        victim.node.has_room = True
        await peer.say(TRANSACTIONS, RawItems((sent[0].raw,)).encode())
        await until(lambda: victim.events(TransactionsReceived))


async def test_where_too_many_strangers_wait_no_more_of_their_signatures_are_looked_at() -> None:
    sent = enrolments(2)
    async with party(1) as victim, rogue(9, victim) as peer:
        victim.node.takes_strangers = False
        member = sign_transaction(secret(1), NETWORK.id, 0, 100, Enrol())  # validators have accounts
        await peer.say(TRANSACTIONS, RawItems((spoilt(sent[0].raw), member.raw, sent[1].raw)).encode())
        await until(lambda: victim.events(TransactionsReceived))
        (event,) = victim.events(TransactionsReceived)
        assert event.batch.transactions == (member,)
        assert victim.score(peer.peer_id) == 0


@pytest.mark.parametrize("case", sorted(hostile_batches()))
async def test_a_hostile_batch_is_refused_and_blamed(case: str) -> None:
    async with party(1) as victim, rogue(9, victim) as peer:
        await peer.say(TRANSACTIONS, hostile_batches()[case])
        await until(lambda: victim.score(peer.peer_id) > Weight.INVALID - 1)
        assert not victim.events(TransactionsReceived)


def hostile_announcements() -> dict[str, bytes]:
    forge = Forge(NETWORK)
    block = forge.block(None, enrolments(2))
    header, ballot = block.header, block.ballot.raw
    stolen = forge.block(None, slot=3, signer=secret(3))
    ids = [transaction.id for transaction in block.transactions]
    keyless = replace(header, raw=header.raw.replace(header.proposer, bytes(32)))
    return {
        "garbage": b"\xc1garbage",
        "no-header": encode((1, ballot, b"")),
        "no-ballot": encode((header.raw, 1, b"")),
        "half-a-ballot": encode((header.raw, ballot[:-1], b"")),
        "another-ballot": Announcement(header.raw, make_ballot((), Decision(barred=((),))).raw, tuple(ids)).encode(),
        "half-an-id": encode((header.raw, ballot, bytes(31))),
        "too-many-ids": encode((header.raw, ballot, bytes(32 * (MAX_BLOCK_TRANSACTIONS + 1)))),
        "too-large": bytes(MAX_ANNOUNCEMENT_BYTES + 1),
        "header-cut-short": encode((header.raw[:64], ballot, b"")),
        "wrong-signature": announcement(replace(block, header=replace(header, raw=spoilt(header.raw)))),
        "wrong-leader": announcement(stolen),
        "small-order-key": announcement(replace(block, header=keyless)),
        "fewer-transactions": announcement(block, ids[:1]),
        "other-order": announcement(block, ids[::-1]),
        "other-network": announcement(Forge(genesis_of(4, slot_ms=999)).block()),
    }


@pytest.mark.parametrize("case", sorted(hostile_announcements()))
async def test_a_hostile_announcement_is_refused_and_blamed(case: str) -> None:
    async with party(1) as victim, rogue(9, victim) as peer:
        await peer.say(BLOCKS, hostile_announcements()[case])
        await until(lambda: victim.score(peer.peer_id) > Weight.INVALID - 1)
        assert not victim.events(BlockAnnounced)


async def test_what_is_refused_is_not_passed_on() -> None:
    forge = Forge(NETWORK)
    good, bad = forge.block(None, enrolments(2)), forge.block(None, slot=2)
    async with party(1) as victim, rogue(8, victim) as witness, rogue(9, victim) as peer:
        witness.transport.peers.block({peer.peer_id})  # hears it through the victim or not at all
        for raw in (announcement(bad, [bytes(32)]), announcement(good)):
            await peer.say(BLOCKS, raw)
        await until(lambda: announcement(good) in witness.heard)
        await until(lambda: victim.score(peer.peer_id) > 0)
        assert announcement(bad, [bytes(32)]) not in witness.heard


async def test_a_block_of_the_future_is_dropped_without_blame(caplog: pytest.LogCaptureFixture) -> None:
    forge = Forge(NETWORK)
    early, late = forge.block(None, slot=SLOT + 1), forge.block(None, slot=SLOT + 2)
    async with party(1) as victim, rogue(9, victim) as peer:
        victim.node.time_ms = NETWORK.slot_start_ms(SLOT + 1) - CLOCK_DISPARITY_MS - 1
        with caplog.at_level(logging.INFO):
            await peer.say(BLOCKS, announcement(early))
            await until(lambda: "future_slot" in caplog.text)
        victim.node.time_ms = NETWORK.slot_start_ms(SLOT + 2) - CLOCK_DISPARITY_MS
        await peer.say(BLOCKS, announcement(late))
        await until(lambda: victim.events(BlockAnnounced))
        assert [event.announcement.header for event in victim.events(BlockAnnounced)] == [late.header]
        assert victim.score(peer.peer_id) == 0


async def test_a_leader_that_nobody_can_know_yet_is_dropped_without_blame(caplog: pytest.LogCaptureFixture) -> None:
    # given a node that is far behind, where other validators may be in force by now
    forge = Forge(NETWORK)
    ahead = forge.block(None, slot=9, signer=secret(3), height=9, parent=bytes([7]) * 32)
    known = forge.block(None, slot=10)
    async with party(1) as victim, rogue(9, victim) as peer:
        with caplog.at_level(logging.INFO):
            await peer.say(BLOCKS, announcement(ahead))
            await until(lambda: "not_executed" in caplog.text)
        await peer.say(BLOCKS, announcement(known))
        await until(lambda: victim.events(BlockAnnounced))
        assert [event.announcement.header.id for event in victim.events(BlockAnnounced)] == [known.id]
        assert victim.score(peer.peer_id) == 0


async def test_an_announcement_below_what_is_final_goes_no_further(caplog: pytest.LogCaptureFixture) -> None:
    old, *others, new = Forge(NETWORK).chain(7)
    async with party(1) as victim, rogue(8, victim) as witness, rogue(9, victim) as peer:
        victim.node.chain = blockchain(NETWORK, [old, *others])
        witness.transport.peers.block({peer.peer_id})
        with caplog.at_level(logging.INFO):
            await peer.say(BLOCKS, announcement(old))
            await until(lambda: "crosses_finality" in caplog.text)
        await peer.say(BLOCKS, announcement(new))
        await until(lambda: announcement(new) in witness.heard)
        assert [event.announcement.is_news for event in victim.events(BlockAnnounced)] == [False, True]
        assert announcement(old) not in witness.heard
        assert victim.score(peer.peer_id) == 0


async def test_a_known_block_is_passed_on_but_not_handed_up_nor_under_other_ids() -> None:
    block = Forge(NETWORK).block(None, enrolments(2))
    async with party(1) as victim, rogue(8, victim) as witness, rogue(9, victim) as peer:
        victim.node.chain.add(block, arrived_in_slot=True)
        witness.transport.peers.block({peer.peer_id})
        await peer.say(BLOCKS, announcement(block))
        await until(lambda: announcement(block) in witness.heard)
        assert victim.score(peer.peer_id) == 0
        await peer.say(BLOCKS, announcement(block, [bytes(32)]))
        await until(lambda: victim.score(peer.peer_id) > 0)
        assert not victim.events(BlockAnnounced)
        assert witness.heard == [announcement(block)]


# ---------------------------------------------------------------------------------------------------- requests


async def test_blocks_transactions_and_status_are_asked_and_answered() -> None:
    blocks = Forge(NETWORK).chain(3)
    waiting = enrolments(3)
    async with two_parties() as (asker, server):
        server.node.blocks = blocks
        server.node.mempool = {item.id: item for item in waiting[:2]}
        server.node.standing = Status(blocks[-1].id, 3, 1, 1)
        get_headings, get_blocks = GetHeadings(blocks[-1].id, 2, 5), GetBlocks(blocks[-1].id, 2, 5)
        get_transactions = GetTransactions(tuple(item.id for item in waiting))
        await asker.protocol.perform(Ask(server.peer_id, get_headings))
        await asker.protocol.perform(Ask(server.peer_id, get_blocks))
        await asker.protocol.perform(Ask(server.peer_id, get_transactions))
        await asker.protocol.perform(AskStatus(server.peer_id))
        await until(lambda: asker.events(BlocksReceived) and asker.events(MissingReceived))
        await until(lambda: asker.events(HeadingsReceived))
        await until(lambda: len(asker.events(StatusReceived)) >= 2)
        headings = tuple(map(heading, blocks[1:]))
        assert asker.events(HeadingsReceived) == [HeadingsReceived(server.peer_id, get_headings, headings)]
        assert asker.events(BlocksReceived) == [BlocksReceived(server.peer_id, get_blocks, tuple(blocks[1:]))]
        assert asker.events(MissingReceived) == [MissingReceived(server.peer_id, get_transactions, waiting[:2])]
        assert asker.events(StatusReceived)[-1] == claimed(server.peer_id, server.node.standing)


@pytest.mark.parametrize("name", ["headings", "blocks", "transactions", PROOF, STATE])
async def test_a_request_that_cannot_be_read_is_refused_and_held_against_its_sender(name: str) -> None:
    async with party(1) as victim, rogue(9, victim) as peer:
        with pytest.raises(requests.RequestError, match="malformed") as caught:
            await peer.transport.requests.ask(
                victim.peer_id, name, b"\x92junk", max_response=1_000, timeout_s=PATIENCE_S
            )
        assert caught.value.failure is requests.Failure.REFUSED
        assert victim.score(peer.peer_id) > 20


async def test_a_proof_is_made_for_who_asks_and_costs_more_than_its_bytes() -> None:
    key = bytes(range(32))
    async with party(1) as server, rogue(9, server) as peer:

        async def prove(asked: bytes) -> bytes:
            ask = peer.transport.requests.ask
            return await ask(server.peer_id, PROOF, asked, max_response=MAX_MESSAGE_BYTES, timeout_s=PATIENCE_S)

        assert await prove(key) == key
        order = server.transport.requests.dues.prices.order(Inquiry(PROOF, peer.peer_id, "", key))
        assert (order.debtor(), order.price(key)) == (peer.peer_id, len(key) + PROOF_BYTES)
        with pytest.raises(requests.RequestError, match="crosses_finality") as caught:
            await prove(bytes(32))
        assert caught.value.failure is requests.Failure.REFUSED
        server.node.proof_size = MAX_MESSAGE_BYTES // 32 + 1
        with pytest.raises(requests.RequestError, match="a reply holds"):
            await prove(key)
        assert server.score(peer.peer_id) == 0


def hostile_replies() -> dict[str, tuple[Request, bytes]]:
    forge = Forge(NETWORK)
    blocks = forge.chain(2)
    full = forge.block(None, enrolments(1))
    good = enrolments(1)[0]
    get_blocks, get_transactions = GetBlocks(blocks[0].id, 1, 1), GetTransactions((good.id,))
    unsigned = sign_header(
        secret(2), bytes(32), height=1, slot=1, parent=bytes(32), tag=NO_TAG, mhg=0, mhp=0,
        votes_root=EMPTY.root, transaction_root=bytes(32), state_root=bytes(32),
    )  # fmt: skip
    return {
        "garbage-for-blocks": (get_blocks, b"\xc1"),
        "garbage-for-transactions": (get_transactions, b"\xc1"),
        "garbage-block": (get_blocks, RawItems((b"\xc1",)).encode()),
        "garbage-transaction": (get_transactions, RawItems((b"\xc1",)).encode()),
        "too-many-blocks": (get_blocks, RawItems(tuple(map(encode_block, blocks))).encode()),
        "too-many-transactions": (get_transactions, RawItems((good.raw, good.raw)).encode()),
        "too-large": (get_blocks, bytes(MAX_MESSAGE_BYTES + 300)),
        "bad-header-signature": (get_blocks, RawItems((encode((unsigned.raw, EMPTY.raw, ())),)).encode()),
        "bad-transaction-signature": (get_transactions, RawItems((spoilt(good.raw),)).encode()),
        "bad-signature-in-a-block": (
            get_blocks,
            RawItems((encode((full.header.raw, full.ballot.raw, (spoilt(full.transactions[0].raw),))),)).encode(),
        ),
        "body-of-another-block": (get_blocks, RawItems((encode((full.header.raw, full.ballot.raw, ())),)).encode()),
        "ballot-of-another-block": (
            get_blocks,
            RawItems((encode((blocks[0].header.raw, make_ballot((), Decision(barred=((),))).raw, ())),)).encode(),
        ),
    }


@pytest.mark.parametrize("case", sorted(hostile_replies()))
async def test_a_hostile_reply_is_a_failed_request_and_blamed(case: str) -> None:
    request, reply = hostile_replies()[case]
    async with party(1) as victim, rogue(9, victim) as peer:

        async def lie() -> bytes:
            return reply

        peer.answer("blocks", lie)
        peer.answer("transactions", lie)
        await victim.protocol.perform(Ask(peer.peer_id, request))
        await until(lambda: victim.events(RequestFailed))
        assert victim.events(RequestFailed) == [RequestFailed(peer.peer_id, request)]
        await until(lambda: victim.score(peer.peer_id) > Weight.INVALID - 1)
        assert not victim.events(BlocksReceived)
        assert not victim.events(MissingReceived)


async def test_a_silent_peer_is_a_failed_request_without_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.protocol.REQUEST_TIMEOUT_S", 0.1)
    async with party(1) as victim, rogue(9, victim) as peer:

        async def keep_silent() -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        peer.answer("blocks", keep_silent)
        request = GetBlocks(bytes(32), 1, 1)
        await victim.protocol.perform(Ask(peer.peer_id, request))
        await until(lambda: victim.events(RequestFailed))
        assert victim.score(peer.peer_id) == 0


async def test_a_peer_that_keeps_no_old_bodies_says_so_without_blame() -> None:
    async with party(1) as asker, rogue(9, asker) as peer:

        async def refuse() -> bytes:
            raise Refused(Reason.BODY_GONE, "the transactions of height 1 are not here")

        peer.answer("blocks", refuse)
        request = GetBlocks(bytes(32), 1, 1)
        await asker.protocol.perform(Ask(peer.peer_id, request))
        await until(lambda: asker.events(RequestFailed))
        assert asker.events(RequestFailed) == [RequestFailed(peer.peer_id, request, is_refused=True)]
        assert asker.score(peer.peer_id) == 0
        assert await asker.protocol.bring([Missing(1, bytes(32))]) == ()


async def test_a_request_to_a_peer_that_is_not_there_fails() -> None:
    async with party(1) as lonely, party(2) as stranger:
        request = GetBlocks(bytes(32), 1, 1)
        await lonely.protocol.perform(Ask(stranger.peer_id, request))
        await lonely.protocol.perform(AskStatus(stranger.peer_id))
        await until(lambda: lonely.events(RequestFailed))
        assert lonely.node.posted == [RequestFailed(stranger.peer_id, request)]


@pytest.mark.parametrize("reply", [b"\xc1", Status(bytes(32), 0, 0, 0).encode() + b"\x00", bytes(1_000)])
async def test_a_garbage_status_is_blamed(reply: bytes) -> None:
    async with party(1) as victim, rogue(9, victim) as peer:

        async def lie() -> bytes:
            return reply

        peer.answer("status", lie)
        heard = len(victim.events(StatusReceived))
        await victim.protocol.perform(AskStatus(peer.peer_id))
        await until(lambda: victim.score(peer.peer_id) > Weight.INVALID - 1)
        assert len(victim.events(StatusReceived)) == heard


async def test_a_claim_that_contradicts_itself_gets_a_peer_banned() -> None:
    for number, claim in ((8, Status(bytes(32), 5, 6, 0)), (9, Status(bytes(32), 5, 5, 6))):
        async with party(1) as victim, rogue(number, victim, hello=claim.encode()) as peer:
            await until(lambda: peer.peer_id in victim.transport.peers.bans())
            assert not victim.events(StatusReceived)


async def test_a_claim_of_more_blocks_than_slots_is_not_believed_and_its_peer_not_forgotten() -> None:
    async with party(1) as victim, rogue(9, victim) as peer:
        claims = iter([SLOT + 1, 2**63, SLOT])

        async def claim() -> bytes:
            return Status(bytes(32), next(claims), 0, 0).encode()

        def heard() -> list[int]:
            return [event.claim.status.height for event in victim.events(StatusReceived)]

        async def believed() -> int:
            before = len(heard())
            await victim.protocol.perform(AskStatus(peer.peer_id))
            await until(lambda: len(heard()) > before)
            return heard()[-1]

        peer.answer("status", claim)
        await until(lambda: heard() == [0])  # its hello
        assert [await believed() for _ in range(3)] == [0, 0, SLOT]
        assert victim.score(peer.peer_id) == 0


async def test_a_part_of_the_state_is_free_once() -> None:
    root = bytes(range(32))
    async with party(1) as server, rogue(9, server) as peer:

        async def fetch(question: bytes) -> bytes:
            ask = peer.transport.requests.ask
            return await ask(server.peer_id, STATE, question, max_response=MAX_MESSAGE_BYTES, timeout_s=PATIENCE_S)

        question = GetPart(root, WHOLE)
        prices = server.transport.requests.dues.prices

        def debtor(asked: bytes) -> str | None:
            return prices.order(Inquiry(STATE, peer.peer_id, "", asked)).debtor()

        assert debtor(question.encode()) is None
        assert await fetch(question.encode()) == root
        assert debtor(GetPart(bytes([1]) * 32, WHOLE).encode()) == peer.peer_id  # also under another root
        assert debtor(GetPart(root, WHOLE.beside(1)[0]).encode()) is None
        assert debtor(b"junk") == peer.peer_id
        with pytest.raises(requests.RequestError, match="not_executed") as caught:
            await fetch(GetPart(bytes(32), WHOLE).encode())
        assert caught.value.failure is requests.Failure.REFUSED
        assert server.score(peer.peer_id) == 0


async def test_a_forged_reply_is_proof_enough() -> None:
    request, reply = hostile_replies()["bad-header-signature"]
    async with party(1) as victim, rogue(9, victim) as peer:

        async def lie() -> bytes:
            return reply

        peer.answer("blocks", lie)
        await victim.protocol.perform(Ask(peer.peer_id, request))
        await until(lambda: peer.peer_id in victim.transport.peers.bans())


async def test_of_one_slot_two_blocks_are_passed_on_and_of_long_ago_none() -> None:
    forge = Forge(NETWORK)
    rivals = [forge.block(None, slot=SLOT, state_root=bytes([number]) * 32) for number in range(5)]
    old, last = forge.block(None, slot=1), forge.block(None, slot=SLOT - 1)
    async with party(1) as victim, rogue(8, victim) as witness, rogue(9, victim) as peer:
        witness.transport.peers.block({peer.peer_id})  # hears it through the victim or not at all
        victim.node.time_ms = NETWORK.slot_start_ms(MAX_LATE_SLOTS + 2)
        await peer.say(BLOCKS, announcement(old))
        await until(lambda: victim.transport.peers.connected())
        for block in (*rivals, last):
            await peer.say(BLOCKS, announcement(block))
        await until(lambda: announcement(last) in witness.heard)
        await until(lambda: len(victim.events(BlockAnnounced)) >= 3)
        heard = [event.announcement.header.id for event in victim.events(BlockAnnounced)]
        assert len(heard) == 3
        assert last.header.id in heard
        assert len(set(heard) & {block.id for block in rivals}) == 2
        assert victim.score(peer.peer_id) == 0


# ------------------------------------------------------------------------------------------ coming and going


async def test_a_hello_tells_where_a_peer_stands_and_its_end_is_told() -> None:
    async with party(1) as first:
        async with party(2, bootstrap=(first.address,)) as second:
            await first.ready_for(second.peer_id)
            await until(lambda: first.events(StatusReceived))
            assert first.node.posted == [claimed(second.peer_id, second.node.standing)]
        await until(lambda: first.events(PeerLost))
        assert first.events(PeerLost) == [PeerLost(second.peer_id)]


async def test_a_garbage_hello_gets_a_peer_banned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with party(1) as victim, rogue(9, victim, hello=b"trust me") as peer:
            await until(lambda: f"peer {peer.peer_id} is banned" in caplog.text)
            await until(lambda: victim.events(PeerLost))
            assert not victim.events(StatusReceived)


async def test_after_its_end_it_tells_nobody_anything() -> None:
    async with party(1) as ended, rogue(9, ended) as peer:
        await ended.stop()
        before = list(ended.node.posted)
        await ended.protocol.perform(Ask(peer.peer_id, GetBlocks(bytes(32), 1, 1)))
        ended.transport.peers.disconnect(peer.peer_id)
        await until(lambda: ended.score(peer.peer_id) == float("inf"))
        assert ended.node.posted == before


# ------------------------------------------------------------------------------------------------- penalties


@pytest.mark.parametrize(
    ("reason", "score"),
    [(Reason.WRONG_STATE_ROOT, Weight.INVALID), (Reason.MALFORMED, float("inf")), (Reason.NONCE_GAP, 0.0)],
)
async def test_only_what_no_honest_peer_sends_is_penalised(reason: Reason, score: float) -> None:
    async with party(1) as victim, rogue(9, victim) as peer:
        await victim.protocol.perform(Penalise(peer.peer_id, Refused(reason)))
        await until(lambda: victim.score(peer.peer_id) == pytest.approx(score, rel=0.1))


async def test_what_is_refused_of_peers_is_counted_by_its_reason() -> None:
    async with party(1) as victim, rogue(9, victim) as peer:
        refused, blamed = Counter(REFUSED), Counter(BLAMED)
        await peer.say(BLOCKS, hostile_announcements()["wrong-leader"])
        await peer.say(BLOCKS, announcement(Forge(NETWORK).block(None, slot=SLOT + 9)))
        await victim.protocol.perform(Penalise(peer.peer_id, Refused(Reason.WRONG_STATE_ROOT)))
        for name, junk in (("blocks", b"\x92junk"), ("hello", b"once more")):
            with pytest.raises(requests.RequestError):
                await peer.transport.requests.ask(victim.peer_id, name, junk, max_response=9, timeout_s=PATIENCE_S)
        counted = Counter({Reason.WRONG_LEADER: 1, Reason.WRONG_STATE_ROOT: 1, Reason.MALFORMED: 1})
        await until(lambda: BLAMED - blamed == counted)
        assert REFUSED - refused == counted | Counter({Reason.FUTURE_SLOT: 1, Reason.UNSOLICITED: 1})


async def test_effects_of_others_are_ignored() -> None:
    async with party(1) as lonely:
        await lonely.protocol.perform(Tick())  # type: ignore[arg-type]
        await lonely.protocol.perform(GossipTransactions((Actor(NETWORK, 1).sign(Rate(bytes(32), 1, 1)),)))
        assert lonely.node.posted == []


async def test_a_validators_machine_is_vouched_for_and_nobody_else_is() -> None:
    told: list[tuple[str, bool]] = []
    shown = replace(STANDING, credential=sign_credential(secret(1), NETWORK.id, peer_id_of(9)))
    async with party(1) as victim:

        def note(peer_id: str, is_validator: bool) -> None:
            told.append((peer_id, is_validator))

        victim.transport.gossip.vouch = note  # type: ignore[method-assign]
        for number, status in ((9, shown), (8, STANDING)):
            async with rogue(number, victim, hello=status.encode()):
                await until(lambda number=number: peer_id_of(number) in dict(told))  # type: ignore[misc]
    assert told == [(peer_id_of(9), True), (peer_id_of(8), False)]


async def test_of_a_crowd_that_a_validator_vouches_for_its_newest_machines_count() -> None:
    told: list[tuple[str, bool]] = []
    async with party(1) as victim:
        victim.transport.gossip.vouch = lambda *each: told.append(each)  # type: ignore[method-assign]
        for number in (7, 8, 9):
            credential = sign_credential(secret(1), NETWORK.id, peer_id_of(number))
            async with rogue(number, victim, hello=replace(STANDING, credential=credential).encode()):
                await until(lambda number=number: (peer_id_of(number), True) in told)  # type: ignore[misc]
    assert told == [*((peer_id_of(number), True) for number in (7, 8)), (peer_id_of(7), False), (peer_id_of(9), True)]


async def test_who_is_a_validator_no_more_has_no_place_any_more() -> None:
    shown = replace(STANDING, credential=sign_credential(secret(4), NETWORK.id, peer_id_of(9)))
    async with party(1) as victim, rogue(9, victim, hello=shown.encode()):
        peers = victim.transport.peers
        await until(lambda: peers.is_reserved(peer_id_of(9)))
        victim.node.chain = Blockchain(genesis_of(3))
        async with rogue(8, victim):  # whoever says next where it stands
            await until(lambda: not peers.is_reserved(peer_id_of(9)))
