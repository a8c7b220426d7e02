"""Traffic of a whole registry: members, authorities and validators, and every kind of transaction.

Who acts reads the state of the node that it submits to, as a client does; so what it signs made sense there, and
may be refused for good once the branches of the nodes join.  A key signs a second transaction with one nonce only
where the first can never be valid.

Validators change, too, one after another: a single validator moves it, which keeps its seat, and each of its motions
needs the one before.  At no time do fewer honest ones serve than at first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chain import registry
from chain.arbiters import drawn
from chain.draft import Draft
from chain.errors import Disposition, Refused
from chain.keys import SecretKey
from chain.policy import Policy
from chain.proposals import (
    ALL_RIGHTS,
    Accredit,
    AddValidator,
    Amend,
    JailValidator,
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
from chain.state import (
    ACTIVE,
    DRAWN,
    OBJECTED,
    REPAIR_ASKED,
    REPAIR_DRAWN,
    SUSPENDED,
    Authority,
    Member,
    Record,
    decode_entry,
    read_record_key,
)
from chain.transactions import (
    APPROVE,
    ASK,
    CORRECT,
    DECLINE,
    MAINTAIN,
    STRIKE,
    UPHOLD,
    WITHDRAW,
    Action,
    Answer,
    Appeal,
    Approve,
    Consent,
    Enrol,
    FileRecord,
    Object,
    Propose,
    Rate,
    Repair,
    Rotate,
    Rule,
    Statement,
    VerifiedTransaction,
    sign_consent,
    sign_rotation,
    sign_transaction,
)
from scripts.simulation.node import SimulatedNode
from scripts.simulation.ratings import EXPIRY_HEIGHT, FIRST_MEMBER, MEMBERS
from scripts.simulation.rules import RATING
from scripts.simulation.world import World, secret

# The numbers of keys are counted from here.
FIRST_AUTHORITY, FIRST_NEW_KEY = 3_000, 4_000
AUTHORITIES = 3
TRIES = 5
UNASKED = 100  # of a thousand answers: nobody objected
DIGEST = bytes(range(32))
REVOKED = 333  # of a thousand wishes against an authority; the others suspend it
# An amendment is in force so many slots after the notice that it needs if it is carried at once.
SLOTS_TO_CARRY = 30

Wish = tuple[bytes, Action]


class Offices:
    """Everybody who has to do with a registry."""

    is_firm = False
    _node: SimulatedNode

    def __init__(self, world: World) -> None:
        self.world = world
        self._members = [secret(FIRST_MEMBER + number) for number in range(MEMBERS)]
        self._authorities = [secret(FIRST_AUTHORITY + number) for number in range(AUTHORITIES)]
        self._keys = {key.public: key for key in (*self._members, *self._authorities)}
        self._signed: dict[tuple[bytes, int], VerifiedTransaction] = {}
        self._moved = 0
        # How often each is tried, of all: most find nothing to do most of the time.
        self._kinds: list[Callable[[Draft], Wish | None]] = [
            *3 * [self._enrol],
            *3 * [self._rate],
            *5 * [self._file],
            *3 * [self._object],
            *3 * [self._answer],
            *5 * [self._rule],
            *2 * [self._repair],
            self._appeal,
            self._comment,
            self._rotate,
            *3 * [self._propose],
            *8 * [self._approve],
            *3 * [self._consent],
            self._accuse_again,
        ]

    def draw(self, node: SimulatedNode) -> VerifiedTransaction | None:
        """What somebody signs who sees the chain as ``node`` does; None where there is nothing to do."""
        self._node, chain = node, node.engine.chain
        view = chain.ledger.blank_draft(chain.head.header.slot + 1)
        for _ in range(TRIES):
            wish = self.world.random.choice(self._kinds)(view)
            if wish is not None:
                return self._sign(*wish)
        return None

    def at_end(self) -> list[VerifiedTransaction]:
        """A newcomer, so that there is something new to record."""
        newcomer = secret(FIRST_MEMBER + MEMBERS)
        return [
            sign_transaction(newcomer, self.world.genesis.id, 0, EXPIRY_HEIGHT, Enrol(policy_version=self._version))
        ]

    def _sign(self, actor: bytes, action: Action) -> VerifiedTransaction:
        """The transaction; or an earlier one with this nonce, which this node does not have and may still take."""
        key, node = self._keys.get(actor) or self._seated()[actor], self._node
        nonce = node.engine.mempool.next_free(actor)
        earlier = self._signed.get((actor, nonce))
        if earlier is not None and not is_hopeless(node, earlier):
            return earlier
        if isinstance(action, Rotate):
            new_key = self._keys[action.new_key]
            action = Rotate(action.new_key, sign_rotation(new_key, self.world.genesis.id, actor, nonce))
        signed = sign_transaction(key, self.world.genesis.id, nonce, EXPIRY_HEIGHT, action)
        self._signed[actor, nonce] = signed
        return signed

    # -------------------------------------------------------------------------------------------------- members

    def _enrol(self, view: Draft) -> Wish | None:
        new = self._pick([key.public for key in self._members if view.account(key.public) is None])
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
        self._moved += 1
        new_key = secret(FIRST_NEW_KEY + self._moved)
        self._keys[new_key.public] = new_key
        return who[1].key, Rotate(new_key.public, b"")

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
        return issuer[1].key, FileRecord(subject[1].key, category.code, *record)

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
            arbiter = self._pick(list(drawn(view, subject, number, record, view.date_slot)))
            verdict = self.world.random.choice((STRIKE, UPHOLD))
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
        proposal = self.world.random.choice(makers)(view)
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
        """A newcomer agrees to make blocks."""
        wishes, mine = [], self._seated()
        for number in view.docket.open:
            motion = view.motion(number)
            match decode_proposal(motion.proposal):
                case AddValidator(key, _) | ReplaceValidator(_, key) if motion.is_awaited and key in mine:
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

    def _amend(self, view: Draft) -> Proposal | None:
        if view.rules.next_version:
            return None
        policy = view.policy
        better: Policy = replace(policy, version=policy.version + 1, base=policy.base + self.world.random.randrange(3))
        return Amend(policy.version, view.date_slot + policy.notice_days + SLOTS_TO_CARRY, better.encode())

    # ---------------------------------------------------------------------------------------------------- parts

    def _pick(self, items: list[Any]) -> Any:
        return self.world.random.choice(items) if items else None

    def _entries(self, kind: bytes) -> list[tuple[bytes, Any]]:
        """All entries of a kind, by the rest of their keys."""
        state = self._node.engine.chain.ledger.state
        return [(key[1:], decode_entry(key, state[key])) for key in sorted(key for key in state if key[:1] == kind)]

    def _people(self) -> list[tuple[bytes, Member]]:
        """The members; but not those who came to make trouble."""
        return [(identity, item) for identity, item in self._entries(b"m") if item.key in self._keys]

    def _active(self) -> list[tuple[bytes, Authority]]:
        return [(identity, item) for identity, item in self._entries(b"a") if item.status == ACTIVE]

    def _about_a_record(
        self,
        view: Draft,
        is_wanted: Callable[[Record], bool],
        wish: Callable[[bytes, int, Record], Wish | None],
    ) -> Wish | None:
        chosen = self._pick([item for item in self._entries(b"d") if is_wanted(item[1])])
        if chosen is None:
            return None
        subject, number = read_record_key(b"d" + chosen[0])
        return wish(subject, number, chosen[1])

    def _issuer(self, view: Draft, record: Record) -> bytes:
        authority = view.authority(record.issuer)
        return record.issuer if authority is None else authority.key

    @property
    def _version(self) -> int:
        """The policy that the newest honest head knows to be in force."""
        heads = (node.engine.chain for node in self.world.honest)
        return max(heads, key=lambda chain: chain.head.header.height).ledger.view().rules.version

    def _seated(self) -> dict[bytes, SecretKey]:
        """The keys of all honest machines that are validators, or may become one."""
        return {node.key.public: node.key for node in self.world.honest if node.key is not None}

    @property
    def _chair(self) -> bytes:
        return next(iter(self._seated()))

    def _voters(self, view: Draft) -> list[bytes]:
        mine = self._seated()
        return [seat.key for seat in view.validators.active if seat.key in mine and not seat.is_jailed]


def is_hopeless(node: SimulatedNode, transaction: VerifiedTransaction) -> bool:
    """Whether the next block after the head of ``node`` may not hold it, nor any later one."""
    refusal = refusal_of(node, transaction)
    return refusal is not None and refusal.reason.disposition is not Disposition.LATER


def refusal_of(node: SimulatedNode, transaction: VerifiedTransaction) -> Refused | None:
    """Why the next block after the head of ``node`` may not hold it, if it may not."""
    chain = node.engine.chain
    draft = chain.ledger.draft(chain.head.header.slot + 1, chain.electorate)
    try:
        registry.apply(draft, transaction)
    except Refused as refusal:
        return refusal
    return None
