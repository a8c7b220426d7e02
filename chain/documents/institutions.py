"""Authorities, arbiters, motions and policies as documents, as :mod:`chain.documents.people` has it."""

from __future__ import annotations

from chain.base.keys import did_from_key
from chain.content.amendments import worsenings
from chain.content.policy import Policy
from chain.content.proposals import Amend, decode_proposal
from chain.documents.people import MAX_SHOWN, Document, as_of, did_of, moment, time_left
from chain.documents.words import category_name, proposal_in_words, rights_in_words, term_in_words, time_of
from chain.register.arbiters import is_arbiter
from chain.register.authorities import is_in_term, rate
from chain.register.entries import AUTHORITY_STATUS_NAMES, MOTION_STATUS_NAMES, OPEN, Authority, Motion, Rulings
from chain.register.governance import named
from chain.register.statekeys import AUTHORITIES, RULED, read_identity, read_rulings_key
from chain.register.validators import weights_of
from chain.register.view import StateView, read_policy_text


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
        "rulings": _rulings(view, identity),
    }


def _rulings(view: StateView, arbiter: bytes) -> list[Document]:
    """How an arbiter ruled, issuer by issuer."""
    return [
        {"issuer": did_of(view, read_rulings_key(key)[1]), **ruling._asdict()}
        for key, ruling in view.entries(RULED + arbiter, Rulings)
    ]


def arbiters_document(view: StateView) -> Document:
    """Among whom a lot is drawn, and how they ruled so far."""
    return {**as_of(view), "arbiters": [_arbiter_document(view, *row) for row in view.roll.arbiters]}


def _arbiter_document(view: StateView, identity: bytes, since_height: int) -> Document:
    rulings = _rulings(view, identity)
    upheld, struck, silent = (sum(row[name] for row in rulings) for name in ("upheld", "struck", "silent"))
    return {
        "arbiter": did_of(view, identity),
        "since_height": since_height,
        "in_office": is_arbiter(view.authority(identity), view.slot),
        "upheld": upheld,
        "struck": struck,
        "silent": silent,
        "struck_permille": 1000 * struck // (upheld + struck) if upheld + struck else 0,
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
        whom = named(view, proposal) if motion.is_awaited else None
        document |= {
            "weight": approving,
            "weight_needed": max(0, 2 * sum(weights.values()) // 3 + 1 - approving),
            "awaits_consent": None if whom is None else did_from_key(whom),
            **moment(view, "expires", motion.expires_slot),
            "left": time_left(view, motion.expires_slot),
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
        "left": time_left(view, slot),
        "policy": coming.to_document(),
    }
