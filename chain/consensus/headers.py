"""Headers: what a validator signs to make a block.

On the wire a header is its canonical payload followed by a 64-byte signature, like a transaction::

    payload   = [version, height, slot, parent, proposer, tag, mhg, mhp, votes root, transaction root, state root]
    signature = Ed25519(proposer, "goodfaith/block/1" || chain id || payload)
    id        = SHA-256(payload || signature)

``tag``, ``mhg`` (max height generated) and ``mhp`` (max height prevoted) make it a statement; see
:mod:`chain.consensus.statements`.  The ``votes root`` commits to what the block carries for the votes
(:mod:`chain.consensus.ballots`).  Source: protocol 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import NewType

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import Reason, Refused
from chain.base.keys import SIGNATURE_BYTES, SecretKey, verify
from chain.consensus.statements import TAG_BYTES

SIGNING_TAG = b"goodfaith/block/1"
VERSION = 2
MAX_HEADER_BYTES = 512


@dataclass(frozen=True, slots=True)
class Header:
    """A decoded header; ``raw`` is what was signed, hashed, stored and sent."""

    id: bytes
    height: int
    slot: int
    parent: bytes
    proposer: bytes
    tag: bytes
    mhg: int
    mhp: int
    votes_root: bytes
    transaction_root: bytes
    state_root: bytes
    raw: bytes

    @property
    def speaker(self) -> bytes:
        """Its proposer: a header is a statement too."""
        return self.proposer


#: A header whose signature was checked by this process, or that was stored by it.
VerifiedHeader = NewType("VerifiedHeader", Header)


def decode_header(raw: bytes) -> Header:
    """Read a header.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``); checks no signature."""
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_HEADER_BYTES)
    array(fields, 11, 11, "a header")
    version, height, slot, parent, proposer, tag, mhg, mhp, votes_root, transaction_root, state_root = fields
    integer(version, VERSION, VERSION, "the version")
    return Header(
        id=sha256(raw).digest(),
        height=integer(height, 1, U64_MAX, "the height"),
        slot=integer(slot, 1, U64_MAX, "the slot"),
        parent=blob(parent, 32, "the parent"),
        proposer=blob(proposer, 32, "the proposer"),
        tag=blob(tag, TAG_BYTES, "the tag"),
        mhg=integer(mhg, 0, U64_MAX, "mhg"),
        mhp=integer(mhp, 0, U64_MAX, "mhp"),
        votes_root=blob(votes_root, 32, "the votes root"),
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
    tag: bytes,
    mhg: int,
    mhp: int,
    votes_root: bytes,
    transaction_root: bytes,
    state_root: bytes,
) -> VerifiedHeader:
    """Make and sign a header.  The caller has stored durably that it signs this slot before it sends it."""
    roots = votes_root, transaction_root, state_root
    payload = encode((VERSION, height, slot, parent, secret.public, tag, mhg, mhp, *roots))
    return VerifiedHeader(decode_header(payload + secret.sign(SIGNING_TAG + chain_id + payload)))


def verify_header(header: Header, chain_id: bytes) -> VerifiedHeader:
    """Check the signature.  Raises :class:`Refused` ``BAD_SIGNATURE``, also for another chain's header."""
    message = SIGNING_TAG + chain_id + header.raw[:-SIGNATURE_BYTES]
    if not verify(header.proposer, message, header.raw[-SIGNATURE_BYTES:]):
        raise Refused(Reason.BAD_SIGNATURE, "not signed by its proposer for this chain")
    return VerifiedHeader(header)
