"""Why a validator makes no blocks at present, and when it will again: one answer for its log, its status and metrics.

Nor does it attest those of others, unless it is jailed, or merely has to wait for a slot.  That the chain makes nothing
final, because too many validators are silent or away, is told apart from it (:mod:`chain.branches.stall`).
"""

from __future__ import annotations

from chain.branches.blockchain import Blockchain
from chain.content.genesis import Genesis
from chain.protocol.clock import Mute, Trust
from chain.protocol.events import Silenced
from chain.protocol.production import Producer

# A validator that signed this slot, or whose head is of this slot, is not mute: it waits for its next turn.
MAX_AHEAD_SLOTS = 2


def silence(producer: Producer, trust: Trust, chain: Blockchain, now_ms: int) -> Mute | None:
    """The reason that lasts longest, if there is any."""
    genesis, head = producer.genesis, chain.head.header
    signed_slot = 0 if producer.signing is None else producer.signing.slot
    return (
        _bound(producer, chain)
        or _beyond(genesis, signed_slot, "it signed", now_ms)
        or trust.mute(now_ms)
        or _beyond(genesis, head.slot, "its head is of", now_ms)
        or _jailed(producer, chain)
    )


def _bound(producer: Producer, chain: Blockchain) -> Mute | None:
    """It does not know what it signed last, or gave it up for a restart."""
    if producer.is_stopped:
        then = "it starts anew once the chain went on for two rounds without a word of it"
        then = then if producer.may_be_restored else "start this one again"
        return Mute(
            "key_used_elsewhere", f"its key has spoken elsewhere; see that no other machine runs with it, and {then}"
        )
    restart = producer.restart
    if restart is not None and producer.awaits_restart(chain):
        why = f"it signed a restart from height {restart.height}, and waits until that comes"
        is_agreed = producer.due_restart(chain) is not None
        if is_agreed and not chain.tree[restart.tip].votes.electorate.may_lead(producer.secret.public):
            why += (
                "; enough signed it, but this key leads no slot: let one that does sign the same file, or sign it anew"
            )
        if chain.head.header.mhp > restart.height:
            why += (
                ", which its head outdoes, as it is prevoted beyond that: where nothing new becomes final, let all "
                "sign another one, from this head"
            )
            return Mute("restart_outdone", why)
        return Mute("awaits_restart", why)
    if producer.signing is None:
        why = "its signing state was lost; it signs once the chain made final that it starts anew"
        return Mute("signing_state_lost", why)
    return None


def _jailed(producer: Producer, chain: Blockchain) -> Mute | None:
    if producer.secret.public not in chain.electorate.barred:
        return None
    return Mute("jailed", "it is jailed: it makes no blocks until the other validators release it")


def _beyond(genesis: Genesis, slot: int, what: str, now_ms: int) -> Mute | None:
    """A slot that was signed, or built on, by a wrong clock: only what comes after it can be signed."""
    if slot <= max(0, genesis.slot_at(now_ms) + MAX_AHEAD_SLOTS):
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
