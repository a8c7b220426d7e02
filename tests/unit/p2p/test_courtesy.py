"""What any peer of libp2p may ask: who this is, and whether it is there."""

from __future__ import annotations

import pytest
from libp2p.abc import INetStream
from libp2p.crypto.serialization import deserialize_public_key
from libp2p.host.exceptions import StreamFailure
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from p2p.courtesy import IDENTIFY, IDENTIFY_RATE, MAX_IDENTITY_BYTES, PING, PING_RATE, identify
from p2p.frames import LIBRARY_ERRORS, FrameReader, StreamEnded
from p2p.host import GuardedHost
from p2p.peers import PeerSettings
from tests.unit.p2p.net import PREFIX, NetNode, framed, impostor, mesh_of, peer_id_of, require_service, running, until


async def identity_of(node: NetNode, host: GuardedHost) -> Identify:
    stream = await host.new_stream(ID.from_base58(node.peer_id), [IDENTIFY])
    return Identify.FromString(await FrameReader(stream).frame(MAX_IDENTITY_BYTES))


async def test_a_node_says_who_it_is_what_it_speaks_and_how_it_sees_the_asker() -> None:
    async with running(1, agent="goodfaith/1.2.3") as node, impostor(9, node) as (host, _):
        identity = await identity_of(node, host)
        assert identity.agent_version == "goodfaith/1.2.3"
        assert identity.protocol_version == PREFIX
        assert ID.from_pubkey(deserialize_public_key(identity.public_key)) == ID.from_base58(node.peer_id)
        assert [f"{Multiaddr(each)}/p2p/{node.peer_id}" for each in identity.listen_addrs] == [node.address]
        assert str(Multiaddr(identity.observed_addr)).startswith("/ip4/127.0.0.1/tcp/")
        spoken = set(identity.protocols)
        assert {IDENTIFY, PING, "/meshsub/1.1.0", f"{PREFIX}hello", f"{PREFIX}echo"} <= spoken


async def test_a_node_that_knows_only_named_peers_says_not_where_it_is() -> None:
    async with running(1) as node:
        private = PeerSettings(private=True)
        async with running(2, bootstrap=(node.address,), peers=private) as hidden:
            await until(lambda: hidden.peer_id in node.neighbours)
            courtesy = hidden.transport.peers.addresses_for("127.0.0.1")
            assert courtesy == []


@pytest.mark.parametrize(
    ("asker", "told"),
    [
        ("127.0.0.1", ["/ip4/203.0.113.7/tcp/4001", "/ip4/127.0.0.1"]),
        ("192.168.1.9", ["/ip4/203.0.113.7/tcp/4001"]),
        ("198.51.100.9", ["/ip4/203.0.113.7/tcp/4001"]),
    ],
)
async def test_an_address_is_told_to_those_that_it_can_mean_the_same_to(asker: str, told: list[str]) -> None:
    async with running(1, peers=PeerSettings(external="/ip4/203.0.113.7/tcp/4001")) as node:
        shown = [address.where for address in node.transport.peers.addresses_for(asker)]
        assert [each if each in told else each.rpartition("/tcp/")[0] for each in shown] == told


async def test_an_address_that_means_every_interface_is_told_to_nobody() -> None:
    async with running(1, listen=("/ip4/0.0.0.0/tcp/0",)) as node:
        assert node.transport.peers.addresses_for("127.0.0.1") == []


async def test_who_asks_again_and_again_who_this_is_gets_no_more_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.courtesy.IDENTIFY_RATE", (1e-9, IDENTIFY_RATE[1]))
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        for _ in range(int(IDENTIFY_RATE[1])):
            await identity_of(node, host)
        with pytest.raises((StreamEnded, StreamFailure)):  # noqa: PT012 - which of them is not known
            for _ in range(50):
                await identity_of(node, host)
        assert node.transport.peers.bans() == {}
        await require_service(node, friend)


async def test_pings_are_echoed_one_after_the_other_on_one_stream_also_in_pieces() -> None:
    async with running(1) as node, impostor(9, node) as (host, _):
        stream = await host.new_stream(ID.from_base58(node.peer_id), [PING])
        for number in range(3):
            payload = bytes([number]) * 32
            await stream.write(payload[:7])
            await stream.write(payload[7:])
            echo = b""
            while len(echo) < 32:
                echo += await stream.read(32 - len(echo))
            assert echo == payload


async def test_who_pings_too_often_is_not_answered_any_more_and_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.courtesy.PING_RATE", (1e-9, PING_RATE[1]))
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        stream = await host.new_stream(ID.from_base58(node.peer_id), [PING])
        received = 0
        with pytest.raises(LIBRARY_ERRORS):  # noqa: PT012 - which of the two ends first is the library's choice
            for _ in range(200):
                await stream.write(bytes(32))
                piece = await stream.read(32)
                received += len(piece)
                if not piece:
                    raise OSError("the end")
        assert received >= 32 * PING_RATE[1]
        assert node.transport.peers.bans() == {}
        await require_service(node, friend)


async def test_half_a_ping_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.courtesy.PATIENCE_S", 0.1)
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        stream = await host.new_stream(ID.from_base58(node.peer_id), [PING])
        await stream.write(bytes(31))
        with pytest.raises((StreamEnded, *LIBRARY_ERRORS)):
            await FrameReader(stream).frame(10)
        await require_service(node, friend)


async def test_a_node_reads_what_another_says_of_itself() -> None:
    async with running(1, agent="goodfaith/9") as node, impostor(9, node) as (host, _):
        identity = await identify(host, node.peer_id)
        assert identity is not None
        assert identity.agent == "goodfaith/9"
        assert f"{PREFIX}hello" in identity.protocols


@pytest.mark.parametrize(
    "answer",
    [
        framed(b"\xff" * 20),
        framed(b"x" * (MAX_IDENTITY_BYTES + 1)),
        b"\xff" * 6,
        b"",
    ],
    ids=["garbage", "too large", "no frame", "nothing"],
)
async def test_an_answer_that_is_none_is_no_identity(answer: bytes) -> None:
    async with running(1) as node, impostor(9, node) as (host, _):

        async def answers(stream: INetStream) -> None:
            await stream.write(answer)
            await stream.close()

        host.set_stream_handler(IDENTIFY, answers)
        assert await identify(node.transport.peers._host, peer_id_of(9)) is None
