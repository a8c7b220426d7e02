"""Attributes of members: attested by an authority until a date, and taken back."""

from __future__ import annotations

import click

from chain.content.actions import Attest
from chain.content.transactions import VerifiedTransaction
from scripts.registry_parts.inputs import DID, document, find_category, read_slot
from scripts.registry_parts.session import Session, sends

_member = click.argument("member", metavar="DID", type=DID)
_name = click.argument("name", metavar="ATTRIBUTE")


@click.group()
def attribute() -> None:
    """Attest something of a member, or take it back.  It holds until a date: a licence, say."""


@attribute.command()
@_member
@_name
@document("evidence", "what it is attested on")
@click.option("--until", "until_when", metavar="DATE", required=True, help="The date (UTC) on which it ends.")
@sends
def attest(session: Session, member: bytes, name: str, evidence: bytes, until_when: str) -> VerifiedTransaction:
    """Attest ATTRIBUTE of DID, as an authority accredited for it.

    What you attested before is replaced.  The register takes the salted digest alone: give the member the document with
    its salt, and whoever asks can check it.
    """
    code = find_category(session.policy.attributes, name).code
    until_slot = read_slot(session.genesis, until_when, session.account["slot"], "--until")
    return session.sign(Attest(member, code, evidence, until_slot))


@attribute.command()
@_member
@_name
@sends
def withdraw(session: Session, member: bytes, name: str) -> VerifiedTransaction:
    """Take ATTRIBUTE of DID back.  Who attested it may do so, and the member itself."""
    return session.sign(Attest(member, find_category(session.policy.attributes, name).code, b"", 0))
