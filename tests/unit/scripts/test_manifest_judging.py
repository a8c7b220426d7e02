"""Each kind of assertion holds of what it should, and fails of what it should not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.manifest_parts.judging import judge
from scripts.manifest_parts.record import Record, Sight
from scripts.manifest_parts.things import (
    ASSERTIONS,
    Agree,
    Assertion,
    Lag,
    LoseDisk,
    Manifest,
    Memory,
    Mute,
    Recorded,
    Seats,
    Slots,
    Speaks,
    Stalls,
    Stays,
    Synced,
    Validator,
)

CHAIN = [bytes([height]) * 32 for height in range(1, 9)]
OTHER = b"\xff" * 32
MANIFEST = Manifest(title="t", slots=10, validators=(Validator(name="ann"), Validator(name="bob")))


def sight(slot: int) -> Sight:
    """One block a slot, final two later."""
    final = max(0, slot - 1)
    return Sight(slot + 1, final, CHAIN[final - 1] if final else bytes(32), is_validator=True, rss_mb=100)


def good() -> Record:
    return Record(
        sights={slot: {"ann": sight(slot), "bob": sight(slot)} for slot in range(10)},
        chains={"ann": CHAIN, "bob": CHAIN},
        blocks=[(slot, ("ann", "bob")[slot % 2]) for slot in range(10)],
        offered={b"one": 1, b"two": 2, b"six": 6},
        final={b"one", b"two"},
    )


def seen(record: Record, slot: int, name: str, **changes: object) -> Record:
    record.see(slot, name, replace(record.sights[slot][name], **changes))  # type: ignore[arg-type]
    return record


def forked() -> Record:
    record = good()
    record.chains = {"ann": CHAIN, "bob": [*CHAIN[:6], OTHER]}
    return record


def shortened() -> Record:
    record = good()
    record.chains = {"ann": CHAIN, "bob": CHAIN[:6]}
    return record


def without(name: str) -> Record:
    record = good()
    for sights in record.sights.values():
        del sights[name]
    return record


def idle() -> Record:
    record = good()
    record.blocks = [(slot, "ann") for slot in range(0, 10, 2)]
    return record


def stalled() -> Record:
    record = good()
    for slot in range(4, 10):
        seen(record, slot, "bob", final_height=3, final_id=CHAIN[2])
    return record


HOLD: list[tuple[Assertion, Record]] = [
    (Agree(), good()),
    (Agree(nodes=("ann",)), forked()),
    (Stays(), good()),
    (Slots(since=2, until=10, percent=100), good()),
    (Slots(since=0, until=10, percent=50), idle()),
    (Lag(since=0, until=10, blocks=2), good()),
    (Lag(since=0, until=10, blocks=2, nodes=("ann",)), stalled()),
    (Stalls(since=5, until=10, nodes=("bob",)), stalled()),
    (Synced(at=9), good()),
    (Synced(at=5, within=1, nodes=("bob",)), stalled()),
    (Mute(at=4, nodes=("bob",), why="clock"), seen(good(), 4, "bob", mute="its clock is wrong")),
    (Speaks(since=5, until=7, nodes=("ann", "bob")), good()),
    (Seats(at=4, nodes=("ann", "bob")), good()),
    (Recorded(since=0, until=5, percent=100), good()),
    (Recorded(since=0, until=10, percent=66), good()),
    (Memory(mb=100), good()),
]
FAIL: list[tuple[Assertion, Record, str]] = [
    (Agree(), forked(), "bob ends with another final chain"),
    (Agree(), seen(good(), 5, "bob", final_id=OTHER), "bob called another block final at height 4 in slot 5"),
    (Agree(), seen(good(), 5, "bob", final_height=99), "bob called another block final at height 99"),
    (Stays(), seen(good(), 5, "bob", final_height=2), "bob was final up to 3, and up to 2 in slot 5"),
    (Stays(), seen(good(), 5, "bob", final_id=OTHER), "bob replaced the block at height 4"),
    (Stays(), shortened(), "bob ends with less final than it had"),
    (Slots(since=0, until=10, percent=51), idle(), "5 of 10 slots kept"),
    (Lag(since=0, until=10, blocks=1), good(), "2 blocks at most"),
    (Lag(since=0, until=10, blocks=6), stalled(), "7 blocks at most, at bob in slot 9"),
    (Lag(since=0, until=10, blocks=9, nodes=("bob",)), without("bob"), "no node answered"),
    (Stalls(since=5, until=10), stalled(), "ann made height 5 final in slot 6"),
    (Stalls(since=5, until=10, nodes=("bob",)), without("bob"), "no node answered"),
    (Synced(at=9), stalled(), "bob is 5 blocks behind height 8"),
    (Synced(at=9), without("bob"), "bob did not answer"),
    (Mute(at=4, nodes=("bob",)), good(), "nothing, it is not mute"),
    (Mute(at=4, nodes=("bob",), why="disk"), seen(good(), 4, "bob", mute="clock"), "bob says: clock"),
    (Mute(at=4, nodes=("bob",)), without("bob"), "bob did not answer"),
    (Speaks(since=0, until=10, nodes=("ann", "bob")), idle(), "ann made 5, bob made 0"),
    (Seats(at=4, nodes=("ann", "bob")), seen(good(), 4, "bob", is_validator=False), "ann sits"),
    (Seats(at=4, nodes=("ann",)), good(), "ann bob sits"),
    (Recorded(since=0, until=10, percent=67), good(), "2 of 3 are final"),
    (Recorded(since=7, until=10, percent=1), good(), "0 of 0 are final"),
    (Memory(mb=199), seen(good(), 3, "bob", rss_mb=200), "200 MB at most, bob in slot 3"),
    (Memory(mb=199, nodes=("bob",)), without("bob"), "no node answered"),
]


@pytest.mark.parametrize(("assertion", "record"), HOLD, ids=lambda each: getattr(each, "word", ""))
def test_it_holds(assertion: Assertion, record: Record) -> None:
    (verdict,) = judge(replace(MANIFEST, asserts=(assertion,)), record)
    assert verdict.holds, verdict.seen


@pytest.mark.parametrize(("assertion", "record", "words"), FAIL, ids=lambda each: getattr(each, "word", ""))
def test_it_fails(assertion: Assertion, record: Record, words: str) -> None:
    (verdict,) = judge(replace(MANIFEST, asserts=(assertion,)), record)
    assert not verdict.holds
    assert words in verdict.seen


def test_a_lost_disk_begins_anew_and_then_stays() -> None:
    lost = replace(MANIFEST, events=(LoseDisk(at=5, nodes=("bob",)),), asserts=(Stays(),))
    begun = seen(good(), 6, "bob", final_height=1, final_id=CHAIN[0])
    del begun.sights[5]["bob"]
    assert judge(lost, begun)[0].holds
    assert not judge(replace(lost, events=()), begun)[0].holds
    assert not judge(lost, seen(begun, 8, "bob", final_height=2, final_id=CHAIN[1]))[0].holds


def test_every_kind_is_seen_to_hold_and_to_fail() -> None:
    assert {row[0].word for row in HOLD} == {row[0].word for row in FAIL} == set(ASSERTIONS)
