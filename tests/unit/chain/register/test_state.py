"""Entries of the state: each comes back from its bytes, keys tell their type, and deadlines are found."""

from __future__ import annotations

import pytest

from chain.base.codec import U32_MAX, U64_MAX, encode
from chain.base.errors import InvariantBroken
from chain.content.identities import (
    Annulment,
    Guardians,
    Leaving,
    Left,
    Recovery,
    annulment_key,
    guardians_key,
    leaving_key,
    left_key,
    recovery_key,
)
from chain.register import entries
from chain.register.entries import (
    CARRIED,
    LAPSED,
    MAINTAINED,
    OBJECTED,
    OPEN,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    STANDING,
    Account,
    Authority,
    CategorySum,
    Clock,
    Docket,
    Entry,
    Marker,
    Member,
    Motion,
    PolicyText,
    Rating,
    Record,
    Roll,
    Rules,
    Rulings,
    Tally,
    Window,
)
from chain.register.state import decode_entry, due_slot, encode_entry
from chain.register.statekeys import (
    CLOCK_KEY,
    DOCKET_KEY,
    ROLL_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    authority_key,
    losses_key,
    marker_key,
    member_key,
    motion_key,
    policy_key,
    rating_key,
    read_motion_key,
    read_rating_key,
    read_record_key,
    record_key,
    rulings_key,
    sum_key,
    tally_key,
)
from chain.register.validators import Change, Seat, Validators

ANN, BOB = bytes([1]) * 32, bytes([2]) * 32
DIGEST = bytes([9]) * 32
RECORD = Record(BOB, U32_MAX, -(10**6), 255, DIGEST, b"", -(2**48), U64_MAX, 1, 90, 1, -1, 0, 0, 0, b"", b"", b"")
MOTION = Motion(ANN, b"\x92\x02" + ANN, 7, 40, (ANN, BOB), OPEN, 0, 1)
ENTRIES: dict[bytes, Entry] = {
    RULES_KEY: Rules(1, DIGEST, 2, 2**48),
    policy_key(U32_MAX): PolicyText(b"a document"),
    account_key(ANN): Account(U64_MAX, BOB, ANN),
    member_key(ANN): Member(ANN, 5, -(2**40), 7, 2**40, U32_MAX, 1, 2, ((0, 1), (3, 2))),
    rating_key(BOB, ANN, U32_MAX): Rating(-10, U64_MAX),
    record_key(ANN, U32_MAX): RECORD,
    record_key(ANN, 0): RECORD._replace(stands=1, appeal_slot=7, lot=ANN, lot_height=6, arbiter=BOB, votes=((ANN, 2),)),
    sum_key(ANN, U32_MAX): CategorySum(-(2**40)),
    marker_key(DIGEST): Marker(U64_MAX, 1),
    ROLL_KEY: Roll(((ANN, 5), (BOB, U64_MAX))),
    rulings_key(ANN, BOB): Rulings(1, 2, 3),
    CLOCK_KEY: Clock(U64_MAX),
    authority_key(ANN): Authority(ANN, 3, (1, 2), 0, U64_MAX, 1, 5, 4, 3, 2, 1, 0, Window(-4, 1, 2, 3, 4)),
    VALIDATORS_KEY: Validators(
        active=(Seat(ANN, 1, 0, 0),),
        voting=((ANN, 1), (BOB, 0)),
        change=(Change(5, ANN, BOB),),
        following=((BOB, 1),),
        decided_height=11,
        queue=(Change(6, ANN, b"", 3),),
        tags=((ANN, bytes(15) + b"t"),),
    ),
    DOCKET_KEY: Docket(U32_MAX + 1, (0, U32_MAX)),
    motion_key(U32_MAX): MOTION,
    tally_key(ANN): Tally(3, U32_MAX),
    losses_key(ANN): Tally(3, 8),
    guardians_key(ANN): Guardians(DIGEST, b"", 7, 9),
    recovery_key(ANN): Recovery(BOB, 7),
    leaving_key(ANN): Leaving(7, 1, BOB),
    annulment_key(ANN): Annulment(BOB, DIGEST, 7, 1, DIGEST, BOB, DIGEST, 9, ((ANN, 2),)),
    left_key(ANN): Left(7),
}


