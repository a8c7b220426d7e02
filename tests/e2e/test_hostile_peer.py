"""One real node process and peers that try everything: it answers, grows, bans them and keeps its log clean."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils.varint import encode_uvarint
from multiaddr import Multiaddr

from chain.base.codec import encode
from chain.base.merkle import EMPTY_ROOT
from chain.consensus.attestations import sign_attestation
from chain.consensus.ballots import EMPTY
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Enrol
from chain.content.genesis import Genesis
from chain.protocol.admission import MAX_ATTESTED_AHEAD
from chain.protocol.messages import MAX_ANNOUNCEMENT_BYTES, MAX_BATCH_BYTES, Announcement, RawItems, Status
from p2p import handshake
from p2p.frames import LIBRARY_ERRORS
from p2p.host import GuardedHost, open_host
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from p2p.meshsub.wire import MAX_RPC_BYTES
from p2p.network import TransportConfig, open_transport
from p2p.protocol import BLOCKS, TRANSACTIONS
from p2p.requests import Requests
from tests.support.running import DEADLINE_S, RunningNode, running, wait_for
from tests.support.world import Actor, genesis_of, secret

MESHSUB = TProtocol("/meshsub/1.1.0")
LISTEN = "/ip4/127.0.0.1/tcp/0"
HELLO = Status(bytes(32), 0, 0, 0).encode()
QUESTIONS = ("status", "blocks", "transactions", "hello", "ping", "peers")
# Many times what gets a peer banned.
FLOOD = 200


class Target:
    """The node under attack.  Every attack comes from an identity of its own, since most end with a ban."""

    def __init__(self, node: RunningNode, genesis: Genesis) -> None:
        facts = json.loads((node.home / "node.json").read_text(encoding="utf-8"))
        self.node = node
        self.genesis = genesis
        self.address: str = facts["addresses"][0]
        self.peer_id = ID.from_base58(facts["peer_id"])
        self._identities = 0

    def config(self) -> TransportConfig:
        """A newcomer of the node's network."""
        self._identities += 1
        seed = b"hostile!" * 3 + self._identities.to_bytes(8, "big")
        return TransportConfig(seed=seed, genesis_id=self.genesis.id, bootstrap=(self.address,))

    async def until_banned(self, peer_id: str) -> None:
        await until(lambda: f"peer {peer_id} is banned" in self.node.log())

    def knows(self, peer_id: str) -> bool:
        return any(peer["peer_id"] == peer_id for peer in self.node.get("/peers")["peers"])


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(DEADLINE_S):
        while not condition():
            await trio.sleep(0.02)


def framed(payload: bytes) -> bytes:
    return encode_uvarint(len(payload)) + payload


@asynccontextmanager
async def impostor(target: Target) -> AsyncIterator[tuple[GuardedHost, str]]:
    """A bare host that has greeted like one of ours, and the prefix of the network."""
    config = target.config()
    async with open_host(config.seed, [LISTEN]) as host:
        host.swarm.admit = lambda _peer_id: True
        await host.swarm.dial_addr(Multiaddr(target.address), target.peer_id)
        hello = handshake.encode_hello([], HELLO)
        requests = Requests(host, config.prefix)
        size = handshake.MAX_HELLO_BYTES
        await requests.ask(str(target.peer_id), "hello", hello, max_response=size, timeout_s=DEADLINE_S)
        yield host, config.prefix


# ----------------------------------------------------------------------------------------------------- attacks


async def publish(target: Target, topic: str, messages: Sequence[bytes]) -> None:
    """Well-signed gossip with this content; gets its sender banned."""
    async with open_transport(target.config()) as transport:

        async def hear(_peer_id: str, _data: bytes) -> bool:
            return True

        for name in (TRANSACTIONS, BLOCKS):
            await transport.gossip.subscribe(name, hear, max_bytes=1_000_000)
        transport.peers.local_hello = lambda: HELLO
        transport.start()
        await until(lambda: str(target.peer_id) in transport.gossip.mesh(topic))
        for message in messages:
            await transport.gossip.publish(topic, message)
        await target.until_banned(transport.peer_id)
        await until(lambda: not transport.peers.connected())


async def garbage_on_a_topic(target: Target) -> None:
    actor = Actor(genesis_of(2), 7)
    for topic in (TRANSACTIONS, BLOCKS):
        garbage = [b"", b"\xc1", encode((b"",)), encode((1, 2)), RawItems((actor.sign(Enrol()).raw,)).encode()]
        await publish(target, topic, garbage)


async def oversize_on_a_topic(target: Target) -> None:
    for topic, limit in ((TRANSACTIONS, MAX_BATCH_BYTES), (BLOCKS, MAX_ANNOUNCEMENT_BYTES)):
        await publish(target, topic, [bytes(limit + 1 + extra) for extra in range(5)])


async def flood_of_announcements(target: Target) -> None:
    """By the right leader, with the right root, and with signatures that are not its own."""
    flood = []
    for height in range(1, FLOOD):
        header = sign_header(
            secret(1), target.genesis.id, height=height, slot=height, parent=bytes(32), tag=NO_TAG, mhg=0, mhp=0,
            votes_root=EMPTY.root, transaction_root=EMPTY_ROOT, state_root=bytes(32),
        )  # fmt: skip
        flood.append(Announcement(header.raw[:-1] + bytes([header.raw[-1] ^ 1]), EMPTY.raw, ()).encode())
    await publish(target, BLOCKS, flood)


