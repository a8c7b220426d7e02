"""One transaction for every reason for which the registry refuses, and what is to be done about its sender."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from chain.base.errors import Disposition, Reason
from chain.consensus.headers import sign_header
from chain.consensus.statements import NO_TAG
from chain.content.actions import (
    ANNUL,
    APPROVE,
    ASK,
    CONTEST,
    CORRECT,
    DECLINE,
    GRANT,
    MAINTAIN,
    RECOVER,
    RECOVERY,
    STRIKE,
    UNDO,
    UPHOLD,
    WITHDRAW,
    Action,
    Annul,
    Answer,
    Appeal,
    Approve,
    Attest,
    Consent,
    Dispute,
    Enrol,
    Evidence,
    FileRecord,
    Leave,
    Lost,
    Object,
    Propose,
    Rate,
    Recover,
    Repair,
    Reply,
    Retract,
    Rule,
    Statement,
    Veto,
)
from chain.content.proposals import ARBITER, Accredit, AddValidator, Amend, Restore, Revoke, Suspend
from chain.register import arbiters, offences, registry
from chain.register.entries import Docket
from chain.register.governance import MAX_OPEN_MOTIONS
from chain.register.statekeys import DOCKET_KEY
from tests.support.guardians import Circle
from tests.support.register import (
    DIGEST,
    FOREVER,
    MARKETPLACE,
    MUNICIPAL,
    Person,
    Register,
    altered,
    amended,
    with_category,
)

DEFAULT, TICKET, DISCRETIONARY, HERO = 1, 13, 15, 101
Case = Callable[[pytest.MonkeyPatch], object]
Act = tuple[Person, Action]


class Town(NamedTuple):
    """A municipal register; the office has recorded a default (record 0) about Ann."""

    register: Register
    office: Person
    judge: Person
    ann: Person
    patch: pytest.MonkeyPatch

    def files(self, category: int = DEFAULT, points: int = -20, **fields: Any) -> tuple[Person, FileRecord]:
        return self.office, self.register.filing(self.ann, category, points, **fields)

    def objects(self) -> Act:
        return self.ann, Object(self.ann.key, 0, DIGEST)

    def answers(self, verdict: int, points: int = 0) -> Act:
        return self.office, Answer(self.ann.key, 0, verdict, points, DIGEST)

    def rules(self, verdict: int = UPHOLD) -> Act:
        return self.judge, Rule(self.ann.key, 0, verdict, DIGEST)

    def reopens(self) -> Act:
        return self.office, self.register.reopening(self.office, self.judge, self.files()[1]._replace(reason=DIGEST))

    def declines(self, number: int) -> Act:
        return self.office, Repair(self.ann.key, number, DECLINE, DIGEST)

    def asks(self, number: int = 0) -> Act:
        return self.ann, Repair(self.ann.key, number, ASK, DIGEST)

    def moves(self, proposal: Accredit | Suspend | Restore | Amend) -> Act:
        return self.register.validators[0], Propose(proposal)

    def accredits(self) -> Act:
        return self.moves(Accredit(self.register.person().key, ARBITER, (), 0, FOREVER))

    def accuses(self, slot: int = 1, other_slot: int = 1, height: int = 4, mhg: int = 0) -> Act:
        signer = self.register.validators[3]
        headers = [
            sign_header(
                signer.secret,
                self.register.genesis.id,
                height=5 if number else height,
                slot=other_slot if number else slot,
                parent=DIGEST,
                tag=NO_TAG,
                votes_root=DIGEST,
                mhg=0 if number else mhg,
                mhp=0,
                transaction_root=DIGEST,
                state_root=DIGEST,
            )
            for number in range(2)
        ]
        first, second = sorted(headers, key=lambda header: header.id)
        return self.ann, Evidence(first.raw, second.raw)

    def invites(self, newcomer: Person, *, has_consented: bool = False) -> Consent:
        number = self.register.propose(AddValidator(newcomer.key, 1))
        if has_consented:
            self.register.do(newcomer, Consent(number))
        return Consent(number)

    def after(self, *acts: Act) -> Town:
        for person, action in acts:
            self.register.do(person, action)
        return self


def found_town(patch: pytest.MonkeyPatch) -> Town:
    register = Register(altered(MUNICIPAL, rights={"lookback_days": 100}), one_document=False)
    office = register.office(DEFAULT, TICKET, DISCRETIONARY, HERO, rights=ARBITER)
    town = Town(register, office, register.arbiter(), register.member(), patch)
    return town.after(town.files())


def acted(story: Callable[[Town], Act]) -> Case:
    """What a story ends with is tried."""

    def case(patch: pytest.MonkeyPatch) -> None:
        town = found_town(patch)
        town.register.do(*story(town))

    return case


def too_late(town: Town) -> Act:
    town.after(town.objects())
    town.patch.setattr(registry, "MAX_DUE_A_BLOCK", 0)
    town.register.block(20)
    return town.answers(MAINTAIN)


def closed(town: Town) -> Act:
    town.register.amend(category=with_category(town.register.draft.policy, DEFAULT, closed=True))
    town.register.block(30)
    return town.files()


def to_a_key_in_use(town: Town) -> Act:
    return town.ann, town.register.rotation(town.ann, town.office)


def with_a_left_key(town: Town) -> Act:
    town.register.rotate(town.ann)
    return town.ann.with_key(0), Statement(town.ann.key, 0, b"")


def after_the_last_number(town: Town) -> Act:
    town.register.draft.put(DOCKET_KEY, Docket(2**32, ()))
    return town.accredits()


def after_a_long_day(town: Town) -> Act:
    says = town.ann, Statement(town.ann.key, 0, DIGEST)
    town.after(*[says] * MUNICIPAL.quotas.fresh)
    return says


def as_one_stranger_more(town: Town) -> Act:
    market = Register(altered(MARKETPLACE, quotas={"strangers_permille": 1}))
    for _ in range(5):  # of 4,096 a permille is 4
        market.member()
    return town.accredits()


def comes_back(town: Town) -> Act:
    registrar = town.register.registrar()
    bob = town.register.member(registrar)
    town.after((bob, Leave())).register.block(30)
    return bob, town.register.enrolment(bob, registrar)


def is_recovered_twice_over(step: int) -> Callable[[Town], Act]:
    def story(town: Town) -> Act:
        circle = Circle(town.register, town.ann)
        one, other = town.register.person(), town.register.person()
        town.after((one, circle.recover(one)))
        return other, circle.recover(other, step=step)

    return story


is_recovered_twice = is_recovered_twice_over(RECOVER)


def vetoes_twice(town: Town) -> Act:
    """Of a recovery by guardians, and of one by guardians and a registrar."""
    registrar = town.register.registrar()
    circle = Circle(town.register, town.register.member(registrar))
    one, other, veto = town.register.person(), town.register.person(), (circle.member, Veto(RECOVERY))
    town.after((one, circle.recover(one)), veto, (other, circle.recover(other, registrar=registrar)))
    return veto


def enrols_early(town: Town) -> Act:
    """Under a policy that is announced."""
    town.register.amend(30, score={"base": 1_001})
    return town.register.person(), Enrol(policy_version=2)


def annuls(town: Town, *steps: int) -> Act:
    registrar = town.register.registrar()
    bob = town.register.member(registrar)
    deeds = [(town.judge if step == GRANT else registrar, Annul(bob.key, step, DIGEST)) for step in steps]
    return town.after(*deeds[:-1]) and deeds[-1]


def attests_for_too_long(town: Town) -> Act:
    register = Register(altered(MUNICIPAL, attribute=[{"code": 500, "name": "licence", "valid_days": 9}]))
    board, ann = register.office(500), register.member()
    register.do(board, Attest(ann.key, 500, DIGEST, register.draft.date_slot + 10))
    return town.accredits()


def as_an_office(town: Town) -> Act:
    town.after((town.judge, town.register.enrolment(town.judge, town.register.registrar())))
    return town.judge, Leave()


def rates(
    *,
    before: Callable[[Person, Person], Act] | None = None,
    meanwhile: Callable[[Person, Person], Action] | None = None,
    then: Callable[[Person, Person], Act] | None = None,
    **rules: int | str,
) -> Callable[[Town], Act]:
    """On a market with such rules for raters, Bob rates Ann; Ann does something meanwhile, and then it is tried."""

    def story(town: Town) -> Act:
        market = Register(altered(MARKETPLACE, raters=rules))
        ann, bob = market.member(), market.member()
        if before is not None:
            market.do(*before(bob, market.member()))
        market.do(bob, Rate(ann.key, 1, 5))
        if meanwhile is not None:
            market.do(ann, meanwhile(ann, bob))
        if then is not None:
            market.do(*then(ann, bob))
        return town.accredits()

    return story


def rates_a_dealing_twice(town: Town) -> Act:
    market = Register(altered(MARKETPLACE, raters={"counting": "receipt"}))
    ann, bob = market.member(), market.member()
    for _ in range(2):
        market.do(bob, market.rating(bob, ann, 5, dealt_slot=1))
    return town.accredits()


def blames_again(town: Town) -> Act:
    market = Register(MARKETPLACE)
    ann, bob = market.member(), market.member()
    market.do(bob, Rate(ann.key, 1, -5))
    market.do(ann, Dispute(bob.key, 1, DIGEST))
    market.do(bob, Retract(ann.key, 1))
    market.do(bob, Rate(ann.key, 1, -5))
    return town.accredits()


def about_itself(town: Town) -> Act:
    town.after((town.office, town.register.enrolment(town.office, town.register.registrar())))
    return town.office, town.register.filing(town.office, HERO, 30)


def with_a_false_registrar(town: Town) -> Act:
    person = town.register.person()
    return person, town.register.enrolment(person, town.judge)


def as_one_whom_a_motion_stopped(kind: type[Suspend] | type[Revoke]) -> Callable[[Town], Act]:
    def story(town: Town) -> Act:
        town.register.carry(kind(town.office.key))
        return town.files()

    return story


def once_too_often(town: Town) -> Act:
    return town.after(*(town.accredits() for _ in range(MAX_OPEN_MOTIONS))).accredits()


def approves(number: int, *, by: int) -> Callable[[Town], Act]:
    return lambda town: (town.register.validators[by], Approve(number))


def amends(*, notice: int = 30, base_version: int = 1, base: int = 1000) -> Callable[[Town], Act]:
    def story(town: Town) -> Act:
        policy = amended(town.register.draft.policy, score={"base": base})
        return town.moves(Amend(base_version, town.register.draft.slot + notice, policy.encode()))

    return story


def with_old_evidence(town: Town) -> Act:
    town.patch.setattr(offences, "EVIDENCE_MAX_AGE_BLOCKS", 3)
    for _ in range(9):
        town.register.block()
    return town.accuses()


def once_high_enough(town: Town) -> Town:
    for _ in range(5):
        town.register.block()
    return town


def maintained(town: Town) -> Town:
    return town.after(town.objects(), town.answers(MAINTAIN))


def heard(town: Town) -> Town:
    maintained(town).register.block(5)
    return town


def of_the_same_evidence(town: Town) -> Act:
    record = town.register.standing_record(town.ann, 0)
    return town.files(evidence=record.evidence)


def withdrawn(town: Town) -> Town:
    return town.after(town.answers(WITHDRAW))


def not_by_whom_the_lot_fell_on(town: Town) -> Act:
    town.register.arbiter()
    heard(town)
    (drawn,) = town.register.drawn(town.ann, 0)
    others = [who for who in _judges(town.register) if who is not drawn and who is not town.office]
    return others[0], town.rules()[1]


def _judges(register: Register) -> list[Person]:
    return [register.owner(who) for who, _ in register.draft.roll.arbiters]


def twice_on_one_appeal(town: Town) -> Act:
    for _ in range(3):
        town.register.arbiter()
    heard(town)
    (drawn,) = town.register.drawn(town.ann, 0)
    town.after((drawn, town.rules()[1]), (town.ann, Appeal(town.ann.key, 0, DIGEST)))
    town.register.block(5)
    first, *_ = town.register.drawn(town.ann, 0)
    town.after((first, town.rules()[1]))
    return first, town.rules()[1]


def where_the_rules_go_wrong(town: Town) -> Act:
    def leave(*_arguments: object) -> None:
        raise KeyError("an entry that no rule foresaw")

    town.patch.setitem(registry._RULES, Leave, leave)
    return town.ann, Leave()


def one_more_than_can_be_drawn(town: Town) -> Act:
    town.patch.setattr(arbiters, "MAX_ARBITERS", 2)
    return town.accredits()


IGNORE, LATER = Disposition.IGNORE, Disposition.LATER
_LATER = (
    Reason.OVER_QUOTA,
    Reason.TOO_MANY_ENROLMENTS,
    Reason.TOO_FRESH,
    Reason.RATING_FELL,
    Reason.HAS_LEFT,
    Reason.EARLY_POLICY,
)
REGISTRY_CASES: dict[Reason, tuple[Disposition, Case]] = {
    reason: (LATER if reason in _LATER else IGNORE, acted(story))
    for reason, story in {
        Reason.FAULT: where_the_rules_go_wrong,
        Reason.KEY_IN_USE: to_a_key_in_use,
        Reason.ROTATED_KEY: with_a_left_key,
        Reason.NO_CONSENT: lambda town: (town.register.person(), Enrol()),
        Reason.COUNTER_LIMIT: after_the_last_number,
        Reason.OVER_QUOTA: after_a_long_day,
        Reason.HAS_LEFT: comes_back,
        Reason.HOLDS_OFFICE: as_an_office,
        Reason.NOT_GUARDIANS: lambda town: (town.register.person(), Recover(town.ann.key, UNDO)),
        Reason.RECOVERY_PENDING: is_recovered_twice,
        Reason.NOTHING_TO_UNDO: is_recovered_twice_over(UNDO),
        Reason.NOTHING_TO_STOP: lambda town: (town.ann, Veto(RECOVERY)),
        Reason.PAST_VETO: vetoes_twice,
        Reason.EARLY_POLICY: enrols_early,
        Reason.ALREADY_LEAVING: lambda town: (town.after((town.ann, Leave())).ann, Leave()),
        Reason.ANNULMENT_OPEN: lambda town: annuls(town, ANNUL, ANNUL),
        Reason.NOTHING_TO_ANNUL: lambda town: (town.ann, Annul(town.ann.key, CONTEST, DIGEST)),
        Reason.UNKNOWN_ATTRIBUTE: lambda town: (town.ann, Attest(town.ann.key, 7, b"", 0)),
        Reason.WRONG_TERM: attests_for_too_long,
        Reason.NO_RECEIPT: rates(counting="receipt"),
        Reason.TOO_FRESH: rates(age_days=1),
        Reason.SCORE_TOO_LOW: rates(least_score=1),
        Reason.DEALING_RATED: rates_a_dealing_twice,
        Reason.TOO_MANY_RATINGS: rates(most_given=1, before=lambda bob, cleo: (bob, Rate(cleo.key, 1, 5))),
        Reason.UNKNOWN_RATING: rates(then=lambda ann, bob: (bob, Retract(bob.key, 1))),
        Reason.RATING_NOT_DISPUTED: rates(then=lambda ann, bob: (bob, Reply(ann.key, 1, DIGEST))),
        Reason.RATING_DISPUTED: rates(
            then=lambda ann, bob: (bob, Rate(ann.key, 1, 5)), meanwhile=lambda ann, bob: Dispute(bob.key, 1, DIGEST)
        ),
        Reason.RATING_FELL: blames_again,
        Reason.TOO_MANY_ENROLMENTS: as_one_stranger_more,
        Reason.NOT_AUTHORITY: lambda town: (town.ann, town.files()[1]),
        Reason.NOT_REGISTRAR: with_a_false_registrar,
        Reason.NOT_ARBITER: lambda town: (town.register.registrar(), heard(town).rules()[1]),
        Reason.NOT_ACCREDITED: lambda town: (town.judge, town.files()[1]),
        Reason.AUTHORITY_SUSPENDED: as_one_whom_a_motion_stopped(Suspend),
        Reason.AUTHORITY_REVOKED: as_one_whom_a_motion_stopped(Revoke),
        Reason.SELF_RECORD: about_itself,
        Reason.CATEGORY_CLOSED: closed,
        Reason.WRONG_SEVERITY: lambda town: town.files(severity=4),
        Reason.NO_REASON_GIVEN: lambda town: town.files(DISCRETIONARY, -5),
        Reason.STALE_POLICY: amends(base_version=2),
        Reason.NOT_YET_ESTABLISHED: lambda town: town.files(established_slot=2),
        Reason.TOO_OLD: lambda town: town.files(established_slot=-89),
        Reason.UNKNOWN_RECORD: lambda town: town.asks(7),
        Reason.OTHERS_RECORD: lambda town: (town.office, town.objects()[1]),
        Reason.NOT_ISSUER: lambda town: (town.judge, town.answers(CORRECT)[1]),
        Reason.OWN_RECORD: lambda town: (town.office, heard(town).rules(STRIKE)[1]),
        Reason.UNDER_OBJECTION: lambda town: town.after(town.objects()).objects(),
        Reason.NOT_UNDER_OBJECTION: lambda town: town.answers(MAINTAIN),
        Reason.ALREADY_MAINTAINED: lambda town: maintained(town).answers(MAINTAIN),
        Reason.NOT_MAINTAINED: lambda town: town.after(town.objects()).rules(),
        Reason.ALREADY_UPHELD: lambda town: heard(town).after(town.rules()).objects(),
        Reason.DEADLINE_PASSED: too_late,
        Reason.NOT_BETTER: lambda town: town.answers(CORRECT, -20),
        Reason.NOT_REPAIRABLE: lambda town: town.after(town.files(HERO, 30)).asks(1),
        Reason.TOO_EARLY: lambda town: town.after(town.files(severity=3)).asks(1),
        Reason.REPAIR_ALREADY_ASKED: lambda town: town.after(town.files(established_slot=0), town.asks(1)).asks(1),
        Reason.REPAIR_NOT_ASKED: lambda town: (town.office, Repair(town.ann.key, 0, APPROVE, DIGEST)),
        Reason.ALREADY_DECLINED: lambda town: town.after(
            *(town.files(established_slot=0), town.asks(1), town.declines(1), town.asks(1))
        ).declines(1),
        Reason.BEFORE_ITS_TIME: lambda town: town.files(severity=3, established_slot=-200),
        Reason.TOO_SHORT: lambda town: town.files(established_slot=-80),
        Reason.ALREADY_RECORDED: of_the_same_evidence,
        Reason.ENDED: lambda town: withdrawn(town).files(),
        Reason.NOTHING_ENDED: lambda town: town.reopens(),
        Reason.NOT_DRAWN: not_by_whom_the_lot_fell_on,
        Reason.ALREADY_RULED: twice_on_one_appeal,
        Reason.NOT_UPHELD: lambda town: (town.ann, Appeal(town.ann.key, 0, DIGEST)),
        Reason.TOO_MANY_ARBITERS: one_more_than_can_be_drawn,
        Reason.UNKNOWN_MOTION: approves(99, by=0),
        Reason.MOTION_CLOSED: approves(0, by=3),
        Reason.ALREADY_APPROVED: lambda town: approves(3, by=0)(town.after(town.accredits())),
        Reason.TOO_MANY_MOTIONS: once_too_often,
        Reason.USELESS_MOTION: lambda town: town.moves(Restore(town.office.key)),
        Reason.WORSENS_THE_PAST: amends(base=999),
        Reason.NOTICE_TOO_SHORT: amends(notice=29),
        Reason.NO_EQUIVOCATION: lambda town: town.accuses(slot=2, other_slot=1, height=7, mhg=5),
        Reason.ALREADY_PUNISHED: lambda town: once_high_enough(town).after(town.accuses()).accuses(height=3),
        Reason.NO_NEWCOMER: lambda town: (town.ann, town.invites(town.judge)),
        Reason.ALREADY_CONSENTED: lambda town: (town.judge, town.invites(town.judge, has_consented=True)),
        Reason.TAG_IN_USE: lambda town: (town.register.validators[3], Lost(NO_TAG, NO_TAG)),
        Reason.EVIDENCE_TOO_OLD: with_old_evidence,
    }.items()
} | {Reason.IN_HEARING: (Disposition.LATER, acted(lambda town: maintained(town).rules()))}
