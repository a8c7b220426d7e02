"""The page of what each attack came to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from scripts.abuse_parts.catalogue import ATTACKS
from scripts.abuse_parts.strike import Outcome

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "abuse.md"

HEADER = """\
# Abuse, and what a node does about it

Made by `python scripts/abuse.py --home HOME --stolen-key KEY --write` on a testnet of this machine; do not edit.

One node of a running network is attacked over real libp2p, from fresh identities, for each attack anew. Beside it all
the node has work for every slot.

* **banned**: the node threw the attacker out and keeps it out for five minutes.
* **blamed**: it holds something against the attacker, for which it is banned when that adds up.
* **limited**: honest peers do a little of this, when they are slow, busy or behind, so it is bounded and no more.
* **goes on**: what was the head before the attack became final, in blocks that the node took while it was abused.

| attack | what it sends | the node | goes on | its limit |
|---|---|---|---|---|
"""


def document(outcomes: Sequence[Outcome]) -> str:
    """The page, from one outcome for each attack; without figures that are the machine's."""
    limits = {attack.name: attack.limit for attack in ATTACKS}
    return HEADER + "".join(
        f"| {item.attack} | {item.sent} | {item.did} | {'yes' if item.goes_on else '**no**'} "
        f"| {limits[item.attack]} |\n"
        for item in outcomes
    )
