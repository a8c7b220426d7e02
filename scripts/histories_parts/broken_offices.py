"""Rules of amendments and of those who judge, broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.consensus.electorate import Electorate
from chain.content.actions import UPHOLD, Object, Rule
from chain.content.policy import Policy
from chain.register import arbiters, authorities, deadlines, effects, governance, objections, records, registry, terms
from chain.register.draft import Draft
from chain.register.entries import ACTIVE, DRAWN, Authority, Record
from chain.register.statekeys import RULES_KEY
from scripts.histories_parts.broken_rule import Break, Patch, nothing


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
    return [(module, "count_decided", nothing) for module in (deadlines, objections)]


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


def _unasked() -> Sequence[Patch]:
    return [(governance, "_asks", nothing)]


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


def _own_word() -> Sequence[Patch]:
    drawn = arbiters.drawn

    def anybody(lookup: Any, case: arbiters.Case, date_slot: int) -> tuple[bytes, ...]:
        return drawn(lookup, case._replace(stood_by=case.stood_by[1:]), date_slot)

    return [(arbiters, "drawn", anybody)]


def _own_word_on_appeal() -> Sequence[Patch]:
    case_of = arbiters.record_case

    def free(subject: bytes, number: int, record: Record) -> arbiters.Case:
        case = case_of(subject, number, record)
        return case._replace(stood_by=(record.arbiter,)) if record.upheld else case

    return [(arbiters, "record_case", free)]


def _no_lot() -> Sequence[Patch]:
    return [(arbiters, "check_drawn", nothing)]


_MEASURE = "an office is measured by the contested adverse records that were decided, all of them and nothing else"
_NOTICE = "an amendment gives its notice, and the longer one where it worsens anything"

# By what becomes of the rule.
BROKEN: dict[str, Break] = {
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
    "a motion gives an office unasked": Break(_unasked, "nobody is given an office without its own word"),
    "an issuer rules on its own record": Break(
        _own_judge, "nobody rules on a record of its own, about itself, or that its own word reopened"
    ),
    "a record is upheld at once": Break(
        _no_hearing, "a record is upheld only after both sides were heard for as long as was promised"
    ),
    "a hearing takes a slot": Break(
        _hearing_in_a_slot, "a record is upheld only after both sides were heard for as long as was promised"
    ),
    "one decides an appeal": Break(
        _one_is_enough, "an appeal is decided by two who did not rule before, or by a motion"
    ),
    "whose word reopened a record rules on it": Break(
        _own_word, "nobody rules on a record of its own, about itself, or that its own word reopened"
    ),
    "whose word reopened a record rules on its appeal": Break(
        _own_word_on_appeal, "nobody rules on a record of its own, about itself, or that its own word reopened"
    ),
    "any arbiter rules": Break(_no_lot, "a ruling by whom the lot did not name"),
}
