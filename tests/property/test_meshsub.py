"""Whatever peers say in whatever order, the mesh neither raises nor grows."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.meshsub.effects import Check, Effect, Penalise, Send, Verdict
from p2p.meshsub.mesh import Mesh
from p2p.meshsub.parts import IHave, Message, Prune, Rpc, Subscription
from p2p.meshsub.topic import D_HI
from p2p.meshsub.wire import decode, encode

TOPICS = ["net/t", "net/u", "net/not ours", "other", ""]
PEERS = [f"peer {number}" for number in range(20)]

topics = st.sampled_from(TOPICS)
messages = st.builds(
    Message,
    st.just(b"author"),
    st.just(b"8 bytes."),
    topics,
    st.sampled_from([b"%d" % number for number in range(8)] + [bytes(200)]),
    st.sampled_from([b"good", b"good", b"forged"]),
)
ids = st.one_of(messages.map(lambda message: message.id), st.binary(min_size=32, max_size=32))
rpcs = st.builds(
    Rpc,
    subscriptions=st.lists(st.builds(Subscription, topics, st.booleans()), max_size=4).map(tuple),
    messages=st.lists(messages, max_size=3).map(tuple),
    ihave=st.lists(st.builds(IHave, topics, st.lists(ids, max_size=4).map(tuple)), max_size=2).map(tuple),
    iwant=st.lists(ids, max_size=4).map(tuple),
    graft=st.lists(topics, max_size=3).map(tuple),
    prune=st.lists(st.builds(Prune, topics, st.integers(0, 2**64 - 1)), max_size=2).map(tuple),
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.sampled_from(PEERS), rpcs),
        st.tuples(st.just("join"), st.sampled_from(PEERS), st.booleans()),
        st.tuples(st.just("leave"), st.sampled_from(PEERS), st.none()),
        st.tuples(st.just("vouch"), st.sampled_from(PEERS), st.booleans()),
        st.tuples(st.just("beat"), st.integers(1, 70), st.none()),
        st.tuples(st.just("check"), st.integers(0, 5), st.sampled_from([*Verdict, None])),
        st.tuples(st.just("publish"), messages, st.none()),
    ),
    max_size=60,
)


class World:
    """A mesh, and what it asked to have checked."""

    def __init__(self) -> None:
        self.mesh = Mesh(Random(1), lambda message: message.signature == b"good", {PEERS[0]}, "net/")
        for topic in TOPICS[:2]:
            self.mesh.join(topic, 100)
        self.now_ms = 0
        self.waiting: list[Check] = []

    def step(self, what: str, whom: object, how: object) -> list[Effect]:
        match what, whom, how:
            case "hear", str(peer), Rpc() as rpc:
                return self.mesh.received(peer, rpc, self.now_ms)
            case "join", str(peer), bool(is_outbound):
                return [] if peer in self.mesh.peers else self.mesh.peer_joined(peer, "", is_outbound=is_outbound)
            case "leave", str(peer), _:
                return self.mesh.peer_left(peer)
            case "vouch", str(peer), bool(is_validator):
                return self.mesh.vouch(peer, is_validator)
            case "beat", int(seconds), _:
                self.now_ms += seconds * 1_000
                return self.mesh.heartbeat(self.now_ms)
            case "check", int(place), verdict if place < len(self.waiting):
                return self.look(self.waiting.pop(place), verdict)
            case "publish", Message() as message, _ if message.topic in self.mesh.topics:
                return self.mesh.publish(message, self.now_ms)
        return []

    def look(self, check: Check, verdict: object) -> list[Effect]:
        if isinstance(verdict, Verdict):
            return self.mesh.checked(check.message.id, verdict, self.now_ms)
        self.mesh.abandoned(check.message.id)
        return []

    def require_sense(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(peers, rpc):
                    assert set(peers) <= self.mesh.peers.keys()
                    assert len(set(peers)) == len(peers)
                    assert decode(encode(rpc)) == rpc
                case Check(peer, message):
                    assert message.topic in self.mesh.topics
                    self.waiting.append(effect)
                case Penalise(peer, _, why):
                    assert peer in PEERS
                    assert why
        for topic in TOPICS:
            assert self.mesh.mesh(topic) <= self.mesh.peers.keys()


@given(steps)
@settings(max_examples=150, deadline=None)
def test_no_conversation_confuses_it(conversation: list[tuple[str, object, object]]) -> None:
    world = World()
    for what, whom, how in conversation:
        world.require_sense(world.step(what, whom, how))
    waiting = [check.message.id for check in world.waiting]
    assert len(waiting) == len(set(waiting))
    world.require_sense(world.step("beat", 1, None))
    for topic in world.mesh.topics.values():
        assert len(topic.mesh) <= D_HI + 2  # the one that is named, and a validator
