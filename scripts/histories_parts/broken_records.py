"""Rules of records, broken: what they take, for how long, and that they end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.content.policy import Policy
from chain.register import attributes, deadlines, effects, markers, objections, records, registry, repairs, terms
from chain.register.draft import Draft
from chain.register.entries import REPAIR_ASKED, STANDING, Member, Record
from chain.register.statekeys import ATTRIBUTES, member_key
from scripts.histories_parts.broken_rule import Break, Patch, nothing


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
    return [(records, "check_time", nothing)]


def _rules_of_today() -> Sequence[Patch]:
    def today(draft: Draft, _slot: int) -> Policy:
        return draft.policy

    return [(Draft, "policy_at", today)]


def _again() -> Sequence[Patch]:
    return [(markers, "check_new", nothing)]


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


def _for_ever() -> Sequence[Patch]:
    return [(Record, "halves_slot", 0)]


def _half_life_of_today() -> Sequence[Patch]:
    faded = terms.faded

    def today(draft: Draft, record: Record) -> Record:
        return faded(draft, record._replace(policy_version=draft.policy.version))._replace(
            policy_version=record.policy_version
        )

    return [(module, "faded", today) for module in (deadlines, objections)]


def _from_the_filing() -> Sequence[Patch]:
    fading = terms.fading
    return [(records, "fading", lambda draft, record, _slot: fading(draft, record, draft.slot))]


def _anew() -> Sequence[Patch]:
    return [(objections, "faded", lambda _draft, record: record._replace(halvings=0))]


_PROMISED = "a step takes no longer than was promised when the record was filed"
_WORSE = "nobody stands worse but by a record, a ruling, a rating, or the end or fading of what spoke for it"
_CONDUCT = "conduct of a record that ended is not recorded again but by reopening, with an arbiter's word and a reason"
_FADES = (
    "a record fades from the conduct on, as its category said when it was filed, or at the conduct if that is sooner"
)
_COUNTS = "what a member objects to does not count until it is decided, unless its category said so when it was filed"


def _attested_for_ever() -> Sequence[Patch]:
    return [(registry._DEADLINES, ATTRIBUTES, nothing)]


def _attested_over() -> Sequence[Patch]:
    attested = attributes._attested

    def over(draft: Draft, action: Any, actor: bytes, subject: bytes, _old: Any) -> Any:
        return attested(draft, action, actor, subject, None)

    return [(attributes, "_attested", over)]


_ATTESTED = "what is attested of a member is one office's word, until its date, and the policy's at the latest"

# By what becomes of the rule.
BROKEN: dict[str, Break] = {
    "an attribute never ends": Break(_attested_for_ever),
    "an office attests over another's word": Break(_attested_over, _ATTESTED),
    "the points of a category have no cap": Break(_no_cap),
    "records cap no tier": Break(_no_tier_cap),
    "nothing happens when a deadline passes": Break(_no_deadline),
    "the points of a record count while an objection is open": Break(_no_suspension, _COUNTS),
    "an amendment changes the periods of what was filed before": Break(_terms_of_today, _PROMISED),
    "points never fade": Break(_for_ever),
    "an amendment changes how fast what was filed before fades": Break(_half_life_of_today, _FADES),
    "a record fades from its filing and not from the conduct": Break(_from_the_filing, _FADES),
    "a correction brings back what had faded": Break(_anew, _FADES),
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
    "whoever comments on a record loses a point": Break(_worse_by_comment, _WORSE),
    "what is upheld takes a point more": Break(_upheld_and_worse, "a record never gets worse for whom it is about"),
}
