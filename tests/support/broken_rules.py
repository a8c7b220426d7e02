"""Rules of the registry, each broken on purpose, to see who notices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain import (
    authorities,
    deadlines,
    effects,
    governance,
    leaving,
    markers,
    objections,
    quotas,
    ratings,
    records,
    recovery,
    registry,
    repairs,
    terms,
)
from chain.draft import Draft
from chain.electorate import Electorate
from chain.state import REPAIR_ASKED, RULES_KEY, Authority, Member, Rating, Record, rating_key
from chain.transactions import UPHOLD, Object, Rate

Break = Callable[[pytest.MonkeyPatch], None]


def _no_cap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(effects, "_capped", lambda _draft, _subject, _code, points: points)


def _no_suspension(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(objections, "stands_disputed", lambda _draft, _record: True)


def _no_deadline(patch: pytest.MonkeyPatch) -> None:
    begin = registry.begin
    patch.setattr(registry, "begin", lambda draft, _due, electorate: begin(draft, (), electorate))


def _ratings_add_up(patch: pytest.MonkeyPatch) -> None:
    def rate(draft: Draft, action: Rate, actor: bytes) -> None:
        ratings.rate(draft, action, actor)
        subject, member = draft.member(action.subject)
        before: Rating | None = Draft(draft._state, draft.genesis, draft.height, draft.slot).get(
            rating_key(subject, draft.identity(actor), action.category)
        )
        kept = 0 if before is None else before.points
        draft.put(b"m" + subject, member._replace(rated_points=member.rated_points + kept))

    patch.setitem(registry._RULES, Rate, rate)


def _no_tier_cap(patch: pytest.MonkeyPatch) -> None:
    counted = effects._counted

    def uncapped(draft: Draft, subject: bytes, member: Member, record: Record, sign: int) -> Member:
        return counted(draft, subject, member, record, sign)._replace(caps=())

    patch.setattr(effects, "_counted", uncapped)


def _nothing_overturned(patch: pytest.MonkeyPatch) -> None:
    for module in (deadlines, objections):
        patch.setattr(module, "count_decided", lambda _draft, _record, *, is_overturned: None)


def _nobody_suspended(patch: pytest.MonkeyPatch) -> None:
    def lenient(_policy: Any, authority: Authority) -> Authority:
        return authority

    patch.setattr(authorities, "_judged", lenient)


def _no_new_policy(patch: pytest.MonkeyPatch) -> None:
    begin = governance.begin

    def stuck(draft: Draft, electorate: Electorate) -> None:
        rules = draft.rules
        if rules.next_version:
            draft.put(RULES_KEY, rules._replace(next_slot=draft.slot + 1))
        begin(draft, electorate)

    patch.setattr(governance, "begin", stuck)


def _voices_never_end(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(registry._DEADLINES, b"r", lambda _draft, _key: None)


def _quotas_uncounted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quotas, "spent", lambda *_: (0, 0))


def _no_recovery(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(recovery, "_move", lambda _draft, _subject, _key: None)


def _nothing_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(leaving, "forget", lambda _draft, _key: None)


def _no_mark(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(registry._DEADLINES, b"l", lambda draft, key: draft.put(key, None))


# Of whose a key is, and how much it writes: only random histories have people who recover, leave or shout.
BROKEN_RULES_OF_PEOPLE: dict[str, Break] = {
    "a rating never ends": _voices_never_end,
    "what is written a day is not counted": _quotas_uncounted,
    "a member keeps its key whoever recovers it": _no_recovery,
    "what is tied to who leaves stays": _nothing_forgotten,
    "who leaves leaves no mark": _no_mark,
}
BROKEN_RULES: dict[str, Break] = {
    "the points of a category have no cap": _no_cap,
    "the points of a record count while an objection is open": _no_suspension,
    "nothing happens when a deadline passes": _no_deadline,
    "a new rating is added to the old one": _ratings_add_up,
    "records cap no tier": _no_tier_cap,
    "an overturned record is not counted": _nothing_overturned,
    "nobody is suspended, whatever was overturned": _nobody_suspended,
    "an announced policy never comes into force": _no_new_policy,
    **BROKEN_RULES_OF_PEOPLE,
}


def _terms_of_today(patch: pytest.MonkeyPatch) -> None:
    def today(draft: Draft, _record: Record, name: str) -> int:
        return draft.slots(getattr(draft.policy, name))

    for module in (deadlines, objections, repairs, terms):
        patch.setattr(module, "kept_slots", today)


def _rules_for_the_past(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(records, "check_time", lambda *_: None)


def _again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(markers, "check_new", lambda *_: None)


def _short_ones(patch: pytest.MonkeyPatch) -> None:
    slots = Draft.slots

    def hurried(draft: Draft, days: int) -> int:
        return 0 if days == draft.policy.answer_days else slots(draft, days)

    patch.setattr(Draft, "slots", hurried)


def _never_still(patch: pytest.MonkeyPatch) -> None:
    begun = Draft.__init__

    def begin(draft: Draft, *arguments: Any) -> None:
        begun(draft, *arguments)
        draft.slot, draft.outage_slots = draft.slot + draft.outage_slots, 0

    patch.setattr(Draft, "__init__", begin)


def _no_hearing(patch: pytest.MonkeyPatch) -> None:
    decide = objections.decide

    def at_once(draft: Draft, action: Object, actor: bytes) -> None:
        objections.object_to(draft, action, actor)
        subject, _ = draft.member(action.subject)
        decide(draft, subject, action.number, effects.find_record(draft, subject, action.number), UPHOLD)

    patch.setitem(registry._RULES, Object, at_once)


def _declined_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(repairs, "REPAIR_REFERRED", REPAIR_ASKED)


# By the sentence of scripts.histories_parts.rights that each takes away.
BROKEN_RIGHTS: dict[str, Break] = {
    "a step takes longer than was promised when the record was filed": _terms_of_today,
    "something was taken from a member for what was before its consent": _rules_for_the_past,
    "the evidence of a record that ended was recorded again": _again,
    "conduct of a record that ended was recorded again": _again,
    "a record was filed that ends before its issuer has to answer": _short_ones,
    "registry time ran on in an outage": _never_still,
    "a record was upheld without a hearing": _no_hearing,
    "an issuer is asked for a repair that it has declined": _declined_for_ever,
}
