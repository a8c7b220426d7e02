"""What the rights remember of a history."""

from __future__ import annotations

from chain.content.actions import (
    APPEAL,
    GRANT,
    RECOVERY,
    UNDO,
    Annul,
    Consent,
    Enrol,
    Leave,
    NameGuardians,
    Rate,
    Recover,
    Reopen,
    Retract,
    Rotate,
    Veto,
)
from chain.content.identities import ANNULMENTS, RECOVERIES, Recovery
from chain.register.entries import ACTIVE, DISPUTED, MAINTAINED, SUSPENDED, Rating
from chain.register.statekeys import ACCOUNTS, AUTHORITIES, MEMBERS, RATINGS, read_rating_key
from scripts.histories_parts.losses import decisions
from scripts.histories_parts.steps import Doubt, Office, Past, Step, asks


def remember(past: Past, step: Step) -> None:
    """Take note of a step that broke no right."""
    if step.view.policy.version > past.version_at(step.view.date_slot):
        past.policies.append((step.view.date_slot, step.view.policy.version))
    _disputes(past, step)
    _offices(past, step)
    _keys(past, step)
    _voices(past, step)
    _writing(past, step)
    past.slot = step.slot


def _disputes(past: Past, step: Step) -> None:
    for name, before, after in step.records():
        if after is None and before is not None:
            past.ended[name] = before
        if after is not None and after.status == MAINTAINED and (before is None or before.status != MAINTAINED):
            past.heard[name] = step.slot
        if before is None:
            action = step.action
            past.reopened[name] = step.view.identity(action.arbiter) if isinstance(action, Reopen) else b""


def _offices(past: Past, step: Step) -> None:
    if isinstance(step.action, Consent):
        past.agreed.setdefault(step.action.number, set()).add(step.view.identity(step.actor))
    for who, before, after in step.of(AUTHORITIES):
        if before is None or (before.status, after.status) == (SUSPENDED, ACTIVE):
            past.offices[who] = Office()
    for who, (decided, overturned) in decisions(step).items():
        office = past.offices.get(who, Office())
        past.offices[who] = Office((*office.decisions, (step.slot, decided, overturned)))


def _keys(past: Past, step: Step) -> None:
    past.consented.update({who: after.policy_version for who, _, after in step.of(MEMBERS) if after is not None})
    actor = step.view.identity(step.actor)

    def until(who: bytes) -> int:
        return step.slot + past.promised(step, who, "recovery_days")

    match step.action:
        case NameGuardians(commitment):
            _name(past, actor, commitment, step.slot, until(actor))
        case Rotate() | Leave():
            if past.guardians(actor, step.slot):
                past.undoable[actor] = until(actor)
        case Veto(what=what) if what == RECOVERY:
            past.vetoed[actor] = until(actor)
        case Recover(subject, step=kind) if kind == UNDO:
            past.vetoed.pop(step.view.identity(subject), None)
            past.undoable.pop(step.view.identity(subject), None)
    for who, before, after in step.of(MEMBERS):
        if after is None or (before is not None and before.key != after.key and not isinstance(step.action, Rotate)):
            past.undoable.pop(who, None)
            past.named[who] = [(0, past.guardians(who, step.slot))] if after else []
            past.vetoed.pop(who, None)
    for who, _, waiting in step.of(RECOVERIES):
        if isinstance(waiting, Recovery):
            past.moves[who] = waiting.key, until(who)
            if waiting.key:  # a naming that waits is off
                past.named[who] = [(0, past.guardians(who, step.slot))]
        else:
            past.moves.pop(who, None)
    _doubts(past, step)
    for key, before, after in step.of(ACCOUNTS):
        if after is None:
            past.gone[key] = step.slot + past.promised(step, before.identity or key, "return_days")


def _name(past: Past, who: bytes, commitment: bytes, slot: int, until: int) -> None:
    now = past.guardians(who, slot)
    past.named[who] = [(0, now), (until, commitment)] if now else [(0, commitment)]
    if now:
        past.undoable[who] = until
    else:  # who is named now did not see what the key did before
        past.undoable.pop(who, None)


def _doubts(past: Past, step: Step) -> None:
    for who, before, after in step.of(ANNULMENTS):
        if after is None:
            past.doubts.pop(who, None)
        elif before is None:
            heard_slot = step.slot + past.promised(step, who, "annulment_days")
            past.doubts[who] = Doubt(after.registrar, heard_slot)
        elif isinstance(step.action, Annul):
            past.doubts[who] = _argued(past, step, who)


def _argued(past: Past, step: Step, who: bytes) -> Doubt:
    doubt, actor, slot = past.doubts[who], step.view.identity(step.actor), step.slot
    match step.action:
        case Annul(step=kind) if kind == APPEAL:
            heard_slot = slot + past.promised(step, who, "hearing_days")
            return doubt._replace(heard_slot=heard_slot, granting=frozenset())
        case Annul(step=kind) if kind == GRANT and not doubt.granter:
            return doubt._replace(granter=actor, silent_slot=slot + past.promised(step, who, "appeal_days"))
        case Annul(step=kind) if kind == GRANT:
            return doubt._replace(granting=doubt.granting | {actor})
        case _:
            return doubt


def _voices(past: Past, step: Step) -> None:
    rules = step.view.policy
    if isinstance(step.action, Rate):
        past.said.update({name: rules.version for name, _, _ in step.of(RATINGS)})
    days = rules.raters.rating_days or rules.retention_days
    for name, before, after in step.of(RATINGS):
        if after is None and before.status == DISPUTED and before.points < 0 and _is_silence(step, name, before):
            past.fallen[name] = step.slot + step.slots(days)


def _is_silence(step: Step, name: bytes, rating: Rating) -> bool:
    """Its rater took it back, or its time to answer is over, rather than that it aged out or somebody left."""
    if step.action is not None:
        return isinstance(step.action, Retract)
    sides = [step.view.get(MEMBERS + who) for who in read_rating_key(RATINGS + name)[:2]]
    has_left = any(member is None or 0 < member.leaves_slot <= step.slot for member in sides)
    return not has_left and rating.due_slot != rating.expires_slot


def _writing(past: Past, step: Step) -> None:
    if step.action is None:
        past.written.clear()
        past.strangers = 0
    else:
        past.written[step.view.identity(step.actor)] += asks(step)
        past.strangers += isinstance(step.action, Enrol) and not step.action.registrar
