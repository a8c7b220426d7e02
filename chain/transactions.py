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
from typing import Any, NamedTuple, NewType, TypeAlias

from chain.attestations import Attestation, decode_attestation, verify_attestation
from chain.codec import (
    U32_MAX,
    U64_MAX,
    Read,
    a_blob,
    a_blob_or_nothing,
    an_integer,
    array,
    blob,
    decode,
    encode,
    integer,
)
from chain.errors import Reason, Refused
from chain.headers import MAX_HEADER_BYTES, Header, decode_header, verify_header
from chain.identities import MAX_GUARDIANS
from chain.keys import KEY_BYTES, SIGNATURE_BYTES, SecretKey, verify
from chain.proposals import MAX_GRANT, MAX_POLICY_BYTES, Proposal, proposal_fields, read_proposal
from chain.statements import TAG_BYTES

SIGNING_TAG = b"goodfaith/transaction/1"
CONSENT_TAG = b"goodfaith/enrolment/1"
REOPENING_TAG = b"goodfaith/reopening/1"
ROTATION_TAG = b"goodfaith/rotation/1"
RECOVERY_TAG = b"goodfaith/recovery/1"
RECEIPT_TAG = b"goodfaith/receipt/1"
# All but two kinds stay far under 1 kB; evidence carries two headers, a motion may carry a whole policy.
MAX_USUAL_BYTES = 1_024
MAX_RECOVERY_BYTES = 1_280
MAX_EVIDENCE_BYTES = 2 * MAX_HEADER_BYTES + 512
MAX_TRANSACTION_BYTES = MAX_POLICY_BYTES + 512
POINTS_LIMIT = 1_000_000
SALT_BYTES = 16
# Conduct may be older than the chain: slots before the genesis are negative.
SLOT_LIMIT = 2**48


class Enrol(NamedTuple):
    """The actor joins the register, and consents to the policy of ``policy_version``, which is in force.

    Nothing can be recorded about a key that has not enrolled.  Where the policy asks for it, ``consent`` is the
    registrar's signature (:func:`sign_consent`); both fields are empty otherwise.  ``guardians`` are those whom
    :class:`NameGuardians` would name, or nobody.
    """

    registrar: bytes = b""
    consent: bytes = b""
    policy_version: int = 1
    guardians: bytes = b""


class Rate(NamedTuple):
    """The actor rates another member; a new rating in the same category replaces the old one.

    Where the policy asks for it, ``receipt`` is the rated member's signature under a dealing (:func:`sign_receipt`):
    the digest of what was dealt, and the slot in which that was; the three are empty otherwise.
    """

    subject: bytes
    category: int
    points: int
    dealing: bytes = b""
    dealt_slot: int = 0
    receipt: bytes = b""


class Retract(NamedTuple):
    """The actor takes back its rating of a member."""

    subject: bytes
    category: int


class Dispute(NamedTuple):
    """The actor objects to what ``rater`` said of it."""

    rater: bytes
    category: int
    grounds: bytes


class Reply(NamedTuple):
    """The actor gives a reason for its rating of a member who objected."""

    subject: bytes
    category: int
    reason: bytes


class FileRecord(NamedTuple):
    """An authority records conduct of a member: ``evidence`` and ``reason`` are digests of documents kept elsewhere.

    ``established_slot`` is when the conduct was established, ``policy_version`` the rules that the authority filed
    under.  ``reason`` is empty unless the category needs one; ``severity`` is 0 where it knows none.
    """

    subject: bytes
    category: int
    points: int
    severity: int
    evidence: bytes
    reason: bytes
    established_slot: int
    policy_version: int


class Reopen(NamedTuple):
    """An authority records again what a record that ended was about, for new evidence and with a written reason.

    ``consent`` is the signature of ``arbiter`` (:func:`sign_reopening`); the other fields are those of a record.
    """

    subject: bytes
    category: int
    points: int
    severity: int
    evidence: bytes
    reason: bytes
    established_slot: int
    policy_version: int
    arbiter: bytes
    consent: bytes


class Object(NamedTuple):
    """The member objects to record ``number`` about itself; its points are suspended at once."""

    subject: bytes
    number: int
    grounds: bytes


class Answer(NamedTuple):
    """The issuer of a record corrects it (to better ``points``), withdraws it, or maintains it."""

    subject: bytes
    number: int
    verdict: int
    points: int
    reason: bytes


class Rule(NamedTuple):
    """An arbiter strikes or upholds a record that is maintained, or lifts or keeps one that is to be repaired."""

    subject: bytes
    number: int
    verdict: int
    reason: bytes


