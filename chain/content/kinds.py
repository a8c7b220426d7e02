"""The kinds of transactions: their numbers on the wire, how their fields are read, and whether a quota counts them.

Source: protocol 6.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chain.base.codec import U32_MAX, Read, a_blob, a_blob_or_nothing, an_integer, array, decode
from chain.base.errors import Reason, Refused
from chain.base.keys import SIGNATURE_BYTES
from chain.consensus.attestations import Attestation, decode_attestation
from chain.consensus.headers import MAX_HEADER_BYTES, Header, decode_header
from chain.consensus.statements import TAG_BYTES
from chain.content.actions import (
    ANNUL,
    APPEAL,
    ASK,
    CORRECT,
    DECLINE,
    LEAVE,
    MAINTAIN,
    POINTS_LIMIT,
    RECOVER,
    RECOVERY,
    SALT_BYTES,
    SLOT_LIMIT,
    STRIKE,
    UNDO,
    UPHOLD,
    Action,
    Anchor,
    Annul,
    Answer,
    Appeal,
    Approve,
    Attest,
    Consent,
    Dispute,
    Enrol,
    Evidence,
    FileRecord,
    Leave,
    Lost,
    NameGuardians,
    Object,
    Propose,
    Rate,
    Recover,
    Reopen,
    Repair,
    Reply,
    Retract,
    Rotate,
    Rule,
    Statement,
    Veto,
)
from chain.content.identities import MAX_GUARDIANS
from chain.content.proposals import MAX_POLICY_BYTES, Proposal, read_proposal

# All but two kinds stay far under 1 kB; evidence carries two headers, a motion may carry a whole policy.
MAX_USUAL_BYTES = 1_024
MAX_RECOVERY_BYTES = 1_280
MAX_EVIDENCE_BYTES = 2 * MAX_HEADER_BYTES + 512
MAX_TRANSACTION_BYTES = MAX_POLICY_BYTES + 512


def decode_statement(raw: bytes) -> Header | Attestation:
    """Read a header or an attestation.  Raises :class:`Refused` (``TOO_LARGE``, ``MALFORMED``)."""
    fields = decode(raw[:-SIGNATURE_BYTES], max_bytes=MAX_HEADER_BYTES)
    return decode_attestation(raw) if len(fields) == _ATTESTATION_FIELDS else decode_header(raw)


def _statement(value: Any, name: str) -> bytes:
    if type(value) is not bytes:
        raise Refused(Reason.MALFORMED, f"{name} is not a statement")
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


class Kind(NamedTuple):
    number: int
    name: str
    action: type[Action]
    is_counted: bool
    reads: tuple[Read, ...]
    max_bytes: int = MAX_USUAL_BYTES


# Whether a quota bounds it.  What answers somebody, or stops what is done to oneself, is bounded by what it answers;
# and nobody enrols twice.  Of what has steps the first asks, and the others answer; a correction may need no objection.
_COUNTED, _FREE = True, False
# One row a kind: its number on the wire, its name for people, its type, its quota, how its fields are read, its size.
KINDS = (
    Kind(
        1,
        "enrol",
        Enrol,
        _FREE,
        (a_blob_or_nothing(32), a_blob_or_nothing(SIGNATURE_BYTES), _U32, a_blob_or_nothing(32)),
    ),
    Kind(
        2,
        "rate",
        Rate,
        _COUNTED,
        (_KEY, _U32, _POINTS, a_blob_or_nothing(32), _SLOT, a_blob_or_nothing(SIGNATURE_BYTES)),
    ),
    Kind(3, "record", FileRecord, _COUNTED, _FILING),
    Kind(4, "object", Object, _FREE, (_KEY, _U32, _DIGEST)),
    Kind(5, "answer", Answer, _COUNTED, (_KEY, _U32, an_integer(CORRECT, MAINTAIN), _POINTS, a_blob_or_nothing(32))),
    Kind(6, "rule", Rule, _FREE, (_KEY, _U32, an_integer(STRIKE, UPHOLD), _DIGEST)),
    Kind(7, "repair", Repair, _COUNTED, (_KEY, _U32, an_integer(ASK, DECLINE), _DIGEST)),
    Kind(8, "statement", Statement, _COUNTED, (_KEY, _U32, a_blob_or_nothing(32))),
    Kind(9, "rotate", Rotate, _COUNTED, (_KEY, a_blob(SIGNATURE_BYTES))),
    Kind(10, "motion", Propose, _FREE, (_proposal,), MAX_TRANSACTION_BYTES),
    Kind(11, "approve", Approve, _FREE, (_U32,)),
    Kind(12, "evidence", Evidence, _FREE, (_statement, _statement), MAX_EVIDENCE_BYTES),
    Kind(13, "consent", Consent, _FREE, (_U32,)),
    Kind(14, "lost", Lost, _COUNTED, (a_blob(TAG_BYTES), a_blob(TAG_BYTES))),
    Kind(15, "reopen", Reopen, _COUNTED, (*_FILING, _KEY, a_blob(SIGNATURE_BYTES))),
    Kind(16, "appeal", Appeal, _FREE, (_KEY, _U32, _DIGEST)),
    Kind(17, "attest", Attest, _COUNTED, (_KEY, _U32, a_blob_or_nothing(32), _SLOT)),
    Kind(20, "retract", Retract, _COUNTED, (_KEY, _U32)),
    Kind(21, "dispute", Dispute, _FREE, (_KEY, _U32, _DIGEST)),
    Kind(22, "reply", Reply, _FREE, (_KEY, _U32, _DIGEST)),
    Kind(23, "guardians", NameGuardians, _COUNTED, (a_blob_or_nothing(32),)),
    Kind(
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
    Kind(25, "veto", Veto, _FREE, (an_integer(RECOVERY, LEAVE),)),
    Kind(26, "annul", Annul, _COUNTED, (_KEY, an_integer(ANNUL, APPEAL), _DIGEST)),
    Kind(27, "leave", Leave, _COUNTED, ()),
    Kind(28, "anchor", Anchor, _COUNTED, (an_integer(0, 255), _DIGEST, _DIGEST, a_blob_or_nothing(32), _DIGEST)),
)
KIND_BY_NUMBER = {kind.number: kind for kind in KINDS}
KIND_OF = {kind.action: kind for kind in KINDS}
# Of these some are, by what they say.
_COUNTED_AT_TIMES = (Answer, Repair, Annul, Attest)
_COUNTED_KINDS = frozenset(kind.action for kind in KINDS if kind.is_counted and kind.action not in _COUNTED_AT_TIMES)


def is_counted(action: Action) -> bool:
    """Whether a quota bounds it."""
    if type(action) in _COUNTED_KINDS:
        return True
    match action:
        case Repair(step=step) | Annul(step=step):
            return step in (ASK, ANNUL)
        case Answer(verdict=verdict):
            return verdict == CORRECT
        case Attest(digest=digest):
            return bool(digest)
    return False
