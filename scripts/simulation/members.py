"""What members do: come, rate, object, ask; move to other keys, lose them, leave."""

from __future__ import annotations

from chain.base.keys import SecretKey
from chain.content.actions import (
    ANNUL,
    APPEAL,
    AUDIT,
    CONTEST,
    DENY,
    GRANT,
    LEAVE,
    RECOVER,
    RECOVERY,
    UNDO,
    Anchor,
    Annul,
    Appeal,
    Dispute,
    Enrol,
    Leave,
    NameGuardians,
    Object,
    Rate,
    Recover,
    Reply,
    Retract,
    Rotate,
    Statement,
    Veto,
)
from chain.content.consents import sign_consent, sign_recovery
from chain.content.identities import (
    ANNULMENTS,
    BEFORE_ARBITER,
    GUARDIANS,
    IN_HEARING,
    LEAVINGS,
    RECOVERIES,
    Guardians,
    commitment_of,
)
from chain.register.arbiters import annulment_case, drawn
from chain.register.draft import Draft
from chain.register.entries import DISPUTED, UNDISPUTED, Member, Rating, Record
from chain.register.statekeys import RATINGS, member_key, read_rating_key
from scripts.simulation.clients import DIGEST, Clients, Wish
from scripts.simulation.ratings import EXPIRY_HEIGHT, MEMBERS
from scripts.simulation.rules import RATING
from scripts.simulation.world import secret

FIRST_GUARDIAN = 5_000
GUARDIANS_NAMED, THRESHOLD = 3, 2
SALT = bytes(16)
# Fewer do not leave, so that there is somebody left.
FEWEST_MEMBERS = 5
LEAVES = 400  # of a thousand tries: who is gone has nobody object, ask, or appeal


