"""Transactions: what is signed, and what is no transaction."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from chain.base.codec import U32_MAX, U64_MAX, encode
from chain.base.errors import Reason, Refused
from chain.consensus.attestations import sign_attestation
from chain.consensus.headers import sign_header
from chain.content.actions import (
    APPEAL,
    ASK,
    AUDIT,
    CORRECT,
    DECLINE,
    LEAVE,
    MAINTAIN,
    POINTS_LIMIT,
    RECOVER,
    SLOT_LIMIT,
    STRIKE,
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
from chain.content.consents import sign_consent, sign_reopening, sign_rotation
from chain.content.kinds import MAX_TRANSACTION_BYTES, MAX_USUAL_BYTES
from chain.content.proposals import ALL_RIGHTS, MAX_GRANT, MAX_POLICY_BYTES, Accredit, Amend, Suspend
from chain.content.transactions import SIGNING_TAG, decode_transaction, sign_transaction, verify_transaction
from tests.support.refusals import refusal as refused
from tests.support.world import secret

CHAIN = sha256(b"one network").digest()
OTHER_CHAIN = sha256(b"another network").digest()
ANN, BOB = secret(1), secret(2)
SIGNATURE = bytes(64)


def raw(*fields: Any) -> bytes:
    return encode(fields) + SIGNATURE


def refusal(data: bytes) -> Reason:
    with pytest.raises(Refused) as caught:
        decode_transaction(data)
    return caught.value.reason


KEY, DIGEST, TAG = bytes(32), sha256(b"a document").digest(), bytes(range(16))
HEADERS = sorted(
    (
        sign_header(
            BOB,
            CHAIN,
            height=U64_MAX,
            slot=U64_MAX,
            parent=KEY,
            tag=TAG,
            mhg=U64_MAX,
            mhp=U64_MAX,
            votes_root=KEY,
            transaction_root=KEY,
            state_root=bytes([number]) * 32,
        )
        for number in range(2)
    ),
    key=lambda header: header.id,
)
ACCUSE = Evidence(HEADERS[0].raw, HEADERS[1].raw)
SAID = sign_attestation(BOB, CHAIN, tag=TAG, tip=KEY, height=U64_MAX, mhg=U64_MAX - 1, mhp=U64_MAX - 1)


def signed_reopening(action: Reopen) -> Reopen:
    return action._replace(consent=sign_reopening(BOB, CHAIN, ANN.public, action))


# Each kind with its smallest and its largest fields.
ACTIONS: list[Action] = [
    Enrol(),
    Enrol(policy_version=U32_MAX, guardians=DIGEST),
    Rate(BOB.public, 1, -10),
    Rate(KEY, U32_MAX, POINTS_LIMIT),
    Rate(KEY, 0, -POINTS_LIMIT),
    FileRecord(KEY, 0, -POINTS_LIMIT, 0, DIGEST, b"", -SLOT_LIMIT, 0),
    FileRecord(KEY, U32_MAX, POINTS_LIMIT, 255, DIGEST, DIGEST, SLOT_LIMIT, U32_MAX),
    Object(KEY, U32_MAX, DIGEST),
    Appeal(KEY, 0, DIGEST),
    Appeal(KEY, U32_MAX, DIGEST),
    signed_reopening(Reopen(KEY, 0, -POINTS_LIMIT, 0, DIGEST, b"", -SLOT_LIMIT, 0, BOB.public, b"")),
    signed_reopening(Reopen(KEY, U32_MAX, POINTS_LIMIT, 255, DIGEST, DIGEST, SLOT_LIMIT, U32_MAX, BOB.public, b"")),
    Answer(KEY, 0, CORRECT, -POINTS_LIMIT, b""),
    Answer(KEY, U32_MAX, MAINTAIN, POINTS_LIMIT, DIGEST),
    Rule(KEY, 0, STRIKE, DIGEST),
    Rule(KEY, U32_MAX, UPHOLD, DIGEST),
    Repair(KEY, 0, ASK, DIGEST),
    Repair(KEY, U32_MAX, DECLINE, DIGEST),
    Statement(KEY, 0, b""),
    Statement(KEY, U32_MAX, DIGEST),
    Propose(Suspend(KEY)),
    Propose(Accredit(KEY, ALL_RIGHTS, tuple(range(U32_MAX - MAX_GRANT, U32_MAX)), U64_MAX, U64_MAX)),
    Propose(Amend(U32_MAX, U64_MAX, bytes(MAX_POLICY_BYTES))),
    Approve(U32_MAX),
    ACCUSE,
    Evidence(HEADERS[0].raw, SAID.raw),
    Evidence(SAID.raw, HEADERS[0].raw),
    Evidence(SAID.raw, SAID.raw),
    Consent(0),
    Consent(U32_MAX),
    Lost(bytes(16), TAG),
    Retract(KEY, U32_MAX),
    Dispute(KEY, 0, DIGEST),
    Reply(KEY, U32_MAX, DIGEST),
    NameGuardians(b""),
    NameGuardians(DIGEST),
    Recover(KEY, RECOVER),
    Veto(LEAVE),
    Annul(KEY, APPEAL, DIGEST),
    Leave(),
    Anchor(0, KEY, KEY, b"", KEY),
    Anchor(AUDIT, DIGEST, DIGEST, DIGEST, DIGEST),
    Attest(KEY, 0, b"", -SLOT_LIMIT),
    Attest(KEY, U32_MAX, DIGEST, SLOT_LIMIT),
]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
@pytest.mark.parametrize("number", [0, 1, U64_MAX])
def test_what_was_signed_comes_back_and_verifies(action: Action, number: int) -> None:
    signed = sign_transaction(ANN, CHAIN, number, U64_MAX - number, action)

    assert decode_transaction(signed.raw) == signed
    assert verify_transaction(decode_transaction(signed.raw), CHAIN) == signed
    assert (signed.actor, signed.nonce, signed.expiry_height) == (ANN.public, number, U64_MAX - number)
    assert signed.action == action
    assert len(signed.raw) < 400 or isinstance(action, Propose | Evidence)


def test_the_bytes_are_those_of_the_documentation() -> None:
    signed = sign_transaction(ANN, CHAIN, 3, 99, Rate(BOB.public, 1, -7, b"", 0, b""))
    payload = encode((2, ANN.public, 3, 99, (BOB.public, 1, -7, b"", 0, b"")))
    assert signed.raw == payload + ANN.sign(SIGNING_TAG + CHAIN + payload)
    assert signed.id == sha256(signed.raw).digest()


def test_kinds_have_names() -> None:
    actions = [*ACTIONS, Rotate(BOB.public, sign_rotation(BOB, CHAIN, ANN.public, 0))]
    names = {type(action): sign_transaction(ANN, CHAIN, 0, 9, action).kind for action in actions}
    assert list(names.values()) == [
        "enrol", "rate", "record", "object", "appeal", "reopen", "answer", "rule",
        "repair", "statement", "motion", "approve", "evidence",
        "consent", "lost", "retract", "dispute", "reply", "guardians", "recover", "veto", "annul", "leave", "anchor",
        "attest", "rotate",
    ]  # fmt: skip


def unsigned_by_others(action: Action, nonce: int = 0, expiry: int = 9) -> Reason | None:
    """Why Ann's transaction is refused, whose own signature is good."""
    raw = sign_transaction(ANN, CHAIN, nonce, expiry, action).raw
    return refused(verify_transaction, decode_transaction(raw), CHAIN)


