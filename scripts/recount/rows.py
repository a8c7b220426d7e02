"""Blocks as the rows that the register reads: kinds by their names, fields as plain values."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from chain.consensus.electorate import Electorate
from chain.content.actions import Evidence, Propose, Recover
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.identities import commitment_of
from chain.content.kinds import decode_statement
from chain.content.policy import Policy
from chain.content.policyfile import decode_policy
from chain.content.proposals import (
    ARBITER,
    REGISTRAR,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    JudgeEnrolment,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    Suspend,
    encode_proposal,
)
from chain.content.transactions import Transaction
from scripts.recount.council import Turnout
from scripts.recount.rules import DUE_A_BLOCK, Recount

_PROPOSALS: dict[type[Proposal], str] = {
    Accredit: "accredit",
    Suspend: "suspend",
    Revoke: "revoke",
    Restore: "restore",
    Judge: "judge",
    JudgeEnrolment: "judge enrolment",
    Amend: "amend",
    AddValidator: "add validator",
    RemoveValidator: "remove validator",
    JailValidator: "jail validator",
    ReleaseValidator: "release validator",
    ReplaceValidator: "replace validator",
    ReweighValidator: "reweigh validator",
}


def recount_from(genesis: Genesis, due_a_block: int = DUE_A_BLOCK) -> Recount:
    """A register of which nothing is known but the genesis."""
    validators = dict(genesis.validators)
    idle = genesis.heartbeat_slots + 2 * genesis.batch
    sizes = genesis.batch, idle, genesis.max_expiry_blocks
    return Recount(policy_row(genesis.policy), genesis.slot_ms, validators, *sizes, due_a_block)


def write_block(recount: Recount, block: Block, electorate: Electorate) -> None:
    """Tell it of the next block, and who votes at its height."""
    rows = map(row_of, block.transactions)
    recount.write(block.header.height, block.header.slot, rows, turnout_of(electorate), block.header.parent)


def turnout_of(electorate: Electorate) -> Turnout:
    """What the recount cannot find out by itself of those who vote at some height."""
    tags = tuple((tag.key, tag.tag) for tag in electorate.tags)
    return Turnout(electorate.start, electorate.phase is not None, tags)


def row_of(transaction: Transaction) -> dict[str, Any]:
    """A transaction as a row."""
    action = transaction.action
    row = {"kind": transaction.kind, "actor": transaction.actor, "nonce": transaction.nonce, **action._asdict()}
    match action:
        case Recover(threshold=threshold, guardians=guardians, salt=salt):
            row["commitment"] = commitment_of(threshold, guardians, salt)
        case Propose(proposal):
            row["proposal"] = proposal_row(proposal)
        case Evidence(first, second):
            statements = decode_statement(first), decode_statement(second)
            row |= {"signer": statements[0].speaker, "heights": [each.height for each in statements]}
    return row


def proposal_row(proposal: Proposal) -> dict[str, Any]:
    """What a motion proposes, as part of its row; ``encoded`` is how the state keeps it."""
    row = {"kind": _PROPOSALS[type(proposal)], "encoded": encode_proposal(proposal), **proposal._asdict()}
    match proposal:
        case Accredit(rights=rights):
            row |= {"is_registrar": bool(rights & REGISTRAR), "is_arbiter": bool(rights & ARBITER)}
        case Amend(document=document):
            row |= policy_row(_policy(document))
    return row


def policy_row(policy: Policy) -> dict[str, Any]:
    """A policy: the table of its file, and what the state keeps of it."""
    return {"policy": policy.to_document(), "document": policy.encode(), "digest": policy.digest()}


_policy = lru_cache(maxsize=16)(decode_policy)
