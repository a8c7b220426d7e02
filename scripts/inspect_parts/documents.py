"""The things of the register as documents: dicts for JSON, of which tables show some fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from chain.draft import read_policy_text
from chain.errors import InvariantBroken, OperatorError
from chain.keys import did_from_key
from chain.policy import Policy
from chain.proposals import Amend, decode_proposal
from chain.scores import Line, explain, standing
from chain.state import (
    AUTHORITY_STATUS_NAMES,
    MAINTAINED,
    MOTION_STATUS_NAMES,
    OBJECTED,
    OPEN,
    STATUS_NAMES,
    VALIDATORS_KEY,
    Authority,
    Member,
    Motion,
    PolicyText,
    Rating,
    Record,
    policy_key,
    read_motion_key,
    read_rating_key,
    read_record_key,
)
from chain.validators import Validators
from scripts.chain_view import View
from scripts.inspect_parts.words import category_name, proposal_in_words, rights_in_words

_T = TypeVar("_T")


def entries(view: View, prefix: bytes, kind: type[_T]) -> Iterator[tuple[bytes, _T]]:
    """All entries of one kind, by key."""
    for key, entry in view.reader.entries(prefix):
        if not isinstance(entry, kind):
            raise InvariantBroken(f"no {kind.__name__} under {key.hex()}")
        yield key, entry


def members(view: View) -> Iterator[tuple[bytes, Member]]:
    """All members by their identities."""
    return ((key[1:], member) for key, member in entries(view, b"m", Member))


def percentile(rank: int, count: int) -> int:
    """How many percent of all members have no higher score, rounded down."""
    return 100 * (count - rank + 1) // count


def policy_of(view: View, version: int) -> Policy:
    """A policy that is, was, or will be in force."""
    text = view.reader.entry(policy_key(version))
    if not isinstance(text, PolicyText):
        raise InvariantBroken(f"the stored state has no policy {version}")
    return read_policy_text(text.document)


def find_category(view: View, name: str) -> int:
    """The code of a category of records by its code or its name.  Raises :class:`OperatorError`."""
    for code, category in view.policy.categories.items():
        if name in (str(code), category.name):
            return code
    raise OperatorError(f"no category of records is called {name!r}; `policy` lists them")


# ------------------------------------------------------------------------------------------------ members


def member_document(view: View, identity: bytes, member: Member) -> dict[str, Any]:
    """Where a member stands, and what that follows from."""
    score, level, tier = standing(view.policy, member)
    reached = view.policy.level(score)
    return {
        "member": did_from_key(member.key),
        **({} if identity == member.key else {"first_key": did_from_key(identity)}),
        "score": score,
        "tier": tier,
        **({} if level == reached else {"tier_without_cap": view.policy.tier(reached).name}),
        "record_points": member.record_points,
        "records": member.standing,
        "suspended": member.suspended,
        "rated_points": member.rated_points,
        "ratings": member.ratings,
        "enrolled_height": member.enrolled_height,
    }


def rating_document(view: View, other: str, key: bytes, rating: Rating) -> dict[str, Any]:
    """A standing rating; ``other`` says who is named in it, the ``rater`` or the ``subject``."""
    subject, rater, category = read_rating_key(key)
    return {
        other: view.did(rater if other == "rater" else subject),
        "category": category_name(view.policy, category),
        "points": rating.points,
        "height": rating.height,
    }


def explanation(view: View, identity: bytes, member: Member) -> list[dict[str, Any]]:
    """Every point of a member's score.  Raises :class:`InvariantBroken` where they do not add up to it."""
    records = ((read_record_key(key)[1], record) for key, record in entries(view, b"d" + identity, Record))
    ratings = ((*read_rating_key(key)[1:], rating) for key, rating in entries(view, b"r" + identity, Rating))
    return [_line_document(view, identity, line) for line in explain(view.policy, member, records, ratings)]


def _line_document(view: View, identity: bytes, line: Line) -> dict[str, Any]:
    document: dict[str, Any] = {"kind": line.kind, "points": line.points}
    if line.category >= 0:
        document["category"] = category_name(view.policy, line.category)
    if line.record is not None:
        record = record_document(view, identity, line.number, line.record)
        return {
            **document,
            **{name: record[name] for name in record if name not in ("member", "points")},
            "points_recorded": line.record.points,
        }
    if line.rating is not None:
        height = line.rating.height
        return {**document, "rater": view.did(line.rater), "height": height, "block": view.block_id(height)}
    return {**document, "policy": view.policy.version}


# ------------------------------------------------------------------------------------------------ records


