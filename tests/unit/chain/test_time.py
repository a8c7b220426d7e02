"""Registry time stands still while the register cannot act."""

from __future__ import annotations

import pytest

from chain.base.errors import Reason
from chain.branches.ledger import Ledger
from chain.content.actions import LEAVE, Leave, Object, Rate, Veto
from chain.content.genesis import Genesis
from chain.content.proposals import Accredit, Suspend
from chain.register.draft import Draft, Parent
from chain.register.entries import Clock
from chain.register.statekeys import CLOCK_KEY
from chain.register.view import MemoryView
from tests.support.register import DIGEST, MARKETPLACE, MUNICIPAL, Person, Register, altered

TICKET, DEFAULT = 13, 1
HEARTBEAT = 20
# A heartbeat, and two rounds of at most eight leaders.
IDLE = HEARTBEAT + 2 * 8


@pytest.fixture
def register() -> Register:
    return Register(altered(MUNICIPAL, rights={"lookback_days": 90}), heartbeat_slots=HEARTBEAT, one_document=False)


def recorded(register: Register) -> tuple[Person, Person]:
    office, ann = register.office(DEFAULT, TICKET), register.member()
    register.file(office, ann, DEFAULT, -20, severity=2)
    return office, ann


def test_a_gap_that_an_idle_chain_makes_is_no_outage(register: Register) -> None:
    assert register.genesis.idle_slots == IDLE
    register.block(IDLE)
    assert (register.draft.slot, register.draft.date_slot, register.draft.lost_slots) == (1 + IDLE, 1 + IDLE, 0)
    assert register.draft.get(CLOCK_KEY) is None


def test_what_is_beyond_is_lost_and_adds_up(register: Register) -> None:
    register.block(IDLE + 3)
    assert (register.draft.slot, register.draft.date_slot) == (1 + IDLE, 4 + IDLE)
    register.block(1)
    register.block(IDLE + 100)
    assert register.draft.get(CLOCK_KEY) == Clock(103)
    assert register.draft.date_slot - register.draft.slot == 103
    assert register.draft.date(register.draft.slot + 7) == register.draft.date_slot + 7


def test_an_outage_lapses_no_objection() -> None:
    policy = altered(MUNICIPAL, periods={"answer_days": 60})
    register = Register(policy, heartbeat_slots=HEARTBEAT, one_document=False)
    office, ann = recorded(register)
    register.do(ann, Object(ann.key, 0, DIGEST))
    register.block(5_000)
    assert register.happened == []
    # of the sixty days those are left that no idle chain would have let pass
    register.block(60 - IDLE - 1)
    assert register.record(ann, 0) is not None
    register.block()
    assert register.happened == ["lapsed"]
    assert register.authority(office).overturned == 1


def test_an_outage_ends_no_notice_and_makes_members_older() -> None:
    """Who leaves can still think better of it; who rates has been a member for so long by the calendar."""
    policy = altered(MARKETPLACE, identity={"leave_days": 60}, raters={"age_days": 60})
    register = Register(policy, heartbeat_slots=HEARTBEAT)
    ann, bob = register.member(), register.member()
    register.do(ann, Leave())
    assert register.refusal(bob, Rate(ann.key, 1, 5)) is Reason.TOO_FRESH
    register.block(5_000)
    register.do(ann, Veto(LEAVE))
    register.do(bob, Rate(ann.key, 1, 5))


def test_motions_and_policies_wait_too_and_terms_are_dates(register: Register) -> None:
    office = register.office(TICKET, term=(0, 200))
    motion = register.propose(Suspend(office.key))
    register.amend(60, score={"base": 1_001}, rights={"lookback_days": 91})
    register.block(IDLE + 150)
    assert register.draft.date_slot > 61
    assert (register.motion(motion).status, register.draft.rules.version) == (2 if IDLE >= 30 else 0, 1)
    register.block(60 - IDLE)
    assert register.draft.rules.version == 2
    # conduct is judged by the policy that was in force then, by date
    assert register.draft.policy_at(register.draft.date_slot).version == 2
    assert register.draft.policy_at(register.draft.date_slot - 1).version == 1
    # the term of an office has ended in the calendar
    ann = register.member()
    refused = register.refusal(office, register.filing(ann, TICKET, -5))
    assert refused is not None
    assert refused.code == "not_accredited"
    register.carry(Accredit(office.key, 0, (TICKET,), 0, register.draft.date_slot + 1))
    register.file(office, ann, TICKET, -5)


def test_a_record_filed_after_an_outage_lasts_as_long_as_any(register: Register) -> None:
    office, ann = recorded(register)
    register.block(IDLE + 1_000)
    number = register.file(office, ann, TICKET, -5, established_slot=register.draft.date_slot - 10)
    record = register.standing_record(ann, number)
    assert record.expires_slot - register.draft.slot == 80
    assert register.draft.date(record.expires_slot) == register.draft.date_slot + 80
    assert register.entry(ann).enrolled_slot == 1


def test_every_node_sees_the_same_outage_also_from_a_snapshot(register: Register) -> None:
    recorded(register)
    register.block(IDLE + 70)
    register.block(IDLE + 9)
    ledger = register.ledger
    again = Ledger(register.genesis, ledger.state, ledger.height, ledger.head)
    assert again.draft(register.draft.date_slot, register.electorate).slot == register.draft.slot
    fresh = Ledger(register.genesis)
    for block, electorate in register.blocks:
        fresh.extend(block, electorate)
    assert (fresh.state, fresh.head) == (ledger.state, ledger.head)
    ledger.settle(1)
    assert ledger.head == fresh.head
    assert MemoryView(ledger.state, register.genesis, ledger.height, 0).date(5) == 5 + 70


def test_time_at_its_bounds(register: Register) -> None:
    genesis: Genesis = register.genesis
    far = 2**62
    draft = Draft(register.ledger.state, genesis, 2, far, Parent(bytes(32), 1))
    assert (draft.slot, draft.outage_slots, draft.date_slot) == (1 + IDLE, far - 1 - IDLE, far)
    assert Draft(register.ledger.state, genesis, 2, far).slot == far
