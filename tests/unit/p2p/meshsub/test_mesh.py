"""What a node makes of everything that its peers can say, one event at a time."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import TypeVar

import pytest

from p2p.meshsub.effects import Check, Effect, Fault, Penalise, Send, Verdict
from p2p.meshsub.memory import COPY_WINDOW_MS, IWANT_FOLLOWUP_MS, MAX_RETRANSMISSIONS
from p2p.meshsub.mesh import (
    D_LAZY,
    FULL_BACKOFF_S,
    MAX_BACKOFF_S,
    MAX_IHAVE_MESSAGES,
    MAX_OFFERED_IDS,
    OPPORTUNISTIC_GRAFT_TICKS,
    PRUNE_BACKOFF_S,
    Mesh,
)
from p2p.meshsub.parts import IHave, Message, Prune, Rpc, Subscription
from p2p.meshsub.peer import MAX_TOPICS_PER_PEER, SUBSCRIPTION_BURST, WANTED_BURST_BYTES, WANTED_BYTES
from p2p.meshsub.standing import GOSSIP_THRESHOLD, PUBLISH_THRESHOLD
from p2p.meshsub.topic import D_ACTIVE_MS, D_HI, D_LO, MAX_OF_BLOCK, SILENT_AFTER, D

E = TypeVar("E", Send, Check, Penalise)

TOPIC = "net/t"
LISTENS = Rpc(subscriptions=(Subscription(TOPIC),))
GRAFT = Rpc(graft=(TOPIC,))
UNKNOWN = "net/invented"


def message(data: bytes, topic: str = TOPIC, author: str = "author") -> Message:
    return Message(author.encode(), b"8 bytes.", topic, data, b"good")


class Rig:
    """A mesh with a clock, and what it wanted done."""

    def __init__(self, *, named: Iterable[str] = ()) -> None:
        self.mesh = Mesh(Random(1), lambda each: each.signature == b"good", frozenset(named), "net/")
        self.now_ms = 1_000_000
        self.effects: list[Effect] = []
        self.mesh.join(TOPIC, 1_000)

    def meet(self, *peers: str, outbound: bool = False, host: str = "") -> None:
        """Peers connect and listen."""
        for peer in peers:
            self.effects += self.mesh.peer_joined(peer, host, is_outbound=outbound)
            self.hear(peer, LISTENS)

    def hear(self, peer: str, rpc: Rpc) -> list[Effect]:
        made = self.mesh.received(peer, rpc, self.now_ms)
        self.effects += made
        return made

    def beat(self, count: int = 1) -> list[Effect]:
        made: list[Effect] = []
        for _ in range(count):
            self.now_ms += 1_000
            made += self.mesh.heartbeat(self.now_ms)
        self.effects += made
        return made

    def deliver(self, peer: str, *items: Message, verdict: Verdict = Verdict.ACCEPT) -> list[Effect]:
        """A peer brings messages that are looked at."""
        made: list[Effect] = []
        for item in items:
            made += self.hear(peer, Rpc(messages=(item,)))
            made += self.mesh.checked(item.id, verdict, self.now_ms)
        self.effects += made
        return made

    def talk(self, peer: str, count: int) -> None:
        """A peer brings so many new messages."""
        self.deliver(peer, *(message(b"%s %d %d" % (peer.encode(), self.now_ms, number)) for number in range(count)))

    def score(self, peer: str) -> float:
        return self.mesh.peers[peer].standing.score(TOPIC)

    @property
    def members(self) -> set[str]:
        return set(self.mesh.topics[TOPIC].mesh)

    def blamed(self) -> list[tuple[str, Fault]]:
        return [(each.peer, each.fault) for each in of(Penalise, self.effects)]


def of(kind: type[E], effects: Iterable[Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def sent(effects: Iterable[Effect], peer: str) -> list[Rpc]:
    """What a peer is to be sent."""
    return [effect.rpc for effect in of(Send, effects) if peer in effect.peers]


def pruned(effects: Iterable[Effect], peer: str) -> list[int]:
    """The pauses that a peer is told."""
    return [prune.backoff_s for rpc in sent(effects, peer) for prune in rpc.prune]


def names(count: int, what: str = "peer") -> list[str]:
    return [f"{what} {number}" for number in range(count)]


# -- peers and subscriptions ------------------------------------------------------------------------------


def test_a_peer_is_told_what_we_listen_to_and_grafted_once_it_listens_too() -> None:
    rig = Rig()
    assert sent(rig.mesh.peer_joined("p", "", is_outbound=False), "p") == [LISTENS]
    assert rig.members == set()
    assert sent(rig.hear("p", LISTENS), "p") == [GRAFT]
    assert rig.members == {"p"}
    assert sent(rig.mesh.join("net/u", 10), "p") == [Rpc(subscriptions=(Subscription("net/u"),))]
    assert rig.mesh.join("net/u", 10) == []


def test_who_leaves_or_ends_its_subscription_is_in_no_mesh() -> None:
    rig = Rig()
    rig.meet("p", "q")
    rig.mesh.peer_left("p")
    rig.hear("q", Rpc(subscriptions=(Subscription(TOPIC, begins=False),)))
    assert rig.members == set()
    assert not rig.mesh.listens("q", TOPIC)
    assert rig.hear("p", GRAFT) == []  # a last frame of one that has gone
    assert rig.mesh.peer_left("p") == []


def test_topics_of_others_and_more_than_a_few_are_not_noted() -> None:
    rig = Rig()
    rig.meet("p")
    rig.hear("p", Rpc(subscriptions=tuple(Subscription(f"{'net' if n % 2 else 'other'}/{n}") for n in range(50))))
    assert len(rig.mesh.peers["p"].topics) == MAX_TOPICS_PER_PEER
    assert all(topic.startswith("net/") for topic in rig.mesh.peers["p"].topics)


def test_a_topic_with_a_name_of_a_megabyte_is_not_noted() -> None:
    rig = Rig()
    rig.meet("p")
    before = set(rig.mesh.peers["p"].topics)
    rig.hear("p", Rpc(subscriptions=tuple(Subscription(f"net/{n}" + "x" * 1_000_000) for n in range(4))))
    assert rig.mesh.peers["p"].topics == before
    assert rig.blamed() == []


def test_who_subscribes_over_and_over_is_blamed() -> None:
    rig = Rig()
    rig.meet("p")
    flips = [Subscription(TOPIC, begins=bool(number % 2)) for number in range(SUBSCRIPTION_BURST - 1)]
    rig.hear("p", Rpc(subscriptions=tuple(flips)))
    assert rig.blamed() == []
    rig.hear("p", LISTENS)
    assert rig.blamed() == [("p", Fault.EXCESS)]
    rig.beat()
    rig.hear("p", LISTENS)
    assert len(rig.blamed()) == 1


# -- messages ---------------------------------------------------------------------------------------------


def test_a_message_is_checked_once_and_passed_on_to_those_that_have_not_brought_it() -> None:
    rig = Rig()
    rig.meet("p", "q", "r")
    news = message(b"news")
    assert of(Check, rig.hear("p", Rpc(messages=(news,)))) == [Check("p", news)]
    assert rig.hear("q", Rpc(messages=(news,))) == []
    assert rig.mesh.checked(news.id, Verdict.ACCEPT, rig.now_ms) == [Send(("r",), Rpc(messages=(news,)))]
    assert rig.hear("r", Rpc(messages=(news,))) == []
    assert rig.mesh.checked(news.id, Verdict.ACCEPT, rig.now_ms) == []


@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (message(b"x", topic=""), Fault.INVALID),
        (message(bytes(1_001)), Fault.INVALID),
        (Message(b"a", b"1", TOPIC, b"x", b"forged"), Fault.INVALID),
        (message(b"x", topic=UNKNOWN), None),
    ],
    ids=["no topic", "oversize", "forged", "another topic"],
)
def test_what_is_not_even_checked(item: Message, fault: Fault | None) -> None:
    rig = Rig()
    rig.meet("p", "q")
    assert of(Check, rig.hear("p", Rpc(messages=(item,)))) == []
    assert rig.blamed() == ([("p", fault)] if fault else [])


def test_a_forged_copy_does_not_keep_the_good_one_away() -> None:
    rig = Rig()
    rig.meet("p", "q")
    good = message(b"news")
    rig.hear("p", Rpc(messages=(Message(b"a", b"1", TOPIC, b"news", b"forged"),)))
    assert of(Check, rig.hear("q", Rpc(messages=(good,)))) == [Check("q", good)]


def test_the_same_content_under_another_author_is_the_same_message() -> None:
    rig = Rig()
    rig.meet("p", "q")
    rig.deliver("p", message(b"news"))
    assert rig.hear("q", Rpc(messages=(message(b"news", author="another"),))) == []


def test_whoever_brings_what_is_refused_is_blamed_also_later_and_nobody_gets_it() -> None:
    rig = Rig()
    rig.meet("p", "q", "r")
    bad = message(b"bad")
    rig.hear("p", Rpc(messages=(bad,)))
    rig.hear("q", Rpc(messages=(bad,)))
    made = rig.mesh.checked(bad.id, Verdict.REJECT, rig.now_ms)
    assert {each.peer for each in of(Penalise, made)} == {"p", "q"}
    assert of(Send, made) == []
    assert [each.fault for each in of(Penalise, rig.hear("r", Rpc(messages=(bad,))))] == [Fault.INVALID]


def test_what_is_let_go_is_passed_on_to_nobody_and_blames_nobody() -> None:
    rig = Rig()
    rig.meet("p", "q")
    assert of(Penalise, rig.deliver("p", message(b"early"), verdict=Verdict.IGNORE)) == []
    assert rig.hear("q", Rpc(messages=(message(b"early"),))) == []
    assert rig.score("p") == 0


def test_what_was_not_looked_at_after_all_is_looked_at_when_it_comes_again() -> None:
    rig = Rig()
    rig.meet("p", "q")
    news = message(b"news")
    rig.hear("p", Rpc(messages=(news,)))
    rig.mesh.abandoned(news.id)
    assert of(Check, rig.hear("q", Rpc(messages=(news,)))) == [Check("q", news)]


def test_our_own_go_to_everybody_who_listens_and_are_no_news_when_they_come_back() -> None:
    rig = Rig()
    rig.meet(*names(30))
    ours = message(b"ours")
    (effect,) = rig.mesh.publish(ours, rig.now_ms)
    assert isinstance(effect, Send)
    assert sorted(effect.peers) == sorted(names(30))
    assert rig.hear("peer 0", Rpc(messages=(ours,))) == []
    assert rig.mesh.publish(ours, rig.now_ms) == [effect]  # new peers may lack it


# -- GRAFT and PRUNE --------------------------------------------------------------------------------------


def test_a_graft_for_a_topic_that_we_do_not_have_is_not_even_answered() -> None:
    rig = Rig()
    rig.meet("p")
    assert rig.hear("p", Rpc(graft=(UNKNOWN, "", "x" * 1_000), prune=(Prune(UNKNOWN, 2**40),))) == []
    assert rig.hear("p", Rpc(graft=(TOPIC,) * 100)) == []  # it is in there already
    assert list(rig.mesh.topics) == [TOPIC]


def test_who_grafts_a_full_mesh_is_told_when_to_try_again() -> None:
    rig = Rig()
    rig.meet(*names(D_HI))
    for peer in names(D_HI):
        rig.hear(peer, GRAFT)
    rig.meet("late")
    assert len(rig.members) == D_HI
    assert pruned(rig.hear("late", GRAFT), "late") == [FULL_BACKOFF_S]
    assert rig.blamed() == []


def test_who_grafts_too_early_is_blamed_told_again_and_less_heard() -> None:
    rig = Rig(named=["named"])
    rig.meet("p", "named")
    for peer in ("p", "named"):
        rig.hear(peer, Rpc(prune=(Prune(TOPIC, 10),)))
    assert rig.members == set()
    assert pruned(rig.hear("p", GRAFT), "p") == [PRUNE_BACKOFF_S]
    assert rig.blamed() == [("p", Fault.EXCESS)]
    assert rig.score("p") == -1
    rig.now_ms += PRUNE_BACKOFF_S * 1_000 - 1
    assert pruned(rig.hear("p", GRAFT), "p")
    rig.hear("named", GRAFT)
    assert rig.members == {"named"}


@pytest.mark.parametrize("phase_ms", range(0, 1_000, 250))
def test_two_that_kept_to_a_pause_are_in_each_others_mesh_again_and_neither_is_blamed(phase_ms: int) -> None:
    full, late = Rig(), Rig()
    full.meet(*names(D_HI))
    for peer in names(D_HI):
        full.hear(peer, GRAFT)
    full.meet("late")
    late.now_ms = full.now_ms
    late.meet("full")
    assert pruned(full.hear("late", GRAFT), "late") == [FULL_BACKOFF_S]
    late.hear("full", Rpc(prune=(Prune(TOPIC, FULL_BACKOFF_S),)))
    for peer in names(D_HI):
        full.mesh.peer_left(peer)
    late.now_ms += phase_ms  # of its heartbeats
    for _ in range(3 * FULL_BACKOFF_S):
        for rig, name, other, its_name in ((full, "full", late, "late"), (late, "late", full, "full")):
            other.now_ms, before_ms = rig.now_ms + 1_000, other.now_ms
            for rpc in sent(rig.beat(), its_name):
                other.effects += other.hear(name, rpc)
            other.now_ms = before_ms
    assert (full.blamed(), late.blamed()) == ([], [])
    assert (full.members, late.members) == ({"late"}, {"full"})


def test_a_new_connection_is_no_way_round_a_pause_nor_a_bad_standing() -> None:
    rig = Rig()
    rig.meet("p")
    rig.hear("p", Rpc(prune=(Prune(TOPIC, 60),)))
    rig.hear("p", GRAFT)
    rig.mesh.peer_left("p")
    rig.meet("p")
    assert rig.members == set()
    assert rig.score("p") == -1


@pytest.mark.parametrize(("asked_s", "kept_s"), [(0, PRUNE_BACKOFF_S), (5, 5), (2**63, MAX_BACKOFF_S)])
def test_a_prune_ends_a_place_for_as_long_as_it_says_within_reason(asked_s: int, kept_s: int) -> None:
    rig = Rig()
    rig.meet("p")
    assert rig.hear("p", Rpc(prune=(Prune(TOPIC, asked_s, (b"somebody", b"\xff" * 100)),) * 3)) == []
    assert rig.members == set()
    assert sent(rig.beat(kept_s), "p") == []
    assert GRAFT in sent(rig.beat(2), "p")


def test_places_are_kept_for_those_named_and_for_validators() -> None:
    rig = Rig(named=["named"])
    rig.meet(*names(3 * D_HI))
    for peer in names(3 * D_HI):
        rig.hear(peer, GRAFT)
    rig.meet("named", "validator")
    assert "named" in rig.members  # without waiting for a heartbeat
    rig.mesh.vouch("validator", True)
    assert "validator" in rig.mesh.mesh(TOPIC)
    rig.beat()
    assert {"named", "validator"} <= rig.members
    rig.mesh.vouch("validator", False)
    assert "validator" not in rig.mesh.mesh(TOPIC) - rig.members
    rig.mesh.vouch("a stranger that left", True)
    assert rig.mesh.mesh(TOPIC) <= rig.mesh.peers.keys()


def test_what_is_let_in_goes_to_reserved_places_also_where_they_prune_us() -> None:
    rig = Rig(named=["named"])
    rig.meet("named", "p")
    rig.hear("named", Rpc(prune=(Prune(TOPIC, 60),)))
    assert rig.members == {"p"}
    assert of(Send, rig.deliver("p", message(b"news"))) == [Send(("named",), Rpc(messages=(message(b"news"),)))]


def test_a_mesh_that_is_too_large_is_cut_to_its_degree() -> None:
    rig = Rig()
    rig.meet(*names(2 * D_HI), outbound=True)
    for peer in names(2 * D_HI):
        rig.hear(peer, GRAFT)
    rig.talk("peer 7", 1)
    assert len(rig.members) == 2 * D_HI
    made = rig.beat()
    assert len(rig.members) == D
    assert "peer 7" in rig.members
    assert all(bool(pruned(made, peer)) == (peer not in rig.members) for peer in names(2 * D_HI))


def test_an_attack_from_one_block_of_addresses_takes_few_places() -> None:
    rig = Rig()
    rig.meet(*names(50), host="45.1.2.3")
    for peer in names(50):
        rig.hear(peer, GRAFT)
    rig.beat()
    assert 0 < len(rig.members) <= MAX_OF_BLOCK
    rig.meet("elsewhere", host="46.1.2.3")
    assert "elsewhere" in rig.members


# -- silence ----------------------------------------------------------------------------------------------


def grown_silent(rig: Rig, silent: Iterable[str]) -> None:
    """One peer tells all the news, the others of the mesh bring nothing."""
    rig.meet("speaker", *silent)
    for peer in silent:
        rig.hear(peer, GRAFT)
    rig.now_ms += D_ACTIVE_MS
    rig.talk("speaker", SILENT_AFTER)


def test_who_is_silent_while_others_speak_gives_way_to_others() -> None:
    rig = Rig()
    grown_silent(rig, names(D_LO - 1))
    rig.meet("newcomer")
    made = rig.beat()
    assert rig.members == {"speaker", "newcomer"}
    assert all(pruned(made, peer) == [PRUNE_BACKOFF_S] for peer in names(D_LO - 1))
    assert rig.score("peer 0") < 0 < rig.score("speaker")
    assert rig.blamed() == []


def test_the_silent_stay_where_nobody_else_wants_the_place() -> None:
    rig = Rig()
    grown_silent(rig, names(3))
    rig.beat()
    assert rig.members == {"speaker", *names(3)}
    assert rig.score("peer 0") < 0


def test_who_brings_copies_is_not_silent() -> None:
    rig = Rig()
    rig.meet("speaker", "copier", "lazy")
    rig.now_ms += D_ACTIVE_MS
    for number in range(SILENT_AFTER):
        news = message(b"%d" % number)
        rig.deliver("speaker", news)
        rig.hear("copier", Rpc(messages=(news,)))
    rig.beat()
    assert rig.score("lazy") < rig.score("copier") == 0 < rig.score("speaker")


def test_who_brings_copies_late_is_as_good_as_silent() -> None:
    rig = Rig()
    rig.meet("speaker", "copier", "late")
    rig.now_ms += D_ACTIVE_MS
    for number in range(SILENT_AFTER):
        news = message(b"%d" % number)
        rig.deliver("speaker", news)
        rig.now_ms += COPY_WINDOW_MS
        rig.hear("copier", Rpc(messages=(news,)))
        rig.now_ms += 1
        rig.hear("late", Rpc(messages=(news,)))
    rig.beat()
    assert rig.score("late") < rig.score("copier") == 0 < rig.score("speaker")


def test_nobody_is_silent_where_nobody_speaks_nor_before_it_had_time() -> None:
    rig = Rig()
    rig.meet("speaker", "quiet")
    rig.beat(3_600)
    assert rig.members == {"speaker", "quiet"}
    assert rig.score("quiet") == 0
    rig.meet("new")
    rig.talk("speaker", SILENT_AFTER)
    rig.beat(9)
    assert rig.score("new") == 0
    rig.beat()
    assert rig.score("new") < 0


def test_the_silent_still_hear_of_what_is_new() -> None:
    rig = Rig()
    grown_silent(rig, names(D_LO - 1))
    rig.meet("newcomer")
    rig.beat()
    assert "peer 0" not in rig.members
    (effect,) = of(Send, rig.mesh.publish(message(b"ours"), rig.now_ms))
    assert "peer 0" in effect.peers
    assert any(rpc.ihave for rpc in sent(rig.beat(), "peer 0"))


def test_a_mesh_of_only_strangers_that_brings_nothing_gets_somebody_who_does() -> None:
    rig = Rig()
    rig.meet(*names(D_HI))
    for peer in names(D_HI):
        rig.hear(peer, GRAFT)
    rig.meet("useful")
    rig.hear("useful", GRAFT)
    assert "useful" not in rig.members
    rig.talk("useful", 3)  # wherever we have it from: an offer of its own, its own words
    rig.beat(FULL_BACKOFF_S + OPPORTUNISTIC_GRAFT_TICKS)
    assert "useful" in rig.members


# -- IHAVE and IWANT --------------------------------------------------------------------------------------


def test_what_is_offered_and_new_is_asked_for_once() -> None:
    rig = Rig()
    rig.meet("p", "q")
    rig.deliver("p", message(b"old"))
    ids = (message(b"old").id, message(b"1").id, message(b"2").id)
    assert sent(rig.hear("q", Rpc(ihave=(IHave(TOPIC, ids),))), "q") == [Rpc(iwant=ids[1:])]
    assert rig.hear("q", Rpc(ihave=(IHave(TOPIC, ids),))) == []
    assert rig.hear("q", Rpc(ihave=(IHave(UNKNOWN, ids),))) == []


def test_a_storm_of_offers_makes_us_ask_for_so_much() -> None:
    rig = Rig()
    rig.meet("p")
    keys = [number.to_bytes(32, "big") for number in range(100 * MAX_OFFERED_IDS)]
    asked = 0
    for start in range(0, len(keys), 200):
        offer = IHave(TOPIC, tuple(keys[start : start + 200]))
        asked += sum(len(rpc.iwant) for rpc in sent(rig.hear("p", Rpc(ihave=(offer,))), "p"))
    assert asked == min(MAX_OFFERED_IDS, MAX_IHAVE_MESSAGES * 200)
    rig.beat()
    assert sent(rig.hear("p", Rpc(ihave=(IHave(TOPIC, (b"n" * 32,)),))), "p") == [Rpc(iwant=(b"n" * 32,))]


def test_who_does_not_send_what_it_offered_is_soon_not_listened_to_and_not_offered_anything() -> None:
    rig = Rig(named=["named"])
    rig.meet("liar", "named")
    for number in range(10):
        for peer in ("liar", "named"):
            rig.hear(peer, Rpc(ihave=(IHave(TOPIC, (b"%032d" % number, b"+%031d" % number)),)))
    rig.beat(IWANT_FOLLOWUP_MS // 1_000)
    assert rig.score("liar") < GOSSIP_THRESHOLD
    assert rig.score("named") == 0
    assert rig.hear("liar", Rpc(ihave=(IHave(TOPIC, (b"x" * 32,)),))) == []
    assert rig.blamed() == []  # we may be slow ourselves
    rig.mesh.publish(message(b"ours"), rig.now_ms)
    assert not any(rpc.ihave for rpc in sent(rig.beat(), "liar"))


def test_what_somebody_else_sends_breaks_nobodys_word() -> None:
    rig = Rig()
    rig.meet("p", "q")
    news = message(b"news")
    rig.hear("p", Rpc(ihave=(IHave(TOPIC, (news.id,)),)))
    rig.deliver("q", news)
    rig.beat(10)
    assert rig.score("p") == 0


def test_far_below_nobody_gets_our_own_messages_but_who_is_named() -> None:
    rig = Rig(named=["named"])
    rig.meet("liar", "named")
    for peer in ("liar", "named"):
        rig.mesh.peers[peer].standing.misbehaved(int(-PUBLISH_THRESHOLD) + 1)
    assert of(Send, rig.mesh.publish(message(b"ours"), rig.now_ms)) == [
        Send(("named",), Rpc(messages=(message(b"ours"),)))
    ]


def test_what_is_wanted_is_sent_so_often_and_only_what_is_here() -> None:
    rig = Rig()
    rig.meet("p", "q")
    news = message(b"news")
    rig.deliver("q", news)
    got = [sent(rig.hear("p", Rpc(iwant=(b"?" * 32, news.id))), "p") for _ in range(MAX_RETRANSMISSIONS + 2)]
    assert got == [[Rpc(messages=(news,))]] * MAX_RETRANSMISSIONS + [[], []]


def test_wants_buy_so_many_bytes() -> None:
    rig = Rig()
    rig.mesh.join(TOPIC, WANTED_BURST_BYTES)
    rig.meet("p", "q")
    items = [message(b"%d" % number + bytes(WANTED_BYTES)) for number in range(40)]
    rig.deliver("q", *items)
    ids = tuple(item.id for item in items)
    got = sent(rig.hear("p", Rpc(iwant=ids)), "p")
    assert len(got) == -(-WANTED_BURST_BYTES // (WANTED_BYTES + 1))
    assert sent(rig.hear("p", Rpc(iwant=ids)), "p") == []
    rig.beat()
    assert len(sent(rig.hear("p", Rpc(iwant=ids)), "p")) <= 2


def test_some_outside_the_mesh_are_offered_what_is_new() -> None:
    rig = Rig()
    rig.meet(*names(60))
    news = message(b"news")
    rig.deliver("peer 0", news)
    offered = [peer for effect in of(Send, rig.beat()) if effect.rpc.ihave for peer in effect.peers]
    assert D_LAZY <= len(offered) == len(set(offered)) <= 15
    assert not set(offered) & rig.mesh.mesh(TOPIC)


def test_who_begins_to_listen_is_offered_what_is_new() -> None:
    rig = Rig()
    rig.mesh.publish(message(b"ours"), rig.now_ms)
    rig.effects.clear()
    rig.meet("late")
    assert Rpc(ihave=(IHave(TOPIC, (message(b"ours").id,)),)) in sent(rig.effects, "late")
