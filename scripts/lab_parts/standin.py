"""What signs in the browser, where libsodium and OpenSSL are not.  **These are no signatures**: whoever knows a public
key could make one.  Nobody in the simulation does; its villains sign with keys of their own, as they would in a real
network.  Everything else is the node's own code.
"""

from __future__ import annotations

import hmac
import sys
from hashlib import sha256, sha512
from types import ModuleType
from typing import Any

_SIGNATURE_BYTES = 64


def _sign(public: bytes, message: bytes) -> bytes:
    return sha512(b"stand-in" + public + message).digest()


class BadSignatureError(Exception):
    """As PyNaCl has it."""


class _PublicKey:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def public_bytes_raw(self) -> bytes:
        return self._raw


class _PrivateKey:
    def __init__(self, seed: bytes) -> None:
        key = bytearray(sha256(b"stand-in" + seed).digest())
        key[-1] &= 0x3F  # a number below the field's prime, as every key must be
        self._public = bytes(key)

    from_private_bytes = classmethod(lambda cls, seed: cls(seed))

    def public_key(self) -> _PublicKey:
        return _PublicKey(self._public)

    def sign(self, message: bytes) -> bytes:
        return _sign(self._public, message)


class _Hkdf:
    def __init__(self, algorithm: object, length: int, salt: bytes | None, info: bytes) -> None:
        self._info, self._length = info, length

    def derive(self, seed: bytes) -> bytes:
        return hmac.digest(seed, self._info, "sha256")[: self._length]


def _open(signed: bytes, public: bytes) -> bytes:
    signature, message = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
    if signature != _sign(public, message):
        raise BadSignatureError
    return message


def take_the_place() -> None:
    """From now on whoever imports the libraries for signatures gets the stand-in."""
    primitives = "cryptography.hazmat.primitives"
    for package in ("cryptography", "cryptography.hazmat", primitives, f"{primitives}.kdf", "nacl"):
        _module(package)
    _module(f"{primitives}.asymmetric")
    _module(f"{primitives}.asymmetric.ed25519", Ed25519PrivateKey=_PrivateKey, Ed25519PublicKey=_PublicKey)
    _module(f"{primitives}.hashes", SHA256=object)
    _module(f"{primitives}.kdf.hkdf", HKDF=_Hkdf)
    _module("nacl.bindings", crypto_sign_open=_open, crypto_core_ed25519_add=lambda key, _other: key)
    _module("nacl.exceptions", BadSignatureError=BadSignatureError)


def _module(name: str, **names: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(names, __path__=[])
    sys.modules[name] = module
