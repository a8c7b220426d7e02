"""Attacks on gossip: bytes that broke the process once, and floods of each kind of message."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress

import trio
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.pb import crypto_pb2
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from chain.base.keys import SecretKey
from chain.base.merkle import EMPTY_ROOT
from chain.consensus.ballots import EMPTY
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Action, Enrol, Rate
from chain.content.genesis import Genesis
from chain.content.transactions import sign_transaction
from chain.protocol.credentials import sign_credential
from chain.protocol.messages import MAX_ANNOUNCEMENT_BYTES, Announcement, RawItems, Status
from chain.protocol.queues import MAX_PER_ACTOR
from p2p.frames import LIBRARY_ERRORS, READ_BYTES
from p2p.meshsub.wire import MAX_RPC_BYTES
from p2p.protocol import BLOCKS, TRANSACTIONS
from scripts.abuse_parts.target import MESHSUB, Target, Visitor, framed, until_thrown_out, visit

# Transactions in one hostile batch, signed once and sent again and again.
BATCH = 100
# An honest header names a parent; nobody has this one.
NOWHERE = b"\xee" * 32
# The height of a header that claims a longer chain than any there is, as far as its slot allows it.
FAR = 1_000_000
# Topics and peers that there are not, in one frame.
STRAY = 32
# Between two frames of offers, of a thousand ids each: a peer is asked for no more a second.
OFFER_PAUSE_S = 0.5
# Machines that a stolen key vouches for: more than a node has places for validators' machines.
CROWD, CROWD_PAUSE_S = 80, 0.1
# How often the thief of a key looks whether its slot has come.
SLOT_LOOK_S = 0.01


async def write_gossip(target: Target, frame: bytes) -> None:
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        await stream.write(frame)
        await visitor.thrown_out()


async def undecodable_identities(target: Target) -> None:
    message = rpc_pb2.Message(
        from_id=b"\xff\x00",
        key=b"\xff\xff\xff",
        signature=b"?",
        seqno=b"1",
        data=b"x",
        topicIDs=[target.prefix + TRANSACTIONS],
    )
    await write_gossip(target, framed(rpc_pb2.RPC(publish=[message]).SerializeToString()) * 5)


async def not_protobuf(target: Target) -> None:
    for frame in (framed(b"\xff" * 40), b"\xff" * 20, framed(bytes(MAX_RPC_BYTES + 1))[:100]):
        await write_gossip(target, frame)


async def validator_fodder(target: Target) -> None:
    fodder = [b"", b"\xc1", b"\x92\xc0\xc0", bytes(MAX_ANNOUNCEMENT_BYTES + 1), b"\x91" * 1_000]
    for topic in (TRANSACTIONS, BLOCKS):
        async with visit(target) as visitor:
            await visitor.shout(topic, fodder)


async def giant_keys(target: Target) -> None:
    """RSA keys with an exponent of a megabyte: whoever checks one signature with them is busy for minutes."""
    modulus, exponent = b"\x00\xff" + os.urandom(510) + b"\x01", b"\x00" + os.urandom(900_000) + b"\x01"
    numbers = b"".join(b"\x02\x83" + len(part).to_bytes(3, "big") + part for part in (modulus, exponent))
    der = b"\x30\x83" + len(numbers).to_bytes(3, "big") + numbers
    key = crypto_pb2.PublicKey(key_type=crypto_pb2.RSA, data=der).SerializeToString()
    message = rpc_pb2.Message(
        from_id=b"\x12\x20" + bytes(32),
        key=key,
        signature=bytes(512),
        seqno=b"1",
        data=b"x",
        topicIDs=[target.prefix + TRANSACTIONS],
    )
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        for number in itertools.count():
            message.seqno = b"%d" % number
            await stream.write(framed(rpc_pb2.RPC(publish=[message]).SerializeToString()))
            await trio.sleep(target.pace_s)


async def countless_parts(target: Target) -> None:
    await write_gossip(target, framed(b"\x12\x00" * 500_000))


async def control_flood(target: Target) -> None:
    """Grafts, prunes, subscriptions on and off, and requests for whatever was said lately."""
    topic = target.prefix + TRANSACTIONS
    control = rpc_pb2.ControlMessage(
        graft=[rpc_pb2.ControlGraft(topicID=topic)],
        prune=[rpc_pb2.ControlPrune(topicID=topic, backoff=2**40)],
        iwant=[rpc_pb2.ControlIWant(messageIDs=[bytes(32)] * 500)],
        ihave=[rpc_pb2.ControlIHave(topicID=topic, messageIDs=[os.urandom(32).hex().encode() for _ in range(500)])],
    )
    flips = [rpc_pb2.RPC.SubOpts(subscribe=bool(number % 2), topicid=topic) for number in range(100)]
    frame = framed(rpc_pb2.RPC(control=control, subscriptions=flips).SerializeToString())
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            await stream.write(frame)
            await trio.sleep(target.pace_s)


async def stray_control(target: Target) -> None:
    """Well-formed, and about topics, messages and peers that there are not; no faster than an honest peer."""
    own, sizes = target.prefix + TRANSACTIONS, (0, 1, 20, 32, 33, 10_000)
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            strange = [target.prefix + os.urandom(8).hex() for _ in range(STRAY)]
            named = [rpc_pb2.PeerInfo(peerID=b"\x12\x20" + os.urandom(32)) for _ in range(STRAY)]
            control = rpc_pb2.ControlMessage(
                graft=[rpc_pb2.ControlGraft(topicID=topic) for topic in strange],
                prune=[rpc_pb2.ControlPrune(topicID=topic, backoff=2**60, peers=named) for topic in (own, strange[0])],
                iwant=[rpc_pb2.ControlIWant(messageIDs=[os.urandom(size) for size in sizes])],
                ihave=[rpc_pb2.ControlIHave(topicID=topic, messageIDs=[os.urandom(32)]) for topic in strange],
            )
            await stream.write(framed(rpc_pb2.RPC(control=control).SerializeToString()))
            await trio.sleep(max(target.pace_s, OFFER_PAUSE_S))


def subscriptions(target: Target) -> bytes:
    """A frame that asks for a place in both meshes."""
    topics = [target.prefix + topic for topic in (TRANSACTIONS, BLOCKS)]
    control = rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft(topicID=topic) for topic in topics])
    listens = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=topic) for topic in topics]
    return framed(rpc_pb2.RPC(control=control, subscriptions=listens).SerializeToString())


async def endless_topics(target: Target) -> None:
    """Topics of the network, each with a name of a megabyte."""
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        for number in itertools.count():
            name = f"{target.prefix}{number}" + "x" * (MAX_RPC_BYTES - 1_000)
            listens = [rpc_pb2.RPC.SubOpts(subscribe=True, topicid=name)]
            await stream.write(framed(rpc_pb2.RPC(subscriptions=listens).SerializeToString()))
            await trio.sleep(max(target.pace_s, OFFER_PAUSE_S))


async def vouched_crowd(target: Target) -> None:
    """Silent grafts of a crowd that a validator's stolen key vouches for: each says that it is its machine."""
    async with trio.open_nursery() as nursery:
        for secret in target.stolen.values():
            for _ in range(CROWD):
                nursery.start_soon(_be_its_machine, target, secret)
                await trio.sleep(max(target.pace_s, CROWD_PAUSE_S))


