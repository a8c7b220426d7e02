"""Commands about those who make blocks: who sits, what changes, and what a block holds for the votes."""

from __future__ import annotations

from typing import Any

from p2p.local.endpoints import VALIDATORS
from scripts.chain_view import Finding, Sheet, as_of
from scripts.console import short_did
from scripts.inspect_parts.question import question


@question(VALIDATORS)
def validators(document: dict[str, Any]) -> Finding:
    """Who makes blocks, who is jailed, and whose votes count.  It also says how far a change of validators has
    come.
    """
    return Finding(document, _sheets(document))


def _sheets(document: dict[str, Any]) -> list[Sheet]:
    found = document["validators"]
    columns = ["validator", "weight", "status", "blocks", "share_permille", "last_height", "votes"]
    if any(row["tag"] for row in found):
        columns.append("tag")
    rows = [tuple(row[name] for name in columns) for row in found]
    shown = tuple("share ‰" if name == "share_permille" else name for name in columns)
    sheets = [Sheet(f"Validators, {as_of(document)}", shown, rows)]
    if document["under_way"]:
        title = f"Under way, decided at height {document['decided_height']:,}"
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
        title = f"Next validators: both sets decide since height {phase['since']:,}, until that is final"
    else:
        title = f"Next validators: waited for since height {phase['since']:,}, until height {phase['lapses_at'] - 1:,}"
        columns = (*columns, "spoke")
    leaving = [(did, None, 0, None)[: len(columns)] for did in phase["leaves"]]
    return Sheet(title, columns, [*(tuple(row[name] for name in columns) for row in phase["following"]), *leaving])


# ------------------------------------------------------------------------------------------------ what a block holds


def ballot_sheets(document: dict[str, Any]) -> list[Sheet]:
    """A ballot's document for people, as far as it holds anything."""
    rows = [(row["height"], short_did(row["speaker"]), row["mhg"]) for row in document["attestations"]]
    sheets = [Sheet("Attestations that it carries", ("height", "speaker", "mhg"), rows)] if rows else []
    if document["restart"]:
        title = f"People restarted the chain after height {document['restart']['height']:,}"
        sheets.append(Sheet(title, ("signed by",), [(did,) for did in document["restart"]["signers"]]))
    decision = document["decision"]
    decided = [("next validator", row["validator"], row["weight"]) for row in decision["following"]]
    decided += [("makes no blocks", did, None) for did in decision["barred"] or ()]
    decided += [("all may make blocks", None, None)] if decision["barred"] == [] else []
    decided += [("speaks with a new tag", row["validator"], row["tag"]) for row in decision["tags"]]
    return [*sheets, Sheet("What it decides", ("what", "validator", "how"), decided)] if decided else sheets