def test_a_registrars_consent_binds_the_member_the_expiry_and_the_network() -> None:
    consent = sign_consent(BOB, CHAIN, ANN.public, 9)
    assert unsigned_by_others(Enrol(BOB.public, consent)) is None
    cases = [
        (Enrol(BOB.public, consent), 10),
        (Enrol(ANN.public, consent), 9),
        (Enrol(BOB.public, sign_consent(BOB, CHAIN, BOB.public, 9)), 9),
        (Enrol(BOB.public, sign_consent(BOB, OTHER_CHAIN, ANN.public, 9)), 9),
        (Enrol(BOB.public, b""), 9),
        (Enrol(b"", consent), 9),
    ]
    for action, expiry in cases:
        assert unsigned_by_others(action, expiry=expiry) is Reason.BAD_SIGNATURE


def test_the_proof_of_a_new_key_binds_the_old_key_its_nonce_and_the_network() -> None:
    proof = sign_rotation(BOB, CHAIN, ANN.public, 3)
    assert unsigned_by_others(Rotate(BOB.public, proof), nonce=3) is None
    cases = [
        (Rotate(BOB.public, proof), 4),
        (Rotate(ANN.public, proof), 3),
        (Rotate(BOB.public, sign_rotation(BOB, CHAIN, BOB.public, 3)), 3),
        (Rotate(BOB.public, sign_rotation(BOB, OTHER_CHAIN, ANN.public, 3)), 3),
        (Rotate(BOB.public, bytes(64)), 3),
    ]
    for action, nonce in cases:
        assert unsigned_by_others(action, nonce) is Reason.BAD_SIGNATURE


