"""Attacks on the relay of attestations: garbage, floods, and what only a stolen key can sign."""

from __future__ import annotations

import os
from collections.abc import Callable

import trio

from chain.base.keys import SecretKey
from chain.consensus.attestations import VerifiedAttestation, sign_attestation
from chain.consensus.statements import NO_TAG
from chain.protocol.messages import RawItems
from p2p.relay import MAX_FRAME_BYTES, MAX_ITEM_BYTES
from scripts.abuse_parts.target import Target, Visitor, framed, visit

# Attestations in one hostile frame.
FRAME = 100
# After so many it is looked which block comes next.
FRAMES_A_LOOK = 20


def attest(target: Target, secret: SecretKey, height: int) -> VerifiedAttestation:
    """Well signed, about a block that nobody has."""
    return sign_attestation(secret, target.genesis.id, tag=NO_TAG, tip=os.urandom(32), height=height, mhg=0, mhp=0)


async def relay(visitor: Visitor, frame_at: Callable[[int], bytes]) -> None:
    """Frames about the block that comes next, on and on: what is about an older one costs nobody anything."""
    stream = await visitor.open("attest")
    while True:
        height = (await visitor.target.status()).height + 1
        for _ in range(FRAMES_A_LOOK):
            await stream.write(framed(frame_at(height)))
            await trio.sleep(visitor.target.pace_s)


async def garbage_attestations(target: Target) -> None:
    """No frames, too large ones, no lists, and items that are no attestations; each from another peer."""
    lists = ((), (b"",), (bytes(MAX_ITEM_BYTES + 1),), (b"\xc1" * 180,))
    for raw in (
        b"\xff" * 20,
        framed(bytes(MAX_FRAME_BYTES + 1))[:100],
        *(framed(RawItems(each).encode()) for each in lists),
    ):
        async with visit(target) as visitor:
            stream = await visitor.open("attest")
            await stream.write(raw)
            await visitor.thrown_out()


async def forged_attestations(target: Target) -> None:
    """In the names of validators, whose signatures nobody else can make."""
    own = SecretKey(os.urandom(32))

    def frame(height: int) -> bytes:
        good = attest(target, own, height).raw
        return RawItems(tuple(good.replace(own.public, key) for key, _ in target.genesis.validators)).encode()

    async with visit(target) as visitor:
        await relay(visitor, frame)


async def attestation_flood(target: Target) -> None:
    """Well signed by nobody in particular, each one new, as fast as it goes."""

    def frame(height: int) -> bytes:
        return RawItems(tuple(attest(target, SecretKey(os.urandom(32)), height).raw for _ in range(FRAME))).encode()

    async with visit(target) as visitor:
        await relay(visitor, frame)


async def same_attestations(target: Target) -> None:
    """The same frame again and again."""
    item = attest(target, SecretKey(os.urandom(32)), (await target.status()).height + 1).raw
    async with visit(target) as visitor:
        await relay(visitor, lambda _height: RawItems((item,)).encode())


async def two_faced_attestations(target: Target) -> None:
    """A validator that attests block after block of one height, with a stolen key."""

    def frame(height: int) -> bytes:
        return RawItems(tuple(attest(target, each, height).raw for each in target.stolen.values())).encode()

    async with visit(target) as visitor:
        await relay(visitor, frame)