async def _be_its_machine(target: Target, secret: SecretKey) -> None:
    seed = os.urandom(32)
    credential = sign_credential(secret, target.genesis.id, str(ID.from_pubkey(create_new_key_pair(seed).public_key)))
    status = Status(bytes(32), 0, 0, 0, credential=credential).encode()
    with until_thrown_out():
        async with visit(target, status, seed) as visitor:
            visitor.host.set_stream_handler(MESHSUB, _swallow)
            await (await visitor.open_gossip()).write(subscriptions(target))
            await visitor.thrown_out()


async def silent_grafts(target: Target) -> None:
    """A peer like any other, but that it passes nothing on."""
    await _graft(target, _swallow)


async def unread_gossip(target: Target) -> None:
    """The same, and what it is sent it does not even take."""
    await _graft(target, _ignore)


async def _graft(target: Target, on_gossip: Callable[[INetStream], Awaitable[None]]) -> None:
    async with visit(target) as visitor:
        visitor.host.set_stream_handler(MESHSUB, on_gossip)
        stream = await visitor.open_gossip()
        await stream.write(subscriptions(target))
        await visitor.thrown_out()


async def offer_storm(target: Target) -> None:
    """Ids of messages that do not exist, each once."""
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            offers = [
                rpc_pb2.ControlIHave(topicID=target.prefix + topic, messageIDs=[os.urandom(32) for _ in range(500)])
                for topic in (TRANSACTIONS, BLOCKS)
            ]
            await stream.write(framed(rpc_pb2.RPC(control=rpc_pb2.ControlMessage(ihave=offers)).SerializeToString()))
            await trio.sleep(max(target.pace_s, OFFER_PAUSE_S))


async def _swallow(stream: INetStream) -> None:
    with suppress(*LIBRARY_ERRORS):
        while await stream.read(READ_BYTES):
            pass


async def _ignore(_stream: INetStream) -> None:
    await trio.sleep_forever()


def enrolments(target: Target) -> list[bytes]:
    """Good signatures of keys that nobody knows."""
    secrets = [SecretKey(os.urandom(32)) for _ in range(BATCH)]
    return [_sign(target, secret, 0, Enrol()) for secret in secrets]


async def invalid_transactions(target: Target) -> None:
    spoilt = [raw[:-1] + bytes([raw[-1] ^ 1]) for raw in enrolments(target)]
    async with visit(target) as visitor:
        await visitor.shout(TRANSACTIONS, [RawItems((raw,)).encode() for raw in spoilt])


async def duplicate_transactions(target: Target) -> None:
    async with visit(target) as visitor:
        await visitor.shout(TRANSACTIONS, [RawItems(tuple(enrolments(target))).encode()])


