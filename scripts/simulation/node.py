"""One node: the engine that a real node runs, with a disk and a clock that can go wrong."""

from __future__ import annotations

from collections import deque
from contextlib import nullcontext
from random import Random

from chain.base.errors import Disposition, OperatorError, Refused
from chain.base.keys import SecretKey
from chain.branches.blockchain import Blockchain
from chain.consensus.statements import TAG_BYTES, SignedStatement
from chain.content.transactions import VerifiedTransaction
from chain.protocol.admission import Blamed, Dropped, Known
from chain.protocol.credentials import NOBODY, sign_credential
from chain.protocol.engine import Engine
from chain.protocol.events import (
    AnnounceBlock,
    Ask,
    AskStatus,
    AttestationsReceived,
    BlockAnnounced,
    Commit,
    Dismiss,
    Effect,
    Equivocation,
    Event,
    Finalized,
    FollowWallClock,
    GossipTransactions,
    HeadMoved,
    Notice,
    Outcomes,
    Penalise,
    Request,
    RequestFailed,
    SendAttestations,
    SigningState,
    Silenced,
    Submitted,
    Tick,
    WallClockStepped,
)
from scripts.simulation.acts import Damage, Doom
from scripts.simulation.answering import Answering
from scripts.simulation.clocks import Clocks
from scripts.simulation.disk import Disk
from scripts.simulation.versions import next_version
from scripts.simulation.wire import Door, Message, announcement_of, attested, batched
from scripts.simulation.world import SLOT_MS, World

# As many events as node.py queues; there the network waits, here what comes then gets lost.
MAX_INBOX = 256