class Members(Clients):
    """Members of a registry."""

    def _enrol(self, view: Draft) -> Wish | None:
        if len(self._people()) >= MEMBERS:
            return None
        new = next((key.public for key in self._members if self._is_unknown(view, key.public)), None)
        registrar = self._pick([authority for _, authority in self._active()])
        if new is None:
            return None
        if registrar is None or self.world.chance(500):
            return new, Enrol(policy_version=view.rules.version)
        consent = sign_consent(self._keys[registrar.key], self.world.genesis.id, new, EXPIRY_HEIGHT)
        return new, Enrol(registrar.key, consent, view.rules.version)

    def _rate(self, view: Draft) -> Wish | None:
        members = self._people()
        if len(members) < 2:
            return None
        (_, rater), (_, subject) = self.world.random.sample(members, 2)
        return rater.key, Rate(subject.key, RATING, self.world.random.randint(-10, 10))

    def _object(self, view: Draft) -> Wish | None:
        def object_to(subject: bytes, number: int, _record: Record) -> Wish | None:
            return view.member(subject)[1].key, Object(subject, number, DIGEST)

        return self._about_a_record(view, lambda record: not record.is_disputed and not record.upheld, object_to)

    def _appeal(self, view: Draft) -> Wish | None:
        def appeal(subject: bytes, number: int, _record: Record) -> Wish | None:
            return view.member(subject)[1].key, Appeal(subject, number, DIGEST)

        return self._about_a_record(view, lambda record: record.upheld == 1 and not record.is_disputed, appeal)

    def _comment(self, view: Draft) -> Wish | None:
        def comment(subject: bytes, number: int, _record: Record) -> Wish | None:
            return view.member(subject)[1].key, Statement(subject, number, DIGEST)

        return self._about_a_record(view, lambda _record: True, comment)

    def _rotate(self, view: Draft) -> Wish | None:
        who = self._pick([*self._people(), *self._entries(b"a")])
        if who is None:
            return None
        return who[1].key, Rotate(self._new_key().public, b"")

    # ------------------------------------------------------------------------------------------------ their ratings

    def _speak_of_a_rating(self, view: Draft) -> Wish | None:
        """Take a rating back, object to it, or give a reason for it."""
        ratings = [(read_rating_key(RATINGS + rest), rating) for rest, rating in self._entries(RATINGS)]
        chosen: tuple[tuple[bytes, bytes, int], Rating] | None = self._pick(ratings)
        if chosen is None:
            return None
        (subject, rater, code), rating = chosen
        rated, by = (view.member(identity)[1].key for identity in (subject, rater))
        if not {rated, by} <= self._keys.keys():  # somebody who came to make trouble
            return None
        if rating.status == UNDISPUTED and self.world.chance(700):
            return rated, Dispute(by, code, DIGEST)
        if rating.status == DISPUTED and self.world.chance(700):
            return by, Reply(rated, code, DIGEST)
        return by, Retract(rated, code)

    # --------------------------------------------------------------------------------------------------- their keys

    def _name_guardians(self, view: Draft) -> Wish | None:
        who = self._pick(self._people())
        return None if who is None else (who[1].key, NameGuardians(self._commitment(self.world.random.randrange(2))))

    def _circle(self, which: int) -> list[SecretKey]:
        first = FIRST_GUARDIAN + which * GUARDIANS_NAMED
        return sorted((secret(first + place) for place in range(GUARDIANS_NAMED)), key=lambda key: key.public)

    def _commitment(self, which: int) -> bytes:
        return commitment_of(THRESHOLD, tuple(key.public for key in self._circle(which)), SALT)

    def _recover(self, view: Draft) -> Wish | None:
        """Guardians, or whoever enrolled it, give a member another key."""
        who = self._pick([item for item in self._people() if view.get(RECOVERIES + item[0]) is None])
        if who is None:
            return None
        identity, member = who
        guardians: Guardians | None = view.get(GUARDIANS + identity)
        if guardians is not None:
            can_undo = guardians.undo_until_slot > view.slot and self.world.chance(500)
            return self._recovered(member.key, guardians.in_force(view.slot), UNDO if can_undo else RECOVER)
        registrar = dict(self._active()).get(member.registrar)
        if registrar is None:
            return None
        new = self._new_key().public
        word = sign_recovery(self._keys[registrar.key], self.world.genesis.id, member.key, new, RECOVER, EXPIRY_HEIGHT)
        return new, Recover(member.key, RECOVER, registrar=registrar.key, consent=word)

    def _recovered(self, member: bytes, commitment: bytes, step: int) -> Wish:
        circle, new = self._circle(int(commitment == self._commitment(1))), self._new_key().public
        words = [
            sign_recovery(key, self.world.genesis.id, member, new, step, EXPIRY_HEIGHT) for key in circle[:THRESHOLD]
        ]
        keys = tuple(key.public for key in circle)
        return new, Recover(member, step, THRESHOLD, keys, SALT, (*words, b""))

    def _veto(self, view: Draft) -> Wish | None:
        """A member stops its recovery, or stays."""
        recoveries = [
            (identity, each) for identity, each in self._entries(RECOVERIES) if each.key and not each.is_final
        ]
        waiting = [(RECOVERY, identity) for identity, _ in recoveries]
        waiting += [(LEAVE, identity) for identity, _ in self._entries(LEAVINGS)]
        chosen = self._pick(waiting)
        member: Member | None = chosen and view.get(member_key(chosen[1]))
        return None if chosen is None or member is None else (member.key, Veto(chosen[0]))

    def _anchor(self, _view: Draft) -> Wish | None:
        """Somebody stands by a report."""
        who, digest = self._pick(self._people()), self.world.random.randbytes(32)
        return None if who is None else (who[1].key, Anchor(AUDIT, digest, digest, digest, digest))

    def _leave(self, _view: Draft) -> Wish | None:
        who = self._leaver() if self.world.chance(LEAVES) else None
        return None if who is None else (who[1].key, Leave())

    def _leaver(self) -> tuple[bytes, Member] | None:
        people = [item for item in self._people() if not item[1].leaves_slot]
        found: tuple[bytes, Member] | None = self._pick(people) if len(people) > FEWEST_MEMBERS else None
        return found

    def _annul(self, view: Draft) -> Wish | None:
        """A registrar says that an enrolment is void, the member objects or appeals, who was drawn decides."""
        offices, open_one = dict(self._active()), self._pick(self._entries(ANNULMENTS))
        if open_one is None:
            who = self._leaver()
            registrar = None if who is None else offices.get(who[1].registrar)
            return None if who is None or registrar is None else (registrar.key, Annul(who[1].key, ANNUL, DIGEST))
        identity, annulment = open_one
        member = view.member(identity)[1].key
        if annulment.status != BEFORE_ARBITER:
            return member, Annul(member, CONTEST if annulment.status == IN_HEARING else APPEAL, DIGEST)
        arbiter = self._pick(list(drawn(view, annulment_case(identity, annulment), view.date_slot)))
        step = self.world.random.choice((GRANT, GRANT, DENY))
        return None if arbiter is None else (view.current_key(arbiter), Annul(member, step, DIGEST))
