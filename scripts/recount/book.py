"""The register as a recount knows it: life stories, and what they add up to whenever somebody asks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from scripts.recount.council import Council, Seat, weights_of
from scripts.recount.lives import REVOKED, Annulment, Guard, Leaving, Motion, Office, Record, Row, Voice, claim
from scripts.recount.standing import Standing, heard, stands

# Of these periods the longer is the better one.
_MEMBERS_TIME = ("hearing_days", "appeal_days", "recovery_days", "annulment_days")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: ``about`` is a record's ``(member, number)``, an identity, a motion or a version."""

    height: int
    slot: int
    what: str
    about: Any


class Book:
    """Everything there is, told or not; ``events`` are what happened, ``faults`` what never should have.

    ``rules`` is the first policy as the row of an amendment has it; ``validators`` are those of the beginning, by
    their weights, and at most ``room`` of them may sit at once.  ``written`` is how much a key wrote on its last day,
    ``signed`` how many enrolments a registrar signed on its, ``losses`` how many signing states a validator lost.
    """

    def __init__(
        self, rules: Row, slot_ms: int, validators: Mapping[bytes, int], room: int, max_expiry_blocks: int
    ) -> None:
        self.version: int = rules["policy"]["version"]
        self.rules: dict[int, Row] = {self.version: rules}
        self.announced: tuple[int, int] | None = None  # version, slot
        self.owner: dict[bytes, bytes] = {}
        self.current: dict[bytes, bytes] = {}
        self.successor: dict[bytes, bytes] = {}
        self.nonces: Counter[bytes] = Counter()
        self.accounts: set[bytes] = set(validators)
        self.written: dict[bytes, tuple[int, int]] = {}
        self.signed: dict[bytes, tuple[int, int]] = {}
        self.losses: dict[bytes, tuple[int, int]] = {}
        self.strangers = 0
        self.guards: dict[bytes, Guard] = {}
        self.recoveries: dict[bytes, tuple[bytes, int, bool]] = {}
        self.leavings: dict[bytes, Leaving] = {}
        self.annulments: dict[bytes, Annulment] = {}
        self.marks: dict[bytes, int] = {}
        # What is attested of a member, by its code: by whom, on what, at which height, until which slot.
        self.attributes: dict[bytes, dict[int, tuple[bytes, bytes, int, int]]] = {}
        self.enrolled: dict[bytes, int] = {}
        self.enrolled_by: dict[bytes, bytes] = {}
        self.consents: dict[bytes, tuple[int, int]] = {}  # since which date, to which version
        self.in_force: dict[int, int] = {self.version: 0}  # since which date
        self.came: dict[int, int] = {self.version: 0}  # in the block at which height
        self.markers: dict[bytes, tuple[int, bool]] = {}  # until which slot something is not recorded; is it reopened
        self.roll: dict[bytes, int] = {}  # who has the arbiter's right, since which height
        self.rulings: defaultdict[tuple[bytes, bytes], Counter[str]] = defaultdict(Counter)
        self.ratings: defaultdict[bytes, dict[tuple[bytes, int], Voice]] = defaultdict(dict)
        self.records: defaultdict[bytes, list[Record]] = defaultdict(list)
        self.offices: dict[bytes, Office] = {}
        self.motions: list[Motion] = []
        self.council = Council({key: Seat(weight) for key, weight in validators.items()}, room)
        self.events: list[Event] = []
        self.faults: list[str] = []
        # Slots are of registry time, which is behind the date by what was lost in outages.
        self.height = self.slot = self.date = self.lost = 0
        self.parent = bytes(32)
        self._slot_ms = slot_ms
        self.max_expiry_blocks = max_expiry_blocks

    # ---------------------------------------------------------------------------------------------- what it says

    @property
    def policy(self) -> Row:
        """The policy in force."""
        return self._policy_of(self.version)

    @property
    def weights(self) -> dict[bytes, int]:
        """Who sits, and how much an approval of a motion weighs: nothing where the seat is jailed."""
        return dict(weights_of(self.council.seats))

    def who(self, key: bytes) -> bytes:
        """The identity behind a key: the first key of whoever moved to another."""
        return self.owner.get(key, key)

    def record(self, member: bytes, number: int) -> Record | None:
        """A record, while it is there."""
        about = self.records[member]
        return about[number] if number < len(about) and not about[number].end else None

    def about(self, member: bytes) -> list[Record]:
        """The records about a member that are there."""
        return [record for record in self.records[member] if not record.end]

    def all_records(self) -> Iterator[Record]:
        """All records that are there."""
        return (record for about in self.records.values() for record in about if not record.end)

    def sums(self, member: bytes) -> Counter[int]:
        """The points that count, by category and before its caps."""
        sums: Counter[int] = Counter()
        for record in self.about(member):
            if record.counts:
                sums[record.filing["category"]] += record.left
        return sums

    def record_points(self, member: bytes) -> int:
        """What the records about a member count for."""
        sums = self.sums(member).items()
        rules = self.categories
        return sum(max(rules[code]["floor"], min(rules[code]["ceiling"], total)) for code, total in sums)

    def rated_points(self, member: bytes) -> int:
        """What the ratings about a member add up to."""
        return sum(voice.points for voice in self.ratings[member].values())

    def raters(self, member: bytes) -> int:
        """How many people rate a member."""
        return len({rater for rater, _ in self.ratings[member]})

    def given(self, member: bytes) -> int:
        """How many ratings of a member stand about others."""
        return sum(rater == member for about in self.ratings.values() for rater, _ in about)

    def rated(self, member: bytes) -> int:
        """What the ratings about a member come to, before floor and cap."""
        return heard(self.policy, self.rated_points(member), len(self.ratings[member]), self.raters(member))

    def caps(self, member: bytes) -> Counter[int]:
        """How many records cap the tier of a member, by its level."""
        return Counter(record.cap for record in self.about(member) if record.counts and record.cap >= 0)

    def standing(self, member: bytes) -> Standing:
        """Score and tier of a member under the policy in force."""
        return stands(self.policy, self.record_points(member), self.rated(member), self.caps(member))

    @property
    def categories(self) -> dict[int, Row]:
        """The categories of the policy in force, by their codes."""
        return {category["code"]: category for category in self.policy["category"]}

    # ------------------------------------------------------------------------------------------------------- tools

    def _member(self, key: bytes) -> bytes:
        subject = self.who(key)
        claim(subject in self.enrolled, "something about somebody who has not enrolled")
        return subject

    def _office(self, who: bytes) -> Office:
        claim(who in self.offices, "somebody without an office acts as if")
        return self.offices[who]

    def _find(self, row: Row) -> Record:
        record = self.record(self._member(row["subject"]), row["number"])
        claim(record is not None and record.decided > self.slot, "something happens to a record that is over or due")
        assert record is not None
        return record

    def _own_record(self, row: Row, who: bytes) -> Record:
        claim(who == self.who(row["subject"]), f"{row['kind']} by somebody else")
        return self._find(row)

    def _issued_record(self, row: Row, who: bytes) -> Record:
        record = self._find(row)
        claim(who == record.issuer, f"{row['kind']} by another authority")
        claim(self.offices[who].status != REVOKED, f"{row['kind']} by a revoked authority")
        return record

    def _policy_of(self, version: int) -> Row:
        policy: Row = self.rules[version]["policy"]
        return policy

    def _slots(self, period: str) -> int:
        return self._days(self.policy["periods"][period])

    def _kept(self, record: Record, period: str) -> int:
        """A period of a record: as it was when it was filed, or as it is, whichever is better for the member."""
        return self._better(record.filing["policy_version"], period)

    def _better(self, version: int, period: str) -> int:
        """The period of an earlier policy, or of the one in force, whichever is better for members."""
        policies = self._policy_of(version), self.policy
        days = [{**policy["periods"], **policy["rights"], **policy["identity"]}[period] for policy in policies]
        return self._days(max(days) if period in _MEMBERS_TIME else min(days))

    def lot(self, seed: bytes, since: int, barred: set[bytes], seats: int) -> list[bytes]:
        """On whom a lot falls that was drawn at a height, or all that there are."""
        able = [who for who, height in self.roll.items() if height < since and who not in barred]
        able = [who for who in able if self.offices[who].serves("is_arbiter", self.date)]
        return sorted(able, key=lambda who: sha256(b"goodfaith/lot/1" + seed + who).digest())[:seats]

    def _days(self, days: int) -> int:
        return max(1, int(days * self.policy["day_ms"] // self._slot_ms))

    def _tell(self, what: str, about: Any) -> None:
        self.events.append(Event(self.height, self.slot, what, about))

    def _fault(self, text: str) -> None:
        self.faults.append(f"height {self.height}: {text}")
