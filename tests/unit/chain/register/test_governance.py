"""The rules of validators: motions and what they decide, amendments, evidence."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from chain.base.errors import InvariantBroken, Reason
from chain.consensus.attestations import sign_attestation
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import Approve, Consent, Evidence, Leave, Lost, Propose
from chain.content.proposals import (
    ARBITER,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    Suspend,
    encode_proposal,
)
from chain.content.transactions import verify_transaction
from chain.register import arbiters, offences, registry
from chain.register.entries import ACTIVE, CARRIED, LAPSED, OPEN, REVOKED, SUSPENDED, Docket, Motion, Rules
from chain.register.governance import MAX_OPEN_MOTIONS, MAX_WAIT_DAYS, carry, fall_due
from chain.register.offences import EVIDENCE_MAX_AGE_BLOCKS, LOSSES_A_DAY
from chain.register.scores import standing
from chain.register.statekeys import DOCKET_KEY, VALIDATORS_KEY, authority_key, motion_key
from chain.register.validators import ADD, MAX_QUEUED, Change, weights_of
from tests.support.refusals import refusal
from tests.support.register import FOREVER, MARKETPLACE, MUNICIPAL, Person, Register, amended, evidence, with_category

DEFAULT, TICKET, DRUNK = 1, 13, 14
MOTION_DAYS, NOTICE_DAYS, WORSE_NOTICE_DAYS = 30, 30, 60


@pytest.fixture
def register() -> Register:
    return Register()


def accreditation(person: Person, *categories: int, rights: int = ARBITER) -> Accredit:
    return Accredit(person.key, rights, tuple(sorted(categories)), 0, FOREVER)


# ---------------------------------------------------------------------------------------------------------- motions


def test_more_than_two_thirds_carry_a_motion(register: Register) -> None:
    office, (v0, v1, v2, v3) = register.person(), register.validators
    proposal = accreditation(office, TICKET)
    number = register.invite(proposal)
    motion = Motion(v0.key, encode_proposal(proposal), 1, 1 + MOTION_DAYS, (v0.key,), OPEN, 0, 0)
    assert (register.motion(number), register.draft.docket) == (motion, Docket(1, (0,)))
    register.do(v1, Approve(number))
    assert register.draft.authority(office.key) is None
    register.block()
    register.do(v2, Approve(number))
    assert register.motion(number)[4:] == ((v0.key, v1.key, v2.key), CARRIED, 2, 0)
    assert register.authority(office).categories == (TICKET,)
    assert register.draft.docket == Docket(1, ())
    assert register.refusal(v3, Approve(number)) is Reason.MOTION_CLOSED


@pytest.mark.parametrize(
    ("weights", "approvals"),
    [((1,), 1), ((1, 1), 2), ((1, 1, 1), 3), ((1, 1, 1, 1), 3), ((3, 1), 1), ((2, 1), 2), ((1, 1, 1, 1, 1, 1), 5)],
)
def test_exactly_two_thirds_are_not_enough(weights: tuple[int, ...], approvals: int) -> None:
    register = Register(weights=weights)
    number = register.invite(accreditation(register.person()))
    needed = 1
    while register.motion(number).status == OPEN:
        register.do(register.validators[needed], Approve(number))
        needed += 1
    assert needed == approvals
    assert register.draft.docket == Docket(1, ())


def test_approving_refused(register: Register) -> None:
    v0, v1, *_ = register.validators
    number = register.invite(accreditation(register.person()))
    assert register.refusal(v0, Approve(number)) is Reason.ALREADY_APPROVED
    assert register.refusal(v1, Approve(number + 1)) is Reason.UNKNOWN_MOTION
    assert register.refusal(v1, Approve(2**32 - 1)) is Reason.UNKNOWN_MOTION
    assert register.refusal(register.person(), Approve(number)) is Reason.NOT_VALIDATOR
    assert register.refusal(register.member(), Propose(accreditation(v0))) is Reason.NOT_VALIDATOR


def test_a_motion_lapses(register: Register) -> None:
    number = register.invite(accreditation(register.person()))
    register.block(MOTION_DAYS - 1)
    register.do(register.validators[1], Approve(number))
    register.block()
    assert (register.motion(number).status, register.motion(number).closed_height) == (LAPSED, 3)
    assert register.draft.docket == Docket(1, ())
    assert register.refusal(register.validators[2], Approve(number)) is Reason.MOTION_CLOSED


def test_a_motion_that_waits_to_lapse_is_not_carried(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    number = register.invite(accreditation(register.person()))
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    register.block(MOTION_DAYS)
    assert register.motion(number).status == OPEN
    assert register.refusal(register.validators[1], Approve(number)) is Reason.DEADLINE_PASSED


def test_one_validator_opens_only_so_many(register: Register) -> None:
    v0, v1, v2, _ = register.validators
    proposals = [accreditation(register.person()) for _ in range(MAX_OPEN_MOTIONS + 1)]
    for proposal in proposals[:-1]:
        register.invite(proposal)
    assert register.refusal(v0, Propose(proposals[-1])) is Reason.TOO_MANY_MOTIONS
    register.propose(proposals[-1], by=1)
    register.do(v1, Approve(0))
    register.do(v2, Approve(0))
    register.propose(proposals[-1])


def test_motions_have_their_limit(register: Register) -> None:
    register.draft.put(DOCKET_KEY, Docket(2**32 - 1, ()))
    last = register.invite(accreditation(register.person()))
    assert (last, register.draft.get(motion_key(last)).status) == (2**32 - 1, OPEN)
    assert register.refusal(register.validators[1], Propose(accreditation(register.person()))) is Reason.COUNTER_LIMIT


def test_the_weights_are_those_when_it_is_carried() -> None:
    register = Register(weights=(2, 2, 2, 2, 1))
    office = register.person()
    number = register.invite(accreditation(office))
    register.carry(JailValidator(register.validators[0].key))
    for _ in range(12):
        register.block()
    assert register.draft.validators.active[0].is_jailed
    # 7 of weight are left, the jailed mover's 2 do not count: 2 + 2 are too few, 2 + 2 + 1 are enough
    for voter in (1, 2):
        register.do(register.validators[voter], Approve(number))
    assert register.motion(number).status == OPEN
    register.do(register.validators[4], Approve(number))
    assert register.motion(number).status == CARRIED


def test_who_is_jailed_or_gone_neither_moves_nor_approves(register: Register) -> None:
    v0, v1, v2, v3 = register.validators
    number = register.invite(accreditation(register.person()))
    register.carry(JailValidator(v3.key))
    for _ in range(10):
        register.block()
    for action in (Approve(number), Propose(accreditation(v0))):
        assert register.refusal(v3, action) is Reason.NOT_VALIDATOR
    register.validators = [v0, v1, v2]
    register.carry(RemoveValidator(v3.key))
    for _ in range(10):
        register.block()
    assert register.refusal(v3, Approve(number)) is Reason.NOT_VALIDATOR


def test_a_validators_new_key_may_approve_again_and_counts_once(register: Register) -> None:
    v0, v1, v2, _ = register.validators
    number = register.invite(accreditation(register.person()), by=1)
    newcomer = register.person()
    register.carry(ReplaceValidator(v1.key, newcomer.key))
    for _ in range(10):
        register.block()
    assert register.refusal(v1, Approve(number)) is Reason.NOT_VALIDATOR
    register.do(newcomer, Approve(number))
    register.do(v0, Approve(number))
    assert register.motion(number).status == OPEN
    register.do(v2, Approve(number))
    assert register.motion(number).status == CARRIED


# ------------------------------------------------------------------------------------------------------ authorities


@pytest.mark.parametrize("is_member", [False, True])
def test_nobody_is_given_an_office_without_its_word(register: Register, *, is_member: bool) -> None:
    # It could neither leave nor be recovered from then on, whatever it thinks of that.
    ann = register.member() if is_member else register.person()
    number = register.propose(accreditation(ann))
    for validator in register.validators[1:]:
        register.do(validator, Approve(number))
    assert (register.motion(number).status, register.draft.authority(ann.identity)) == (OPEN, None)
    register.do(ann, Consent(number))
    assert (register.motion(number).status, register.authority(ann).rights) == (CARRIED, ARBITER)


def test_who_enrols_after_the_motion_is_asked_as_well(register: Register) -> None:
    registrar, ann = register.registrar(), register.person()
    number = register.propose(accreditation(ann))
    for validator in register.validators[1:]:
        register.do(validator, Approve(number))
    register.do(ann, register.enrolment(ann, registrar))
    assert register.motion(number).status == OPEN
    assert register.refusal(ann, Leave()) is None


def test_who_moved_since_consents_with_the_key_of_today(register: Register) -> None:
    ann = register.member()
    number = register.propose(accreditation(ann))
    register.rotate(ann)
    assert register.refusal(ann.with_key(0), Consent(number)) is Reason.ROTATED_KEY
    for validator in register.validators[1:]:
        register.do(validator, Approve(number))
    register.do(ann, Consent(number))
    assert register.authority(ann).key == ann.key


def test_an_authority_is_not_asked_about_its_terms_nor_who_was_one(register: Register) -> None:
    office = register.office(TICKET)
    for proposal in (accreditation(office, DEFAULT), Revoke(office.key), accreditation(office, TICKET)):
        number = register.propose(proposal)
        assert register.refusal(office, Consent(number)) in (Reason.NO_NEWCOMER, Reason.ALREADY_CONSENTED)
        for validator in register.validators[1:3]:
            register.do(validator, Approve(number))
        assert register.motion(number).status == CARRIED


def test_a_validator_that_proposes_itself_has_agreed(register: Register) -> None:
    proposer = register.validators[0]
    number = register.propose(accreditation(proposer))
    for validator in register.validators[1:3]:
        register.do(validator, Approve(number))
    assert register.authority(proposer).rights == ARBITER


def test_the_life_of_an_authority(register: Register) -> None:
    office, ann = register.office(TICKET), register.member()
    register.file(office, ann, TICKET, -5)
    steps: list[tuple[Proposal, int]] = [
        (Suspend(office.key), SUSPENDED),
        (accreditation(office, TICKET, DEFAULT), SUSPENDED),  # other terms do not lift a suspension
        (Restore(office.key), ACTIVE),
        (Suspend(office.key), SUSPENDED),
        (Revoke(office.key), REVOKED),
        (accreditation(office, TICKET), ACTIVE),
        (Revoke(office.key), REVOKED),
    ]
    for proposal, status in steps:
        register.carry(proposal)
        assert register.authority(office).status == status
    authority = register.authority(office)
    assert (authority.filed, authority.decided, authority.categories) == (1, 0, (TICKET,))


def test_motions_about_authorities_that_would_do_nothing(register: Register) -> None:
    office, revoked, nobody = register.office(TICKET), register.office(TICKET), register.person()
    register.carry(Revoke(revoked.key))
    v0 = register.validators[0]
    for proposal in (Restore(office.key), Suspend(revoked.key), Revoke(revoked.key), Restore(revoked.key)):
        assert register.refusal(v0, Propose(proposal)) is Reason.USELESS_MOTION
    for kind in (Suspend, Revoke, Restore):
        assert register.refusal(v0, Propose(kind(nobody.key))) is Reason.NOT_AUTHORITY


def test_an_authority_is_reached_by_any_of_its_keys(register: Register) -> None:
    office = register.office(TICKET)
    register.rotate(office)
    for key, proposal, status in ((0, Suspend, SUSPENDED), (1, Restore, ACTIVE), (0, Revoke, REVOKED)):
        register.carry(proposal(office.keys[key]))
        assert register.authority(office).status == status
    register.carry(Accredit(office.identity, 0, (DEFAULT,), 0, FOREVER))
    assert (register.authority(office).key, register.authority(office).categories) == (office.key, (DEFAULT,))


def test_accreditation_refused(register: Register) -> None:
    key, v0 = register.person().key, register.validators[0]
    cases = {
        Accredit(bytes(32), 0, (TICKET,), 0, FOREVER): Reason.BAD_KEY,
        Accredit(key, 0, (TICKET, 99), 0, FOREVER): Reason.UNKNOWN_CATEGORY,
        Accredit(key, 0, (), 0, FOREVER): Reason.USELESS_MOTION,
        Accredit(key, 0, (TICKET,), 5, 5): Reason.USELESS_MOTION,
        Accredit(key, 0, (TICKET,), 0, 1): Reason.USELESS_MOTION,
        Accredit(key, 0, (TICKET,), FOREVER, FOREVER): Reason.USELESS_MOTION,
    }
    for proposal, reason in cases.items():
        assert register.refusal(v0, Propose(proposal)) is reason
    register.carry(Accredit(key, 0, (TICKET,), FOREVER - 1, FOREVER))


def test_who_was_revoked_or_is_out_of_its_term_makes_room_for_another_arbiter(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody could be drawn any more once so many had held the office, and to free a place one had to be given."""
    monkeypatch.setattr(arbiters, "MAX_ARBITERS", 3)
    revoked, suspended, _ = register.arbiter(), register.arbiter(), register.office(rights=ARBITER, term=(0, 9))
    one_more = Accredit(register.person().key, ARBITER, (), 0, FOREVER)
    assert register.refusal(register.validators[0], Propose(one_more)) is Reason.TOO_MANY_ARBITERS
    register.carry(Revoke(revoked.key))
    register.carry(Suspend(suspended.key))
    third = register.arbiter()
    register.block(8)
    fourth = register.arbiter()
    assert set(dict(register.draft.roll.arbiters)) == {person.key for person in (suspended, third, fourth)}
    assert register.refusal(register.validators[0], Propose(one_more)) is Reason.TOO_MANY_ARBITERS


