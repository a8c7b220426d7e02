"""What a fault of ours ends: the one matter that it struck, and neither a block nor a node.

Whoever finds a way into a state that no rule foresaw must not stop everybody with it.  What falls due does so on every
node, and again after each restart; a transaction reaches all of them.  So each is carried out by itself, and where a
rule goes wrong what it did is taken back.  A transaction is refused.  What is due waits a day of the policy, the whole
turn of who leaves with it: nothing is lost, and a version in which the fault is mended does it then.  Either is told.

All nodes of one version do the same, as :data:`~chain.base.errors.FAULTS` alone is dealt with so, and never where an
entry could not be read.  Between two versions nothing is hidden: where they differ, so do their state roots, as after
any other change of a rule.  Whatever is about all of a block, and who makes blocks, is not fenced in: there a node
stops rather than guess.  Source: protocol 6.16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from traceback import walk_tb
from typing import ParamSpec

from chain.base.errors import FAULTS, Damaged, Reason, Refused
from chain.register.draft import Draft
from chain.register.state import due_slot_of, put_off

_P = ParamSpec("_P")
_MAX_SAID = 200


def put_aside(draft: Draft, turn: bytes, error: Exception) -> None:
    """Take back what a matter did that was due by the deadline of the entry ``turn``, and let that wait a day."""
    draft.take_back()
    entry = draft.get(turn)
    slot = due_slot_of(entry) or draft.slot
    draft.put(turn, put_off(entry, draft.slot + draft.slots(1) - slot))
    draft.faults.append(f"what was due of the entry {turn.hex()} waits a day, as it ended in {told(error)}")


def refused(draft: Draft, name: str, error: Exception) -> Refused:
    """Take back what a transaction did; what is to be raised instead."""
    draft.take_back()
    refusal = _refusal(error)
    draft.faults.append(f"a transaction ({name}) was refused, as it ended in {told(error)}")
    return refusal


def look(check: Callable[_P, None]) -> Callable[_P, None]:
    """A check that changes nothing, and raises nothing but what it says."""

    @wraps(check)
    def looked(*arguments: _P.args, **named: _P.kwargs) -> None:
        try:
            check(*arguments, **named)
        except Damaged:
            raise
        except FAULTS as error:
            raise _refusal(error) from error

    return looked


def told(error: Exception) -> str:
    """A fault on one line: what it is, and where the rules were."""
    way = [f"{frame.f_code.co_name}:{line}" for frame, line in walk_tb(error.__traceback__)]
    return f"{type(error).__name__}: {str(error)[:_MAX_SAID]} ({' > '.join(way[-3:])})"


def _refusal(error: Exception) -> Refused:
    return Refused(Reason.FAULT, told(error))
