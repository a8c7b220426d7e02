"""Who published a message, and proof of it: the policy StrictSign, with the one kind of key that this network has.

Source: libp2p specifications, "pubsub" (message signing) and "peer ids": the id of an Ed25519 key is the key itself
under an identity hash, so a message needs no ``key``; where it has one, it is the same.
"""

from __future__ import annotations

from collections.abc import Callable

from chain.base.keys import KEY_BYTES, verify
from p2p.meshsub.parts import Message

SEQNO_BYTES = 8
_DOMAIN = b"libp2p-pubsub:"
_KEY_HEADER = b"\x08\x01\x12\x20"  # protobuf of a public key: type Ed25519, 32 bytes
_ID_HEADER = b"\x00\x24"  # multihash: identity, 36 bytes


def author_of(public: bytes) -> bytes:
    """The peer id, in bytes, of an Ed25519 key of 32 bytes."""
    return _ID_HEADER + _KEY_HEADER + public


def signed(sign: Callable[[bytes], bytes], public: bytes, seqno: int, topic: str, data: bytes) -> Message:
    """A message of ours, signed.  ``seqno`` has 64 bits."""
    author, number = author_of(public), seqno.to_bytes(SEQNO_BYTES, "big")
    signature = sign(_payload(Message(author, number, topic, data)))
    return Message(author, number, topic, data, signature, _KEY_HEADER + public)


def is_signed(message: Message) -> bool:
    """Whether a message was signed by its author.  No bytes make it raise."""
    public = message.author[-KEY_BYTES:]
    return (
        message.author == author_of(public)
        and len(message.seqno) == SEQNO_BYTES
        and message.key in (b"", _KEY_HEADER + public)
        and verify(public, _payload(message), message.signature)
    )


def _payload(message: Message) -> bytes:
    """What is signed: the domain, and the protobuf of the message without signature and key."""
    name = message.topic.encode()
    fields = ((1, message.author), (2, message.data), (3, message.seqno), (4, name))
    return _DOMAIN + b"".join(bytes([number << 3 | 2]) + _varint(len(value)) + value for number, value in fields)


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])
