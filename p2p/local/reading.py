"""What the HTTP API reads of the database, off the node's own turn: one at a time, each of one commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import trio

from chain.base.errors import InvariantBroken, Refused
from chain.base.newest import Newest
from chain.content.genesis import Genesis
from chain.disk.inspection import Made, View, view_of
from chain.disk.past import Past
from chain.disk.places import Place
from chain.disk.reader import Reader
from p2p.local.problems import Problem

MAX_WAITING = 64
"""Questions that wait in a lane: a second of quick ones.  Whoever comes then is told to come back."""

MAX_KEPT = 64
"""Answers of the newest commit that are kept: many who look at the same page ask for the same."""

MAX_KEPT_BYTES = 500_000
"""A longer answer is made anew each time."""


REST = 10
"""A costly answer is told again for so many times as long as it took: at most a tenth of a core goes into them.  Each
says as of which height it is."""


class Told(NamedTuple):
    """An answer and the tag of what it was made from; no body where that is the tag that was known already."""

    tag: str | None
    body: bytes | None


class Kept(NamedTuple):
    """An answer, and until when (of the monotonic clock) it is told though there may be a newer one."""

    told: Told
    until_s: float


class Lane:
    """Questions to a home's database, answered in a thread, one at a time; opened with the first one.

    Answers ``rest`` for so many times as long as they took, whatever is new meanwhile.
    """

    def __init__(self, path: Place, genesis: Genesis, rest: int = 0) -> None:
        self._path = path
        self._genesis = genesis
        self._rest = rest
        self._past: Past | None = None
        self._reader: Reader | None = None
        self._made = Made()
        self._limiter = trio.CapacityLimiter(1)
        self._kept: Newest[str, Kept] = Newest(MAX_KEPT)

    async def ask(self, name: str, question: Callable[[View], bytes], known: str | None) -> Told:
        """The answer, which ``name`` names among all; none where it has the tag that is ``known``.

        Raises :class:`Problem`, and what the question raises.
        """
        if self._limiter.statistics().tasks_waiting >= MAX_WAITING:
            raise Problem(503, "too many ask at once; ask again", retry_s=1)
        return await trio.to_thread.run_sync(self._answer, name, question, known, limiter=self._limiter)

    def _answer(self, name: str, question: Callable[[View], bytes], known: str | None) -> Told:
        if self._reader is None:
            self._reader = Reader(self._path, self._genesis)
        with self._reader.consistent():
            view = view_of(self._reader, self._made)
            tag = f"{(view.block_id(view.head_height) or '')[:16]}-{self._reader.commits()}"
            kept, now_s = self._kept.get(name), time.monotonic()
            if kept is None or (kept.told.tag != tag and kept.until_s <= now_s):
                if known == tag:
                    return Told(tag, None)
                body = question(view)
                kept = Kept(Told(tag, body), now_s + (self._rest + 1) * (time.monotonic() - now_s))
                if len(body) <= MAX_KEPT_BYTES:
                    self._kept.renew(name, kept)
            return Told(known, None) if known == kept.told.tag else kept.told

    def with_past(self, question: Callable[[View, Past], bytes]) -> Callable[[View], bytes]:
        """A question that also needs what happened; it is forgotten where anything is wrong with it."""

        def ask(view: View) -> bytes:
            self._past = self._past or Past(self._genesis)
            try:
                return question(view, self._past)
            except (InvariantBroken, Refused):
                self._past = None
                raise

        return ask

    def close(self) -> None:
        """End the connection; nobody asks any more."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
