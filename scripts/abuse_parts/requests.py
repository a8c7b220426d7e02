"""Attacks on requests and connections: floods, dawdling, squatting, and answers that are somebody else's."""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import trio

from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.content.blocks import encode_block, heading_of
from chain.content.genesis import found_genesis
from chain.content.policyfile import shipped_policy
from chain.protocol.engine import Engine
from chain.protocol.events import AnnounceBlock, SigningState, Tick
from chain.protocol.messages import GetBlocks, GetHeadings, GetTransactions, RawItems, Status
from p2p.client import NodeAway
from p2p.host import MAX_INBOUND_STREAMS
from p2p.library import MAX_UNREAD_BYTES
from scripts.abuse_parts.target import PATIENCE_S, THROWN_OUT, Target, Visitor, framed, until_thrown_out, visit

QUESTIONS = ("status", "headings", "blocks", "transactions", "hello", "ping", "peers")
# More than a node's connections and handshakes together.
MANY_CONNECTIONS = 500
IDENTITIES = 30
# A chain that is longer than what a node asks for at once.
FOREIGN_BLOCKS = 40
# What a peer may ask is fifty times a second; this stays just below.
ASK_PAUSE_S = 0.021
# Just before somebody would lose patience with it.
DRIP_S = 8.0
# A request that nobody answers is given up after some seconds, and what came with it is forgotten.
UNREAD_STREAMS, FILL_AGAIN_S = 8, 4.0
# How often a liar looks whether its claim is still of a longer chain.
LOOK_EVERY_S = 0.5

Wanted: TypeAlias = GetHeadings | GetBlocks


async def raw_bytes(target: Target) -> None:
    """No libp2p at all, and names that would fill the memory."""
    for opening in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000, b"\xff\xff\xff\xff\x07" + bytes(4_000_000)):
        with suppress(trio.BrokenResourceError):
            stream = await trio.open_tcp_stream("127.0.0.1", target.port)
            async with stream:
                await stream.send_all(opening)
                while await stream.receive_some():
                    pass


async def garbage_requests(target: Target) -> None:
    async with visit(target) as visitor:
        nameless = await visitor.host.swarm.new_stream(target.peer_id)
        await nameless.write(framed(b"/multistream/1.0.0\n") + framed(b"\xff\xfe\n"))
        for garbage in (framed(b"\x92junk"), framed(b""), b"\x05x", b"\xff" * 30, b"\x80\x94\xeb\xdc\x03"):
            for name in QUESTIONS:
                stream = await visitor.open(name)
                await stream.write(garbage)
                await stream.close()
        await visitor.thrown_out()


async def request_flood(target: Target) -> None:
    """Each question as fast as it goes, in the largest form."""
    status = await target.status()
    questions = {
        "status": b"",
        "headings": GetHeadings(status.head_id, 1, 256).encode(),
        "blocks": GetBlocks(status.head_id, 1, 256).encode(),
        "transactions": GetTransactions(tuple(os.urandom(32) for _ in range(4_096))).encode(),
    }
    async with visit(target) as visitor, trio.open_nursery() as nursery:

        async def repeat(name: str, question: bytes) -> None:
            while True:
                try:
                    await visitor.ask(name, question)
                except THROWN_OUT:
                    if target.peer_id not in visitor.host.swarm.connections:
                        return
                await trio.sleep(target.pace_s)

        for name, question in questions.items():
            for _ in range(4):
                nursery.start_soon(repeat, name, question)


async def patient_askers(target: Target) -> None:
    """The same megabyte again and again, taken in full, just below the rate at which a peer is blamed."""
    status = await target.status()
    question = GetBlocks(status.head_id, max(1, status.height - 255), 256).encode()
    async with visit(target) as visitor, trio.open_nursery() as nursery:

        async def ask() -> None:
            with suppress(*THROWN_OUT):
                await visitor.ask("blocks", question)

        while target.peer_id in visitor.host.swarm.connections:
            nursery.start_soon(ask)
            await trio.sleep(ASK_PAUSE_S)