class Appeal(NamedTuple):
    """The member appeals against record ``number`` about itself, which an arbiter upheld."""

    subject: bytes
    number: int
    grounds: bytes


class Repair(NamedTuple):
    """The member asks for repair of a record, or its issuer approves or declines that."""

    subject: bytes
    number: int
    step: int
    document: bytes


class Statement(NamedTuple):
    """The member's own words beside a record; empty to take them back."""

    subject: bytes
    number: int
    statement: bytes


class Rotate(NamedTuple):
    """The actor moves to ``new_key``, whose ``proof`` (:func:`sign_rotation`) shows that somebody holds it."""

    new_key: bytes
    proof: bytes


class Propose(NamedTuple):
    """A validator proposes, and so approves."""

    proposal: Proposal


class Approve(NamedTuple):
    """A validator approves an open motion."""

    number: int


class Evidence(NamedTuple):
    """Two statements that one validator must not both have signed, the one with the smaller id first.

    Each is a header or an attestation, encoded.
    """

    first: bytes
    second: bytes


class Consent(NamedTuple):
    """The newcomer whom an open motion would make a validator agrees; its key may be new to the chain."""

    number: int


class Lost(NamedTuple):
    """A validator lost its signing state, and speaks with a fresh random ``tag`` instead of ``old`` once this is final.

    Where another tag than ``old`` is known by then, it is void: a restart has renewed it, say.
    """

    old: bytes
    tag: bytes


class NameGuardians(NamedTuple):
    """The actor names who may recover it, as :func:`chain.identities.commitment_of`; empty for nobody."""

    commitment: bytes


class Recover(NamedTuple):
    """A member is to move to the actor, a key that nobody has had: so say those who may (:func:`sign_recovery`).

    They are ``threshold`` of ``guardians``, whose ``signatures`` stand in their order, empty where one has not signed,
    and which the member's commitment holds with ``salt``; or, where there are none, ``registrar``.
    """

    subject: bytes
    step: int
    threshold: int = 0
    guardians: tuple[bytes, ...] = ()
    salt: bytes = b""
    signatures: tuple[bytes, ...] = ()
    registrar: bytes = b""
    consent: bytes = b""


class Veto(NamedTuple):
    """The actor stops its recovery, or stays after all."""

    what: int


class Annul(NamedTuple):
    """A registrar says that an enrolment is void, the member objects, or an arbiter decides; with a reason's digest."""

    subject: bytes
    step: int
    reason: bytes


class Leave(NamedTuple):
    """The actor withdraws its consent; everything about it is forgotten after the notice period."""


class Anchor(NamedTuple):
    """The actor made a report, of a kind by ``report``, beside the chain, and says of what: digests of documents.

    Whoever runs ``code`` again on ``data``, with ``model`` where there is one, gets ``result`` to the byte.
    """

    report: int
    data: bytes
    code: bytes
    model: bytes
    result: bytes


Action: TypeAlias = (
    Enrol
    | Rate
    | FileRecord
    | Reopen
    | Object
    | Appeal
    | Answer
    | Rule
    | Repair
    | Statement
    | Rotate
    | Propose
    | Approve
    | Evidence
    | Consent
    | Lost
    | Retract
    | Dispute
    | Reply
    | NameGuardians
    | Recover
    | Veto
    | Annul
    | Leave
    | Anchor
)

# Verdicts of Answer
CORRECT, WITHDRAW, MAINTAIN = 1, 2, 3
# Verdicts of Rule
STRIKE, UPHOLD = 1, 2
# Steps of Repair
ASK, APPROVE, DECLINE = 1, 2, 3
# Steps of Recover
RECOVER, UNDO = 1, 2
# What a Veto stops
RECOVERY, LEAVE = 1, 2
# Steps of Annul
ANNUL, CONTEST, GRANT, DENY = 1, 2, 3, 4
# Kinds of reports that are anchored
AUDIT = 1


def decode_statement(raw: bytes) -> Header | Attestation:
    """Read a header or an attestation.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``)."""
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_HEADER_BYTES)
    return decode_attestation(raw) if len(fields) == _ATTESTATION_FIELDS else decode_header(raw)


def _statement(value: Any, name: str) -> bytes:
    if type(value) is not bytes:
        raise Refused(Reason.MALFORMED, f"{name} is no statement")
    decode_statement(value)
    return value


def _proposal(value: Any, _name: str) -> Proposal:
    return read_proposal(value)


