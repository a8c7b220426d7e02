"""What happened to all members, kept while a node runs: no final block is executed twice to tell it.

It costs as much memory as the state and :data:`MAX_EVENTS` events, and as much time as the chain took to execute; what
was read when somebody stopped waiting is kept for whoever asks next.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator

from chain.base.errors import InvariantBroken
from chain.branches.ledger import Ledger
from chain.consensus.votes import Votes
from chain.content.genesis import Genesis
from chain.disk.history import Event, Execution, Step, concerned, told
from chain.disk.inspection import Unclear, View

MAX_EVENTS = 200_000
"""About 80 MB; the oldest are forgotten first."""

MAX_MEMBERS = 100_000
"""The state of a larger register is not kept a second time."""

_READ_BLOCKS = 16


class Past:
    """What happened up to the newest final block that was looked at."""

    def __init__(self, genesis: Genesis) -> None:
        self.forgotten_height = 0
        self._ledger = Ledger(genesis)
        self._votes = Votes.genesis(genesis.validators, genesis.batch)
        self._events: defaultdict[bytes, deque[Event]] = defaultdict(deque)
        self._order: deque[bytes] = deque()  # whose events they are, oldest first

    def about(self, view: View, identity: bytes, advance: Callable[[int], None]) -> list[Event]:
        """What happened to a member up to the head; ``advance`` is told of executed blocks, and may raise.

        Raises :class:`Unclear` for a register that is too large, :class:`InvariantBroken` for a chain that was final
        and is no more, and :class:`Refused` as :class:`~chain.disk.history.Execution` does.
        """
        if view.reader.count_members() > MAX_MEMBERS:
            raise Unclear(f"{MAX_MEMBERS} members are too many for a running node; its home can be asked beside it")
        self._keep_up(view, advance)
        known = list(self._events.get(identity, ()))
        kept, votes = self._ledger.height, self._votes
        try:
            fresh = [event for step in self._steps(view, view.head_height) for event in told(identity, step)]
        finally:
            for _ in range(self._ledger.height - kept):
                self._ledger.undo()
            self._votes = votes
        return known + fresh

    def _keep_up(self, view: View, advance: Callable[[int], None]) -> None:
        """Execute what became final since."""
        if view.finalized_height < self._ledger.height:
            raise InvariantBroken("what was final is so no more")
        while self._ledger.height < view.finalized_height:
            before = self._ledger.height
            for step in self._steps(view, min(before + _READ_BLOCKS, view.finalized_height)):
                for identity in concerned(step, self._events):
                    for event in told(identity, step):
                        self._keep(identity, event)
            if self._ledger.height == before:
                raise Unclear("this home does not hold all blocks since the genesis; ask one that does")
            self._ledger.settle(self._ledger.height)
            advance(self._ledger.height - before)

    def _steps(self, view: View, height: int) -> Iterator[Step]:
        first = self._ledger.height + 1
        for start in range(first, height + 1, _READ_BLOCKS):
            for block in view.reader.blocks(start, min(_READ_BLOCKS, height - start + 1)):
                execution = Execution(self._ledger, self._votes, block)
                yield from execution
                self._votes = execution.votes

    def _keep(self, identity: bytes, event: Event) -> None:
        self._events[identity].append(event)
        self._order.append(identity)
        if len(self._order) > MAX_EVENTS:
            leaver = self._order.popleft()
            self.forgotten_height = self._events[leaver].popleft().height
            if not self._events[leaver]:
                del self._events[leaver]
