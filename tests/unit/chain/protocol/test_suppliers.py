"""Peers, what they claim, and what came of asking them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.protocol.messages import GetHeadings, Status
from chain.protocol.pace import PATIENCE_MS
from chain.protocol.suppliers import (
    MAX_FAILURES,
    MAX_REST_MS,
    MAX_STATUSES,
    NO_CEILING,
    REST_MS,
    Asked,
    Supplier,
    Suppliers,
)

ID = b"\x01" * 32
STATUS = Status(ID, 10, 10, 0)


def named(suppliers: Suppliers, peer: str) -> Supplier:
    supplier = suppliers.get(peer)
    assert supplier is not None
    return supplier


def order(suppliers: Suppliers) -> list[str]:
    return [supplier.peer for supplier in suppliers.in_order(suppliers)]


def asked(suppliers: Suppliers, peer: str, *, at_ms: int = 0, count: int = 10) -> Asked:
    request = Asked(named(suppliers, peer), GetHeadings(ID, 1, count, 10_000), (), at_ms, 0, 0, 10_000)
    suppliers.ask(request)
    return request


def test_who_fails_comes_last_and_who_delivers_first() -> None:
    suppliers = Suppliers(["friend"])
    for peer in ("one", "two", "three", "friend", "validator"):
        suppliers.note(peer, STATUS, b"its key" if peer == "validator" else b"")
    assert order(suppliers) == ["friend", "validator", "one", "two", "three"]
    suppliers.delivered(named(suppliers, "three"), 100, 10)
    assert order(suppliers)[0] == "three"
    suppliers.failed(named(suppliers, "friend"), 0)
    assert order(suppliers)[-1] == "friend", "who does not answer is no use, whoever it is"
    suppliers.delivered(named(suppliers, "two"), 48_000, 10)
    assert order(suppliers)[:2] == ["two", "three"], "the faster before the slower"


def test_a_crowd_that_one_validator_vouches_for_is_mostly_strangers() -> None:
    suppliers = Suppliers(["friend"])
    for number in range(20):
        suppliers.note(f"peer {number}", STATUS, b"key")
    suppliers.note("friend", STATUS, b"key")
    suppliers.note("honest", STATUS, b"another key")
    assert [each.peer for each in suppliers if each.is_known] == ["peer 18", "peer 19", "friend", "honest"]


def test_what_is_final_is_what_most_of_those_say_who_are_known() -> None:
    suppliers = Suppliers(["friend"])
    assert suppliers.said_final == 0
    heights = {"one": 7, "two": 9, "three": 0, "four": 8}
    for peer, height in heights.items():
        suppliers.note(peer, replace(STATUS, finalized_height=height))
    assert suppliers.said_final == 0, "a crowd of strangers says what it likes"
    suppliers.note("friend", replace(STATUS, finalized_height=3))
    assert suppliers.said_final == 3
    for number, height in enumerate((5, 4)):
        suppliers.note(f"machine {number}", replace(STATUS, finalized_height=height), bytes([number]))
    assert suppliers.said_final == 4
    # nor does one validator with many machines
    for number in range(9):
        suppliers.note(f"another {number}", replace(STATUS, finalized_height=10), bytes([0]))
    assert suppliers.said_final == 4


def test_who_fails_rests_longer_each_time_until_it_delivers() -> None:
    suppliers, now_ms = Suppliers(), 0
    suppliers.note("peer", STATUS)
    peer = named(suppliers, "peer")
    for rest_ms in (REST_MS, 2 * REST_MS, 4 * REST_MS):
        suppliers.failed(peer, now_ms)
        assert suppliers.rests(peer, now_ms + rest_ms - 1)
        now_ms += rest_ms
        assert not suppliers.rests(peer, now_ms)
    for _ in range(20):
        suppliers.failed(peer, now_ms)
    assert suppliers.rests(peer, now_ms + MAX_REST_MS - 1)
    assert not suppliers.rests(peer, now_ms + MAX_REST_MS)
    assert not suppliers.rests(peer, now_ms - 1), "a clock that jumped back silences nobody"
    suppliers.delivered(peer, 1, 1)
    assert (suppliers.failures("peer"), suppliers.rests(peer, now_ms)) == (0, False)


def test_failures_are_remembered_when_a_peer_comes_again() -> None:
    suppliers = Suppliers()
    suppliers.note("peer", STATUS)
    suppliers.failed(named(suppliers, "peer"), 0)
    suppliers.forget("peer")
    suppliers.note("peer", STATUS)
    assert suppliers.rests(named(suppliers, "peer"), 1)


def test_who_never_makes_good_what_it_claims_loses_its_place_unless_it_is_known() -> None:
    suppliers = Suppliers(["friend"])
    for peer in ("stranger", "friend"):
        suppliers.note(peer, STATUS)
        for _ in range(MAX_FAILURES - 1):
            suppliers.failed(named(suppliers, peer), 0)
        assert not suppliers.has_lost_its_place(peer)
        suppliers.failed(named(suppliers, peer), 0)
    assert suppliers.has_lost_its_place("stranger")
    assert not suppliers.has_lost_its_place("friend")
    assert not suppliers.has_lost_its_place("nobody")


def test_claims_are_bounded_and_those_that_are_known_stay() -> None:
    suppliers = Suppliers(["friend"])
    suppliers.note("friend", STATUS)
    for number in range(MAX_STATUSES + 10):
        suppliers.note(f"peer{number}", STATUS)
    peers = order(suppliers)
    assert len(peers) == MAX_STATUSES
    assert "friend" in peers
    assert ("peer10" in peers, "peer11" in peers) == (False, True)
    everybody = Suppliers([f"peer{number}" for number in range(MAX_STATUSES + 1)])
    for number in range(MAX_STATUSES + 1):
        everybody.note(f"peer{number}", STATUS)
        everybody.failed(named(everybody, f"peer{number}"), 0)
    assert len(order(everybody)) == MAX_STATUSES
    assert everybody.failures("peer0") == 0


def test_a_new_claim_begins_anew() -> None:
    suppliers = Suppliers()
    suppliers.note("peer", STATUS)
    peer = named(suppliers, "peer")
    peer.back, peer.ceiling, peer.floor, peer.trail = 64, 7, 5, ID
    suppliers.note("peer", STATUS)
    assert (peer.back, peer.ceiling, peer.floor) == (64, 7, 5), "the same again is no news"
    suppliers.note("peer", Status(b"\x02" * 32, 11, 10, 0))
    assert (peer.back, peer.ceiling, peer.floor, peer.trail) == (0, NO_CEILING, 0, ID), "what it showed it has shown"


def test_a_peer_that_is_gone_is_waited_for_no_more() -> None:
    suppliers = Suppliers()
    for peer in ("one", "two"):
        suppliers.note(peer, STATUS)
    one, two = asked(suppliers, "one"), asked(suppliers, "two")
    suppliers.forget("one")
    assert list(suppliers.asked) == [two]
    assert suppliers.close("one", one.request) is None
    assert suppliers.is_asked("two", two.request)
    assert suppliers.close("two", two.request) is two
    assert suppliers.close("two", two.request) is None


def test_a_reply_is_late_after_what_its_line_explains() -> None:
    suppliers = Suppliers()
    suppliers.note("peer", STATUS)
    request = asked(suppliers, "peer", at_ms=1_000)
    assert not suppliers.is_late(request, 1_000 + PATIENCE_MS - 1)
    assert suppliers.is_late(request, 1_000 + PATIENCE_MS)
    assert suppliers.is_late(request, 999), "the clock jumped"
    suppliers.under_way("peer", request.request, 80_000, 900_000, 1_000)
    suppliers.under_way("nobody", request.request, 80_000, 900_000, 1_000)
    assert (request.received, request.expected) == (80_000, 900_000)
    assert suppliers.late_at_ms(request) == 1_000 + PATIENCE_MS + 10_000


@pytest.mark.parametrize(
    ("count", "size", "is_whole", "is_full"),
    [
        (10, 100, False, True),  # all of it
        (3, 5_000, False, True),  # as many bytes as were asked for, about
        (3, 4_999, False, False),
        (3, 4_999, True, True),  # there are no more
        (0, 0, True, False),  # nothing
    ],
)
def test_a_reply_is_measured_against_what_was_asked_for(count: int, size: int, is_whole: bool, is_full: bool) -> None:
    suppliers = Suppliers()
    suppliers.note("peer", STATUS)
    assert suppliers.is_full(asked(suppliers, "peer"), count, size, is_whole=is_whole) is is_full
