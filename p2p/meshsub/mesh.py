"""Gossip as a state machine: what peers say and what the clock says come in, what is to be done comes out.

The way of a message: of a topic of ours and within its limits -> not seen before -> signed -> checked by whoever
listens -> remembered, and passed on to the mesh.  Each distinct message is checked once, however many copies arrive
and at what moment.  Source: libp2p specifications, "gossipsub v1.0" and "v1.1".  What we do otherwise:

* Peers with reserved places are in the mesh like others, as the agreement need not be mutual (there they are outside
  it); what is let in is sent to them also where they are not.
* A message is not passed on to who has sent it meanwhile.
* There is no fanout: what we publish to, we listen to.
* PRUNE names no peers, and whom others name is not dialled: addresses have an exchange of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from random import Random

from p2p.meshsub.effects import Check, Effect, Fault, Penalise, Send, Verdict
from p2p.meshsub.memory import Pauses, Recent, Seen, Wanted
from p2p.meshsub.parts import IHave, Message, Prune, Rpc, Subscription
from p2p.meshsub.peer import MAX_TOPIC_LENGTH, MAX_TOPICS_PER_PEER, Peer, Peers, Pending, Topic
from p2p.meshsub.standing import GOSSIP_THRESHOLD, PUBLISH_THRESHOLD
from p2p.meshsub.topic import D_HI, D, Member, Place, better, may_enter, origin_of, recruits, room, survivors

PRUNE_BACKOFF_S = 60
"""Specification: PruneBackoff, 1 minute."""

FULL_BACKOFF_S = 5
"""For a peer that there was no room for: it did nothing wrong, and may show meanwhile what it is worth."""

MAX_BACKOFF_S = 600
"""A peer may ask for a longer pause than ours, within reason."""

BACKOFF_SLACK_MS = 1_000
"""Whoever wants to GRAFT waits longer than a pause lasts, also one of its own: a heartbeat, as the other's began with
the PRUNE on its way.  Specification: the slack until the next heartbeat."""

D_LAZY, GOSSIP_FACTOR = 6, 0.25
"""Specification: D_lazy, and the part of the peers outside the mesh that are offered what is new."""

OPPORTUNISTIC_GRAFT_TICKS, OPPORTUNISTIC_GRAFT_PEERS = 5, 2
"""go-libp2p's names.  In the recommended minute our smallest networks have sixty slots; it costs nothing."""

OPPORTUNISTIC_GRAFT_THRESHOLD = 1.0
"""Specification: OpportunisticGraftThreshold.  One first delivery."""

MAX_OFFERED_IDS = 1024
"""Ids in an IHAVE of ours, and those taken of one peer between two heartbeats.  Specification: MaxIHaveLength."""

MAX_IHAVE_MESSAGES = 10
"""Specification, spam protection: IHAVEs taken of one peer between two heartbeats."""


