"""Traffic of a whole registry: members, authorities and validators, and every kind of transaction.

Validators change, too, one after another: a single validator moves it, which keeps its seat, and each of its motions
needs the one before.  At no time do fewer honest ones serve than at first.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from chain.base.errors import Refused
from chain.content.actions import (
    APPROVE,
    ASK,
    CORRECT,
    DECLINE,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    WITHDRAW,
    Answer,
    Approve,
    Consent,
    FileRecord,
    Propose,
    Reopen,
    Repair,
    Rule,
)
from chain.content.consents import sign_reopening
from chain.content.identities import ANNULMENTS
from chain.content.policy import Policy
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
    SeatProposal,
    Suspend,
    decode_proposal,
)
from chain.register import markers
from chain.register.arbiters import annulment_case, drawn, needs_motion, record_case
from chain.register.draft import Draft
from chain.register.entries import DRAWN, OBJECTED, REPAIR_ASKED, REPAIR_DRAWN, SUSPENDED, Record
from chain.register.governance import named
from chain.register.statekeys import read_record_key
from scripts.simulation.clients import DIGEST, Wish
from scripts.simulation.members import Members
from scripts.simulation.ratings import EXPIRY_HEIGHT
from scripts.simulation.world import World

UNASKED = 100  # of a thousand answers: nobody objected
REVOKED = 333  # of a thousand wishes against an authority; the others suspend it
# An amendment is in force so many slots after the notice that it needs if it is carried at once.
SLOTS_TO_CARRY = 30


class Offices(Members):
    """Everybody who has to do with a registry."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        # By whom, and what: what ended may be reopened.
        self._filed: list[tuple[bytes, FileRecord]] = []
        # How often each is tried, of all: most find nothing to do most of the time.
        self._kinds = [
            *3 * [self._enrol],
            *3 * [self._rate],
            *3 * [self._speak_of_a_rating],
            *5 * [self._file],
            *2 * [self._reopen],
            *3 * [self._object],
            *5 * [self._answer],
            *10 * [self._rule],
            *2 * [self._repair],
            *6 * [self._appeal],
            self._comment,
            self._anchor,
            self._rotate,
            self._name_guardians,
            self._recover,
            self._veto,
            self._leave,
            self._annul,
            *3 * [self._propose],
            *8 * [self._approve],
            *6 * [self._consent],
            self._accuse_again,
        ]

    # ---------------------------------------------------------------------------------------------- authorities

    def _file(self, view: Draft) -> Wish | None:
        random = self.world.random
        issuer, subject = self._pick(self._active()), self._pick(self._people())
        if issuer is None or subject is None:
            return None
        category = view.policy.categories[random.choice(issuer[1].categories)]
        points, severity = random.randint(category.low, category.high), random.choice(category.severities or (0,))
        reason = DIGEST if category.needs_reason else b""
        established_slot = view.date_slot - 1 - random.randrange(20)
        record = (points, severity, random.randbytes(32), reason, established_slot, view.policy.version)
        filing = FileRecord(subject[1].key, category.code, *record)
        self._filed.append((issuer[0], filing))
        return issuer[1].key, filing

    def _reopen(self, view: Draft) -> Wish | None:
        """New evidence of conduct whose record has ended, with another office's signature."""
        offices, ended = dict(self._active()), [item for item in self._filed if self._has_ended(view, item[1])]
        issuer, filing = self._pick(ended) or (b"", None)
        arbiter = self._pick([item.key for who, item in offices.items() if who != issuer])
        if filing is None or issuer not in offices or arbiter is None:
            return None
        category = view.policy.categories[filing.category]
        fields = filing._replace(evidence=self.world.random.randbytes(32), reason=DIGEST)._asdict()
        fields |= {"points": max(filing.points, category.low), "policy_version": view.policy.version}
        action, key = Reopen(**fields, arbiter=arbiter, consent=b""), offices[issuer].key
        return key, action._replace(consent=sign_reopening(self._keys[arbiter], self.world.genesis.id, key, action))

    @staticmethod
    def _has_ended(view: Draft, filing: FileRecord) -> bool:
        fresh = Reopen(**filing._asdict() | {"evidence": DIGEST}, arbiter=b"", consent=b"")
        with suppress(Refused):
            markers.check_reopening(view, view.member(filing.subject)[0], fresh)
            return True
        return False

    def _answer(self, view: Draft) -> Wish | None:
        def answer(subject: bytes, number: int, record: Record) -> Wish | None:
            maintains = () if not record.is_disputed else (MAINTAIN, MAINTAIN, MAINTAIN)
            verdict = self.world.random.choice((CORRECT, WITHDRAW, *maintains))
            points = record.points + 1 if verdict == CORRECT else 0
            return self._issuer(view, record), Answer(subject, number, verdict, points, DIGEST)

        is_unasked = self.world.chance(UNASKED)
        return self._about_a_record(view, lambda record: record.status == OBJECTED or is_unasked, answer)

    def _rule(self, view: Draft) -> Wish | None:
        def rule(subject: bytes, number: int, record: Record) -> Wish | None:
            arbiter = self._pick(list(drawn(view, record_case(subject, number, record), view.date_slot)))
            verdict = self.world.random.choice((STRIKE, UPHOLD, UPHOLD))
            return None if arbiter is None else (view.current_key(arbiter), Rule(subject, number, verdict, DIGEST))

        return self._about_a_record(view, lambda record: record.status in (DRAWN, REPAIR_DRAWN), rule)

    def _repair(self, view: Draft) -> Wish | None:
        def repair(subject: bytes, number: int, record: Record) -> Wish | None:
            if record.status != REPAIR_ASKED:
                return view.member(subject)[1].key, Repair(subject, number, ASK, DIGEST)
            step = self.world.random.choice((APPROVE, DECLINE))
            return self._issuer(view, record), Repair(subject, number, step, DIGEST)

        return self._about_a_record(
            view, lambda record: not record.is_disputed and 0 < record.repair_slot <= view.slot, repair
        )

    # ----------------------------------------------------------------------------------------------- validators

    def _propose(self, view: Draft) -> Wish | None:
        makers = [self._seat_change, self._seat_change, self._accredit, self._judge_authority, self._amend]
        proposal = self._judge(view) or self.world.random.choice(makers)(view)
        if proposal is None:
            return None
        mover = self._chair if isinstance(proposal, SeatProposal) else self._pick(self._voters(view))
        return None if mover is None else (mover, Propose(proposal))

    def _approve(self, view: Draft) -> Wish | None:
        number = self._pick(list(view.docket.open))
        if number is None:
            return None
        voter = self._pick([key for key in self._voters(view) if key not in view.motion(number).approvals])
        return None if voter is None else (voter, Approve(number))

    def _consent(self, view: Draft) -> Wish | None:
        """A newcomer agrees to make blocks, or to an office."""
        wishes, mine = [], {*self._seated(), *self._keys}
        for number in view.docket.open:
            motion = view.motion(number)
            key = named(view, decode_proposal(motion.proposal)) if motion.is_awaited else None
            if key in mine:
                wishes.append((key, Consent(number)))
        chosen: Wish | None = self._pick(wishes)
        return chosen

    def _accuse_again(self, view: Draft) -> Wish | None:
        """Somebody brings evidence that was brought before."""
        member, accusation = self._pick(self._people()), self._pick(self.world.checks.accusations)
        return None if member is None or accusation is None else (member[1].key, accusation)

    def _seat_change(self, view: Draft) -> Proposal | None:
        """What may happen to the seats next, where nothing is on its way."""
        open_motions = [decode_proposal(view.motion(number).proposal) for number in view.docket.open]
        account, next_nonce = view.account(self._chair), self._node.engine.mempool.next_free(self._chair)
        if account is None or account.nonce != next_nonce:  # another motion waits for a block
            return None
        if view.validators.is_changing or any(isinstance(item, SeatProposal) for item in open_motions):
            return None
        seats, mine = view.validators.active, self._seated()
        free = self._pick([key for key in mine if view.validators.seat(key) is None])
        some = self._pick([seat for seat in seats if seat.key in mine and seat.key != self._chair])
        jailed = self._pick([seat.key for seat in seats if seat.is_jailed])
        wishes: list[Proposal] = [] if jailed is None else [ReleaseValidator(jailed)]
        if free is not None and len(seats) < view.genesis.batch:
            wishes.append(AddValidator(free, 1))
        if free is not None and some is not None:
            wishes.append(ReplaceValidator(some.key, free))
        if some is not None:
            wishes.append(ReweighValidator(some.key, self.world.random.randint(1, 2)))
        are_enough = sum(not seat.is_jailed for seat in seats) > len(view.genesis.validators)
        if are_enough and some is not None and not some.is_jailed:
            wishes.append(JailValidator(some.key) if self.world.chance(500) else RemoveValidator(some.key))
        wish: Proposal | None = self._pick(wishes)
        return wish

    def _accredit(self, view: Draft) -> Proposal | None:
        # By their first keys: somebody who moved to another one keeps its identity.
        key = self._pick([item.public for item in self._authorities if view.authority(item.public) is None])
        again = self._pick([identity for identity, item in self._entries(b"a") if item.status > SUSPENDED])
        chosen = key or again
        if chosen is None:
            return None
        return Accredit(chosen, ALL_RIGHTS, tuple(sorted(view.policy.categories)), 0, EXPIRY_HEIGHT)

    def _judge_authority(self, view: Draft) -> Proposal | None:
        who = self._pick(self._entries(b"a"))
        if who is None:
            return None
        if who[1].status == SUSPENDED:
            return Restore(who[0])
        return Revoke(who[0]) if self.world.chance(REVOKED) else Suspend(who[0])

    def _judge(self, view: Draft) -> Proposal | None:
        """Where arbiters are too few for an appeal, the validators decide."""
        waiting = [
            name
            for name, record in ((read_record_key(b"d" + rest), record) for rest, record in self._entries(b"d"))
            if needs_motion(view, record_case(*name, record), view.date_slot)
        ]
        chosen: tuple[bytes, int] | None = self._pick(waiting)
        verdict = self.world.random.choice((STRIKE, UPHOLD))
        if chosen is not None:
            return Judge(*chosen, verdict)
        annulled: bytes | None = self._pick(
            [
                who
                for who, annulment in self._entries(ANNULMENTS)
                if needs_motion(view, annulment_case(who, annulment), view.date_slot)
            ]
        )
        return None if annulled is None else JudgeEnrolment(annulled, verdict)

    def _amend(self, view: Draft) -> Proposal | None:
        if view.rules.next_version:
            return None
        policy = view.policy
        better: Policy = replace(policy, version=policy.version + 1, base=policy.base + self.world.random.randrange(3))
        return Amend(policy.version, view.date_slot + policy.notice_days + SLOTS_TO_CARRY, better.encode())
