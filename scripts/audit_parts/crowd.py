"""A crowd of Sybils among real ratings: what the register's own rules make of it.

Every rating of a file becomes a transaction, and so does every deed of the crowd; all are carried out by the state
machine, a block for each day on which somebody rated.  Signed, and checked, is what holds a forged signature; to sign
and check what is as it should be would change nothing but the time that it takes.

In the later half of the blocks the Sybils come in equal parts, first in each block.  Each enrols, praises two Sybils
who came before it and its *master*, an old member of middling points who paid for it, and slanders three of the
hundred honest members with the highest scores.

Under ``receipt`` a dealing needs the signature of both sides.  Honest sides sign theirs, and so does a crowd among
itself and with its masters; under a slander it leaves the receipt out, or signs it itself.  What it can have is honest
dealings: ``dealings`` of its slanders are of such, with the receipt of the member that it then slanders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from hashlib import sha256
from random import Random
from typing import NamedTuple

import pandas as pd

from chain.base.errors import Reason, Refused
from chain.base.keys import SIGNATURE_BYTES, SecretKey
from chain.branches.ledger import Ledger, decided
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import Electorate, validator_set
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.statements import NO_TAG
from chain.content.actions import Action, Enrol, Rate
from chain.content.blocks import Block
from chain.content.consents import sign_receipt
from chain.content.genesis import found_genesis
from chain.content.language import field_of
from chain.content.policy import Policy
from chain.content.policyfile import shipped_policy
from chain.content.transactions import Transaction, VerifiedTransaction, sign_transaction, verify_transaction
from chain.register import registry
from chain.register.draft import Draft
from chain.register.entries import Member, Rating
from chain.register.scores import standing
from chain.register.statekeys import member_key, rating_key
from scripts.audit_parts.planted import merged
from scripts.audit_parts.trust import compare, earliest

OPEN, RECEIPT = field_of("raters", "counting").choices
SHARES = (60, 75, 90)
TOP = 100
MASTERS = 20
_FELLOWS, _VICTIMS = 2, 3
_PRAISE, _SLANDER = 10, -10
_CATEGORY = 1
_HOUR_MS, _DAY_HOURS, _WEEK_HOURS = 3_600_000, 24, 168
_FAR_HEIGHT = 10_000_000
_DEALING = sha256(b"a dealing").digest()
_SEED = 1_000


class Receipt(Enum):
    """Who signed the receipt under a rating, where one is needed: the member rated, the rater itself, or nobody."""

    SIGNED, FORGED, NONE = "signed", "forged", "none"


class Setting(NamedTuple):
    """How ratings count, which percentage of the raters are Sybils, and how many slanders honest dealings pay for.

    ``withheld``: members of whom honest others think badly sign no receipts, so nobody can say so any more.
    """

    counting: str
    sybils: int
    dealings: int = 0
    withheld: bool = False


SETTINGS = (
    *(Setting(OPEN, share) for share in SHARES),
    *(Setting(RECEIPT, share) for share in SHARES),
    Setting(RECEIPT, 90, dealings=100),
    Setting(RECEIPT, 90, dealings=1_000),
    Setting(RECEIPT, 90, withheld=True),
)


class Result(NamedTuple):
    """What came of a setting, of shares in per cent.

    ``kept`` of the honest ratings stand at the end; ``moved`` of the honest first hundred are no longer among the
    honest first hundred; ``crowd_first`` are Sybils and masters among the first hundred of all members by score, and
    ``crowd_trusted`` by trust from ten honest members.
    """

    counting: str
    sybils_share: int
    dealings: int
    receipts_withheld: str
    sybils: int
    tried: int
    accepted: int
    kept: float
    moved: float
    crowd_first: int
    crowd_trusted: int


class Register:
    """A register in memory, whose blocks hold what is offered and not refused."""

    def __init__(self, counting: str) -> None:
        validators = [(self.secret("validator").public, 1)]
        genesis = found_genesis(
            "crowd", _policy(counting), [validators[0][0]], genesis_time_ms=0, slot_ms=_HOUR_MS,
            heartbeat_slots=_WEEK_HOURS, max_expiry_blocks=_FAR_HEIGHT,
        )  # fmt: skip
        self.ledger = Ledger(genesis)
        self.genesis = genesis
        self.refused: Counter[Reason] = Counter()
        self._electorate = Electorate(1, validator_set(validators, genesis.batch))
        self._nonces: Counter[str] = Counter()
        self._keys: dict[str, bytes] = {}
        self._count = 0
        self._draft: Draft = self.ledger.blank_draft(0)
        self._body: list[VerifiedTransaction] = []

    def secret(self, who: str) -> SecretKey:
        """The key of somebody, which follows from the name."""
        return SecretKey(sha256(b"goodfaith/crowd/1" + who.encode()).digest())

    def key(self, who: str) -> bytes:
        """The same, public."""
        if who not in self._keys:
            self._keys[who] = self.secret(who).public
        return self._keys[who]

    def begin(self, slot: int) -> None:
        """A new block."""
        self._draft = self.ledger.draft(slot, self._electorate)
        self._body = []

    def offer(self, who: str, action: Action, *, is_forged: bool = False) -> bool:
        """Carry a transaction out, after checking its signatures if it is forged; whether it was accepted."""
        nonce, raw = self._nonces[who], self._count.to_bytes(32, "big")
        self._count += 1
        transaction = Transaction(raw, self.key(who), nonce, _FAR_HEIGHT, action, raw)
        try:
            if is_forged:
                transaction = sign_transaction(self.secret(who), self.genesis.id, nonce, _FAR_HEIGHT, action)
                verify_transaction(transaction, self.genesis.id)
            registry.apply(self._draft, transaction)
        except Refused as refusal:
            self.refused[refusal.reason] += 1
            return False
        self._nonces[who] += 1
        self._body.append(VerifiedTransaction(transaction))
        return True

    def rate(self, rater: str, subject: str, points: int, receipt: Receipt) -> bool:
        """Offer a rating, with a receipt where the policy asks for any."""
        action = Rate(self.key(subject), _CATEGORY, points)
        if receipt is Receipt.NONE or not self.genesis.policy.raters.counting:
            return self.offer(rater, action)
        slot, signature = self._draft.date_slot, bytes(SIGNATURE_BYTES)
        if receipt is Receipt.FORGED:
            signature = sign_receipt(self.secret(rater), self.genesis.id, self.key(rater), _DEALING, slot)
        dealt = action._replace(dealing=_DEALING, dealt_slot=slot, receipt=signature)
        return self.offer(rater, dealt, is_forged=receipt is Receipt.FORGED)

    def end(self) -> None:
        """Seal the block; it can no longer be undone."""
        draft, ledger, nobody = self._draft, self.ledger, bytes(32)
        ballot = make_ballot((), decided(draft, self._electorate))
        root, changes = ledger.seal(draft)
        block_id = draft.height.to_bytes(32, "big")
        roots = ballot.root, nobody, root
        header = Header(
            block_id, draft.height, draft.date_slot, draft.parent.id, nobody, NO_TAG, 0, 0, *roots, bytes(100)
        )
        ledger.adopt(Block(VerifiedHeader(header), ballot, tuple(self._body)), changes)
        ledger.settle(draft.height)

    def scores(self, members: Iterable[str]) -> dict[str, int]:
        """The scores of those who are enrolled."""
        view = self.ledger.view()
        entries = ((who, view.get(member_key(self.key(who)))) for who in members)
        return {who: standing(view.policy, entry).score for who, entry in entries if isinstance(entry, Member)}

    def stands(self, rater: str, subject: str, points: int) -> bool:
        """Whether this rating counts now."""
        entry = self.ledger.view().get(rating_key(self.key(subject), self.key(rater), _CATEGORY))
        return isinstance(entry, Rating) and entry.points == points


def _policy(counting: str) -> Policy:
    policy = shipped_policy("marketplace")
    choice = field_of("raters", "counting").choices.index(counting)
    return replace(policy, raters=policy.raters._replace(counting=choice))


def first_of(scores: dict[str, int], count: int) -> list[str]:
    """Those with the highest scores; of equal ones whoever's name has the smaller hash, which favours nobody."""
    return sorted(scores, key=lambda who: (-scores[who], sha256(who.encode()).digest()))[:count]


