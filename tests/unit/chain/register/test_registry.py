"""What holds for every transaction, what the chain itself does, and what is known before a transaction is tried."""

from __future__ import annotations

from typing import Any

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.content.actions import (
    ASK,
    MAINTAIN,
    STRIKE,
    Action,
    Answer,
    Approve,
    Enrol,
    Evidence,
    Object,
    Propose,
    Rate,
    Repair,
    Rule,
    Statement,
)
from chain.content.proposals import Accredit, JailValidator, Revoke, Suspend
from chain.register import registry
from chain.register.draft import Draft
from chain.register.entries import Account, Docket, PolicyText, Roll, Rules
from chain.register.registry import MAX_DUE_A_BLOCK, check_action, check_quota, check_standing, genesis_state
from chain.register.state import decode_entry
from chain.register.statekeys import (
    DOCKET_KEY,
    ROLL_KEY,
    RULES_KEY,
    VALIDATORS_KEY,
    account_key,
    member_key,
    policy_key,
    record_key,
)
from chain.register.validators import genesis_validators
from tests.support.refusals import refusal
from tests.support.register import DIGEST, FAR, FOREVER, MARKETPLACE, MUNICIPAL, Person, Register, altered, evidence

TICKET = 13


@pytest.fixture
def market() -> Register:
    return Register(MARKETPLACE)


def test_the_state_begins_with_policy_validators_and_their_accounts(market: Register) -> None:
    genesis = market.genesis
    entries = {key: decode_entry(key, value) for key, value in genesis_state(genesis).items()}
    assert entries == {
        RULES_KEY: Rules(1, genesis.policy.digest(), 0, 0),
        policy_key(1): PolicyText(genesis.policy.encode()),
        VALIDATORS_KEY: genesis_validators(genesis),
        DOCKET_KEY: Docket(0, ()),
        ROLL_KEY: Roll(()),
        **{account_key(person.key): Account(0, b"", b"") for person in market.validators},
    }


# -------------------------------------------------------------------------------------------- nonces and expiry


def test_an_actors_transactions_are_counted(market: Register) -> None:
    ann, bob = market.member(), market.member()
    good = Rate(bob.key, 1, 1)
    assert market.refusal(ann, good, slip=1) is Reason.NONCE_GAP
    assert market.refusal(ann, good, slip=-1) is Reason.NONCE_USED
    assert market.refusal(ann, Enrol(), slip=-1) is Reason.NONCE_USED
    assert market.refusal(market.person(), Enrol(), slip=1) is Reason.NONCE_GAP
    market.do(ann, good)
    assert market.draft.account(ann.key) == Account(2, b"", b"", 1, 1, given=1)


def test_a_refused_transaction_uses_no_nonce(market: Register) -> None:
    ann = market.member()
    assert market.refusal(ann, Rate(ann.key, 1, 1)) is Reason.SELF_RATING
    assert market.draft.account(ann.key) == Account(1, b"", b"")


@pytest.mark.parametrize(
    ("life", "reason"),
    [(-1, Reason.EXPIRED), (0, None), (1, None), (FAR, None), (FAR + 1, Reason.EXPIRY_TOO_FAR)],
)
def test_a_transaction_has_its_time(market: Register, life: int, reason: Reason | None) -> None:
    ann, bob = market.member(), market.member()
    market.block()
    assert market.refusal(ann, Rate(bob.key, 1, 1), life=life) is reason


def test_the_bounds_of_the_wire_do_not_surprise_the_rules(market: Register) -> None:
    ann, bob = market.member(), market.member()
    transaction = market.sign(ann, Rate(bob.key, 1, 1))
    for odd, reason in (
        (transaction._replace(nonce=2**64 - 1), Reason.NONCE_GAP),
        (transaction._replace(expiry_height=2**64 - 1), Reason.EXPIRY_TOO_FAR),
        (transaction._replace(expiry_height=0), Reason.EXPIRED),
    ):
        assert refusal(registry.apply, market.draft, odd) is reason