def _several(size: int, *, or_nothing: bool = False) -> Read:
    """The check of a field of at most :data:`MAX_GUARDIANS` blobs, some of them empty perhaps."""
    read = a_blob_or_nothing(size) if or_nothing else a_blob(size)
    return lambda value, name: tuple(read(item, name) for item in array(value, 0, MAX_GUARDIANS, name))


_ATTESTATION_FIELDS = 7
_KEY = _DIGEST = a_blob(32)
_U32 = an_integer(0, U32_MAX)
_SLOT = an_integer(-SLOT_LIMIT, SLOT_LIMIT)
_POINTS = an_integer(-POINTS_LIMIT, POINTS_LIMIT)


_FILING = (_KEY, _U32, _POINTS, an_integer(0, 255), _DIGEST, a_blob_or_nothing(32), _SLOT, _U32)


class _Kind(NamedTuple):
    number: int
    name: str
    action: type[Action]
    is_counted: bool
    reads: tuple[Read, ...]
    max_bytes: int = MAX_USUAL_BYTES


# Whether a quota bounds it.  What answers somebody, or stops what is done to oneself, is bounded by what it answers;
# and nobody enrols twice.
_COUNTED, _FREE = True, False
# One row a kind: its number on the wire, its name for people, its type, its quota, how its fields are read, its size.
_KINDS = (
    _Kind(
        1,
        "enrol",
        Enrol,
        _FREE,
        (a_blob_or_nothing(32), a_blob_or_nothing(SIGNATURE_BYTES), _U32, a_blob_or_nothing(32)),
    ),
    _Kind(
        2,
        "rate",
        Rate,
        _COUNTED,
        (_KEY, _U32, _POINTS, a_blob_or_nothing(32), _SLOT, a_blob_or_nothing(SIGNATURE_BYTES)),
    ),
    _Kind(3, "record", FileRecord, _COUNTED, _FILING),
    _Kind(4, "object", Object, _FREE, (_KEY, _U32, _DIGEST)),
    _Kind(5, "answer", Answer, _FREE, (_KEY, _U32, an_integer(CORRECT, MAINTAIN), _POINTS, a_blob_or_nothing(32))),
    _Kind(6, "rule", Rule, _FREE, (_KEY, _U32, an_integer(STRIKE, UPHOLD), _DIGEST)),
    _Kind(7, "repair", Repair, _COUNTED, (_KEY, _U32, an_integer(ASK, DECLINE), _DIGEST)),
    _Kind(8, "statement", Statement, _COUNTED, (_KEY, _U32, a_blob_or_nothing(32))),
    _Kind(9, "rotate", Rotate, _COUNTED, (_KEY, a_blob(SIGNATURE_BYTES))),
    _Kind(10, "motion", Propose, _FREE, (_proposal,), MAX_TRANSACTION_BYTES),
    _Kind(11, "approve", Approve, _FREE, (_U32,)),
    _Kind(12, "evidence", Evidence, _FREE, (_statement, _statement), MAX_EVIDENCE_BYTES),
    _Kind(13, "consent", Consent, _FREE, (_U32,)),
    _Kind(14, "lost", Lost, _FREE, (a_blob(TAG_BYTES), a_blob(TAG_BYTES))),
    _Kind(15, "reopen", Reopen, _COUNTED, (*_FILING, _KEY, a_blob(SIGNATURE_BYTES))),
    _Kind(16, "appeal", Appeal, _FREE, (_KEY, _U32, _DIGEST)),
    _Kind(20, "retract", Retract, _COUNTED, (_KEY, _U32)),
    _Kind(21, "dispute", Dispute, _FREE, (_KEY, _U32, _DIGEST)),
    _Kind(22, "reply", Reply, _FREE, (_KEY, _U32, _DIGEST)),
    _Kind(23, "guardians", NameGuardians, _COUNTED, (a_blob_or_nothing(32),)),
    _Kind(
        24,
        "recover",
        Recover,
        _FREE,
        (
            _KEY,
            an_integer(RECOVER, UNDO),
            an_integer(0, MAX_GUARDIANS),
            _several(32),
            a_blob_or_nothing(SALT_BYTES),
            _several(SIGNATURE_BYTES, or_nothing=True),
            a_blob_or_nothing(32),
            a_blob_or_nothing(SIGNATURE_BYTES),
        ),
        MAX_RECOVERY_BYTES,
    ),
    _Kind(25, "veto", Veto, _FREE, (an_integer(RECOVERY, LEAVE),)),
    _Kind(26, "annul", Annul, _FREE, (_KEY, an_integer(ANNUL, DENY), _DIGEST)),
    _Kind(27, "leave", Leave, _FREE, ()),
    _Kind(28, "anchor", Anchor, _COUNTED, (an_integer(0, 255), _DIGEST, _DIGEST, a_blob_or_nothing(32), _DIGEST)),
)
_BY_NUMBER = {kind.number: kind for kind in _KINDS}
_BY_ACTION = {kind.action: kind for kind in _KINDS}
#: The kinds that quotas count.
COUNTED = frozenset(kind.action for kind in _KINDS if kind.is_counted)


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
        return _BY_ACTION[type(self.action)].name


