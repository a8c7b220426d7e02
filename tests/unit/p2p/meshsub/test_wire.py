"""Frames as bytes: what comes out is what went in, and nothing is larger than it may be."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libp2p.pubsub.pb import rpc_pb2

from chain.base.errors import Reason, Refused
from p2p.meshsub.parts import ID_BYTES, IHave, Message, Prune, Rpc, Subscription
from p2p.meshsub.wire import MAX_IDS, MAX_NAMED_PEERS, MAX_PARTS, decode, encode

EVERYTHING = Rpc(
    subscriptions=(Subscription("t"), Subscription("u", begins=False)),
    messages=(Message(b"author", b"8 bytes.", "t", b"data", b"signature", b"key"), Message(b"a", b"s", "t", b"")),
    ihave=(IHave("t", (b"1" * ID_BYTES, b"2" * ID_BYTES)),),
    iwant=(b"3" * ID_BYTES,),
    graft=("t", "u"),
    prune=(Prune("t", 60), Prune("u", 2**40, (b"peer",))),
)


def control(**parts: object) -> bytes:
    message = rpc_pb2.ControlMessage(**parts)  # type: ignore[arg-type]
    return rpc_pb2.RPC(control=message).SerializeToString()


WITH_TOPIC = {
    "subscription": Rpc(subscriptions=(Subscription("TOPIC"),)),
    "message": Rpc(messages=(Message(b"a", b"1", "TOPIC", b"x"),)),
    "ihave": Rpc(ihave=(IHave("TOPIC", (b"1" * ID_BYTES,)),)),
    "graft": Rpc(graft=("TOPIC",)),
    "prune": Rpc(prune=(Prune("TOPIC", 1),)),
}


def renamed(what: str) -> bytes:
    """A frame about a topic whose name is not UTF-8."""
    return encode(WITH_TOPIC[what]).replace(b"TOPIC", b"\xff\xfe\xfd\xfc\xfb")


def test_what_is_sent_is_what_is_read() -> None:
    assert decode(encode(EVERYTHING)) == EVERYTHING
    assert decode(encode(Rpc())) == Rpc()


def test_a_message_is_its_topic_and_its_content() -> None:
    known = Message(b"a", b"1", "t", b"x").id
    assert Message(b"b", b"2", "t", b"x", b"signed", b"key").id == known
    others = [
        Message(b"a", b"1", topic, data).id for topic, data in (("t", b"y"), ("u", b"x"), ("", b"tx"), ("tx", b""))
    ]
    assert len({known, *others}) == 5
    assert len(known) == ID_BYTES


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(frame: bytes) -> None:
    with suppress(Refused):
        decode(frame)


@pytest.mark.parametrize(
    "frame",
    [b"\xff" * 40, control(graft=[rpc_pb2.ControlGraft()])[:-1], *map(renamed, WITH_TOPIC)],
    ids=["garbage", "cut", *WITH_TOPIC],
)
def test_what_is_no_gossip_is_refused(frame: bytes) -> None:
    with pytest.raises(Refused, match="gossip") as caught:
        decode(frame)
    assert caught.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("number_of_topics", [0, 2])
def test_a_message_without_one_topic_has_none(number_of_topics: int) -> None:
    message = rpc_pb2.Message(data=b"x", topicIDs=["t"] * number_of_topics)
    (read,) = decode(rpc_pb2.RPC(publish=[message]).SerializeToString()).messages
    assert read.topic == ""


@pytest.mark.parametrize("name", ["graft", "prune", "ihave", "iwant"])
def test_so_many_parts_and_no_more(name: str) -> None:
    part = {
        "graft": rpc_pb2.ControlGraft,
        "prune": rpc_pb2.ControlPrune,
        "ihave": rpc_pb2.ControlIHave,
        "iwant": rpc_pb2.ControlIWant,
    }[name]()
    decode(control(**{name: [part] * MAX_PARTS}))
    with pytest.raises(Refused, match=f"{MAX_PARTS + 1} messages"):
        decode(control(**{name: [part] * (MAX_PARTS + 1)}))


def test_ids_are_bounded_in_all_and_those_of_another_length_name_nothing() -> None:
    keys = [number.to_bytes(ID_BYTES, "big") for number in range(MAX_IDS)]
    wants = [rpc_pb2.ControlIWant(messageIDs=keys[:600]), rpc_pb2.ControlIWant(messageIDs=[*keys, b"short", b""])]
    offers = [
        rpc_pb2.ControlIHave(topicID="t", messageIDs=keys[:600]),
        rpc_pb2.ControlIHave(topicID="t", messageIDs=keys),
    ]
    read = decode(control(iwant=wants, ihave=offers))
    assert len(read.iwant) <= MAX_IDS
    assert sum(len(offer.ids) for offer in read.ihave) == MAX_IDS
    assert decode(control(iwant=[rpc_pb2.ControlIWant(messageIDs=[b"x", b"y" * 33, keys[0]])])).iwant == (keys[0],)


def test_of_the_peers_that_a_prune_names_so_many_are_read() -> None:
    peers = [rpc_pb2.PeerInfo(peerID=b"%d" % number, signedPeerRecord=bytes(1000)) for number in range(1000)]
    (read,) = decode(control(prune=[rpc_pb2.ControlPrune(topicID="t", peers=peers, backoff=2**63)])).prune
    assert read == Prune("t", 2**63, tuple(b"%d" % number for number in range(MAX_NAMED_PEERS)))


def test_what_later_versions_say_is_skipped() -> None:
    told = control(idontwant=[rpc_pb2.ControlIDontWant(messageIDs=[b"x"])], graft=[rpc_pb2.ControlGraft(topicID="t")])
    assert decode(told) == Rpc(graft=("t",))


def test_parts_are_counted() -> None:
    assert (Rpc().parts, EVERYTHING.parts) == (0, 10)
