"""What others than its actor sign in a transaction: each word under a tag of its own, and bound to one chain.

Source: protocol 1.3 and 6.1.
"""

from __future__ import annotations

from chain.base.codec import encode
from chain.base.errors import Reason, Refused
from chain.base.keys import KEY_BYTES, SecretKey, verify
from chain.consensus.attestations import Attestation, verify_attestation
from chain.consensus.headers import Header, verify_header
from chain.content.actions import Action, Enrol, Evidence, Rate, Recover, Reopen, Rotate
from chain.content.kinds import decode_statement

CONSENT_TAG = b"goodfaith/enrolment/1"
REOPENING_TAG = b"goodfaith/reopening/1"
ROTATION_TAG = b"goodfaith/rotation/1"
RECOVERY_TAG = b"goodfaith/recovery/1"
RECEIPT_TAG = b"goodfaith/receipt/1"


def sign_consent(registrar: SecretKey, chain_id: bytes, member: bytes, expiry_height: int) -> bytes:
    """A registrar's signature under the enrolment of ``member`` that expires at ``expiry_height``."""
    return registrar.sign(CONSENT_TAG + chain_id + encode((member, expiry_height)))


def sign_reopening(arbiter: SecretKey, chain_id: bytes, issuer: bytes, action: Reopen) -> bytes:
    """An arbiter's signature under what ``issuer`` reopens; ``action.consent`` is not looked at."""
    return arbiter.sign(_reopening(chain_id, issuer, action))


def _reopening(chain_id: bytes, issuer: bytes, action: Reopen) -> bytes:
    return REOPENING_TAG + chain_id + encode((issuer, *action[:-1]))


def sign_recovery(
    signer: SecretKey, chain_id: bytes, member: bytes, new_key: bytes, step: int, expiry_height: int
) -> bytes:
    """A guardian's or a registrar's word that ``member`` moves to ``new_key``; it fits one expiry."""
    return signer.sign(_recovery(chain_id, member, new_key, step, expiry_height))


def _recovery(chain_id: bytes, member: bytes, new_key: bytes, step: int, expiry_height: int) -> bytes:
    return RECOVERY_TAG + chain_id + encode((member, new_key, step, expiry_height))


def sign_receipt(rated: SecretKey, chain_id: bytes, rater: bytes, dealing: bytes, dealt_slot: int) -> bytes:
    """A member's signature under a dealing that ``rater``, the other side, may rate it for."""
    return rated.sign(_receipt(chain_id, rater, rated.public, dealing, dealt_slot))


def _receipt(chain_id: bytes, rater: bytes, rated: bytes, dealing: bytes, dealt_slot: int) -> bytes:
    return RECEIPT_TAG + chain_id + encode((rater, rated, dealing, dealt_slot))


def sign_rotation(new_key: SecretKey, chain_id: bytes, old_key: bytes, nonce: int) -> bytes:
    """The new key's own signature under the rotation that ``old_key`` makes with ``nonce``."""
    return new_key.sign(ROTATION_TAG + chain_id + encode((old_key, nonce)))


def verify_statement(statement: Header | Attestation, chain_id: bytes) -> None:
    """Check a statement's signature.  Raises :class:`Refused` ``BAD_SIGNATURE``."""
    if isinstance(statement, Header):
        verify_header(statement, chain_id)
    else:
        verify_attestation(statement, chain_id)


def check_others(chain_id: bytes, actor: bytes, nonce: int, expiry_height: int, action: Action) -> None:
    """Check what others than its actor signed in a transaction.  Raises :class:`Refused` ``BAD_SIGNATURE``."""
    match action:
        case Rate() if not action.receipt:  # most of them
            pass
        case Rate():
            dealt = _receipt(chain_id, actor, action.subject, action.dealing, action.dealt_slot)
            _check(action.subject, dealt, action.receipt, "the other side of the dealing")
        case Enrol() if action.registrar or action.consent:
            consent = CONSENT_TAG + chain_id + encode((actor, expiry_height))
            _check(action.registrar, consent, action.consent, "the registrar that it names")
        case Reopen():
            _check(action.arbiter, _reopening(chain_id, actor, action), action.consent, "the arbiter that it names")
        case Rotate():
            _check(action.new_key, ROTATION_TAG + chain_id + encode((actor, nonce)), action.proof, "the new key")
        case Recover():
            word = _recovery(chain_id, action.subject, actor, action.step, expiry_height)
            said = [(key, signed) for key, signed in zip(action.guardians, action.signatures, strict=False) if signed]
            if action.registrar or action.consent:
                said.append((action.registrar, action.consent))
            for key, signed in said:
                _check(key, word, signed, "the guardians, or the registrar, that it names")
        case Evidence():
            for raw in (action.first, action.second):
                verify_statement(decode_statement(raw), chain_id)
        case _:
            pass


def _check(key: bytes, message: bytes, signature: bytes, who: str) -> None:
    if len(key) != KEY_BYTES or not verify(key, message, signature):
        raise Refused(Reason.BAD_SIGNATURE, f"not signed by {who}")
