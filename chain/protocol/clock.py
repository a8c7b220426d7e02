"""What time it is, and whether it is safe to sign by it.

A node goes by :class:`SteeredClock`: a monotonic clock, drawn slowly towards the wall clock, which anyone may set to
anything at any time.  A step of the wall clock is reported to :class:`Trust`, which decides whether to follow it, and
says why a validator must not sign meanwhile.

Whom it believes: the chain, that is who signed its newest blocks, or blocks of slots to come; and validators whose
machines say what time they have (:mod:`chain.protocol.credentials`), by weight, where more than a third says one thing
and no more the other.  Strangers are not asked: a thousand of them cost nothing.  And nobody *sets* a clock: others can
only confirm the node's own.
Source: protocol 2.6.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from chain.consensus.electorate import ValidatorSet
from chain.consensus.headers import Header, VerifiedHeader
from chain.content.genesis import Genesis
from chain.documents.words import duration, instant

# Two clocks agree that differ by no more; a block made so far ahead of time mutes its signer for as long.
AGREE_MS = 5_000
# As long as they agree, the wall clock is followed by one millisecond in so many: a few seconds within half a minute.
# What is further away is a step.
SLEW_PARTS = 5
# So much further than its head a single validator believes its clock: a short stop explains it, and where the clock is
# wrong it is mute for no longer.  Of several, an idle chain explains less.
FAR_MS = 600_000
# Who finds no one to confirm the time waits for a clock that stays as it is: after a start, time services need seconds.
PATIENCE_MS = 60_000
# A step of the wall clock that lasts so long is no mistake that somebody is about to mend.
SETTLED_MS = 600_000
# What a validator said of its clock is forgotten after so long.
CLAIM_MS = 600_000
# An answer that takes longer shows too little: it is asked for again.
ANSWER_MS = 10_000
NO_END_MS = 2**62
# While in doubt, validators are asked for their time so often.
ASK_MS = 2_000


class SteeredClock:
    """A monotonic clock that is drawn towards the wall clock and never steps by itself.  All times in milliseconds."""

    def __init__(self, monotonic_ms: int, wall_ms: int) -> None:
        self._monotonic_ms = monotonic_ms
        self._now_ms = wall_ms
        self._ahead_ms = 0
        self._reported_ms = 0
        self._budget = 0

    def read(self, monotonic_ms: int, wall_ms: int) -> int:
        """The time now, given what both clocks show."""
        passed_ms = max(0, monotonic_ms - self._monotonic_ms)
        self._monotonic_ms = monotonic_ms
        self._now_ms += passed_ms
        self._ahead_ms = wall_ms - self._now_ms
        if not self._is_stepped:
            self._slew(passed_ms)
        return self._now_ms

    def take_step(self) -> int | None:
        """By how much the wall clock is ahead now, where that is news: it stepped, again, or (0) back to us."""
        ahead_ms = self._ahead_ms if self._is_stepped else 0
        if bool(ahead_ms) == bool(self._reported_ms) and abs(ahead_ms - self._reported_ms) <= AGREE_MS:
            return None
        self._reported_ms = ahead_ms
        return ahead_ms

    def adopt(self) -> None:
        """Step to what the wall clock showed last."""
        self._now_ms += self._ahead_ms
        self._ahead_ms = self._reported_ms = 0

    @property
    def _is_stepped(self) -> bool:
        return abs(self._ahead_ms) > AGREE_MS

    def _slew(self, passed_ms: int) -> None:
        self._budget += passed_ms
        reach_ms = self._budget // SLEW_PARTS
        step_ms = max(-reach_ms, min(reach_ms, self._ahead_ms))
        self._now_ms += step_ms
        self._ahead_ms -= step_ms
        # What is not needed now is not saved up: later it would be a step.
        self._budget = min(self._budget - abs(step_ms) * SLEW_PARTS, SLEW_PARTS - 1)


def step_in_words(ahead_ms: int) -> str:
    """What a step of the wall clock leads to."""
    if not ahead_ms:
        return "the wall clock agrees with the monotonic one again"
    off = f"{duration(abs(ahead_ms))} {'ahead' if ahead_ms > 0 else 'behind'}"
    return f"the wall clock stepped and is {off}: time goes on by the monotonic clock"


class Cause(Enum):
    """Why a time is in doubt."""

    UNKNOWN = "unknown"  # the node just started, or was away: nothing but its clock says how long
    STEP = "step"  # the wall clock stepped: perhaps the monotonic one stood still


@dataclass(frozen=True, slots=True)
class Mute:
    """Why a validator does not sign; ``until_ms`` is when it will, if nothing else happens, and None if unknown."""

    kind: str
    why: str
    until_ms: int | None = None

    def __str__(self) -> str:
        return self.why if self.until_ms is None else f"{self.why}; signs from {instant(self.until_ms)} on"


@dataclass(frozen=True, slots=True)
class _Claim:
    """A validator's clock is ahead of ours by ``low_ms`` to ``high_ms``, as of ``at_ms``."""

    low_ms: int
    high_ms: int
    at_ms: int

    def agrees(self, ahead_ms: int) -> bool:
        """Whether a clock that is ahead of ours by so much may show the same."""
        return self.low_ms - AGREE_MS <= ahead_ms <= self.high_ms + AGREE_MS