def test_what_is_no_longer_possible_refuses_the_approval_that_would_carry_it(register: Register) -> None:
    office, (_, v1, v2, _) = register.office(TICKET), register.validators
    suspend = register.propose(Suspend(office.key))
    register.do(v1, Approve(suspend))
    register.carry(Revoke(office.key))
    assert register.refusal(v2, Approve(suspend)) is Reason.USELESS_MOTION
    assert register.motion(suspend).status == OPEN
    register.block(MOTION_DAYS)
    assert register.motion(suspend).status == LAPSED


def test_a_proposal_that_would_carry_at_once_is_refused_whole() -> None:
    register = Register(weights=(3, 1))
    cases: dict[Proposal, Reason] = {
        Suspend(register.person().key): Reason.NOT_AUTHORITY,
        Amend(2, 90, b"\x01"): Reason.STALE_POLICY,
        Amend(1, 90, b"\x01"): Reason.MALFORMED,
        AddValidator(bytes(32), 1): Reason.BAD_KEY,
    }
    for proposal, reason in cases.items():
        assert register.refusal(register.validators[0], Propose(proposal)) is reason
        assert refusal(carry, register.draft, proposal) is reason
    assert register.draft.docket == Docket(0, ())


# ------------------------------------------------------------------------------------------------------- amendments


