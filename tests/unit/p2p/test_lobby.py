"""Who gives way to a newcomer."""

from __future__ import annotations

from random import Random

import pytest

from p2p.lobby import GRACE_S, Guest, Room, Use, makes_room

NOW = 1000.0
ROOM = Room.of(32)
RNG = Random(1)


def guest(number: int, host: str = "127.0.0.1", age_s: float = 100.0, use: Use = Use.NONE) -> Guest:
    return Guest(f"guest {number}", host, NOW - age_s, use)


def crowd(count: int, host: str = "127.0.0.1", age_s: float = 100.0, use: Use = Use.NONE) -> list[Guest]:
    return [guest(number, host, age_s, use) for number in range(count)]


def leaver(guests: list[Guest], host: str = "127.0.0.1") -> Guest | None:
    return makes_room(guests, host, ROOM, NOW, RNG)


def test_a_place_is_taken_while_there_is_one() -> None:
    assert leaver(crowd(31)) is None
    assert leaver(crowd(32)) is not None
    assert leaver([]) is None


def test_who_does_nothing_goes_before_who_asks_and_that_before_who_brings() -> None:
    brings, asks, idles = (guest(90 + use, use=use) for use in (Use.DELIVERED, Use.ASKED, Use.NONE))
    assert leaver([*crowd(31, use=Use.ASKED), idles]) == idles
    assert leaver([*crowd(31, use=Use.DELIVERED), asks]) == asks
    assert leaver([*crowd(31, use=Use.DELIVERED), brings]) is not None  # all alike: a newcomer has its chance


def test_of_those_alike_the_crowded_neighbourhood_goes_first() -> None:
    alone = [guest(number, f"198.51.{number}.1", age_s=10.0) for number in range(25)]
    together = [guest(50 + number, f"203.0.113.{number}", age_s=900.0) for number in range(7)]
    for _ in range(20):
        assert leaver(alone + together, "192.0.2.1") in together


def test_those_that_were_here_longer_stay() -> None:
    old, young = crowd(16, age_s=900.0), crowd(16, age_s=100.0)
    assert {leaver(old + young) for _ in range(100)} <= set(young)


def test_a_newcomer_has_its_grace() -> None:
    with pytest.raises(LookupError):
        leaver(crowd(32, age_s=GRACE_S - 0.1))
    idle, asks = guest(98, age_s=GRACE_S), guest(99, age_s=900.0, use=Use.ASKED)
    assert leaver([*crowd(30, age_s=GRACE_S - 0.1), asks, idle]) == idle


def test_who_is_of_use_does_not_go_for_those_that_are_too_new_to_be_judged() -> None:
    with pytest.raises(LookupError):
        leaver([*crowd(31, age_s=GRACE_S - 0.1), guest(99, age_s=900.0, use=Use.ASKED)])


def test_an_address_and_a_neighbourhood_have_their_share_and_give_way_within_it() -> None:
    others = [guest(number, f"198.51.{number}.1") for number in range(10)]
    same = [guest(50 + number, "203.0.113.7", use=Use.DELIVERED) for number in range(ROOM.sharing)]
    assert leaver(others + same, "203.0.113.8") is None
    assert leaver(others + same, "203.0.113.7") in same
    near = [guest(50 + number, f"203.0.113.{number}", use=Use.DELIVERED) for number in range(ROOM.neighbours)]
    assert leaver(others + near, "203.0.113.200") in near
    assert leaver(others + near, "203.0.114.1") is None
    six = [guest(50 + number, f"2001:db8::{number}", use=Use.DELIVERED) for number in range(ROOM.neighbours)]
    assert leaver(others + six, "2001:db8::ff") in six


def test_on_one_machine_or_site_addresses_say_nothing() -> None:
    for host in ("127.0.0.1", "::1", "192.168.0.7"):
        assert leaver(crowd(31, host), host) is None


def test_without_places_nobody_comes_in() -> None:
    with pytest.raises(LookupError):
        makes_room([], "127.0.0.1", Room.of(0), NOW, RNG)
