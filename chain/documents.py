"""The things of the register as documents: dicts for JSON, the same from a running node and from a home on disk.

Heights, slots and counts are integers, keys are dids, digests and ids are hexadecimal, times are those at which slots
begin (ISO 8601, UTC).  A member or an authority is named by the key that it has now.  What there is none of is None.

Where a state is damaged, everything raises :class:`chain.errors.InvariantBroken`, or what its view does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from chain import transactions
from chain.amendments import worsenings
from chain.arbiters import drawn
from chain.authorities import is_in_term, rate
from chain.errors import Refused
from chain.genesis import Genesis
from chain.headers import Header, VerifiedHeader
from chain.keys import did_from_key
from chain.meanings import MEANINGS
from chain.policy import Policy
from chain.proposals import Amend, decode_proposal
from chain.scores import Line, explain, standing
from chain.state import (
    AUTHORITIES,
    AUTHORITY_STATUS_NAMES,
    MEMBERS,
    MOTION_STATUS_NAMES,
    OPEN,
    RATING_STATUS_NAMES,
    RATINGS,
    RECORDS,
    RULED,
    STATUS_NAMES,
    Authority,
    Member,
    Motion,
    Rating,
    Record,
    Rulings,
    member_key,
    read_identity,
    read_rating_key,
    read_record_key,
    read_rulings_key,
    record_key,
)
from chain.statements import NO_TAG
from chain.transactions import Evidence, Propose, Repair, Rule, Transaction, decode_statement
from chain.validators import weights_of
from chain.view import StateView, read_policy_text
from chain.words import (
    ANSWERS,
    REPAIRS,
    RULINGS,
    category_name,
    duration,
    moment_of,
    proposal_in_words,
    rights_in_words,
    term_in_words,
    time_of,
    waits_for,
)

# More than anybody reads of a running node; the newest come first.
MAX_SHOWN = 100
# Numbers of records that ended are gaps; past so many numbers a running node looks no further in its own turn.
MAX_LOOKED_AT = 1_000
_SLOT = re.compile(r"\bslot (-?\d+)")

Document: TypeAlias = dict[str, Any]
Row: TypeAlias = tuple[bytes, int, Record]
"""Whom a record is about, its number, and the record."""


def as_of(view: StateView) -> Document:
    """As of which height an answer is, and whether that is final."""
    return {"as_of_height": view.height, "final": view.is_final}


# ------------------------------------------------------------------------------------------------ members


def members(view: StateView) -> Iterator[tuple[bytes, Member]]:
    """All members by their identities."""
    return ((read_identity(key), member) for key, member in view.entries(MEMBERS, Member))


def member_document(view: StateView, identity: bytes, member: Member) -> Document:
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
        "consented_policy": member.policy_version,
    }


def rating_document(view: StateView, other: str, key: bytes, rating: Rating) -> Document:
    """A rating that stands; ``other`` says who is named in it, the ``rater`` or the ``subject``."""
    subject, rater, category = read_rating_key(key)
    return {
        other: _did(view, rater if other == "rater" else subject),
        "category": category_name(view.policy, category),
        "points": rating.points,
        "height": rating.height,
        "status": RATING_STATUS_NAMES[rating.status],
        **_moment(view, "expires", rating.expires_slot),
        **_moment(view, "deadline", rating.deadline_slot),
        "grounds": rating.grounds.hex() or None,
        "reason": rating.reason.hex() or None,
    }


def explanation(view: StateView, identity: bytes, member: Member) -> list[Document]:
    """Every point of a member's score.  Raises :class:`InvariantBroken` where they do not add up to it."""
    records = ((read_record_key(key)[1], record) for key, record in view.entries(RECORDS + identity, Record))
    ratings = ((*read_rating_key(key)[1:], rating) for key, rating in view.entries(RATINGS + identity, Rating))
    return [_line_document(view, identity, line) for line in explain(view.policy, member, records, ratings)]


def _line_document(view: StateView, identity: bytes, line: Line) -> Document:
    document: Document = {"kind": line.kind, "points": line.points}
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
        return {**document, "rater": _did(view, line.rater), "height": line.rating.height}
    return {**document, "policy": view.policy.version}


# ------------------------------------------------------------------------------------------------ records


def records_document(view: StateView, key: bytes) -> Document:
    """The newest records about whoever's key this is, as a running node tells them; none about a stranger.

    ``more`` is silent about records further back than :data:`MAX_LOOKED_AT` numbers.
    """
    return listed_records(view, records_about(view, view.identity(key), MAX_LOOKED_AT), MAX_SHOWN)


def listed_records(view: StateView, rows: Iterator[Row], limit: int) -> Document:
    """The first ``limit`` of these records, and whether there are more: not how many, there can be millions."""
    found = list(islice(rows, limit + 1))
    return {
        **as_of(view),
        "more": len(found) > limit,
        "records": [record_document(view, *row) for row in found[:limit]],
    }