#: A transaction whose signatures were checked by this process, or that was stored by it.
VerifiedTransaction = NewType("VerifiedTransaction", Transaction)


def _read_field(read: Read, value: Any, name: str) -> Any:
    return read(value, name)


def decode_transaction(raw: bytes) -> Transaction:
    """Read a transaction.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``); checks no signature."""
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_TRANSACTION_BYTES - SIGNATURE_BYTES, max_items=MAX_GRANT)
    if len(fields) != 5:
        raise Refused(Reason.MALFORMED, "a transaction has five fields")
    number, actor, nonce, expiry_height, body = fields
    kind = _BY_NUMBER.get(number) if type(number) is int else None
    if kind is None:
        raise Refused(Reason.MALFORMED, "unknown kind of transaction")
    if len(raw) > kind.max_bytes:
        raise Refused(Reason.TOO_LARGE, f"{len(raw)} bytes where {kind.name} may have {kind.max_bytes}")
    if type(body) is not tuple or len(body) != len(kind.reads):
        raise Refused(Reason.MALFORMED, f"the body of {kind.name} has {len(kind.reads)} fields")
    action = kind.action(*map(_read_field, kind.reads, body, kind.action._fields))
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
    payload = encode((_BY_ACTION[type(action)].number, secret.public, nonce, expiry_height, body))
    raw = payload + secret.sign(SIGNING_TAG + chain_id + payload)
    return VerifiedTransaction(Transaction(sha256(raw).digest(), secret.public, nonce, expiry_height, action, raw))


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


def verify_transaction(transaction: Transaction, chain_id: bytes) -> VerifiedTransaction:
    """Check every signature in it.  Raises :class:`Refused` ``BAD_SIGNATURE``, also for another chain's transaction."""
    raw = transaction.raw
    message = SIGNING_TAG + chain_id + raw[:-SIGNATURE_BYTES]
    if not verify(transaction.actor, message, raw[-SIGNATURE_BYTES:]):
        raise Refused(Reason.BAD_SIGNATURE, "not signed by its actor for this chain")
    action = transaction.action
    if isinstance(action, Rate):  # most of them
        if action.receipt:
            dealt = _receipt(chain_id, transaction.actor, action.subject, action.dealing, action.dealt_slot)
            if not verify(action.subject, dealt, action.receipt):
                raise Refused(Reason.BAD_SIGNATURE, "not signed by the other side of the dealing")
        return VerifiedTransaction(transaction)
    if isinstance(action, Enrol) and (action.registrar or action.consent):
        consent = CONSENT_TAG + chain_id + encode((transaction.actor, transaction.expiry_height))
        if len(action.registrar) != 32 or not verify(action.registrar, consent, action.consent):
            raise Refused(Reason.BAD_SIGNATURE, "not signed by the registrar that it names")
    elif isinstance(action, Reopen):
        if not verify(action.arbiter, _reopening(chain_id, transaction.actor, action), action.consent):
            raise Refused(Reason.BAD_SIGNATURE, "not signed by the arbiter that it names")
    elif isinstance(action, Rotate):
        proof = ROTATION_TAG + chain_id + encode((transaction.actor, transaction.nonce))
        if not verify(action.new_key, proof, action.proof):
            raise Refused(Reason.BAD_SIGNATURE, "not signed by the new key")
    elif isinstance(action, Recover):
        word = _recovery(chain_id, action.subject, transaction.actor, action.step, transaction.expiry_height)
        said = [(key, word_of) for key, word_of in zip(action.guardians, action.signatures, strict=False) if word_of]
        if action.registrar or action.consent:
            said.append((action.registrar, action.consent))
        if not all(len(key) == KEY_BYTES and verify(key, word, word_of) for key, word_of in said):
            raise Refused(Reason.BAD_SIGNATURE, "not signed by the guardians, or the registrar, that it names")
    elif isinstance(action, Evidence):
        for raw in (action.first, action.second):
            verify_statement(decode_statement(raw), chain_id)
    return VerifiedTransaction(transaction)
