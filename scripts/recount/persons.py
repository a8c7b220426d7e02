"""Whose a key is, and how that changes: guardians, recoveries, who leaves."""

from __future__ import annotations

from typing import Any

from scripts.recount.lives import ACTIVE, Guard, Leaving, Row, claim
from scripts.recount.voices import Voices

KEYS_A_VISIT = 16


class Persons(Voices):
    """The book, and what people do about the keys that they have, had, and will have."""

    def _identity_slots(self, who: bytes, period: str) -> int:
        """As the policy has it that a member consented to, or the one in force, whichever is better for it."""
        return self._better(self.consents[who][1], period)

    # ----------------------------------------------------------------------------------------------- guardians

    def _named(self, who: bytes) -> bytes:
        """The commitment that counts now; empty where nobody was named."""
        guard = self.guards.get(who)
        if guard is None:
            return b""
        return guard.coming if 0 < guard.coming_from <= self.slot else guard.now

    def _name(self, row: Row, who: bytes) -> None:
        self._member(row["actor"])
        claim(not self.recoveries.get(who, (b"",))[0], "guardians named while a recovery waits")
        now = self._named(who)
        until = self.slot + self._identity_slots(who, "recovery_days")
        if now:
            self.guards[who] = Guard(now, row["commitment"], until, until)
        else:
            self._guard(who, row["commitment"])
        self._tell("guarded", who)

    def _guard(self, who: bytes, commitment: bytes) -> None:
        self.guards.pop(who, None)
        if commitment:
            self.guards[who] = Guard(commitment)

    def _can_be_undone(self, who: bytes) -> None:
        now = self._named(who)
        if now:
            guard = self.guards[who]
            if 0 < guard.coming_from <= self.slot:
                guard.coming, guard.coming_from = b"", 0
            guard.now, guard.undo_until = now, self.slot + self._identity_slots(who, "recovery_days")

    # ------------------------------------------------------------------------------------------------ recovery

    def _recover(self, row: Row, actor: bytes) -> None:
        claim(actor not in self.accounts and self._is_unmarked(actor), "a recovery to a key of somebody")
        who = self._member(row["subject"])
        is_undoing = row["step"] == 2
        if self._named(who):
            claim(row["commitment"] == self._named(who), "a recovery by strangers")
            signed = sum(1 for signature in row["signatures"] if signature)
            claim(signed >= row["threshold"] > len(row["guardians"]) / 2, "a recovery by too few")
            if row["registrar"] and not is_undoing:
                self._stands_by(row["registrar"], who)
        else:
            registrar = self.who(row["registrar"])
            claim(not is_undoing, "an undoing by nobody")
            policies = self.policy, self._policy_of(self.consents[who][1])
            claim(
                all(policy["identity"]["registrar"] == "recovers" for policy in policies),
                "a recovery by a registrar that may not",
            )
            claim(registrar and registrar == self.enrolled_by[who], "a recovery by another registrar")
            claim(self.offices[registrar].serves("is_registrar", self.date), "a recovery by no registrar")
        claim(not self._holds_office(who), "a recovery of an office")
        if is_undoing:
            claim(self.guards[who].undo_until > self.slot, "an undoing of nothing, or too late")
            self.recoveries.pop(who, None)
            self._recovered(who, actor)
            return
        was_vetoed, say_both = who in self.recoveries, bool(row["guardians"] and row["registrar"])
        claim(not was_vetoed or not self.recoveries[who][0], "two recoveries at a time")
        claim(not was_vetoed or say_both, "a recovery again, right after a veto")
        due = self.slot + self._identity_slots(who, "recovery_days")
        self.recoveries[who] = actor, due, was_vetoed and say_both
        if who in self.guards and self.guards[who].coming_from > self.slot:
            self.guards[who].coming, self.guards[who].coming_from = b"", 0
        self._tell("recovery asked", who)
        if who in self.leavings:
            self.leavings[who].due = max(self.leavings[who].due, due + 1)

    def _stands_by(self, key: bytes, who: bytes) -> None:
        """The registrar of a member, or another where that one is not in office, with its present key."""
        registrar, signer = self.who(key), self.enrolled_by[who]
        claim(registrar in self.offices and self.current[registrar] == key, "a word of no registrar")
        claim(self._serves(registrar, "is_registrar"), "a word of no registrar")
        claim(signer in (b"", registrar) or not self._serves(signer, "is_registrar"), "a word of another registrar")

    def _recovered(self, who: bytes, new_key: bytes) -> None:
        old = self.current[who]
        self.accounts.add(new_key)
        if old in self.written:
            self.written[new_key] = self.written[old]
        self.owner[new_key] = self.owner[old] = who
        self.successor[old] = self.current[who] = new_key
        self._guard(who, self._named(who))
        self.leavings.pop(who, None)
        self._tell("recovered", who)

    def _recovery_due(self, who: bytes) -> None:
        new_key, _, _ = self.recoveries.pop(who)
        if not new_key:
            return
        is_taken = new_key in self.owner or new_key in self.enrolled or new_key in self.offices
        if not is_taken and new_key in self.accounts and not self._holds_office(who):
            self._recovered(who, new_key)

    def _veto(self, row: Row, who: bytes) -> None:
        self._member(row["actor"])
        if row["what"] == 1:
            key, due, is_final = self.recoveries.get(who, (b"", 0, False))
            claim(key and due > self.slot, "a veto of nothing")
            claim(not is_final, "a veto of what guardians and a registrar say after one")
            self.recoveries[who] = b"", self.slot + self._identity_slots(who, "recovery_days"), False
        else:
            claim(who in self.leavings and self.leavings[who].due > self.slot, "somebody stays who did not leave")
            del self.leavings[who]

    # -------------------------------------------------------------------------------------------------- who leaves

    def _leave(self, row: Row, who: bytes) -> None:
        self._member(row["actor"])
        claim(not self._holds_office(who) and who not in self.leavings, "an office leaves, or somebody twice")
        promised = self._days(self._policy_of(self.consents[who][1])["identity"]["recovery_days"])
        due = self.slot + max(self._identity_slots(who, "leave_days"), promised)
        if who in self.recoveries:
            due = max(due, self.recoveries[who][1] + 1)
        self.leavings[who] = Leaving(due, self.consents[who][1])
        self._tell("leaving", who)
        self._can_be_undone(who)

    def _leaving_due(self, who: bytes) -> None:
        """Nothing is tied to it any more."""
        leaving = self.leavings[who]
        stays = max(self._better(leaving.version, "return_days"), self.max_expiry_blocks + 1)
        if who in self.enrolled:
            keeps_keys = self._holds_office(who)
            for kept in (
                self.enrolled,
                self.consents,
                self.enrolled_by,
                self.guards,
                self.recoveries,
                self.annulments,
                self.attributes,
            ):
                kept.pop(who, None)
            self.ratings.pop(who, None)
            self.records.pop(who, None)
            self._tell("left", who)
            if keeps_keys:
                self.marks[who] = self.slot + stays
                del self.leavings[who]
                return
        key = leaving.cursor or who
        for _ in range(KEYS_A_VISIT):
            self.marks[key] = self.slot + stays
            follower = self.successor.get(key, b"")
            self._forget_key(key)
            if not follower:
                del self.leavings[who]
                self.current.pop(who, None)
                return
            key = follower
        leaving.cursor = key

    def _forget_key(self, key: bytes) -> None:
        self.accounts.discard(key)
        kept: Any
        for kept in (self.nonces, self.owner, self.successor, self.written):
            kept.pop(key, None)

    # --------------------------------------------------------------------------------------------------- tools

    def _member(self, key: bytes) -> bytes:
        who = super()._member(key)
        claim(who not in self.leavings or self.leavings[who].due > self.slot, "something about somebody who has left")
        return who

    def _is_unmarked(self, key: bytes) -> bool:
        return key not in self.marks

    def _serves(self, who: bytes, right: str) -> bool:
        office = self.offices.get(who)
        return office is not None and office.status == ACTIVE and office.serves(right, self.date)

    def _holds_office(self, who: bytes) -> bool:
        key = self.current.get(who, who)
        return who in self.offices or self.council.has(key) or self.council.is_wished_for(key)
