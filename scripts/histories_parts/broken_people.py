"""Rules of whose a key is, and of who leaves, broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.base.errors import Refused
from chain.content.actions import CONTEST, GRANT, UPHOLD, Annul, Recover
from chain.content.identities import IN_HEARING, Annulment, Guardians, left_key, recovery_key
from chain.register import annulments, arbiters, leaving, markers, members, offices, recovery, registry, terms
from chain.register.draft import Draft
from chain.register.entries import Member
from chain.register.statekeys import account_key, member_key
from scripts.histories_parts.broken_rule import Break, Patch, nothing


def _no_recovery() -> Sequence[Patch]:
    return [(recovery, "_move", nothing)]


def _moves_at_once() -> Sequence[Patch]:
    def recover(draft: Draft, action: Any, actor: bytes) -> None:
        recovery.check_fresh(draft, actor)
        subject = recovery.check_word(draft, action)
        recovery.check_holds_nothing(draft, subject)
        recovery._move(draft, subject, actor)

    return [(registry._RULES, next(kind for kind in registry._RULES if kind.__name__ == "Recover"), recover)]


def _pressed() -> Sequence[Patch]:
    def again(draft: Draft, action: Any, actor: bytes) -> None:
        key = recovery_key(draft.identity(action.subject))
        before = draft.get(key)
        is_stopped = before is not None and not before.key and not (action.guardians and action.registrar)
        if is_stopped:
            draft.put(key, None)
        try:
            recovery.recover(draft, action, actor)
        except Refused:
            if is_stopped:
                draft.put(key, before)
            raise

    return [(registry._RULES, Recover, again)]


def _written_and_forgotten() -> Sequence[Patch]:
    move = recovery._move

    def fresh(draft: Draft, subject: bytes, key: bytes) -> None:
        move(draft, subject, key)
        draft.put(account_key(key), draft.get(account_key(key))._replace(day=0, used=0))

    return [(recovery, "_move", fresh)]


def _any_guardian() -> Sequence[Patch]:
    return [(recovery, "_check_guardians", nothing)]


def _newest_guardians() -> Sequence[Patch]:
    return [(Guardians, "in_force", lambda self, _slot: self.next_commitment or self.commitment)]


def _thief_is_first() -> Sequence[Patch]:
    return [(members, "can_undo", nothing), (recovery, "can_undo", nothing)]


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
    rule = annulments._rule

    def at_once(draft: Draft, action: Annul, actor: bytes, subject: bytes, member: Member) -> None:
        annulment = annulments.waiting(draft, subject)
        if annulment.status == IN_HEARING and action.step == GRANT:
            annulments.decide(draft, subject, member, annulment, UPHOLD, offices.check_arbiter(draft, actor))
        else:
            rule(draft, action, actor, subject, member)

    return [(annulments, "_rule", at_once)]


def _no_appeal() -> Sequence[Patch]:
    def at_once(
        draft: Draft, subject: bytes, member: Member, annulment: Annulment, verdict: int, arbiter: bytes = b""
    ) -> None:
        decide(draft, subject, member, annulment._replace(arbiter=annulment.registrar), verdict, arbiter)

    decide = annulments.decide
    return [(annulments, "decide", at_once)]


def _granter_judges_again() -> Sequence[Patch]:
    case_of = arbiters.annulment_case

    def free(subject: bytes, annulment: Annulment) -> arbiters.Case:
        return case_of(subject, annulment)._replace(stood_by=())

    return [(arbiters, "annulment_case", free)]


def _void_again() -> Sequence[Patch]:
    return [(markers, "check_enrolment", nothing)]


def _held() -> Sequence[Patch]:
    def longer(draft: Draft, version: int) -> int:
        return terms.notice_slots(draft, version) + 5

    return [(leaving, "notice_slots", longer)]


def _other_terms() -> Sequence[Patch]:
    def now(draft: Draft, _version: int, name: str) -> int:
        return draft.slots(getattr(draft.policy.identity, name))

    return [(module, "identity_slots", now) for module in (recovery, leaving, annulments)]


def _another_is_heard() -> Sequence[Patch]:
    def annul(draft: Draft, action: Annul, actor: bytes) -> None:
        speaks = draft.member(action.subject)[1].key if action.step == CONTEST else actor
        annulments.annul(draft, action, speaks)

    return [(registry._RULES, Annul, annul)]


def _origin_forgotten() -> Sequence[Patch]:
    move = recovery._move

    def fresh(draft: Draft, subject: bytes, key: bytes) -> None:
        move(draft, subject, key)
        draft.put(member_key(subject), draft.get(member_key(subject))._replace(registrar=b"", enrolled_slot=-1))

    return [(recovery, "_move", fresh)]


def _nothing_forgotten() -> Sequence[Patch]:
    return [(leaving, "forget", nothing)]


def _no_mark() -> Sequence[Patch]:
    return [(registry._DEADLINES, b"l", lambda draft, key: draft.put(key, None))]


def _back_at_once() -> Sequence[Patch]:
    forget = leaving._forget_keys

    def unmarked(draft: Draft, key: bytes, version: int) -> bytes:
        rest = forget(draft, key, version)
        draft.put(left_key(key), None)
        return rest

    return [(leaving, "_forget_keys", unmarked)]


_SPEAKS = "only the guardians whom a member named speak for it, or the registrar who enrolled it where it named none"
_GOES = (
    "nobody goes but by its own word, or because its enrolment was void, once it could appeal and others decided that"
)
_GRANTED = (
    "an enrolment is granted to be void after both were heard as promised, by nobody who asked for it or granted it"
)

# By what becomes of the rule.
BROKEN: dict[str, Break] = {
    "a member keeps its key whoever recovers it": Break(_no_recovery),
    "a recovery moves at once": Break(
        _moves_at_once,
        "a member's key changes by its own word, after a delay in which it could object, or as its guardians undo",
    ),
    "who stopped a recovery is asked again at once": Break(
        _pressed,
        "who stopped a recovery is left alone until the delay is over, but by guardians and registrar together",
    ),
    "what was written today is forgotten by moving": Break(_written_and_forgotten),
    "anybody is a guardian": Break(_any_guardian, _SPEAKS),
    "guardians count as soon as they are named": Break(_newest_guardians, _SPEAKS),
    "any registrar recovers anybody": Break(_any_registrar, _SPEAKS),
    "a thief who rotates first has won": Break(
        _thief_is_first, "what a thief did with a key is undone where enough guardians say so in time"
    ),
    "an enrolment is annulled unheard": Break(_annulled_unheard, _GRANTED),
    "an annulment cannot be appealed": Break(_no_appeal, _GOES),
    "who granted an annulment rules on its appeal": Break(_granter_judges_again),
    "an enrolment that stood is called void again": Break(_void_again, "an annulment of what was decided"),
    "whose a key is changes by the terms of today": Break(_other_terms),
    "who leaves is held for longer": Break(
        _held, "who leaves is gone as soon as the policy said to which it consented, but for a recovery that waits"
    ),
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
}
