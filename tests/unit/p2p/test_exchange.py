"""What peers tell each other of addresses."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from p2p import handshake
from p2p.addresses import PeerAddress
from p2p.peers import PeerSettings
from tests.unit.p2p.net import PATIENCE_S, NetNode, announce, impostor, peer_id_of, running, until

PRIVATE = PeerSettings(private=True)
QUICK = PeerSettings(exchange_interval_s=0.05)
EVERYWHERE = ("/ip4/0.0.0.0/tcp/0",)


async def told_by(node: NetNode, number: int = 9) -> list[str]:
    """The peers that ``node`` names to a newcomer."""
    async with impostor(number, node) as (_, requests):
        size = handshake.MAX_PEERS_BYTES
        reply = await requests.ask(node.peer_id, "peers", b"", max_response=size, timeout_s=PATIENCE_S)
    return [address.peer_id for address in handshake.decode_peers(reply)]


def proven(node: NetNode) -> list[PeerAddress]:
    return node.transport.peers._book.proven()


async def test_only_addresses_that_were_reached_are_passed_on() -> None:
    async with running(1) as node, running(2, bootstrap=(node.address,)) as honest, trio.open_nursery() as nursery:
        await until(lambda: proven(node))
        nursery.start_soon(announce, 3, node, [f"/ip4/127.0.0.1/tcp/1/p2p/{peer_id_of(3)}"])  # nobody is there
        await until(lambda: peer_id_of(3) in node.neighbours)
        assert await told_by(node) == [honest.peer_id]
        nursery.cancel_scope.cancel()


async def test_who_listens_on_every_interface_is_passed_on_where_it_is_seen() -> None:
    async with running(1) as node, running(2, listen=EVERYWHERE, bootstrap=(node.address,)):
        await until(lambda: proven(node))
        assert [(address.host, address.peer_id) for address in proven(node)] == [("127.0.0.1", peer_id_of(2))]


async def test_peers_find_each_other_over_ipv6_as_over_ipv4() -> None:
    six = ("/ip6/::1/tcp/0",)
    async with (
        running(1, listen=six) as hub,
        running(2, listen=("/ip6/::/tcp/0",), bootstrap=(hub.address,), peers=QUICK) as second,
        running(3, listen=six, bootstrap=(hub.address,), peers=QUICK) as third,
    ):
        await until(lambda: third.peer_id in second.neighbours)
        addresses = [info.address for info in hub.transport.peers.connected()]
        assert all(address.startswith("/ip6/::1/tcp/") for address in addresses)
        await until(lambda: {address.host for address in proven(hub)} == {"::1"})


async def test_both_kinds_of_hosts_are_listened_on_at_once() -> None:
    async with running(1, listen=("/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0")) as node:
        four, six = node.transport.listen_addresses
        async with running(2, bootstrap=(four,)) as second, running(3, bootstrap=(six,)) as third:
            await until(lambda: {second.peer_id, third.peer_id} <= node.neighbours)


async def test_the_external_address_is_told_first() -> None:
    settings = PeerSettings(external="/ip4/203.0.113.7/tcp/4001")
    async with running(1, peers=settings) as node:
        told = node.transport.peers._exchange.own_addresses()
        assert told == [f"/ip4/203.0.113.7/tcp/4001/p2p/{node.peer_id}", node.address]


async def test_a_claim_that_waits_does_not_hold_up_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.hearsay.FIRST_PAUSE_S", 10 * PATIENCE_S)
    settings = PeerSettings(external="/ip4/127.0.0.1/tcp/1")
    async with running(1) as node:
        assert node.transport.peers._dialler._hearsay.begin(PeerAddress("ip4", "127.0.0.1", 1, peer_id_of(2)))
        async with running(2, bootstrap=(node.address,), peers=settings) as other:
            await until(lambda: proven(node) == [address_of(other)])


async def test_a_private_node_talks_to_its_own_peers_alone_and_they_do_not_tell_of_it() -> None:
    async with running(1) as front, running(2, bootstrap=(front.address,)) as other:
        await until(lambda: other.peer_id in {address.peer_id for address in proven(front)})
        async with running(3, bootstrap=(front.address,), peers=PRIVATE) as validator:
            await until(lambda: validator.peer_id in front.neighbours)
            front.transport.peers._book.add(address_of(validator), trio.current_time())  # as an operator may
            await until(lambda: validator.neighbours == {front.peer_id})
            assert await told_by(front) == [other.peer_id]
            other.transport.peers._book.add(address_of(validator), trio.current_time())
            other.transport.peers._dialler.wake()
            contact = other.transport.peers._book.get(validator.peer_id)
            assert contact is not None
            await until(lambda: contact.failures >= 2)
            assert validator.neighbours == {front.peer_id}
            assert validator.transport.peers._exchange.own_addresses() == []
            assert not [contact for contact in validator.transport.peers._book if not contact.bootstrap]
            assert validator.peer_id not in {address.peer_id for address in proven(front)}


def address_of(node: NetNode) -> PeerAddress:
    (_, kind, host, _, port, *_) = node.address.split("/")
    return PeerAddress(kind, host, int(port), node.peer_id)


async def hear(node: NetNode, *lists: Sequence[str]) -> list[PeerAddress]:
    """What a node keeps of what a peer says of others, list by list."""
    async with impostor(9, node) as (_, requests):
        link = node.transport.peers._links[peer_id_of(9)]
        for addresses in lists:

            async def peers(_peer_id: str, _request: bytes, told: Sequence[str] = addresses) -> bytes:
                return handshake.encode_peers(told)

            requests.serve("peers", peers, max_request=64, max_response=handshake.MAX_PEERS_BYTES, max_concurrent=4)
            await node.transport.peers._exchange.learn(link)
        return [address for contact in node.transport.peers._book for address in contact.addresses]


async def test_what_no_other_machine_can_have_is_not_believed_nor_is_a_name() -> None:
    good = [f"/ip4/198.51.100.{number}/tcp/1" for number in range(3)]
    bad = ["/ip4/0.0.0.0/tcp/1", "/ip4/224.0.0.1/tcp/1", "/dns4/localhost/tcp/1", "/ip6/::ffff:127.0.0.1/tcp/1"]
    async with running(1, peers=PeerSettings(max_peers=0)) as node:  # so that nothing is dialled
        kept = await hear(node, [f"{where}/p2p/{peer_id_of(20)}" for where in good + bad])
        assert sorted(address.where for address in kept) == good


async def test_addresses_by_the_thousand_are_kept_by_the_handful() -> None:
    lists = [[f"/ip4/198.51.100.{n}/tcp/{port}/p2p/{peer_id_of(20)}" for port in range(1, 17)] for n in range(20)]
    async with running(1, peers=PeerSettings(max_peers=0)) as node:
        assert len(await hear(node, *lists)) == 4
