"""Real trust ratings as transactions: the keys of members, and the plan of a replay.

A plan is a list of steps: the enrolment of every member in the order in which the ratings first name them, then
the ratings in their order.  The same file and network seed give the same keys, nonces and actions, and the
plan of the first N ratings is followed by that of more, so a replay can be continued at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chain.base.errors import OperatorError
from chain.base.keys import SecretKey
from chain.content.actions import Action, Enrol, Rate
from chain.content.genesis import Genesis
from chain.content.policy import RatingCategory
from chain.content.transactions import Transaction, sign_transaction
from scripts.console import remark
from scripts.ratings_file import Rating, name_of, read_file

SAMPLE = Path(__file__).parent / "data" / "bitcoin-otc-sample.csv.gz"

# As far ahead as the genesis of a testnet allows.  It is the same for every transaction of a network, so that
# signing one again after a restart gives the very same bytes.
EXPIRY_HEIGHT = 10_000_000

_MEMBER_DOMAIN = b"goodfaith/testnet/member/1"
_NODE_DOMAIN = b"goodfaith/testnet/node/1"


def read_ratings(path: Path, category: RatingCategory, limit: int | None = None) -> list[Rating]:
    """The first ``limit`` ratings of a file, in the order of their times; see :mod:`scripts.ratings_file`.

    What was decided about the file is said on stderr.  Raises :class:`OperatorError`.
    """
    ratings, notes = read_file(path, category)
    for note in notes:
        remark(f"{name_of(path)} {note}")
    return ratings[:limit]


def member_secret(network_seed: bytes, number: int) -> SecretKey:
    """The key of a member: SHA-256 of a domain, the network's seed and the number as 8 bytes, big endian."""
    return SecretKey(sha256(_MEMBER_DOMAIN + network_seed + number.to_bytes(8, "big")).digest())


def node_seed(network_seed: bytes, index: int) -> bytes:
    """The seed of the key of node ``index``, made like a member's."""
    return sha256(_NODE_DOMAIN + network_seed + index.to_bytes(8, "big")).digest()


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction to be: ``points`` is None for an enrolment, whose ``subject`` is the actor itself."""

    actor: int
    nonce: int
    subject: int
    points: int | None


class Plan:
    """All steps of a replay, found by position or by what a final transaction says.

    ``members`` are the numbers in the order of enrolment; position ``i < len(members)`` is the enrolment of
    ``members[i]``.
    """

    def __init__(self, ratings: Sequence[Rating], category: int) -> None:
        self.category = category
        self.members = list(dict.fromkeys(number for rating in ratings for number in rating[:2]))
        self.steps = [Step(number, 0, number, None) for number in self.members]
        self._of_actor = {number: [position] for position, number in enumerate(self.members)}
        for rater, subject, points in ratings:
            mine = self._of_actor[rater]
            mine.append(len(self.steps))
            self.steps.append(Step(rater, len(mine) - 1, subject, points))

    def __len__(self) -> int:
        return len(self.steps)

    def position(self, actor: int, nonce: int) -> int | None:
        """Where the step of member ``actor`` with ``nonce`` stands; None if there is none."""
        mine = self._of_actor.get(actor, ())
        return mine[nonce] if nonce < len(mine) else None


class Signer:
    """Turns steps into signed transactions.  Its methods take CPU time: call them in a worker thread."""

    def __init__(self, plan: Plan, genesis: Genesis, network_seed: bytes) -> None:
        self.plan = plan
        self._chain_id = genesis.id
        self._seed = network_seed
        self._secrets: dict[int, SecretKey] = {}
        self._numbers: dict[bytes, int] = {}

    def derive_keys(self) -> None:
        """Derive every member's key; 60 µs each."""
        for number in self.plan.members:
            secret = member_secret(self._seed, number)
            self._secrets[number] = secret
            self._numbers[secret.public] = number

    def sign(self, positions: Iterable[int]) -> list[bytes]:
        """The encoded transactions at these positions of the plan; the same bytes every time."""
        return [self._sign(self.plan.steps[position]) for position in positions]

    def _sign(self, step: Step) -> bytes:
        return sign_transaction(
            self._secrets[step.actor], self._chain_id, step.nonce, EXPIRY_HEIGHT, self._action(step)
        ).raw

    def _action(self, step: Step) -> Action:
        if step.points is None:
            return Enrol()
        return Rate(self._secrets[step.subject].public, self.plan.category, step.points)

    def locate(self, transaction: Transaction) -> int | None:
        """The position of the step that this transaction carries out; None if it is not of the plan.

        Raises :class:`OperatorError` where the plan has another action in its place.
        """
        number = self._numbers.get(transaction.actor)
        position = None if number is None else self.plan.position(number, transaction.nonce)
        if position is not None and self._action(self.plan.steps[position]) != transaction.action:
            raise OperatorError(
                f"the chain holds another transaction {transaction.nonce} of member {number} than this replay; "
                "use the file that this home was fed from, or a fresh home"
            )
        return position
