"""What each assertion makes of what was seen: whether it holds, and the figures that say so.  Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scripts.manifest_parts.record import Record, Sight
from scripts.manifest_parts.things import (
    Agree,
    Assertion,
    Lag,
    LoseDisk,
    Manifest,
    Memory,
    Mute,
    Recorded,
    Seats,
    Slots,
    Speaks,
    Stalls,
    Stays,
    Synced,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``seen`` is a phrase with the figures."""

    assertion: Assertion
    holds: bool
    seen: str


def judge(manifest: Manifest, record: Record) -> list[Verdict]:
    """One verdict for each assertion, in their order."""
    return [Verdict(each, *_judged(each, manifest, record)) for each in manifest.asserts]


_Found = tuple[bool, str]


def _judged(each: Assertion, manifest: Manifest, record: Record) -> _Found:
    match each:
        case Agree():
            return _agree(_names(each, manifest), record)
        case Stays():
            return _stays(_names(each, manifest), record, manifest)
        case Slots():
            return _slots(each, record)
        case Lag():
            return _lag(each, _names(each, manifest), record)
        case Stalls():
            return _stalls(each, _names(each, manifest), record)
        case Synced():
            return _synced(each, _names(each, manifest), record)
        case Mute():
            return _mute(each, record)
        case Speaks():
            return _speaks(each, record)
        case Seats():
            return _seats(each, record)
        case Recorded():
            return _recorded(each, record)
        case Memory():
            return _memory(each, _names(each, manifest), record)


def _names(each: Agree | Stays | Lag | Stalls | Synced | Memory, manifest: Manifest) -> Sequence[str]:
    return each.nodes or manifest.names


def _sights(
    nodes: Sequence[str], record: Record, since: int = 0, until: int = 1 << 60
) -> Iterator[tuple[int, str, Sight]]:
    """What these nodes showed in a window, in its order."""
    for slot in sorted(record.sights):
        if since <= slot < until:
            yield from ((slot, name, sight) for name, sight in record.sights[slot].items() if name in nodes)


def _agree(nodes: Sequence[str], record: Record) -> _Found:
    longest = max((record.chains[name] for name in nodes), key=len)
    for name in nodes:
        chain = record.chains[name]
        if list(chain) != list(longest[: len(chain)]):
            return False, f"{name} ends with another final chain than the longest"
    for slot, name, sight in _sights(nodes, record):
        if not _lies_on(longest, sight):
            return False, f"{name} called another block final at height {sight.final_height} in slot {slot}"
    heights = [len(record.chains[name]) for name in nodes]
    return True, f"one chain, final up to {min(heights)} to {max(heights)}"


def _stays(nodes: Sequence[str], record: Record, manifest: Manifest) -> _Found:
    highest, lost = dict.fromkeys(nodes, 0), _lost_disks(manifest)
    for slot, name, sight in _sights(nodes, record):
        while lost[name] and lost[name][0] <= slot:
            highest[name] = 0
            del lost[name][0]
        if sight.final_height < highest[name]:
            return False, f"{name} was final up to {highest[name]}, and up to {sight.final_height} in slot {slot}"
        highest[name] = sight.final_height
        if sight.final_height <= len(record.chains[name]) and not _lies_on(record.chains[name], sight):
            return False, f"{name} replaced the block at height {sight.final_height} that was final in slot {slot}"
    short = [name for name in nodes if len(record.chains[name]) < highest[name] and not lost[name]]
    return not short, f"{' '.join(short)} ends with less final than it had" if short else "nothing final was undone"


def _lost_disks(manifest: Manifest) -> dict[str, list[int]]:
    """The slots in which each node forgets everything."""
    losses = [event for event in manifest.events if isinstance(event, LoseDisk)]
    return {name: [loss.at for loss in losses if name in loss.nodes] for name in manifest.names}


def _lies_on(chain: Sequence[bytes], sight: Sight) -> bool:
    at = sight.final_height
    return at == 0 or (at <= len(chain) and chain[at - 1] == sight.final_id)


def _slots(each: Slots, record: Record) -> _Found:
    kept = len({slot for slot, _ in record.blocks if each.since <= slot < each.until})
    count = each.until - each.since
    return 100 * kept >= each.percent * count, f"{kept} of {count} slots kept"


def _lag(each: Lag, nodes: Sequence[str], record: Record) -> _Found:
    found = [
        (sight.height - sight.final_height, name, slot)
        for slot, name, sight in _sights(nodes, record, each.since, each.until)
    ]
    if not found:
        return False, "no node answered"
    blocks, name, slot = max(found)
    return blocks <= each.blocks, f"{blocks} blocks at most, at {name} in slot {slot}"


def _stalls(each: Stalls, nodes: Sequence[str], record: Record) -> _Found:
    heights: dict[str, int] = {}
    for slot, name, sight in _sights(nodes, record, each.since, each.until):
        if sight.final_height > heights.setdefault(name, sight.final_height):
            return False, f"{name} made height {sight.final_height} final in slot {slot}"
    return bool(heights), "nothing new was final" if heights else "no node answered"


def _synced(each: Synced, nodes: Sequence[str], record: Record) -> _Found:
    sights = record.sights.get(each.at, {})
    away = [name for name in nodes if name not in sights]
    if away:
        return False, f"{' '.join(away)} did not answer"
    furthest = max(sight.final_height for sight in sights.values())
    behind = {name: furthest - sights[name].final_height for name in nodes}
    name, blocks = max(behind.items(), key=lambda item: item[1])
    return blocks <= each.within, f"{name} is {blocks} blocks behind height {furthest}"


def _mute(each: Mute, record: Record) -> _Found:
    sights = record.sights.get(each.at, {})
    for name in each.nodes:
        if name not in sights:
            return False, f"{name} did not answer"
        why = sights[name].mute
        if not why or each.why not in why:
            return False, f"{name} says: {why or 'nothing, it is not mute'}"
    return True, "; ".join(f"{name}: {sights[name].mute}" for name in each.nodes)


def _speaks(each: Speaks, record: Record) -> _Found:
    made = {
        name: sum(maker == name for slot, maker in record.blocks if each.since <= slot < each.until)
        for name in each.nodes
    }
    return all(made.values()), ", ".join(f"{name} made {count}" for name, count in made.items())


def _seats(each: Seats, record: Record) -> _Found:
    sights = record.sights.get(each.at, {})
    seated = {name for name, sight in sights.items() if sight.is_validator}
    return seated == set(each.nodes), f"{' '.join(sorted(seated)) or 'nobody'} sits, of those that answered"


def _recorded(each: Recorded, record: Record) -> _Found:
    offered = [key for key, slot in record.offered.items() if each.since <= slot < each.until]
    final = sum(key in record.final for key in offered)
    return bool(offered) and 100 * final >= each.percent * len(offered), f"{final} of {len(offered)} are final"


def _memory(each: Memory, nodes: Sequence[str], record: Record) -> _Found:
    found = [(sight.rss_mb, name, slot) for slot, name, sight in _sights(nodes, record)]
    if not found:
        return False, "no node answered"
    mb, name, slot = max(found)
    return mb <= each.mb, f"{mb} MB at most, {name} in slot {slot}"
