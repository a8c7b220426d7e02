"""Blocks as the rows that the paper reads: kinds by their names, fields as plain values."""

from __future__ import annotations

from typing import Any

from chain.blocks import Block
from chain.genesis import Genesis
from chain.policy import decode_policy
from chain.proposals import ARBITER, REGISTRAR, Accredit, Amend, Proposal, ReplaceValidator, Restore
from chain.transactions import Propose, Transaction
from scripts.municipal.paper import Paper


def blank_paper(genesis: Genesis) -> Paper:
    """A paper on which nothing is written but the genesis."""
    return Paper(genesis.policy.to_document(), [key for key, _ in genesis.validators], genesis.slot_ms)


def write_block(paper: Paper, block: Block) -> None:
    """Write one block's page."""
    paper.write(block.header.height, block.header.slot, map(row_of, block.transactions))


def row_of(transaction: Transaction) -> dict[str, Any]:
    """A transaction as a row."""
    row = {"kind": transaction.kind, "actor": transaction.actor, **transaction.action._asdict()}
    if isinstance(transaction.action, Propose):
        row["proposal"] = proposal_row(transaction.action.proposal)
    return row


def proposal_row(proposal: Proposal) -> dict[str, Any]:
    """What a motion proposes, as part of its row."""
    match proposal:
        case Accredit():
            rights = {"is_registrar": bool(proposal.rights & REGISTRAR), "is_arbiter": bool(proposal.rights & ARBITER)}
            return {"kind": "accredit", **proposal._asdict(), **rights}
        case Restore(authority):
            return {"kind": "restore", "authority": authority}
        case Amend():
            policy = decode_policy(proposal.document).to_document()
            return {"kind": "amend", "effective_slot": proposal.effective_slot, "policy": policy}
        case ReplaceValidator(key, other):
            return {"kind": "replace validator", "key": key, "other": other}
        case _:
            return {"kind": type(proposal).__name__}