@pytest.mark.parametrize(("key", "entry"), ENTRIES.items(), ids=[type(entry).__name__ for entry in ENTRIES.values()])
def test_entries_come_back_with_their_type(key: bytes, entry: Entry) -> None:
    again = decode_entry(key, encode_entry(entry))
    assert again == entry
    assert type(again) is type(entry)


def test_no_key_is_the_beginning_of_anothers_namespace() -> None:
    assert len({key[:1] for key in ENTRIES}) == len(ENTRIES) - 1  # of records there are two


def test_keys_hold_what_they_name_and_sort_by_it() -> None:
    assert read_rating_key(rating_key(ANN, BOB, 2**31)) == (ANN, BOB, 2**31)
    assert read_record_key(record_key(ANN, 2**31)) == (ANN, 2**31)
    assert read_motion_key(motion_key(2**31)) == 2**31
    for make in (lambda number: record_key(ANN, number), motion_key, policy_key, lambda code: sum_key(ANN, code)):
        keys = [make(number) for number in (0, 1, 255, 256, 2**16, U32_MAX)]
        assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"", encode(())),
        (b"x" + ANN, encode(())),
        (RULES_KEY, b""),
        (RULES_KEY, b"\xc1"),
        (RULES_KEY, encode((1, DIGEST))),
        (RULES_KEY, encode((1, DIGEST, 0, 0, 0))),
        (RULES_KEY, encode(7)),
        (member_key(ANN), encode_entry(RECORD)),
        (VALIDATORS_KEY, encode(((), (), (), (), 0, (), ()))),
        (VALIDATORS_KEY, encode(1)),
    ],
    ids=repr,
)
def test_what_is_no_entry_is_our_bug(key: bytes, value: bytes) -> None:
    with pytest.raises(InvariantBroken):
        decode_entry(key, value)


@pytest.mark.parametrize(
    ("status", "counts"),
    [(STANDING, True), (REPAIR_ASKED, True), (REPAIR_DRAWN, True), (OBJECTED, False), (MAINTAINED, False)],
)
def test_points_count_unless_an_objection_is_open(status: int, counts: bool) -> None:
    assert RECORD._replace(status=status).counts is counts
    assert RECORD._replace(status=status, stands=1).counts


@pytest.mark.parametrize(("deadline_slot", "due"), [(0, 90), (89, 89), (90, 90), (91, 90)])
def test_a_record_is_due_when_its_deadline_passes_or_it_expires(deadline_slot: int, due: int) -> None:
    record = RECORD._replace(deadline_slot=deadline_slot)
    assert record.due_slot == due
    assert due_slot(record_key(ANN, 0), encode_entry(record)) == due


def test_what_the_chain_itself_acts_on_and_when() -> None:
    key = motion_key(0)
    assert due_slot(key, encode_entry(MOTION)) == 40
    for status in (CARRIED, LAPSED):
        assert due_slot(key, encode_entry(MOTION._replace(status=status))) is None
    assert due_slot(RULES_KEY, encode_entry(Rules(1, DIGEST, 2, 77))) == 77
    assert due_slot(RULES_KEY, encode_entry(Rules(1, DIGEST, 0, 0))) is None
    assert due_slot(key, None) is None
    timeless = [key for key in ENTRIES if key[:1] not in (b"d", b"k", b"o", b"p", b"y", b"l", b"u", b"w")]
    assert [due_slot(key, encode_entry(ENTRIES[key])) for key in timeless] == [None] * len(timeless)


def test_a_status_is_a_number_that_all_nodes_store_alike() -> None:
    assert (entries.STANDING, entries.REPAIR_ASKED, entries.REPAIR_REFERRED, entries.REPAIR_DRAWN) == (0, 1, 2, 3)
    assert (entries.OBJECTED, entries.MAINTAINED, entries.DRAWN) == (4, 5, 6)
    assert (entries.ACTIVE, entries.SUSPENDED, entries.REVOKED) == (0, 1, 2)
    assert (entries.OPEN, entries.CARRIED, entries.LAPSED) == (0, 1, 2)


def test_the_key_of_a_sum_names_its_category_in_four_bytes() -> None:
    assert sum_key(b"\x07" * 32, 258) == b"s" + b"\x07" * 32 + b"\x00\x00\x01\x02"
