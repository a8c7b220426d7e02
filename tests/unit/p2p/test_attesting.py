"""Attestations from engine to engine over real transports on loopback, and from peers that abuse it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio

from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.consensus.attestations import VerifiedAttestation, sign_attestation
from chain.consensus.statements import NO_TAG
from chain.protocol.admission import MAX_ATTESTED_AHEAD, MAX_ATTESTED_PER_HEIGHT
from chain.protocol.events import AttestationsReceived, Event, SendAttestations
from chain.protocol.messages import Status
from p2p.network import Transport, open_transport
from p2p.protocol import BLOCKS, LedgerProtocol
from p2p.signatures import Signatures
from tests.support.world import genesis_of, secret
from tests.unit.p2p.net import config_of, until

NETWORK = genesis_of(4)
STANDING = Status(bytes(32), 0, 0, 0)


@pytest.fixture(autouse=True)
def _quick_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.meshsub.router.HEARTBEAT_S", 0.05)


class Listener:
    """A node at the genesis that remembers which attestations it is given."""

    def __init__(self) -> None:
        self.genesis = NETWORK
        self.chain = Blockchain(NETWORK)
        self.heard: list[VerifiedAttestation] = []

    def now_ms(self) -> int:
        return NETWORK.slot_start_ms(1_000)

    def status(self) -> Status:
        return STANDING

    async def post(self, event: Event) -> None:
        if isinstance(event, AttestationsReceived):
            self.heard += event.batch.attestations


class Party:
    """One end of the conversation."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.node = Listener()
        signatures = Signatures(NETWORK.id, lambda _id: None)
        self.protocol = LedgerProtocol(cast("Any", self.node), transport, signatures)

    async def say(self, *attestations: VerifiedAttestation) -> None:
        await self.protocol.perform(SendAttestations(attestations))

    async def met(self, peer_id: str) -> None:
        await until(lambda: peer_id in self.transport.gossip.mesh(BLOCKS))


@asynccontextmanager
async def party(number: int, *known: Party) -> AsyncIterator[Party]:
    addresses = tuple(other.transport.listen_addresses[0] for other in known)
    async with open_transport(config_of(number, bootstrap=addresses)) as transport, trio.open_nursery() as nursery:
        made = Party(transport)
        await nursery.start(made.protocol.run)
        for other in known:
            await made.met(other.transport.peer_id)
            await other.met(transport.peer_id)
        yield made
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def rogue(victim: Party) -> AsyncIterator[Transport]:
    """A peer that relays what the test wants."""

    async def hear(_peer_id: str, _items: Sequence[bytes]) -> Collection[bytes]:
        return ()

    async def listen(_peer_id: str, _data: bytes) -> bool:
        return True

    async with open_transport(config_of(9, bootstrap=tuple(victim.transport.listen_addresses))) as transport:
        transport.peers.local_hello = STANDING.encode
        await transport.gossip.subscribe(BLOCKS, listen, max_bytes=1_000_000)
        transport.relay.serve(hear, lambda: {victim.transport.peer_id})
        transport.start()
        await victim.met(transport.peer_id)
        yield transport


def attestation(speaker: SecretKey, height: int = 1, tip: bytes = bytes(32)) -> VerifiedAttestation:
    return sign_attestation(speaker, NETWORK.id, tag=NO_TAG, tip=tip, height=height, mhg=0, mhp=0)


def is_banned(victim: Party, peer: Transport) -> bool:
    return peer.peer_id in victim.transport.peers.bans()


async def test_what_one_attests_everyone_hears_once() -> None:
    async with party(1) as one, party(2, one) as two, party(3, one, two) as three:
        said = [attestation(secret(number)) for number in (1, 2, 3)]
        for speaker, item in zip((one, two, three), said, strict=True):
            await speaker.say(item)
        for hearer, own in zip((one, two, three), said, strict=True):
            others = {item.id for item in said} - {own.id}
            await until(lambda hearer=hearer: len(hearer.node.heard) >= 2)  # type: ignore[misc]
            assert sorted(item.id for item in hearer.node.heard) == sorted(others)


@pytest.mark.parametrize(
    "item",
    [
        b"\xc0" * 180,
        attestation(secret(1)).raw[:-1] + b"\x00",
        attestation(secret(1)).raw[:-1],
    ],
    ids=["garbage", "forged", "cut"],
)
async def test_what_no_honest_peer_passes_on_gets_its_sender_banned_and_spoils_nothing(item: bytes) -> None:
    good = attestation(secret(2))
    async with party(1) as victim, party(2, victim) as friend, rogue(victim) as peer:
        peer.relay.send([good.raw, item])
        await until(lambda: is_banned(victim, peer))
        assert victim.node.heard == []
        await friend.say(good)  # which the bad frame held, too
        await until(lambda: victim.node.heard == [good])
        assert not friend.node.heard


async def test_what_is_of_no_use_here_is_dropped_without_blame() -> None:
    distant, far = attestation(secret(1), 10**6), attestation(secret(1), MAX_ATTESTED_AHEAD + 1)
    stranger, good = attestation(secret(77)), attestation(secret(1), MAX_ATTESTED_AHEAD)
    async with party(1) as victim, party(2, victim) as friend, rogue(victim) as peer:
        peer.relay.send(item.raw for item in (distant, far, stranger, good))
        await until(lambda: friend.node.heard == [good])
        assert victim.node.heard == [good]
        assert [info.score for info in victim.transport.peers.connected()] == [0.0, 0.0]


async def test_a_validator_that_says_many_things_at_one_height_is_heard_so_often() -> None:
    said = [attestation(secret(1), tip=bytes([number]) * 32) for number in range(5)]
    async with party(1) as victim, party(2, victim) as friend, rogue(victim) as peer:
        peer.relay.send(item.raw for item in said)
        other = attestation(secret(2))
        await until(lambda: len(friend.node.heard) == MAX_ATTESTED_PER_HEIGHT)
        peer.relay.send([other.raw])
        await until(lambda: len(friend.node.heard) == MAX_ATTESTED_PER_HEIGHT + 1)
        assert victim.node.heard == friend.node.heard
