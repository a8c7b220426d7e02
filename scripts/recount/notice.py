"""Whether an amendment worsens anything for the future, from the tables of two policies."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.recount.lives import Row

_LONGER = (
    *("answer_days", "ruling_days", "repair_answer_days", "retention_days", "bodies_days"),
    *("lookback_days", "disputed_days"),
)
_SHORTER = ("notice_days", "worse_notice_days", "hearing_days", "appeal_days", "window_days")
_OF_PEOPLE_LONGER = (
    *(("identity", "leave_days"), ("identity", "return_days")),
    *(("raters", "answer_days"), ("quotas", "fresh_days")),
)
_OF_PEOPLE_SHORTER = (
    *(("identity", "recovery_days"), ("identity", "annulment_days")),
    *(("quotas", "member"), ("quotas", "fresh")),
)


def worsens(old: Row, new: Row) -> bool:
    """Whether ``new`` is worse than ``old`` for anybody in anything."""
    return any(_comparisons(old, new))


def _comparisons(old: Row, new: Row) -> Iterator[bool]:
    numbers, others = ({**each["periods"], **each["rights"], **each["authorities"]} for each in (old, new))
    yield from (others[name] > numbers[name] for name in (*_LONGER, "overturned_permille", "overturned_minimum"))
    yield from (others[name] < numbers[name] for name in _SHORTER)
    yield from (new[table][name] > old[table][name] for table, name in _OF_PEOPLE_LONGER)
    yield from (new[table][name] < old[table][name] for table, name in _OF_PEOPLE_SHORTER)
    yield (old["identity"]["registrar"], new["identity"]["registrar"]) == ("recovers nobody", "recovers")
    yield old["enrolment"] == "registrar" and new["enrolment"] == "open"
    for mild, harsh in zip(old["severity"], new["severity"], strict=False):
        yield harsh["repair_after_days"] > mild["repair_after_days"]
        yield harsh["expires_after_days"] > mild["expires_after_days"]
    known = {row["code"]: row for row in old["category"]}
    ranks = {tier["name"]: rank for rank, tier in enumerate(reversed(new["tier"]))} | {"": len(new["tier"])}
    graded = {row["name"]: row for row in new["severity"]}
    for row in new["category"]:
        yield _is_worse(known.get(row["code"]), row, ranks)
        yield from _is_graded_worse(known.get(row["code"], row), row, graded)
    lowest = {row["code"]: row["min"] for row in old["rating"]}
    yield from (row["min"] < lowest.get(row["code"], 0) for row in new["rating"])
    shut = {row["code"] for row in old["rating"] if row["closed"]}
    yield from (row["min"] < 0 and row["code"] in shut and not row["closed"] for row in new["rating"])


def _is_worse(old: Row | None, new: Row, ranks: dict[str, int]) -> bool:
    takes = new["min"] < 0 or "tier_cap" in new
    if old is None:
        return takes
    return (
        new["min"] < old["min"]
        or new["max"] < old["max"]
        or ranks[new.get("tier_cap", "")] < ranks[old.get("tier_cap", "")]
        or (new["interim"], old["interim"]) == ("stands", "suspended")
        or (old["reason"] and not new["reason"])
        or (takes and old["closed"] and not new["closed"])
        or (new["max"] > 0 and new["closed"] and not old["closed"])
        or (new["min"] < 0 and _stays(new) > _stays(old))
        or (new["max"] > 0 and _stays(new) < _stays(old))
    )


def _is_graded_worse(old: Row, new: Row, severities: Row) -> Iterator[bool]:
    """Whether something that takes may be graded otherwise, or not as mildly, or may be not graded at all."""
    takes, before, after = new["min"] < 0 or "tier_cap" in new, set(old["severities"]), set(new["severities"])
    yield takes and bool((after or {""}) - (before or {""}))
    for period in ("repair_after_days", "expires_after_days") if takes and after and before else ():
        yield min(severities[name][period] for name in after) > min(severities[name][period] for name in before)


def _stays(category: Row) -> int:
    """For how many days more than half of a record's points stay; for longer than any where all do."""
    days: int = category.get("half_life_days") or 10**6
    return days
