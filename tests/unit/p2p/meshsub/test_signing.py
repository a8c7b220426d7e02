"""Signatures of messages: ours hold for the library, the library's for us, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.secp256k1 import create_new_key_pair as create_other_key_pair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.validators import PUBSUB_SIGNING_PREFIX, signature_validator

from p2p.meshsub.parts import Message, Rpc
from p2p.meshsub.signing import author_of, is_signed, signed
from p2p.meshsub.wire import decode, encode

KEYS = create_new_key_pair(b"\x07" * 32)
OURS = signed(KEYS.private_key.sign, KEYS.public_key.to_bytes(), 2**63 + 5, "/a/topic", b"data" * 100)


def as_the_library_has_it(message: Message) -> rpc_pb2.Message:
    rpc = rpc_pb2.RPC()
    rpc.ParseFromString(encode(Rpc(messages=(message,))))
    return rpc.publish[0]


def test_an_author_is_the_peer_id_of_its_key() -> None:
    assert author_of(KEYS.public_key.to_bytes()) == ID.from_pubkey(KEYS.public_key).to_bytes()


def test_what_we_sign_holds_here_and_for_the_library() -> None:
    assert is_signed(OURS)
    assert OURS.key == KEYS.public_key.serialize()
    assert signature_validator(as_the_library_has_it(OURS))


@pytest.mark.parametrize("with_key", [True, False])
def test_what_others_sign_holds_here(with_key: bool) -> None:
    theirs = rpc_pb2.Message(from_id=OURS.author, seqno=bytes(8), data=b"", topicIDs=["t" * 200])
    theirs.signature = KEYS.private_key.sign(PUBSUB_SIGNING_PREFIX.encode() + theirs.SerializeToString())
    if with_key:
        theirs.key = KEYS.public_key.serialize()
    # An empty content is not left out by the library, which wants it there when it verifies.
    (read,) = decode(rpc_pb2.RPC(publish=[theirs]).SerializeToString()).messages
    assert is_signed(read)


@pytest.mark.parametrize(
    "spoilt",
    [
        replace(OURS, data=b"other"),
        replace(OURS, topic="/another/topic"),
        replace(OURS, seqno=bytes(8)),
        replace(OURS, seqno=b"1"),
        replace(OURS, seqno=b""),
        replace(OURS, signature=b""),
        replace(OURS, signature=bytes(64)),
        replace(OURS, signature=OURS.signature + b"\x00"),
        replace(OURS, author=b""),
        replace(OURS, author=b"\xff\x00"),
        replace(OURS, author=author_of(bytes(32))),
        replace(OURS, author=OURS.author + b"\x00"),
        replace(OURS, key=b"\xff\xff\xff"),
        replace(OURS, key=bytes(1_000_000)),
    ],
)
def test_nothing_else_holds(spoilt: Message) -> None:
    assert not is_signed(spoilt)


def test_another_kind_of_key_holds_for_nobody_here() -> None:
    keys = create_other_key_pair()
    other = rpc_pb2.Message(
        from_id=ID.from_pubkey(keys.public_key).to_bytes(), seqno=bytes(8), data=b"x", topicIDs=["t"]
    )
    other.signature = keys.private_key.sign(PUBSUB_SIGNING_PREFIX.encode() + other.SerializeToString())
    (read,) = decode(rpc_pb2.RPC(publish=[other]).SerializeToString()).messages
    assert not is_signed(read)
