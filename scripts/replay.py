"""Real trust ratings as transactions: the Bitcoin OTC form, the keys of its members, and the plan of a replay.

A line of the form is ``FROM_NODE,TO_NODE,TRUST_INDEX,TIME_SINCE_EPOCH``; a header line may come first.  Source
of the form and of the shipped sample: ``scripts/data/README.md``.

A plan is a list of steps: the enrolment of every member in the order in which the file first names them, then
the ratings in the file's order.  The same file and network seed give the same keys, nonces and actions, and the
plan of the first N ratings is followed by that of more, so a replay can be continued at any time.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from chain.errors import OperatorError
from chain.genesis import Genesis
from chain.keys import SecretKey
from chain.messages import RawItems
from chain.policy import RatingCategory
from chain.transactions import Action, Enrol, Rate, Transaction, sign_transaction

SAMPLE = Path(__file__).parent / "data" / "bitcoin-otc-sample.csv.gz"

# Twenty-five times the whole Bitcoin OTC history; a plan of that size still fits into memory many times.
MAX_RATINGS = 1_000_000
# The longest line of the real data has 30 characters.
MAX_LINE_BYTES = 256
MAX_MEMBER = 2**32 - 1
# As far ahead as the genesis of a testnet allows.  It is the same for every transaction of a network, so that
# signing one again after a restart gives the very same bytes.
EXPIRY_HEIGHT = 10_000_000

_HEADER = "FROM_NODE,TO_NODE,TRUST_INDEX,TIME_SINCE_EPOCH"
_GZIP_MAGIC = b"\x1f\x8b"
_MEMBER_DOMAIN = b"goodfaith/testnet/member/1"
_NODE_DOMAIN = b"goodfaith/testnet/node/1"


class Rating(NamedTuple):
    """One line of the form: member numbers and points."""

    rater: int
    subject: int
    points: int


def read_ratings(path: Path, category: RatingCategory, limit: int | None = None) -> list[Rating]:
    """The first ``limit`` ratings of a csv or csv.gz file in the Bitcoin OTC form.

    Raises :class:`OperatorError` that names the file and, where one is wrong, the line.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            lines = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
            ratings = list(islice(_parse(path, lines, category), limit))
    except FileNotFoundError as error:
        raise OperatorError(f"{path} does not exist; give a csv or csv.gz file in the Bitcoin OTC form") from error
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise OperatorError(f"{path} cannot be read: {why}; give a csv or csv.gz file") from error
    if not ratings:
        raise OperatorError(f"{path} holds no ratings; its lines should read {_HEADER}")
    return ratings


def _parse(path: Path, lines: BinaryIO, category: RatingCategory) -> Iterator[Rating]:
    count = 0
    number = 0
    while line := lines.readline(MAX_LINE_BYTES + 1):
        number += 1
        text = line.decode("ascii", "replace").strip()
        if number == 1 and text == _HEADER:
            continue
        if len(line) > MAX_LINE_BYTES:
            raise OperatorError(f"{path}, line {number}: longer than {MAX_LINE_BYTES} characters")
        if count == MAX_RATINGS:
            raise OperatorError(f"{path} holds more than {MAX_RATINGS} ratings; give --limit")
        if not text:
            continue
        try:
            yield parse_line(text, category)
        except ValueError as error:
            raise OperatorError(f"{path}, line {number}: {error}") from error
        count += 1


def parse_line(text: str, category: RatingCategory) -> Rating:
    """Read one line.  Raises :class:`ValueError` with half a sentence that says what is wrong."""
    fields = [field.strip() for field in text.split(",")]
    if len(fields) != 4:
        raise ValueError(f"{len(fields)} fields where 4 are wanted ({_HEADER})")
    rater, subject = (_whole(field, 0, MAX_MEMBER, "a member number") for field in fields[:2])
    points = _whole(fields[2], category.low, category.high, "a rating")
    seconds, _, fraction = fields[3].partition(".")
    if not (seconds.isascii() and seconds.isdigit()) or not (fraction == "" or fraction.isdigit()):
        raise ValueError(f"{fields[3]!a} is no time in seconds since 1970")
    if rater == subject:
        raise ValueError(f"member {rater} rates itself")
    return Rating(rater, subject, points)


def _whole(text: str, low: int, high: int, what: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 12 or not low <= int(text) <= high:
        raise ValueError(f"{text!a} is no {what.removeprefix('a ')} from {low} to {high}")
    return int(text)


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


def pack(raws: Iterable[bytes]) -> bytes:
    """The body of ``POST /transactions``."""
    return RawItems(tuple(raws)).encode()