def test_the_chain_works_at_the_ends_of_time() -> None:
    # given a chain whose slots and heights are as large as a header's can sensibly be
    slot, height = 2**48, 2**63
    base = Register(slot=1)
    register = Register(slot=slot)
    register.draft = Draft(genesis_state(base.genesis), base.genesis, height, slot)
    office, ann = register.office(TICKET), register.member()
    number = register.file(office, ann, TICKET, -5)
    register.do(ann, Object(ann.key, number, DIGEST))
    # then its state has an encoding
    assert record_key(ann.key, number) in register.draft.changes
    record = register.standing_record(ann, number)
    assert (record.expires_slot, record.deadline_slot, record.height) == (slot + 90, slot + 20, height)


# ------------------------------------------------------------------------------------------------------ deadlines


def test_one_block_works_off_so_many_deadlines_and_the_next_the_others() -> None:
    # given thousands of records that expire in one of two slots, the later ones filed first
    register = Register(altered(MUNICIPAL, rights={"lookback_days": 1}), one_document=False)
    office, people = register.office(TICKET), [register.member() for _ in range(3)]
    count = 2 * MAX_DUE_A_BLOCK + 200
    for number in range(count):
        late = number < MAX_DUE_A_BLOCK
        register.file(office, people[number % 3], TICKET, -5, established_slot=1 if late else 0)
        if number % MAX_DUE_A_BLOCK == 0:
            register.block()

    # when no block is made until all of them have expired
    left = count
    register.block(200)
    order: list[tuple[int, bytes, int]] = []
    while left:
        done = [(item.record.expires_slot, item.subject, item.number) for item in register.draft.happenings]
        assert len(done) == min(left, MAX_DUE_A_BLOCK)
        assert sum(register.entry(person).standing for person in people) == left - len(done)
        order += done
        left -= len(done)
        register.block()

    # then they go in the order of their slots and keys, and nothing is left
    assert order == sorted(order)
    assert register.happened == []
    for person in people:
        entry = register.entry(person)
        assert (register.score(person), entry.standing, entry.record_points) == (1000, 0, 0)


def test_what_falls_due_together_is_done_in_the_order_of_slots_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    register = Register(altered(MUNICIPAL, rights={"lookback_days": 99}), one_document=False)
    office, ann = register.office(TICKET), register.member()
    motion = register.propose(Suspend(office.key))
    for established in (-59, -60):  # they expire in slot 31, in which the motion lapses, and in slot 30
        register.file(office, ann, TICKET, -5, established_slot=established)
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 1)
    seen = []
    for slots in (40, 1, 1):
        register.block(slots)
        gone = [register.record(ann, number) is None for number in range(2)]
        seen.append((gone, register.motion(motion).closed_height))
    assert seen == [([False, True], 0), ([True, True], 0), ([True, True], 4)]


def test_only_entries_with_deadlines_fall_due(market: Register) -> None:
    ann = market.member()
    market.block()
    with pytest.raises(InvariantBroken):
        registry.begin(market.draft, [(member_key(ann.key),) * 2], market.electorate)


# ------------------------------------------------------------------------------------- what the mempool asks first


def standing_refusal(register: Register, person: Person, action: Action) -> Reason | None:
    return refusal(check_standing, register.draft, register.sign(person, action))


def test_strangers_and_members_do_not_fill_the_mempool_with_what_institutions_send() -> None:
    register = Register()
    office, ann, stranger = register.office(TICKET), register.member(), register.person()
    acts: list[Action] = [
        register.filing(ann, TICKET, -5),
        Answer(ann.key, 0, MAINTAIN, 0, DIGEST),
        Rule(ann.key, 0, STRIKE, DIGEST),
    ]
    votes: list[Action] = [Propose(Accredit(stranger.key, 1, (), 0, FOREVER)), Approve(0)]
    for person in (ann, stranger, register.validators[0]):
        assert {standing_refusal(register, person, action) for action in acts} == {Reason.NOT_AUTHORITY}
    for person in (ann, stranger, office):
        assert {standing_refusal(register, person, action) for action in votes} == {Reason.NOT_VALIDATOR}
    assert {standing_refusal(register, office, action) for action in acts} == {None}
    assert {standing_refusal(register, register.validators[0], action) for action in votes} == {None}
    register.carry(Revoke(office.key))
    assert {standing_refusal(register, office, action) for action in acts} == {Reason.AUTHORITY_REVOKED}


