"""Joining by state: a home that knows nothing but the genesis gets headers and a final state, before its node runs.

Headers come from whoever is connected and are judged here (:mod:`p2p.watching`), the state in parts with proofs
(:mod:`p2p.fetching`).  While it lasts, ``/status`` says how far it is, and nothing else is answered.

**Weak subjectivity.**  Whoever held two thirds of the votes long ago, and has left, loses nothing by signing another
past today; from headers alone nobody can tell which was first.  So what is trusted without being executed begins at the
genesis only while that is younger than the policy's ``bodies_days``; later, at a checkpoint that is.
"""

from __future__ import annotations

from p2p.local.commandline import version

import json
import threading
from collections.abc import Sequence
from contextlib import closing
from http import HTTPStatus

import structlog
import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chain.base.errors import OperatorError
from chain.base.keys import did_from_key
from chain.branches.blocktree import Judged
from chain.branches.lightchain import Checkpoint, LightChain, read_checkpoint
from chain.content.blocks import Heading
from chain.content.genesis import Genesis
from chain.disk.arrived import remove
from chain.disk.newcomer import Newcomer, Standing, draft_of, is_fresh
from chain.documents.people import Document
from chain.protocol.joining import Joining
from chain.protocol.messages import GetPart
from p2p.clocks import wall_ms
from p2p.fetching import Fetching
from p2p.local.door import Door
from p2p.local.home import Home
from p2p.local.http import serve_app
from p2p.local.presence import transport_config
from p2p.local.problems import problem_response
from p2p.network import PROTOCOL_VERSION, unwrapped
from p2p.watching import Watch, open_watch

# How often the log says how far it is.
TOLD_EVERY_S = 5.0
HEADERS, STATE, TABLES = "headers", "state", "tables"

log = structlog.get_logger("node")


async def arrive(home: Home) -> None:
    """Let a home join by state where its configuration says so and it holds no block, or where that was begun.

    Its database has a final state when this returns.  Raises :class:`OperatorError`.
    """
    place = home.database
    if not draft_of(place).exists() and home.config.join != "state":
        return
    if not await trio.to_thread.run_sync(is_fresh, place, home.genesis):
        remove(draft_of(place))  # it was killed between its last two steps
        return
    checkpoint = read_checkpoint(home.config.checkpoint) if home.config.checkpoint else None
    check_age(home.genesis, checkpoint, wall_ms())
    newcomer = await trio.to_thread.run_sync(Newcomer, place, home.genesis, checkpoint)
    with closing(newcomer):
        async with unwrapped():
            await Arrival(home, newcomer).run()


def check_age(genesis: Genesis, checkpoint: Checkpoint | None, now_ms: int, slot: int = 0) -> None:
    """Raise :class:`OperatorError` where what is trusted, the genesis or the checkpoint in ``slot``, is too old."""
    age = genesis.slot_at(now_ms) - slot
    if (slot or checkpoint is None) and age > genesis.policy.slots(genesis.policy.bodies_days, genesis.slot_ms):
        what = "this chain is" if checkpoint is None else "the block of the checkpoint is"
        raise OperatorError(
            f"{what} older than {genesis.policy.bodies_days} days, and whoever validated it then and left could have "
            "signed another past since; ask somebody whom you trust for finalized_height and finalized_id in `/status` "
            "of a node, and name that block with --checkpoint HEIGHT:ID, or join by blocks, which executes everything"
        )


