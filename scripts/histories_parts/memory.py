"""What the rights remember of a history."""

from __future__ import annotations

from chain.actions import CONTEST, UNDO, Annul, Enrol, Leave, NameGuardians, Recover, Rotate
from chain.entries import ACTIVE, MAINTAINED, SUSPENDED
from chain.identities import ANNULMENTS, RECOVERIES, Annulment, Recovery
from chain.statekeys import ACCOUNTS, AUTHORITIES, MEMBERS
from scripts.histories_parts.losses import decisions
from scripts.histories_parts.steps import Office, Past, Step


def remember(past: Past, step: Step) -> None:
    """Take note of a step that broke no right."""
    if step.view.policy.version > past.version_at(step.view.date_slot):
        past.policies.append((step.view.date_slot, step.view.policy.version))
    _disputes(past, step)
    _offices(past, step)
    _keys(past, step)
    _writing(past, step)
    past.slot = step.slot


def _disputes(past: Past, step: Step) -> None:
    for name, before, after in step.records():
        if after is None and before is not None:
            past.ended[name] = before
        if after is not None and after.status == MAINTAINED and (before is None or before.status != MAINTAINED):
            past.heard[name] = step.slot


def _offices(past: Past, step: Step) -> None:
    for who, before, after in step.of(AUTHORITIES):
        if before is None or (before.status, after.status) == (SUSPENDED, ACTIVE):
            past.offices[who] = Office()
    for who, (decided, overturned) in decisions(step).items():
        office = past.offices.get(who, Office())
        past.offices[who] = Office((*office.decisions, (step.slot, decided, overturned)))


def _keys(past: Past, step: Step) -> None:
    delay = step.slots(step.view.policy.identity.recovery_days)
    match step.action:
        case NameGuardians(commitment):
            _name(past, step.view.identity(step.actor), commitment, step.slot, delay)
        case Rotate() | Leave():
            who = step.view.identity(step.actor)
            if past.guardians(who, step.slot):
                past.undoable[who] = step.slot + delay
        case Recover(subject, step=kind) if kind == UNDO:
            past.undoable.pop(step.view.identity(subject), None)
    for who, before, after in step.of(MEMBERS):
        if after is None or (before is not None and before.key != after.key and not isinstance(step.action, Rotate)):
            past.undoable.pop(who, None)
            past.named[who] = [(0, past.guardians(who, step.slot))] if after else []
    for who, _, waiting in step.of(RECOVERIES):
        if isinstance(waiting, Recovery):
            past.moves[who] = waiting.key, step.slot + delay
        else:
            past.moves.pop(who, None)
    _annulments(past, step)
    away = step.slots(step.view.policy.identity.return_days)
    past.gone.update({key: step.slot + away for key, _, after in step.of(ACCOUNTS) if after is None})


def _name(past: Past, who: bytes, commitment: bytes, slot: int, delay: int) -> None:
    now = past.guardians(who, slot)
    past.named[who] = [(0, now), (slot + delay, commitment)] if now else [(0, commitment)]
    if now:
        past.undoable[who] = slot + delay
    else:  # who is named now did not see what the key did before
        past.undoable.pop(who, None)


def _annulments(past: Past, step: Step) -> None:
    for who, before, after in step.of(ANNULMENTS):
        if isinstance(after, Annulment) and before is None:
            due = step.slot + step.slots(step.view.policy.identity.annulment_days)
            past.annulments[who] = after.registrar, due
        elif after is not None and isinstance(step.action, Annul) and step.action.step == CONTEST:
            past.annulments[who] = past.annulments[who][0], step.slot
        elif after is None:
            past.annulments.pop(who, None)


def _writing(past: Past, step: Step) -> None:
    if step.action is None:
        past.written.clear()
        past.strangers = 0
    else:
        past.written[step.view.identity(step.actor), type(step.action).__name__] += 1
        past.strangers += isinstance(step.action, Enrol) and not step.action.registrar
