"""Every row by name: its condition, its goal, how it is run, and about how long that takes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from scripts.siege_parts import attacks, lines, soak
from scripts.siege_parts.attacks import Found


@dataclass(frozen=True, slots=True)
class Row:
    """``run`` takes the scale: 1 for all of it, less for a shorter or smaller run of the same."""

    name: str
    condition: str
    goal: str
    run: Callable[[float], Awaitable[Found]]
    seconds: int
    is_long: bool = False


def _scaled(count: float, scale: float, least: int = 1) -> int:
    return max(least, round(count * scale))


ROWS = (
    Row(
        "silent-22",
        "22 identities graft and never forward",
        "98 % of slots, finality",
        lambda scale: attacks.silent_identities(22, 80 * scale),
        110,
    ),
    Row(
        "silent-200",
        "200 identities graft and never forward",
        "98 % of slots, finality",
        lambda scale: attacks.silent_identities(200, 80 * scale),
        130,
    ),
    Row(
        "polite-liar",
        "a polite liar, a fresh observer, 60 blocks",
        "2 x the time without",
        lambda scale: attacks.polite_liar(_scaled(60, scale, 10), _scaled(5, scale)),
        150,
    ),
    Row(
        "idle-33",
        "33 idle identities, then an honest observer",
        "connects within 10 s",
        lambda _scale: attacks.idle_identities(33),
        40,
    ),
    Row(
        "named-victims",
        "300 greetings name a victim's ports",
        "10 connections in all",
        lambda scale: attacks.named_victims(95 * scale),
        115,
    ),
    Row(
        "slow-line",
        "600 kbit/s, 41,000 transactions to fetch",
        "done, 0.7 of the line",
        lambda scale: lines.slow_line(_scaled(41_000, scale, 2_000)),
        230,
    ),
    Row(
        "restart",
        "three of four restart without the founder",
        "meshed within 10 s",
        lambda _scale: attacks.restart_without_founder(),
        40,
    ),
    Row(
        "unread-30",
        "30 peers send and never read",
        "250 MB",
        lambda scale: attacks.unread_data(30, 60 * scale),
        90,
    ),
    Row(
        "patient-askers",
        "two peers just under the rate",
        "1 MB/s, the rest waits",
        lambda scale: attacks.patient_askers(_scaled(20_000, scale, 2_000), 40 * scale),
        120,
    ),
    Row(
        "enrolments",
        "one stranger enrols members",
        "every slot kept",
        lambda scale: attacks.enrolments(35 * scale),
        60,
    ),
    Row(
        "slow-bodies",
        "1,200 slow HTTP bodies, 1,024 descriptors",
        "face and peers go on",
        lambda scale: attacks.slow_bodies(30 * scale),
        70,
    ),
    Row(
        "wide-area",
        "100 ± 20 ms one way, 1 % loss, 600 tx/s; sync, sync with a peer killed and one stopped",
        "every slot, 5,000 tx/s",
        lambda scale: lines.wide_area(70 * scale),
        180,
    ),
    Row(
        "soak",
        "1,000 tx/s over that line, a kill a minute, a foreign peer, for an hour",
        "no slot, no memory, nothing lost",
        soak.soak,
        3_800,
        is_long=True,
    ),
)
