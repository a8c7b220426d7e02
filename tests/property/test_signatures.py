"""The acceptance rule, judged three ways that share no code: libsodium, OpenSSL, and exact arithmetic.

The point of order 8, T, generates the torsion subgroup.  A key ``a*B + j*T`` and an ``R = r*B + i*T`` are
made with known a, r, i and j; then ``S = r + k*a`` solves the equation on the prime-order part, and the
cofactorless equation holds if and only if ``i + k*j`` is a multiple of 8.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

from chain.base.errors import Reason, Refused
from chain.base.keys import SecretKey, check_public_key, did_from_key, key_from_did, verify

Judged = TypeVar("Judged", bytes, str)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (1).to_bytes(32, "little")
T = bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")

CASES = 4_000  # a run of 300,000 found nothing more
no_deadline = settings(deadline=None)  # the verdict must not depend on how fast the machine is
SPECCHECK = Path(__file__).parents[1] / "vectors" / "ed25519" / "speccheck.json"


def multiples_of_t() -> list[bytes]:
    points = [NEUTRAL]
    for _ in range(7):
        points.append(crypto_core_ed25519_add(points[-1], T))
    return points


TORSION = multiples_of_t()
# Bytes that decode to a torsion point for a lenient decoder: unreduced y, or "minus zero" for x.
LENIENT = {
    (P | 0 << 255).to_bytes(32, "little"): 2,
    (P | 1 << 255).to_bytes(32, "little"): 6,
    (P + 1).to_bytes(32, "little"): 0,
    (P + 1 | 1 << 255).to_bytes(32, "little"): 0,
    (1 | 1 << 255).to_bytes(32, "little"): 0,
    (P - 1 | 1 << 255).to_bytes(32, "little"): 4,
}
SMALL_ORDER = frozenset(TORSION) | frozenset(LENIENT)


def point(scalar: int, torsion: int) -> bytes:
    """The encoding of ``scalar*B + torsion*T``."""
    if scalar % L == 0:
        return TORSION[torsion % 8]
    return crypto_core_ed25519_add(
        crypto_scalarmult_ed25519_base_noclamp((scalar % L).to_bytes(32, "little")), TORSION[torsion % 8]
    )


def challenge(commitment: bytes, public: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(commitment + public + message).digest(), "little") % L


def on_curve(key: bytes) -> bool:
    """Whether x can be recovered from y (RFC 8032, section 5.1.3), with nothing but Python's integers."""
    encoded = int.from_bytes(key, "little")
    y, sign = encoded & 2**255 - 1, encoded >> 255
    if y >= P:
        return False
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    if x_squared == 0:
        return sign == 0
    return pow(x_squared, (P - 1) // 2, P) == 1


def is_acceptable(key: bytes) -> bool:
    return refusal(check_public_key, key) is None


def refusal(judge: Callable[[Judged], object], value: Judged) -> Reason | None:
    """Why ``judge`` refuses ``value``, if it does; anything else that it raises comes through."""
    try:
        judge(value)
    except Refused as error:
        return error.reason
    return None


def openssl_accepts(public: bytes, message: bytes, signature: bytes) -> bool:
    """The rule again: OpenSSL behind checks of its own on the key and on R."""
    if len(public) != 32 or public in SMALL_ORDER or signature[:32] in SMALL_ORDER:
        return False
    if int.from_bytes(public, "little") & 2**255 - 1 >= P:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True)
class Case:
    kind: str
    public: bytes
    message: bytes
    signature: bytes
    expected: bool


def honest(rng: random.Random) -> Case:
    key = SecretKey(rng.randbytes(32))
    message = rng.randbytes(rng.choice([0, 1, 32, rng.randrange(300)]))
    return Case("honest", key.public, message, key.sign(message), True)


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    bit = rng.randrange(len(data) * 8)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def mutated(rng: random.Random) -> Case:
    case = honest(rng)
    half = rng.choice(["key", "message", "R", "S", "sizes", "noise"])
    commitment, scalar = case.signature[:32], case.signature[32:]
    changed = {
        "key": lambda: replace(case, public=flip(case.public, rng)),
        "message": lambda: replace(case, message=flip(case.message + b"\0", rng)),
        "R": lambda: replace(case, signature=flip(commitment, rng) + scalar),
        "S": lambda: replace(case, signature=commitment + flip(scalar, rng)),
        "sizes": lambda: replace(case, signature=case.signature[: rng.randrange(64)]),
        "noise": lambda: replace(case, public=rng.randbytes(32), signature=rng.randbytes(64)),
    }[half]()
    return replace(changed, kind=f"mutated {half}", expected=False)


def other_scalar(rng: random.Random) -> Case:
    """The same S modulo L in a form that is not canonical."""
    case = honest(rng)
    scalar = int.from_bytes(case.signature[32:], "little") + L * rng.randrange(1, 15)
    return replace(
        case,
        kind="S not canonical",
        signature=case.signature[:32] + scalar.to_bytes(32, "little"),
        expected=False,
    )


def order(scalar: int, torsion: int) -> str:
    return "small" if scalar == 0 else "mixed" if torsion else "prime"


