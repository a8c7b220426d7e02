"""An open loop: transactions are sent when they are due, whatever becomes of those before them.

A loop that waits for answers measures how patient it is.  This one signs everything beforehand and times each
transaction from the moment when it was due (Schroeder, Wierman and Harchol-Balter, "Open Versus Closed: A
Cautionary Tale", NSDI 2006).
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import trio

from chain.content.genesis import Genesis, make_genesis
from chain.content.policyfile import shipped_policy
from p2p.client import AsyncClient, NodeAway, submit_all
from scripts.ratings_file import Rating
from scripts.replay import Plan, Signer
from scripts.testnet_parts.feed import BATCH

SINK = Path(__file__).with_name("sink.py")
AWAY = "no answer"
# A second or less of sending as fast as it goes.
SINK_BATCHES = 400
_SIGN_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Offer:
    """``per_s`` transactions a second, and ``growth_per_s`` more with each second that passes."""

    per_s: float
    growth_per_s: float = 0.0

    def rate(self, at_s: float) -> float:
        """Transactions a second, ``at_s`` after the start."""
        return self.per_s + self.growth_per_s * at_s

    def due_s(self, number: int) -> float:
        """When transaction ``number`` is due, in seconds after the start."""
        if not self.growth_per_s:
            return number / self.per_s
        return (math.sqrt(self.per_s**2 + 2 * self.growth_per_s * number) - self.per_s) / self.growth_per_s

    def count(self, most_per_s: float) -> int:
        """How many are due until the rate reaches ``most_per_s``."""
        return max(0, round((most_per_s**2 - self.per_s**2) / (2 * self.growth_per_s)))


class Loader:
    """Sends batches, of ``batch`` each, to one node after the other, each when it is due.

    ``due`` says of each batch when that was, by trio's clock, ``late_s`` how far the loader itself fell behind, and
    ``back`` holds what was refused.
    """

    def __init__(self, client: AsyncClient, urls: Sequence[str], batch: int = BATCH) -> None:
        self.refused: Counter[str] = Counter()
        self.back: list[bytes] = []
        self.due: list[float] = []
        self.late_s = 0.0
        self.is_stopped = False
        self._client = client
        self._urls = urls
        self._batch = batch

    async def send(self, raws: Sequence[bytes], offer: Offer) -> None:
        """Send all of them, or until it is stopped, and wait for the answers, which are only counted."""
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for start in range(0, len(raws), self._batch):
                due = started + offer.due_s(start)
                await trio.sleep_until(due)
                if self.is_stopped:
                    return
                self.late_s = max(self.late_s, trio.current_time() - due)
                url = self._urls[len(self.due) % len(self._urls)]
                self.due.append(due)
                nursery.start_soon(self._submit, url, raws[start : start + self._batch])

    async def _submit(self, url: str, raws: Sequence[bytes]) -> None:
        try:
            outcomes = await self._client.ask(url, submit_all(raws))
        except NodeAway:
            self.refused[AWAY] += len(raws)
            self.back += raws
            return
        for raw, outcome in zip(raws, outcomes, strict=True):
            if outcome is not None:
                self.refused[outcome.reason.code] += 1
                self.back.append(raw)


async def loader_ceiling(client: AsyncClient, raws: Sequence[bytes]) -> float:
    """Transactions a second that the loader sends where nobody holds it up: to a process that takes everything."""
    raws = raws[: min(SINK_BATCHES, len(raws) // BATCH) * BATCH]
    with _sink() as url:
        started = trio.current_time()
        await Loader(client, [url]).send(raws, Offer(math.inf))
        return len(raws) / (trio.current_time() - started)


@contextmanager
def _sink() -> Iterator[str]:
    command = [sys.executable, str(SINK), str(BATCH)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None:
            raise AssertionError("both were asked for")
        yield process.stdout.readline().decode().strip()
        process.stdin.close()


class Presigner:
    """Signs the enrolments of ``members``, then random ratings among them, on all cores; a context manager.

    Of fewer ``rated`` members the register grows less, however many ratings there are.
    """

    def __init__(self, genesis: Genesis, seed: bytes, members: int, ratings: int, rated: int | None = None) -> None:
        self._next = 0
        self._pool = ProcessPoolExecutor(
            os.cpu_count(),
            get_context("spawn"),
            initializer=_prepare,
            initargs=(genesis.to_json(), seed, members, ratings, rated or members),
        )

    def __enter__(self) -> Presigner:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def sign(self, count: int) -> list[bytes]:
        """The next ``count`` transactions, encoded.  Blocking."""
        first, self._next = self._next, self._next + count
        starts = range(first, self._next, _SIGN_CHUNK)
        chunks = [(start, min(start + _SIGN_CHUNK, self._next)) for start in starts]
        return [raw for chunk in self._pool.map(_sign, chunks) for raw in chunk]


_signers: list[Signer] = []  # of this worker process


def _prepare(genesis: str, seed: bytes, members: int, ratings: int, rated: int) -> None:
    random = Random(1)
    (category,) = shipped_policy("marketplace").ratings.values()
    # Everybody rates once, in order: that is the order in which a plan enrols them.
    pairs = [(number, (number + 1) % members) for number in range(members)]
    pairs += [_pair(random, members, rated) for _ in range(ratings - members)]
    plan = Plan([Rating(rater, subject, random.randint(1, 10)) for rater, subject in pairs], category.code)
    _signers[:] = [Signer(plan, make_genesis(json.loads(genesis)), seed)]
    _signers[0].derive_keys()


def _pair(random: Random, members: int, rated: int) -> tuple[int, int]:
    subject, other = random.randrange(rated), random.randrange(members - 1)
    return other + (other >= subject), subject


def _sign(positions: tuple[int, int]) -> list[bytes]:
    return _signers[0].sign(range(*positions))
