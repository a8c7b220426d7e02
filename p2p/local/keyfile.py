"""Key files: 32 secret bytes as hex digits, or encrypted under a passphrase.

An encrypted one is PKCS#8 in PEM (RFC 5958, RFC 7468), PBES2 with scrypt and AES-256-CBC (RFC 8018, RFC 7914).
``cryptography`` reads that, but what it *writes* is PBKDF2 with 2,048 rounds, whatever it is asked for (version 50:
``BestAvailableEncryption``; its encryption builder knows no PKCS#8), which a graphics card tries by the million.  So
the envelope, all of whose lengths are known, is written here, and each is read back by the library before it counts.

It keeps the key from whoever finds the file, a backup or a disk; not from whoever is on the machine while the node
runs.  CBC is not authenticated: a flipped bit in the file may be another key instead of an error, as it is in plain
hex.  A home notices (:meth:`chain.disk.storage.Storage.bind`).
"""

from __future__ import annotations

import base64
import os
import secrets
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from chain.base.errors import InvariantBroken, OperatorError
from chain.base.keys import SEED_BYTES, SecretKey
from p2p.local.passphrase import ASKED, Passphrase

SCRYPT_COST = 2**17
"""With blocks of 8: 128 MB and a second of a slow core for each guess, once at a node's start.

OpenSSL's command line stops at 32 MB and cannot read such a file; its library, through ``cryptography``, can.
"""
SCRYPT_BLOCK = 8

MAX_FILE_BYTES = 4_096
"""An encrypted key takes 300."""

_BEGIN, _END = b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"-----END ENCRYPTED PRIVATE KEY-----"
_PBES2 = bytes.fromhex("06092a864886f70d01050d")  # 1.2.840.113549.1.5.13
_SCRYPT = bytes.fromhex("06092b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11
_AES_256_CBC = bytes.fromhex("060960864801650304012a")  # 2.16.840.1.101.3.4.1.42
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30


def read_key(path: Path, passphrase: Passphrase = ASKED) -> SecretKey:
    """Read a key file.  Raises :class:`OperatorError`, also for one that others can read, or a wrong passphrase."""
    return open_key(path, passphrase)[0]


def open_key(path: Path, passphrase: Passphrase = ASKED) -> tuple[SecretKey, bytes | None]:
    """:func:`read_key`, and the passphrase that opened it, None for a plain one.  Raises :class:`OperatorError`."""
    content = _read(path)
    if content.startswith(_BEGIN):
        word = passphrase.of(path)
        return SecretKey(_decrypted(path, content, word)), word
    try:
        seed = bytes.fromhex(content.decode("ascii"))
    except ValueError:
        seed = b""
    if len(seed) != SEED_BYTES:
        raise OperatorError(
            f"{path} is not a key ({2 * SEED_BYTES} hex digits, or an encrypted one); name another, or restore it from "
            "your backup"
        )
    return SecretKey(seed), None


def is_encrypted(path: Path) -> bool:
    """Whether there is an encrypted key at ``path`` that this user may read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGIN)) == _BEGIN
    except OSError:
        return False


def _read(path: Path) -> bytes:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES).strip()
    except FileNotFoundError as error:
        raise OperatorError(f"{path} is missing; name another, or restore it from your backup") from error
    except PermissionError as error:
        raise OperatorError(f"{path} cannot be read by this user; run this as the user whose home it is") from error
    except OSError as error:
        raise OperatorError(f"{path} cannot be read ({error.strerror}); restore it from your backup") from error
    if os.name == "posix" and mode & 0o077:
        raise OperatorError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
    return content


def write_key(path: Path, seed: bytes, word: bytes | None = None) -> None:
    """Write a new key file that only its owner can read, or none; with a passphrase ``word`` it is encrypted.

    Raises ``OSError``, also where the file exists.
    """
    content = seed.hex().encode() + b"\n" if word is None else _encrypted(seed, word)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink()
        raise


def rewrite_key(path: Path, seed: bytes, word: bytes | None) -> None:
    """Replace the key file at ``path`` by one of the same key, whole or not at all.  Raises :class:`OperatorError`."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        draft.unlink(missing_ok=True)
        write_key(draft, seed, word)
        draft.replace(path)
    except OSError as error:
        raise OperatorError(f"{path} cannot be written ({error.strerror}), and is as it was; make room") from error


# ------------------------------------------------------------------------------------------------ the envelope


def _encrypted(seed: bytes, word: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(seed)
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    salt, vector = secrets.token_bytes(16), secrets.token_bytes(16)
    derived = Scrypt(salt=salt, length=32, n=SCRYPT_COST, r=SCRYPT_BLOCK, p=1).derive(word)
    cipher = Cipher(algorithms.AES256(derived), modes.CBC(vector)).encryptor()
    padding = 16 - len(plain) % 16
    hidden = cipher.update(plain + bytes([padding]) * padding) + cipher.finalize()
    costs = (_item(_OCTETS, salt), *map(_number, (SCRYPT_COST, SCRYPT_BLOCK, 1)))
    derivation = _item(_SEQUENCE, _SCRYPT, _item(_SEQUENCE, *costs))
    encryption = _item(_SEQUENCE, _AES_256_CBC, _item(_OCTETS, vector))
    scheme = _item(_SEQUENCE, _PBES2, _item(_SEQUENCE, derivation, encryption))
    digits = base64.b64encode(_item(_SEQUENCE, scheme, _item(_OCTETS, hidden)))
    content = b"\n".join([_BEGIN, *(digits[at : at + 64] for at in range(0, len(digits), 64)), _END, b""])
    if _decrypted(Path(), content, word) != seed:
        raise InvariantBroken("an encrypted key is not what was encrypted")
    return content


def _item(tag: int, *parts: bytes) -> bytes:
    """One item in DER (X.690) of less than 256 bytes."""
    content = b"".join(parts)
    return bytes([tag, len(content)] if len(content) < 128 else [tag, 0x81, len(content)]) + content


def _number(value: int) -> bytes:
    return _item(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _decrypted(path: Path, content: bytes, word: bytes) -> bytes:
    try:
        key = serialization.load_pem_private_key(content, word)
    except (ValueError, TypeError, UnsupportedAlgorithm, MemoryError) as error:
        # One byte in 256 of what a wrong passphrase makes looks like padding: then it is not called wrong.
        raise OperatorError(
            f"the passphrase does not open {path}; try another, or restore the file from your backup if it is damaged"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError(f"{path} holds a key of another kind than Ed25519; name another")
    return key.private_bytes_raw()
