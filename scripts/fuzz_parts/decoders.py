"""Every decoder that faces the network, with valid bytes to start from and the way back to bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from chain.base.keys import SecretKey
from chain.base.merkle import merkle_root
from chain.branches.ledger import Ledger
from chain.consensus.attestations import decode_attestation, sign_attestation
from chain.consensus.ballots import EMPTY, decode_ballot, make_ballot
from chain.consensus.electorate import NOTHING_DECIDED, Decision
from chain.consensus.headers import VerifiedHeader, decode_header, sign_header
from chain.consensus.restart import Restart
from chain.consensus.statements import NO_TAG
from chain.consensus.votecodec import decode_votes, encode_votes
from chain.consensus.votes import Votes
from chain.content.actions import (
    Action,
    Answer,
    Approve,
    Consent,
    Enrol,
    Evidence,
    FileRecord,
    Lost,
    Object,
    Propose,
    Rate,
    Repair,
    Rotate,
    Rule,
    Statement,
)
from chain.content.blocks import Block, assemble, decode_block, encode_block
from chain.content.genesis import Genesis, found_genesis
from chain.content.policyfile import decode_policy, shipped_policy
from chain.content.proposals import (
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
    ReweighValidator,
    Suspend,
    decode_proposal,
    encode_proposal,
)
from chain.content.transactions import VerifiedTransaction, decode_transaction, sign_transaction
from chain.protocol.messages import Announcement, GetBlocks, GetTransactions, RawItems, Status
from chain.register.statekeys import RULES_KEY
from chain.tree.stateproof import Proof
from chain.tree.statetree import StateTree
from p2p.handshake import decode_hello, decode_peers, encode_hello, encode_peers

KEY = SecretKey(bytes(range(32)))
ADDRESS = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


class Decoder(NamedTuple):
    """``again`` turns what ``decode`` read into bytes: the same ones."""

    decode: Callable[[bytes], Any]
    again: Callable[[Any], bytes] | None
    originals: tuple[bytes, ...]


def _block_again(decoded: Any) -> bytes:
    header, ballot, transactions = decoded
    return encode_block(Block(VerifiedHeader(header), ballot, tuple(map(VerifiedTransaction, transactions))))


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
    return (*authority, amended, *seats, ReplaceValidator(key, other), ReweighValidator(key, 7))


def _actions(header: bytes, attestation: bytes) -> tuple[Action, ...]:
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
        Evidence(attestation, header),
        Consent(12),
        Lost(NO_TAG, bytes(range(16))),
        *map(Propose, _proposals()),
    )


def _hello(data: bytes) -> Any:
    return decode_hello(data, ADDRESS.rpartition("/")[2])


def _genesis() -> Genesis:
    return found_genesis("fuzz", shipped_policy("marketplace"), [KEY.public], genesis_time_ms=0, slot_ms=1_000)


def _votes(votes: Votes, decision: Decision) -> tuple[Votes, ...]:
    """Those of a chain of one validator, before and after it decided something."""
    count = votes.open(1)
    count.speak(KEY.public, count.carried_all())
    first = count.close(bytes(range(32)), NOTHING_DECIDED)
    count = first.open(2)
    count.carried_all()
    count.speak(KEY.public, 1)
    return votes, first, count.close(bytes(32), decision)


def _table() -> dict[str, Decoder]:
    genesis = _genesis()
    ledger, newcomer = Ledger(genesis), SecretKey(bytes(32)).public
    empty = sign_header(
        KEY,
        genesis.id,
        height=1,
        slot=1,
        parent=genesis.id,
        tag=NO_TAG,
        mhg=0,
        mhp=0,
        votes_root=EMPTY.root,
        transaction_root=merkle_root([]),
        state_root=ledger.state_root,
    )
    attestation = sign_attestation(KEY, genesis.id, tag=NO_TAG, tip=empty.id, height=1, mhg=0, mhp=0)
    following, tag = (*genesis.validators, (newcomer, 1)), bytes(range(16))
    deciding = make_ballot([attestation.carried], Decision(following, ((KEY.public,),), ((KEY.public, tag),)))
    restarting = make_ballot((), restart=Restart(empty.id, 1, tag).signed(KEY, genesis.id))
    body = [
        sign_transaction(KEY, genesis.id, n, 900, action)
        for n, action in enumerate(_actions(empty.raw, attestation.raw))
    ]
    roots = {
        "votes_root": deciding.root,
        "transaction_root": merkle_root([item.id for item in body]),
        "state_root": bytes(32),
    }
    full = sign_header(KEY, genesis.id, height=2, slot=9, parent=empty.id, tag=tag, mhg=1, mhp=0, **roots)
    ids = tuple(item.id for item in body)
    votes = _votes(Votes.genesis(genesis.validators, genesis.batch), deciding.decision)
    proof = StateTree.build(ledger.state.items()).prove(RULES_KEY)
    return {
        "transaction": Decoder(decode_transaction, _raw, tuple(item.raw for item in body)),
        "header": Decoder(decode_header, _raw, (empty.raw, full.raw)),
        "attestation": Decoder(decode_attestation, _raw, (attestation.raw,)),
        "ballot": Decoder(decode_ballot, _raw, (EMPTY.raw, deciding.raw, restarting.raw)),
        "block": Decoder(
            decode_block,
            _block_again,
            (encode_block(assemble(full, deciding, body)), encode_block(assemble(empty, EMPTY, []))),
        ),
        "announcement": Decoder(
            Announcement.decode,
            _encoded,
            (Announcement(full.raw, deciding.raw, ids).encode(), Announcement(b"", b"", ()).encode()),
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
        "votes": Decoder(decode_votes, encode_votes, tuple(map(encode_votes, votes))),
        "hello": Decoder(_hello, None, (encode_hello([ADDRESS], bytes(100)), encode_hello([], b""))),
        "peers": Decoder(decode_peers, None, (encode_peers([ADDRESS, ADDRESS]),)),
        "proof": Decoder(Proof.decode, _encoded, (proof.encode(),)),
    }


DECODERS = _table()