def test_what_members_may_send_is_tried_in_a_block() -> None:
    register = Register()
    ann, stranger = register.member(), register.person()
    acts: list[Action] = [Object(ann.key, 0, DIGEST), Repair(ann.key, 0, ASK, DIGEST), Statement(ann.key, 0, b"")]
    assert {standing_refusal(register, ann, action) for action in acts} == {None}
    assert standing_refusal(register, stranger, Enrol()) is None
    assert standing_refusal(register, ann, Enrol()) is Reason.ALREADY_ENROLLED


def test_a_key_that_was_left_sends_nothing(market: Register) -> None:
    ann, bob = market.member(), market.member()
    market.rotate(ann)
    left = market.sign(ann.with_key(0), Rate(bob.key, 1, 1))
    assert refusal(check_quota, market.draft, left) is Reason.ROTATED_KEY


def test_nobody_sends_evidence_of_what_is_punished() -> None:
    register = Register()
    ann, bob, v3 = register.member(), register.member(), register.validators[3]
    for _ in range(4):
        register.block()
    accuse = evidence(register, v3)
    assert standing_refusal(register, ann, accuse) is None
    register.do(bob, accuse)
    assert standing_refusal(register, ann, accuse) is Reason.ALREADY_PUNISHED


def test_a_jailed_validator_sends_no_motion() -> None:
    register = Register()
    v3 = register.validators[3]
    register.carry(JailValidator(v3.key))
    assert standing_refusal(register, v3, Approve(0)) is Reason.NOT_VALIDATOR


POLICY_REFUSALS: dict[str, tuple[Reason, dict[str, Any]]] = {
    "a category that is not in the policy": (Reason.UNKNOWN_CATEGORY, {"category": 99}),
    "points out of range": (Reason.POINTS_OUT_OF_RANGE, {"points": -6}),
    "another severity": (Reason.WRONG_SEVERITY, {"severity": 3}),
    "no reason": (Reason.NO_REASON_GIVEN, {"category": 15}),
    "an old policy": (Reason.STALE_POLICY, {"policy_version": 0}),
}


@pytest.mark.parametrize(("reason", "fields"), POLICY_REFUSALS.values(), ids=POLICY_REFUSALS)
def test_what_follows_from_the_policy_alone_is_known_before(reason: Reason, fields: dict[str, Any]) -> None:
    register = Register()
    office, ann = register.office(TICKET, 15), register.member()
    action = register.filing(ann, TICKET, -5)._replace(**fields)
    early = refusal(check_action, register.draft.policy, register.sign(office, action))
    # whether the policy is stale depends on the block that holds the record
    assert early is (None if reason is Reason.STALE_POLICY else reason)
    assert register.refusal(office, action) is reason


def test_ratings_and_evidence_are_judged_before_too(market: Register) -> None:
    ann, bob = market.member(), market.member()

    def early(action: Action) -> Reason | None:
        return refusal(check_action, market.draft.policy, market.sign(ann, action))

    assert early(Rate(ann.key, 1, 1)) is Reason.SELF_RATING
    assert early(Rate(bob.key, 2, 1)) is Reason.UNKNOWN_CATEGORY
    assert early(Rate(bob.key, 1, 11)) is Reason.POINTS_OUT_OF_RANGE
    assert early(Rate(bob.key, 1, 10)) is None
    header = market.block().header.raw
    assert early(Evidence(header, header)) is Reason.MALFORMED
    assert early(Enrol()) is None
