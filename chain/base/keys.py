"""Ed25519 keys, the one rule by which every node accepts a signature, and ``did:key``.

**The rule.**  ``signature = R || S`` (32 bytes each) by ``public = A`` over ``message`` is accepted if and
only if

1. ``A`` is canonical (its y is below p), a point of the curve, and not of small order;
2. ``R`` is canonical and not of small order, and ``S < L``;
3. the *cofactorless* equation holds: ``S*B == R + k*A`` with ``k = SHA-512(R || A || message) mod L``.

RFC 8032 (section 5.1.7) leaves implementations to differ on 1 and on the equation, and real ones do
(Chalkias, Garillot, Nikolaenko: "Taming the many EdDSAs", SSR 2020).  Two nodes that differ on one
signature fork the chain, so the choice is part of consensus.  Points of small order are refused because a
key of small order accepts one signature for many messages: it would not bind its holder.  ZIP-215 chose
the other way (cofactored, and non-canonical and small-order points pass) for the sake of batch
verification, which we do not use.

Points of *mixed* order stay legal, as keys and as ``R``.  The cofactorless equation is exact, so a holder
of such a key only spoils signatures of its own; and demanding prime order would rest the rule on a check
that libraries got wrong (CVE-2025-69277).

libsodium verifies and OpenSSL signs.  The releases of libsodium follow the rule, its development branch
turned cofactored in 2022, and PyNaCl may be built against any of them: :func:`self_test` tells.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.bindings import crypto_core_ed25519_add, crypto_sign_open
from nacl.exceptions import BadSignatureError

from chain.base.errors import InvariantBroken, OperatorError, Reason, Refused

SEED_BYTES: Final = 32
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_FIELD_PRIME: Final = 2**255 - 19
_NEUTRAL_POINT: Final = (1).to_bytes(KEY_BYTES, "little")
_Y_MASK: Final = 2**255 - 1  # the top bit of an encoding is the sign of x
_Y_OF_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
# The eight points of order 1, 2, 4 and 8 have these five y between them, whatever the sign of x.
_SMALL_ORDER_Y: Final = frozenset(
    {0, 1, _FIELD_PRIME - 1, _Y_OF_ORDER_8, _FIELD_PRIME - _Y_OF_ORDER_8},
)

_DERIVATION_DOMAIN: Final = b"goodfaith/derived-key/1/"

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUE: Final = {letter: value for value, letter in enumerate(_BASE58)}
_DID_PREFIX: Final = "did:key:z"  # z: multibase for base58btc
_MULTICODEC: Final = 0xED01  # multicodec ed25519-pub, as a varint
_DID_CHARS: Final = len(_DID_PREFIX) + 47  # 34 bytes that begin with 0xed01 always take 47 digits


class SecretKey:
    """An Ed25519 key that can sign.

    ``public`` is its 32-byte public key; ``seed`` is the secret itself, there for the key file and nothing
    else.  Raises :class:`OperatorError` if ``seed`` is not 32 bytes.
    """

    __slots__ = ("_key", "public", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise OperatorError(f"a secret key has {SEED_BYTES} bytes, this one has {len(seed)}")
        self.seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes_raw()

    @classmethod
    def generate(cls, random_bytes: bytes) -> SecretKey:
        """A new key from 32 bytes of the operating system's randomness, which the caller draws."""
        return cls(random_bytes)

    def derive(self, label: bytes) -> SecretKey:
        """The key for another purpose; it reveals nothing about this one (see :func:`derive_seed`)."""
        return SecretKey(derive_seed(self.seed, label))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature over ``message`` (RFC 8032, deterministic)."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SecretKey({did_from_key(self.public)})"


def derive_seed(seed: bytes, label: bytes) -> bytes:
    """32 bytes for the purpose ``label``: HKDF-SHA256 (RFC 5869) without salt, bound to this project."""
    return HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=_DERIVATION_DOMAIN + label).derive(seed)


