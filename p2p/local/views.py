"""What the HTTP face tells of the register at the head: its policy, the records about a member, its motions."""

from __future__ import annotations

from typing import Any

from chain.draft import Draft
from chain.keys import did_from_key
from chain.proposals import decode_proposal
from chain.state import MOTION_STATUS_NAMES, STATUS_NAMES, Member, Record, member_key, record_key

# More than anybody reads; the newest come first.
MAX_SHOWN = 100
# Numbers of records that ended are gaps; past so many numbers a node looks no further in its own turn.
MAX_LOOKED_AT = 1_000


def policy_in_force(view: Draft) -> dict[str, Any]:
    """The policy in force, and which version follows from which slot (0: none is announced)."""
    rules = view.rules
    return {
        "version": rules.version,
        "next_version": rules.next_version,
        "next_slot": rules.next_slot,
        "policy": view.policy.to_document(),
    }


def records_about(view: Draft, key: bytes) -> dict[str, Any]:
    """The newest records that there are about whoever's key this is; none about a stranger."""
    identity = view.identity(key)
    member: Member | None = view.get(member_key(identity))
    filed = 0 if member is None else member.filed
    found: list[dict[str, Any]] = []
    for number in range(filed - 1, max(-1, filed - 1 - MAX_LOOKED_AT), -1):
        record = view.get(record_key(identity, number))
        if isinstance(record, Record) and len(found) < MAX_SHOWN:
            found.append(_record(view, number, record))
    return {"height": view.height - 1, "filed": filed, "records": found}


def newest_motions(view: Draft) -> dict[str, Any]:
    """The newest motions, open or closed."""
    first = view.docket.next_motion - 1
    found = [_motion(view, number) for number in range(first, max(-1, first - MAX_SHOWN), -1)]
    return {"height": view.height - 1, "motions": found}


def _record(view: Draft, number: int, record: Record) -> dict[str, Any]:
    return {
        "number": number,
        "issuer": did_from_key(record.issuer),
        "category": view.policy.categories[record.category].name,
        "points": record.points,
        "status": STATUS_NAMES[record.status],
        "upheld": bool(record.upheld),
        "height": record.height,
        "evidence": record.evidence.hex(),
        "established_slot": record.established_slot,
        "repair_slot": record.repair_slot,
        "deadline_slot": record.deadline_slot,
        "expires_slot": record.expires_slot,
    }


def _motion(view: Draft, number: int) -> dict[str, Any]:
    motion = view.motion(number)
    proposal = decode_proposal(motion.proposal)
    return {
        "number": number,
        "kind": type(proposal).__name__,
        "about": [did_from_key(field) for field in proposal if isinstance(field, bytes) and len(field) == 32],
        "status": MOTION_STATUS_NAMES[motion.status],
        "proposer": did_from_key(motion.proposer),
        "approvals": len(motion.approvals),
        "height": motion.height,
        "expires_slot": motion.expires_slot,
    }