def record_document(view: View, subject: bytes, number: int, record: Record) -> dict[str, Any]:
    """A record that stands or is suspended; times are those of slots, digests are hexadecimal."""
    policy = view.policy
    return {
        "member": view.did(subject),
        "number": number,
        "issuer": view.did(record.issuer),
        "category": category_name(policy, record.category),
        "code": record.category,
        "points": record.points,
        "status": STATUS_NAMES[record.status],
        "counts": record.counts,
        "upheld": bool(record.upheld),
        "severity": policy.severities[record.severity - 1].name if record.severity else None,
        "tier_cap": policy.tier(record.cap).name if record.cap >= 0 else None,
        "policy": record.policy_version,
        "height": record.height,
        "block": view.block_id(record.height),
        **_moment(view, "established", record.established_slot),
        **_moment(view, "expires", record.expires_slot),
        **_moment(view, "repair", record.repair_slot),
        **_moment(view, "deadline", record.deadline_slot),
        "waits_for": waits_for(record),
        "left": view.left(record.deadline_slot) if record.deadline_slot else None,
        **{name: getattr(record, name).hex() or None for name in ("evidence", "reason", "grounds", "words", "proof")},
    }


def waits_for(record: Record) -> str | None:
    """Whose turn it is."""
    if record.status == OBJECTED:
        return "the issuer's answer"
    if record.status == MAINTAINED:
        return "an arbiter's ruling"
    return "the issuer's answer to the repair" if record.deadline_slot else None


def state_in_words(document: dict[str, Any]) -> str:
    """The status of a record document, and until when it waits."""
    text = "upheld" if document["upheld"] and document["status"] == "standing" else str(document["status"])
    return f"{text}, {document['left']} left" if document["left"] else text


def find_records(view: View, member: bytes | None) -> Iterator[tuple[bytes, int, Record]]:
    """``(subject, number, record)`` of all records, or of those about one member."""
    for key, record in entries(view, b"d" + (member or b""), Record):
        yield *read_record_key(key), record


def _moment(view: View, name: str, slot: int) -> dict[str, Any]:
    if not slot and name != "established":
        return {f"{name}_slot": None, f"{name}_time": None}
    return {f"{name}_slot": slot, f"{name}_time": view.time(slot)}


# ------------------------------------------------------------------------------------------------ institutions


def authority_document(view: View, identity: bytes, authority: Authority) -> dict[str, Any]:
    """An institution: what it may do, and how its records held."""
    policy = view.policy
    filed = authority.filed - authority.forgiven_filed
    overturned = authority.overturned - authority.forgiven_overturned
    is_in_term = authority.from_height <= view.at_state["as_of_height"] < authority.until_height
    return {
        "authority": did_from_key(authority.key),
        **({} if identity == authority.key else {"first_key": did_from_key(identity)}),
        "status": AUTHORITY_STATUS_NAMES[authority.status],
        "in_term": is_in_term,
        "rights": rights_in_words(authority.rights),
        "categories": [category_name(policy, code) for code in authority.categories],
        "from_height": authority.from_height,
        "until_height": authority.until_height,
        "filed": authority.filed,
        "overturned": authority.overturned,
        "filed_since_restored": filed,
        "overturned_since_restored": overturned,
        "overturned_permille": 1000 * overturned // filed if filed else 0,
    }


def motion_document(view: View, key: bytes, motion: Motion) -> dict[str, Any]:
    """A motion: what it proposes, who approves it, and how much weight it still needs."""
    proposal = decode_proposal(motion.proposal)
    validators = view.reader.entry(VALIDATORS_KEY)
    if not isinstance(validators, Validators):
        raise InvariantBroken("the stored state has no validators")
    weights = {seat.key: 0 if seat.is_jailed else seat.weight for seat in validators.active}
    total = sum(weights.values())
    approving = sum(weights.get(key, 0) for key in motion.approvals)
    is_open = motion.status == OPEN
    document = {
        "number": read_motion_key(key),
        "status": MOTION_STATUS_NAMES[motion.status],
        "proposes": proposal_in_words(view.policy, proposal),
        "proposer": did_from_key(motion.proposer),
        "height": motion.height,
        "approvals": [did_from_key(approval) for approval in motion.approvals],
        "closed_height": motion.closed_height or None,
    }
    if is_open:
        document |= {
            "weight": approving,
            "weight_needed": max(0, 2 * total // 3 + 1 - approving),
            **_moment(view, "expires", motion.expires_slot),
            "left": view.left(motion.expires_slot),
        }
    if isinstance(proposal, Amend):
        document["policy"] = read_policy_text(proposal.document).to_document()
    return document