def check_public_key(key: bytes) -> None:
    """Raise :class:`Refused` ``BAD_KEY`` for what part 1 of the rule refuses, so that :func:`verify` never accepts it.

    Meant to be called once for each key that enters the ledger; costs about 20 µs.
    """
    if len(key) != KEY_BYTES:
        raise Refused(Reason.BAD_KEY, f"a public key has {KEY_BYTES} bytes, this one has {len(key)}")
    y = int.from_bytes(key, "little") & _Y_MASK
    if y >= _FIELD_PRIME:
        raise Refused(Reason.BAD_KEY, "the public key is not in canonical form")
    if y in _SMALL_ORDER_Y:
        raise Refused(Reason.BAD_KEY, "the public key is of small order, so its signatures bind nobody")
    try:
        # libsodium has no plain test for "on the curve" (its is_valid_point also demands prime order),
        # but it adds nothing to a point that is not.
        crypto_core_ed25519_add(key, _NEUTRAL_POINT)
    except RuntimeError as error:
        raise Refused(Reason.BAD_KEY, "the public key is not a point of the curve") from error


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` by ``public`` over ``message`` is accepted: THE rule, at the top of this file.

    No bytes make it raise.  It releases the GIL while it computes.  Sources: RFC 8032 section 5.1.7;
    Chalkias et al., SSR 2020; libsodium's ``crypto_sign_ed25519_verify_detached``.
    """
    # The binding checks no lengths: it would read past a short key, and take a long signature's tail
    # for the beginning of the message.
    if len(public) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


def did_from_key(key: bytes) -> str:
    """The ``did:key:z6Mk…`` of a 32-byte public key (W3C CCG "The did:key Method", 56 characters).

    Raises :class:`Refused` (``BAD_KEY``) if ``key`` is not 32 bytes; it checks nothing else.
    """
    if len(key) != KEY_BYTES:
        raise Refused(Reason.BAD_KEY, f"a public key has {KEY_BYTES} bytes, this one has {len(key)}")
    number = _MULTICODEC << 256 | int.from_bytes(key, "big")
    digits = []
    while number:
        number, value = divmod(number, 58)
        digits.append(_BASE58[value])
    return _DID_PREFIX + "".join(reversed(digits))


def key_from_did(text: str) -> bytes:
    """The public key in a ``did:key:z6Mk…``, checked with :func:`check_public_key`.

    Raises :class:`Refused`: ``MALFORMED`` if the text is not the ``did:key`` of an Ed25519 key in its one
    canonical spelling, ``BAD_KEY`` if the key in it is not acceptable.
    """
    if not text.startswith(_DID_PREFIX):
        raise Refused(Reason.MALFORMED, f"a key begins with {_DID_PREFIX}6Mk")
    if len(text) != _DID_CHARS:
        raise Refused(
            Reason.MALFORMED,
            f"the did:key of an Ed25519 key has {_DID_CHARS} characters, this one has {len(text)}",
        )
    number = 0
    for position, letter in enumerate(text[len(_DID_PREFIX) :], start=len(_DID_PREFIX) + 1):
        value = _BASE58_VALUE.get(letter)
        if value is None:
            raise Refused(Reason.MALFORMED, f"character {position} of the did:key, {letter!a}, is not base58")
        number = number * 58 + value
    if number >> 256 != _MULTICODEC:
        raise Refused(Reason.MALFORMED, "the did:key is not that of an Ed25519 key (z6Mk…)")
    key = (number & (2**256 - 1)).to_bytes(KEY_BYTES, "big")
    check_public_key(key)
    return key


def keys_beginning(start: str) -> tuple[bytes, bytes]:
    """The first and the last key whose ``did:key`` goes on with ``start``, such as ``z6Mkha``.

    Raises :class:`Refused` (``MALFORMED``) where that begins none.
    """
    digits = start.removeprefix("z")
    if not set(digits) <= _BASE58_VALUE.keys() or len(digits) > _DID_CHARS - len(_DID_PREFIX):
        raise Refused(Reason.MALFORMED, f"{start!r} begins no did:key")
    ends = []
    for digit in "1z":
        number = 0
        for letter in digits.ljust(_DID_CHARS - len(_DID_PREFIX), digit):
            number = number * 58 + _BASE58_VALUE[letter]
        ends.append(min(max(number - (_MULTICODEC << 256), 0), 2**256 - 1).to_bytes(KEY_BYTES, "big"))
    return ends[0], ends[1]


class _Probe(NamedTuple):
    """A signature on which verifiers are known to differ.  The last three fields are hexadecimal."""

    what: str
    accept: bool
    public: str
    message: str
    signature: str


# 1: RFC 8032 section 7.1, TEST 2.  2, 5, 6, 7: cases 3, 2, 1 and 11 of ed25519-speccheck (tests/vectors/
# ed25519).  3: seed of zeros, R shifted by a point of order 8, made for this file.  4: probe 1 with S + L.
_PROBES: Final = (
    _Probe(
        "a plain signature",
        True,
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    _Probe(
        "a key and an R of mixed order",
        True,
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f"
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ),
    _Probe(
        "a signature that holds only when multiplied by the cofactor",
        False,
        "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        "676f6f646661697468",
        "087cf4291a94dddb284150ac82b49efb81b2dfa2615cd7a78385d555245344c9"
        "c556d5370a52f942dffd9ee2f57265c0d4600fd465c8d1709e91056d2e91ae05",
    ),
    _Probe(
        "an S above the group order",
        False,
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "f52db7415978abc61b2c2eb6aeebfca0387b2eaeb4302aeeb00d291612bb0c10",
    ),
    _Probe(
        "an R of small order",
        False,
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    _Probe(
        "a key of small order",
        False,
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    _Probe(
        "a key that is not canonical",
        False,
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
        "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc"
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
)
_PROBE_SEED: Final = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
# y = 2: its x² is not a square, so there is no such point.
_OFF_CURVE: Final = (2).to_bytes(KEY_BYTES, "little")


def self_test() -> None:
    """Raise :class:`InvariantBroken` if the linked libraries do not follow the rule.  Takes about 1 ms.

    A node runs it at start: with another libsodium it would leave the chain at the first odd signature.
    """
    for probe in _PROBES:
        public, message, signature = map(bytes.fromhex, probe[2:])
        if verify(public, message, signature) is not probe.accept:
            judged = "refuses" if probe.accept else "accepts"
            raise InvariantBroken(f"the linked libsodium {judged} {probe.what}, against the network's rule")
        if probe.accept and not _is_public_key(public):
            raise InvariantBroken("the linked libsodium refuses a good public key")
    if _is_public_key(_OFF_CURVE):
        raise InvariantBroken("the linked libsodium takes any 32 bytes for a public key")
    plain = _PROBES[0]
    key = SecretKey(_PROBE_SEED)
    if key.public.hex() != plain.public or key.sign(bytes.fromhex(plain.message)).hex() != plain.signature:
        raise InvariantBroken("the linked OpenSSL does not sign as RFC 8032 says")


def _is_public_key(key: bytes) -> bool:
    try:
        check_public_key(key)
    except Refused:
        return False
    return True
