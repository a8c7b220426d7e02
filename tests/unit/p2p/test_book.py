from __future__ import annotations

from random import Random

import pytest

from chain.codec import encode
from chain.errors import Refused
from p2p import handshake
from p2p.addresses import read_address
from p2p.book import GIVE_WAY_S, MAX_RETRY_S, PeerBook
from tests.unit.p2p.net import peer_id_of

IDS = sorted(peer_id_of(number) for number in range(1, 7))


def address(peer_id: str, port: int = 4000) -> str:
    return f"/ip4/192.0.2.1/tcp/{port}/p2p/{peer_id}"


def book_with(peer_id: str, own_id: str = "", *, bootstrap: bool = False) -> PeerBook:
    book = PeerBook(own_id, Random(1))
    found = read_address(address(peer_id))
    assert found is not None
    if bootstrap:
        book.add(found, 0.0)
    else:
        book.hear(found, 0.0, "")
    return book


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "/ip4/192.0.2.1/tcp/4000",
        address("1" * 10) + "x" * 300,
        address("not-an-id"),
        f"/ip4/192.0.2.1/tcp/0/p2p/{IDS[0]}",
        f"/ip4/192.0.2.1/udp/4000/p2p/{IDS[0]}",
        f"/ip4/192.0.2.1/tcp/4000/ws/p2p/{IDS[0]}",
        f"/ip4/192.0.2.1/tcp/4000/p2p/{IDS[0]}/p2p-circuit",
        f"/unix/tmp/p2p/{IDS[0]}",
    ],
)
def test_other_addresses_are_not_dialled(text: str) -> None:
    assert read_address(text) is None


def test_an_address_on_every_interface_means_where_the_peer_is_seen() -> None:
    found = read_address(f"/ip4/0.0.0.0/tcp/4000/p2p/{IDS[0]}")
    assert found is not None
    assert str(found.seen_from("192.0.2.1")) == address(IDS[0])
    assert str(found.seen_from("2001:db8::1")) == f"/ip6/2001:db8::1/tcp/4000/p2p/{IDS[0]}"


def test_waiting_times_grow_to_the_limit_and_start_again_after_a_loss() -> None:
    book = book_with(IDS[0], bootstrap=True)
    contact = book.get(IDS[0])
    assert contact is not None
    waits = []
    for _ in range(200):
        book.failed(contact, 0.0)
        waits.append(contact.due_at)
    assert waits[0] < 0.5
    assert max(waits) <= MAX_RETRY_S + GIVE_WAY_S
    assert min(waits[10:]) >= MAX_RETRY_S / 2
    assert book.get(IDS[0]) is contact  # configured peers are never given up
    book.lost(contact, 0.0)
    assert contact.due_at < 0.5


def test_of_two_peers_the_one_with_the_larger_id_gives_way() -> None:
    early = book_with(IDS[1], own_id=IDS[0]).get(IDS[1])
    late = book_with(IDS[0], own_id=IDS[1]).get(IDS[0])
    assert early is not None
    assert late is not None
    assert (early.due_at, late.due_at) == (0.0, GIVE_WAY_S)


def test_a_hello_speaks_for_its_sender_only() -> None:
    hello = handshake.encode_hello([address(IDS[0]), address(IDS[1]), "junk"], b"status")
    addresses, payload = handshake.decode_hello(hello, IDS[0])
    assert [str(found) for found in addresses] == [address(IDS[0])]
    assert payload == b"status"


@pytest.mark.parametrize(
    "data",
    [b"", b"\x92", encode((b"", b"")), encode(((1,), b"")), encode(((), 7)), encode(((), b"", b"")), bytes(10**6)],
)
def test_a_malformed_hello_is_refused(data: bytes) -> None:
    with pytest.raises(Refused):
        handshake.decode_hello(data, IDS[0])


def test_a_list_of_peers_is_bounded_and_names_numeric_addresses() -> None:
    many = [address(IDS[0], port) for port in range(1, 100)]
    assert len(handshake.decode_peers(handshake.encode_peers(many))) == handshake.MAX_SHARED
    assert not handshake.decode_peers(handshake.encode_peers([f"/dns4/inside/tcp/1/p2p/{IDS[0]}"]))
    with pytest.raises(Refused):
        handshake.decode_peers(encode(tuple(item.encode() for item in many)))
