"""Many rows on their way at once: each tried, signed, kept on disk, sent and followed, and never filed twice.

What is sent was on disk before, and what is on disk is offered again as the same bytes.  A row is signed anew only
where its transaction can enter no chain any more: it expired, or a final block used its nonce for something else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TypeVar

from chain.base.errors import Reason, Refused
from chain.base.keys import did_from_key
from chain.content.actions import FileRecord
from chain.content.transactions import sign_transaction
from p2p import client
from p2p.client import STATUS, NodeAway, Query
from p2p.following import Follower, Impossible, NotInTime, Until
from scripts.registry_parts.journal import Journal, Signed
from scripts.registry_parts.rows import Row
from scripts.registry_parts.session import Session

T = TypeVar("T")

# As many as a node tries at once.
WINDOW = 16
# A trial looks past 256 waiting transactions of one actor; with these under way it sees all of them.
MAX_UNDER_WAY = 200
# As many as one submission may carry, with room for the bytes.
_MAX_SENT = 256
# As long as a pool keeps what waits.  Longer, and a row whose turn never comes could be signed anew only much later.
_LIFETIME_BLOCKS = 256
_PAUSE_S = 0.2
# What says only that something else came first; the row itself may be as good as before.
_OVERTAKEN = frozenset({Reason.NONCE_USED, Reason.NONCE_TAKEN, Reason.NONCE_GAP, Reason.EXPIRED})
_DEAD = frozenset({Reason.NONCE_USED, Reason.EXPIRED})


@dataclass
class Outcome:
    """What became of rows: filed in this run, filed before it, refused, or on their way still."""

    filed: list[Row] = field(default_factory=list)
    before: list[Row] = field(default_factory=list)
    refused: list[tuple[Row, Refused]] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)


class Filing:
    """One run over the rows of a table; ``advance`` is told of each row that is settled.

    ``timeout_s`` is how long nothing may move before the run gives up.
    """

    def __init__(
        self, session: Session, journal: Journal, until: Until, timeout_s: float, advance: Callable[[int], None]
    ) -> None:
        self._session = session
        self._node = session.node
        self._journal = journal
        self._until = until
        self._timeout_s = timeout_s
        self._advance = advance
        self._todo: deque[Row] = deque()
        self._under_way: deque[tuple[Row, Signed]] = deque()
        self._recorded: dict[bytes, set[tuple[str, int, int]]] = {}
        self._outcome = Outcome()
        self._moved()

    def run(self, rows: Sequence[Row]) -> Outcome:
        """File what is not filed yet; what does not get there in time is left waiting."""
        try:
            self._sort(rows)
            self._send([signed for _, signed in self._under_way])
            while self._todo or self._under_way:
                if self._todo and len(self._under_way) <= MAX_UNDER_WAY - WINDOW:
                    self._file_some()
                elif self._until == "none" and not self._todo:
                    break
                else:
                    self._follow_one()
        except NotInTime:
            pass
        refused = [row for row, _ in self._outcome.refused]
        settled = {row.mark for row in (*self._outcome.filed, *self._outcome.before, *refused)}
        self._outcome.waiting = [row for row in rows if row.mark not in settled]
        return self._outcome

    def _sort(self, rows: Sequence[Row]) -> None:
        """What is done, what an earlier run signed, and what nobody has begun."""
        begun = []
        for row in rows:
            if row.mark in self._journal.done:
                self._settle(self._outcome.before, row)
            elif row.mark in self._journal.signed:
                begun.append((row, self._journal.signed[row.mark]))
            else:
                self._todo.append(row)
        self._under_way.extend(sorted(begun, key=lambda pair: pair[1].nonce))

    # ---------------------------------------------------------------------------------------------- new rows

    def _file_some(self) -> None:
        """Try the next rows together; keep and send those before the first that is refused."""
        window = self._next_rows()
        signed = self._sign(window)
        outcomes = self._ask(client.try_all(one.raw for one in signed)) if signed else []
        good = sum(1 for _ in takewhile(lambda outcome: outcome is None, outcomes))
        self._journal.sign(signed[:good])
        self._under_way.extend(zip(window, signed[:good], strict=False))
        self._todo.extendleft(reversed(window[good + 1 :]))
        self._send(signed[:good])
        for row, refusal in zip(window[good : good + 1], outcomes[good:], strict=False):
            if refusal is not None and refusal.reason in _OVERTAKEN:
                self._todo.appendleft(row)
                self._wait()
            elif refusal is not None:
                self._refuse(row, refusal)

    def _next_rows(self) -> list[Row]:
        window: list[Row] = []
        while self._todo and len(window) < WINDOW:
            row = self._todo.popleft()
            if self._is_recorded(row):
                self._journal.finish(row.mark)
                self._settle(self._outcome.before, row)
            else:
                window.append(row)
        return window

    def _is_recorded(self, row: Row) -> bool:
        """Whether the same stands on the chain: the journal may be lost."""
        deed = row.deed
        if not isinstance(deed, FileRecord):
            return False  # the same rating again changes nothing
        if deed.subject not in self._recorded:
            found = self._ask(client.records(deed.subject))["records"]
            mine = [record for record in found if record["issuer"] == did_from_key(self._session.secret.public)]
            self._recorded[deed.subject] = {
                (record["evidence"], record["code"], record["established_slot"]) for record in mine
            }
        return (deed.evidence.hex(), deed.category, deed.established_slot) in self._recorded[deed.subject]

    def _sign(self, window: list[Row]) -> list[Signed]:
        session = self._session
        account = self._ask(client.account(session.secret.public))
        expiry = account["height"] + min(_LIFETIME_BLOCKS, session.genesis.max_expiry_blocks)
        made = [
            sign_transaction(session.secret, session.genesis.id, account["next_free"] + at, expiry, row.deed)
            for at, row in enumerate(window)
        ]
        return [Signed(row.mark, one.id, one.nonce, one.raw) for row, one in zip(window, made, strict=True)]

    def _send(self, signed: list[Signed]) -> None:
        """Offer them.  What a node makes of each is seen when it is followed."""
        for start in range(0, len(signed), _MAX_SENT):
            self._ask(client.submit_all(one.raw for one in signed[start : start + _MAX_SENT]))
            self._moved()

    # -------------------------------------------------------------------------------------- rows on their way

    def _follow_one(self) -> None:
        """Wait for the row that was signed first."""
        row, signed = self._under_way[0]
        follower = Follower(self._node, signed.id, signed.raw, self._session.genesis.slot_ms, lambda _: None)
        try:
            found = follower.wait("included" if self._until == "none" else self._until, self._timeout_s)
        except Impossible as refusal:
            self._fail(row, signed, refusal)
            return
        self._under_way.popleft()
        if found.state == "final":
            self._journal.finish(row.mark)
        self._settle(self._outcome.filed, row)

    def _fail(self, row: Row, signed: Signed, refusal: Refused) -> None:
        """A transaction that was sent is refused now: the row is, or it is signed anew once that is safe."""
        if refusal.reason not in _OVERTAKEN:
            self._under_way.popleft()
            self._refuse(row, refusal)
        elif self._is_dead(signed):
            self._under_way.popleft()
            self._todo.append(row)
        else:
            self._under_way.rotate(-1)
            self._wait()

    def _is_dead(self, signed: Signed) -> bool:
        """Whether a transaction can enter no chain any more: what keeps it out is final."""
        height = self._ask(STATUS)["height"]
        while self._ask(STATUS)["finalized_height"] < height:
            self._wait()
        (refusal,) = self._ask(client.try_all([signed.raw]))
        is_known = self._ask(client.transaction(signed.id)).state != "unknown"
        return not is_known and refusal is not None and refusal.reason in _DEAD

    # ------------------------------------------------------------------------------------------------- helpers

    def _settle(self, where: list[Row], row: Row) -> None:
        where.append(row)
        self._moved()
        self._advance(1)

    def _refuse(self, row: Row, refusal: Refused) -> None:
        self._outcome.refused.append((row, refusal))
        self._moved()
        self._advance(1)

    def _moved(self) -> None:
        self._deadline = time.monotonic() + self._timeout_s

    def _wait(self) -> None:
        """A moment.  Raises :class:`NotInTime` once nothing has moved for too long."""
        if time.monotonic() >= self._deadline:
            raise NotInTime(None)
        time.sleep(_PAUSE_S)

    def _ask(self, question: Query[T]) -> T:
        """Ask the node, also one that is away for a while.  Raises :class:`NotInTime`."""
        while True:
            try:
                return self._node.ask(question)
            except NodeAway:
                self._wait()