def amend(register: Register, *, slot: int = 0, base: int = 1, **changes: Any) -> Amend:
    policy = amended(register.draft.policy, **changes)
    return Amend(base, slot or register.draft.slot + NOTICE_DAYS, policy.encode())


def test_an_amendment_is_in_force_exactly_at_its_slot(register: Register) -> None:
    policy = register.amend(NOTICE_DAYS, score={"base": 1001})
    assert register.draft.rules == Rules(1, register.genesis.policy.digest(), 2, 1 + NOTICE_DAYS)
    ann = register.member()
    for slot in (15, NOTICE_DAYS):
        register.block(slot - register.draft.slot)
        assert (register.draft.policy.version, register.score(ann)) == (1, 1000)
    register.block()
    assert register.draft.slot == 1 + NOTICE_DAYS
    assert register.draft.rules == Rules(2, policy.digest(), 0, 0)
    assert (register.draft.policy, register.score(ann)) == (policy, 1001)


def test_an_amendment_waits_for_nothing_that_falls_due_with_it(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register.amend(NOTICE_DAYS, score={"base": 1001})
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    register.block(NOTICE_DAYS)
    assert register.draft.policy.version == 2


def test_amending_refused(register: Register) -> None:
    v0 = register.validators[0]
    lower, latest = amend(register, score={"base": 999}), 1 + NOTICE_DAYS + MAX_WAIT_DAYS
    cases: dict[Amend, Reason] = {
        amend(register, base=2): Reason.STALE_POLICY,
        amend(register, version=3): Reason.WORSENS_THE_PAST,
        lower: Reason.WORSENS_THE_PAST,
        lower._replace(document=b"\x90"): Reason.MALFORMED,
        amend(register, slot=NOTICE_DAYS): Reason.NOTICE_TOO_SHORT,
        amend(register, slot=latest + 1): Reason.USELESS_MOTION,
        amend(register, slot=FOREVER): Reason.USELESS_MOTION,
    }
    for proposal, reason in cases.items():
        assert register.refusal(v0, Propose(proposal)) is reason
    register.carry(amend(register, slot=latest))


def test_while_one_policy_is_announced_no_other_can_be(register: Register) -> None:
    _, v1, v2, v3 = register.validators
    other = register.propose(amend(register, slot=60, score={"base": 1002}))
    register.do(v1, Approve(other))
    register.carry(amend(register, score={"base": 1001}))
    assert register.refusal(v2, Approve(other)) is Reason.STALE_POLICY
    assert register.refusal(v3, Propose(amend(register, slot=60))) is Reason.STALE_POLICY
    register.block(NOTICE_DAYS - 1)
    assert register.refusal(v2, Approve(other)) is Reason.STALE_POLICY
    register.block()
    assert register.motion(other).status == LAPSED
    assert register.refusal(v2, Propose(amend(register, base=1, slot=90))) is Reason.STALE_POLICY
    register.carry(amend(register, base=2))


def test_notice_is_counted_from_when_the_motion_is_carried(register: Register) -> None:
    _, v1, v2, _ = register.validators
    number = register.propose(amend(register))
    register.block()
    register.do(v1, Approve(number))
    assert register.refusal(v2, Approve(number)) is Reason.NOTICE_TOO_SHORT


def test_a_record_keeps_the_periods_and_the_cap_of_its_policy(register: Register) -> None:
    office, ann = register.office(TICKET, DRUNK), register.member()
    old = register.file(office, ann, DRUNK, 0, severity=2)
    before = register.standing_record(ann, old)
    severities = [
        {**row, "repair_after_days": 1, "expires_after_days": 25} for row in MUNICIPAL.to_document()["severity"]
    ]
    harsher = {"severity": severities, "category": with_category(MUNICIPAL, DRUNK, tier_cap="D", min=-1)}
    new_policy = amended(register.draft.policy, **harsher)
    short = Amend(1, register.draft.date_slot + WORSE_NOTICE_DAYS - 1, new_policy.encode())
    assert register.refusal(register.validators[0], Propose(short)) is Reason.NOTICE_TOO_SHORT
    register.amend(WORSE_NOTICE_DAYS, **harsher)
    register.block(WORSE_NOTICE_DAYS)
    assert register.standing_record(ann, old) == before
    assert (before.policy_version, before.cap, before.expires_slot) == (1, 1, 366)
    new = register.standing_record(ann, register.file(office, ann, DRUNK, -1, severity=2, evidence=bytes(32)))
    assert (new.policy_version, new.cap, new.expires_slot, new.repair_slot) == (2, 0, 86, 62)
    assert register.standing(ann).tier == "D"


def test_no_standing_gets_worse_by_an_amendment(register: Register) -> None:
    office, people = register.office(TICKET, DRUNK, 101), [register.member() for _ in range(3)]
    register.file(office, people[0], DRUNK, 0, severity=2)
    register.file(office, people[1], 101, 30)
    tiers = [{**row, "from": row["from"] - 1} for row in MUNICIPAL.to_document()["tier"]]
    new = register.amend(score={"base": 1003}, tier=[{"name": "S", "from": 2_000}, *tiers])
    for person in people:
        now, then = register.standing(person), standing(new, register.entry(person))
        assert (then.score, then.level) >= (now.score, now.level)
        assert then.score == now.score + 3


# ------------------------------------------------------------------------------------------------------- validators


def test_a_motion_about_validators_asks_for_the_change(register: Register) -> None:
    newcomer, v3 = register.person(), register.validators[3]
    register.carry(AddValidator(newcomer.key, 1))
    assert register.draft.validators.queue == (Change(ADD, newcomer.key, b"", 1),)
    assert register.draft.account(newcomer.key) is not None
    v0 = register.validators[0]
    cases: dict[Proposal, Reason] = {
        AddValidator(v3.key, 1): Reason.ALREADY_VALIDATOR,
        AddValidator(newcomer.key, 1): Reason.ALREADY_VALIDATOR,
        RemoveValidator(register.person().key): Reason.NOT_VALIDATOR,
        ReleaseValidator(v3.key): Reason.NOT_JAILED,
        ReplaceValidator(v3.key, v0.key): Reason.ALREADY_VALIDATOR,
        ReplaceValidator(v3.key, bytes(32)): Reason.BAD_KEY,
        ReweighValidator(register.person().key, 2): Reason.NOT_VALIDATOR,
    }
    for proposal, reason in cases.items():
        assert register.refusal(v0, Propose(proposal)) is reason
    register.carry(JailValidator(v3.key))
    assert register.refusal(v0, Propose(JailValidator(v3.key))) is Reason.ALREADY_JAILED


def test_any_weight_may_move_at_once(register: Register) -> None:
    v0, _, _, v3 = register.validators
    register.carry(ReweighValidator(v3.key, 1_000))
    register.carry(ReplaceValidator(v0.key, register.person().key))
    for _ in range(6):
        register.block()
    assert dict(weights_of(register.draft.validators.active))[v3.key] == 1_000


def test_the_network_has_room_for_so_many_validators_and_changes(register: Register) -> None:
    for _ in range(4):
        register.carry(AddValidator(register.person().key, 1))
    v0 = register.validators[0]
    assert register.refusal(v0, Propose(AddValidator(register.person().key, 1))) is Reason.TOO_MANY_VALIDATORS
    queue = tuple(Change(ADD, register.person().key, b"", 1) for _ in range(MAX_QUEUED))
    register.draft.put(VALIDATORS_KEY, register.draft.validators._replace(queue=queue))
    assert register.refusal(v0, Propose(RemoveValidator(v0.key))) is Reason.TOO_MANY_CHANGES


def test_a_change_cannot_be_proposed_by_nor_wanted_for_whom_it_removed(register: Register) -> None:
    v0, v3 = register.validators[0], register.validators[3]
    register.carry(RemoveValidator(v3.key))
    assert register.refusal(v0, Propose(RemoveValidator(v3.key))) is Reason.NOT_VALIDATOR  # twice
    assert register.refusal(v0, Propose(ReweighValidator(v3.key, 2))) is Reason.NOT_VALIDATOR  # overtaken
    for _ in range(4):
        register.block()
    assert register.refusal(v3, Propose(RemoveValidator(v0.key))) is Reason.NOT_VALIDATOR


def test_who_is_jailed_moves_and_approves_nothing(register: Register) -> None:
    v0, v3 = register.validators[0], register.validators[3]
    number = register.propose(RemoveValidator(v0.key))
    register.carry(JailValidator(v3.key))
    assert register.refusal(v3, Approve(number)) is Reason.NOT_VALIDATOR
    assert register.refusal(v3, Propose(ReleaseValidator(v3.key))) is Reason.NOT_VALIDATOR


def test_a_change_that_another_overtook_refuses_the_approval_that_would_carry_it(register: Register) -> None:
    _, v1, v2, v3 = register.validators
    number = register.propose(ReweighValidator(v3.key, 5))
    register.do(v1, Approve(number))
    register.carry(RemoveValidator(v3.key))
    assert register.refusal(v2, Approve(number)) is Reason.NOT_VALIDATOR
    assert register.motion(number).status == OPEN


# ------------------------------------------------------------------------------------------------------- newcomers


def test_a_newcomer_consents_before_it_becomes_a_validator(register: Register) -> None:
    newcomer, (_, v1, v2, v3) = register.person(), register.validators
    number = register.propose(AddValidator(newcomer.key, 1))
    for validator in (v1, v2, v3):
        register.do(validator, Approve(number))
    # all approve, and still it waits
    assert (register.motion(number).status, register.motion(number).is_awaited) == (OPEN, 1)
    assert not register.draft.validators.queue
    register.do(newcomer, Consent(number))
    assert (register.motion(number).status, register.motion(number).is_awaited) == (CARRIED, 0)
    assert register.draft.validators.queue == (Change(ADD, newcomer.key, b"", 1),)
    assert register.draft.docket.open == ()


def test_who_consents_first_leaves_the_rest_to_the_approvals(register: Register) -> None:
    newcomer, (v0, v1, v2, _) = register.person(), register.validators
    number = register.propose(ReplaceValidator(v0.key, newcomer.key))
    register.do(newcomer, Consent(number))
    assert register.motion(number).status == OPEN
    register.do(v1, Approve(number))
    register.do(v2, Approve(number))
    assert register.motion(number).status == CARRIED


def test_consent_refused(register: Register) -> None:
    newcomer, (v0, v1, v2, v3) = register.person(), register.validators
    number = register.propose(AddValidator(newcomer.key, 1))
    other = register.propose(RemoveValidator(v3.key))
    replaced = register.propose(ReplaceValidator(v3.key, newcomer.key))
    assert register.refusal(newcomer, Consent(99)) is Reason.UNKNOWN_MOTION
    assert register.refusal(newcomer, Consent(other)) is Reason.NO_NEWCOMER
    assert register.refusal(v3, Consent(replaced)) is Reason.NO_NEWCOMER
    assert register.refusal(register.person(), Consent(number)) is Reason.NO_NEWCOMER
    register.do(newcomer, Consent(number))
    assert register.refusal(newcomer, Consent(number)) is Reason.ALREADY_CONSENTED
    for validator in (v1, v2):
        register.do(validator, Approve(number))
    assert register.refusal(newcomer, Consent(number)) is Reason.MOTION_CLOSED
    assert register.refusal(newcomer, Consent(replaced)) is None  # which only the approvals will find impossible
    register.do(v1, Approve(replaced))
    assert register.refusal(v2, Approve(replaced)) is Reason.ALREADY_VALIDATOR
    assert v0


def test_a_motion_whose_newcomer_never_consents_lapses(register: Register) -> None:
    newcomer, (_, v1, v2, _) = register.person(), register.validators
    number = register.propose(AddValidator(newcomer.key, 1))
    for validator in (v1, v2):
        register.do(validator, Approve(number))
    register.block(MOTION_DAYS)
    assert register.motion(number).status == LAPSED
    assert register.refusal(newcomer, Consent(number)) is Reason.MOTION_CLOSED
    assert not register.draft.validators.is_changing


def test_consent_comes_too_late_while_a_lapse_waits_for_its_turn(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    newcomer = register.person()
    number = register.propose(AddValidator(newcomer.key, 1))
    monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    register.block(MOTION_DAYS)
    assert register.refusal(newcomer, Consent(number)) is Reason.DEADLINE_PASSED


def test_a_consent_that_would_carry_what_is_no_longer_possible_is_refused(register: Register) -> None:
    newcomer, (_, v1, v2, v3) = register.person(), register.validators
    number = register.propose(ReplaceValidator(v3.key, newcomer.key))
    for validator in (v1, v2):
        register.do(validator, Approve(number))
    register.carry(RemoveValidator(v3.key))
    assert register.refusal(newcomer, Consent(number)) is Reason.NOT_VALIDATOR
    assert (register.motion(number).status, register.motion(number).is_awaited) == (OPEN, 1)


# ---------------------------------------------------------------------------------------------- lost signing states

TAG, OTHER_TAG = b"sixteen of bytes", b"another of bytes"


def test_a_validator_renews_its_tag(register: Register) -> None:
    v3 = register.validators[3]
    register.do(v3, Lost(NO_TAG, TAG))
    assert register.draft.validators.tag(v3.key) == TAG
    register.block()
    assert register.electorate.tag(v3.key) == (v3.key, TAG, 1)
    register.do(v3, Lost(TAG, OTHER_TAG))
    register.block()
    assert register.electorate.tags == ((v3.key, OTHER_TAG, 2),)


def test_a_signing_state_is_lost_so_often_a_day(register: Register) -> None:
    # given a validator that loses one after the other
    _, _, _, v3 = register.validators
    tag = NO_TAG
    for number in range(LOSSES_A_DAY):
        register.do(v3, Lost(tag, tag := bytes([number + 1]) * 16))
    # then it is not believed once more that day, and others are
    assert register.refusal(v3, Lost(tag, TAG)) is Reason.OVER_QUOTA
    register.do(register.validators[2], Lost(NO_TAG, TAG))
    # and it is on the next
    register.block(register.draft.slots(1))
    register.do(v3, Lost(tag, TAG))


def test_losing_a_signing_state_refused(register: Register) -> None:
    v3, ann = register.validators[3], register.member()
    assert register.refusal(ann, Lost(NO_TAG, TAG)) is Reason.NOT_VALIDATOR
    assert register.refusal(v3, Lost(NO_TAG, NO_TAG)) is Reason.TAG_IN_USE
    assert register.refusal(v3, Lost(TAG, OTHER_TAG)) is Reason.TAG_IN_USE
    register.do(v3, Lost(NO_TAG, TAG))
    for again in (Lost(NO_TAG, OTHER_TAG), Lost(TAG, TAG), Lost(TAG, NO_TAG)):
        assert register.refusal(v3, again) is Reason.TAG_IN_USE
    register.carry(RemoveValidator(v3.key))
    for _ in range(4):
        register.block()
    assert register.refusal(v3, Lost(TAG, OTHER_TAG)) is Reason.NOT_VALIDATOR


def test_a_newcomer_may_lose_its_state_before_it_sits(register: Register) -> None:
    newcomer = register.person()
    register.carry(AddValidator(newcomer.key, 1))
    assert register.refusal(newcomer, Lost(NO_TAG, TAG)) is Reason.NOT_VALIDATOR  # it waits in the queue
    register.block()
    register.do(newcomer, Lost(NO_TAG, TAG))


# --------------------------------------------------------------------------------------------------------- evidence


def higher(register: Register, height: int = 5) -> None:
    """Let the block in the making be at ``height``: what is said of heights to come is no offence yet."""
    while register.draft.height < height:
        register.block()


def test_two_blocks_in_one_slot_jail_once(register: Register) -> None:
    v3, ann = register.validators[3], register.member()
    higher(register)
    register.do(ann, evidence(register, v3))
    again = [evidence(register, v3), evidence(register, v3, height=4)]
    for accuse in again:
        assert register.refusal(ann, accuse) is Reason.ALREADY_PUNISHED
    for _ in range(10):
        register.block()
    assert [seat.is_jailed for seat in register.draft.validators.active] == [0, 0, 0, 1]
    for accuse in (*again, evidence(register, v3, 9, height=register.draft.height)):
        assert register.refusal(ann, accuse) is Reason.ALREADY_PUNISHED
    register.carry(ReleaseValidator(v3.key))
    for _ in range(10):
        register.block()
    released = register.draft.validators.active[3]
    assert not released.is_jailed
    for accuse in (*again, evidence(register, v3, 9, height=released.clean_height)):
        assert register.refusal(ann, accuse) is Reason.ALREADY_PUNISHED
    register.do(ann, evidence(register, v3, 9, height=released.clean_height + 1))


def test_contradicting_headers_of_two_slots_are_evidence_too(register: Register) -> None:
    ann = register.member()
    higher(register)
    register.do(ann, evidence(register, register.validators[1], 3, 9, mhp=1))


def test_a_stranger_may_show_evidence(register: Register) -> None:
    stranger = register.person()
    higher(register)
    register.do(stranger, evidence(register, register.validators[2]))
    assert register.draft.account(stranger.key) is not None


def test_evidence_refused(register: Register) -> None:
    v3, ann = register.validators[3], register.member()
    higher(register, 9)
    good = evidence(register, v3)
    assert register.refusal(ann, Evidence(good.second, good.first)) is Reason.MALFORMED
    assert register.refusal(ann, Evidence(good.first, good.first)) is Reason.MALFORMED
    assert register.refusal(ann, evidence(register, ann)) is Reason.NOT_VALIDATOR
    honest = evidence(register, v3, 5, 3, height=7, mhg=5)
    assert register.refusal(ann, honest) is Reason.NO_EQUIVOCATION


def said(register: Register, signer: Person, height: int, mhg: int = 0, tip: int = 0, tag: bytes = NO_TAG) -> bytes:
    tips = bytes([tip]) * 32
    return sign_attestation(signer.secret, register.genesis.id, tag=tag, tip=tips, height=height, mhg=mhg, mhp=0).raw


def headed(register: Register, signer: Person, height: int, mhg: int = 0, tag: bytes = NO_TAG) -> bytes:
    return sign_header(
        signer.secret,
        register.genesis.id,
        height=height,
        slot=9,
        parent=bytes(32),
        tag=tag,
        mhg=mhg,
        mhp=0,
        votes_root=bytes(32),
        transaction_root=bytes(32),
        state_root=bytes(32),
    ).raw


def of_two(*statements: bytes) -> Evidence:
    first, second = sorted(statements, key=lambda raw: sha256(raw).digest())
    return Evidence(first, second)


@pytest.mark.parametrize("kind", ["both of one height", "one concealed", "a header concealed", "of one height"])
def test_attestations_are_evidence_as_headers_are(register: Register, kind: str) -> None:
    v3, ann = register.validators[3], register.member()
    higher(register)
    pairs = {
        "both of one height": (said(register, v3, 5), said(register, v3, 5, tip=1)),
        "one concealed": (said(register, v3, 4), said(register, v3, 5)),
        "a header concealed": (headed(register, v3, 4), said(register, v3, 5)),
        "of one height": (headed(register, v3, 5), said(register, v3, 5, mhg=3)),
    }
    accuse = of_two(*pairs[kind])
    register.do(ann, accuse)
    assert [seat.is_jailed for seat in register.draft.validators.active] == [0, 0, 0, 1]
    assert register.refusal(ann, accuse) is Reason.ALREADY_PUNISHED


def test_honest_statements_of_both_kinds_convict_nobody(register: Register) -> None:
    v3, ann = register.validators[3], register.member()
    higher(register)
    for pair in (
        (headed(register, v3, 4), said(register, v3, 5, mhg=4)),
        (said(register, v3, 4), headed(register, v3, 5, mhg=4)),
        (said(register, v3, 4), said(register, v3, 5, mhg=4)),
        (headed(register, v3, 5), said(register, v3, 5, tag=TAG)),
        (said(register, v3, 5, tag=OTHER_TAG), said(register, v3, 5, tag=TAG)),
        (headed(register, v3, 5, tag=OTHER_TAG), headed(register, v3, 5, tag=TAG)),
        (said(register, v3, 5), said(register, register.validators[2], 5)),
    ):
        assert register.refusal(ann, of_two(*pair)) is Reason.NO_EQUIVOCATION
    # nor do two from one lost state, once more, but where they contradict each other
    register.do(ann, of_two(said(register, v3, 5, tag=TAG), said(register, v3, 5, tip=1, tag=TAG)))


def test_what_was_signed_for_another_network_is_no_evidence_here(register: Register) -> None:
    v3 = register.validators[3]
    other = Register(weights=(1,) * 5)
    accuse = of_two(said(other, v3, 5), said(other, v3, 5, tip=1))
    transaction = register.sign(register.member(), accuse)
    assert refusal(verify_transaction, transaction, register.genesis.id) is Reason.BAD_SIGNATURE


def test_an_offence_at_a_height_to_come_waits_for_it(register: Register) -> None:
    v3, ann = register.validators[3], register.member()
    accuse = evidence(register, v3)
    higher(register, 4)
    assert register.refusal(ann, accuse) is Reason.TOO_EARLY
    assert register.refusal(ann, of_two(said(register, v3, 2), said(register, v3, 5))) is Reason.TOO_EARLY
    register.block()
    register.do(ann, accuse)


def test_old_evidence_is_none(register: Register, monkeypatch: pytest.MonkeyPatch) -> None:
    v3, ann = register.validators[3], register.member()
    monkeypatch.setattr(offences, "EVIDENCE_MAX_AGE_BLOCKS", 6)
    higher(register, 12)
    assert register.refusal(ann, evidence(register, v3)) is Reason.EVIDENCE_TOO_OLD
    register.do(ann, evidence(register, v3, height=6))
    assert EVIDENCE_MAX_AGE_BLOCKS == 200_000


# ---------------------------------------------------------------------------------------------------- our own bugs


def test_a_motion_that_is_not_due_lapses_only_by_a_bug(register: Register) -> None:
    number = register.invite(accreditation(register.person()))
    with pytest.raises(InvariantBroken):
        fall_due(register.draft, motion_key(number))
    with pytest.raises(InvariantBroken):
        fall_due(register.draft, authority_key(register.office(TICKET).key))


def test_a_register_without_authorities_carries_motions_all_the_same() -> None:
    register = Register(MARKETPLACE, weights=(1,))
    office = register.person()
    register.carry(accreditation(office))
    assert register.authority(office).status == ACTIVE