def test_both_headers_of_evidence_are_signed() -> None:
    assert unsigned_by_others(ACCUSE) is None
    forged = ACCUSE.second[:-1] + bytes([ACCUSE.second[-1] ^ 1])
    assert unsigned_by_others(Evidence(ACCUSE.first, forged)) is Reason.BAD_SIGNATURE
    assert unsigned_by_others(Evidence(forged, ACCUSE.first)) is Reason.BAD_SIGNATURE


def test_only_motions_and_evidence_may_be_large() -> None:
    header = bytes(2_000)
    body = (9, ANN.public, 0, 9, (BOB.public, header))
    assert refusal(raw(*body)) is Reason.TOO_LARGE
    assert refusal(raw(12, ANN.public, 0, 9, (header, header))) is Reason.TOO_LARGE
    assert refusal(raw(10, ANN.public, 0, 9, ((5, 1, 0, bytes(MAX_POLICY_BYTES + 1)),))) is Reason.MALFORMED


def test_a_signature_binds_the_network_the_actor_and_every_byte() -> None:
    signed = sign_transaction(ANN, CHAIN, 3, 99, Rate(BOB.public, 1, -7, b"", 0, b""))
    forged = [
        (signed.raw, OTHER_CHAIN),
        (signed.raw[:-1] + bytes([signed.raw[-1] ^ 1]), CHAIN),
        (encode((2, BOB.public, 3, 99, (BOB.public, 1, -7, b"", 0, b""))) + signed.raw[-64:], CHAIN),
        (encode((2, ANN.public, 4, 99, (BOB.public, 1, -7, b"", 0, b""))) + signed.raw[-64:], CHAIN),
        (encode((2, ANN.public, 3, 99, (BOB.public, 1, 7, b"", 0, b""))) + signed.raw[-64:], CHAIN),
        (encode((1, ANN.public, 3, 99, (b"", b"", 1, b""))) + signed.raw[-64:], CHAIN),
    ]
    for data, chain in forged:
        with pytest.raises(Refused) as caught:
            verify_transaction(decode_transaction(data), chain)
        assert caught.value.reason is Reason.BAD_SIGNATURE


def test_an_arbiters_signature_binds_issuer_network_and_everything_it_reopens() -> None:
    good = signed_reopening(Reopen(KEY, 1, -5, 1, DIGEST, DIGEST, 7, 1, BOB.public, b""))
    others = [
        (ANN, CHAIN, good._replace(points=-6)),
        (ANN, CHAIN, good._replace(evidence=KEY)),
        (ANN, CHAIN, good._replace(established_slot=8)),
        (ANN, CHAIN, good._replace(arbiter=ANN.public)),
        (BOB, CHAIN, good),
        (ANN, OTHER_CHAIN, good),
    ]
    for signer, chain, action in others:
        with pytest.raises(Refused) as caught:
            verify_transaction(sign_transaction(signer, chain, 0, 9, action), chain)
        assert caught.value.reason is Reason.BAD_SIGNATURE


