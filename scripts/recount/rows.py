"""Blocks as the rows that the register reads: kinds by their names, fields as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from chain.blocks import Block
from chain.genesis import Genesis
from chain.headers import decode_header
from chain.policy import Policy, decode_policy
from chain.proposals import (
    ARBITER,
    REGISTRAR,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    Suspend,
    encode_proposal,
)
from chain.transactions import Evidence, Propose, Transaction
from scripts.recount.rules import DUE_A_BLOCK, Recount

_PROPOSALS: dict[type[Proposal], str] = {
    Accredit: "accredit",
    Suspend: "suspend",
    Revoke: "revoke",
    Restore: "restore",
    Amend: "amend",
    AddValidator: "add validator",
    RemoveValidator: "remove validator",
    JailValidator: "jail validator",
    ReleaseValidator: "release validator",
    ReplaceValidator: "replace validator",
}


def recount_from(genesis: Genesis, due_a_block: int = DUE_A_BLOCK) -> Recount:
    """A register of which nothing is known but the genesis."""
    return Recount(policy_row(genesis.policy), genesis.slot_ms, dict(genesis.validators), due_a_block)


def recount_of(genesis: Genesis, blocks: Iterable[Block]) -> Recount:
    """The register after these blocks, from height 1 on, of a chain whose seats are handed over at most."""
    recount = recount_from(genesis)
    for block in blocks:
        write_block(recount, block)
    return recount


def write_block(recount: Recount, block: Block, weights: Mapping[bytes, int] | None = None) -> None:
    """Tell it of the next block; ``weights`` are those of its validators, if they are known."""
    recount.write(block.header.height, block.header.slot, map(row_of, block.transactions), weights)


def row_of(transaction: Transaction) -> dict[str, Any]:
    """A transaction as a row."""
    action = transaction.action
    row = {"kind": transaction.kind, "actor": transaction.actor, "nonce": transaction.nonce, **action._asdict()}
    match action:
        case Propose(proposal):
            row["proposal"] = proposal_row(proposal)
        case Evidence(first, second):
            row["slots"] = decode_header(first).slot, decode_header(second).slot
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
