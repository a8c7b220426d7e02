"""What the state of a registry must add up to: a recount from its ratings and records alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sortedcontainers import SortedList

from chain.ledger import Ledger
from chain.policy import Policy
from chain.state import CategorySum, Member, Rating, Record, decode_entry, due_slot, read_rating_key


def faults(ledger: Ledger, slot: int) -> Iterator[str]:
    """What is wrong with the state after a block of ``slot``, a sentence each."""
    rows = ((due_slot(key, value), key) for key, value in ledger.state.items())
    agenda = SortedList((due, key) for due, key in rows if due is not None)
    if agenda != ledger._agenda:
        yield "its agenda is not that of its state"
    if agenda and agenda[0][0] <= slot:
        yield f"a deadline of slot {agenda[0][0]} has passed"
    yield from _miscounted(ledger.state, ledger.view().policy)


def _miscounted(state: Mapping[bytes, bytes], policy: Policy) -> Iterator[str]:
    entries: dict[bytes, dict[bytes, Any]] = defaultdict(dict)
    for key, value in state.items():
        entries[key[:1]][key] = decode_entry(key, value)
    ratings: dict[bytes, list[Rating]] = defaultdict(list)
    records: dict[bytes, list[Record]] = defaultdict(list)
    for key, rating in entries[b"r"].items():
        ratings[read_rating_key(key)[0]].append(rating)
    for key, record in entries[b"d"].items():
        records[key[1:33]].append(record)
    sums: dict[bytes, CategorySum] = {}
    for key, member in entries[b"m"].items():
        about = records[key[1:]]
        counted = [record for record in about if record.status in (0, 1)]
        points: Counter[int] = Counter()
        for record in counted:
            points[record.category] += record.points
        for code, total in points.items():
            if policy.categories[code].is_capped and total:
                sums[b"s" + key[1:] + code.to_bytes(4, "big")] = CategorySum(total)
        right = member._replace(
            rated_points=sum(rating.points for rating in ratings[key[1:]]),
            ratings=len(ratings[key[1:]]),
            record_points=sum(policy.categories[code].clamp(total) for code, total in points.items()),
            standing=len(counted),
            suspended=len(about) - len(counted),
            caps=tuple(sorted(Counter(record.cap for record in counted if record.cap >= 0).items())),
        )
        yield from _differences(key, member, right)
    if sums != entries[b"s"]:
        yield "the sums of its categories are not those of its records"
    standing = Counter(record.issuer for about in records.values() for record in about)
    for key, authority in entries[b"a"].items():
        if standing[key[1:]] > authority.filed:
            yield f"authority {key[1:].hex()[:8]} filed fewer records than there are"


def _differences(key: bytes, found: Member, right: Member) -> Iterator[str]:
    for name, one, other in zip(found._fields, found, right, strict=True):
        if one != other:
            yield f"{name} of member {key[1:].hex()[:8]} is {one}, where {other} is right"
