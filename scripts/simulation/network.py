"""Links between nodes: delay, loss, duplication, reordering, cuts in one or both directions, and clogs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from chain.base.errors import Refused
from chain.protocol.events import PeerLost, Request
from scripts.simulation.acts import Weather
from scripts.simulation.node import SimulatedNode
from scripts.simulation.wire import Announced, Attested, Batch, Claim, Gossip, Message
from scripts.simulation.world import World

# As long as p2p/ waits for a reply; a connection that is gone is noticed at once.
REQUEST_TIMEOUT_MS = 10_000
NO_CONNECTION_MS = 200
REQUEST_BYTES = 100
# How long it takes until both ends of a broken connection know.
NOTICED_MS = 1_500
# There is no connection without a hello in both directions: so long after one that got lost another is tried.
HELLO_MS = 5_000
# Four ways, to ask and to fetch, before a validator that started speaks.
PROMPT_MS = 200
# A long delay is doubled at most so often: 64 times the usual one.
MAX_DOUBLINGS = 6


class Greeting:
    """A node says hello to another, until it has heard where that one stands."""

    def __init__(self, node: SimulatedNode, other: SimulatedNode) -> None:
        self.node, self.other = node, other
        self.is_heard = False
        self._lives = node.generation, other.generation

    @property
    def is_over(self) -> bool:
        """Whether it was heard, or the process of either is gone."""
        node, other = self.node, self.other
        return self.is_heard or not (node.is_up and other.is_up) or (node.generation, other.generation) != self._lives


class Network:
    """Carries events between the nodes of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.weather = Weather()
        self.clogged_until_ms: dict[tuple[str, str], int] = {}
        self.sent = 0
        self._blocked: dict[tuple[str, str], None] = {}
        # How often the one was greeted by the other.
        self._hellos: Counter[tuple[str, str]] = Counter()

    @property
    def is_cut(self) -> bool:
        """Whether somebody does not reach somebody."""
        return bool(self._blocked)

    @property
    def is_prompt(self) -> bool:
        """Whether everybody hears everything within a fraction of a slot, and nobody from strangers."""
        weather = self.weather
        is_late = weather.tail or weather.loss or weather.reorder or weather.low_ms + weather.spread_ms >= PROMPT_MS
        is_clogged = any(until_ms > self.world.now_ms for until_ms in self.clogged_until_ms.values())
        return not (is_late or is_clogged or self.is_cut or self.world.strangers)

    # ---------------------------------------------------------------------------------------------- for faults

    def cut(self, ways: Iterable[tuple[str, str]], *, noticed: bool) -> None:
        """Let nothing pass from the one to the other of each pair; ``noticed`` ends the connections, too."""
        ways = list(ways)
        self._blocked.update(dict.fromkeys(ways))
        if not noticed:
            return
        for one, two in sorted({(min(way), max(way)) for way in ways}):
            for name, other in ((one, two), (two, one)):
                self._tell_lost(name, other)

    def heal(self) -> None:
        """Everybody reaches everybody again, and those who were cut off connect again."""
        self.reopen(tuple(self._blocked))

    def reopen(self, ways: Iterable[tuple[str, str]]) -> None:
        """The same, of some ways."""
        ways = list(ways)
        for way in ways:
            self._blocked.pop(way, None)
        for one, two in sorted({(min(way), max(way)) for way in ways}):
            self.meet(self.world.by_name[one], self.world.by_name[two])

    def join(self, node: SimulatedNode) -> None:
        """A node that just started meets the others."""
        for other in self.world.nodes:
            if other is not node and other.is_up:
                self.meet(node, other)
        for stranger in self.world.strangers:
            self.ask_status(node, stranger.name)

    def leave(self, node: SimulatedNode) -> None:
        """The connections of a node that stopped are closed."""
        for other in self.world.nodes:
            if other is not node and other.is_up:
                self.world.schedule.later(self._way_ms(), self._loss(other, node.name))

    def meet(self, one: SimulatedNode, two: SimulatedNode) -> None:
        """Two nodes connect, which they have done once each knows where the other stands."""
        if one.is_up and two.is_up:
            self._dial(Greeting(one, two))
            self._dial(Greeting(two, one))

    def dismiss(self, node: SimulatedNode, peer: str) -> None:
        """A node closes its connection to a peer, which may come back."""
        other = self.world.by_name.get(peer)
        if other is not None:
            self.world.schedule.later(self._way_ms(), self._loss(other, node.name))
            self.world.schedule.later(HELLO_MS, partial(self.meet, node, other))

    def send_away(self) -> None:
        """Whoever runs no engine is gone, and everybody notices."""
        for stranger in self.world.strangers:
            stranger.leave()
            for node in self.world.nodes:
                self._tell_lost(node.name, stranger.name)

    # ----------------------------------------------------------------------------------------------- for nodes

    def broadcast(self, sender: SimulatedNode, message: Gossip) -> None:
        """Gossip: every other node receives it, or not; and every stranger at once."""
        for node in self.world.nodes:
            if node is not sender:
                self.send(sender.name, node, message)
        for stranger in self.world.strangers:
            self.world.schedule.later(1, partial(stranger.overhear, message))

    def pass_on(self, node: SimulatedNode, sender: str, message: Message) -> None:
        """A node lets others have what a stranger told it; what nodes say reaches everybody without that."""
        if isinstance(message, Announced | Batch | Attested) and any(
            sender == stranger.name for stranger in self.world.strangers
        ):
            for other in self.world.nodes:
                if other is not node:
                    self.send(node.name, other, message)

    def send(self, sender: str, receiver: SimulatedNode, message: Message) -> None:
        """One message on its way, at times none or two; what was meant for a process that is gone gets lost."""
        generation = receiver.generation

        def deliver() -> None:
            if receiver.is_up and receiver.generation == generation:
                receiver.hear(sender, message)

        for delay_ms in self._ways_ms(sender, receiver.name, len(message.data)):
            self.world.schedule.later(delay_ms, deliver)

    def ask_status(self, asker: SimulatedNode, peer: str) -> None:
        """Where does this peer stand?  Nothing comes back where a message is lost."""
        other = self.world.peers[peer]

        def arrive() -> None:
            status = other.status_for(asker.name) if other.is_up else None
            if status is not None:
                self.send(peer, asker, Claim(status))

        for delay_ms in self._ways_ms(asker.name, peer):
            self.world.schedule.later(delay_ms, arrive)
            break

    def ask(self, asker: SimulatedNode, peer: str, request: Request) -> None:
        """A request: exactly one answer follows, which may be that it failed."""
        other = self.world.peers[peer]
        generation = asker.generation
        is_open = True

        def deliver(reply: bytes | Refused | None) -> None:
            nonlocal is_open
            if is_open and asker.is_up and asker.generation == generation:
                is_open = False
                asker.open_reply(peer, request, reply)

        def arrive() -> None:
            reply: bytes | Refused | None
            try:
                reply = other.answer(request) if other.is_up else None
            except Refused as refusal:
                reply = refusal
            size = len(reply) if isinstance(reply, bytes) else REQUEST_BYTES
            for delay_ms in () if reply is None else self._ways_ms(peer, asker.name, size):
                self.world.schedule.later(delay_ms, lambda: deliver(reply))

        is_connected = other.is_up and (asker.name, peer) not in self._blocked
        for delay_ms in self._ways_ms(asker.name, peer) if is_connected else ():
            self.world.schedule.later(delay_ms, arrive)
            break
        failed_ms = REQUEST_TIMEOUT_MS if is_connected else NO_CONNECTION_MS
        self.world.schedule.later(failed_ms, lambda: deliver(None))

    # ------------------------------------------------------------------------------------------------- the wire

    def _dial(self, greeting: Greeting) -> None:
        node, other = greeting.node.name, greeting.other.name
        if greeting.is_over or (node, other) in self._blocked or (other, node) in self._blocked:
            return  # who reaches the other again meets it again
        for delay_ms in self._ways_ms(node, other):
            self.world.schedule.later(delay_ms, partial(self._greeted, greeting))
            break
        self.world.schedule.later(HELLO_MS, partial(self._dial, greeting))

    def _greeted(self, greeting: Greeting) -> None:
        node, other = greeting.node.name, greeting.other
        status = None if greeting.is_over else other.status_for(node)
        if status is not None:
            for delay_ms in self._ways_ms(other.name, node, len(status)):
                self.world.schedule.later(delay_ms, partial(self._greeted_back, greeting, Claim(status)))

    def _greeted_back(self, greeting: Greeting, claim: Claim) -> None:
        node, other = greeting.node, greeting.other.name
        if not greeting.is_over and not node.is_frozen:
            greeting.is_heard = True
            self._hellos[node.name, other] += 1
            node.hear(other, claim)

    def _loss(self, node: SimulatedNode, peer: str) -> Callable[[], None]:
        """The end of the connection that there is now; nothing once there is another."""
        generation, hellos = node.generation, self._hellos[node.name, peer]

        def lose() -> None:
            if node.is_up and node.generation == generation and self._hellos[node.name, peer] == hellos:
                node.receive(PeerLost(peer))

        return lose

    def _tell_lost(self, name: str, other: str) -> None:
        node = self.world.by_name[name]
        if node.is_up:
            self.world.schedule.later(self.world.random.randrange(NOTICED_MS), self._loss(node, other))

    def _ways_ms(self, sender: str, receiver: str, _size: int = REQUEST_BYTES) -> Iterator[int]:
        """The delay of each copy of a message that arrives."""
        way = (sender, receiver)
        if way in self._blocked:
            return
        self.sent += 1
        chance, weather = self.world.chance, self.weather
        if weather.loss and chance(weather.loss):
            return
        clogged_ms = max(0, self.clogged_until_ms.get(way, 0) - self.world.now_ms)
        yield clogged_ms + self._way_ms()
        if weather.duplicate and chance(weather.duplicate):
            yield clogged_ms + self._way_ms()

    def _way_ms(self) -> int:
        random, weather = self.world.random, self.weather
        delay_ms = weather.low_ms + random.randrange(weather.spread_ms + 1)
        if weather.tail and self.world.chance(weather.tail):
            for _ in range(MAX_DOUBLINGS):
                delay_ms *= 2
                if random.randrange(2):
                    break
        if weather.reorder and self.world.chance(weather.reorder):
            delay_ms += random.randrange(3_000)
        return delay_ms
