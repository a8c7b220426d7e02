"""Attackers in a process of their own: ``assailants.py KIND COUNT HOME … [--source HOME]``; ends with its input.

So many identities visit the node of each home, and come again when they were thrown out.  A home whose node does not
run yet is waited for.  ``--source`` is a node whose blocks they may pass on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from p2p.client import NodeAway
from scripts.abuse_parts.catalogue import ATTACKS, Attack
from scripts.abuse_parts.strike import carry_out
from scripts.abuse_parts.target import Target

SOURCE = "--source"
# Handshakes cost; they come one after the other, and thrown out they come back after a while.
BETWEEN_S = 0.05
AGAIN_S = 2.0
WAIT_S = 0.05
# The attackers share the machine with those they attack.
PACE_S = 0.02


async def besiege(attack: Attack, count: int, homes: list[Path], source: Path | None) -> None:
    """Each identity visits each target, again and again."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_with_input, nursery.cancel_scope)
        for home in homes:
            for _ in range(count):
                nursery.start_soon(_come_again, attack, home, source)
                await trio.sleep(BETWEEN_S)


async def _come_again(attack: Attack, home: Path, source: Path | None) -> None:
    while True:
        try:
            well = Target(source) if source is not None else None
            await carry_out(attack, Target(home, pace_s=PACE_S, source=well))
            await trio.sleep(AGAIN_S)
        except* NodeAway:  # it is not up yet, or has too much to do to answer
            await trio.sleep(WAIT_S)


async def _end_with_input(scope: trio.CancelScope) -> None:
    await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)  # type: ignore[call-arg]
    scope.cancel()


def main() -> None:
    """Attack."""
    kind, count, *words = sys.argv[1:]
    homes = [Path(word) for word in words if word != SOURCE]
    (attack,) = (each for each in ATTACKS if each.name == kind)
    trio.run(besiege, attack, int(count), homes, homes.pop() if SOURCE in words else None)


if __name__ == "__main__":
    main()
