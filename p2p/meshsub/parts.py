"""What peers say to each other in ``/meshsub/1.1.0``, decoded.  Ids of peers are in base58."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

ID_BYTES = 32
"""Every message id of this network is a SHA-256; what has another length names nothing."""


@dataclass(frozen=True)
class Message:
    """What somebody published: ``author`` is a peer id in bytes, ``signature`` covers all but itself and ``key``."""

    author: bytes
    seqno: bytes
    topic: str
    data: bytes
    signature: bytes = b""
    key: bytes = b""

    @cached_property
    def id(self) -> bytes:
        """SHA-256 of the topic, with its length, and the content.

        Not author and sequence number: those start again when a node does, and its messages would be taken
        for old ones.
        """
        name = self.topic.encode()
        return sha256(len(name).to_bytes(4, "big") + name + self.data).digest()


@dataclass(frozen=True, slots=True)
class Subscription:
    """A peer begins or ends to listen to a topic."""

    topic: str
    begins: bool = True


@dataclass(frozen=True, slots=True)
class IHave:
    """Ids of messages that a peer has lately seen."""

    topic: str
    ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Prune:
    """A peer leaves our mesh, and wants no GRAFT for ``backoff_s``.  ``peers`` are whom it names to turn to instead."""

    topic: str
    backoff_s: int
    peers: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Rpc:
    """One frame."""

    subscriptions: tuple[Subscription, ...] = ()
    messages: tuple[Message, ...] = ()
    ihave: tuple[IHave, ...] = ()
    iwant: tuple[bytes, ...] = ()
    graft: tuple[str, ...] = ()
    prune: tuple[Prune, ...] = ()

    @property
    def parts(self) -> int:
        """How many things are said in it."""
        lists = (self.subscriptions, self.messages, self.ihave, self.graft, self.prune)
        return sum(map(len, lists)) + bool(self.iwant)
