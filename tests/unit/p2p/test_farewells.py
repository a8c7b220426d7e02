"""A peer that is sent away can read why, and its operator is told what to do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import trio
from libp2p.abc import INetStream
from libp2p.network.exceptions import SwarmException
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from p2p import host as host_module
from p2p.farewells import read_refusal
from p2p.frames import proposal
from p2p.host import GuardedHost, open_host
from p2p.network import PROTOCOL_VERSION
from p2p.peers import PeerSettings
from p2p.refusals import FAREWELL, Refusal, Why
from tests.unit.p2p.net import (
    PATIENCE_S,
    NetNode,
    framed,
    impostor,
    mesh_of,
    peer_id_of,
    require_service,
    running,
    seed_of,
    until,
)

Said = Callable[[], list[str]]
OTHER_GENESIS = b"\x22" * 32


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what is said is read."""
    monkeypatch.setattr(host_module, "FAREWELL_S", PATIENCE_S)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[Said]:
    """What nodes said of peers."""
    with caplog.at_level(logging.INFO, "p2p"):
        yield lambda: [item.getMessage() for item in caplog.records]


def has(said: Said, *parts: str) -> Callable[[], bool]:
    return lambda: any(all(part in line for part in parts) for line in said())


async def refused(number: int, node: NetNode) -> Refusal | None:
    """What a host reads that knows nothing but how to be sent away."""
    heard: list[Refusal | None] = []
    async with open_host(seed_of(number), ["/ip4/127.0.0.1/tcp/0"]) as host:

        async def hear(stream: INetStream) -> None:
            heard.append(await read_refusal(stream))

        host.set_stream_handler(FAREWELL, hear)
        host.swarm.admit = lambda _peer_id: True
        try:
            await dial(host, node)
            await until(lambda: heard or not host.swarm.connections)
        except SwarmException:
            return None
        return heard[0] if heard else None


async def dial(host: GuardedHost, node: NetNode) -> None:
    await host.swarm.dial_addr(Multiaddr(node.address), ID.from_base58(node.peer_id))


async def test_both_sides_learn_that_their_networks_differ(said: Said) -> None:
    async with running(1) as node, running(2, bootstrap=(node.address,), genesis_id=OTHER_GENESIS):
        await until(has(said, f"peer {node.peer_id} is not reached", "its genesis begins with 1111111111111111"))
        assert has(said, "give both nodes the same genesis.json")()
        await until(has(said, f"peer {peer_id_of(2)}", "sends this node away: it belongs to another network"))
        assert has(said, "this node speaks /goodfaith/11/2222222222222222/")()


async def test_both_sides_learn_that_their_versions_differ(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = PROTOCOL_VERSION
    async with running(1) as node:
        monkeypatch.setattr("p2p.network.PROTOCOL_VERSION", "0")
        async with running(2, bootstrap=(node.address,)):
            await until(has(said, f"peer {node.peer_id} is not reached", f"speaks version {spoken} of the protocol"))
            assert has(said, "update the older of the two nodes")()
            await until(has(said, f"peer {peer_id_of(2)}", "it speaks another version of the protocol"))


async def test_a_stranger_for_whom_there_is_no_place_is_told_so(said: Said) -> None:
    async with running(1, peers=PeerSettings(max_strangers=1)) as node, impostor(9, node):
        assert await refused(8, node) == Refusal(Why.FULL)
        async with running(2, bootstrap=(node.address,)):
            await until(has(said, f"peer {node.peer_id} is not reached", "no place for another stranger"))
            assert has(said, "have its operator name this node in peers")()


async def test_who_gives_way_is_told_so(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.lobby.GRACE_S", 0.0)
    async with (
        running(1, peers=PeerSettings(max_strangers=1)) as node,
        running(2, bootstrap=(node.address,)) as first,
    ):
        await until(lambda: first.peer_id in node.neighbours)
        async with running(3, bootstrap=(node.address,)):
            await until(
                has(said, f"peer {node.peer_id} is not reached", "gave the place of this node", "for 60 s more")
            )


async def test_who_is_banned_is_told_why_and_for_how_long_also_when_it_comes_again(said: Said) -> None:
    async with running(1) as node, running(2, bootstrap=(node.address,)) as other:
        await until(lambda: other.peer_id in node.neighbours)
        node.transport.peers.penalise(other.peer_id, 100.0, "sent nonsense")
        await until(has(said, f"peer {node.peer_id} is not reached", '("you sent nonsense")', "for 300 s more"))
        await until(lambda: not node.neighbours)
    async with running(1) as node:
        node.transport.peers._reputation.ban(peer_id_of(9), 200.0)
        refusal = await refused(9, node)
        assert refusal is not None
        assert refusal.why is Why.BANNED
        assert 0 < refusal.seconds <= 200


async def test_who_did_not_hear_why_it_is_banned_is_told_again_when_it_comes_again() -> None:
    async with running(1) as node:
        async with impostor(9, node):  # which does not listen, and leaves
            await until(lambda: peer_id_of(9) in node.neighbours)
            node.transport.peers.penalise(peer_id_of(9), 100.0, "sent nonsense")
        await until(lambda: peer_id_of(9) not in node.transport.peers._links)
        refusal = await refused(9, node)
        assert refusal is not None
        assert (refusal.why, refusal.text) == (Why.BANNED, "you sent nonsense")
        assert 0 < refusal.seconds <= 300


async def test_who_knocks_at_a_node_that_knows_only_named_peers_is_told_so(said: Said) -> None:
    async with running(1, peers=PeerSettings(private=True)) as node, running(2, bootstrap=(node.address,)):
        await until(has(said, f"peer {node.peer_id} is not reached", "none but the peers that its operator named"))
        assert has(said, "name one of its front nodes instead")()


async def test_a_crowd_that_is_sent_away_is_not_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "MAX_FAREWELLS", 0)
    async with mesh_of(2) as (node, friend):
        node.transport.peers._reputation.ban(peer_id_of(9), 200.0)
        assert await refused(9, node) is None
        await require_service(node, friend)


async def test_who_does_not_hang_up_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_module, "FAREWELL_S", 0.1)
    async with mesh_of(2) as (node, friend), open_host(seed_of(9), ["/ip4/127.0.0.1/tcp/0"]) as host:
        host.swarm.admit = lambda _peer_id: True
        host.set_stream_handler(FAREWELL, lambda _stream: trio.sleep_forever())
        node.transport.peers._reputation.ban(peer_id_of(9), 200.0)
        await dial(host, node)
        await until(lambda: not host.swarm.connections)
        await require_service(node, friend)


@pytest.mark.parametrize("words", [b"\xc1", b"x" * 300, Refusal(Why.OTHER).encode()], ids=["garbage", "long", "good"])
async def test_a_stranger_that_sends_us_away_is_let_go_whatever_it_says(words: bytes) -> None:
    async with mesh_of(2) as (node, friend), impostor(9, node) as (host, _):
        stream = await host.open_stream(ID.from_base58(node.peer_id), FAREWELL)
        await stream.write(proposal(FAREWELL) + framed(words))
        await until(lambda: not host.swarm.connections)
        assert node.transport.peers.bans() == {}
        await require_service(node, friend)