class Mesh:
    """One node's end of the conversation.  Every method gives back what is to be done.

    ``named`` are the peers that the operator named.  Topics of peers count where they begin with ``prefix``.
    ``is_signed`` tells whether a message was signed by its author.
    """

    def __init__(
        self, rng: Random, is_signed: Callable[[Message], bool], named: Collection[str] = (), prefix: str = ""
    ) -> None:
        self.peers = Peers(named)
        self.topics: dict[str, Topic] = {}
        self._rng = rng
        self._is_signed = is_signed
        self._prefix = prefix
        self._seen = Seen()
        self._recent = Recent()
        self._wanted = Wanted()
        self._pauses = Pauses()
        self._checking: dict[bytes, Pending] = {}
        self._beats = 0
        self._out: list[Effect] = []

    # -- what comes in --------------------------------------------------------------------------------

    def join(self, topic: str, max_bytes: int) -> list[Effect]:
        """Listen to a topic, whose messages have at most so many bytes.  It is not left again."""
        if topic not in self.topics:
            self.topics[topic] = Topic(max_bytes)
            self._send(self.peers, Rpc(subscriptions=(Subscription(topic),)))
        self.topics[topic].max_bytes = max_bytes
        return self._done()

    def hello(self) -> Rpc:
        """What a peer is told first, on each stream."""
        return Rpc(subscriptions=tuple(map(Subscription, self.topics)))

    def peer_joined(self, peer: str, host: str, *, is_outbound: bool) -> list[Effect]:
        """A peer is connected, by us if ``is_outbound``, at the IP address ``host``."""
        self.peers.join(peer, is_outbound, origin_of(host))
        self._send([peer], self.hello())
        return self._done()

    def peer_left(self, peer: str) -> list[Effect]:
        """A peer has gone."""
        self.peers.leave(peer)
        for topic in self.topics.values():
            topic.mesh.pop(peer, None)
        self._wanted.forget(peer)
        return self._done()

    def is_stranger(self, peer: str) -> bool:
        """Whether a peer dialled us and is neither named by the operator nor a validator's machine."""
        return not self.peers.is_reserved(peer) and not (peer in self.peers and self.peers[peer].is_outbound)

    def vouch(self, peer: str, is_validator: bool) -> list[Effect]:
        """Whether a connected peer is a validator's machine, as far as it is known now."""
        self.peers.vouch(peer, is_validator)
        return self._done()

    def received(self, peer: str, rpc: Rpc, now_ms: int) -> list[Effect]:
        """A peer sent a frame."""
        sender = self.peers.get(peer)
        if sender is not None:
            for subscription in rpc.subscriptions:
                self._on_subscription(peer, sender, subscription, now_ms)
            for message in rpc.messages:
                self._on_message(peer, message, now_ms)
            for offer in rpc.ihave:
                self._on_ihave(peer, sender, offer, now_ms)
            self._on_iwant(peer, sender, rpc.iwant)
            for name in rpc.graft:
                self._on_graft(peer, sender, name, now_ms)
            for prune in rpc.prune:
                self._on_prune(peer, prune, now_ms)
        return self._done()

    def checked(self, key: bytes, verdict: Verdict, now_ms: int) -> list[Effect]:
        """The message with this id was looked at."""
        pending = self._checking.pop(key, None)
        if pending is not None:
            self._seen.add(key, verdict is not Verdict.REJECT, now_ms)
            if verdict is Verdict.REJECT:
                for peer in sorted(pending.brought):
                    self._blame(peer, Fault.INVALID, "forwarded an invalid message")
            elif verdict is Verdict.ACCEPT:
                self._accept(pending)
        return self._done()

    def abandoned(self, key: bytes) -> None:
        """The message with this id will not be looked at: the next copy is as good as the first."""
        self._checking.pop(key, None)

    def publish(self, message: Message, now_ms: int) -> list[Effect]:
        """Send a message of our own, also one that was sent before, to everybody.  Specification: flood publishing."""
        self._seen.add(message.id, True, now_ms)
        self._recent.put(message)
        listening = [
            peer
            for peer in self.peers.listeners(message.topic)
            if self.peers.is_reserved(peer) or self.peers.score(peer, message.topic) >= PUBLISH_THRESHOLD
        ]
        self._send(listening, Rpc(messages=(message,)))
        return self._done()

    def heartbeat(self, now_ms: int) -> list[Effect]:
        """A second has passed: mend the meshes, offer what is new, forget what is old."""
        self._beats += 1
        for peer, count in sorted(self._wanted.broken(now_ms).items()):
            if peer in self.peers and not self.peers.is_reserved(peer):
                self.peers[peer].standing.misbehaved(count)
        for name, topic in self.topics.items():
            self._mend(name, topic, now_ms)
            self._gossip(name, topic)
        busy = {name for name, topic in self.topics.items() if topic.is_busy}
        for state in self.peers.values():
            state.beat(busy)
        for topic in self.topics.values():
            topic.is_busy = False
        self._recent.shift()
        return self._done()

    # -- what is asked --------------------------------------------------------------------------------

    def mesh(self, topic: str) -> set[str]:
        """To whom what is let in is passed on: the mesh, and those with reserved places."""
        if topic not in self.topics:
            return set()
        return self.topics[topic].mesh.keys() | self.peers.reserved_in(topic)

    def listens(self, peer: str, topic: str) -> bool:
        """Whether a peer has told us that it listens to ``topic``."""
        return self.peers.listens(peer, topic)

    # -- messages -------------------------------------------------------------------------------------

    def _on_message(self, peer: str, message: Message, now_ms: int) -> None:
        topic = self.topics.get(message.topic)
        if not message.topic:
            self._blame(peer, Fault.INVALID, "sent a message without one topic")
        elif topic is None:
            return
        elif len(message.data) > topic.max_bytes:
            self._blame(peer, Fault.INVALID, f"sent a message of {len(message.data)} bytes")
        elif not self._is_known(peer, message, topic, now_ms):
            # Before the id is taken: otherwise a forged copy could make us drop the good one.
            if not self._is_signed(message):
                self._blame(peer, Fault.INVALID, "forwarded a message with a bad signature")
                return
            self._checking[message.id] = Pending(message, peer, {peer})
            self._out.append(Check(peer, message))

    def _is_known(self, peer: str, message: Message, topic: Topic, now_ms: int) -> bool:
        pending = self._checking.get(message.id)
        if pending is not None:
            pending.brought.add(peer)
            return True
        verdict = self._seen.verdict(message.id, now_ms)
        if verdict is False:
            self._blame(peer, Fault.INVALID, "forwarded a message known to be invalid")
        if verdict and peer in topic.mesh and self._seen.is_fresh(message.id, now_ms):
            topic.mesh[peer].passed = 0
        return verdict is not None

    def _accept(self, pending: Pending) -> None:
        message, topic = pending.message, self.topics[pending.message.topic]
        topic.is_busy = True
        self._wanted.came(message.id)
        self._recent.put(message)
        if pending.first in self.peers:
            self.peers[pending.first].standing.delivered(message.topic)
        for peer, member in topic.mesh.items():
            member.passed = 0 if peer in pending.brought else member.passed + 1
        self._send(sorted(self.mesh(message.topic) - pending.brought), Rpc(messages=(message,)))

    # -- subscriptions --------------------------------------------------------------------------------

    def _on_subscription(self, peer: str, sender: Peer, subscription: Subscription, now_ms: int) -> None:
        if sender.subscriptions <= 0:
            self._blame(peer, Fault.EXCESS, "subscribes too often")
            return
        sender.subscriptions -= 1
        name = subscription.topic
        if not subscription.begins:
            sender.topics.discard(name)
            if name in self.topics:
                self.topics[name].mesh.pop(peer, None)
        elif self._is_noted(name, sender):
            sender.topics.add(name)
            if name in self.topics:
                self._welcome(peer, name, self.topics[name], now_ms)

    def _is_noted(self, name: str, sender: Peer) -> bool:
        is_ours = name.startswith(self._prefix) and len(name) <= MAX_TOPIC_LENGTH
        return is_ours and name not in sender.topics and len(sender.topics) < MAX_TOPICS_PER_PEER

    def _welcome(self, peer: str, name: str, topic: Topic, now_ms: int) -> None:
        """One more listens: GRAFT it where it is needed, without waiting for a heartbeat, and offer what is new."""
        candidate = self.peers.place(peer, name)
        if self._may_be_asked(candidate, name, now_ms):
            self._graft(recruits(self._places(topic, name), [candidate], self._rng), name, topic, now_ms)
        self._offer([peer], name)

    # -- IHAVE and IWANT ------------------------------------------------------------------------------

    def _on_ihave(self, peer: str, sender: Peer, offer: IHave, now_ms: int) -> None:
        sender.ihaves += 1
        if sender.ihaves > MAX_IHAVE_MESSAGES or offer.topic not in self.topics:
            return
        if not self._is_heard(peer, offer.topic):
            return
        ids = offer.ids[: MAX_OFFERED_IDS - sender.offered]
        sender.offered += len(ids)
        news = [key for key in ids if key not in self._checking and self._seen.verdict(key, now_ms) is None]
        asked = self._wanted.ask(news, peer, now_ms)
        if asked:
            self._send([peer], Rpc(iwant=asked))

    def _on_iwant(self, peer: str, sender: Peer, ids: Iterable[bytes]) -> None:
        for key in ids:
            if sender.wanted_bytes <= 0:
                return
            message = self._recent.take(key, peer)
            if message is not None:
                sender.wanted_bytes -= len(message.data)
                self._send([peer], Rpc(messages=(message,)))

    def _gossip(self, name: str, topic: Topic) -> None:
        """Offer what is new to some of those outside the mesh.  Specification: adaptive gossip dissemination."""
        direct = self.mesh(name)
        outside = [peer for peer in self.peers.listeners(name) if peer not in direct and self._is_heard(peer, name)]
        count = max(D_LAZY, int(len(outside) * GOSSIP_FACTOR))
        self._offer(self._rng.sample(outside, min(count, len(outside))), name)

    def _offer(self, peers: Collection[str], name: str) -> None:
        ids = self._recent.ids(name, MAX_OFFERED_IDS)
        if ids:
            self._send(peers, Rpc(ihave=(IHave(name, ids),)))

    # -- GRAFT and PRUNE ------------------------------------------------------------------------------

    def _on_graft(self, peer: str, sender: Peer, name: str, now_ms: int) -> None:
        topic = self.topics.get(name)
        if topic is None or peer in topic.mesh:
            return  # not even answered: specification, spam protection
        place = self.peers.place(peer, name)
        if not place.is_reserved and self._pauses.lasts(name, peer, now_ms):
            sender.standing.misbehaved()
            self._blame(peer, Fault.EXCESS, "grafts before its pause is over")
            self._prune([peer], name, PRUNE_BACKOFF_S, now_ms)
        elif may_enter(place, self._places(topic, name)):
            topic.mesh[peer] = Member(now_ms)
        else:
            self._prune([peer], name, FULL_BACKOFF_S if place.score >= 0 else PRUNE_BACKOFF_S, now_ms)

    def _on_prune(self, peer: str, prune: Prune, now_ms: int) -> None:
        topic = self.topics.get(prune.topic)
        if topic is not None:
            topic.mesh.pop(peer, None)
            pause_s = min(prune.backoff_s or PRUNE_BACKOFF_S, MAX_BACKOFF_S)
            self._pauses.add(prune.topic, peer, now_ms + pause_s * 1_000)

    def _mend(self, name: str, topic: Topic, now_ms: int) -> None:
        """Specification: mesh maintenance, in its order."""
        candidates = [
            place
            for place in (self.peers.place(peer, name) for peer in self.peers.listeners(name) if peer not in topic.mesh)
            if self._may_be_asked(place, name, now_ms)
        ]
        self._note_silence(name, topic, now_ms)
        mesh = self._places(topic, name)
        if candidates or len(mesh) > D:
            # Where nobody else wants the place and there is room, the silent may stay: they may have nobody but us.
            self._drop([place.peer for place in mesh if place.score < 0 and not place.is_reserved], name, topic, now_ms)
        mesh = self._places(topic, name)
        if sum(not place.is_reserved for place in mesh) > room(mesh, D_HI):
            kept = survivors(mesh, self._rng)
            self._drop([place.peer for place in mesh if place.peer not in kept], name, topic, now_ms)
            mesh = self._places(topic, name)
        self._graft(recruits(mesh, candidates, self._rng), name, topic, now_ms)
        if self._beats % OPPORTUNISTIC_GRAFT_TICKS == 0:
            self._graft_better(name, topic, candidates, now_ms)

    def _note_silence(self, name: str, topic: Topic, now_ms: int) -> None:
        for peer, member in topic.mesh.items():
            if member.is_silent(now_ms):
                self.peers[peer].standing.was_silent(name)

    def _graft_better(self, name: str, topic: Topic, candidates: list[Place], now_ms: int) -> None:
        mesh = self._places(topic, name)
        scores = sorted(place.score for place in mesh)
        if scores and scores[len(scores) // 2] < OPPORTUNISTIC_GRAFT_THRESHOLD:
            outside = [place for place in candidates if place.peer not in topic.mesh]
            self._graft(better(mesh, outside, self._rng, OPPORTUNISTIC_GRAFT_PEERS), name, topic, now_ms)

    def _graft(self, peers: Iterable[str], name: str, topic: Topic, now_ms: int) -> None:
        for peer in peers:
            topic.mesh[peer] = Member(now_ms)
            self._send([peer], Rpc(graft=(name,)))

    def _drop(self, peers: Collection[str], name: str, topic: Topic, now_ms: int) -> None:
        for peer in peers:
            del topic.mesh[peer]
        self._prune(peers, name, PRUNE_BACKOFF_S, now_ms)

    def _prune(self, peers: Collection[str], name: str, backoff_s: int, now_ms: int) -> None:
        for peer in peers:
            self._pauses.add(name, peer, now_ms + backoff_s * 1_000)
        self._send(peers, Rpc(prune=(Prune(name, backoff_s),)))

    # -- peers ----------------------------------------------------------------------------------------

    def _places(self, topic: Topic, name: str) -> list[Place]:
        return [self.peers.place(peer, name) for peer in topic.mesh]

    def _may_be_asked(self, place: Place, name: str, now_ms: int) -> bool:
        is_paused = self._pauses.lasts(name, place.peer, now_ms - BACKOFF_SLACK_MS)
        return (place.is_reserved or place.score >= 0) and not is_paused

    def _is_heard(self, peer: str, name: str) -> bool:
        return self.peers.is_reserved(peer) or self.peers.score(peer, name) >= GOSSIP_THRESHOLD

    # -- what is to be done ---------------------------------------------------------------------------

    def _send(self, peers: Iterable[str], rpc: Rpc) -> None:
        there = tuple(peers)
        if there:
            self._out.append(Send(there, rpc))

    def _blame(self, peer: str, fault: Fault, why: str) -> None:
        self._out.append(Penalise(peer, fault, why))

    def _done(self) -> list[Effect]:
        effects, self._out = self._out, []
        return effects
