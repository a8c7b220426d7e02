"""What the conversation of peers needs of the node behind it."""

from __future__ import annotations

from typing import Protocol

from chain.branches.blockchain import Blockchain
from chain.content.genesis import Genesis
from chain.protocol.events import Event
from chain.protocol.messages import GetPart, Status
from chain.protocol.serving import Question


class Backend(Protocol):
    """A node, as :mod:`p2p.protocol` knows it."""

    genesis: Genesis

    @property
    def chain(self) -> Blockchain:
        """What announcements are judged by."""

    @property
    def has_room(self) -> bool:
        """Whether transactions that peers pass on are looked at."""

    @property
    def takes_strangers(self) -> bool:
        """Whether signatures of keys that did not enrol yet are looked at."""

    def now_ms(self) -> int:
        """What time it is here, in Unix milliseconds."""

    def status(self) -> Status:
        """Where this node stands."""

    async def post(self, event: Event) -> None:
        """Queue an event for the engine; waits only while the queue is full."""

    async def answer(self, question: Question) -> bytes:
        """The reply to a peer's question: see :func:`chain.protocol.serving.answer`."""

    async def prove(self, key: bytes) -> bytes:
        """A proof of where the owner of ``key`` stands in the newest final state.  Raises :class:`Refused`."""

    async def give(self, question: GetPart) -> bytes:
        """A part of the state under a root.  Raises :class:`Refused` where that is not at hand."""
