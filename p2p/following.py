"""Following a transaction at a node until its block is final."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from chain.base.errors import Disposition, Refused
from p2p.client import STATUS, Client, Found, NodeAway, submit, transaction, try_out

Until: TypeAlias = Literal["none", "included", "final"]

# Several looks a slot, but never a busy loop and never a dull one.
_LOOKS_A_SLOT = 4
_PAUSE_MS = 100, 1_000
_ENOUGH = {"none": ("waiting", "included", "final"), "included": ("included", "final"), "final": ("final",)}


class NotInTime(Exception):
    """The time to wait is over.  ``found`` is where the transaction was last, None where the node did not answer."""

    def __init__(self, found: Found | None) -> None:
        super().__init__(found)
        self.found = found


class Impossible(Refused):
    """A transaction that a node had taken will not enter a block: the rule that it would break by now."""


class Follower:
    """Watches one transaction at one node.

    With its encoding, ``raw``, it is also offered again where the node forgot it, and it is noticed when it has
    become impossible.  ``tell`` is told of each change in words for people, ``clock`` counts seconds.
    """

    def __init__(
        self,
        node: Client,
        transaction_id: bytes,
        raw: bytes | None,
        slot_ms: int,
        tell: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._node = node
        self._where = transaction(transaction_id)
        self._raw = raw
        self._pause_s = min(max(slot_ms // _LOOKS_A_SLOT, _PAUSE_MS[0]), _PAUSE_MS[1]) / 1000
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._told = ""
        self._tried_at: int | None = None

    def wait(self, until: Until, timeout_s: float) -> Found:
        """Until it is in a block, or final; an unknown one without its encoding is not waited for.

        Raises :class:`NotInTime` and :class:`Impossible`.
        """
        deadline = self._clock() + timeout_s
        found: Found | None = None
        while True:
            try:
                found = self._look()
            except NodeAway:
                self._say("the node does not answer; trying again")
            else:
                if found.state in _ENOUGH[until] or (found.state == "unknown" and self._raw is None):
                    return found
            if self._clock() >= deadline:
                raise NotInTime(found)
            self._sleep(self._pause_s)

    def _look(self) -> Found:
        status = self._node.ask(STATUS)
        found = self._node.ask(self._where)
        # A block may have made it impossible: worth a trial after each, and whenever the node knows nothing of it.
        is_news = found.state == "unknown" or (found.state == "waiting" and status["height"] != self._tried_at)
        if is_news and self._raw is not None:
            self._tried_at = status["height"]
            found = self._judge(found, self._raw)
        if found.height is None:
            self._say("waits for a block")
        else:
            self._say(f"included at height {found.height:,}; final up to height {status['finalized_height']:,}")
        return found

    def _judge(self, found: Found, raw: bytes) -> Found:
        """Whether what no block holds can still enter one; what the node forgot is offered again."""
        try:
            self._node.ask(try_out(raw))
            if found.state == "unknown":
                self._node.ask(submit(raw))
                self._say("the node had dropped it; offered again")
        except Refused as refusal:
            # It may have entered a block meanwhile, and be refused for that.
            found = self._node.ask(self._where)
            if found.height is None and refusal.reason.disposition is not Disposition.LATER:
                raise Impossible(refusal.reason, refusal.detail) from refusal
        return found

    def _say(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._tell(text)