async def forgeries_on_the_relay(target: Target) -> None:
    """Attestations by a validator's name that it signed for another network; and what is none."""

    def foreign() -> bytes:
        height = target.node.status()["height"] + MAX_ATTESTED_AHEAD // 2
        return sign_attestation(secret(1), bytes(32), tag=NO_TAG, tip=bytes(32), height=height, mhg=0, mhp=0).raw

    for item in (foreign, lambda: foreign()[:-1], lambda: b"\xc1", lambda: b"\xff" * 100):
        async with open_transport(target.config()) as transport:

            async def hear(_peer_id: str, _items: Sequence[bytes]) -> Collection[bytes]:
                return ()

            transport.peers.local_hello = lambda: HELLO
            transport.relay.serve(hear, lambda: {str(target.peer_id)})
            transport.start()
            await until(lambda: bool(transport.peers.connected()))
            transport.relay.send([item()])
            await target.until_banned(transport.peer_id)


async def frames(target: Target, frame: bytes) -> None:
    """These bytes as gossip; gets their sender banned."""
    async with impostor(target) as (host, _):
        await until(lambda: target.knows(str(host.get_id())))
        with suppress(*LIBRARY_ERRORS):  # it may have us thrown out in the middle
            stream = await host.new_stream(target.peer_id, [MESHSUB])
            await stream.write(frame)
        await target.until_banned(str(host.get_id()))


async def undecodable_identities(target: Target) -> None:
    """The first way to crash: ``from_id`` and ``key`` that do not decode."""
    topic = target.config().prefix + TRANSACTIONS
    message = rpc_pb2.Message(
        from_id=b"\xff\x00", key=b"\xff\xff\xff", signature=b"?", seqno=b"1", data=b"x", topicIDs=[topic]
    )
    await frames(target, framed(rpc_pb2.RPC(publish=[message]).SerializeToString()) * 5)


async def frames_that_are_none(target: Target) -> None:
    """The second way to crash: an RPC that is not protobuf, or has no end."""
    for frame in (framed(b"\xff" * 40), b"\xff" * 20, framed(bytes(MAX_RPC_BYTES + 1))[:100]):
        await frames(target, frame)


async def garbage_requests(target: Target) -> None:
    """The third way to crash: whatever our stream handlers may stumble on."""
    async with impostor(target) as (host, prefix):
        await until(lambda: target.knows(str(host.get_id())))
        with suppress(*LIBRARY_ERRORS):  # the ban comes somewhere in the middle
            nameless = await host.swarm.new_stream(target.peer_id)
            await nameless.write(framed(b"/multistream/1.0.0\n") + framed(b"\xff\xfe\n"))
            for garbage in (framed(b"\x92junk"), framed(b""), b"\x05x", b"\xff" * 30, b"\x80\x94\xeb\xdc\x03"):
                for name in QUESTIONS:
                    stream = await host.new_stream(target.peer_id, [TProtocol(prefix + name)])
                    await stream.write(garbage)
                    await stream.close()
        await target.until_banned(str(host.get_id()))


async def a_hello_that_is_none(target: Target) -> None:
    async with open_transport(target.config()) as transport:
        transport.peers.local_hello = lambda: b"trust me"
        transport.start()
        await target.until_banned(transport.peer_id)


async def raw_bytes(target: Target) -> None:
    """No libp2p at all."""
    port = int(target.address.split("/")[4])
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 10_000, b"\x13/multistream/1.0.0\n\xff\xff\xff"):
        with suppress(trio.BrokenResourceError):
            stream = await trio.open_tcp_stream("127.0.0.1", port)
            await stream.send_all(garbage)
            await stream.aclose()


# The fourth way to crash, a validator that raises, is tried by all that publish.
ATTACKS: tuple[Callable[[Target], Awaitable[None]], ...] = (
    raw_bytes,
    a_hello_that_is_none,
    garbage_requests,
    undecodable_identities,
    frames_that_are_none,
    garbage_on_a_topic,
    oversize_on_a_topic,
    flood_of_announcements,
    forgeries_on_the_relay,
)

# ------------------------------------------------------------------------------------------------------- tests


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The only validator of a network, run for all attacks one after the other."""
    home = tmp_path_factory.mktemp("hostile") / "node"
    genesis = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=200)
    create_home(home, genesis, secret(1).seed, HomeConfig(listen=[LISTEN], http="127.0.0.1:0"))
    with running(home) as node:
        yield Target(node, genesis)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_a_node_survives(target: Target, attack: Callable[[Target], Awaitable[None]]) -> None:
    node = target.node
    before = node.status()
    await attack(target)
    actor = Actor(target.genesis, 1_000 + ATTACKS.index(attack))
    assert node.submit([actor.sign(Enrol())]) == [None]
    wait_for(lambda: node.status()["final_transactions"] > before["final_transactions"], "the chain grows")
    wait_for(lambda: node.status()["peers"] == 0, "the attacker is gone")
    assert node.status()["height"] > before["height"]
    assert node.process.poll() is None
    assert "Traceback" not in node.log()


def test_its_log_is_a_list_of_lines(target: Target) -> None:
    log = target.node.log()
    assert "answering" not in log
    assert "a gossip validator raised" not in log
    assert all(character.isprintable() or character == "\n" for character in log)
