"""Carrying out an attack, and what the node did about it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import trio

from chain.base.errors import Reason, Refused
from chain.base.keys import SecretKey
from chain.content.actions import Enrol
from chain.content.transactions import sign_transaction
from p2p.client import PEERS, STATUS, NodeAway, heads, submit
from scripts.abuse_parts.catalogue import Attack
from scripts.abuse_parts.target import Target, until_thrown_out

# How often the node is looked at, and given something to put into a block.
LOOK_S = 0.25
# For what was the head when an attack began to become final: minutes more than that takes.
FINALITY_TIMEOUT_S = 180.0


@dataclass(slots=True)
class Outcome:
    """What an attack came to.  ``slots`` had work to do, ``kept`` of them brought a block.

    ``goes_on``: the head of before the attack became final.
    """

    attack: str
    sent: str
    visitors: int = 0
    banned: int = 0
    worst_score: float = 0.0
    most_peers: int = 0
    most_rss_mb: int = 0
    slots: int = 0
    kept: int = 0
    answers: bool = True
    goes_on: bool = False

    @property
    def did(self) -> str:
        """In a word."""
        if not self.answers:
            return "no longer answers"
        if self.banned:
            return "banned"
        return "blamed" if self.worst_score else "limited"


async def carry_out(attack: Attack, target: Target) -> None:
    """Run an attack until the node throws the attacker out, or for ever."""
    with until_thrown_out():
        await attack.run(target)


async def strike(attack: Attack, target: Target, seconds: float) -> Outcome:
    """Attack for ``seconds``, or until everybody is thrown out, while the node has work for each slot."""
    outcome = Outcome(attack.name, attack.sent)
    known, seq, head = set(target.visitors), await last_seq(target), await target.status()
    is_over = trio.Event()

    async def run() -> None:
        with trio.move_on_after(seconds):
            await carry_out(attack, target)
        is_over.set()

    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            while not is_over.is_set():
                await give_work(target)
                await look(target, outcome, set(target.visitors) - known)
                with trio.move_on_after(LOOK_S):
                    await is_over.wait()
        await look(target, outcome, set(target.visitors) - known)
        await count_slots(target, outcome, seq)
        with trio.move_on_after(FINALITY_TIMEOUT_S):
            while (await target.status()).finalized_height < head.height:
                await give_work(target)
                await trio.sleep(LOOK_S)
            outcome.goes_on = True
    except* NodeAway:
        outcome.answers = False
    return outcome


async def look(target: Target, outcome: Outcome, visitors: set[str]) -> None:
    """Note what the node says of the visitors, and of itself."""
    table, status = await target.ask(PEERS), await target.ask(STATUS)
    scores = [peer["score"] for peer in table["peers"] if peer["peer_id"] in visitors]
    outcome.visitors = len(visitors)
    outcome.banned = max(outcome.banned, len(visitors & set(table["banned"])))
    outcome.worst_score = max([outcome.worst_score, *scores])
    outcome.most_peers = max(outcome.most_peers, status["peers"])
    outcome.most_rss_mb = max(outcome.most_rss_mb, status["rss_bytes"] >> 20)


async def last_seq(target: Target) -> int:
    return max((move.seq for move in await target.ask(heads())), default=0)


async def count_slots(target: Target, outcome: Outcome, seq: int) -> None:
    """Between the first and the last block of the attack, every slot had work."""
    slots = {move.slot for move in await target.ask(heads(seq))}
    outcome.slots = max(slots) - min(slots) + 1 if slots else 0
    outcome.kept = len(slots)


async def give_work(target: Target) -> bytes:
    """Have somebody new enrol, unless so many want to that there is work enough; the id of the transaction."""
    transaction = sign_transaction(SecretKey(os.urandom(32)), target.genesis.id, 0, 100_000, Enrol())
    try:
        await target.ask(submit(transaction.raw))
    except Refused as refusal:
        if refusal.reason is not Reason.POOL_FULL:
            raise
    return transaction.id
