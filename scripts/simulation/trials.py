"""What every break of the consensus is tried with: its files, and a few histories that between them use all of it.

Imports nothing of the chain, so that a process can import it broken.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from scripts.simulation.settings import Settings

#: The files that decide what becomes final, in the order of their imports.
CONSENSUS = (
    "statements",
    "attestations",
    "electorate",
    "votes",
    "votecodec",
    "forkchoice",
    "headers",
    "restart",
    "ballots",
    "judgement",
    "validators",
    "governance",
    "offences",
    "blocktree",
    "blockchain",
    "admission",
    "heard",
    "production",
    "pace",
    "suppliers",
    "skeleton",
    "download",
    "sync",
    "witness",
    "headway",
    "testimony",
    "intake",
    "engine",
)


class Trial(NamedTuple):
    """A history."""

    settings: Settings
    seed: int


def _trial(
    faults: str,
    byzantine: str = "",
    *,
    nodes: int = 4,
    slots: int = 80,
    seed: int = 0,
    villains: int | None = None,
    traffic: str = "",
    disk: Literal["memory", "real"] = "memory",
) -> Trial:
    return Trial(Settings(nodes, slots, faults, byzantine, villains, "", traffic, only_effects=True, disk=disk), seed)


#: Histories without a fault of the rules in force, those first that show most for what they cost.
TRIALS: tuple[Trial, ...] = (
    _trial("none", "equivocates"),
    _trial("none", "clones", seed=1),
    _trial("none", "impersonates"),
    _trial("strangers", slots=60),
    _trial("none", "garbles"),
    _trial("none", "misspeaks"),
    _trial("none", "disguises"),
    _trial("none", "usurps"),
    _trial("none", "restarts"),
    _trial("crashes", slots=100, disk="real", seed=1),
    _trial("all", slots=120, traffic="ratings"),
    _trial("none", "persists", slots=100),
    _trial("none", "backdates", slots=100),
    _trial("none", "floods"),
    _trial("none", "lies"),
    _trial("none", "stale"),
    _trial("none", "statuses"),
    _trial("none", "rewrites", villains=3, slots=90),
    _trial("none", "withholds"),
    _trial("none", "silent", slots=60),
    _trial("none", "betrays", nodes=7),
    _trial("changes", "straddles", slots=120),
    _trial("changes", "persists", slots=120, seed=1),
    _trial("none", nodes=5, slots=100, seed=3, traffic="council"),
    _trial("setfork", "bridges", slots=60, seed=1, traffic="quiet"),
    _trial("setfork", "bridges", slots=60, seed=4, traffic="quiet"),
    _trial("idle", "busy", slots=100, traffic="ratings"),
    _trial("none", traffic="registry", slots=120),
    _trial("all", traffic="registry", slots=150, seed=2),
    _trial("none", "copied-home", seed=1),
    _trial("network", slots=150, seed=3),
    _trial("network", "clones", slots=100, seed=33),
    _trial("crashes", slots=150, seed=4),
    _trial("clocks", slots=150, seed=5),
    _trial("all", "stalls", slots=150, seed=6),
    _trial("all", nodes=7, slots=150, traffic="registry", seed=7),
    _trial("all", slots=150, traffic="council", disk="real", seed=8),
    _trial("idle", "hoards", slots=440, traffic="ratings"),
    _trial("none", "relays", nodes=7, slots=190),
)


def name_of(trial: Trial) -> str:
    """Which history it is, in few words."""
    settings = trial.settings
    villains = f" by {settings.villains}" if settings.villains else ""
    parts = (
        settings.faults,
        settings.byzantine + villains,
        settings.traffic,
        f"{settings.disk} disks" if settings.disk != "memory" else "",
        f"{settings.nodes} nodes, seed {trial.seed}",
    )
    return ", ".join(filter(None, parts))
