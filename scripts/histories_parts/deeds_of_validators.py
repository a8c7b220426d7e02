"""What validators try: motions of all kinds, and what they say of themselves and one another."""

from __future__ import annotations

from hashlib import sha256

from chain.base.codec import encode
from chain.consensus.attestations import VERSION as ATTESTATION_VERSION
from chain.consensus.headers import VERSION as HEADER_VERSION
from chain.consensus.statements import NO_TAG, TAG_BYTES
from chain.content.actions import AUDIT, Anchor, Approve, Consent, Evidence, Lost, Propose
from chain.content.amendments import needed_notice_days
from chain.content.proposals import (
    ALL_RIGHTS,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
    Judge,
    JudgeEnrolment,
    Proposal,
    ReleaseValidator,
    RemoveValidator,
    ReplaceValidator,
    Restore,
    Revoke,
    ReweighValidator,
    Suspend,
)
from scripts.histories_parts.hand import FOREVER, Deed, Hand
from scripts.histories_parts.policies import amendment
from scripts.recount.lives import OPEN, REVOKED, SUSPENDED


class OfValidators(Hand):
    """Deeds of validators, and of who speaks about the register."""

    def _propose(self) -> Deed:
        mover, number = self._validator(), len(self.recount.motions)
        if self.random.random() < 0.7:
            self._next = [Deed(other, Approve(number)) for other in self.recount.weights if other != mover]
        return Deed(mover, Propose(self._proposal()))

    def _approve(self) -> Deed | None:
        numbers = [number for number, motion in enumerate(self.recount.motions) if motion.status == OPEN]
        if not numbers:
            return None
        number = self._mostly(numbers[-1], *numbers, 99)
        silent = [
            validator
            for validator in self.recount.weights
            if number >= len(self.recount.motions) or validator not in self.recount.motions[number].approvals
        ]
        return Deed(self.random.choice(silent or self.validators), Approve(number))

    def _proposal(self) -> Proposal:
        random, recount = self.random, self.recount
        office = random.choice(self.offices)
        status = recount.offices[office].status if office in recount.offices else REVOKED
        match random.randrange(10):
            case 0 | 1:
                known = sorted((*self.policy.categories, *self.policy.attributes))
                codes = sorted(random.sample(known, len(known) // 2))
                from_slot = self._mostly(0, recount.date + 2)
                who = self.random.choice((self._now(office), self._now(office), self._left_key(), self._somebody()))
                until = self._mostly(FOREVER, recount.date + 3, recount.date)
                return Accredit(who, random.randint(0, ALL_RIGHTS), tuple(codes), from_slot, until)
            case 2 | 3:
                usual: Proposal = Restore(self._now(office)) if status == SUSPENDED else Suspend(self._now(office))
                return self._mostly(usual, Revoke(office), Restore(office), Suspend(self._somebody()))
            case 4:
                return Revoke(self._now(office)) if random.random() < 0.3 else Restore(self._now(office))
            case 5 | 6:
                return self._amendment()
            case 7:
                annulled = [who for who in self.recount.annulments if self.recount.waits_for_judges(who)]
                if annulled:
                    return JudgeEnrolment(self._now(random.choice(annulled)), random.choice((1, 2)))
                found = self._found(self.recount.waits_for_motion)
                return Judge(found[0], found[1], random.choice((1, 2))) if found else self._amendment()
            case _:
                return self._seat()

    def _amendment(self) -> Amend:
        recount = self.recount
        new = amendment(self.random, self.policy)
        document = new.encode()
        self._policies[document] = new
        notice = needed_notice_days(self.policy, new) + self._mostly(self.random.randint(0, 5), -1, 500)
        return Amend(self._mostly(recount.version, recount.version + 1), recount.date + notice, document)

    def _seat(self) -> Proposal:
        validator = self._validator()
        other = self.random.choice((self._new_key(), self._new_key(), self._somebody(), self._left_key(), validator))
        self._invited.append(other)
        random = self.random
        return random.choice(
            (
                AddValidator(other, 1),
                RemoveValidator(validator),
                JailValidator(validator),
                ReleaseValidator(validator),
                ReplaceValidator(validator, other),
                ReweighValidator(validator, self._mostly(random.randint(1, 3), 0)),
            )
        )

    def _consent(self) -> Deed | None:
        awaited = [at for at, motion in enumerate(self.recount.motions) if motion.is_awaited and motion.status == OPEN]
        invited = [at for at, motion in enumerate(self.recount.motions) if self.recount.invited(motion.proposal)]
        if not invited:
            return None
        number = self.random.choice(awaited) if awaited and self.random.random() < 0.9 else self.random.choice(invited)
        actor = self.recount.invited(self.recount.motions[number].proposal)
        return Deed(self._mostly(actor, self._somebody()), Consent(number))

    def _lose(self) -> Deed:
        loser, tag, tags = self._validator(), self.random.randbytes(TAG_BYTES), self.recount.council.tags
        old = self._mostly(tags.get(loser, NO_TAG), tag)
        return Deed(loser, Lost(old, self._mostly(tag, NO_TAG, old)))

    def _anchor(self) -> Deed:
        digest = self.random.randbytes(32)
        return Deed(self._somebody(), Anchor(AUDIT, digest, digest, self._mostly(digest, b""), digest))

    def _accuse(self) -> Deed:
        """Two statements of the same height, headers or attestations, and mostly not the same one.

        Their signer sits, or is on the way to a seat.
        """
        height = max(1, self.recount.height - self._mostly(self.random.randrange(4), 8, -2))
        council = self.recount.council
        signer = self.random.choice(list({**council.seats, **council.expected}))
        first, second = (self._statement(signer, height, number) for number in (0, self._mostly(1, 0)))
        in_order = sorted((first, second), key=lambda raw: sha256(raw).digest())
        return Deed(self._somebody(), Evidence(*in_order))

    def _statement(self, signer: bytes, height: int, number: int) -> bytes:
        """A statement as it travels, which nobody has signed."""
        other = bytes([number]) * 32
        if self.random.random() < 0.5:
            return encode((ATTESTATION_VERSION, signer, NO_TAG, other, height, 0, 0)) + bytes(64)
        slot, roots = max(1, self.recount.date), (other, other, other)
        return encode((HEADER_VERSION, height, slot, bytes(32), signer, NO_TAG, 0, 0, *roots)) + bytes(64)