def records_about(view: StateView, identity: bytes, look_at: int | None = None) -> Iterator[Row]:
    """The records about one member, the newest first; of the newest ``look_at`` numbers, or of all."""
    member = view.get(member_key(identity))
    if not isinstance(member, Member):
        return
    left = member.standing + member.suspended
    first = 0 if look_at is None else max(0, member.filed - look_at)
    for number in range(member.filed - 1, first - 1, -1):
        if not left:
            return
        record = view.get(record_key(identity, number))
        if isinstance(record, Record):
            left -= 1
            yield identity, number, record


def all_records(view: StateView) -> Iterator[Row]:
    """All records that stand or are suspended, by member and number."""
    return ((*read_record_key(key), record) for key, record in view.entries(RECORDS, Record))


def record_document(view: StateView, subject: bytes, number: int, record: Record) -> Document:
    """A record that stands or is suspended; what is left of its deadline is counted from the newest block."""
    policy = view.policy
    return {
        "member": _did(view, subject),
        "number": number,
        "issuer": _did(view, record.issuer),
        "category": category_name(policy, record.category),
        "code": record.category,
        "points": record.points,
        "status": STATUS_NAMES[record.status],
        "counts": record.counts,
        "disputed": record.is_disputed,
        "upheld": bool(record.upheld),
        "appealed": record.is_appealed,
        "reopened": bool(record.is_reopened),
        "severity": policy.severities[record.severity - 1].name if record.severity else None,
        "tier_cap": policy.tier(record.cap).name if record.cap >= 0 else None,
        "policy": record.policy_version,
        "height": record.height,
        "established_slot": record.established_slot,
        "established_time": time_of(view.genesis, record.established_slot),
        **_moment(view, "expires", record.expires_slot),
        **_moment(view, "repair", record.repair_slot),
        **_moment(view, "appeal", record.appeal_slot),
        **_moment(view, "deadline", record.deadline_slot),
        "waits_for": waits_for(record),
        "left": _left(view, record.deadline_slot) if record.deadline_slot else None,
        "arbiters": [_did(view, who) for who in drawn(view, subject, number, record, view.slot)],
        "evidence": record.evidence.hex(),
        "reason": record.reason.hex() or None,
        "grounds": record.grounds.hex() or None,
        "statement": record.statement.hex() or None,
        "proof": record.proof.hex() or None,
    }


# ------------------------------------------------------------------------------------------------ institutions


def authorities_document(view: StateView) -> Document:
    """The accredited institutions, and how much of an institution's records may be overturned."""
    return {
        **as_of(view),
        "limit_permille": view.policy.overturned_permille,
        "limit_minimum": view.policy.overturned_minimum,
        "authorities": [
            authority_document(view, read_identity(key), authority)
            for key, authority in view.entries(AUTHORITIES, Authority)
        ],
    }


def authority_document(view: StateView, identity: bytes, authority: Authority) -> Document:
    """An institution: what it may do, and how its records held."""
    overturned, decided = rate(authority)
    rulings = [
        {"issuer": _did(view, read_rulings_key(key)[1]), **ruling._asdict()}
        for key, ruling in view.entries(RULED + identity, Rulings)
    ]
    return {
        "authority": did_from_key(authority.key),
        **({} if identity == authority.key else {"first_key": did_from_key(identity)}),
        "status": AUTHORITY_STATUS_NAMES[authority.status],
        "in_term": is_in_term(authority, view.slot),
        "rights": rights_in_words(authority.rights),
        "categories": [category_name(view.policy, code) for code in authority.categories],
        "from_slot": authority.from_slot,
        "until_slot": authority.until_slot,
        "term": term_in_words(view.genesis, authority.from_slot, authority.until_slot),
        "filed": authority.filed,
        "withdrawn": authority.withdrawn,
        "decided": authority.decided,
        "overturned": authority.overturned,
        "forgiven_decided": authority.forgiven_decided,
        "forgiven_overturned": authority.forgiven_overturned,
        "decided_in_window": decided,
        "overturned_in_window": overturned,
        "overturned_permille": 1000 * overturned // decided if decided else 0,
        "rulings": rulings,
    }


def motions_document(view: StateView, limit: int = MAX_SHOWN, *, only_open: bool = False) -> Document:
    """The newest motions, the newest first."""
    docket = view.docket
    numbers = sorted(docket.open, reverse=True) if only_open else range(docket.next_motion - 1, -1, -1)
    found = [motion_document(view, number, view.motion(number)) for number in numbers[:limit]]
    return {**as_of(view), "open": len(docket.open), "motions": found}


