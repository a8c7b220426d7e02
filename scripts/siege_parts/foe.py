"""An attacker in a process of its own: ``python -m scripts.siege_parts.foe ATTACK COUNT HOME… [--source HOME]``.

So many identities do the same to the node of each home, and again whenever they were thrown out.  A home whose node
does not run yet is waited for.  It ends with its standard input.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import trio

from p2p.client import NodeAway
from scripts.abuse_parts.catalogue import ATTACKS, Attack
from scripts.abuse_parts.strike import carry_out
from scripts.abuse_parts.target import Target

WAIT_S = 0.05
# Between two tries of one identity: doing it is cheap, and the machine is shared with those that are attacked.
AGAIN_S = 4.0
# All at once would be a different attack, on the door.
APART_S = 0.1


@click.command()
@click.argument("attack", type=click.Choice([attack.name for attack in ATTACKS]))
@click.argument("count", type=click.IntRange(1))
@click.argument("homes", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", type=click.Path(path_type=Path))
def main(attack: str, count: int, homes: tuple[Path, ...], source: Path | None) -> None:
    """Attack until standard input ends."""
    (chosen,) = (each for each in ATTACKS if each.name == attack)
    trio.run(_attack_all, chosen, count, homes, source)


async def _attack_all(attack: Attack, count: int, homes: tuple[Path, ...], source: Path | None) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_end_with_input, nursery.cancel_scope)
        for number in range(count):
            for home in homes:
                nursery.start_soon(_attack_on_and_on, attack, home, source, number * APART_S)


async def _end_with_input(scope: trio.CancelScope) -> None:
    await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)  # type: ignore[call-arg]
    scope.cancel()


async def _attack_on_and_on(attack: Attack, home: Path, source: Path | None, delay_s: float) -> None:
    await trio.sleep(delay_s)
    while True:
        try:
            await carry_out(attack, Target(home, source=Target(source) if source is not None else None))
            await trio.sleep(AGAIN_S)
        except* NodeAway:  # it is not up yet, or has too much to do to answer
            await trio.sleep(WAIT_S)


if __name__ == "__main__":
    main()