def crafted(rng: random.Random) -> Case:
    """Torsion in key and R, sometimes nothing but torsion; in half the cases made to cancel out if it can."""
    a = rng.choice([0, rng.randrange(1, L), rng.randrange(1, L)])
    r = rng.choice([0, rng.randrange(1, L), rng.randrange(1, L)])
    i, j = rng.choice([0, rng.randrange(8)]), rng.choice([0, rng.randrange(8)])
    public, commitment = point(a, j), point(r, i)
    if a == 0 and rng.random() < 0.5:
        public, j = rng.choice(sorted(LENIENT.items()))
    if r == 0 and rng.random() < 0.5:
        commitment, i = rng.choice(sorted(LENIENT.items()))
    ground = rng.random() < 0.5
    for _ in range(64):
        message = rng.randbytes(16)
        k = challenge(commitment, public, message)
        cancels = (i + k * j) % 8 == 0
        if cancels or not ground:
            break
    kind = f"A {order(a, j)}, R {order(r, i)}"
    signature = commitment + ((r + k * a) % L).to_bytes(32, "little")
    return Case(kind, public, message, signature, a != 0 and r != 0 and cancels)


def cases(rng: random.Random, count: int) -> Iterator[Case]:
    makers = [honest, mutated, mutated, other_scalar, crafted, crafted, crafted, crafted]
    for number in range(count):
        yield makers[number % len(makers)](rng)


def test_libsodium_openssl_and_arithmetic_accept_exactly_the_same() -> None:
    seen: Counter[tuple[str, bool]] = Counter()
    for case in cases(random.Random("ed25519 acceptance"), CASES):
        triple = (case.public, case.message, case.signature)
        assert verify(*triple) is case.expected, case
        assert openssl_accepts(*triple) is case.expected, case
        if case.expected:
            check_public_key(case.public)
        seen[case.kind, case.expected] += 1
    # Every kind of crafted case did come up, on each side of the equation that it can be on.
    both_sides = {("A prime, R prime", True), ("A prime, R mixed", False)}
    both_sides |= {(f"A mixed, R {r_order}", side) for r_order in ("prime", "mixed") for side in (True, False)}
    for kind_and_side in both_sides | {(f"A {a_order}, R small", False) for a_order in ("prime", "mixed")}:
        assert seen[kind_and_side] >= 20, kind_and_side
    assert ("A prime, R mixed", True) not in seen
    assert not any(accepted and "small" in kind for kind, accepted in seen)


@pytest.mark.parametrize("case", json.loads(SPECCHECK.read_text()), ids=lambda case: str(case["case"]))
def test_openssl_behind_the_checks_judges_the_published_cases_alike(case: dict[str, Any]) -> None:
    triple = tuple(bytes.fromhex(case[name]) for name in ("public_key", "message", "signature"))
    assert openssl_accepts(*triple) is case["accept"]


@no_deadline
@given(st.binary(max_size=40), st.binary(max_size=80), st.binary(max_size=80))
def test_no_bytes_make_verify_raise(public: bytes, message: bytes, signature: bytes) -> None:
    assert verify(public, message, signature) is False


@no_deadline
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300))
def test_what_is_signed_verifies_and_nothing_else(seed: bytes, message: bytes) -> None:
    key = SecretKey(seed)
    assert verify(key.public, message, key.sign(message))
    assert not verify(key.public, message + b"\0", key.sign(message))
    assert not verify(key.derive(b"network").public, message, key.sign(message))


@no_deadline
@given(st.one_of(st.binary(min_size=32, max_size=32), st.integers(0, 9).map(lambda n: n.to_bytes(32, "little"))))
def test_a_key_is_acceptable_if_it_is_a_canonical_point_not_of_small_order(key: bytes) -> None:
    assert is_acceptable(key) is (on_curve(key) and key not in SMALL_ORDER)


@no_deadline
@given(st.integers(1, L - 1), st.integers(0, 7))
def test_keys_of_prime_and_of_mixed_order_are_acceptable(scalar: int, torsion: int) -> None:
    assert is_acceptable(point(scalar, torsion))


@no_deadline
@given(st.integers(1, L - 1))
def test_did_and_key_name_each_other(scalar: int) -> None:
    key = point(scalar, 0)
    did = did_from_key(key)
    assert did.startswith("did:key:z6Mk")
    assert len(did) == 56
    assert key_from_did(did) == key


@no_deadline
@given(st.binary(min_size=32, max_size=32), st.integers(9, 55), st.characters())
def test_a_did_with_another_character_is_another_key_or_refused(key: bytes, at: int, letter: str) -> None:
    did = did_from_key(key)
    changed = did[:at] + letter + did[at + 1 :]
    if (reason := refusal(key_from_did, changed)) is None:
        assert did_from_key(key_from_did(changed)) == changed
    assert reason in (None, Reason.MALFORMED, Reason.BAD_KEY)


@no_deadline
@given(st.text(max_size=80))
def test_no_text_makes_key_from_did_raise_anything_but_refused(text: str) -> None:
    for candidate in (text, f"did:key:z{text}", f"did:key:z6Mk{text:1<44.44}"):
        if (reason := refusal(key_from_did, candidate)) is None:
            assert did_from_key(key_from_did(candidate)) == candidate
        assert reason in (None, Reason.MALFORMED, Reason.BAD_KEY)
