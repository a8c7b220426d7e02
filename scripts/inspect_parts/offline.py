"""Commands that make a proof and check one, the latter without a home."""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG

from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.content.genesis import Genesis, load_genesis
from chain.disk.inspection import View
from chain.disk.sources import StoredState
from chain.documents.proof import MAX_FILE_BYTES, Proven, check_evidence
from chain.documents.prover import prove
from chain.documents.words import category_name, time_of
from chain.register.entries import STATUS_NAMES, Record
from scripts.chain_view import Finding, facts, sheet
from scripts.inspect_parts.question import inspect_chain, look, show

TRUST = {
    "trusted": "the genesis file; that of each set of validators in the proof less than a third of the weight ever "
    "signed against the rules, also with keys long left; Ed25519 and SHA-256",
    "not_shown": "that nothing has changed since this height; that each transaction was valid, beyond the signatures "
    "of validators who checked it",
}


@look
@click.argument("did")
@click.option("-o", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), required=True)
def proof(view: View, did: str, file: Path) -> Finding:
    """Write a file that proves offline where a member stands.  It may also prove that a key is no member's; whoever
    has the genesis file checks it with `verify-proof`.
    """
    data = _made(view, view.key(did))
    try:
        file.write_bytes(data)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
    document = {**view.at_state, "file": str(file), "bytes": len(data)}
    document |= proven_document(view.genesis, check_evidence(view.genesis, data))
    return proven_finding(f"{file} proves", document)


def _made(view: View, key: bytes) -> bytes:
    header = view.reader.snapshot_header()
    if header is None:
        raise OperatorError("nothing but the genesis is final yet; prove it once the node has made or synced blocks")
    try:
        return prove(view.genesis, StoredState(view.reader, header), key)
    except Refused as refusal:
        if refusal.reason is not Reason.CROSSES_FINALITY:
            raise
        raise OperatorError(
            f"the stored headers alone do not prove height {header.height:,} final; try again once the node has more "
            "blocks"
        ) from refusal


@inspect_chain.command("verify-proof")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--genesis", "genesis_file", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def verify_file(file: Path, genesis_file: Path, as_json: bool) -> None:
    """Check a file that `proof` wrote.  Nothing but the genesis file is needed; it exits with 1 where nothing is
    proven.
    """
    genesis = load_genesis(genesis_file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise OperatorError(f"{file} cannot be read: {error.strerror}") from error
    try:
        document = {"ok": True, **proven_document(genesis, check_evidence(genesis, data)), **TRUST}
    except Refused as refusal:
        document = {"ok": False, "problem": str(refusal)}
        show(Finding(document, [facts(f"{file} proves nothing", document)], EXIT_WRONG), as_json=as_json)
    else:
        show(proven_finding(f"{file} proves", document), as_json=as_json)


def proven_finding(title: str, document: dict[str, Any]) -> Finding:
    """What a proof says, for people."""
    shown = {name: value for name, value in document.items() if name != "objections"}
    sheets = [facts(title, shown)]
    if document["objections"]:
        columns = ("number", "category", "points", "status", "issuer", "deadline_slot")
        sheets.append(sheet("Open objections", columns, document["objections"]))
    return Finding(document, sheets)


def proven_document(genesis: Genesis, proven: Proven) -> dict[str, Any]:
    """What is proven, and as of which block."""
    document: dict[str, Any] = {"key": did_from_key(proven.key), "enrolled": proven.member is not None}
    if proven.member is not None and proven.standing is not None:
        document |= {
            "member": did_from_key(proven.member.key),
            "score": proven.standing.score,
            "tier": proven.standing.tier,
        }
    return {
        **document,
        "network": genesis.name,
        "height": proven.header.height,
        "block": proven.header.id.hex(),
        "time": time_of(genesis, proven.header.slot),
        "policy": proven.policy.version,
        "objections": [_objection(proven, number, record) for number, record in proven.objections],
    }


def _objection(proven: Proven, number: int, record: Record) -> dict[str, Any]:
    return {
        "number": number,
        "category": category_name(proven.policy, record.category),
        "points": record.points,
        "status": STATUS_NAMES[record.status],
        "issuer": did_from_key(record.issuer),
        "deadline_slot": record.deadline_slot,
    }
