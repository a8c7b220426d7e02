"""A rushed history: few keys, used again and again; every delay lasts a slot or two; who goes is not let go in peace.

Nothing is counted a second time here.  What is looked for is a combination of valid transactions after which something
falls due that no rule foresaw: whatever there is, none may go wrong, and nothing may be left of who is gone
(:mod:`scripts.histories_parts.sound`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from itertools import chain, islice
from random import Random
from unittest.mock import patch

from chain.base.errors import Reason, Refused
from chain.branches.ledger import Ledger, decided
from chain.consensus.ballots import make_ballot
from chain.consensus.electorate import Electorate, validator_set
from chain.consensus.headers import Header, VerifiedHeader
from chain.consensus.statements import NO_TAG
from chain.content.blocks import Block
from chain.content.genesis import Genesis
from chain.content.policy import Policy
from chain.content.policyfile import read_policy
from chain.content.transactions import Transaction, VerifiedTransaction
from chain.register import leaving, registry
from chain.register.draft import Draft
from scripts.histories_parts.hand import Deed, key
from scripts.histories_parts.history import Outcome, Violation, claim
from scripts.histories_parts.policies import SLOT_MS
from scripts.histories_parts.rushed_deeds import RushedDeeds
from scripts.histories_parts.sound import missing

VARIANTS = 64
BLOCKS = 40
MAX_EXPIRY_BLOCKS = 3
NOTHING = bytes(32)


class RushedHistory:
    """One of them, as it is lived."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        validators = tuple((key(number), 1) for number in range(random.choice((1, 1, 2))))
        self.genesis = Genesis(
            "rushed", 0, SLOT_MS, 8, 20, MAX_EXPIRY_BLOCKS, validators, _policy(random.randrange(VARIANTS))
        )
        self.ledger = Ledger(self.genesis)
        self._electorate = Electorate(1, validator_set(validators, self.genesis.batch))
        keys = [key(200 + number) for number in range(random.choice((12, 16, 24)))]
        self._deeds = RushedDeeds(random, keys)
        self._deeds_a_block = random.choice((8, 16, 32))

    def live(self) -> None:
        """All of it.  Raises :class:`Violation`."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(leaving, "KEYS_A_VISIT", self.random.choice((1, 2, 2, 16))))
            stack.enter_context(patch.object(registry, "MAX_DUE_A_BLOCK", self.random.choice((1, 2, 4, 2_000))))
            slot = 0
            for _ in range(BLOCKS):
                slot += self.random.choice((1, 1, 1, 1, 2, 3, 6))
                self._block(slot)
        again = Ledger(self.genesis, self.ledger.state)
        claim(again.state_root == self.ledger.state_root, "the root is not that of the state")
        claim(again.agenda() == self.ledger.agenda(), "the agenda is not that of the state")

    def _block(self, slot: int) -> None:
        ledger, height = self.ledger, self.ledger.height + 1
        draft = ledger.draft(slot, self._electorate)
        claim(not draft.faults, "; ".join(draft.faults))
        self._deeds.begin(draft)
        tried = chain(self._deeds.opening() if height == 1 else (), self._more())
        body = [taken for deed in tried if deed is not None and (taken := self._attempt(draft, deed)) is not None]
        ballot = make_ballot((), decided(draft, self._electorate))
        root, changes = ledger.seal(draft)
        roots = ballot.root, NOTHING, root
        header = Header(height.to_bytes(32, "big"), height, slot, NOTHING, NOTHING, NO_TAG, 0, 0, *roots, bytes(100))
        ledger.adopt(Block(VerifiedHeader(header), ballot, tuple(body)), changes)
        if told := "; ".join(islice(missing(ledger.state), 3)):
            raise Violation(f"the state is not whole: {told}")
        spoke = self._electorate.speakers if self.random.random() < 0.9 else ()
        self._electorate = self._electorate.after(height, mhpc=height, spoke=spoke, decision=ballot.decision)

    def _more(self) -> Iterator[Deed | None]:
        for _ in range(self.random.randint(0, self._deeds_a_block)):
            yield self._deeds.next()

    def _attempt(self, draft: Draft, deed: Deed) -> VerifiedTransaction | None:
        account = draft.account(deed.actor)
        nonce = 0 if account is None else account.nonce
        raw = b"%d" % self.random.getrandbits(64)
        life = self.random.randint(0, MAX_EXPIRY_BLOCKS)
        transaction = Transaction(raw.rjust(32), deed.actor, nonce, draft.height + life, deed.action, raw)
        try:
            registry.apply(draft, transaction)
        except Refused as refusal:
            self.refused[refusal.reason.code] += 1
            claim(refusal.reason is not Reason.FAULT, str(refusal))
            return None
        self.accepted[transaction.kind] += 1
        self._deeds.look()
        return VerifiedTransaction(transaction)


def run_rushed(seed: int) -> Outcome:
    """The rushed history of one seed; the same on every machine."""
    history, violation = RushedHistory(Random(seed)), ""
    try:
        history.live()
    except Violation as error:
        violation = str(error)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the seed must be told
        violation = f"{type(error).__name__}: {error}"
    return Outcome(seed, violation, history.ledger.height, dict(history.accepted), dict(history.refused))


@cache
def _policy(variant: int) -> Policy:
    """Everything takes a day or two, which is a slot or two."""
    random = Random(variant)
    periods = ("answer_days", "ruling_days", "repair_answer_days", "motion_days", "notice_days")
    rights = ("hearing_days", "appeal_days", "disputed_days", "window_days", "worse_notice_days")
    recovery_days = random.choice((1, 2, 3, 3))
    repair_days = random.randint(0, 1)
    return read_policy(
        {
            "language": 2,
            "name": f"rushed {variant}",
            "version": 1,
            "day_ms": SLOT_MS,
            "enrolment": random.choice(("open", "open", "registrar")),
            "score": {"base": 0, "ratings_floor": -9, "ratings_cap": 9},
            "periods": {**{name: random.randint(1, 2) for name in periods}, "retention_days": random.randint(6, 12)},
            "authorities": {"overturned_permille": random.choice((500, 1_000)), "overturned_minimum": 3},
            "rights": {"lookback_days": random.choice((0, 5)), **{name: random.randint(1, 2) for name in rights}},
            "identity": {
                "recovery_days": recovery_days,
                "registrar": random.choice(("recovers", "recovers nobody")),
                "annulment_days": random.choice((1, 2)),
                "leave_days": recovery_days + random.choice((0, 0, 0, 1)),
                "return_days": random.choice((1, 4)),
            },
            "raters": {
                "counting": random.choice(("open", "open", "receipt")),
                "rating_days": random.choice((0, 3)),
                "answer_days": random.choice((1, 2)),
                "most_given": random.choice((2, 9)),
            },
            "quotas": random.choice(({}, {"member": 6, "office": 9}, {"registrar": 2})),
            "tier": [{"name": "high", "from": 0, "cap_records": 1}, {"name": "low", "from": -20, "cap_records": 1}],
            "severity": [
                {"name": "minor", "repair_after_days": repair_days, "expires_after_days": random.randint(3, 6)}
            ],
            "category": [
                {"code": 1, "name": "one", "min": -9, "max": 3, "severities": [], "floor": -12},
                {"code": 2, "name": "two", "min": -3, "max": 0, "severities": ["minor"], "tier_cap": "low"},
                {"code": 3, "name": "three", "min": -3, "max": 3, "severities": ["minor"], "interim": "stands"},
            ],
            "attribute": [{"code": code, "name": f"attribute {code}", "valid_days": 2} for code in (51, 52)],
            "rating": [{"code": code, "name": f"rating {code}", "min": -5, "max": 5} for code in (1, 7)],
        }
    )
