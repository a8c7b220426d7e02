"""Scenes about keys: who enrols, moves to another key, loses one, leaves, and does not come back so soon."""

from __future__ import annotations

from chain.base.errors import Reason
from chain.content.actions import RECOVER, STRIKE, Action, Enrol, Leave, NameGuardians, Recover, Rotate, Statement
from chain.content.consents import sign_consent, sign_recovery, sign_rotation
from chain.content.identities import commitment_of
from scripts.municipal.casework import Casework
from scripts.municipal.cast import Cast, Player
from scripts.municipal.scenes import Do, Scene, Until
from scripts.municipal.stage import digest
from scripts.recount.lives import COUNTING


class People(Casework):
    """What members do about their keys."""

    cast: Cast

    def _enrolments(self) -> Scene:
        yield [Do(member, self._enrolment(member)) for member in self.cast.members]

    def _enrolment(self, member: Player) -> Enrol:
        """With the civil office's consent."""
        civil, expiry_height = self.cast.civil, self.genesis.max_expiry_blocks
        consent = sign_consent(civil.secret, self.genesis.id, member.key, expiry_height)
        return Enrol(civil.key, consent, self.paper.version)

    def _ruling_after_moving(self, member: Player, agency: Player) -> Scene:
        """A member moves to another key, and objects with that one."""
        heir = self.cast.heir

        def action(nonce: int) -> Action:
            return Rotate(heir.key, sign_rotation(heir.secret, self.genesis.id, member.key, nonce))

        yield [Do(member, action)]
        yield from self._ruling(member, agency, STRIKE, heir)

    def _recovery(self, member: Player) -> Scene:
        """A member names guardians and loses its key; two of the three say which key it has from now on."""
        guardians = sorted(self.cast.guardians, key=lambda guardian: guardian.key)
        keys, salt, found = tuple(guardian.key for guardian in guardians), digest(member.name)[:16], self.cast.found
        yield [Do(member, NameGuardians(commitment_of(2, keys, salt)))]
        expiry_height = self.genesis.max_expiry_blocks
        words = [
            sign_recovery(guardian.secret, self.genesis.id, member.key, found.key, RECOVER, expiry_height)
            for guardian in guardians[:2]
        ]
        yield [Do(found, Recover(member.key, RECOVER, 2, keys, salt, (*words, b"")))]
        yield Until(lambda: self.paper.current[member.key] == found.key)
        yield [Do(found, Statement(found.key, 0, digest("I have paid since.")), self._when(member, *COUNTING))]

    def _departure(self, member: Player) -> Scene:
        """A member withdraws its consent, and is gone after the notice."""
        yield [Do(member, Leave())]
        yield Until(lambda: member.key not in self.paper.enrolled)

    def _return(self, member: Player) -> Scene:
        """Whoever left does not come back clean under the same key."""
        yield [Do(member, self._enrolment(member), words="enrols again", refusal=Reason.HAS_LEFT)]