@dataclass
class Crowd:
    """Whom a setting plants among real ratings, and what it does."""

    ratings: pd.DataFrame
    setting: Setting
    top: int = TOP

    def __post_init__(self) -> None:
        points = self.ratings.drop_duplicates(["rater", "subject"], keep="last").groupby("subject")["points"].sum()
        self.points: dict[str, int] = {str(who): int(total) for who, total in points.items()}
        ranked = first_of(self.points, len(self.points))
        middle = len(ranked) // 2
        self.masters = ranked[middle : middle + MASTERS]
        self.honest = [who for who in _members(self.ratings) if who not in set(self.masters)]
        self.victims = first_of({who: self.points.get(who, 0) for who in self.honest}, self.top)
        honest = set(self.honest)
        raters = {str(who) for who in self.ratings["rater"] if who in honest}
        self.count = round(len(raters) * self.setting.sybils / (100 - self.setting.sybils))
        self.names = [f"sybil-{number}" for number in range(self.count)]
        self.tried = self.accepted = 0
        self.said: list[tuple[str, str, int, float]] = []
        self._random = Random(_SEED)

    def come(self, register: Register, names: Sequence[str], time: float) -> None:
        """These Sybils do in one block what they are there for."""
        for name in names:
            self._count(register.offer(name, Enrol()))
            number = int(name.removeprefix("sybil-"))
            for fellow in self._random.sample(range(number), min(number, _FELLOWS)):
                self._rate(register, name, self.names[fellow], _PRAISE, Receipt.SIGNED, time)
            master = self.masters[number % len(self.masters)]
            self._rate(register, name, master, _PRAISE, Receipt.SIGNED, time)
            for at, victim in enumerate(self._random.sample(self.victims, min(len(self.victims), _VICTIMS))):
                self._rate(register, name, victim, _SLANDER, self._receipt(number, at), time)

    def _receipt(self, number: int, at: int) -> Receipt:
        """What a Sybil has for its first, second and third slander."""
        if at == 0 and number < self.setting.dealings:
            return Receipt.SIGNED
        return Receipt.FORGED if at == 1 else Receipt.NONE

    def _rate(self, register: Register, rater: str, subject: str, points: int, receipt: Receipt, time: float) -> None:
        if self._count(register.rate(rater, subject, points, receipt)):
            self.said.append((rater, subject, points, time))

    def _count(self, is_accepted: bool) -> bool:
        self.tried += 1
        self.accepted += is_accepted
        return is_accepted


