"""Transactions: what an actor signs.

On the wire a transaction is its canonical payload followed by a 64-byte signature::

    payload   = [kind, actor, nonce, expiry_height, body]
    signature = Ed25519(actor, "goodfaith/transaction/1" || chain id || payload)
    id        = SHA-256(payload || signature)

``nonce`` counts the actor's transactions from 0 without gaps, ``expiry_height`` is the last height whose
block may hold it, and ``body`` belongs to the kind.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any, NamedTuple, NewType, TypeAlias

from chain.codec import U32_MAX, U64_MAX, array, blob, decode, encode, integer
from chain.errors import Reason, Refused
from chain.keys import SIGNATURE_BYTES, SecretKey, verify

SIGNING_TAG = b"goodfaith/transaction/1"
# The largest kind that the registry knows stays under 300 bytes; evidence will carry two headers.
MAX_TRANSACTION_BYTES = 1024
POINTS_LIMIT = 1_000_000


class Enrol(NamedTuple):
    """The actor joins the register.  Nothing can be recorded about a key that has not enrolled."""

    def body(self) -> tuple[Any, ...]:
        return ()


class Rate(NamedTuple):
    """The actor rates another member; a new rating in the same category replaces the old one."""

    subject: bytes
    category: int
    points: int

    def body(self) -> tuple[Any, ...]:
        return tuple(self)


Action: TypeAlias = Enrol | Rate


def _enrol(body: Any) -> Enrol:
    array(body, 0, 0, "the body of an enrolment")
    return Enrol()


def _rate(body: Any) -> Rate:
    if type(body) is not tuple or len(body) != 3:
        raise Refused(Reason.MALFORMED, "the body of a rating is not [subject, category, points]")
    subject, category, points = body
    return Rate(
        blob(subject, 32, "the subject"),
        integer(category, 0, U32_MAX, "the category"),
        integer(points, -POINTS_LIMIT, POINTS_LIMIT, "points"),
    )


# One row a kind: its number on the wire, its type, how its body is read.
_KINDS: tuple[tuple[int, type[Action], Callable[[Any], Action]], ...] = (
    (1, Enrol, _enrol),
    (2, Rate, _rate),
)
_READERS = {number: reader for number, _, reader in _KINDS}
_NUMBERS: dict[type[Action], int] = {action: number for number, action, _ in _KINDS}


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
        """The kind's name for people and programs: ``enrol``, ``rate``, …"""
        return type(self.action).__name__.lower()


#: A transaction whose signature was checked by this process, or that was stored by it.
VerifiedTransaction = NewType("VerifiedTransaction", Transaction)


def decode_transaction(raw: bytes) -> Transaction:
    """Read a transaction.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``); checks no signature."""
    if len(raw) <= SIGNATURE_BYTES:
        raise Refused(Reason.MALFORMED, "too short for a transaction")
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_TRANSACTION_BYTES - SIGNATURE_BYTES)
    if len(fields) != 5:
        raise Refused(Reason.MALFORMED, "a transaction has five fields")
    kind, actor, nonce, expiry_height, body = fields
    reader = _READERS.get(kind) if type(kind) is int else None
    if reader is None:
        raise Refused(Reason.MALFORMED, "unknown kind of transaction")
    return Transaction(
        sha256(raw).digest(),
        blob(actor, 32, "the actor"),
        integer(nonce, 0, U64_MAX, "the nonce"),
        integer(expiry_height, 0, U64_MAX, "the expiry height"),
        reader(body),
        raw,
    )


def sign_transaction(
    secret: SecretKey, chain_id: bytes, nonce: int, expiry_height: int, action: Action
) -> VerifiedTransaction:
    """Make and sign a transaction for the chain whose genesis id is ``chain_id``."""
    number = _NUMBERS[type(action)]
    payload = encode((number, secret.public, nonce, expiry_height, action.body()))
    raw = payload + secret.sign(SIGNING_TAG + chain_id + payload)
    return VerifiedTransaction(Transaction(sha256(raw).digest(), secret.public, nonce, expiry_height, action, raw))


def verify_transaction(transaction: Transaction, chain_id: bytes) -> VerifiedTransaction:
    """Check the signature.  Raises :class:`Refused` ``BAD_SIGNATURE``, also for another chain's transaction."""
    raw = transaction.raw
    message = SIGNING_TAG + chain_id + raw[:-SIGNATURE_BYTES]
    if not verify(transaction.actor, message, raw[-SIGNATURE_BYTES:]):
        raise Refused(Reason.BAD_SIGNATURE, "not signed by its actor for this chain")
    return VerifiedTransaction(transaction)
