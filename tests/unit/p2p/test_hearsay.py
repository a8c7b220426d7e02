"""What strangers say of addresses makes a node dial little, and ever less."""

from __future__ import annotations

from p2p.addresses import PeerAddress
from p2p.hearsay import FIRST_PAUSE_S, MAX_ALL_IN_VAIN, MAX_IN_VAIN, MAX_PAUSE_S, MAX_REMEMBERED, PAUSE_FACTOR, Hearsay


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def at(host: str, port: int = 1, peer_id: str = "P") -> PeerAddress:
    return PeerAddress("ip4", host, port, peer_id)


def test_where_nobody_was_reached_nobodys_word_opens_it_for_a_while_that_grows() -> None:
    clock = Clock()
    hearsay = Hearsay(clock)
    assert hearsay.begin(at("192.0.2.1"))
    for pause_s in (
        FIRST_PAUSE_S,
        FIRST_PAUSE_S * PAUSE_FACTOR,
        FIRST_PAUSE_S * PAUSE_FACTOR**2,
        MAX_PAUSE_S,
        MAX_PAUSE_S,
    ):
        assert hearsay.is_shut(at("192.0.2.1", peer_id="another"))
        assert not hearsay.begin(at("192.0.2.1", peer_id="another"))
        clock.now += pause_s - 1
        assert hearsay.is_shut(at("192.0.2.1"))
        clock.now += 1
        assert hearsay.begin(at("192.0.2.1"))


def test_a_neighbourhood_is_dialled_in_vain_so_often() -> None:
    hearsay = Hearsay(Clock())
    tried = [hearsay.begin(at(f"192.0.2.{number}", number)) for number in range(1, 100)]
    assert sum(tried) == MAX_IN_VAIN
    assert not hearsay.is_shut(at("192.0.2.99", 99))  # it was not dialled
    assert hearsay.begin(at("198.51.100.1"))


def test_all_together_are_dialled_in_vain_so_often() -> None:
    clock = Clock()
    hearsay = Hearsay(clock)
    assert sum(hearsay.begin(at(f"198.51.{number}.1")) for number in range(100)) == MAX_ALL_IN_VAIN
    clock.now += 10
    assert sum(hearsay.begin(at(f"203.0.{number}.1")) for number in range(100)) == 10


def test_what_is_reached_costs_nothing() -> None:
    hearsay = Hearsay(Clock())
    for number in range(1, 200):
        assert hearsay.begin(at("192.0.2.1", number))
        hearsay.reached(at("192.0.2.1", number))
        assert not hearsay.is_shut(at("192.0.2.1", number))


def test_a_lie_about_a_peer_leaves_its_address_open_and_costs_all_the_same() -> None:
    hearsay = Hearsay(Clock())
    tried = 0
    while hearsay.begin(at("192.0.2.1")):
        hearsay.spare(at("192.0.2.1"))
        tried += 1
    assert tried == MAX_IN_VAIN
    assert not hearsay.is_shut(at("192.0.2.1"))


def test_the_memory_is_bounded() -> None:
    clock = Clock()
    hearsay = Hearsay(clock)
    for number in range(MAX_REMEMBERED + 10):
        clock.now += 1
        assert hearsay.begin(at(f"{11 + number // 65536}.{number // 256 % 256}.{number % 256}.1"))
    assert len(hearsay._in_vain) == MAX_REMEMBERED