class SimulatedNode(Answering):
    """A validator (``key``) or an observer.  Effects are carried out in their order, as ``node.py`` does it."""

    is_honest = True

    def __init__(self, world: World, name: str, key: SecretKey | None) -> None:
        self.world = world
        self.name = name
        self.key = key
        # None for a villain: it only follows, and forges what it signs.
        self.engine_key = key
        self.door = Door(world.genesis, world.signatures)
        self.disk = world.new_disk(name, SigningState(), is_real=self.is_honest)
        self.is_up = False
        self.is_upgraded = False
        self.generation = 0
        self.credential = NOBODY if key is None else sign_credential(key, world.genesis.id, name)
        self.clocks = Clocks(world.schedule)
        # In what the machine dies next, "" if in nothing; the seed draws what reaches the disk then.
        self.doom: Doom = ""
        self.doom_seed = 0
        # The disk whose state it begins with, once its own is gone; None where it fetches every block.
        self.source: Disk | None = None
        self._torn: tuple[Commit, list[Effect]] = (Commit(), [])
        self.crashes = 0
        self.amnesias = 0
        self.blames = 0
        self.reorgs: list[int] = []
        self.inbox: deque[Event] = deque()
        self._is_writing = False
        self._ticks = 0

    # ----------------------------------------------------------------------------------------------- the clock

    @property
    def now_ms(self) -> int:
        """What time this node goes by."""
        return self.clocks.now_ms

    def set_clock(self, offset_ms: int, drift_ppm: int) -> None:
        """The wall clock steps to the true time plus ``offset_ms``, and both clocks drift from there."""
        self.clocks.set(offset_ms, drift_ppm)
        if self.is_up:
            self._schedule_tick()

    def freeze(self, duration_ms: int, *, is_suspended: bool = True) -> None:
        """For so long nothing happens in the machine, nor does its monotonic clock go on: a virtual one, suspended.

        Where it is not, only the process is stopped, and its clocks go on.
        """
        if not self.is_up or self._is_writing:
            return
        generation = self.generation
        self._is_writing = True
        self.clocks.freeze()

        def thaw() -> None:
            if self.generation == generation:
                self.clocks.thaw(duration_ms if is_suspended else 0)
                self._go_on()
                self.world.network.join(self)  # no connection lasts that long without an answer

        self.world.schedule.later(duration_ms, thaw)

    @property
    def is_frozen(self) -> bool:
        """Whether nothing happens in this machine at present."""
        return self.clocks.is_frozen

    def _watch_clock(self) -> None:
        ahead_ms = self.clocks.take_step()
        if ahead_ms is not None:
            self._process(WallClockStepped(ahead_ms))

    # ------------------------------------------------------------------------------------------- start and end

    def start(self) -> None:
        """Load the disk and join."""
        self.generation += 1
        self.doom = ""
        self.clocks.start()
        chain = self._load()
        self.engine = Engine(
            self.world.genesis,
            chain,
            secret=self.engine_key,
            signing=self.disk.signing,
            fresh_tag=self.world.random.randbytes(TAG_BYTES),
            restart=self.disk.restart,
        )
        self.door = Door(self.world.genesis, self.world.signatures)
        self.is_up = True
        self.say(f"starts at height {self.engine.chain.head.header.height}")
        self.world.checks.on_start(self)
        self._schedule_tick()
        self.world.network.join(self)

    def crash(self, why: str = "power cut") -> None:
        """Lose everything that was not committed."""
        self.is_up = False
        self.disk.crash()
        self.generation += 1
        self.crashes += 1
        self.inbox.clear()
        self._is_writing = False
        self.clocks.thaw()
        self.say(f"crashes: {why}")
        self.world.network.leave(self)

    def _start_again(self) -> None:
        if not self.is_up:
            self.start()

    def damage_disk(self, damage: Damage, seed: int) -> None:
        """While the machine is off, something happens to its disk."""
        self.say(f"its disk: {damage}")
        self.disk.suffer(damage, Random(seed))

    def _load(self) -> Blockchain:
        """The chain on the disk.  Where that is refused, the operator does what the refusal says."""
        try:
            chain = self.disk.load()
        except OperatorError as refusal:
            self.say(f"does not start: {refusal}")
            self._begin_anew()
            return self.disk.load()
        self.disk.finds_out &= self.disk.signing is not None
        if self.disk.is_unsound:
            self.say("does not know that its database is damaged")
        if self.disk.is_torn_whole:
            self._note_stored(*self._torn)
        if self.disk.is_set_back:
            self.amnesias += 1
            self.say(f"lost its signing state or last blocks, and is final up to {self.disk.finalized}")
            self.world.checks.on_amnesia(self, self.disk.finalized)
        return chain

    def _begin_anew(self) -> None:
        self.disk = self.disk.replacement()
        self.amnesias += 1
        self.say("lost its whole disk")
        if self.source is not None:
            self.disk.begin_with(self.source)
            self.say(f"begins with a state of height {self.disk.finalized}")
        self.source = None
        self.world.checks.on_amnesia(self, self.disk.finalized)

    def say(self, text: str) -> None:
        """A line of the timeline."""
        self.world.timeline.say(self.name, text)

    # -------------------------------------------------------------------------------------------------- events

    def hear(self, sender: str, message: Message) -> None:
        """A message arrives: what is let in is passed on, if it is gossip, and handed to the engine."""
        if self.is_frozen:
            return
        try:
            with self.disk.told():
                found = self.door.let_in(sender, message, self.engine.chain, self.now_ms)
        except OperatorError as damage:
            self._give_up(f"cannot read: {damage}")
            return
        match found:
            case Blamed(refusal):
                self._blame(sender, refusal)
            case Dropped(refusal):
                self.world.timeline.trace(self.name, refusal.reason.code)
            case Known(header):
                self.world.checks.on_passed_on(self, header)
                self.world.network.pass_on(self, sender, message)
            case BlockAnnounced(_, announcement) as event:
                if announcement.is_news:
                    self.world.checks.on_passed_on(self, announcement.header, is_news=True)
                    self.world.network.pass_on(self, sender, message)
                self.receive(event)
            case AttestationsReceived(_, heard) as event:
                if heard.attestations:
                    self.world.network.pass_on(self, sender, attested(heard.attestations))
                    self.receive(event)
            case event:
                self.world.network.pass_on(self, sender, message)
                self.receive(event)

    def open_reply(self, peer: str, request: Request, reply: bytes | Refused | None) -> None:
        """The end of a request: its reply, why the peer has none, or None where nothing came."""
        event: Event = RequestFailed(peer, request, is_refused=isinstance(reply, Refused))
        if isinstance(reply, bytes):
            try:
                event, flaw = self.door.open_reply(peer, request, reply)
            except Refused as refusal:
                flaw = refusal
            if flaw is not None and flaw.reason.disposition is Disposition.BLAME:
                self._blame(peer, flaw)
        self.receive(event)

    def receive(self, event: Event) -> None:
        """Something happens; while the disk is busy it waits."""
        if not self._is_writing:
            self._handle(event)
        elif len(self.inbox) < MAX_INBOX:
            self.inbox.append(event)

    def submit(self, transactions: tuple[VerifiedTransaction, ...]) -> None:
        """What a client sends; the workload hears of the answer when the node gives it."""
        self.receive(Submitted(transactions))

    def _handle(self, event: Event) -> None:
        self._watch_clock()
        if self._is_writing:  # what the step of the clock led to
            self.inbox.append(event)
        elif self.is_up:
            self._process(event)

    def _process(self, event: Event) -> None:
        self.world.timeline.trace(self.name, type(event).__name__)
        now_ms, is_tick = self.now_ms, isinstance(event, Tick)
        wake_ms = 0 if is_tick else self.engine.wake_ms(now_ms)
        try:
            with next_version() if self.is_upgraded else nullcontext(), self.disk.told():
                effects = self.engine.handle(event, now_ms)
        except OperatorError as refusal:
            self._give_up(f"cannot read: {refusal}")
            return
        self.world.checks.on_handled(self, event, effects)
        if effects and isinstance(effects[0], Commit):
            self._write(effects[0], effects[1:], event)
        else:
            self._perform_all(effects, event)
        if not self.is_up or self._is_writing:
            return
        if is_tick or self.engine.wake_ms(self.now_ms) < wake_ms:
            self._schedule_tick()

    def _write(self, commit: Commit, effects: list[Effect], event: Event) -> None:
        if self.doom not in ("", "reorg"):
            self._die_writing(commit, effects)
            return
        if not self.disk.write_ms:
            self._store(commit, effects)
            self._perform_all(effects, event)
            return
        generation = self.generation
        self._is_writing = True

        def written() -> None:
            if self.generation != generation:
                return
            self._store(commit, effects)
            self._perform_all(effects, event)
            self._go_on()

        self.world.schedule.later(1 + self.world.random.randrange(self.disk.write_ms), written)

    def _go_on(self) -> None:
        """After a pause: what waited comes first."""
        self._is_writing = False
        while self.inbox and self.is_up and not self._is_writing:
            self._handle(self.inbox.popleft())
        if self.is_up and not self._is_writing:
            self._schedule_tick()

    def _die_writing(self, commit: Commit, effects: list[Effect]) -> None:
        if self.doom == "torn":
            self._torn = commit, effects
            self.disk.tear(commit, Random(self.doom_seed))
        if self.doom == "kept":
            self._store(commit, effects)
        if self.is_up:
            self.crash(f"while writing, the write is {self.doom}")

    def _store(self, commit: Commit, effects: list[Effect]) -> None:
        try:
            self.disk.commit(commit)
        except OperatorError as refusal:
            self._give_up(f"cannot write: {refusal}")
            return
        self._note_stored(commit, effects)

    def _give_up(self, why: str) -> None:
        """The disk turned out to be damaged: the operator does what the refusal says."""
        self.crash(why)
        self._begin_anew()
        self.world.schedule.later(SLOT_MS, self._start_again)

    def _note_stored(self, commit: Commit, effects: list[Effect]) -> None:
        said: list[SignedStatement] = []
        for effect in effects:
            if isinstance(effect, SendAttestations):
                said.append(effect.attestations[-1])
            elif isinstance(effect, AnnounceBlock):
                said.append(effect.block.header)
        self.world.checks.on_stored(self, commit, said)

    def _schedule_tick(self) -> None:
        generation = self.generation
        self._ticks += 1
        number, now_ms = self._ticks, self.now_ms

        def tick() -> None:
            if self.is_up and not self._is_writing and (self.generation, self._ticks) == (generation, number):
                self._handle(Tick())

        self.world.schedule.later(max(1, self.engine.wake_ms(now_ms) - now_ms), tick)

    # ------------------------------------------------------------------------------------------------- effects

    def _perform_all(self, effects: list[Effect], event: Event) -> None:
        for effect in effects:
            if self.is_up:
                self._perform(effect, event)

    def _perform(self, effect: Effect, event: Event) -> None:
        world = self.world
        match effect:
            case AnnounceBlock(block):
                header = block.header
                self.say(
                    f"signs   {header.id.hex()[:8]} height {header.height} slot {header.slot} on "
                    f"{header.parent.hex()[:8]} mhg {header.mhg} mhp {header.mhp}, {len(block.transactions)} tx"
                )
                world.checks.on_announced(self, header)
                world.network.broadcast(self, announcement_of(block))
            case SendAttestations(attestations):
                last = attestations[-1]
                self.say(f"attests {last.tip.hex()[:8]} height {last.height} mhg {last.mhg} mhp {last.mhp}")
                world.checks.on_announced(self, last)
                world.network.broadcast(self, attested(attestations))
            case GossipTransactions(transactions):
                for batch in batched(transactions):
                    world.network.broadcast(self, batch)
            case Ask(peer, request):
                world.network.ask(self, peer, request)
            case AskStatus(peer):
                world.network.ask_status(self, peer)
            case Outcomes(outcomes) if isinstance(event, Submitted):
                world.workload.on_answered(self, event.transactions, outcomes)
            case Penalise(peer, refusal):
                self._blame(peer, refusal)
            case Dismiss(peer):
                world.network.dismiss(self, peer)
            case Finalized(header):
                self.say(f"final   {header.id.hex()[:8]} height {header.height}")
            case HeadMoved(header, depth=depth):
                if depth:
                    self.reorgs.append(depth)
                    self.say(f"reorg   {header.id.hex()[:8]} height {header.height}, {depth} blocks abandoned")
                    if self.doom == "reorg":
                        self.crash("right after a reorg")
            case FollowWallClock():
                self.clocks.adopt()
            case Silenced():
                self._perform(effect.notice, event)
            case Notice(name, text):
                self.say(f"notice  {name}: {text}")
            case Equivocation(first, second):
                self.say(f"saw two statements of one: {first.id.hex()[:8]} {second.id.hex()[:8]} at {first.height}")
                world.checks.on_equivocation(self, first)
            case _:
                pass

    def _blame(self, peer: str, refusal: Refused) -> None:
        self.blames += 1
        self.say(f"blames  {peer}: {refusal}")
        self.world.checks.on_blame(self, peer, refusal)
