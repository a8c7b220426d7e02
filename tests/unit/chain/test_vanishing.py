"""Every matter that falls due, and every way in which those whom it is about can be gone by then: none goes wrong.

A matter is begun, somebody vanishes, and the slots pass one by one until nothing is due any more.  What becomes of it
is told elsewhere; here it becomes something, on a state in which whoever is spoken of is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from chain.consensus.statements import NO_TAG
from chain.content.actions import (
    ANNUL,
    APPEAL,
    APPROVE,
    ASK,
    CONTEST,
    DECLINE,
    GRANT,
    LEAVE,
    RECOVER,
    RECOVERY,
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
    Leave,
    Lost,
    Object,
    Propose,
    Rate,
    Repair,
    Retract,
    Rule,
    Veto,
)
from chain.content.identities import BEFORE_ARBITER, GRANTED, IN_HEARING
from chain.content.proposals import (
    ALL_RIGHTS,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Proposal,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    Suspend,
)
from chain.register import leaving, registry
from chain.register.state import WITH_DEADLINES
from chain.register.statekeys import RULES_KEY
from scripts.histories_parts.sound import missing
from tests.support.guardians import Circle
from tests.support.register import DIGEST, FOREVER, MUNICIPAL, Person, Register, altered, amended, with_category

PERIODS = {"answer_days": 4, "ruling_days": 4, "repair_answer_days": 4, "motion_days": 6, "notice_days": 2}
RIGHTS = {"hearing_days": 1, "appeal_days": 3, "disputed_days": 4, "worse_notice_days": 2}
IDENTITY = {"recovery_days": 3, "leave_days": 3, "annulment_days": 2, "return_days": 2}
TRADE = [{"code": code, "name": f"trade {code}", "min": -9, "max": 9} for code in (1, 2)]
SEVERITIES = [
    {"name": name, "repair_after_days": 0, "expires_after_days": 10} for name in ("minor", "general", "serious")
]
POLICY = altered(
    MUNICIPAL,
    periods={**PERIODS, "retention_days": 12},
    rights=RIGHTS,
    identity=IDENTITY,
    rating=TRADE,
    raters={"rating_days": 8, "answer_days": 4},
    severity=SEVERITIES,
    attribute=[{"code": 51, "name": "licence", "valid_days": 9}],
)
FINED = 13
# By when all is over: the retention, and whoever came back has left again.
LONG = 24
LICENCE = 51


@dataclass
class Cast:
    """Who there is: ann, whom the matter is about, bob, who rates her, an office that files, and the others."""

    town: Register = field(default_factory=lambda: Register(POLICY, weights=(1, 1), one_document=False))

    def __post_init__(self) -> None:
        town = self.town
        self.office, self.registrar = town.office(FINED, LICENCE), town.office(rights=ALL_RIGHTS)
        self.judges = [town.arbiter() for _ in range(4)]
        town.block()  # whoever has the arbiter's right by now is on the roll when a lot falls
        self.ann, self.bob = town.member(self.registrar), town.member(self.registrar)
        self.circles = {who: Circle(town, who) for who in (self.ann, self.bob)}
        self.new, self.stranger = town.person(), town.person()
        self.accepted = 0

    def tries(self, person: Person, *actions: Action) -> None:
        """It may be refused: that is an answer, too."""
        for action in actions:
            self.accepted += self.town.refusal(person, action) is None

    def moves(self, *proposals: Proposal) -> None:
        """The validators decide, if it can be decided."""
        for proposal in proposals:
            number = self.town.draft.docket.next_motion
            self.tries(self.town.validators[0], Propose(proposal))
            if self.town.draft.docket.next_motion > number:
                self.tries(self.town.validators[1], Approve(number))

    def fined(self) -> int:
        return self.town.file(self.office, self.ann, FINED, -5)

    def objected(self) -> int:
        number = self.fined()
        self.town.do(self.ann, Object(self.ann.key, number, DIGEST))
        return number

    def drawn(self) -> int:
        number = self.fined()
        self.town.object(self.ann, number, self.office)
        return number

    def appealed(self) -> int:
        number = self.drawn()
        [judge] = self.town.drawn(self.ann, number)
        self.town.do(judge, Rule(self.ann.key, number, UPHOLD, DIGEST))
        self.town.do(self.ann, Appeal(self.ann.key, number, DIGEST))
        return number

    def asked(self) -> int:
        number = self.fined()
        self.waits(1)
        self.town.do(self.ann, Repair(self.ann.key, number, ASK, DIGEST))
        return number

    def referred(self) -> int:
        number = self.asked()
        self.town.do(self.office, Repair(self.ann.key, number, DECLINE, DIGEST))
        self.town.do(self.ann, Repair(self.ann.key, number, ASK, DIGEST))
        return number

    def rated(self, points: int = -5) -> None:
        self.town.do(self.bob, Rate(self.ann.key, 1, points))
        self.town.do(self.ann, Rate(self.bob.key, 2, points))

    def disputed(self) -> None:
        self.rated()
        self.town.do(self.ann, Dispute(self.bob.key, 1, DIGEST))

    def recovers(self, who: Person | None = None) -> None:
        who = who or self.ann
        self.town.do(self.new, self.circles[who].recover(self.new))

    def leaves_with_all(self) -> None:
        self.rated()
        self.fined()
        for _ in range(3):
            self.town.rotate(self.ann)
        self.town.do(self.ann, Leave())

    def annulled(self, *, until: int = IN_HEARING) -> None:
        self.town.do(self.registrar, Annul(self.ann.key, ANNUL, DIGEST))
        self.town.do(self.ann, Annul(self.ann.key, CONTEST, DIGEST))
        if until:
            self.waits(IDENTITY["annulment_days"])
        if until == GRANTED:
            self.granted(self.ann)

    def granted(self, who: Person) -> None:
        """By all on whom the lot fell, if it did."""
        for judge in (self.registrar, *self.judges):
            self.tries(judge, Annul(who.key, GRANT, DIGEST))

    def waits(self, slots: int) -> None:
        for _ in range(slots):
            self.town.block()
            assert list(missing(self.town.ledger.state)) == []


def _blamed(cast: Cast) -> None:
    cast.disputed()
    cast.town.do(cast.bob, Retract(cast.ann.key, 1))


def _ended(cast: Cast) -> None:
    cast.town.do(cast.office, Answer(cast.ann.key, cast.fined(), WITHDRAW, 0, DIGEST))


def _vetoed(cast: Cast) -> None:
    cast.recovers()
    cast.town.do(cast.ann, Veto(RECOVERY))


def _past_veto(cast: Cast) -> None:
    _vetoed(cast)
    newest = cast.town.person()
    cast.town.do(newest, cast.circles[cast.ann].recover(newest, registrar=cast.registrar))


def _maintained(cast: Cast) -> None:
    cast.town.do(cast.office, Answer(cast.ann.key, cast.objected(), 3, 0, DIGEST))


def _drawn_again(cast: Cast) -> None:
    cast.appealed()
    cast.waits(1)


def _repair_drawn(cast: Cast) -> None:
    cast.referred()
    cast.waits(1)


def _left(cast: Cast) -> None:
    cast.town.do(cast.ann, Leave())
    cast.waits(4)


def _open_motion(cast: Cast) -> None:
    cast.town.do(cast.town.validators[1], Propose(Accredit(cast.ann.key, ALL_RIGHTS, (FINED,), 0, FOREVER)))
    cast.town.do(cast.town.validators[0], Propose(AddValidator(cast.new.key, 1)))


def _announced(cast: Cast) -> None:
    cast.town.amend(2, periods={**PERIODS, "answer_days": 3})


def _both_recovered(cast: Cast) -> None:
    """By one and the same key."""
    cast.recovers()
    cast.tries(cast.new, cast.circles[cast.bob].recover(cast.new))


def _annulment_appealed(cast: Cast) -> None:
    cast.annulled(until=GRANTED)
    cast.town.do(cast.ann, Annul(cast.ann.key, APPEAL, DIGEST))
    cast.waits(1)


def _attested(cast: Cast) -> None:
    cast.town.do(cast.office, Attest(cast.ann.key, LICENCE, DIGEST, cast.town.draft.date_slot + 4))


# By the kinds of entries that fall due: what is begun, and is due some slots later.
MATTERS: dict[str, list[Callable[[Cast], object]]] = {
    "d": [
        Cast.fined, Cast.objected, _maintained, Cast.drawn, Cast.appealed, _drawn_again, Cast.asked, Cast.referred,
        _repair_drawn,
    ],
    "r": [Cast.rated, Cast.disputed],
    "k": [_ended, _blamed],
    "o": [_open_motion],
    "y": [Cast.recovers, _vetoed, _past_veto, _both_recovered],
    "l": [Cast.leaves_with_all],
    "u": [
        Cast.annulled, lambda cast: cast.annulled(until=BEFORE_ARBITER), lambda cast: cast.annulled(until=GRANTED),
        _annulment_appealed,
    ],
    "x": [_attested],
    "w": [_left],
    "p": [_announced],
}  # fmt: skip


def _leaves(cast: Cast) -> None:
    cast.tries(cast.ann, Leave())


def _leaves_and_returns(cast: Cast) -> None:
    cast.tries(cast.ann, Leave())
    cast.waits(6)
    cast.tries(cast.ann, cast.town.enrolment(cast.ann, cast.registrar))
    cast.tries(cast.ann, Rate(cast.bob.key, 1, 5))


def _enrols_while_it_is_forgotten(cast: Cast) -> None:
    """With its last key, and once more leaves."""
    if cast.town.draft.get(b"l" + cast.ann.identity) is None:
        _leaves(cast)
    cast.waits(LONG // 4)
    for _ in range(LONG // 4):
        cast.tries(cast.ann, cast.town.enrolment(cast.ann, cast.registrar), Veto(LEAVE), Leave())
        cast.waits(1)


def _rater_leaves(cast: Cast) -> None:
    cast.tries(cast.bob, Leave())


def _is_annulled(cast: Cast) -> None:
    cast.tries(cast.registrar, Annul(cast.ann.key, ANNUL, DIGEST))
    cast.waits(IDENTITY["annulment_days"])
    cast.granted(cast.ann)


def _rater_is_annulled(cast: Cast) -> None:
    cast.tries(cast.registrar, Annul(cast.bob.key, ANNUL, DIGEST))
    cast.waits(IDENTITY["annulment_days"])
    cast.granted(cast.bob)


def _rotates(cast: Cast) -> None:
    if cast.town.draft.account(cast.ann.key) is not None and cast.town.draft.get(b"m" + cast.ann.identity) is not None:
        other = cast.town.person()
        cast.tries(cast.ann, cast.town.rotation(cast.ann, other))


def _is_undone(cast: Cast) -> None:
    _rotates(cast)
    newest = cast.town.person()
    cast.tries(newest, cast.circles[cast.ann].recover(newest, step=UNDO))


def _is_recovered(cast: Cast) -> None:
    newest = cast.town.person()
    cast.tries(newest, cast.circles[cast.ann].recover(newest, step=RECOVER))


def _new_key_enrols(cast: Cast) -> None:
    cast.tries(cast.new, cast.town.enrolment(cast.new, cast.registrar))


def _new_key_comes_and_goes(cast: Cast) -> None:
    _new_key_enrols(cast)
    cast.tries(cast.new, Leave())


def _new_key_is_annulled(cast: Cast) -> None:
    _new_key_enrols(cast)
    cast.tries(cast.registrar, Annul(cast.new.key, ANNUL, DIGEST))
    cast.waits(IDENTITY["annulment_days"])
    cast.granted(cast.new)


def _new_key_is_an_office(cast: Cast) -> None:
    cast.moves(Accredit(cast.new.key, ALL_RIGHTS, (), 0, FOREVER))


def _new_key_makes_blocks(cast: Cast) -> None:
    cast.moves(AddValidator(cast.new.key, 1))
    cast.tries(cast.new, Consent(cast.town.draft.docket.next_motion - 1))


def _becomes_an_office(cast: Cast) -> None:
    cast.moves(Accredit(cast.ann.key, ALL_RIGHTS, (FINED,), 0, FOREVER))


def _makes_blocks(cast: Cast) -> None:
    cast.moves(AddValidator(cast.ann.key, 1))
    cast.tries(cast.ann, Consent(cast.town.draft.docket.next_motion - 1))


def _issuer_is_revoked(cast: Cast) -> None:
    cast.moves(Revoke(cast.office.key))


def _issuer_is_suspended_and_moves(cast: Cast) -> None:
    cast.moves(Suspend(cast.office.key))
    cast.town.rotate(cast.office)
    cast.moves(Restore(cast.office.key))


def _issuer_is_out_of_term(cast: Cast) -> None:
    cast.moves(Accredit(cast.office.key, 0, (FINED + 1,), 0, cast.town.draft.date_slot + 1))


def _judges_are_revoked(cast: Cast) -> None:
    cast.moves(*(Revoke(judge.key) for judge in cast.judges))


def _judges_lose_the_right(cast: Cast) -> None:
    cast.moves(*(Accredit(judge.key, 0, (FINED,), 0, FOREVER) for judge in cast.judges))


def _all_registrars_are_revoked(cast: Cast) -> None:
    cast.moves(Revoke(cast.registrar.key))


def _category_closes(cast: Cast) -> None:
    closed = with_category(cast.town.draft.policy, FINED, closed=True)
    policy = amended(cast.town.draft.policy, category=closed, rating=[{**row, "closed": True} for row in TRADE])
    cast.moves(Amend(policy.version - 1, cast.town.draft.date_slot + 2, policy.encode()))


def _periods_change(cast: Cast) -> None:
    longer = {name: days + 5 for name, days in PERIODS.items()}
    policy = amended(cast.town.draft.policy, periods=longer, raters={"rating_days": 0, "answer_days": 9})
    cast.moves(Amend(policy.version - 1, cast.town.draft.date_slot + 2, policy.encode()))


def _validator_goes(cast: Cast) -> None:
    cast.moves(RemoveValidator(cast.town.validators[1].key))


def _validator_is_jailed(cast: Cast) -> None:
    cast.tries(cast.town.validators[1], Lost(NO_TAG, bytes(15) + b"\x01"))
    cast.moves(JailValidator(cast.town.validators[1].key))


def _validator_is_replaced(cast: Cast) -> None:
    cast.moves(ReplaceValidator(cast.town.validators[1].key, cast.new.key))
    cast.tries(cast.new, Consent(cast.town.draft.docket.next_motion - 1))


def _all_is_withdrawn(cast: Cast) -> None:
    cast.tries(cast.office, Answer(cast.ann.key, 0, WITHDRAW, 0, DIGEST), Repair(cast.ann.key, 0, APPROVE, DIGEST))
    cast.tries(cast.bob, Retract(cast.ann.key, 1))


def _an_outage(cast: Cast) -> None:
    cast.town.block(40)


VANISHINGS: list[Callable[[Cast], None]] = [
    _leaves, _leaves_and_returns, _enrols_while_it_is_forgotten,
    _rater_leaves, _is_annulled, _rater_is_annulled, _rotates, _is_undone,
    _is_recovered, _new_key_enrols, _new_key_comes_and_goes, _new_key_is_annulled, _new_key_is_an_office,
    _new_key_makes_blocks, _becomes_an_office, _makes_blocks, _issuer_is_revoked, _issuer_is_suspended_and_moves,
    _issuer_is_out_of_term, _judges_are_revoked, _judges_lose_the_right, _all_registrars_are_revoked, _category_closes,
    _periods_change, _validator_goes, _validator_is_jailed, _validator_is_replaced, _all_is_withdrawn, _an_outage,
]  # fmt: skip
CELLS = [(kind, begin) for kind, matters in MATTERS.items() for begin in matters]


def _lived(begin: Callable[[Cast], object], *vanishings: Callable[[Cast], None], pause: int = 0) -> int:
    """How much of what makes somebody vanish was taken; all else is asserted on the way."""
    cast = Cast()
    begin(cast)
    for vanish in vanishings:
        vanish(cast)
        cast.waits(pause)
    for _ in range(LONG):
        if not cast.town.ledger.agenda():
            break
        cast.waits(1)
    assert not cast.town.draft.faults
    return cast.accepted


@pytest.fixture(params=[0, 2], ids=["at once", "slowly"])
def pause(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Slowly, one entry falls due a block, and one key a visit: everybody is half gone for as long as can be."""
    monkeypatch.setattr("tests.support.register.FAR", 10)
    if request.param:
        monkeypatch.setattr(registry, "MAX_DUE_A_BLOCK", 1)
        monkeypatch.setattr(leaving, "KEYS_A_VISIT", 1)
    slots: int = request.param
    return slots


def test_every_kind_that_falls_due_is_here() -> None:
    assert set(map(ord, MATTERS)) == WITH_DEADLINES
    assert RULES_KEY.decode() in MATTERS


@pytest.mark.parametrize("vanish", VANISHINGS, ids=lambda vanish: vanish.__name__.strip("_"))
def test_whoever_vanishes_nothing_that_is_due_goes_wrong(vanish: Callable[[Cast], None], pause: int) -> None:
    taken = sum(_lived(begin, vanish, pause=pause) for _, begin in CELLS)
    assert taken or vanish is _an_outage, "it never happens"