async def useless_transactions(target: Target) -> None:
    """Well signed, each one new, and of keys that never enrolled: nobody can tell them from good ones too early."""
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            secret = SecretKey(os.urandom(32))
            rate = Rate(bytes(32), 0, 1)
            batch = [_sign(target, secret, nonce, rate) for nonce in range(1, BATCH)]
            await stream.write(visitor.message(TRANSACTIONS, RawItems(tuple(batch)).encode()))
            await trio.sleep(target.pace_s)


async def enrolments_without_end(target: Target) -> None:
    """Members by the thousand, each with a good signature of its own."""
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            await stream.write(visitor.message(TRANSACTIONS, RawItems(tuple(enrolments(target))).encode()))
            await trio.sleep(target.pace_s)


async def ratings_of_nobody(target: Target) -> None:
    """Members who write all that they may, of which no block ever takes anything: whom they rate never enrols."""
    nobody, ratings = SecretKey(os.urandom(32)).public, target.genesis.policy.ratings
    rate = next((Rate(nobody, code, kind.high) for code, kind in ratings.items()), Rate(nobody, 0, 1))
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            secret = SecretKey(os.urandom(32))
            for first in range(0, MAX_PER_ACTOR, BATCH):
                nonces = range(first, min(first + BATCH, MAX_PER_ACTOR))
                signed = [_sign(target, secret, nonce, rate if nonce else Enrol()) for nonce in nonces]
                await stream.write(visitor.message(TRANSACTIONS, RawItems(tuple(signed)).encode()))
                await trio.sleep(target.pace_s)


def _sign(target: Target, secret: SecretKey, nonce: int, action: Action) -> bytes:
    return sign_transaction(secret, target.genesis.id, nonce, 1_000_000, action).raw


def announcements(
    target: Target, height: int, secrets: dict[bytes, SecretKey], slots: Iterable[int], parent: bytes = NOWHERE
) -> Iterator[bytes]:
    """A header of this height for each slot whose leader's key is among ``secrets``; it stands on ``parent``."""
    for slot in slots:
        secret = secrets.get(_leader(target.genesis, slot))
        if secret is not None:
            header = sign_header(
                secret,
                target.genesis.id,
                height=min(height, slot),
                slot=slot,
                parent=parent,
                tag=NO_TAG,
                mhg=0,
                mhp=0,
                votes_root=EMPTY.root,
                transaction_root=EMPTY_ROOT,
                state_root=os.urandom(32),
            )
            yield Announcement(header.raw, EMPTY.raw, ()).encode()


async def announce(visitor: Visitor, items: Iterator[bytes]) -> None:
    stream = await visitor.open_gossip()
    for item in items:
        await stream.write(visitor.message(BLOCKS, item))
        await trio.sleep(visitor.target.pace_s)


async def wrong_leaders(target: Target) -> None:
    """Well signed, by a key that is nobody's, on the head: who leads there, everybody knows."""
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            head = await target.status()  # anew: below what is final nobody remembers who led
            nobody, slots = _nobody(target), [target.slot_now()]
            for item in announcements(target, head.height + 1, nobody, slots, head.head_id):
                await stream.write(visitor.message(BLOCKS, item))
            await trio.sleep(target.pace_s)


async def unknown_leaders(target: Target) -> None:
    """The same on nothing: such a branch may have had such a validator, so this proves nothing against its sender."""
    height = (await target.status()).height + 1
    async with visit(target) as visitor:
        await announce(visitor, announcements(target, height, _nobody(target), itertools.count(1)))


async def forged_announcements(target: Target) -> None:
    """In the name of the right leader, whose signature nobody else can make."""
    own = SecretKey(os.urandom(32))

    def forge() -> Iterator[bytes]:
        for slot in itertools.count(1):
            leader = _leader(target.genesis, slot)
            for header in announcements(target, FAR, {leader: own}, [slot]):
                yield header.replace(own.public, leader)

    async with visit(target) as visitor:
        await announce(visitor, forge())


async def orphans(target: Target) -> None:
    """Well signed by the right leader, without end, for the slot that runs: what a stolen validator's key can do."""
    async with visit(target) as visitor:
        stream = await visitor.open_gossip()
        while True:
            for item in announcements(target, FAR, target.stolen, [target.slot_now()]):
                await stream.write(visitor.message(BLOCKS, item))
            await trio.sleep(max(target.pace_s, SLOT_LOOK_S))


async def future_blocks(target: Target) -> None:
    """Well signed by the right leader, for slots of next year."""
    slots = itertools.count(target.slot_now() + 10_000_000)
    async with visit(target) as visitor:
        await announce(visitor, announcements(target, FAR, target.stolen, slots))


def _nobody(target: Target) -> dict[bytes, SecretKey]:
    """A key of our own in the place of every validator's."""
    own = SecretKey(os.urandom(32))
    return {key: own for key, _ in target.genesis.validators}


def _leader(genesis: Genesis, slot: int) -> bytes:
    """Whose turn ``slot`` is while the validators are those of the genesis."""
    return genesis.validators[slot % len(genesis.validators)][0]
