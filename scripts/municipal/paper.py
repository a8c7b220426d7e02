"""The register kept on paper: the same rules, computed a second time from the rows of a chain.

Written from the text of the rules, with plain dictionaries and lists, and sharing no code with ``chain/``: a
mistake there is not made here again.  A page is one final block.  Its rows are trusted to be in the right order;
whether a row was allowed at all is checked again, and what was not becomes a fault.

Keys and digests are bytes, times are slots, a policy is the table of its file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Policy = Mapping[str, Any]

STANDING, REPAIR_ASKED, OBJECTED, MAINTAINED = "standing", "repair asked", "objected", "maintained"
COUNTING = (STANDING, REPAIR_ASKED)
# How an objected record ends to the cost of its issuer.
OVERTURNED = ("withdrawn", "corrected", "struck", "silence", "unruled")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: ``about`` is a record's ``(member, number)``, an authority, a motion or a version."""

    height: int
    slot: int
    what: str
    about: Any


class Paper:
    """The register after the pages written so far."""

    def __init__(self, policy: Policy, validators: Iterable[bytes], slot_ms: int) -> None:
        self.policies: dict[int, Policy] = {policy["version"]: policy}
        self.version: int = policy["version"]
        self.announced: tuple[int, int] | None = None  # (slot, version)
        self.slot_ms = slot_ms
        self.seats: list[set[bytes]] = [{key} for key in validators]
        self.members: dict[bytes, dict[str, Any]] = {}
        self.records: dict[tuple[bytes, int], dict[str, Any]] = {}
        self.authorities: dict[bytes, dict[str, Any]] = {}
        self.motions: list[dict[str, Any]] = []
        self.nonces: Counter[bytes] = Counter()
        self.events: list[Event] = []
        self.faults: list[str] = []
        self.height = self.slot = 0
        self._owner: dict[bytes, bytes] = {}
        self._do: dict[str, Callable[[Row], None]] = {
            "enrol": self._enrol,
            "record": self._record,
            "object": self._object,
            "answer": self._answer,
            "rule": self._rule,
            "repair": self._repair,
            "statement": self._statement,
            "rotate": self._rotate,
            "motion": self._motion,
            "approve": self._approve,
        }

    def write(self, height: int, slot: int, rows: Iterable[Row]) -> None:
        """The next page: what fell due, and then its rows one after the other."""
        self.height, self.slot = height, slot
        self._fall_due()
        for row in rows:
            rule = self._do.get(row["kind"])
            if rule is None:
                self._fault(f"no rule on paper for {row['kind']}")
            else:
                rule(row)
            self.nonces[row["actor"]] += 1

    # ---------------------------------------------------------------------------------------------- what it says

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.policies[self.version]

    def who(self, key: bytes) -> bytes:
        """The identity behind a key: the first key of whoever moved to another."""
        return self._owner.get(key, key)

    def standing(self, member: bytes) -> tuple[int, str]:
        """Score and tier of a member under the policy in force."""
        sums: Counter[int] = Counter()
        caps: list[int] = []
        names = [tier["name"] for tier in reversed(self.policy["tier"])]  # from the lowest up
        for (subject, _), record in self.records.items():
            if subject == member and record["status"] in COUNTING:
                sums[record["category"]] += record["points"]
                if record["cap"] is not None:
                    caps.append(names.index(record["cap"]))
        rules = {category["code"]: category for category in self.policy["category"]}
        points = sum(max(rules[code]["floor"], min(rules[code]["ceiling"], total)) for code, total in sums.items())
        score = int(self.policy["score"]["base"]) + points
        reached = next((tier["name"] for tier in self.policy["tier"] if score >= tier["from"]), names[0])
        return score, names[min([names.index(reached), *caps])]

    def standings(self) -> dict[bytes, tuple[int, str]]:
        """Score and tier of everybody."""
        return {member: self.standing(member) for member in self.members}

    def count(self, member: bytes, *statuses: str) -> int:
        """How many records about a member have one of these statuses."""
        return sum(subject == member and record["status"] in statuses for (subject, _), record in self.records.items())

    # ------------------------------------------------------------------------------------- what falls due by itself

    def _fall_due(self) -> None:
        """An announced policy first; then in the order of deadlines, of those in one slot records before motions."""
        if self.announced is not None and self.announced[0] <= self.slot:
            self._amended(self.announced[1])
        due: list[tuple[int, str, Any]] = []
        for name, record in self.records.items():
            if _due(record) <= self.slot:
                due.append((_due(record), "1", name))
        for number, motion in enumerate(self.motions):
            if motion["status"] == "open" and motion["expires"] <= self.slot:
                due.append((motion["expires"], "2", number))
        for _, kind, name in sorted(due):
            if kind == "1":
                self._record_due(name)
            else:
                self.motions[name]["status"] = "lapsed"
                self._tell("motion lapsed", name)

    def _record_due(self, name: tuple[bytes, int]) -> None:
        record = self.records[name]
        if _due(record) == record["expires"]:  # what came first counts, however late the block is
            self._end(name, "expired")
        elif record["status"] == REPAIR_ASKED:
            self._end(name, "repaired by silence")
        else:
            self._end(name, "silence" if record["status"] == OBJECTED else "unruled")

    def _amended(self, version: int) -> None:
        """Nobody stands worse right after an amendment than right before it."""
        before = self.standings()
        self.version, self.announced = version, None
        names = [tier["name"] for tier in self.policy["tier"]]  # from the highest down
        for member, (score, tier) in self.standings().items():
            old_score, old_tier = before[member]
            if score < old_score or names.index(tier) > names.index(old_tier):
                self._fault(f"policy {version} worsened {member.hex()[:12]} from {old_score} to {score}")
        self._tell("amended", version)

    # ------------------------------------------------------------------------------------------------ the members

    def _enrol(self, row: Row) -> None:
        if self.policy["enrolment"] == "registrar":
            registrar = self.authorities.get(self.who(row["registrar"]))
            self._demand(registrar is not None and registrar["is_registrar"], "an enrolment without a registrar")
        self.members[self.who(row["actor"])] = {"key": row["actor"], "filed": 0}

    def _rotate(self, row: Row) -> None:
        identity = self._owner[row["new_key"]] = self.who(row["actor"])
        for book in (self.members, self.authorities):
            if identity in book:
                book[identity]["key"] = row["new_key"]
        self._tell("rotated", identity)

    def _object(self, row: Row) -> None:
        name, record = self._find(row)
        self._demand(self.who(row["actor"]) == name[0], "an objection by somebody else")
        self._demand(record["status"] in COUNTING and not record["upheld"], "an objection that was not open")
        record.update(status=OBJECTED, deadline=self.slot + self._slots("answer_days"))
        self._tell("objected", name)

    def _statement(self, row: Row) -> None:
        name, _ = self._find(row)
        self._demand(self.who(row["actor"]) == name[0], "a statement by somebody else")
        self._tell("stated", name)

    # -------------------------------------------------------------------------------------------- the authorities

    def _record(self, row: Row) -> None:
        issuer, subject = self.who(row["actor"]), self.who(row["subject"])
        authority, member = self.authorities[issuer], self.members[subject]
        category = next(item for item in self.policy["category"] if item["code"] == row["category"])
        self._demand(authority["status"] == "active", "a record of a suspended authority")
        self._demand(category["code"] in authority["categories"], "a record outside an accreditation")
        self._demand(not category["closed"], "a record in a closed category")
        self._demand(category["min"] <= row["points"] <= category["max"], "points outside the category's range")
        self._demand(bool(row["reason"]) or not category["reason"], "a discretionary record without a reason")
        established = row["established_slot"]
        expires, repairable = established + self._slots("retention_days"), None
        if row["severity"]:
            severity = self.policy["severity"][row["severity"] - 1]
            expires = min(expires, established + self._days(severity["expires_after_days"]))
            repairable = established + self._days(severity["repair_after_days"])
        name = (subject, member["filed"])
        member["filed"] += 1
        authority["filed"] += 1
        self.records[name] = {
            "issuer": issuer,
            "category": category["code"],
            "points": row["points"],
            "severity": row["severity"],
            "version": self.version,
            "cap": category.get("tier_cap"),
            "expires": expires,
            "repairable": repairable,
            "status": STANDING,
            "upheld": False,
            "deadline": None,
        }
        self._tell("filed", name)
        self._judge(issuer)  # it may have been the one that makes enough of them

    def _answer(self, row: Row) -> None:
        name, record = self._find(row)
        self._demand(self.who(row["actor"]) == record["issuer"], "an answer of another authority")
        verdict = {1: "corrected", 2: "withdrawn", 3: MAINTAINED}[row["verdict"]]
        if verdict == MAINTAINED:
            self._demand(record["status"] == OBJECTED, "maintained without an objection")
            record.update(status=MAINTAINED, deadline=self.slot + self._slots("ruling_days"))
            self._tell(MAINTAINED, name)
            return
        is_objected = record["status"] not in COUNTING
        if verdict == "withdrawn":
            self._end(name, verdict, is_overturned=is_objected)
            return
        self._demand(row["points"] > record["points"], "a correction for the worse")
        record.update(points=row["points"], status=STANDING, deadline=None)
        if is_objected:
            self._overturn(record["issuer"])
        self._tell(verdict, name)

    def _rule(self, row: Row) -> None:
        name, record = self._find(row)
        arbiter = self.who(row["actor"])
        self._demand(self.authorities[arbiter]["is_arbiter"], "a ruling of no arbiter")
        self._demand(arbiter != record["issuer"] and record["status"] == MAINTAINED, "a ruling that was not open")
        if row["verdict"] == 1:
            self._end(name, "struck")
        else:
            record.update(status=STANDING, upheld=True, deadline=None)
            self._tell("upheld", name)

    def _repair(self, row: Row) -> None:
        name, record = self._find(row)
        if row["step"] == 1:
            is_due = record["repairable"] is not None and record["repairable"] <= self.slot
            self._demand(is_due and record["status"] == STANDING, "a repair asked for too early")
            record.update(status=REPAIR_ASKED, deadline=self.slot + self._slots("repair_answer_days"))
            self._tell(REPAIR_ASKED, name)
            return
        self._demand(self.who(row["actor"]) == record["issuer"], "a repair by another authority")
        if row["step"] == 2:
            self._end(name, "repaired")
        else:
            severity = self.policies[record["version"]]["severity"][record["severity"] - 1]
            again = self.slot + self._days(severity["repair_after_days"])
            record.update(status=STANDING, deadline=None, repairable=again)
            self._tell("repair declined", name)

    def _end(self, name: tuple[bytes, int], what: str, *, is_overturned: bool | None = None) -> None:
        issuer = self.records.pop(name)["issuer"]
        self._tell(what, name)
        if what in OVERTURNED if is_overturned is None else is_overturned:
            self._overturn(issuer)

    def _overturn(self, issuer: bytes) -> None:
        self.authorities[issuer]["overturned"] += 1
        self._judge(issuer)

    def _judge(self, issuer: bytes) -> None:
        authority, limits = self.authorities[issuer], self.policy["authorities"]
        filed = authority["filed"] - authority["forgiven_filed"]
        # No more than all: what was filed before a motion may be overturned after it.
        overturned = min(filed, authority["overturned"] - authority["forgiven_overturned"])
        is_over = overturned * 1000 > limits["overturned_permille"] * filed
        if is_over and filed >= limits["overturned_minimum"] and authority["status"] == "active":
            authority["status"] = "suspended"
            self._tell("suspended", issuer)

    # -------------------------------------------------------------------------------------------- the validators

    def _motion(self, row: Row) -> None:
        motion = {
            "proposer": row["actor"],
            "proposal": row["proposal"],
            "approvals": {row["actor"]},
            "status": "open",
            "expires": self.slot + self._slots("motion_days"),
        }
        self.motions.append(motion)
        self._count(len(self.motions) - 1)

    def _approve(self, row: Row) -> None:
        motion = self.motions[row["number"]]
        self._demand(motion["status"] == "open", "an approval of a closed motion")
        motion["approvals"].add(row["actor"])
        self._count(row["number"])

    def _count(self, number: int) -> None:
        """A seat that was handed over counts once, under whichever key."""
        motion = self.motions[number]
        approving = sum(not seat.isdisjoint(motion["approvals"]) for seat in self.seats)
        if motion["status"] == "open" and 3 * approving > 2 * len(self.seats):
            motion["status"] = "carried"
            self._tell("carried", number)
            self._carry(motion["proposal"])

    def _carry(self, proposal: Row) -> None:
        match proposal["kind"]:
            case "accredit":
                terms = {name: proposal[name] for name in ("is_registrar", "is_arbiter", "categories")}
                counts = dict.fromkeys(("filed", "overturned", "forgiven_filed", "forgiven_overturned"), 0)
                key = proposal["authority"]
                self.authorities.setdefault(self.who(key), {"key": key, "status": "active", **counts}).update(terms)
            case "restore":
                authority = self.authorities[self.who(proposal["authority"])]
                forgiven = {f"forgiven_{name}": authority[name] for name in ("filed", "overturned")}
                authority.update(status="active", **forgiven)
            case "amend":
                policy = proposal["policy"]
                earliest = self.slot + self._slots("notice_days")
                self._demand(proposal["effective_slot"] >= earliest, "an amendment without notice")
                self.policies[policy["version"]] = policy
                self.announced = proposal["effective_slot"], policy["version"]
            case "replace validator":
                next(seat for seat in self.seats if proposal["key"] in seat).add(proposal["other"])
            case other:
                self._fault(f"no rule on paper for a motion to {other}")

    # ------------------------------------------------------------------------------------------------------- tools

    def _find(self, row: Row) -> tuple[tuple[bytes, int], dict[str, Any]]:
        name = (self.who(row["subject"]), row["number"])
        return name, self.records[name]

    def _slots(self, period: str) -> int:
        return self._days(self.policy["periods"][period])

    def _days(self, days: int) -> int:
        return max(1, int(days * self.policy["day_ms"] // self.slot_ms))

    def _tell(self, what: str, about: Any) -> None:
        self.events.append(Event(self.height, self.slot, what, about))

    def _demand(self, holds: bool, fault: str) -> None:
        if not holds:
            self._fault(fault)

    def _fault(self, text: str) -> None:
        self.faults.append(f"height {self.height}: {text}")


def _due(record: Mapping[str, Any]) -> int:
    expires, deadline = record["expires"], record["deadline"]
    return int(expires if deadline is None else min(expires, deadline))
