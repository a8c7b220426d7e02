"""Guardians of a member, for tests: they are named, and sign what they are asked to."""

from __future__ import annotations

from chain.content.actions import RECOVER, NameGuardians, Recover
from chain.content.consents import sign_recovery
from chain.content.identities import commitment_of
from tests.support.register import Person, Register

SALT = b"sixteen bytes..!"


class Circle:
    """``threshold`` of ``count`` people whom a member named at once."""

    def __init__(
        self,
        register: Register,
        member: Person,
        *,
        threshold: int = 2,
        count: int = 3,
        salt: bytes = SALT,
    ) -> None:
        self.register, self.member, self.salt = register, member, salt
        self.threshold = threshold
        self.people = sorted((register.person() for _ in range(count)), key=lambda person: person.key)
        register.do(member, NameGuardians(commitment_of(threshold, self.keys, salt)))

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(person.key for person in self.people)

    def recover(self, new: Person, *, step: int = RECOVER, life: int = 10, registrar: Person | None = None) -> Recover:
        """What the new key signs, with as many of the guardians' signatures as are needed, and a registrar's."""
        genesis_id, expiry = self.register.genesis.id, self.register.draft.height + life
        word = (self.member.identity, new.key, step, expiry)
        signatures = [
            sign_recovery(person.secret, genesis_id, *word) if place < self.threshold else b""
            for place, person in enumerate(self.people)
        ]
        words = Recover(self.member.identity, step, self.threshold, self.keys, self.salt, tuple(signatures))
        if registrar is None:
            return words
        return words._replace(registrar=registrar.key, consent=sign_recovery(registrar.secret, genesis_id, *word))
