"""What authorities do about records, and the repair that members ask for."""

from __future__ import annotations

from typing import Any

import click

from chain.content.actions import (
    APPROVE,
    ASK,
    CORRECT,
    DECLINE,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    WITHDRAW,
    Answer,
    Repair,
    Rule,
)
from chain.content.transactions import VerifiedTransaction
from scripts.registry_parts.contents import read_contents, says_what
from scripts.registry_parts.inputs import DID, document
from scripts.registry_parts.session import Session, sends

_member = click.argument("member", metavar="DID", type=DID)
_number = click.argument("number", type=click.IntRange(0, 2**32 - 1))


@click.command()
@says_what("the evidence", "the written reason of a discretionary record", needs_reason=False)
@sends
def record(session: Session, **what: Any) -> VerifiedTransaction:
    """Record about the member DID, as an authority."""
    return session.sign(read_contents(session, **what))


@click.group()
def answer() -> None:
    """Answer for a record, as its issuer."""


@answer.command()
@_member
@_number
@click.option("--points", type=int, required=True, help="More than now.")
@document("reason", "the reason", needed=False)
@sends
def correct(session: Session, member: bytes, number: int, points: int, reason: bytes) -> VerifiedTransaction:
    """Correct record NUMBER about DID for the better."""
    return session.sign(Answer(member, number, CORRECT, points, reason))


@answer.command()
@_member
@_number
@document("reason", "the reason", needed=False)
@sends
def withdraw(session: Session, member: bytes, number: int, reason: bytes) -> VerifiedTransaction:
    """Withdraw record NUMBER about DID: it is gone."""
    return session.sign(Answer(member, number, WITHDRAW, 0, reason))


@answer.command()
@_member
@_number
@document("reason", "the written reason")
@sends
def maintain(session: Session, member: bytes, number: int, reason: bytes) -> VerifiedTransaction:
    """Maintain record NUMBER about DID against its objection.

    Both sides are heard; then an arbiter rules who is drawn by lot.
    """
    return session.sign(Answer(member, number, MAINTAIN, 0, reason))


@click.group()
def rule() -> None:
    """Rule on a record, as an arbiter on whom the lot fell.  Its issuer has maintained it.

    Once the issuer maintains a record, both sides are heard; when the hearing ends, a lot is drawn.  `records DID`
    names who rules then and until when, and `status` of an arbiter lists what waits for it.  On an appeal three are
    drawn, and two of one mind decide.
    """


@rule.command()
@_member
@_number
@document("reason", "the reason of the ruling")
@sends
def strike(session: Session, member: bytes, number: int, reason: bytes) -> VerifiedTransaction:
    """Strike record NUMBER about DID, or repair it: it is gone."""
    return session.sign(Rule(member, number, STRIKE, reason))


@rule.command()
@_member
@_number
@document("reason", "the reason of the ruling")
@sends
def uphold(session: Session, member: bytes, number: int, reason: bytes) -> VerifiedTransaction:
    """Uphold record NUMBER about DID: it stands, or is not repaired.  The member can appeal once."""
    return session.sign(Rule(member, number, UPHOLD, reason))


@click.group()
def repair() -> None:
    """Repair: the member asks, the issuer decides."""


@repair.command("ask")
@_number
@document("proof", "the proof that the duty is fulfilled")
@sends
def repair_ask(session: Session, number: int, proof: bytes) -> VerifiedTransaction:
    """Ask for the repair of a record about yourself.

    The issuer of record NUMBER approves or declines; no answer in time approves.
    """
    return session.sign(Repair(session.secret.public, number, ASK, proof))


@repair.command("approve")
@_member
@_number
@document("reason", "the decision")
@sends
def repair_approve(session: Session, member: bytes, number: int, reason: bytes) -> VerifiedTransaction:
    """Lift record NUMBER about DID, as its issuer."""
    return session.sign(Repair(member, number, APPROVE, reason))


@repair.command("decline")
@_member
@_number
@document("reason", "the written reason")
@sends
def repair_decline(session: Session, member: bytes, number: int, reason: bytes) -> VerifiedTransaction:
    """Let record NUMBER about DID stand, as its issuer, once.

    If the member asks again, an arbiter decides.
    """
    return session.sign(Repair(member, number, DECLINE, reason))
