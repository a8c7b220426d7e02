"""The strangers of a manifest, in a process of their own: ``assailants.py KIND COUNT HOME …``, until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import trio

from scripts.abuse_parts.catalogue import ATTACKS, Attack
from scripts.abuse_parts.strike import carry_out
from scripts.abuse_parts.target import Target

# Handshakes cost; they come one after the other, and thrown out they come back after a while.
BETWEEN_S = 0.05
AGAIN_S = 2.0
# The attackers share the machine with those they attack.
PACE_S = 0.02


async def besiege(attack: Attack, count: int, homes: list[Path]) -> None:
    """Each identity visits each target, again and again."""
    async with trio.open_nursery() as nursery:
        for home in homes:
            for _ in range(count):
                nursery.start_soon(_come_again, attack, home)
                await trio.sleep(BETWEEN_S)


async def _come_again(attack: Attack, home: Path) -> None:
    while True:
        await carry_out(attack, Target(home, pace_s=PACE_S))
        await trio.sleep(AGAIN_S)


def main() -> None:
    """Attack."""
    kind, count, *homes = sys.argv[1:]
    (attack,) = (each for each in ATTACKS if each.name == kind)
    trio.run(besiege, attack, int(count), [Path(home) for home in homes])


if __name__ == "__main__":
    main()
