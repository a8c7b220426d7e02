"""Blocks, transactions, votes and refusals as documents, as :mod:`chain.documents.people` has it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from chain.base.errors import Refused
from chain.base.keys import did_from_key as spell
from chain.base.meanings import MEANINGS
from chain.base.merkle import EMPTY_ROOT
from chain.consensus.attestations import Carried
from chain.consensus.ballots import Ballot
from chain.consensus.electorate import ValidatorSet
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.statements import NO_TAG
from chain.consensus.votes import Row, Votes
from chain.content import actions
from chain.content.actions import Evidence, Propose, Repair, Rule
from chain.content.genesis import Genesis
from chain.content.kinds import decode_statement
from chain.content.policy import Policy
from chain.content.transactions import Transaction
from chain.documents.people import Document
from chain.documents.words import ANSWERS, REPAIRS, RULINGS, category_name, moment_of, proposal_in_words, time_of

# Spelling one takes 15 µs, and a block of 500 transactions holds two of each, often the same.
did_from_key = lru_cache(maxsize=4_096)(spell)
_SLOT = re.compile(r"\bslot (-?\d+)")


def header_document(genesis: Genesis, header: Header | VerifiedHeader) -> Document:
    """Which block a header is of, who made it when, and what its maker had seen of the votes."""
    return {
        "id": header.id.hex(),
        "height": header.height,
        "slot": header.slot,
        "time": time_of(genesis, header.slot),
        "proposer": did_from_key(header.proposer) if header.height else None,
        "parent": header.parent.hex(),
        "mhg": header.mhg,
        "mhp": header.mhp,
    }


def block_document(
    genesis: Genesis, header: Header | VerifiedHeader, count: int, finalized_height: int, *, main: bool = True
) -> Document:
    """A header and the number of its block's transactions; ``main`` says whether it is on the main chain.

    A block whose body never was here is stored with none, and its root tells that it has some: how many is not known.
    """
    return {
        **header_document(genesis, header),
        "tag": None if header.tag == NO_TAG else header.tag.hex(),
        "votes_root": header.votes_root.hex(),
        "transaction_root": header.transaction_root.hex(),
        "state_root": header.state_root.hex(),
        "transaction_count": count if count or _holds_nothing(header) else None,
        "main": main,
        "final": main and header.height <= finalized_height,
    }


def _holds_nothing(header: Header | VerifiedHeader) -> bool:
    return header.transaction_root == EMPTY_ROOT or not header.height


def transaction_document(policy: Policy, transaction: Transaction) -> Document:
    """A transaction with the fields of its kind, as it was signed: its keys are those of then."""
    action = transaction.action._asdict()
    match transaction.action:
        case Propose(proposal):
            action = {"proposal": proposal_in_words(policy, proposal)}
        case Evidence(first, second):
            statements = decode_statement(first), decode_statement(second)
            action = {"subject": statements[0].speaker, "first": statements[0].id, "second": statements[1].id}
        case actions.Answer(verdict=verdict):
            action["verdict"] = ANSWERS[verdict]
        case Rule(verdict=verdict):
            action["verdict"] = RULINGS[verdict]
        case Repair(step=step):
            action["step"] = REPAIRS[step]
    for name, value in action.items():
        if name in ("subject", "rater", "registrar", "arbiter", "new_key") and value:
            action[name] = did_from_key(value)
        else:
            action[name] = _in_json(value)
    if "category" in action:
        action["category"] = category_name(policy, action["category"])
    return {**envelope_document(transaction), **action}


def _in_json(value: Any) -> Any:
    """Keys, digests and signatures as hex, also within lists; None for what is left empty."""
    match value:
        case bytes():
            return value.hex() or None
        case tuple() | list():
            return [_in_json(each) for each in value]
        case _:
            return value


def envelope_document(transaction: Transaction) -> Document:
    """What every transaction has, whatever it does."""
    return {
        "id": transaction.id.hex(),
        "kind": transaction.kind,
        "actor": did_from_key(transaction.actor),
        "nonce": transaction.nonce,
        "expiry_height": transaction.expiry_height,
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


def describe_refusal(refusal: Refused) -> dict[str, str]:
    """A refusal by its reason, and whether it may be accepted later."""
    reason = refusal.reason
    return {"reason": reason.code, "detail": refusal.detail, "disposition": reason.disposition.value}


def told_refusal(refusal: Refused, genesis: Genesis) -> Document:
    """A refusal as a node tells it: also the rule that was broken, and what would be needed."""
    found = refusal_document(refusal, genesis)
    return {**describe_refusal(refusal), **{name: found[name] for name in ("rule", "needed", "when")}}


# ------------------------------------------------------------------------------------------------ votes


def ballot_document(ballot: Ballot) -> Document:
    """What a block carries for the votes, and what it decides about who votes."""
    following, barred, tags = ballot.decision
    restart = ballot.restart
    return {
        "restart": None
        if restart is None
        else {
            "tip": restart.tip.hex(),
            "height": restart.height,
            "signers": [did_from_key(key) for key, _ in restart.signatures],
        },
        "attestations": [_attestation_document(carried) for carried in ballot.attestations],
        "decision": {
            "following": [_weighed(key, weight) for key, weight in following],
            "barred": [did_from_key(key) for key in barred[0]] if barred else None,
            "tags": [{"validator": did_from_key(key), "tag": tag.hex()} for key, tag in tags],
        },
    }


def _attestation_document(carried: Carried) -> Document:
    return {"height": carried.height, "speaker": did_from_key(carried.speaker), "mhg": carried.mhg}


def _weighed(key: bytes, weight: int) -> Document:
    return {"validator": did_from_key(key), "weight": weight}


def finality_document(votes: Votes, final: Header, limit: int) -> Document:
    """How the newest blocks of the branch with these votes become final, the newest first; ``final`` is already."""
    return {
        "as_of_height": votes.height,
        "final": votes.height <= final.height,
        "finalized_height": final.height,
        "finalized_id": final.id.hex(),
        "head_id": votes.rows[0].id.hex() if votes.rows else final.id.hex(),
        "prevoted_height": votes.mhp,
        "sets": [_set_document(decides) for decides in votes.electorate.sets],
        "rows": [_row_document(row, votes, final.height) for row in votes.rows[:limit]],
    }


def _set_document(decides: ValidatorSet) -> Document:
    weighed = [_weighed(key, weight) for key, weight in decides.weights]
    return {"threshold": decides.threshold, "weight": sum(decides.by_key.values()), "validators": weighed}


def _row_document(row: Row, votes: Votes, finalized_height: int) -> Document:
    thresholds = [decides.threshold for decides in row.electorate.sets]
    said = [{"validator": did_from_key(key), "mhg": mhg} for key, mhg in row.said.items()]
    return {
        "height": row.height,
        "id": row.id.hex(),
        "mhp": row.mhp,
        "thresholds": thresholds,
        "prevotes": list(row.prevotes),
        "precommits": list(row.precommits),
        "prevoted": row.height <= votes.mhp,
        "precommitted": row.height <= votes.mhpc,
        "final": row.height <= finalized_height,
        "speakers": said,
    }