RATE = (2, ANN.public, 0, 9, (BOB.public, 1, 1, b"", 0, b""))
BROKEN = {
    "unknown kind": (13, *RATE[1:]),
    "kind 0": (0, *RATE[1:]),
    "a negative kind": (-1, *RATE[1:]),
    "a kind that equals 1": (True, ANN.public, 0, 9, ()),
    "a kind that is a float": (2.0, *RATE[1:]),
    "a kind that cannot be hashed": ({}, *RATE[1:]),
    "a short actor": (2, bytes(31), *RATE[2:]),
    "a long actor": (2, bytes(33), *RATE[2:]),
    "an actor that is an int": (2, 5, *RATE[2:]),
    "a negative nonce": (2, ANN.public, -1, *RATE[3:]),
    "a nonce of bytes": (2, ANN.public, b"1", *RATE[3:]),
    "a nonce that is true": (2, ANN.public, True, *RATE[3:]),
    "a negative expiry": (2, ANN.public, 0, -1, RATE[4]),
    "no expiry": (2, ANN.public, 0, None, RATE[4]),
    "a field too few": RATE[:4],
    "a field too many": (*RATE, 0),
    "an enrolment without fields": (1, ANN.public, 0, 9, ()),
    "an enrolment of one field": (1, ANN.public, 0, 9, (b"",)),
    "an enrolment with an int for a body": (1, ANN.public, 0, 9, 0),
    "an enrolment with half a key": (1, ANN.public, 0, 9, (bytes(16), bytes(64))),
    "a rating without a body": (2, ANN.public, 0, 9, ()),
    "a rating of two fields": (2, ANN.public, 0, 9, (BOB.public, 1)),
    "a rating of four fields": (2, ANN.public, 0, 9, (BOB.public, 1, 1, 1)),
    "a rating of bytes": (2, ANN.public, 0, 9, b"abc"),
    "a rating that is a map": (2, ANN.public, 0, 9, {}),
    "a short subject": (2, ANN.public, 0, 9, (bytes(31), 1, 1)),
    "a subject that is an array": (2, ANN.public, 0, 9, ((), 1, 1)),
    "a negative category": (2, ANN.public, 0, 9, (BOB.public, -1, 1)),
    "a large category": (2, ANN.public, 0, 9, (BOB.public, U32_MAX + 1, 1)),
    "too many points": (2, ANN.public, 0, 9, (BOB.public, 1, POINTS_LIMIT + 1)),
    "too few points": (2, ANN.public, 0, 9, (BOB.public, 1, -POINTS_LIMIT - 1)),
    "points that are true": (2, ANN.public, 0, 9, (BOB.public, 1, True)),
    "points that are a float": (2, ANN.public, 0, 9, (BOB.public, 1, 1.0)),
    "a slot too early": (3, ANN.public, 0, 9, (KEY, 1, 1, 0, DIGEST, b"", -SLOT_LIMIT - 1, 1)),
    "a slot too late": (3, ANN.public, 0, 9, (KEY, 1, 1, 0, DIGEST, b"", SLOT_LIMIT + 1, 1)),
    "a severity of two bytes": (3, ANN.public, 0, 9, (KEY, 1, 1, 256, DIGEST, b"", 1, 1)),
    "a record without evidence": (3, ANN.public, 0, 9, (KEY, 1, 1, 0, b"", b"", 1, 1)),
    "a reason of one byte": (3, ANN.public, 0, 9, (KEY, 1, 1, 0, DIGEST, b"x", 1, 1)),
    "an objection without grounds": (4, ANN.public, 0, 9, (KEY, 0, b"")),
    "verdict 0": (5, ANN.public, 0, 9, (KEY, 0, 0, 0, b"")),
    "verdict 4": (5, ANN.public, 0, 9, (KEY, 0, 4, 0, b"")),
    "a ruling that is none": (6, ANN.public, 0, 9, (KEY, 0, 3, DIGEST)),
    "a ruling without a reason": (6, ANN.public, 0, 9, (KEY, 0, 1, b"")),
    "step 0": (7, ANN.public, 0, 9, (KEY, 0, 0, DIGEST)),
    "step 4": (7, ANN.public, 0, 9, (KEY, 0, 4, DIGEST)),
    "half a statement": (8, ANN.public, 0, 9, (KEY, 0, bytes(16))),
    "a rotation without a proof": (9, ANN.public, 0, 9, (KEY, b"")),
    "a motion of nothing": (10, ANN.public, 0, 9, ((),)),
    "a motion of an unknown kind": (10, ANN.public, 0, 9, ((99, KEY),)),
    "a motion that is a number": (10, ANN.public, 0, 9, (2,)),
    "an approval of no motion": (11, ANN.public, 0, 9, (-1,)),
    "evidence of no headers": (12, ANN.public, 0, 9, (b"", b"")),
    "evidence of one header": (12, ANN.public, 0, 9, (HEADERS[0].raw, 7)),
}


@pytest.mark.parametrize("fields", BROKEN.values(), ids=BROKEN.keys())
def test_broken_fields_are_malformed(fields: tuple[Any, ...]) -> None:
    assert refusal(raw(*fields)) is Reason.MALFORMED


@pytest.mark.parametrize("size", [0, 1, 63, 64])
def test_what_has_no_payload_is_malformed(size: int) -> None:
    assert refusal(bytes(size)) is Reason.MALFORMED


def test_too_large_is_refused_before_it_is_read() -> None:
    assert refusal(b"\xc1" * (MAX_TRANSACTION_BYTES + 1)) is Reason.TOO_LARGE
    assert refusal(b"\xc1" * MAX_TRANSACTION_BYTES) is Reason.MALFORMED


def test_a_usual_transaction_is_smaller_than_a_motion_may_be() -> None:
    room = MAX_USUAL_BYTES - len(raw(2, ANN.public, 0, 9, (bytes(256), 1, 1)))
    assert refusal(raw(2, ANN.public, 0, 9, (bytes(256 + room), 1, 1))) is Reason.MALFORMED
    assert refusal(raw(2, ANN.public, 0, 9, (bytes(257 + room), 1, 1))) is Reason.TOO_LARGE


def test_a_byte_after_the_signature_makes_another_and_malformed_transaction() -> None:
    signed = sign_transaction(ANN, CHAIN, 0, 9, Enrol())
    assert refusal(signed.raw + b"\x00") is Reason.MALFORMED
    assert refusal(b"\x00" + signed.raw) is Reason.MALFORMED
