"""Which contested records an office won or lost in a step, as anybody counts who sees what became of them."""

from __future__ import annotations

from collections import defaultdict

from chain.content.actions import MAINTAIN, Answer, Approve, Propose, Rule
from chain.register.entries import DRAWN, MAINTAINED, OBJECTED, Record
from chain.register.statekeys import MEMBERS
from scripts.histories_parts.steps import Step


def decisions(step: Step) -> dict[bytes, tuple[int, int]]:
    """``(decided, overturned)`` of the offices whose contested adverse records this step decided."""
    found: dict[bytes, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for (subject, _), before, after in step.records():
        if before is not None and takes_something(before) and is_contested(before):
            is_lost = _is_lost(step, subject, before, after)
            if is_lost or (after is not None and after.upheld > before.upheld):
                decided, overturned = found[before.issuer]
                found[before.issuer] = decided + (not before.upheld), overturned + is_lost
    return dict(found)


def is_contested(record: Record) -> bool:
    """Whether an objection or an appeal is open."""
    return record.status in (OBJECTED, MAINTAINED, DRAWN)


def takes_something(record: Record) -> bool:
    """Whether it puts the member worse."""
    return record.points < 0 or record.cap >= 0


def _had_left(step: Step, subject: bytes, deadline_slot: int) -> bool:
    """Whether a member left before a deadline, unless a recovery has called that off."""
    after = step.view.get(MEMBERS + subject)
    before = step.touched.get(MEMBERS + subject) or after
    is_called_off = after is not None and not after.leaves_slot
    return before is None or (0 < before.leaves_slot < deadline_slot and not is_called_off)


def _is_lost(step: Step, subject: bytes, before: Record, after: Record | None) -> bool:
    match step.action:
        case None:  # nobody answered, before it would have ended by itself, and before the member left
            is_silence = before.status == OBJECTED and before.deadline_slot < before.expires_slot
            return after is None and is_silence and not _had_left(step, subject, before.deadline_slot)
        case Answer(verdict=verdict):
            return verdict != MAINTAIN
        case Rule() | Approve() | Propose():
            return after is None
        case _:
            return False
