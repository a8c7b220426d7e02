"""Rules of the register, each broken on purpose: histories that do not notice prove nothing.

Each replaces parts of the chain in this process for one run, and says who notices: a right, by its sentence, or the
recount, which knows all rules a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from chain import (
    arbiters,
    authorities,
    deadlines,
    effects,
    governance,
    leaving,
    markers,
    members,
    objections,
    offices,
    quotas,
    ratings,
    records,
    recovery,
    registry,
    repairs,
    terms,
)
from chain.actions import CONTEST, UPHOLD, Annul, Object, Rate, Retract, Rule
from chain.draft import Draft
from chain.electorate import Electorate
from chain.entries import ACTIVE, DRAWN, REPAIR_ASKED, STANDING, UNDISPUTED, Authority, Member, Rating, Record
from chain.errors import Refused
from chain.identities import Annulment, Guardians, left_key
from chain.policy import Policy
from chain.statekeys import RULES_KEY, member_key, rating_key

Patch = tuple[Any, Any, Any]
RECOUNT = "not what a recount gives"


class Break(NamedTuple):
    """How a rule is broken, and what is said then: the sentence of a right, or what the recount says."""

    make: Callable[[], Sequence[Patch]]
    told: str = RECOUNT


@contextmanager
def broken(name: str) -> Iterator[None]:
    """Break the rule of this name, and mend it afterwards; the empty name breaks none."""
    with ExitStack() as stack:
        for target, attribute, value in BROKEN[name].make() if name else ():
            change = patch.dict(target, {attribute: value}) if isinstance(target, dict) else None
            stack.enter_context(change or patch.object(target, attribute, value))
        yield


def _nothing(*_arguments: Any, **_named: Any) -> None:
    """A check that refuses nothing, or a step that does nothing."""


# ------------------------------------------------------------------------------------------------------- records


def _no_cap() -> Sequence[Patch]:
    return [(effects, "_capped", lambda _draft, _subject, _code, points: points)]


def _no_suspension() -> Sequence[Patch]:
    return [(objections, "stands_disputed", lambda _draft, _record: True)]


def _no_deadline() -> Sequence[Patch]:
    begin = registry.begin
    return [(registry, "begin", lambda draft, _due, electorate: begin(draft, (), electorate))]


def _no_tier_cap() -> Sequence[Patch]:
    counted = effects._counted

    def uncapped(draft: Draft, subject: bytes, member: Member, record: Record, sign: int, filed: int = 0) -> Member:
        return counted(draft, subject, member, record, sign, filed)._replace(caps=())

    return [(effects, "_counted", uncapped)]


def _terms_of_today() -> Sequence[Patch]:
    def today(draft: Draft, _record: Record, name: str) -> int:
        return draft.slots(getattr(draft.policy, name))

    return [(module, "kept_slots", today) for module in (deadlines, objections, repairs, terms)]


def _rules_for_the_past() -> Sequence[Patch]:
    return [(records, "check_time", _nothing)]


def _rules_of_today() -> Sequence[Patch]:
    def today(draft: Draft, _slot: int) -> Policy:
        return draft.policy

    return [(Draft, "policy_at", today)]


def _again() -> Sequence[Patch]:
    return [(markers, "check_new", _nothing)]


def _marked_by_evidence_alone() -> Sequence[Patch]:
    return [(markers, "check_new", markers._check_evidence)]


def _short_ones() -> Sequence[Patch]:
    slots = Draft.slots

    def hurried(draft: Draft, days: int) -> int:
        return 0 if days == draft.policy.answer_days else slots(draft, days)

    return [(Draft, "slots", hurried)]


def _never_still() -> Sequence[Patch]:
    begun = Draft.__init__

    def begin(draft: Draft, *arguments: Any) -> None:
        begun(draft, *arguments)
        draft.slot, draft.outage_slots = draft.slot + draft.outage_slots, 0

    return [(Draft, "__init__", begin)]


def _silence_keeps() -> Sequence[Patch]:
    def keep(draft: Draft, subject: bytes, number: int, record: Record) -> None:
        effects.change(draft, subject, number, record, record._replace(status=STANDING, deadline_slot=0))

    return [(deadlines, "_silence", keep)]


def _declined_for_ever() -> Sequence[Patch]:
    return [(repairs, "REPAIR_REFERRED", REPAIR_ASKED)]


def _worse_by_comment() -> Sequence[Patch]:
    def punish(draft: Draft, action: Any, actor: bytes) -> None:
        records.make_statement(draft, action, actor)
        subject, member = draft.member(action.subject)
        draft.put(member_key(subject), member._replace(record_points=member.record_points - 1))

    return [(registry._RULES, next(kind for kind in registry._RULES if kind.__name__ == "Statement"), punish)]


def _upheld_and_worse() -> Sequence[Patch]:
    settled = objections._settled

    def worse(record: Record, **beside: Any) -> Record:
        return settled(record, **beside)._replace(points=record.points - 1)

    return [(objections, "_settled", worse)]


# ------------------------------------------------------------------------------------------------------ amendments


def _no_notice() -> Sequence[Patch]:
    return [(governance, "needed_notice_days", lambda _old, _new: 0)]


def _usual_notice() -> Sequence[Patch]:
    return [(governance, "needed_notice_days", lambda old, _new: old.notice_days)]


def _worse_at_once() -> Sequence[Patch]:
    return [(governance, "amendment_fault", lambda _old, _new: None)]


def _no_new_policy() -> Sequence[Patch]:
    begin = governance.begin

    def stuck(draft: Draft, electorate: Electorate) -> None:
        rules = draft.rules
        if rules.next_version:
            draft.put(RULES_KEY, rules._replace(next_slot=draft.slot + 1))
        begin(draft, electorate)

    return [(governance, "begin", stuck)]


# ------------------------------------------------------------------------------------------------------- who judges


def _nothing_overturned() -> Sequence[Patch]:
    return [(module, "count_decided", _nothing) for module in (deadlines, objections)]


def _nobody_suspended() -> Sequence[Patch]:
    return [(authorities, "_judged", lambda _policy, authority: authority)]


def _friends_dilute() -> Sequence[Patch]:
    begin = effects.begin

    def diluted(draft: Draft, subject: bytes, number: int, record: Record) -> None:
        begin(draft, subject, number, record)
        authorities.count_decided(draft, record._replace(points=-1), is_overturned=False)

    return [(effects, "begin", diluted)]


def _friendly_cases_count() -> Sequence[Patch]:
    return [(Record, "is_adverse", property(lambda _record: True))]


def _forgiven_and_forgotten() -> Sequence[Patch]:
    forgiven = authorities.forgiven

    def forgotten(authority: Authority, slot: int) -> Authority:
        return forgiven(authority._replace(decided=0, overturned=0), slot)

    return [(governance, "forgiven", forgotten), (authorities, "forgiven", forgotten)]


def _suspended_files() -> Sequence[Patch]:
    check = authorities.check_authority

    def lenient(draft: Draft, actor: bytes) -> tuple[bytes, Authority]:
        identity, authority = check(draft, actor)
        return identity, authority._replace(status=0)

    return [(records, "check_authority", lenient)]


def _back_with_the_next_case() -> Sequence[Patch]:
    judged = authorities._judged

    def lenient(policy: Policy, authority: Authority) -> Authority:
        return judged(policy, authority._replace(status=ACTIVE))

    return [(authorities, "_judged", lenient)]


def _own_judge() -> Sequence[Patch]:
    def rule(draft: Draft, action: Rule, actor: bytes) -> None:
        subject, _ = draft.member(action.subject)
        record = effects.find_record(draft, subject, action.number)
        if draft.identity(actor) == record.issuer and record.status == DRAWN:
            objections.decide(draft, subject, action.number, record, action.verdict)
        else:
            objections.rule(draft, action, actor)

    return [(registry._RULES, Rule, rule)]


def _no_hearing() -> Sequence[Patch]:
    def at_once(draft: Draft, action: Object, actor: bytes) -> None:
        objections.object_to(draft, action, actor)
        subject, _ = draft.member(action.subject)
        objections.decide(draft, subject, action.number, effects.find_record(draft, subject, action.number), UPHOLD)

    return [(registry._RULES, Object, at_once)]


def _hearing_in_a_slot() -> Sequence[Patch]:
    kept = terms.kept_slots

    def hurried(draft: Draft, record: Record, name: str) -> int:
        return 1 if name == "hearing_days" else kept(draft, record, name)

    return [(objections, "kept_slots", hurried)]


def _one_is_enough() -> Sequence[Patch]:
    return [(arbiters, "MAJORITY", 1)]


def _no_lot() -> Sequence[Patch]:
    return [(arbiters, "check_drawn", _nothing)]


# ---------------------------------------------------------------------------------------------------- whose a key is


def _no_recovery() -> Sequence[Patch]:
    return [(recovery, "_move", _nothing)]


def _moves_at_once() -> Sequence[Patch]:
    def recover(draft: Draft, action: Any, actor: bytes) -> None:
        recovery.check_fresh(draft, actor)
        subject = recovery.check_word(draft, action)
        recovery.check_holds_nothing(draft, subject)
        recovery._move(draft, subject, actor)

    return [(registry._RULES, next(kind for kind in registry._RULES if kind.__name__ == "Recover"), recover)]


def _any_guardian() -> Sequence[Patch]:
    return [(recovery, "_check_guardians", _nothing)]


def _newest_guardians() -> Sequence[Patch]:
    return [(Guardians, "in_force", lambda self, _slot: self.next_commitment or self.commitment)]


def _thief_is_first() -> Sequence[Patch]:
    return [(members, "can_undo", _nothing), (recovery, "can_undo", _nothing)]


def _any_registrar() -> Sequence[Patch]:
    def anybody(draft: Draft, key: bytes) -> bytes:
        offices.check_registrar(draft, key)
        return b""

    def lenient(draft: Draft, action: Any) -> bytes:
        subject, _ = draft.member(action.subject)
        if action.registrar:
            anybody(draft, action.registrar)
        return subject

    return [(recovery, "check_word", lenient)]


def _annulled_unheard() -> Sequence[Patch]:
    opened = leaving._open

    def heard(draft: Draft, subject: bytes) -> Annulment:
        return opened(draft, subject)._replace(is_heard=1)

    return [(leaving, "_open", heard)]


def _another_is_heard() -> Sequence[Patch]:
    def annul(draft: Draft, action: Annul, actor: bytes) -> None:
        speaks = draft.member(action.subject)[1].key if action.step == CONTEST else actor
        leaving.annul(draft, action, speaks)

    return [(registry._RULES, Annul, annul)]


def _origin_forgotten() -> Sequence[Patch]:
    move = recovery._move

    def fresh(draft: Draft, subject: bytes, key: bytes) -> None:
        move(draft, subject, key)
        draft.put(member_key(subject), draft.get(member_key(subject))._replace(registrar=b"", enrolled_slot=-1))

    return [(recovery, "_move", fresh)]


def _nothing_forgotten() -> Sequence[Patch]:
    return [(leaving, "forget", _nothing)]


def _no_mark() -> Sequence[Patch]:
    return [(registry._DEADLINES, b"l", lambda draft, key: draft.put(key, None))]


def _back_at_once() -> Sequence[Patch]:
    forget = leaving._forget_keys

    def unmarked(draft: Draft, key: bytes) -> bytes:
        rest = forget(draft, key)
        draft.put(left_key(key), None)
        return rest

    return [(leaving, "_forget_keys", unmarked)]


# ------------------------------------------------------------------------------------------------- what others say


def _ratings_add_up() -> Sequence[Patch]:
    def rate(draft: Draft, action: Rate, actor: bytes) -> None:
        ratings.rate(draft, action, actor)
        subject, member = draft.member(action.subject)
        before: Rating | None = Draft(draft._state, draft.genesis, draft.height, draft.slot).get(
            rating_key(subject, draft.identity(actor), action.category)
        )
        kept = 0 if before is None else before.points
        draft.put(member_key(subject), member._replace(rated_points=member.rated_points + kept))

    return [(registry._RULES, Rate, rate)]


def _voices_never_end() -> Sequence[Patch]:
    return [(registry._DEADLINES, b"r", _nothing)]


def _rated_for_ever() -> Sequence[Patch]:
    def rate(draft: Draft, action: Rate, actor: bytes) -> None:
        ratings.rate(draft, action, actor)
        key = rating_key(draft.member(action.subject)[0], draft.identity(actor), action.category)
        draft.put(key, draft.get(key)._replace(expires_slot=0))

    return [(registry._RULES, Rate, rate)]


def _one_voice_counts() -> Sequence[Patch]:
    return [(Policy, "rated", lambda _policy, said, _voices, _raters: said)]


def _silent_raters_stand() -> Sequence[Patch]:
    def keep(draft: Draft, key: bytes) -> None:
        rating = draft.get(key)
        if rating.deadline_slot:
            draft.put(key, rating._replace(status=UNDISPUTED, deadline_slot=0))
        else:
            ratings.end(draft, key, rating)

    return [(registry._DEADLINES, b"r", keep)]


def _taken_back_and_kept() -> Sequence[Patch]:
    def keep(draft: Draft, action: Retract, actor: bytes) -> None:
        subject, _ = draft.member(action.subject)
        ratings._find(draft, subject, draft.identity(actor), action.category)

    return [(registry._RULES, Retract, keep)]


def _rated_twice() -> Sequence[Patch]:
    dealing = ratings._dealing

    def again(draft: Draft, action: Rate, member: Member, _old: Rating | None) -> int:
        return dealing(draft, action, member, None)

    return [(ratings, "_dealing", again)]


def _fresh_raters() -> Sequence[Patch]:
    return [(ratings, "_check_rater", _nothing)]


# ------------------------------------------------------------------------------------------------------------ room


def _quotas_uncounted() -> Sequence[Patch]:
    spent = quotas.spent

    def without_end(draft: Draft, account: Any, *rest: Any) -> tuple[int, int]:
        try:
            return spent(draft, account, *rest)
        except Refused:
            return draft.day, account.used + 1

    return [(quotas, "spent", without_end)]


def _crowds() -> Sequence[Patch]:
    return [(quotas, "check_room", _nothing)]


_PROMISED = "a step takes no longer than was promised when the record was filed"
_CONDUCT = "conduct of a record that ended is not recorded again but by reopening, with an arbiter's word and a reason"
_SPEAKS = "only the guardians whom a member named speak for it, or the registrar who enrolled it where it named none"
_MEASURE = "an office is measured by the contested adverse records that were decided, all of them and nothing else"
_NOTICE = "an amendment gives its notice, and the longer one where it worsens anything"
_GOES = "nobody goes but by its own word, or because its enrolment was void, after it was heard, as another office says"
_RECEIPTS = "under a policy of receipts each rating that stands is of a dealing of its own, which both have signed"
_COUNTS = "what a member objects to does not count until it is decided, unless its category said so when it was filed"

# By what becomes of the rule.
BROKEN: dict[str, Break] = {
    "the points of a category have no cap": Break(_no_cap),
    "records cap no tier": Break(_no_tier_cap),
    "nothing happens when a deadline passes": Break(_no_deadline),
    "the points of a record count while an objection is open": Break(_no_suspension, _COUNTS),
    "an amendment changes the periods of what was filed before": Break(_terms_of_today, _PROMISED),
    "what was before somebody's consent is recorded": Break(
        _rules_for_the_past, "nothing is taken from a member for what was before its consent"
    ),
    "what was no rule then is one now": Break(
        _rules_of_today, "nothing is taken from a member by what was no rule then"
    ),
    "what ended is filed again": Break(_again, "the evidence of a record that ended is not recorded again"),
    "what ended is filed again under another document": Break(_marked_by_evidence_alone, _CONDUCT),
    "a record may end before its issuer has to answer": Break(
        _short_ones, "a record that ends before its issuer has to answer is not filed"
    ),
    "deadlines run on in an outage": Break(_never_still, "registry time stands still in an outage"),
    "silence keeps a record": Break(
        _silence_keeps, "silence never keeps a record that is contested, or whose repair was asked for"
    ),
    "an issuer declines repairs for ever": Break(_declined_for_ever, "an issuer declines a repair once"),
    "whoever comments on a record loses a point": Break(
        _worse_by_comment, "nobody stands worse but by a record, a ruling, a rating, or the end of what spoke for it"
    ),
    "what is upheld takes a point more": Break(_upheld_and_worse, "a record never gets worse for whom it is about"),
    "an amendment is in force at once": Break(_no_notice, _NOTICE),
    "what an amendment worsens gets the usual notice": Break(_usual_notice, _NOTICE),
    "an amendment may worsen the past": Break(
        _worse_at_once, "a policy that comes into force puts nobody worse than a moment before"
    ),
    "an announced policy never comes into force": Break(_no_new_policy),
    "an overturned record is not counted": Break(_nothing_overturned, _MEASURE),
    "what an office files about its friends counts for it": Break(_friends_dilute, _MEASURE),
    "contested friendly records count": Break(_friendly_cases_count, _MEASURE),
    "nobody is suspended, whatever was overturned": Break(
        _nobody_suspended, "an office of whose contested records too many fell is suspended"
    ),
    "what a motion forgives is forgotten": Break(
        _forgiven_and_forgotten, "what an office lost stays visible, also where a motion forgave it"
    ),
    "a suspended office files": Break(_suspended_files, "only an office in force files, in its categories"),
    "a suspension ends with the next case": Break(
        _back_with_the_next_case, "an office that is suspended comes back by a motion of the validators alone"
    ),
    "an issuer rules on its own record": Break(_own_judge, "nobody rules on a record of its own, or about itself"),
    "a record is upheld at once": Break(
        _no_hearing, "a record is upheld only after both sides were heard for as long as was promised"
    ),
    "a hearing takes a slot": Break(
        _hearing_in_a_slot, "a record is upheld only after both sides were heard for as long as was promised"
    ),
    "one decides an appeal": Break(
        _one_is_enough, "an appeal is decided by two who did not rule before, or by a motion"
    ),
    "any arbiter rules": Break(_no_lot, "a ruling by whom the lot did not name"),
    "a member keeps its key whoever recovers it": Break(_no_recovery),
    "a recovery moves at once": Break(
        _moves_at_once,
        "a member's key changes by its own word, after a delay in which it could object, or as its guardians undo",
    ),
    "anybody is a guardian": Break(_any_guardian, _SPEAKS),
    "guardians count as soon as they are named": Break(_newest_guardians, _SPEAKS),
    "any registrar recovers anybody": Break(_any_registrar, _SPEAKS),
    "a thief who rotates first has won": Break(
        _thief_is_first, "what a thief did with a key is undone where enough guardians say so in time"
    ),
    "an enrolment is annulled unheard": Break(_annulled_unheard, _GOES),
    "anybody answers for whose enrolment is to be annulled": Break(
        _another_is_heard, "nobody but the member objects to its annulment"
    ),
    "whoever is recovered has another past": Break(
        _origin_forgotten, "who enrolled a member, when, and under which policy, stays as it was"
    ),
    "what is tied to who leaves stays": Break(
        _nothing_forgotten, "of who is gone nothing is left but the mark of its keys"
    ),
    "who leaves leaves no mark": Break(_no_mark),
    "who left is back at once": Break(_back_at_once, "who left comes back only after its time"),
    "a new rating is added to the old one": Break(_ratings_add_up),
    "a rating never ends": Break(_voices_never_end),
    "a rating is for ever": Break(_rated_for_ever, "a rating counts for no longer than the policy said"),
    "one voice is enough": Break(
        _one_voice_counts,
        "what members say moves a score within the policy's bounds, and nothing where too few have said it",
    ),
    "a rating stands though its rater is silent": Break(
        _silent_raters_stand, "a rating that was objected to stands only with a reason of its rater"
    ),
    "a rating that is taken back stays": Break(_taken_back_and_kept, "who takes a rating back has said nothing"),
    "a dealing is rated again and again": Break(
        _rated_twice,
        "under a policy of receipts each rating that stands is of a dealing of its own, which both have signed",
    ),
    "who has just come rates": Break(_fresh_raters, "who is too fresh, or stands too low, rates nobody"),
    "what is written a day has no end": Break(_quotas_uncounted, "nobody writes more a day than the policy has it"),
    "strangers fill a block": Break(_crowds, "strangers take no more than their share of a block"),
}
