"""Why a validator signs nothing at present, and when it will again: one answer for its log, its status and metrics."""

from __future__ import annotations

from chain.clock import Mute, Trust
from chain.events import Silenced
from chain.genesis import Genesis
from chain.headers import Header
from chain.production import Producer

# A validator that signed this slot, or whose head is of this slot, is not mute: it waits for its next turn.
MAX_AHEAD_SLOTS = 2


def silence(genesis: Genesis, producer: Producer, trust: Trust, head: Header, now_ms: int) -> Mute | None:
    """The reason that lasts longest, if there is any."""
    if producer.is_stopped:
        return Mute("key_used_elsewhere", "another machine signs with its key; stop one, and start this one again")
    if producer.signing is None:
        return Mute("signing_state_lost", "its signing state was lost; it signs once a block made from now on is final")
    return _beyond(genesis, producer.signing.slot, "it signed", now_ms) or (
        trust.mute(now_ms) or _beyond(genesis, head.slot, "its head is of", now_ms)
    )


def _beyond(genesis: Genesis, slot: int, what: str, now_ms: int) -> Mute | None:
    """A slot that was signed, or built on, by a wrong clock: only what comes after it can be signed."""
    if slot <= genesis.slot_at(now_ms) + MAX_AHEAD_SLOTS:
        return None
    why = f"{what} slot {slot} already, which its clock has not reached: that is wrong now, or was then"
    return Mute("slot_ahead", why, genesis.slot_start_ms(slot + 1))


class Herald:
    """Tells the operator once when a validator falls silent, when the reason changes, and when it signs again."""

    def __init__(self) -> None:
        self._kind = ""

    def news(self, mute: Mute | None) -> Silenced | None:
        """What to tell now."""
        kind = "" if mute is None else mute.kind
        if kind == self._kind:
            return None
        self._kind = kind
        return Silenced(mute)
