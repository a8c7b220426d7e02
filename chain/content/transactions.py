"""Transactions: what an actor signs.

On the wire a transaction is its canonical payload followed by a 64-byte signature::

    payload   = [kind, actor, nonce, expiry_height, body]
    signature = Ed25519(actor, "goodfaith/transaction/1" || chain id || payload)
    id        = SHA-256(payload || signature)

``nonce`` counts the actor's transactions from 0 without gaps, ``expiry_height`` is the last height whose
block may hold it, and ``body`` belongs to the kind.  Who may do what, and what follows, is the registry's.
Source: protocol 6.1.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple, NewType

from chain.base.codec import U64_MAX, blob, decode, encode, integer
from chain.base.errors import Reason, Refused
from chain.base.keys import SIGNATURE_BYTES, SecretKey, verify
from chain.content.actions import Action, Propose
from chain.content.consents import check_others
from chain.content.kinds import KIND_BY_NUMBER, KIND_OF, MAX_TRANSACTION_BYTES
from chain.content.proposals import MAX_GRANT, proposal_fields

SIGNING_TAG = b"goodfaith/transaction/1"


class Transaction(NamedTuple):
    """A decoded transaction; ``raw`` is what was signed, hashed, stored and sent."""

    id: bytes
    actor: bytes
    nonce: int
    expiry_height: int
    action: Action
    raw: bytes

    @property
    def kind(self) -> str:
        """The kind's name for people and programs: ``enrol``, ``rate``, ``record``, …"""
        return KIND_OF[type(self.action)].name


#: A transaction whose signatures were checked by this process, or that was stored by it.
VerifiedTransaction = NewType("VerifiedTransaction", Transaction)


def decode_transaction(raw: bytes) -> Transaction:
    """Read a transaction.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``); checks no signature."""
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_TRANSACTION_BYTES - SIGNATURE_BYTES, max_items=MAX_GRANT)
    if len(fields) != 5:
        raise Refused(Reason.MALFORMED, "a transaction has five fields")
    number, actor, nonce, expiry_height, body = fields
    kind = KIND_BY_NUMBER.get(number) if type(number) is int else None
    if kind is None:
        raise Refused(Reason.MALFORMED, "unknown kind of transaction")
    if len(raw) > kind.max_bytes:
        raise Refused(Reason.TOO_LARGE, f"{len(raw)} bytes where {kind.name} may have {kind.max_bytes}")
    if type(body) is not tuple or len(body) != len(kind.reads):
        raise Refused(Reason.MALFORMED, f"the body of {kind.name} has {len(kind.reads)} fields")
    action = kind.action(
        *[read(value, name) for read, value, name in zip(kind.reads, body, kind.action._fields, strict=True)]
    )
    return Transaction(
        sha256(raw).digest(),
        blob(actor, 32, "the actor"),
        integer(nonce, 0, U64_MAX, "the nonce"),
        integer(expiry_height, 0, U64_MAX, "the expiry height"),
        action,
        raw,
    )


def sign_transaction(
    secret: SecretKey, chain_id: bytes, nonce: int, expiry_height: int, action: Action
) -> VerifiedTransaction:
    """Make and sign a transaction for the chain whose genesis id is ``chain_id``."""
    body = (proposal_fields(action.proposal),) if isinstance(action, Propose) else tuple(action)
    payload = encode((KIND_OF[type(action)].number, secret.public, nonce, expiry_height, body))
    raw = payload + secret.sign(SIGNING_TAG + chain_id + payload)
    return VerifiedTransaction(Transaction(sha256(raw).digest(), secret.public, nonce, expiry_height, action, raw))


def verify_transaction(transaction: Transaction, chain_id: bytes) -> VerifiedTransaction:
    """Check every signature in it.  Raises :class:`Refused` ``BAD_SIGNATURE``, also for another chain's transaction."""
    actor, raw = transaction.actor, transaction.raw
    message = SIGNING_TAG + chain_id + raw[:-SIGNATURE_BYTES]
    if not verify(actor, message, raw[-SIGNATURE_BYTES:]):
        raise Refused(Reason.BAD_SIGNATURE, "not signed by its actor for this chain")
    check_others(chain_id, actor, transaction.nonce, transaction.expiry_height, transaction.action)
    return VerifiedTransaction(transaction)