def _members(ratings: pd.DataFrame) -> list[str]:
    return [str(who) for who in pd.unique(ratings[["rater", "subject"]].to_numpy().ravel())]


def measure_crowd(ratings: pd.DataFrame, settings: Sequence[Setting] = SETTINGS, top: int = TOP) -> pd.DataFrame:
    """One row for each setting; on the whole Bitcoin OTC data each takes minutes."""
    before: dict[str, list[str]] = {}
    rows = []
    for setting in settings:
        if setting.counting not in before:
            alone = Crowd(ratings, Setting(setting.counting, 0), top)
            register = play(alone)
            before[setting.counting] = first_of(register.scores(alone.honest), top)
        rows.append(_result(Crowd(ratings, setting, top), before[setting.counting]))
    return pd.DataFrame(rows, columns=list(Result._fields))


def play(crowd: Crowd) -> Register:
    """Everything that everybody does, in the order of time."""
    register = Register(crowd.setting.counting)
    begin = float(crowd.ratings["time"].min())
    days = (crowd.ratings["time"].sub(begin) // (_DAY_HOURS * 3_600)).astype("int64")
    blocks = list(crowd.ratings.groupby(days))
    parts = _parts(crowd.names, len(blocks))
    enrolled: set[str] = set()
    for (day, rows), names in zip(blocks, parts, strict=True):
        register.begin((int(str(day)) + 1) * _DAY_HOURS)
        crowd.come(register, names, float(rows["time"].min()))
        for who in _members(rows):
            if who not in enrolled and register.offer(who, Enrol()):
                enrolled.add(who)
        for rater, subject, points in rows[["rater", "subject", "points"]].itertuples(index=False):
            withholds = crowd.setting.withheld and crowd.points[subject] < 0
            register.rate(rater, subject, int(points), Receipt.NONE if withholds else Receipt.SIGNED)
        register.end()
    return register


def _parts(names: Sequence[str], blocks: int) -> Iterator[Sequence[str]]:
    """As equal parts as can be for the later half of the blocks, nobody before."""
    first = blocks // 2
    later = blocks - first
    for block in range(blocks):
        at = max(0, block - first)
        yield names[at * len(names) // later : (at + 1) * len(names) // later] if block >= first else ()


def _result(crowd: Crowd, before: Sequence[str]) -> Result:
    register = play(crowd)
    honest = set(crowd.honest)
    valid = crowd.ratings[crowd.ratings["rater"].isin(honest)].drop_duplicates(["rater", "subject"], keep="last")
    said = valid[["rater", "subject", "points"]].itertuples(index=False)
    kept = sum(register.stands(rater, subject, int(points)) for rater, subject, points in said)
    after = first_of(register.scores(crowd.honest), crowd.top)
    ours = {*crowd.names, *crowd.masters}
    everybody = first_of(register.scores([*crowd.honest, *crowd.masters, *crowd.names]), crowd.top)
    trusted = compare(merged(crowd.ratings, crowd.said), earliest(valid))["member"].head(crowd.top)
    setting = crowd.setting
    return Result(
        setting.counting, setting.sybils, setting.dealings, "by the distrusted" if setting.withheld else "",
        crowd.count, crowd.tried, crowd.accepted,
        round(100 * kept / len(valid), 2), round(100 * len(set(before) - set(after)) / len(before), 2),
        len(ours & set(everybody)), len(ours & set(trusted)),
    )  # fmt: skip
