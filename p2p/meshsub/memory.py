"""What is remembered for a while: messages to hand out, ids that were dealt with, ids that were asked for, and pauses.

Times are milliseconds of the caller's clock.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice

from chain.base.newest import Newest
from p2p.meshsub.parts import Message

SEEN_TTL_MS = 120_000
"""Specification: seen_ttl, 2 minutes."""

MAX_SEEN = 16_384
"""Two minutes of 130 messages a second, which is more than four nodes on two cores manage.  What comes
again later than that is checked again."""

COPY_WINDOW_MS = 1_000
"""After the first copy: who brings one later is as good as silent, since whoever lacked it was offered it by then.
Specification: MeshMessageDeliveriesWindow; longer than there, as lines around the world are honest."""

MCACHE_LEN, MCACHE_GOSSIP = 5, 3
"""Specification: mcache_len, mcache_gossip.  Heartbeats for which messages are kept, and for which they are offered."""

MAX_CACHED_BYTES = 16 * 1024 * 1024
"""Beyond it the oldest go: whoever missed them asks otherwise."""

MAX_RETRANSMISSIONS = 3
"""Times that one peer gets one message for the asking.  go-libp2p: GossipRetransmission."""

IWANT_FOLLOWUP_MS = 3_000
"""How long a peer that offered a message may take to send it.  Specification, spam protection; go-libp2p:
IWantFollowupTime."""

MAX_ASKED = 3
"""Peers of whom one message is wanted at a time: one of them may not mean what it says."""

MAX_WANTED = 8_192
"""Ids that are waited for; what is offered beyond is not asked for."""

MAX_PAUSES = 4_096
"""Pairs of peer and topic that pause; the oldest are forgotten first.  Identities are free."""


class Seen:
    """Ids of messages that were dealt with, and whether they were good."""

    def __init__(self) -> None:
        self._seen: Newest[bytes, tuple[int, bool]] = Newest(MAX_SEEN)

    def add(self, key: bytes, good: bool, now_ms: int) -> None:
        self._seen.renew(key, (now_ms + SEEN_TTL_MS, good))

    def verdict(self, key: bytes, now_ms: int) -> bool | None:
        """True or False for a message seen in the last two minutes, else None."""
        expires_ms, good = self._seen.get(key, (0, False))
        return good if expires_ms > now_ms else None

    def is_fresh(self, key: bytes, now_ms: int) -> bool:
        """Whether it was dealt with within the last COPY_WINDOW_MS."""
        expires_ms, _ = self._seen.get(key, (0, False))
        return now_ms <= expires_ms - SEEN_TTL_MS + COPY_WINDOW_MS


@dataclass
class _Kept:
    message: Message
    sent: Counter[str] = field(default_factory=Counter)


class Recent:
    """The messages of the last heartbeats.  Specification: mcache."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._windows: deque[list[bytes]] = deque([[]], maxlen=MCACHE_LEN)
        self._bytes = 0

    def put(self, message: Message) -> None:
        if message.id in self._kept:
            return
        self._kept[message.id] = _Kept(message)
        self._windows[0].append(message.id)
        self._bytes += len(message.data)
        while self._bytes > MAX_CACHED_BYTES:
            self._drop(next(iter(self._kept)))

    def ids(self, topic: str, limit: int) -> tuple[bytes, ...]:
        """The ids of ``topic`` that are worth offering, the newest first."""
        offered = (key for window in islice(self._windows, MCACHE_GOSSIP) for key in reversed(window))
        kept = (key for key in offered if key in self._kept and self._kept[key].message.topic == topic)
        return tuple(islice(kept, limit))

    def take(self, key: bytes, peer: str) -> Message | None:
        """A message for a peer that asks for it, unless it is not here or that peer has asked often enough."""
        kept = self._kept.get(key)
        if kept is None or kept.sent[peer] >= MAX_RETRANSMISSIONS:
            return None
        kept.sent[peer] += 1
        return kept.message

    def shift(self) -> None:
        """A heartbeat has passed."""
        if len(self._windows) == MCACHE_LEN:
            for key in self._windows.pop():
                self._drop(key)
        self._windows.appendleft([])

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(kept.message.data)


class Wanted:
    """Ids that were asked for with IWANT, and of whom.  Specification: "in flight IWANT requests" are tracked."""

    def __init__(self) -> None:
        self._asked: dict[bytes, dict[str, int]] = {}

    def ask(self, ids: Iterable[bytes], peer: str, now_ms: int) -> tuple[bytes, ...]:
        """Those of ``ids`` that may be asked of ``peer``; they are noted."""
        return tuple(key for key in ids if self._note(key, peer, now_ms + IWANT_FOLLOWUP_MS))

    def came(self, key: bytes) -> None:
        """The message is here, whoever sent it."""
        self._asked.pop(key, None)

    def forget(self, peer: str) -> None:
        """Nothing is waited for from a peer that has gone."""
        for key in list(self._asked):
            self._asked[key].pop(peer, None)
            if not self._asked[key]:
                del self._asked[key]

    def broken(self, now_ms: int) -> Counter[str]:
        """How many of the messages that it offered each peer has not sent in time.  They may be asked for again."""
        late: Counter[str] = Counter()
        for key in list(self._asked):
            asked = self._asked[key]
            for peer in [peer for peer, until_ms in asked.items() if until_ms <= now_ms]:
                late[peer] += 1
                del asked[peer]
            if not asked:
                del self._asked[key]
        return late

    def _note(self, key: bytes, peer: str, until_ms: int) -> bool:
        asked = self._asked.get(key)
        if asked is None:
            if len(self._asked) >= MAX_WANTED:
                return False
            asked = self._asked[key] = {}
        if peer in asked or len(asked) >= MAX_ASKED:
            return False
        asked[peer] = until_ms
        return True


class Pauses:
    """Until when a peer and we do not GRAFT each other; a new connection ends no pause.  Specification: backoff."""

    def __init__(self) -> None:
        self._until_ms: OrderedDict[tuple[str, str], int] = OrderedDict()

    def add(self, topic: str, peer: str, until_ms: int) -> None:
        """Pause at least until then."""
        self._until_ms[topic, peer] = max(until_ms, self._until_ms.pop((topic, peer), 0))
        while len(self._until_ms) > MAX_PAUSES:
            self._until_ms.popitem(last=False)

    def lasts(self, topic: str, peer: str, now_ms: int) -> bool:
        until_ms = self._until_ms.get((topic, peer))
        return until_ms is not None and until_ms > now_ms
