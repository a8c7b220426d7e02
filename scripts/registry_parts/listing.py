"""What a node tells of records, motions and one transaction, as lists for people."""

from __future__ import annotations

from p2p.local.commandline import as_json

from pathlib import Path
from typing import Any

import click

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.content.genesis import Genesis
from chain.documents.words import moment_of
from p2p import client
from p2p.client import Client
from p2p.following import Until
from p2p.local.endpoints import OBJECTIONS
from scripts.console import print_json, table
from scripts.registry_parts.inputs import DID
from scripts.registry_parts.session import Session, connected, endings, follow, report, waits

_ID_DIGITS = 64


@click.command()
@click.argument("member", metavar="DID", type=DID)
@connected
@as_json
def records(node: Client, genesis: Genesis, home: Path | None, member: bytes, as_json: bool) -> None:
    """List the records about DID, and who has to act on them."""
    found = node.ask(client.records(member))
    if as_json:
        print_json(found)
        return
    columns = ("number", "category", "points", "status", "deadline", "repair_from", "expires", "issuer", "fading")
    slots = ("deadline_slot", "repair_slot", "expires_slot")
    rows, waiting = [], []
    for row in found["records"]:
        times = [moment_of(genesis, row[slot]) if row[slot] else None for slot in slots]
        rows.append(
            (row["number"], row["category"], row["points"], row["status"], *times, row["issuer"], row["fading"])
        )
        if row["waits_for"]:
            waiting += who_acts(row, times[0])
    table(f"Records: {len(rows)}", columns, rows)
    if waiting:
        click.echo()
        table("Who has to act", ("number", "waits_for", "until", "arbiter"), waiting)


def who_acts(record: dict[str, Any], until: str | None) -> list[tuple[object, ...]]:
    """Whom a record waits for, and a line for each arbiter: whoever has a name here is called by it."""
    first, *others = record["arbiters"] or [None]
    number = record["number"]
    return [(number, record["waits_for"], until, first), *((number, "", "", each) for each in others)]


def matters_to_rule(session: Session) -> list[dict[str, Any]]:
    """The records and annulments on which the lot says that a key rules, the nearest deadline first."""
    did = did_from_key(session.secret.public)
    found = session.node.ask(client.document(OBJECTIONS.url()))
    rows = [*found["objections"], *map(_as_record, found["annulments"])]
    mine = sorted((row for row in rows if did in row["arbiters"]), key=lambda row: int(row["deadline_slot"]))
    return [_matter(session, row, "member") for row in mine]


def open_matters(session: Session) -> list[dict[str, Any]]:
    """What is about a key's owner, and somebody has to act on, the nearest deadline first."""
    did = did_from_key(session.secret.public)
    records = session.node.ask(client.records(session.secret.public))["records"]
    doubts = session.node.ask(client.document(OBJECTIONS.url()))["annulments"]
    rows = [*records, *(_as_record(row) for row in doubts if row["member"] == did)]
    mine = sorted((row for row in rows if row["deadline_slot"]), key=lambda row: int(row["deadline_slot"]))
    return [_matter(session, row, "waits_for", "deadline_slot") for row in mine]


def _as_record(annulment: dict[str, Any]) -> dict[str, Any]:
    """An annulment in the columns of a record."""
    return {**annulment, "number": None, "category": "annulment", "points": None, "issuer": annulment["registrar"]}


def _matter(session: Session, row: dict[str, Any], *more: str) -> dict[str, Any]:
    names = (*more, "number", "category", "points", "status", "issuer")
    return {**{name: row[name] for name in names}, "until": moment_of(session.genesis, row["deadline_slot"])}


def consents_to_give(session: Session) -> list[str]:
    """The commands by which a key would agree to what open motions want of it."""
    did = did_from_key(session.secret.public)
    found = session.node.ask(client.MOTIONS)["motions"]
    return [f"consent {row['number']}: {row['proposes']}" for row in found if row.get("awaits_consent") == did]


@click.command()
@connected
@as_json
def motions(node: Client, genesis: Genesis, home: Path | None, as_json: bool) -> None:
    """List the newest motions of the validators."""
    found = node.ask(client.MOTIONS)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            row["number"],
            row["kind"],
            "open, awaits consent" if row.get("awaits_consent") else row["status"],
            len(row["approvals"]),
            moment_of(genesis, row["expires_slot"]) if row["status"] == "open" else None,
            " ".join(row["about"]) or None,
        )
        for row in found["motions"]
    ]
    table(f"Motions: {len(rows)}", ("number", "kind", "status", "approvals", "lapses", "about"), rows)


@click.command()
@click.argument("digits", metavar="ID")
@waits
@connected
def transaction(
    node: Client, genesis: Genesis, home: Path | None, digits: str, until: Until, timeout_s: float, as_json: bool
) -> None:
    """Follow a transaction by its ID.

    It waits as the other commands do, and ends with 1 where the node knows nothing of it.
    """
    digits = digits.lower()
    if len(digits) != _ID_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise OperatorError(f"{digits!r} is not a transaction's id; give all {_ID_DIGITS} hexadecimal digits")
    with endings(genesis, as_json=as_json):
        found = follow(node, genesis.slot_ms, {"id": digits}, None, until, timeout_s, as_json=as_json)
        report({"id": digits}, found, as_json=as_json)
