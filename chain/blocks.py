"""Blocks: what a validator signs.

On the wire a header is its canonical payload followed by a 64-byte signature, like a transaction::

    payload   = [version, height, slot, parent, proposer, mhg, mhp, transaction root, state root]
    signature = Ed25519(proposer, "goodfaith/block/1" || chain id || payload)
    id        = SHA-256(payload || signature)

A block is ``[header, [transaction, …]]``.  ``mhg`` (max height generated) and ``mhp`` (max height prevoted)
are the votes; see :mod:`chain.votes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

from chain.codec import U64_MAX, array, blob, decode, encode, integer
from chain.errors import Reason, Refused
from chain.keys import SecretKey, verify
from chain.merkle import merkle_root
from chain.transactions import SIGNATURE_BYTES, Transaction, VerifiedTransaction, decode_transaction

SIGNING_TAG = b"goodfaith/block/1"
VERSION = 1
MAX_HEADER_BYTES = 512
# Gossip and requests carry at most 1,000,000 bytes; the transactions of a block leave room for the rest.
MAX_BODY_BYTES = 880_000
MAX_BLOCK_BYTES = 900_000  # body, its framing (3 bytes a transaction) and the header
# 4,096 ids are 140 kB of announcement; 4,096 of the smallest transactions fill half a block.
MAX_BLOCK_TRANSACTIONS = 4_096


@dataclass(frozen=True, slots=True)
class Header:
    """A decoded header; ``raw`` is what was signed, hashed, stored and sent."""

    id: bytes
    height: int
    slot: int
    parent: bytes
    proposer: bytes
    mhg: int
    mhp: int
    transaction_root: bytes
    state_root: bytes
    raw: bytes


#: A header whose signature was checked by this process, or that was stored by it.
VerifiedHeader = NewType("VerifiedHeader", Header)


@dataclass(frozen=True, slots=True)
class Block:
    """A verified header with exactly the verified transactions that it commits to."""

    header: VerifiedHeader
    transactions: tuple[VerifiedTransaction, ...]

    @property
    def id(self) -> bytes:
        return self.header.id


def decode_header(raw: bytes) -> Header:
    """Read a header.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``); checks no signature."""
    if len(raw) <= SIGNATURE_BYTES:
        raise Refused(Reason.MALFORMED, "too short for a header")
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_HEADER_BYTES)
    array(fields, 9, 9, "a header")
    version, height, slot, parent, proposer, mhg, mhp, transaction_root, state_root = fields
    integer(version, VERSION, VERSION, "the version")
    return Header(
        id=sha256(raw).digest(),
        height=integer(height, 1, U64_MAX, "the height"),
        slot=integer(slot, 1, U64_MAX, "the slot"),
        parent=blob(parent, 32, "the parent"),
        proposer=blob(proposer, 32, "the proposer"),
        mhg=integer(mhg, 0, U64_MAX, "mhg"),
        mhp=integer(mhp, 0, U64_MAX, "mhp"),
        transaction_root=blob(transaction_root, 32, "the transaction root"),
        state_root=blob(state_root, 32, "the state root"),
        raw=raw,
    )


def sign_header(
    secret: SecretKey,
    chain_id: bytes,
    *,
    height: int,
    slot: int,
    parent: bytes,
    mhg: int,
    mhp: int,
    transaction_root: bytes,
    state_root: bytes,
) -> VerifiedHeader:
    """Make and sign a header.  The caller has stored durably that it signs this slot before it sends it."""
    payload = encode((VERSION, height, slot, parent, secret.public, mhg, mhp, transaction_root, state_root))
    return VerifiedHeader(decode_header(payload + secret.sign(SIGNING_TAG + chain_id + payload)))


def verify_header(header: Header, chain_id: bytes) -> VerifiedHeader:
    """Check the signature.  Raises :class:`Refused` ``BAD_SIGNATURE``, also for another chain's header."""
    message = SIGNING_TAG + chain_id + header.raw[:-SIGNATURE_BYTES]
    if not verify(header.proposer, message, header.raw[-SIGNATURE_BYTES:]):
        raise Refused(Reason.BAD_SIGNATURE, "not signed by its proposer for this chain")
    return VerifiedHeader(header)


def assemble(header: VerifiedHeader, transactions: Sequence[VerifiedTransaction]) -> Block:
    """Join a header and its body.  Raises :class:`Refused` where the root does not match or a bound is broken."""
    if len(transactions) > MAX_BLOCK_TRANSACTIONS:
        raise Refused(Reason.TOO_MANY_TRANSACTIONS, f"{len(transactions)} transactions")
    if sum(len(transaction.raw) for transaction in transactions) > MAX_BODY_BYTES:
        raise Refused(Reason.TOO_LARGE, f"transactions of more than {MAX_BODY_BYTES} bytes")
    if merkle_root([transaction.id for transaction in transactions]) != header.transaction_root:
        raise Refused(Reason.WRONG_TX_ROOT, "the body is not the one that the header commits to")
    return Block(header, tuple(transactions))


def encode_block(block: Block) -> bytes:
    """The block as it travels and is stored."""
    return encode((block.header.raw, tuple(transaction.raw for transaction in block.transactions)))


def decode_block(raw: bytes) -> tuple[Header, tuple[Transaction, ...]]:
    """Read a block.  Raises :class:`Refused`; checks neither signatures nor roots."""
    fields = decode(raw, max_bytes=MAX_BLOCK_BYTES, max_items=MAX_BLOCK_TRANSACTIONS)
    header, body = array(fields, 2, 2, "a block")
    if type(header) is not bytes:
        raise Refused(Reason.MALFORMED, "a header is bytes")
    array(body, 0, MAX_BLOCK_TRANSACTIONS, "a body")
    if not all(type(item) is bytes for item in body):
        raise Refused(Reason.MALFORMED, "a transaction is bytes")
    return decode_header(header), tuple(map(decode_transaction, body))
