"""Who gets into a mesh, who stays, whom we ask: reserved places, scores, the ones we dialled, and where they are."""

from __future__ import annotations

from random import Random

import pytest

from p2p.meshsub.standing import FIRST_CAP, GOSSIP_THRESHOLD, SILENCE, Retained, Standing
from p2p.meshsub.topic import (
    D_HI,
    D_LO,
    D_OUT,
    D_SCORE,
    MAX_OF_ADDRESS,
    MAX_OF_BLOCK,
    D,
    Place,
    better,
    may_enter,
    origin_of,
    recruits,
    survivors,
)

RNG = Random(1)


def place(peer: str, score: float = 0.0, *, outbound: bool = False, reserved: bool = False, host: str = "") -> Place:
    return Place(peer, score, outbound, reserved, origin_of(host))


def strangers(count: int, score: float = 0.0) -> list[Place]:
    return [place(f"stranger {number}", score) for number in range(count)]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.3.4", "10.0.0.1", "fe80::1%eth0", "::1", "", "not an address"])
def test_a_local_network_is_no_origin(host: str) -> None:
    assert origin_of(host) == ()


def test_an_origin_is_an_address_and_its_block() -> None:
    assert origin_of("45.1.2.3") == ("45.1.2.3", "45.1.2.0/24")
    assert origin_of("::ffff:45.1.2.3") == origin_of("45.1.2.3")
    assert origin_of("2a01:4f8:1:2:3:4:5:6") == ("2a01:4f8:1:2:3:4:5:6", "2a01:4f8:1:2::/64")


def test_strangers_of_one_address_or_block_get_few_places() -> None:
    mesh = [place(f"p{number}", host="45.1.2.3") for number in range(MAX_OF_ADDRESS)]
    assert not may_enter(place("next", host="45.1.2.3"), mesh)
    assert may_enter(place("neighbour", host="45.1.2.4"), mesh)
    mesh += [place(f"q{number}", host=f"45.1.2.{number}") for number in range(MAX_OF_BLOCK - MAX_OF_ADDRESS)]
    assert not may_enter(place("neighbour", host="45.1.2.4"), mesh)
    assert may_enter(place("elsewhere", host="45.1.3.4"), mesh)
    assert may_enter(place("named", host="45.1.2.3", reserved=True), mesh)
    assert len(recruits([], [place(f"r{n}", host=f"2a01::{n:x}") for n in range(9)], RNG)) == MAX_OF_BLOCK


def test_a_full_mesh_takes_those_with_a_place_those_we_dialled_and_those_that_deliver() -> None:
    mesh = strangers(D_HI)
    assert may_enter(place("p"), mesh[1:])
    assert not may_enter(place("p"), mesh)
    assert may_enter(place("p", outbound=True), mesh)
    assert may_enter(place("p", reserved=True), mesh)
    assert may_enter(place("p", 1.0), mesh)


def test_who_is_below_zero_gets_in_only_where_its_place_is_kept() -> None:
    assert not may_enter(place("p", -0.5), [])
    assert not may_enter(place("p", -0.5, outbound=True), [])
    assert may_enter(place("p", -50.0, reserved=True), [])


def test_those_with_a_place_leave_some_to_strangers() -> None:
    named = [place(f"named {number}", reserved=True) for number in range(3 * D_HI)]
    assert may_enter(place("p"), named + strangers(D_LO - 1))
    assert not may_enter(place("p"), named + strangers(D_LO))


def test_the_best_those_we_dialled_and_reserved_places_survive() -> None:
    good = [place(f"good {number}", 9.0 + number) for number in range(D_SCORE)]
    ours = [place(f"ours {number}", outbound=True) for number in range(D_OUT)]
    named = [place("named", -9.0, reserved=True)]
    for seed in range(20):
        kept = survivors(strangers(20) + good + ours + named, Random(seed))
        assert {each.peer for each in good[1:] + named} <= kept
        assert len(kept & {each.peer for each in ours}) == D_OUT
        assert len(kept) == D


def test_chance_decides_among_those_of_whom_nothing_is_known() -> None:
    kept = [survivors(strangers(20), Random(seed)) for seed in range(20)]
    assert all(len(each) == D for each in kept)
    assert len(set().union(*kept)) > 2 * D


def test_a_mesh_is_filled_to_its_degree_once_it_is_low() -> None:
    candidates = strangers(20)
    assert len(recruits([], candidates, RNG)) == D
    mesh = [place(f"here {number}", outbound=True) for number in range(D_LO - 1)]
    assert len(recruits(mesh, candidates, RNG)) == D - D_LO + 1
    assert recruits([*mesh, place("one more", outbound=True)], candidates, RNG) == []


def test_those_that_delivered_are_asked_first_then_chance() -> None:
    candidates = [*strangers(50), place("good", 3.0), place("better", 4.0)]
    assert recruits([], candidates, RNG)[:2] == ["better", "good"]


def test_reserved_places_are_always_filled_and_some_of_ours_are_among_the_others() -> None:
    mesh = strangers(D_HI)
    candidates = [place(f"named {number}", reserved=True) for number in range(5)]
    ours = [place(f"ours {number}", outbound=True) for number in range(5)]
    asked = recruits(mesh, candidates + ours, RNG)
    assert set(asked[:5]) == {each.peer for each in candidates}
    assert len(asked) == 5 + D_OUT


def test_a_poor_mesh_gets_some_that_are_better_than_its_median() -> None:
    mesh = [*strangers(3), place("fine", 2.0), place("bad", -1.0)]
    assert better(mesh, [place("same"), place("good", 0.5), place("best", 7.0)], RNG, 1) == ["best"]
    assert better(mesh, strangers(9), RNG, 2) == []
    assert better([], [place("good", 1.0)], RNG, 2) == ["good"]


def test_a_standing_is_made_by_deliveries_and_unmade_by_silence_and_behaviour() -> None:
    standing = Standing()
    standing.delivered("t")
    assert (standing.score("t"), standing.score("u")) == (1.0, 0.0)
    standing.was_silent("u")
    standing.was_silent("u")  # the same silence still
    assert (standing.score("t"), standing.score("u")) == (1.0, -SILENCE)
    assert standing.score("u") > GOSSIP_THRESHOLD
    standing.misbehaved(3)
    assert standing.score("t") == -2.0
    for _ in range(1_000):
        standing.delivered("t")
    assert standing.score("t") == FIRST_CAP - 3.0


def test_penalties_fade_soon_deliveries_slowly_and_not_where_nobody_speaks() -> None:
    standing = Standing()
    standing.delivered("t")
    standing.was_silent("t")
    standing.misbehaved(2)
    for _ in range(300):
        standing.decay({"u"})
    assert standing.score("t") == 1.0
    for _ in range(100):
        standing.decay({"t"})
    assert 0.8 < standing.score("t") < 1.0


def test_who_goes_and_comes_back_is_who_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("p2p.meshsub.standing.MAX_RETAINED", 2)
    retained, known = Retained(), [Standing() for _ in range(3)]
    for number, standing in enumerate(known):
        retained.keep(f"p{number}", standing)
    assert retained.back("p2") is known[2]
    assert retained.back("p0") not in known
