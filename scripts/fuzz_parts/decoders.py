"""Every decoder that faces the network, with valid bytes to start from and the way back to bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from chain.blocks import Block, assemble, decode_block, encode_block
from chain.genesis import Genesis, found_genesis
from chain.headers import VerifiedHeader, decode_header, sign_header
from chain.keys import SecretKey
from chain.ledger import Ledger
from chain.merkle import merkle_root
from chain.messages import Announcement, GetBlocks, GetTransactions, RawItems, Status
from chain.policy import decode_policy, shipped_policy
from chain.proposals import (
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
    decode_proposal,
    encode_proposal,
)
from chain.state import RULES_KEY
from chain.statetree import Proof, StateTree
from chain.transactions import (
    Action,
    Answer,
    Approve,
    Enrol,
    Evidence,
    FileRecord,
    Object,
    Propose,
    Rate,
    Repair,
    Rotate,
    Rule,
    Statement,
    VerifiedTransaction,
    decode_transaction,
    sign_transaction,
)
from chain.votes import Votes
from p2p.handshake import decode_hello, decode_peers, encode_hello, encode_peers

KEY = SecretKey(bytes(range(32)))
ADDRESS = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


class Decoder(NamedTuple):
    """``again`` turns what ``decode`` read into bytes: the same ones."""

    decode: Callable[[bytes], Any]
    again: Callable[[Any], bytes] | None
    originals: tuple[bytes, ...]


def _block_again(decoded: Any) -> bytes:
    header, transactions = decoded
    return encode_block(Block(VerifiedHeader(header), tuple(map(VerifiedTransaction, transactions))))


def _encoded(decoded: Any) -> bytes:
    encoded: bytes = decoded.encode()
    return encoded


def _raw(decoded: Any) -> bytes:
    raw: bytes = decoded.raw
    return raw


def _proposals() -> tuple[Proposal, ...]:
    key, other = KEY.public, bytes(32)
    amended = Amend(1, 10**6, shipped_policy("marketplace").encode())
    authority = (Accredit(key, 3, (1, 7, 300), 5, 10**6), Suspend(key), Revoke(key), Restore(key))
    seats = (AddValidator(key, 1), RemoveValidator(key), JailValidator(key), ReleaseValidator(key))
    return (*authority, amended, *seats, ReplaceValidator(key, other))


def _actions(header: bytes) -> tuple[Action, ...]:
    key, digest, signature = KEY.public, bytes(range(32)), bytes(64)
    return (
        Enrol(),
        Enrol(key, signature),
        Rate(key, 1, -10),
        FileRecord(key, 7, -20, 2, digest, digest, -50, 1),
        Object(key, 3, digest),
        Answer(key, 3, 1, -5, b""),
        Rule(key, 3, 2, digest),
        Repair(key, 3, 1, digest),
        Statement(key, 3, b""),
        Rotate(key, signature),
        Approve(12),
        Evidence(header, header),
        *map(Propose, _proposals()),
    )


def _hello(data: bytes) -> Any:
    return decode_hello(data, ADDRESS.rpartition("/")[2])


def _genesis() -> Genesis:
    return found_genesis("fuzz", shipped_policy("marketplace"), [KEY.public], genesis_time_ms=0, slot_ms=1_000)


def _table() -> dict[str, Decoder]:
    genesis = _genesis()
    ledger = Ledger(genesis)
    empty = sign_header(
        KEY,
        genesis.id,
        height=1,
        slot=1,
        parent=genesis.id,
        mhg=0,
        mhp=0,
        transaction_root=merkle_root([]),
        state_root=ledger.state_root,
    )
    body = [sign_transaction(KEY, genesis.id, n, 900, action) for n, action in enumerate(_actions(empty.raw))]
    roots = {"transaction_root": merkle_root([item.id for item in body]), "state_root": bytes(32)}
    full = sign_header(KEY, genesis.id, height=2, slot=9, parent=empty.id, mhg=1, mhp=0, **roots)
    ids = tuple(item.id for item in body)
    votes = Votes.genesis(genesis.validators, genesis.batch).apply(empty)
    proof = StateTree.build(ledger.state.items()).prove(RULES_KEY)
    return {
        "transaction": Decoder(decode_transaction, _raw, tuple(item.raw for item in body)),
        "header": Decoder(decode_header, _raw, (empty.raw, full.raw)),
        "block": Decoder(
            decode_block,
            _block_again,
            (encode_block(assemble(full, body)), encode_block(assemble(empty, []))),
        ),
        "announcement": Decoder(
            Announcement.decode,
            _encoded,
            (Announcement(full.raw, ids).encode(), Announcement(b"", ()).encode()),
        ),
        "status": Decoder(Status.decode, _encoded, (Status(full.id, 300, 2**40, 0).encode(),)),
        "get blocks": Decoder(GetBlocks.decode, _encoded, (GetBlocks(full.id, 2**40, 256).encode(),)),
        "get transactions": Decoder(GetTransactions.decode, _encoded, (GetTransactions(ids).encode(),)),
        "items": Decoder(
            partial(RawItems.decode, max_items=20), _encoded, (RawItems((b"", body[0].raw, b"x")).encode(),)
        ),
        "proposal": Decoder(decode_proposal, encode_proposal, tuple(map(encode_proposal, _proposals()))),
        "policy": Decoder(
            decode_policy, _encoded, tuple(shipped_policy(name).encode() for name in ("marketplace", "municipal"))
        ),
        "votes": Decoder(Votes.decode, _encoded, (votes.encode(),)),
        "hello": Decoder(_hello, None, (encode_hello([ADDRESS], bytes(100)), encode_hello([], b""))),
        "peers": Decoder(decode_peers, None, (encode_peers([ADDRESS, ADDRESS]),)),
        "proof": Decoder(Proof.decode, _encoded, (proof.encode(),)),
    }


DECODERS = _table()
