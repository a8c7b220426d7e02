from __future__ import annotations

from random import Random

import pytest

from chain.base.codec import encode
from chain.base.errors import Refused
from p2p import book as module
from p2p import handshake
from p2p.addresses import PeerAddress, read_address
from p2p.book import GIVE_WAY_S, MAX_RETRY_S, PeerBook
from tests.unit.p2p.net import peer_id_of

IDS = sorted(peer_id_of(number) for number in range(1, 7))


def address(peer_id: str, port: int = 4000) -> str:
    return f"/ip4/192.0.2.1/tcp/{port}/p2p/{peer_id}"


def at(peer_id: str, port: int = 4000) -> PeerAddress:
    found = read_address(address(peer_id, port))
    assert found is not None
    return found


def peer(number: int) -> PeerAddress:
    """A peer in a neighbourhood of its own."""
    return PeerAddress("ip4", f"{20 + number // 256}.0.{number % 256}.1", 4000, f"peer {number}")


def book_with(peer_id: str, own_id: str = "", *, bootstrap: bool = False) -> PeerBook:
    book = PeerBook(own_id, Random(1))
    if bootstrap:
        book.add(at(peer_id), 0.0)
    else:
        book.hear(at(peer_id), 0.0, "")
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


def test_a_stray_peer_is_dialled_ever_less_and_never_quite_given_up_once_it_was_reached() -> None:
    book = PeerBook("", Random(1))
    book.reached(at(IDS[0]), 0.0)
    contact = book.get(IDS[0])
    assert contact is not None
    for _ in range(100):
        book.failed(contact, 0.0)
    assert module.MAX_STRAY_RETRY_S / 2 <= contact.due_at <= module.MAX_STRAY_RETRY_S + GIVE_WAY_S
    assert book.get(IDS[0]) is contact


def test_what_was_only_told_and_is_wrong_is_forgotten() -> None:
    book = book_with(IDS[0])
    contact = book.get(IDS[0])
    assert contact is not None
    book.hear(at(IDS[0], 2), 0.0, "")
    book.mistaken(contact, at(IDS[0]))
    assert contact.addresses == [at(IDS[0], 2)]
    book.mistaken(contact, at(IDS[0], 2))
    assert book.get(IDS[0]) is None


def test_what_was_reached_or_named_outlives_what_is_said() -> None:
    book = book_with(IDS[0], bootstrap=True)
    book.reached(at(IDS[0], 2), 0.0)
    for port in range(100, 200):
        book.hear(at(IDS[0], port), 0.0, "")
    contact = book.get(IDS[0])
    assert contact is not None
    newest = [at(IDS[0], port) for port in (199, 198, 197, 196)]
    assert contact.addresses == [at(IDS[0]), at(IDS[0], 2), *newest]
    for known in (at(IDS[0]), at(IDS[0], 2)):
        book.mistaken(contact, known)
        assert known in contact.addresses
    assert book.proven() == [at(IDS[0], 2)]


def test_of_two_peers_the_one_with_the_larger_id_gives_way() -> None:
    early = book_with(IDS[1], own_id=IDS[0]).get(IDS[1])
    late = book_with(IDS[0], own_id=IDS[1]).get(IDS[0])
    assert early is not None
    assert late is not None
    assert (early.due_at, late.due_at) == (0.0, GIVE_WAY_S)


def test_addresses_by_the_thousand_fill_what_there_is_for_rumours_and_nothing_else() -> None:
    book = PeerBook("own", Random(1))
    book.add(peer(0), 0.0)
    book.reached(peer(1), 0.0)
    for number in range(2, 3000):
        book.hear(peer(number), 0.0, f"source {number % 3}" if number < 2000 else "one more")
    rumours = [contact for contact in book if not contact.is_known]
    by_source = {source: sum(each.source == source for each in rumours) for source in ("source 0", "one more")}
    assert by_source == {"source 0": module.MAX_TOLD_BY_ONE, "one more": module.MAX_TOLD - 3 * module.MAX_TOLD_BY_ONE}
    assert len(rumours) == module.MAX_TOLD
    assert [contact.peer_id for contact in book][:2] == ["peer 0", "peer 1"]
    book.hear(PeerAddress("ip4", "192.0.2.1", 1, "own"), 0.0, "")
    assert book.get("own") is None


def test_the_peers_that_were_reached_are_bounded_and_those_that_fail_go_first() -> None:
    book = PeerBook("own", Random(1))
    for number in range(module.MAX_KNOWN):
        book.reached(peer(number), 0.0)
    failing = book.get("peer 7")
    assert failing is not None
    book.failed(failing, 0.0)
    book.reached(peer(1000), 0.0)
    assert len(book.proven()) == module.MAX_KNOWN
    assert book.get("peer 7") is None
    for number in range(1001, 2000):  # none fails: who comes now, with however many names, displaces nobody
        book.reached(peer(number), 0.0)
    assert book.get("peer 0") is not None
    assert book.get("peer 1999") is None


def test_one_neighbourhood_fills_no_book() -> None:
    book = PeerBook("own", Random(1))
    book.reached(peer(1), 0.0)
    for number in range(1, 200):
        book.reached(PeerAddress("ip4", f"203.0.113.{number}", 1, f"near {number}"), 0.0)
        book.reached(PeerAddress("ip4", f"127.0.0.{number}", 1, f"here {number}"), 0.0)
    near = [address for address in book.proven() if address.peer_id.startswith("near")]
    assert [address.host for address in near] == [f"203.0.113.{number}" for number in range(1, 17)]
    assert len(book.proven()) == 1 + module.MAX_KNOWN_NEIGHBOURS + 199


def test_a_book_is_poor_until_enough_peers_seem_to_be_there_seeds_aside() -> None:
    book = PeerBook("own", Random(1))
    for number in range(10):
        book.add(peer(100 + number), 0.0, is_seed=True)
        book.hear(peer(200 + number), 0.0, "")
    for number in range(module.FEW):
        assert book.is_poor
        book.reached(peer(number), 0.0)
    assert not book.is_poor
    gone = book.get("peer 0")
    assert gone is not None
    for _ in range(module.FEW):
        assert not book.is_poor
        book.failed(gone, 0.0)
    assert book.is_poor


def test_a_seed_that_is_a_named_peer_too_is_a_named_peer() -> None:
    for order in ((True, False), (False, True)):
        book = PeerBook("own", Random(1))
        for is_seed in order:
            book.add(peer(1), 0.0, is_seed=is_seed)
        (contact,) = book
        assert (contact.bootstrap, contact.seed) == (True, False)


def test_a_later_life_begins_with_what_was_reached() -> None:
    book = PeerBook("peer 2", Random(1))
    book.remember([peer(1), peer(2), peer(3)], 5.0)
    assert [contact.peer_id for contact in book] == ["peer 1", "peer 3"]
    assert all(contact.due_at <= 5.0 + GIVE_WAY_S for contact in book)


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
