"""What the HTTP API reads of the database, off the node's own turn: one at a time, each of one commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import trio

from chain.genesis import Genesis
from chain.inspection import Made, View, view_of
from chain.newest import Newest
from chain.reader import Reader
from p2p.local.problems import Problem

MAX_WAITING = 64
"""Questions that wait in a lane: a second of quick ones.  Whoever comes then is told to come back."""

MAX_KEPT = 64
"""Answers of the newest commit that are kept: many who look at the same page ask for the same."""

MAX_KEPT_BYTES = 500_000
"""A longer answer is made anew each time."""


class Told(NamedTuple):
    """An answer and the tag of what it was made from; no body where that is the tag that was known already."""

    tag: str | None
    body: bytes | None


class Lane:
    """Questions to a home's database, answered in a thread, one at a time; opened with the first one."""

    def __init__(self, path: Path, genesis: Genesis) -> None:
        self._path = path
        self._genesis = genesis
        self._reader: Reader | None = None
        self._made = Made()
        self._limiter = trio.CapacityLimiter(1)
        self._kept: Newest[str, Told] = Newest(MAX_KEPT)

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
            if known == tag:
                return Told(tag, None)
            kept = self._kept.get(name)
            if kept is None or kept.tag != tag:
                kept = Told(tag, question(view))
                if kept.body is not None and len(kept.body) <= MAX_KEPT_BYTES:
                    self._kept.renew(name, kept)
            return kept

    def close(self) -> None:
        """End the connection; nobody asks any more."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
