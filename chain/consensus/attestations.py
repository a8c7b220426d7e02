"""Attestations: what a validator that did not make a block signs to stand behind it.

On its way an attestation is its canonical payload followed by a 64-byte signature, like a header::

    payload   = [version, speaker, tag, tip, height, mhg, mhp]
    signature = Ed25519(speaker, "goodfaith/attestation/1" || chain id || payload)
    id        = SHA-256(payload || signature)

``tip`` is the id of the block at ``height`` that it is about, and ``mhp`` what that block's header says.  In the block
that carries it an attestation is :class:`Carried`: what follows from the branch is left out.
Source: protocol 2.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar, NamedTuple, NewType

from chain.base.codec import U64_MAX, array, blob, decode, encode, integer
from chain.base.errors import Reason, Refused
from chain.base.keys import KEY_BYTES, SIGNATURE_BYTES, SecretKey, verify
from chain.consensus.statements import TAG_BYTES

SIGNING_TAG = b"goodfaith/attestation/1"
VERSION = 1
MAX_ATTESTATION_BYTES = 256
# What gossip brought is carried a block later: a signature that was checked then need not be checked again.
_REMEMBERED = 16_384


class Carried(NamedTuple):
    """An attestation in a block that has ``tip`` below it; blocks hold them in this order, none twice."""

    height: int
    speaker: bytes
    mhg: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Attestation:
    """A decoded attestation; ``raw`` is what was signed, hashed and sent.  It belongs to no slot."""

    slot: ClassVar[None] = None

    id: bytes
    speaker: bytes
    tag: bytes
    tip: bytes
    height: int
    mhg: int
    mhp: int
    raw: bytes

    @property
    def carried(self) -> Carried:
        """As a block carries it."""
        return Carried(self.height, self.speaker, self.mhg, self.raw[-SIGNATURE_BYTES:])


#: An attestation whose signature was checked by this process, or that was made by it.
VerifiedAttestation = NewType("VerifiedAttestation", Attestation)


def decode_attestation(raw: bytes) -> Attestation:
    """Read an attestation.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``); checks no signature."""
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_ATTESTATION_BYTES)
    version, speaker, tag, tip, height, mhg, mhp = array(fields, 7, 7, "an attestation")
    integer(version, VERSION, VERSION, "the version")
    integer(height, 1, U64_MAX, "the height")
    return Attestation(
        id=sha256(raw).digest(),
        speaker=blob(speaker, KEY_BYTES, "the speaker"),
        tag=blob(tag, TAG_BYTES, "the tag"),
        tip=blob(tip, 32, "the tip"),
        height=height,
        mhg=integer(mhg, 0, height - 1, "mhg"),
        mhp=integer(mhp, 0, height - 1, "mhp"),
        raw=raw,
    )


def sign_attestation(
    secret: SecretKey, chain_id: bytes, *, tag: bytes, tip: bytes, height: int, mhg: int, mhp: int
) -> VerifiedAttestation:
    """Make and sign an attestation.  The caller has stored durably that it says this before it sends it."""
    payload = _payload(secret.public, tag, tip, height, mhg, mhp)
    return VerifiedAttestation(decode_attestation(payload + secret.sign(SIGNING_TAG + chain_id + payload)))


def verify_attestation(attestation: Attestation, chain_id: bytes) -> VerifiedAttestation:
    """Check the signature.  Raises :class:`Refused` ``BAD_SIGNATURE``, also for another chain's attestation."""
    payload, signature = attestation.raw[:-SIGNATURE_BYTES], attestation.raw[-SIGNATURE_BYTES:]
    if not _verify(attestation.speaker, SIGNING_TAG + chain_id + payload, signature):
        raise Refused(Reason.BAD_SIGNATURE, "not signed by its speaker for this chain")
    return VerifiedAttestation(attestation)


def complete(carried: Carried, chain_id: bytes, *, tag: bytes, tip: bytes, mhp: int) -> VerifiedAttestation:
    """A carried attestation whole, with what its branch says: the block it is about, and its speaker's tag there.

    Raises :class:`Refused` ``BAD_SIGNATURE``: its speaker said no such thing, or said it about another branch.
    """
    height, speaker, mhg, signature = carried
    raw = _payload(speaker, tag, tip, height, mhg, mhp) + signature
    whole = Attestation(sha256(raw).digest(), speaker, tag, tip, height, mhg, mhp, raw)
    return verify_attestation(whole, chain_id)


def read_carried(fields: Any) -> Carried:
    """Read one from a decoded block.  Raises :class:`Refused` ``MALFORMED``."""
    height, speaker, mhg, signature = array(fields, 4, 4, "a carried attestation")
    integer(height, 1, U64_MAX, "the height")
    return Carried(
        height,
        blob(speaker, KEY_BYTES, "the speaker"),
        integer(mhg, 0, height - 1, "mhg"),
        blob(signature, SIGNATURE_BYTES, "the signature"),
    )


def _payload(speaker: bytes, tag: bytes, tip: bytes, height: int, mhg: int, mhp: int) -> bytes:
    return encode((VERSION, speaker, tag, tip, height, mhg, mhp))


@lru_cache(_REMEMBERED)
def _verify(speaker: bytes, message: bytes, signature: bytes) -> bool:
    return verify(speaker, message, signature)
