"""Abuse a node of your own and see what it does about it: ``python scripts/abuse.py --home HOME``.

Every attack comes over real libp2p from fresh identities.  Point it at nothing that is not yours.
Exit codes: 0 if the node answered to the end, its network went on and it banned whom it should; 1 if not; 2 for a
mistake of the operator.
"""

from __future__ import annotations

from p2p.local.commandline import EXIT_WRONG, as_json, command, home_of_node, importing

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.console import OneOf, print_json, remark, table, write

if TYPE_CHECKING:
    from scripts.abuse_parts.catalogue import Attack
    from scripts.abuse_parts.strike import Outcome
    from scripts.abuse_parts.target import Target


def _names() -> Collection[str]:
    from scripts.abuse_parts.catalogue import ATTACKS

    return ["all", *(attack.name for attack in ATTACKS)]


@command
@home_of_node("Home of the running node.")
@click.option(
    "--attack",
    "names",
    type=OneOf("NAME", _names),
    multiple=True,
    default=["all"],
    show_default=True,
    help="May be repeated.",
)
@click.option(
    "--duration", type=click.FloatRange(0.5, 3_600), default=8.0, show_default=True, help="Seconds of each attack."
)
@click.option(
    "--stolen-key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Key file of a validator: more attacks.",
)
@write("what came of it to scripts/docs/abuse.md; takes all attacks")
@as_json
@click.pass_context
def main(
    context: click.Context,
    home: Path,
    names: tuple[str, ...],
    duration: float,
    keys: tuple[Path, ...],
    write: bool,
    as_json: bool,
) -> None:
    """Attack a running node of your own and say what it did: banned, blamed or limited the attacker."""
    with importing():
        import trio

        from p2p.local.keyfile import read_key
        from scripts.abuse_parts.catalogue import ATTACKS
        from scripts.abuse_parts.report import DOCUMENT, document
        from scripts.abuse_parts.target import Target
    target = Target(home, [read_key(path) for path in keys])
    chosen = [attack for attack in ATTACKS if "all" in names or attack.name in names]
    possible = [attack for attack in chosen if target.stolen or not attack.needs_key]
    for attack in chosen:
        if attack not in possible:
            remark(f"{attack.name} is left out: it needs --stolen-key")
    if write and len(possible) < len(ATTACKS):
        raise click.UsageError("--write takes all attacks; leave out --attack and give --stolen-key")
    outcomes = trio.run(_strike_all, target, possible, duration)
    if write:
        DOCUMENT.write_text(document(outcomes), encoding="utf-8")
        remark(f"wrote {DOCUMENT}")
    if as_json:
        print_json({"attacks": [asdict(outcome) | {"did": outcome.did} for outcome in outcomes]})
    else:
        columns = ["attack", "sent", "the node", "attackers", "banned", "peers", "MB", "slots", "kept", "goes on"]
        rows = [
            (
                item.attack, item.sent, item.did, item.visitors, item.banned, item.most_peers, item.most_rss_mb,
                item.slots, item.kept, item.goes_on,
            )
            for item in outcomes
        ]  # fmt: skip
        table("", columns, rows, least=("attackers", "peers", "MB", "sent", "slots"))
    if not all(_is_sound(attack, outcome) for attack, outcome in zip(possible, outcomes, strict=True)):
        context.exit(EXIT_WRONG)


async def _strike_all(target: Target, attacks: list[Attack], seconds: float) -> list[Outcome]:
    with importing():
        from scripts.abuse_parts.strike import strike
    outcomes = []
    for attack in attacks:
        remark(f"{attack.name}: {attack.sent}")
        outcomes.append(await strike(attack, target, seconds))
    return outcomes


def _is_sound(attack: Attack, outcome: Outcome) -> bool:
    return outcome.goes_on and (bool(outcome.banned) or not attack.is_banned)


if __name__ == "__main__":
    main()
