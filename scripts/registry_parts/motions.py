"""What validators propose: one command a kind of motion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chain.base.codec import U32_MAX, U64_MAX
from chain.base.errors import OperatorError, Reason, Refused
from chain.content.actions import STRIKE, UPHOLD, Propose
from chain.content.amendments import amendment_fault, needed_notice_days, worsenings
from chain.content.policy import Attribute, Category
from chain.content.policyfile import load_policy
from chain.content.proposals import (
    ARBITER,
    MAX_WEIGHT,
    REGISTRAR,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    JudgeEnrolment,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    Suspend,
)
from chain.content.transactions import VerifiedTransaction
from chain.documents.words import moment_of, policy_changes
from p2p import client
from scripts.console import remark
from scripts.registry_parts.inputs import DID, find_category, read_slot, read_start
from scripts.registry_parts.session import Session, sends

_key = click.argument("key", metavar="DID", type=DID)


@click.group()
def motion() -> None:
    """Propose a change, as a validator.

    The approvals of more than two thirds of the weight carry it.  Who would become a validator or, for the first time,
    an authority consents as well: `consent NUMBER`.
    """


@motion.command()
@_key
@click.option(
    "--category", "categories", multiple=True, help="Name or code of what it may file or attest; once for each."
)
@click.option("--all-categories", is_flag=True, help="Every category of records in force; no attribute.")
@click.option("--registrar", is_flag=True, help="It may co-sign enrolments.")
@click.option("--arbiter", is_flag=True, help="It may rule on records that are maintained.")
@click.option("--from", "from_when", metavar="DATE|SLOT", default="now", help="[default: now]")
@click.option("--until", "until_when", metavar="DATE|SLOT", help="[default: no end]")
@sends
def accredit(
    session: Session,
    key: bytes,
    categories: tuple[str, ...],
    all_categories: bool,
    registrar: bool,
    arbiter: bool,
    from_when: str,
    until_when: str | None,
) -> VerifiedTransaction:
    """Make DID an authority, or give it other terms.

    Its terms are the categories that it may file in, its rights, and from when until when.  Whoever never held an
    office agrees with `consent NUMBER`: the motion is not carried without.
    """
    policy = session.policy
    known: dict[int, Category | Attribute] = {**policy.categories, **policy.attributes}
    codes = set(policy.categories) if all_categories else {find_category(known, text).code for text in categories}
    rights = REGISTRAR * registrar | ARBITER * arbiter
    genesis, now_slot = session.genesis, session.account["slot"]
    from_slot = max(0, read_slot(genesis, from_when, now_slot, "--from"))
    until_slot = U64_MAX if until_when is None else max(0, read_slot(genesis, until_when, now_slot, "--until"))
    return session.sign(Propose(Accredit(key, rights, tuple(sorted(codes)), from_slot, until_slot)))


@motion.command()
@_key
@click.argument("number", type=click.IntRange(0, U32_MAX))
@click.option("--verdict", type=click.Choice(("strike", "uphold")), required=True)
@sends
def judge(session: Session, key: bytes, number: int, verdict: str) -> VerifiedTransaction:
    """Decide an appeal, where there are too few arbiters.  It is that against record NUMBER about DID, which three
    arbiters decide otherwise.
    """
    return session.sign(Propose(Judge(key, number, STRIKE if verdict == "strike" else UPHOLD)))


@motion.command("judge-enrolment")
@_key
@click.option("--verdict", type=click.Choice(("strike", "uphold")), required=True)
@sends
def judge_enrolment(session: Session, key: bytes, verdict: str) -> VerifiedTransaction:
    """Decide an appeal against an annulment, as validators.

    It is the one about DID's enrolment, where there are too few arbiters for three.

    To uphold is to say that the enrolment is void.
    """
    return session.sign(Propose(JudgeEnrolment(key, STRIKE if verdict == "strike" else UPHOLD)))


@motion.command()
@_key
@sends
def suspend(session: Session, key: bytes) -> VerifiedTransaction:
    """Stop the authority DID from filing.

    It still answers for what it filed.
    """
    return session.sign(Propose(Suspend(key)))


@motion.command()
@_key
@sends
def revoke(session: Session, key: bytes) -> VerifiedTransaction:
    """End the authority of DID."""
    return session.sign(Propose(Revoke(key)))


@motion.command()
@_key
@sends
def restore(session: Session, key: bytes) -> VerifiedTransaction:
    """Let the suspended authority DID file again."""
    return session.sign(Propose(Restore(key)))


@motion.command()
@click.option(
    "--policy",
    "file",
    metavar="FILE.toml",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The whole new policy, its version one higher.",
)
@click.option(
    "--effective",
    metavar="30d|DATE|SLOT",
    help="When it binds: days from now, a date (UTC) or a slot.  [default: notice and motion periods from now]",
)
@sends
def amend(session: Session, file: Path, effective: str | None) -> VerifiedTransaction:
    """Replace the policy by FILE.toml.

    `inspect_chain.py policy --dry-run FILE.toml` shows beforehand what that does to scores and tiers.
    """
    genesis, old, now_slot = session.genesis, session.policy, session.account["slot"]
    new = load_policy(file)
    fault = amendment_fault(old, new)
    if fault:
        raise Refused(Reason.WORSENS_THE_PAST, fault)
    notice_days = needed_notice_days(old, new)
    slot = read_start(genesis, old, effective, now_slot, notice_days)
    spare_slots = slot - now_slot - old.slots(notice_days, genesis.slot_ms)
    for where, before, after in policy_changes(old, new):
        remark(f"  {where}: {_rule(before)} → {_rule(after)}")
    for what in worsenings(old, new):
        remark(f"  worsens for the future, which takes {notice_days} days of notice: {what}")
    carried_by = moment_of(genesis, now_slot + spare_slots)
    remark(f"policy {new.version} would bind from {moment_of(genesis, slot)}, if it is carried by {carried_by}")
    return session.sign(Propose(Amend(old.version, slot, new.encode())))


def settled(session: Session, number: int) -> int:
    """The number of a motion, which no other will have.

    A word names a motion by its number alone, and until its block is final another may stand there.  Raises
    :class:`OperatorError`.
    """
    final_height = session.node.ask(client.STATUS)["finalized_height"]
    motions = session.node.ask(client.MOTIONS)["motions"]
    if any(row["number"] == number and row["height"] > final_height for row in motions):
        raise OperatorError(
            f"the block that holds motion {number} is not final, and until then another motion can take its place; "
            "try again once it is"
        )
    return number


def _rule(value: Any) -> str:
    return "none" if value is None else str(value)


@motion.command()
@_key
@click.option("--weight", type=click.IntRange(1, MAX_WEIGHT), default=1, show_default=True)
@sends
def add_validator(session: Session, key: bytes, weight: int) -> VerifiedTransaction:
    """Add the validator DID.

    Its holder agrees with `consent NUMBER`, and starts its node: the change waits for both.
    """
    return session.sign(Propose(AddValidator(key, weight)))


@motion.command()
@_key
@sends
def remove_validator(session: Session, key: bytes) -> VerifiedTransaction:
    """Remove the validator DID."""
    return session.sign(Propose(RemoveValidator(key)))


@motion.command()
@_key
@click.argument("other", metavar="NEW_DID", type=DID)
@sends
def replace_validator(session: Session, key: bytes, other: bytes) -> VerifiedTransaction:
    """Hand the seat of DID to NEW_DID.

    The holder of NEW_DID agrees with `consent NUMBER`, and starts its node: the change waits for both.
    """
    return session.sign(Propose(ReplaceValidator(key, other)))


@motion.command()
@_key
@click.option("--weight", type=click.IntRange(1, MAX_WEIGHT), required=True)
@sends
def reweigh(session: Session, key: bytes, weight: int) -> VerifiedTransaction:
    """Give the validator DID another weight."""
    return session.sign(Propose(ReweighValidator(key, weight)))


@motion.command()
@_key
@sends
def jail(session: Session, key: bytes) -> VerifiedTransaction:
    """Jail the validator DID.

    It makes no blocks and approves nothing from the next block on; its weight leaves a little later, its seat stays.
    """
    return session.sign(Propose(JailValidator(key)))


@motion.command()
@_key
@sends
def release(session: Session, key: bytes) -> VerifiedTransaction:
    """Free the jailed validator DID."""
    return session.sign(Propose(ReleaseValidator(key)))
