"""Abuse a node of your own and see what it does about it: ``python scripts/abuse.py --node HOME --attack all``.

Every attack comes over real libp2p from fresh identities.  Point it at nothing that is not yours.
Exit codes: 0 if the node answered to the end, its network went on and it banned whom it should; 1 if not; 2 for a
mistake of the operator.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click
import trio

from p2p.local.home import read_key
from scripts.abuse_parts.catalogue import ATTACKS, Attack
from scripts.abuse_parts.report import DOCUMENT, document
from scripts.abuse_parts.strike import Outcome, strike
from scripts.abuse_parts.target import Target
from scripts.console import EXIT_WRONG, print_json, remark, run, table

NAMES = [attack.name for attack in ATTACKS]


@click.command()
@click.option("--node", "home", required=True, type=click.Path(path_type=Path), help="Home of the running node.")
@click.option(
    "--attack", "names", multiple=True, type=click.Choice(["all", *NAMES]), default=["all"], show_default=True
)
@click.option("--seconds", type=click.FloatRange(0.5, 3_600), default=8.0, show_default=True, help="For each attack.")
@click.option(
    "--stolen-key",
    "keys",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Key file of a validator: more attacks.",
)
@click.option("--write", is_flag=True, help="Write what came of it to scripts/docs/abuse.md; takes all attacks.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_context
def main(
    context: click.Context,
    home: Path,
    names: tuple[str, ...],
    seconds: float,
    keys: tuple[Path, ...],
    write: bool,
    as_json: bool,
) -> None:
    """Attack a running node of your own and say what it did: banned, blamed or limited the attacker."""
    target = Target(home, [read_key(path) for path in keys])
    chosen = [attack for attack in ATTACKS if "all" in names or attack.name in names]
    possible = [attack for attack in chosen if target.stolen or not attack.needs_key]
    for attack in chosen:
        if attack not in possible:
            remark(f"{attack.name} is left out: it needs --stolen-key")
    if write and len(possible) < len(ATTACKS):
        raise click.UsageError("--write takes all attacks; leave out --attack and give --stolen-key")
    outcomes = trio.run(_strike_all, target, possible, seconds)
    if write:
        DOCUMENT.write_text(document(outcomes), encoding="utf-8")
        remark(f"written: {DOCUMENT}")
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
        table("", columns, rows)
    if not all(_is_sound(attack, outcome) for attack, outcome in zip(possible, outcomes, strict=True)):
        context.exit(EXIT_WRONG)


async def _strike_all(target: Target, attacks: list[Attack], seconds: float) -> list[Outcome]:
    outcomes = []
    for attack in attacks:
        remark(f"{attack.name}: {attack.sent}")
        outcomes.append(await strike(attack, target, seconds))
    return outcomes


def _is_sound(attack: Attack, outcome: Outcome) -> bool:
    return outcome.goes_on and (bool(outcome.banned) or not attack.is_banned)


if __name__ == "__main__":
    run(main)
