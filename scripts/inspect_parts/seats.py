"""Commands about those who make blocks: who sits, what changes, and what a block holds for the votes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chain.attestations import Carried
from chain.ballots import Ballot
from chain.electorate import GATE_BLOCKS, Gate, Phase
from chain.headers import VerifiedHeader
from chain.keys import did_from_key
from chain.statements import NO_TAG
from chain.validators import Seat
from chain.votes import Votes
from chain.words import change_in_words
from scripts.chain_view import Finding, Sheet, View, as_of
from scripts.console import short_did
from scripts.inspect_parts.question import ALL, question


@question
def validators(view: View) -> Finding:
    """Who makes blocks, who is jailed, whose votes count lately, and how far a change of them has come."""
    made: Counter[bytes] = Counter()
    newest: dict[bytes, VerifiedHeader] = {}
    for header, _ in view.reader.headers(0, ALL):
        made[header.proposer] += 1
        newest[header.proposer] = header
    votes, known = view.votes, view.state.validators
    voting = {speaker for row in votes.rows for speaker, mhg in row.said.items() if mhg < row.height}
    following = dict(known.following)
    found = [
        {
            "validator": did_from_key(seat.key),
            "weight": seat.weight,
            "status": _status(seat, following, votes),
            "blocks": made[seat.key],
            "share": round(made[seat.key] / max(1, view.head_height), 4),
            "last_height": newest[seat.key].height if seat.key in newest else None,
            "last_slot": newest[seat.key].slot if seat.key in newest else None,
            "votes": seat.key in voting,
            "tag": _tag(votes.electorate.tag(seat.key).tag),
        }
        for seat in known.active
    ]
    document = {
        **view.at_head,
        "state_height": view.at_state["as_of_height"],
        "validators": found,
        "under_way": [change_in_words(change) for change in known.change],
        "decided_height": known.decided_height or None,
        "phase": _phase_document(votes),
        "waiting": [change_in_words(change) for change in known.queue],
        "barred": [did_from_key(key) for key in votes.electorate.barred],
    }
    return Finding(document, _sheets(document))


def _status(seat: Seat, following: dict[bytes, int], votes: Votes) -> str:
    """What a validator is now, and what the change under way makes of it."""
    status = "jailed" if seat.is_jailed or seat.key in votes.electorate.barred else "active"
    if following and seat.key not in following:
        return f"{status}, leaves"
    if following and seat.is_jailed and following[seat.key]:
        return f"{status}, released next"
    return status


def _tag(tag: bytes) -> str | None:
    return None if tag == NO_TAG else tag.hex()


def _phase_document(votes: Votes) -> dict[str, Any] | None:
    """How far a change is at the head, and what each validator of the next set weighs and has said."""
    phase, now = votes.electorate.phase, votes.electorate.current.by_key
    if phase is None:
        return None
    return {
        "name": _phase_name(phase),
        "since": phase.since,
        "lapses_at": phase.since + GATE_BLOCKS + 1 if isinstance(phase, Gate) else None,
        "following": [
            {
                "validator": did_from_key(key),
                "weight": now.get(key, 0),
                "next_weight": weight,
                "spoke": key in votes.spoke if isinstance(phase, Gate) else None,
            }
            for key, weight in phase.following.weights
        ],
        "leaves": [did_from_key(key) for key in now if key not in phase.following.by_key],
    }


def _phase_name(phase: Phase) -> str:
    return "waited for" if isinstance(phase, Gate) else "both sets decide"


def _sheets(document: dict[str, Any]) -> list[Sheet]:
    found = document["validators"]
    columns = ["validator", "weight", "status", "blocks", "share", "last_height", "votes"]
    if any(row["tag"] for row in found):
        columns.append("tag")
    rows = [tuple(f"{row[name]:.1%}" if name == "share" else row[name] for name in columns) for row in found]
    sheets = [Sheet(f"Validators, {as_of(document)}", tuple(columns), rows)]
    if document["under_way"]:
        title = f"Under way, decided at height {document['decided_height']}"
        sheets.append(Sheet(title, ("change",), [(text,) for text in document["under_way"]]))
    if document["phase"]:
        sheets.append(_phase_sheet(document["phase"]))
    if document["waiting"]:
        changes = [(text,) for text in document["waiting"]]
        sheets.append(Sheet("Changes that wait for their turn", ("change",), changes))
    return sheets


def _phase_sheet(phase: dict[str, Any]) -> Sheet:
    columns: tuple[str, ...] = ("validator", "weight", "next_weight")
    if phase["lapses_at"] is None:
        title = f"Next validators: both sets decide since height {phase['since']}, until that is final"
    else:
        title = f"Next validators: waited for since height {phase['since']}, until height {phase['lapses_at'] - 1}"
        columns = (*columns, "spoke")
    leaving = [(did, None, 0, None)[: len(columns)] for did in phase["leaves"]]
    return Sheet(title, columns, [*(tuple(row[name] for name in columns) for row in phase["following"]), *leaving])


# ------------------------------------------------------------------------------------------------ what a block holds


def ballot_document(ballot: Ballot) -> dict[str, Any]:
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
            "following": [{"validator": did_from_key(key), "weight": weight} for key, weight in following],
            "barred": [did_from_key(key) for key in barred[0]] if barred else None,
            "tags": [{"validator": did_from_key(key), "tag": tag.hex()} for key, tag in tags],
        },
    }


def _attestation_document(carried: Carried) -> dict[str, Any]:
    return {"height": carried.height, "speaker": did_from_key(carried.speaker), "mhg": carried.mhg}


def ballot_sheets(document: dict[str, Any]) -> list[Sheet]:
    """A ballot's document for people, as far as it holds anything."""
    rows = [(row["height"], short_did(row["speaker"]), row["mhg"]) for row in document["attestations"]]
    sheets = [Sheet("Attestations that it carries", ("height", "speaker", "mhg"), rows)] if rows else []
    if document["restart"]:
        title = f"People restarted the chain after height {document['restart']['height']}"
        sheets.append(Sheet(title, ("signed by",), [(did,) for did in document["restart"]["signers"]]))
    decision = document["decision"]
    decided = [("next validator", row["validator"], row["weight"]) for row in decision["following"]]
    decided += [("makes no blocks", did, None) for did in decision["barred"] or ()]
    decided += [("all may make blocks", None, None)] if decision["barred"] == [] else []
    decided += [("speaks with a new tag", row["validator"], row["tag"]) for row in decision["tags"]]
    return [*sheets, Sheet("What it decides", ("what", "validator", "how"), decided)] if decided else sheets