class Arrival:
    """One home on its way."""

    def __init__(self, home: Home, newcomer: Newcomer) -> None:
        self._home = home
        self._store = _Shared(newcomer)
        self._newcomer = newcomer
        self._watch: Watch | None = None
        self._phase = HEADERS
        self._done = 0
        self._rate = Rate()
        self._told: Document = {}

    async def run(self) -> None:
        """Until the home's database is whole."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_now_and_then)
            url = await nursery.start(serve_app, self._app(), self._home.config.http)
            draft = str(draft_of(self._home.database))
            log.info("joining", network=self._home.genesis.name, http=url, draft=draft)
            if not self._newcomer.is_whole:
                await self._fetch()
            self._phase, self._done = TABLES, 0
            header = await trio.to_thread.run_sync(self._newcomer.finish, self._advance)
            log.info("joined", height=header.height, block=header.id.hex())
            nursery.cancel_scope.cancel()

    async def _fetch(self) -> None:
        async with (
            open_watch(transport_config(self._home), self._newcomer.chain, self._store.follow) as watch,
            trio.open_nursery() as nursery,
        ):
            self._watch = watch
            nursery.start_soon(self._shout, watch)
            while not watch.has_caught_up:
                await watch.moved()
            self._check_checkpoint(watch.chain)
            self._phase = STATE
            await Fetching(watch, self._store).run()
            nursery.cancel_scope.cancel()
        self._watch = None

    def _check_checkpoint(self, chain: LightChain) -> None:
        if chain.checkpoint is not None:
            slot = self._store.slot_at(chain.checkpoint.height)
            check_age(self._home.genesis, chain.checkpoint, wall_ms(), slot)

    async def _shout(self, watch: Watch) -> None:
        while (found := watch.chain.contradiction) is None:
            await watch.moved()
        liars = ", ".join(map(did_from_key, found.liars)) or "nobody that is remembered"
        raise OperatorError(
            f"two final chains contradict each other at height {found.height} ({found.ours.hex()} and "
            f"{found.theirs.hex()}), both signed by {liars}; ask the organisations of this network which one is "
            "theirs, and name a block of it with --checkpoint HEIGHT:ID"
        )

    # ------------------------------------------------------------------------------------------------- how far

    def _advance(self, count: int) -> None:
        self._done += count

    async def _tell_now_and_then(self) -> None:
        while True:
            await trio.sleep(TOLD_EVERY_S)
            self._told = self.describe()
            if self._watch is not None and not self._watch.peers:
                log.warning(
                    "no_peer", remedy="name one whose node runs as a peer in config.toml, or wait for those there"
                )
            log.info("joining", **{name: value for name, value in self._told.items() if value not in (None, {})})
            await trio.to_thread.run_sync(self._store.note, json.dumps(self._told).encode())

    def describe(self) -> Document:
        """How far it is, how fast, and how long it takes at that rate."""
        standing, watch = self._store.standing, self._watch
        claimed = standing.height if watch is None else max(watch.claimed, standing.height)
        done, whole = self._progress(standing, claimed)
        rate = self._rate.of(self._phase, done, trio.current_time())
        return {
            "phase": self._phase,
            "height": standing.height,
            "claimed_height": claimed,
            "state_height": standing.target or None,
            "entries": standing.entries,
            "entries_total": standing.total or None,
            "share_permille": standing.share,
            "rate_per_s": rate,
            "seconds_left": -(-(whole - done) // rate) if rate and whole >= done else None,
            "peers": 0 if watch is None else len(watch.peers),
            "refused": {} if watch is None else dict(watch.refused),
        }

    def _progress(self, standing: Standing, claimed: int) -> tuple[int, int]:
        """What is done, and what there is to do: headers, or entries."""
        if self._phase == HEADERS:
            return standing.height, claimed
        if self._phase == STATE:
            return standing.total * standing.share // 1_000, standing.total
        return self._done, standing.entries

    def _app(self) -> Starlette:
        config, genesis = self._home.config, self._home.genesis
        facts = {"version": version(), "protocol": PROTOCOL_VERSION, "network": genesis.name}

        async def status(_request: Request) -> JSONResponse:
            return JSONResponse({**facts, "chain_id": genesis.id.hex(), "joining": self._told or self.describe()})

        async def nothing_yet(_request: Request, _error: Exception) -> Response:
            detail = "this node joins by state, and answers when it has one; `/status` says how far it is"
            return problem_response(HTTPStatus.NOT_FOUND, detail)

        door = Middleware(Door, hosts=tuple(config.http_hosts), origins=tuple(config.http_origins))
        missing = {HTTPStatus.NOT_FOUND: nothing_yet}
        return Starlette(routes=[Route("/status", status)], middleware=[door], exception_handlers=missing)


class Rate:
    """How much is done a second, as of the last time that somebody asked."""

    def __init__(self) -> None:
        self._phase = ""
        self._done, self._at, self._last = 0, 0.0, 0

    def of(self, phase: str, done: int, now: float) -> int:
        """Whole ones a second; 0 at first, and in a new phase."""
        if phase != self._phase:
            self._last = 0
        elif now - self._at >= 1:
            self._last = max(0, round((done - self._done) / (now - self._at)))
        else:
            return self._last
        self._phase, self._done, self._at = phase, done, now
        return self._last


class _Shared:
    """A newcomer for several threads."""

    def __init__(self, newcomer: Newcomer) -> None:
        self._newcomer = newcomer
        self._lock = threading.Lock()

    @property
    def joining(self) -> Joining | None:
        return self._newcomer.joining

    @property
    def target(self) -> Judged | None:
        return self._newcomer.target

    @property
    def standing(self) -> Standing:
        with self._lock:
            return self._newcomer.standing

    def follow(self, chain: LightChain, headings: Sequence[Heading]) -> None:
        """See :meth:`Newcomer.follow`; so does the rest."""
        with self._lock:
            self._newcomer.follow(chain, headings)

    def slot_at(self, height: int) -> int:
        with self._lock:
            return self._newcomer.slot_at(height)

    def aim(self, target: Judged) -> Joining:
        with self._lock:
            return self._newcomer.aim(target)

    def take(self, peer: str, request: GetPart, reply: bytes, now_ms: int) -> None:
        with self._lock:
            self._newcomer.take(peer, request, reply, now_ms)

    def note(self, progress: bytes) -> None:
        with self._lock:
            self._newcomer.note(progress)
