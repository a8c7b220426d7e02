"""The rules, written a second time from their text, with plain dictionaries and lists and without ``chain/``.

Rows are trusted to be in the right order; whether a row was allowed at all is judged again, and what was not becomes
a fault.  Keys and digests are bytes, times are slots, a policy is the table of its file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from scripts.recount.council import ADD, AS_FROM_THE_BEGINNING, REPLACE, Turnout, Wish
from scripts.recount.disputes import Disputes
from scripts.recount.lives import (
    ACTIVE,
    CARRIED,
    LAPSED,
    OPEN,
    REVOKED,
    SUSPENDED,
    Fault,
    Motion,
    Office,
    Record,
    Row,
    Voice,
    claim,
)
from scripts.recount.notice import worsens
from scripts.recount.people import People

# Deadlines that one block works off; the others wait for the next one.
DUE_A_BLOCK = 2_000
MAX_ARBITERS = 64

_POSSIBLE_FROM = {"suspend": (ACTIVE,), "revoke": (ACTIVE, SUSPENDED), "restore": (SUSPENDED,)}


class Recount(People, Disputes):
    """The register after what it was told of.

    One block works off ``due_a_block`` deadlines; ``idle`` slots without a block are no outage.
    """

    def __init__(
        self,
        rules: Row,
        slot_ms: int,
        validators: Mapping[bytes, int],
        room: int,
        idle: int,
        max_expiry_blocks: int = 0,
        due_a_block: int = DUE_A_BLOCK,
    ) -> None:
        super().__init__(rules, slot_ms, validators, room, max_expiry_blocks)
        self._idle, self._due_a_block = idle, due_a_block

    # -------------------------------------------------------------------------------------------- what it is told

    def write(
        self,
        height: int,
        slot: int,
        rows: Iterable[Row],
        turnout: Turnout = AS_FROM_THE_BEGINNING,
        parent: bytes = bytes(32),
    ) -> None:
        """A whole block."""
        self.begin(height, slot, turnout, parent)
        for row in rows:
            self.accept(row)

    def begin(
        self, height: int, slot: int, turnout: Turnout = AS_FROM_THE_BEGINNING, parent: bytes = bytes(32)
    ) -> None:
        """A block begins, after the one with the id ``parent``.

        Only the votes tell when a change of the validators is in force.
        """
        self.lost += max(0, slot - self.date - self._idle)
        self.height, self.date, self.slot, self.parent = height, slot, slot - self.lost, parent
        self._open_day()
        self.council.begin(height, turnout)
        self._fall_due()

    def accept(self, row: Row) -> None:
        """A transaction was accepted."""
        actor = row["actor"]
        try:
            claim(row["nonce"] == self.nonces[actor], "a nonce out of turn")
            claim(actor not in self.successor, "a key that was left acts")
            self._count_quota(row, actor, self.who(actor))
            self._carry_out(row, actor, self.who(actor))
        except Fault as fault:
            self._fault(str(fault))
        self.nonces[actor] = row["nonce"] + 1
        self.accounts.add(actor)

    def _carry_out(self, row: Row, actor: bytes, who: bytes) -> None:
        match row["kind"]:
            case "enrol":
                self._enrol(row, actor, who)
            case "rate":
                self._rate(row, who)
            case "retract":
                self._retract(row, who)
            case "dispute":
                self._dispute(row, who)
            case "reply":
                self._reply(row, who)
            case "guardians":
                self._name(row, who)
            case "recover":
                self._recover(row, actor)
            case "veto":
                self._veto(row, who)
            case "annul":
                self._annul(row, who)
            case "leave":
                self._leave(row, who)
            case "anchor":
                self._anchor(actor, who)
            case "attest":
                self._attest(row, who)
            case "rotate":
                self._rotate(row["new_key"], actor, who)
            case "record" | "reopen":
                self._file(row, who)
            case "appeal":
                self._appeal(row, who)
            case "object":
                self._object(row, who)
            case "answer":
                self._answer(row, who)
            case "rule":
                self._rule(row, who)
            case "repair":
                self._repair(row, who)
            case "statement":
                self._own_record(row, who).statement = row["statement"]
                self._tell("stated", (who, row["number"]))
            case "motion":
                self._move(row["proposal"], actor)
            case "approve":
                self._approve(row["number"], actor)
            case "consent":
                self._consent(row["number"], actor)
            case "evidence":
                self.council.punish(row["signer"], max(row["heights"]), self.height)
            case "lost":
                self.council.renew(actor, row["old"], row["tag"])
                self._count_loss(actor)
            case other:
                raise Fault(f"no rule for {other}")

    # ------------------------------------------------------------------------------------- what falls due by itself

    def _fall_due(self) -> None:
        """An announced policy first; then in the order of deadlines, and of kinds and names within one slot.

        Whoever leaves comes after all that is tied to it: records about it, and ratings by and about it.  These have
        turns of their own, too, where their own deadlines have passed.
        """
        due: list[tuple[int, str, Any]] = []
        if self.announced is not None and self.announced[1] <= self.slot:
            self._amended(self.announced[0])
        due += [(record.due, "d", record.name) for record in self.all_records()]
        due += [(until, "k", marker) for marker, (until, _) in self.markers.items()]
        due += [(motion.expires, "o", at) for at, motion in enumerate(self.motions) if motion.status == OPEN]
        due += [(voice.due, "r", name) for name, voice in self._all_voices() if voice.due]
        due += [(slot, "y", who) for who, (_, slot, _) in self.recoveries.items()]
        due += [(leaving.due, "l", who) for who, leaving in self.leavings.items()]
        due += [(annulment.due, "u", who) for who, annulment in self.annulments.items()]
        due += [(min(end for *_, end in held.values()), "x", who) for who, held in self.attributes.items()]
        due += [(slot, "w", (sha256(b"goodfaith/left/1" + key).digest(), key)) for key, slot in self.marks.items()]
        queue: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        for _, kind, about in sorted(row for row in due if row[0] <= self.slot):
            if kind == "l":
                queue += [(self._take_along, (about, *tie)) for tie in self._ties(about)]
            queue.append((self._act, (kind, about)))
        for act, what in queue[: self._due_a_block]:
            act(*what)

    def _ties(self, who: bytes) -> list[tuple[str, Any]]:
        """In the order of their keys in the state: records before ratings."""
        records = [("d", record.name) for record in self.about(who)]
        return records + sorted(("r", name) for name, _ in self._all_voices() if who in name[:2])

    def _all_voices(self) -> Iterator[tuple[tuple[bytes, bytes, int], Voice]]:
        return (
            ((subject, rater, code), voice)
            for subject, voices in self.ratings.items()
            for (rater, code), voice in voices.items()
        )

    def _has_left(self, who: bytes) -> bool:
        return who in self.leavings and self.leavings[who].due <= self.slot

    def _take_along(self, who: bytes, kind: str, about: Any) -> None:
        """Somebody leaves, unless that was called off in this block, and takes along what is still there."""
        if not self._has_left(who):
            return
        record = self.record(*about) if kind == "d" else None
        if record is not None:
            self._end(record, "forgotten")
        if kind == "r":
            self.ratings[about[0]].pop(about[1:], None)

    def _act(self, kind: str, about: Any) -> None:
        """What came before in this block may have ended it, or put it off."""
        match kind:
            case "d":
                record = self.record(*about)
                if record is not None and record.due <= self.slot:
                    self._record_due(record)
            case "r":
                voice = self.ratings[about[0]].get(about[1:])
                if voice is not None and 0 < voice.due <= self.slot:
                    self._unsay(about[0], about[1:], is_silence=voice.due != voice.expires)
            case "k":
                if self.markers[about][0] <= self.slot:  # what has just ended may have prolonged it
                    del self.markers[about]
            case "o":
                self.motions[about].status, self.motions[about].closed = LAPSED, self.height
                self._tell("motion lapsed", about)
            case "y" if about in self.recoveries:
                self._recovery_due(about)
            case "l" if self._has_left(about):
                self._leaving_due(about)
            case "u" if about in self.annulments:
                self._annulment_due(about)
            case "x" if about in self.attributes:
                self._keep_attributes(about, self.attributes[about])
            case "w":
                del self.marks[about[1]]

    def _amended(self, version: int) -> None:
        """Nobody stands worse right after an amendment than right before it."""
        before = {member: self.standing(member) for member in self.enrolled}
        self.version, self.announced, self.in_force[version] = version, None, self.date
        self.came[version] = self.height
        for member, old in before.items():
            new = self.standing(member)
            if new.score < old.score or new.level < old.level:
                self._fault(f"policy {version} worsened {member.hex()[:12]} from {old} to {new}")
        self._tell("amended", version)

    # ------------------------------------------------------------------------------------------------ the members

    # -------------------------------------------------------------------------------------------- the authorities

    def _file(self, row: Row, who: bytes) -> None:
        subject, office, policy = self._member(row["subject"]), self._office(who), self.policy
        category = self.categories.get(row["category"])
        claim(category is not None, "a record in no category")
        assert category is not None
        self._check_filing(row, office, category)
        claim(who != subject, "a record about oneself")
        claim(row["established_slot"] <= self.date, "filed before it was established")
        self._check_time(row, subject, category)
        self._check_once(row, subject, who)
        established = row["established_slot"] - self.lost
        kept_until, expires, repairable_from = (established + self._days(days) for days in self._spans(row, category))
        repairable_from = max(1, repairable_from) if row["severity"] else 0
        claim(self.slot < expires, "filed though it is over")
        claim(self.slot + self._slots("answer_days") <= expires, "filed to be over before it is answered")
        levels = [tier["name"] for tier in reversed(policy["tier"])]
        cap = levels.index(category["tier_cap"]) if "tier_cap" in category else -1
        stands, is_reopened = category["interim"] == "stands", row["kind"] == "reopen"
        times, about = (self.height, expires, repairable_from, kept_until), self.records[subject]
        about.append(Record(subject, len(about), who, row, row["points"], *times, cap, stands, is_reopened))
        about[-1].conduct, about[-1].half_life = established, self._half_life(row, category)
        about[-1].fade(self.slot)
        about[-1].reopener = self.who(row["arbiter"]) if is_reopened else b""
        self._tell("reopened" if is_reopened else "filed", about[-1].name)
        self._deed(who, "filed")

    def _spans(self, row: Row, category: Row) -> tuple[int, int, int]:
        """In days from the conduct on: how long it is kept that there was a record, it lasts, and none is repaired."""
        versions = {self.version}
        if row["points"] < 0 or "tier_cap" in category:
            versions.add(self._version_at(row["established_slot"]))
        spans = [self._span(self._policy_of(version), row) for version in versions]
        return max(kept for kept, _, _ in spans), min(last for _, last, _ in spans), min(wait for _, _, wait in spans)

    def _span(self, policy: Row, row: Row) -> tuple[int, int, int]:
        names = next(each["severities"] for each in policy["category"] if each["code"] == row["category"])
        graded = {at: each for at, each in enumerate(policy["severity"], 1) if each["name"] in names}
        fits = [graded[row["severity"]]] if row["severity"] in graded else list(graded.values())
        kept: int = policy["periods"]["retention_days"]
        if not fits:
            return kept, kept, kept
        return kept, max(each["expires_after_days"] for each in fits), max(each["repair_after_days"] for each in fits)

    def _version_at(self, date: int) -> int:
        return max((each for each, since in self.in_force.items() if since <= date), default=min(self.in_force))

    def _half_life(self, row: Row, category: Row) -> int:
        lives = [category.get("half_life_days", 0)]
        if category["min"] < 0:
            then = self._policy_of(self._version_at(row["established_slot"]))["category"]
            lives += [each.get("half_life_days", 0) for each in then if each["code"] == row["category"]]
        days = min((each for each in lives if each), default=0)
        return self._days(days) if days else 0

    def _check_time(self, row: Row, subject: bytes, category: Row) -> None:
        """What takes something from a member was a rule when it was established, and one that it consented to."""
        if row["points"] >= 0 and "tier_cap" not in category:
            return
        date = row["established_slot"]
        then = {each["code"]: each for each in self._policy_of(self._version_at(date))["category"]}.get(row["category"])
        claim(then is not None and not then["closed"] and then["min"] <= row["points"], "a rule before its time")
        assert then is not None
        if "tier_cap" in category:
            levels = [tier["name"] for tier in reversed(self.policy["tier"])]
            claim("tier_cap" in then, "a tier cap before its time")
            claim(levels.index(then["tier_cap"]) <= levels.index(category["tier_cap"]), "a tier cap before its time")
        since, consented = self.consents[subject]
        days = min(policy["rights"]["lookback_days"] for policy in (self.policy, self._policy_of(consented)))
        claim(date >= since - (self._days(days) if days else 0), "a record of what was before the enrolment")

    def _check_once(self, row: Row, subject: bytes, who: bytes) -> None:
        ended, conduct = self._marks(subject, row)
        used = {(record.filing["category"], record.filing["evidence"]) for record in self.about(subject)}
        claim((row["category"], row["evidence"]) not in used, "evidence of a record that stands")
        claim(ended not in self.markers, "evidence of a record that ended")
        claim((conduct in self.markers) == (row["kind"] == "reopen"), "a record again, or a reopening of nothing")
        if row["kind"] == "reopen":
            until, is_reopened = self.markers[conduct]
            claim(not is_reopened, "a second reopening of what stands")
            self.markers[conduct] = until, True
            arbiter = self.who(row["arbiter"])
            claim(row["reason"], "a reopening without a reason")
            claim(arbiter in self.offices and self.current[arbiter] == row["arbiter"], "a consent of no arbiter")
            claim(self.offices[arbiter].serves("is_arbiter", self.date), "a consent of no arbiter")
            claim(arbiter not in (who, subject), "a consent in one's own affair")

    def _check_filing(self, row: Row, office: Office, category: Row) -> None:
        names = [severity["name"] for severity in self.policy["severity"]]
        severities = [names.index(name) + 1 for name in category["severities"]] or [0]
        claim(office.status == ACTIVE, "a record of a suspended or revoked authority")
        claim(office.is_in_term(self.date), "a record out of term")
        claim(row["category"] in office.terms["categories"], "a record outside an accreditation")
        claim(not category["closed"], "a record in a closed category")
        claim(category["min"] <= row["points"] <= category["max"], "points outside the category's range")
        claim(row["severity"] in severities, "a severity that the category does not know")
        claim(row["reason"] or not category["reason"], "a discretionary record without a reason")
        claim(row["policy_version"] == self.version, "a record under another policy")

    # -------------------------------------------------------------------------------------------- the validators

    def _move(self, proposal: Row, actor: bytes) -> None:
        self._check_seat(proposal)
        expires = self.slot + self._slots("motion_days")
        has_held_office = proposal["kind"] == "accredit" and self.who(proposal["authority"]) in self.offices
        is_awaited = not has_held_office and self.invited(proposal) not in (b"", actor)
        motion = Motion(actor, proposal, self.height, expires, is_awaited)
        self.motions.append(motion)
        self._approve(len(self.motions) - 1, actor)

    def _approve(self, number: int, actor: bytes) -> None:
        motion = self._open_motion(number)
        claim(self.weights.get(actor), "an approval by no validator")
        claim(actor not in motion.approvals, "a validator approves twice")
        motion.approvals.append(actor)
        self._count(number, motion)

    def _consent(self, number: int, actor: bytes) -> None:
        motion = self._open_motion(number)
        claim(actor == self.invited(motion.proposal), "a consent of somebody whom no motion invites")
        claim(motion.is_awaited, "a consent that nobody waits for")
        motion.is_awaited = False
        self._count(number, motion)

    def invited(self, proposal: Row) -> bytes:
        """The key, as it is today, of whom a proposal would seat or accredit; empty where it is about nobody."""
        if proposal["kind"] == "accredit":
            who = self.who(proposal["authority"])
            return self.current.get(who, who)
        newcomer: bytes = proposal.get({ADD: "key", REPLACE: "other"}.get(proposal["kind"], ""), b"")
        return newcomer

    def _check_seat(self, proposal: Row) -> None:
        is_seat = proposal["kind"] in (ADD, REPLACE)
        claim(not is_seat or self.invited(proposal) not in self.successor, "a key that was left is to make blocks")

    def _open_motion(self, number: int) -> Motion:
        claim(number < len(self.motions), "something happens to no motion")
        motion = self.motions[number]
        claim(motion.status == OPEN and motion.expires > self.slot, "something happens to a closed motion")
        return motion

    def _count(self, number: int, motion: Motion) -> None:
        weights = self.weights
        approving = sum(weight for key, weight in weights.items() if key in motion.approvals)
        if 3 * approving > 2 * sum(weights.values()) and not motion.is_awaited:
            motion.status, motion.closed = CARRIED, self.height
            self._tell("carried", number)
            self._check_seat(motion.proposal)
            self._carry(motion.proposal)

    def _may_rule_again(self, who: bytes) -> bool:
        office = self.offices[who]
        return office.status != REVOKED and self.date < office.terms["until_slot"]

    def _carry(self, proposal: Row) -> None:
        match proposal["kind"]:
            case "accredit":
                who = self.who(proposal["authority"])
                self.accounts.add(proposal["authority"])
                self.current.setdefault(who, proposal["authority"])
                self.offices.setdefault(who, Office(proposal, self.slot)).terms = proposal
                self._deed(who, "accredit")
                if len(self.roll) == MAX_ARBITERS:
                    self.roll = {each: since for each, since in self.roll.items() if self._may_rule_again(each)}
                if proposal["is_arbiter"]:
                    self.roll.setdefault(who, self.height)
                else:
                    self.roll.pop(who, None)
                claim(len(self.roll) <= MAX_ARBITERS, "more arbiters than can be drawn from")
            case "judge":
                record = self._find({**proposal, "kind": "judge"})
                claim(self.waits_for_motion(record), "a motion on what no motion decides")
                self._decide(record, proposal["verdict"])
            case "judge enrolment":
                self._judge_enrolment(self._member(proposal["subject"]), proposal["verdict"])
            case "suspend" | "revoke" | "restore" as kind:
                who = self.who(proposal["authority"])
                claim(self._office(who).status in _POSSIBLE_FROM[kind], f"a motion to {kind} that was not possible")
                self._deed(who, kind)
            case "amend":
                claim(self.announced is None, "two policies are announced")
                claim(proposal["base_version"] == self.version, "an amendment of another policy")
                days = self.policy["periods"]["notice_days"]
                if worsens(self.policy, proposal["policy"]):
                    days = max(days, self.policy["rights"]["worse_notice_days"])
                claim(proposal["effective_slot"] >= self.date + self._days(days), "an amendment without notice")
                self.rules[self.version + 1] = proposal
                self.announced = self.version + 1, proposal["effective_slot"] - self.lost
            case kind:
                wish = Wish(kind, proposal["key"], proposal.get("other", b""), proposal.get("weight", 0))
                self.council.ask(wish, self.height)