def motion_document(view: StateView, number: int, motion: Motion) -> Document:
    """A motion: what it proposes and about whom, who approves it, and how much weight it still needs."""
    proposal = decode_proposal(motion.proposal)
    document = {
        "number": number,
        "status": MOTION_STATUS_NAMES[motion.status],
        "kind": type(proposal).__name__,
        "proposes": proposal_in_words(view.policy, proposal),
        "about": [did_from_key(field) for field in proposal if isinstance(field, bytes) and len(field) == 32],
        "proposer": did_from_key(motion.proposer),
        "height": motion.height,
        "approvals": [did_from_key(approval) for approval in motion.approvals],
        "closed_height": motion.closed_height or None,
    }
    if motion.status == OPEN:
        weights = dict(weights_of(view.validators.active))
        approving = sum(weights.get(key, 0) for key in motion.approvals)
        document |= {
            "weight": approving,
            "weight_needed": max(0, 2 * sum(weights.values()) // 3 + 1 - approving),
            "awaits_consent": bool(motion.is_awaited),
            **_moment(view, "expires", motion.expires_slot),
            "left": _left(view, motion.expires_slot),
        }
    if isinstance(proposal, Amend):
        new = read_policy_text(proposal.document)
        document["policy"] = new.to_document()
        if new.version == proposal.base_version + 1:
            document["worsens"] = worsenings(view.policy_of(proposal.base_version), new)
    return document


def policy_document(view: StateView) -> Document:
    """The policy in force, and the announced one."""
    rules, coming = view.rules, view.announced_policy
    return {
        **as_of(view),
        "version": rules.version,
        "digest": rules.digest.hex(),
        "policy": view.policy.to_document(),
        "announced": None if coming is None else _announced(view, coming, rules.next_slot),
    }


def _announced(view: StateView, coming: Policy, slot: int) -> Document:
    return {
        "version": coming.version,
        "slot": view.date(slot),
        "time": time_of(view.genesis, view.date(slot)),
        "left": _left(view, slot),
        "policy": coming.to_document(),
    }


# ------------------------------------------------------------------------------------------------ the chain itself


def block_document(
    genesis: Genesis, header: Header | VerifiedHeader, count: int, finalized_height: int, *, main: bool = True
) -> Document:
    """A header and the number of its block's transactions; ``main`` says whether it is on the main chain."""
    return {
        "id": header.id.hex(),
        "height": header.height,
        "slot": header.slot,
        "time": time_of(genesis, header.slot),
        "proposer": did_from_key(header.proposer) if header.height else None,
        "parent": header.parent.hex(),
        "tag": None if header.tag == NO_TAG else header.tag.hex(),
        "mhg": header.mhg,
        "mhp": header.mhp,
        "votes_root": header.votes_root.hex(),
        "transaction_root": header.transaction_root.hex(),
        "state_root": header.state_root.hex(),
        "transaction_count": count,
        "main": main,
        "final": main and header.height <= finalized_height,
    }


def transaction_document(policy: Policy, transaction: Transaction) -> Document:
    """A transaction with the fields of its kind, as it was signed: its keys are those of then."""
    action = transaction.action._asdict()
    match transaction.action:
        case Propose(proposal):
            action = {"proposal": proposal_in_words(policy, proposal)}
        case Evidence(first, second):
            statements = decode_statement(first), decode_statement(second)
            action = {"subject": statements[0].speaker, "first": statements[0].id, "second": statements[1].id}
        case transactions.Answer(verdict=verdict):
            action["verdict"] = ANSWERS[verdict]
        case Rule(verdict=verdict):
            action["verdict"] = RULINGS[verdict]
        case Repair(step=step):
            action["step"] = REPAIRS[step]
    for name, value in action.items():
        if name in ("subject", "rater", "registrar", "arbiter", "new_key") and value:
            action[name] = did_from_key(value)
        elif type(value) is bytes:
            action[name] = value.hex() or None
    if "category" in action:
        action["category"] = category_name(policy, action["category"])
    return {
        "id": transaction.id.hex(),
        "kind": transaction.kind,
        "actor": did_from_key(transaction.actor),
        "nonce": transaction.nonce,
        "expiry_height": transaction.expiry_height,
        **action,
    }


def refusal_document(refusal: Refused, genesis: Genesis) -> Document:
    """A refusal with the rule that was broken, what would be needed, and what time the slots in it are."""
    meaning = MEANINGS[refusal.reason]
    return {
        "refused": refusal.reason.code,
        "detail": refusal.detail,
        "rule": meaning.rule,
        "needed": meaning.needed,
        "when": {f"slot {slot}": moment_of(genesis, int(slot)) for slot in _SLOT.findall(refusal.detail)},
    }


# ------------------------------------------------------------------------------------------------ parts


def _did(view: StateView, identity: bytes) -> str:
    return did_from_key(view.current_key(identity))


def _left(view: StateView, slot: int) -> str:
    """What is left until a slot of registry time."""
    return duration((view.date(slot) - view.slot) * view.genesis.slot_ms)


def _moment(view: StateView, name: str, slot: int) -> Document:
    """A slot of registry time as a date, as it is without another outage; none for 0."""
    if not slot:
        return {f"{name}_slot": None, f"{name}_time": None}
    return {f"{name}_slot": view.date(slot), f"{name}_time": time_of(view.genesis, view.date(slot))}