class Trust:
    """Whether to sign by our time, and whether to follow a wall clock that stepped.  ``key`` is our own."""

    def __init__(self, genesis: Genesis, key: bytes) -> None:
        self._genesis = genesis
        self._key = key
        self._voters: ValidatorSet | None = None
        self._weights: dict[bytes, int] = {}
        self._head: Header | None = None
        self._movers: set[bytes] = set()
        self._cause: Cause | None = Cause.UNKNOWN
        self._since_ms = 0
        self._last_ms: int | None = None
        self._ahead_ms = 0
        self._ahead_since_ms = 0
        self._peers: dict[bytes, str] = {}
        self._asked_ms: dict[str, int] = {}
        self._claims: dict[bytes, _Claim] = {}
        self._next_ask_ms = 0
        self._is_contradicted = False

    # ------------------------------------------------------------------------------------------- what happens

    def stepped(self, ahead_ms: int, now_ms: int) -> None:
        """The wall clock stepped and is ahead by so much now; 0 where it is with us again."""
        self._ahead_ms, self._ahead_since_ms = ahead_ms, now_ms
        if ahead_ms and self._cause is not Cause.UNKNOWN:
            self._begin(Cause.STEP, now_ms)

    def asked(self, peer: str, now_ms: int) -> None:
        """A peer is asked for its status.  Its answer shows a moment between this one and its arrival."""
        if peer in self._peers.values():
            self._asked_ms.setdefault(peer, now_ms)

    def heard(self, peer: str, key: bytes, time_ms: int, now_ms: int) -> bool:
        """The machine of the validator ``key`` says what time it has, 0 where it does not know.

        True where it should be asked (again), because this may have been on its way for long.
        """
        if key == self._key or not self._weights.get(key):
            return False
        self._peers[key] = peer
        asked_ms = self._asked_ms.pop(peer, None)
        if asked_ms is None or not 0 <= now_ms - asked_ms <= ANSWER_MS:
            return True
        if time_ms:
            self._claims[key] = _Claim(time_ms - now_ms, time_ms - asked_ms, now_ms)
        self._judge(now_ms)
        return False

    def saw(self, headers: Iterable[VerifiedHeader], now_ms: int) -> None:
        """Blocks of a download.  Who signed one of a slot that did not begin here yet has a time that is later."""
        for header in headers:
            early_ms = self._genesis.slot_start_ms(header.slot) - now_ms
            if early_ms > AGREE_MS and header.proposer != self._key and self._weights.get(header.proposer):
                self._claims[header.proposer] = _Claim(early_ms, NO_END_MS, now_ms)
                self._judge(now_ms)

    def lost(self, peer: str) -> None:
        """A peer is gone; what it said holds on for a while."""
        self._asked_ms.pop(peer, None)
        self._peers = {key: other for key, other in self._peers.items() if other != peer}

    def look(self, head: Header, voters: ValidatorSet, now_ms: int) -> bool:
        """Judge anew; True where the wall clock is to be followed, which the caller then does.

        ``voters`` are in force after ``head``.  Where nobody looked for long, nothing but our clock says how long.
        """
        if self._last_ms is None or not -AGREE_MS <= now_ms - self._last_ms <= self._far_ms:
            self._begin(Cause.UNKNOWN, now_ms)
        self._last_ms = now_ms
        if voters is not self._voters:
            self._voters, self._weights = voters, voters.by_key
            self._judge(now_ms)
        if self._head is None or head.id != self._head.id:
            self._head = head
            self._moved(head.proposer, now_ms)
        if self._is_to_follow(now_ms):
            self._begin(Cause.UNKNOWN, now_ms)
            self._ahead_ms, self._last_ms = 0, None
            return True
        if self._cause is not None and self._is_over(self._cause, now_ms):
            self._cause = None
        return False

    # -------------------------------------------------------------------------------------------- what follows

    def time_to_tell(self, now_ms: int) -> int:
        """What this node says is the time; 0 where it does not know."""
        if self._cause is Cause.UNKNOWN:
            return 0
        return now_ms + (self._ahead_ms if self._is_settled(now_ms) else 0)

    def to_ask(self, now_ms: int) -> list[str]:
        """Whom to ask for the time now."""
        if now_ms < self._next_ask_ms <= now_ms + ASK_MS:
            return []
        self._next_ask_ms = now_ms + ASK_MS
        self._judge(now_ms)
        return sorted(self._peers.values()) if self._cause is not None or self._is_contradicted else []

    def mute(self, now_ms: int) -> Mute | None:
        """Why nothing may be signed by our time, if so."""
        if self._cause is Cause.STEP:
            why = "the wall clock stepped, and no validator has confirmed the time since"
            return Mute("clock_stepped", why, self._since_ms + PATIENCE_MS)
        if self._is_contradicted:
            apart = sorted(claim.low_ms for claim in self._claims.values() if not claim.agrees(0))
            apart_ms = apart[len(apart) // 2]
            how = "slow" if apart_ms > 0 else "fast"
            why = f"its clock is {duration(abs(apart_ms))} {how}, other validators say: it has to be set"
            return Mute("clock_contradicted", why)
        return self._unknown(now_ms) if self._cause is Cause.UNKNOWN else None

    def _unknown(self, now_ms: int) -> Mute:
        past_ms = now_ms - self._head_ms
        if past_ms < -AGREE_MS and not self._head_slot:
            return Mute("not_begun", "its network has not begun", self._head_ms)
        if past_ms < -AGREE_MS:
            why = f"its clock shows {duration(-past_ms)} less than the slot of its head"
            return Mute("clock_behind", why, self._head_ms - AGREE_MS)
        why = f"its clock is {duration(past_ms)} past its head, and nobody confirms that"
        return Mute("clock_unconfirmed", why, self._since_ms + self._patience_ms)

    # ---------------------------------------------------------------------------------------------- the judgement

    def _begin(self, cause: Cause, now_ms: int) -> None:
        """What was said of the time before says nothing about it now."""
        self._cause, self._since_ms = cause, now_ms
        self._claims.clear()
        self._asked_ms.clear()
        self._next_ask_ms = 0
        self._is_contradicted = False

    def _moved(self, proposer: bytes, now_ms: int) -> None:
        """The head is another.  A chain that more than may lie carry on at another time than ours has us wait."""
        self._movers.add(proposer)
        if sum(self._weights.get(key, 0) for key in self._movers) > self._faulty:
            self._movers.clear()
            if self._cause is Cause.UNKNOWN:
                self._since_ms = now_ms

    def _is_to_follow(self, now_ms: int) -> bool:
        """A step is followed while nothing rests on our time; once validators say so; or when it lasts and fits."""
        if not self._ahead_ms:
            return False
        if self._cause is Cause.UNKNOWN:
            return True
        agree, differ = self._weigh(self._ahead_ms)
        ours, _ = self._weigh(0)
        if agree > max(ours, self._faulty):
            return True
        return self._is_settled(now_ms) and agree >= differ

    def _is_settled(self, now_ms: int) -> bool:
        """Whether a step lasts for long, and leads to where there is something to sign."""
        lasts_ms = now_ms - self._ahead_since_ms
        return self._ahead_ms != 0 and lasts_ms >= SETTLED_MS and now_ms + self._ahead_ms >= self._head_ms

    def _is_over(self, cause: Cause, now_ms: int) -> bool:
        waited_ms = now_ms - self._since_ms
        agree, _ = self._weigh(0)
        if cause is Cause.STEP:
            # A monotonic clock may lag, but never leads: a block of a slot since then is proof enough.
            is_seen = self._head_ms > self._since_ms
            return self._is_alone or is_seen or agree > self._faulty or waited_ms >= PATIENCE_MS
        past_ms = now_ms - self._head_ms
        if past_ms < -AGREE_MS:
            return False
        is_patient = waited_ms >= self._patience_ms and not self._is_contradicted
        return past_ms <= self._far_ms or agree > self._faulty or is_patient

    @property
    def _patience_ms(self) -> int:
        """How long to wait for a sign of life of the others, if there are any."""
        return PATIENCE_MS if self._is_alone else max(PATIENCE_MS, min(2 * self._quiet_ms, SETTLED_MS))

    @property
    def _far_ms(self) -> int:
        """How far beyond its head a clock is believed."""
        return max(FAR_MS, self._quiet_ms) if self._is_alone else max(PATIENCE_MS, 2 * self._quiet_ms)

    @property
    def _is_alone(self) -> bool:
        return self._voters is None or len(self._voters.leaders) <= 1

    @property
    def _quiet_ms(self) -> int:
        """How old the head of an idle chain may be."""
        leaders = 1 if self._voters is None else len(self._voters.leaders)
        return self._genesis.quiet_slots(leaders) * self._genesis.slot_ms

    @property
    def _head_ms(self) -> int:
        return self._genesis.slot_start_ms(self._head_slot)

    @property
    def _head_slot(self) -> int:
        return 0 if self._head is None else self._head.slot

    @property
    def _faulty(self) -> int:
        """As much weight as may lie."""
        return max(0, sum(self._weights.values()) - 1) // 3

    def _judge(self, now_ms: int) -> None:
        """Whether validators who do not lie say that our time is wrong."""
        self._claims = {key: claim for key, claim in self._claims.items() if now_ms - claim.at_ms <= CLAIM_MS}
        agree, differ = self._weigh(0)
        self._is_contradicted = differ > self._faulty and differ > agree + self._weights.get(self._key, 0)

    def _weigh(self, ahead_ms: int) -> tuple[int, int]:
        """The weight of others who agree with a clock that is ahead of ours by so much, and of those who do not."""
        agree = differ = 0
        for key, claim in self._claims.items():
            weight = self._weights.get(key, 0)
            if claim.agrees(ahead_ms):
                agree += weight
            else:
                differ += weight
        return agree, differ