async def unread_data(target: Target) -> None:
    """On each stream far more than its question, which nobody reads, and nothing of a reply is taken."""
    status = await target.status()
    question = framed(GetBlocks(status.head_id, 1, 256).encode())
    junk = bytes(MAX_UNREAD_BYTES // (2 * UNREAD_STREAMS))
    async with visit(target) as visitor, trio.open_nursery() as nursery:

        async def fill() -> None:
            while True:
                with suppress(*THROWN_OUT):
                    stream: Any = await visitor.open("blocks")
                    stream.muxed_stream.send_window = 2 * len(junk)  # whatever was granted
                    await stream.write(question + junk)
                    await trio.sleep(FILL_AGAIN_S)
                    await stream.reset()
                await trio.lowlevel.checkpoint()

        for _ in range(UNREAD_STREAMS):
            nursery.start_soon(fill)
        await visitor.thrown_out()
        nursery.cancel_scope.cancel()


async def idle_streams(target: Target) -> None:
    async with visit(target) as visitor:
        for _ in range(4 * MAX_INBOUND_STREAMS):
            await visitor.host.swarm.new_stream(target.peer_id)
        await visitor.thrown_out()


async def dropped_streams(target: Target) -> None:
    async with visit(target) as visitor:
        while True:
            stream = await visitor.host.swarm.new_stream(target.peer_id)
            await stream.reset()
            await trio.sleep(target.pace_s)


async def slow_requests(target: Target) -> None:
    """Byte by byte, on as many streams as there are."""
    async with visit(target) as visitor, trio.open_nursery() as nursery:

        async def dawdle(name: str) -> None:
            with suppress(*THROWN_OUT):
                while True:
                    stream = await visitor.open(name)
                    with suppress(*THROWN_OUT):  # given up; the next one then
                        for byte in framed(bytes(60)):
                            await stream.write(bytes([byte]))
                            await trio.sleep(1)

        for name in ("blocks", "transactions"):
            for _ in range(8):
                nursery.start_soon(dawdle, name)
        await visitor.thrown_out()
        nursery.cancel_scope.cancel()


async def unread_replies(target: Target) -> None:
    """Ask for megabytes and take none."""
    status = await target.status()
    async with visit(target) as visitor:
        while True:
            for _ in range(8):
                stream = await visitor.open("blocks")
                await stream.write(framed(GetBlocks(status.head_id, 1, 256).encode()))
            await trio.sleep(1)


async def half_open_handshakes(target: Target) -> None:
    await squat(target, MANY_CONNECTIONS // 5)


async def many_connections(target: Target) -> None:
    """Hundreds of sockets, and dozens of identities that greet and stay."""
    async with trio.open_nursery() as nursery:
        for _ in range(IDENTITIES):
            nursery.start_soon(idle_identity, target)
        await squat(target, MANY_CONNECTIONS)


async def idle_identity(target: Target) -> None:
    """Greet, and stay."""
    with until_thrown_out():
        async with visit(target) as visitor:
            await visitor.thrown_out()


async def squat(target: Target, count: int) -> None:
    """Keep as many sockets open as the node lets us, none of which says a word."""

    async def hold() -> None:
        with suppress(OSError, trio.BrokenResourceError):
            async with await trio.open_tcp_stream("127.0.0.1", target.port) as stream:
                while await stream.receive_some():
                    pass

    async def hold_on() -> None:
        while True:
            await hold()
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(hold_on)


# ------------------------------------------------------------------------------------------------ lies


async def impossible_status(target: Target) -> None:
    """A head that is lower than what it has prevoted."""
    async with visit(target, Status(os.urandom(32), 5, 2**63, 0).encode()) as visitor:
        await visitor.thrown_out()


async def garbage_status(target: Target) -> None:
    async with visit(target, b"trust me") as visitor:
        await visitor.thrown_out()


async def lying_statuses(target: Target) -> None:
    """A crowd of whom each claims another, far longer chain, and has nothing of it."""

    async def nothing(_visitor: Visitor, _request: Wanted) -> bytes:
        return RawItems(()).encode()

    async with trio.open_nursery() as nursery:
        for number in range(6):
            far = 2**62 + number if number % 2 else 0
            nursery.start_soon(lie, target, nothing, far)


async def slow_replies(target: Target) -> None:
    """Claims a longer chain and sends it byte by byte."""

    async def dribble(_visitor: Visitor, _request: Wanted) -> bytes:
        await trio.sleep(PATIENCE_S)
        return RawItems(()).encode()

    await lie(target, dribble)


async def dripped_blocks(target: Target) -> None:
    """Claims a longer chain and is polite: one true block, or a few headers, just before each patience ends."""

    async def drip(_visitor: Visitor, request: Wanted) -> bytes:
        await trio.sleep(DRIP_S)
        kind = "blocks" if isinstance(request, GetBlocks) else "headings"
        head = await target.source.status()
        async with visit(target.source) as source:
            return await source.ask(kind, type(request)(head.head_id, request.from_height, 1).encode())

    await lie(target, drip)


async def foreign_chain(target: Target) -> None:
    """Answers with the valid chain of another network."""
    blocks = tuple(chain_of_another_network())

    async def answer(_visitor: Visitor, request: Wanted) -> bytes:
        return RawItems(blocks if isinstance(request, GetBlocks) else tuple(map(heading_of, blocks))).encode()

    await lie(target, answer)


async def other_heights(target: Target) -> None:
    """Answers with good blocks of the right network, from other heights than those asked for."""

    async def answer(visitor: Visitor, request: Wanted) -> bytes:
        status = await target.status()
        wanted = GetBlocks(status.head_id, 1, 256)
        items = RawItems.decode(await visitor.ask("blocks", wanted.encode()), max_items=256).items
        shifted = itertools.islice(items, 0 if request.from_height > 1 else 1, request.count)
        return RawItems(tuple(shifted if isinstance(request, GetBlocks) else map(heading_of, shifted))).encode()

    await lie(target, answer)


async def lie(target: Target, answer: Callable[[Visitor, Wanted], Awaitable[bytes]], far: int = 0) -> None:
    """Claim a chain of height ``far``, or of all slots there were, and answer questions about it, until thrown out.

    A chain that is no longer the longer one is nothing to ask about: then the same peer comes again and claims more.
    """
    seed = os.urandom(32)
    while not await _is_thrown_out_for(target, answer, far or target.slot_now() - 1, seed):
        pass


async def _is_thrown_out_for(
    target: Target, answer: Callable[[Visitor, Wanted], Awaitable[bytes]], height: int, seed: bytes
) -> bool:
    """Make one claim; False once the node's own chain is as high."""
    status = Status(os.urandom(32), height, height, 0).encode()
    async with visit(target, status, seed) as visitor:

        async def headings(_peer_id: str, request: bytes) -> bytes:
            return await answer(visitor, GetHeadings.decode(request))

        async def blocks(_peer_id: str, request: bytes) -> bytes:
            return await answer(visitor, GetBlocks.decode(request))

        async def again(_peer_id: str, _request: bytes) -> bytes:
            return status

        visitor.requests.serve("headings", headings, max_request=64, max_response=1_000_000, max_concurrent=8)
        visitor.requests.serve("blocks", blocks, max_request=64, max_response=1_000_000, max_concurrent=8)
        visitor.requests.serve("status", again, max_request=16, max_response=128, max_concurrent=8)
        while not await _is_as_high(target, height):
            with trio.move_on_after(LOOK_EVERY_S):
                await visitor.thrown_out()
                return True
    return False


async def _is_as_high(target: Target, height: int) -> bool:
    with suppress(NodeAway):  # it has too much to do to say
        return (await target.status()).height >= height
    return False


def chain_of_another_network() -> Sequence[bytes]:
    """Blocks that are valid where they come from."""
    secret = SecretKey(os.urandom(32))
    policy = shipped_policy("marketplace")
    genesis = found_genesis("elsewhere", policy, [secret.public], genesis_time_ms=0, slot_ms=100, heartbeat_slots=1)
    engine = Engine(genesis, Blockchain(genesis), secret=secret, signing=SigningState())
    blocks: list[bytes] = []
    for slot in range(1, FOREIGN_BLOCKS):
        effects = engine.handle(Tick(), genesis.slot_start_ms(slot))
        blocks += [encode_block(effect.block) for effect in effects if isinstance(effect, AnnounceBlock)]
    return blocks
