"""Which validator's machine a peer is: the validator's signature over the peer id, which its connection proves.

A machine's network key is not its validator's key, so that what the one signs is never taken for the other's.  Who
copies a credential gains nothing: it holds for a peer id whose key the copier does not have.
Source: protocol 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from chain.base.errors import Reason, Refused
from chain.base.keys import SecretKey, verify

_DOMAIN: Final = b"goodfaith/peer/1"
# A peer shows the same credential whenever it says where it stands.
_REMEMBERED: Final = 1_024


@dataclass(frozen=True, slots=True)
class Credential:
    """A validator's key and its signature, 32 and 64 bytes; both empty where a peer speaks for no validator."""

    key: bytes = b""
    signature: bytes = b""


NOBODY: Final = Credential()


def sign_credential(secret: SecretKey, chain_id: bytes, peer: str) -> Credential:
    """The machine whose peer id is ``peer`` is that of this validator."""
    return Credential(secret.public, secret.sign(_message(chain_id, peer)))


def check_credential(credential: Credential, chain_id: bytes, peer: str) -> None:
    """It was signed for this peer.  Raises :class:`Refused` ``BAD_SIGNATURE``."""
    if credential != NOBODY and not _is_signed(credential, chain_id, peer):
        raise Refused(Reason.BAD_SIGNATURE, "a credential of another peer")


@lru_cache(_REMEMBERED)
def _is_signed(credential: Credential, chain_id: bytes, peer: str) -> bool:
    return verify(credential.key, _message(chain_id, peer), credential.signature)


def _message(chain_id: bytes, peer: str) -> bytes:
    return _DOMAIN + chain_id + peer.encode()
