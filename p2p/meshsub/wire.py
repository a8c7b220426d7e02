"""Frames of ``/meshsub/1.1.0`` as bytes: the protobuf of libp2p's pubsub, bounded before it becomes anything of ours.

What later versions add (IDONTWANT, extensions) is skipped, as the specification wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from google.protobuf.message import DecodeError
from libp2p.pubsub.pb import rpc_pb2

from chain.base.errors import Reason, Refused
from p2p.meshsub.parts import ID_BYTES, IHave, Message, Prune, Rpc, Subscription

MAX_RPC_BYTES = 1_200_000
"""One frame: a message of 1,000,000 bytes and its envelope."""

MAX_PARTS = 256
"""Messages, subscriptions and control messages in one frame: ours hold one message, or a few of each topic.  A
frame could hold half a million empty ones."""

MAX_IDS = 1024
"""Message ids that are taken from one frame, of IHAVEs and of IWANTs: some seconds of the fastest traffic.
Specification: MaxIHaveLength, there 5000."""

MAX_NAMED_PEERS = 16
"""Peers that are taken from one PRUNE: above D_hi, as the specification recommends."""


def decode(frame: bytes) -> Rpc:
    """What a frame says.

    Raises :class:`Refused` ``MALFORMED`` where no implementation would send such a one.  A message that has not one
    topic gets the topic ``""``.
    """
    rpc = rpc_pb2.RPC()
    try:
        rpc.ParseFromString(frame)
        _check_parts(rpc)
        return _read(rpc)
    except DecodeError as error:
        raise Refused(Reason.MALFORMED, "gossip that is not protobuf") from error


def encode(rpc: Rpc) -> bytes:
    """The bytes of a frame, without its length."""
    message = rpc_pb2.RPC(
        subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=each.begins, topicid=each.topic) for each in rpc.subscriptions],
        publish=[_message(each) for each in rpc.messages],
    )
    if rpc.ihave or rpc.iwant or rpc.graft or rpc.prune:
        message.control.CopyFrom(_control(rpc))
    return bytes(message.SerializeToString())


def _check_parts(rpc: Any) -> None:
    control = rpc.control
    lists = (rpc.publish, rpc.subscriptions, control.ihave, control.iwant, control.graft, control.prune)
    parts = sum(map(len, lists))
    if parts > MAX_PARTS:
        raise Refused(Reason.MALFORMED, f"{parts} messages in one frame of gossip")


def _read(rpc: Any) -> Rpc:
    control = rpc.control
    return Rpc(
        subscriptions=tuple(Subscription(_text(each.topicid), each.subscribe) for each in rpc.subscriptions),
        messages=tuple(map(_read_message, rpc.publish)),
        ihave=tuple(_read_ihaves(control.ihave)),
        iwant=_ids(key for each in control.iwant for key in each.messageIDs),
        graft=tuple(dict.fromkeys(_text(each.topicID) for each in control.graft)),
        prune=tuple(map(_read_prune, control.prune)),
    )


def _read_message(message: Any) -> Message:
    topics = list(message.topicIDs)
    topic = _text(topics[0]) if len(topics) == 1 else ""
    return Message(message.from_id, message.seqno, topic, message.data, message.signature, message.key)


def _read_ihaves(offers: Iterable[Any]) -> Iterable[IHave]:
    room = MAX_IDS
    for offer in offers:
        ids = _ids(islice(offer.messageIDs, room))
        room -= len(ids)
        if ids:
            yield IHave(_text(offer.topicID), ids)


def _ids(keys: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(dict.fromkeys(key for key in islice(keys, MAX_IDS) if len(key) == ID_BYTES))


def _read_prune(prune: Any) -> Prune:
    return Prune(_text(prune.topicID), prune.backoff, tuple(each.peerID for each in prune.peers[:MAX_NAMED_PEERS]))


def _text(topic: str | bytes) -> str:
    if isinstance(topic, str):
        return topic
    # What is not UTF-8 comes as it is.
    raise Refused(Reason.MALFORMED, "gossip about a topic that is not text")


def _message(message: Message) -> Any:
    return rpc_pb2.Message(
        from_id=message.author,
        data=message.data,
        seqno=message.seqno,
        topicIDs=[message.topic],
        signature=message.signature or None,
        key=message.key or None,
    )


def _control(rpc: Rpc) -> Any:
    return rpc_pb2.ControlMessage(
        ihave=[rpc_pb2.ControlIHave(topicID=each.topic, messageIDs=each.ids) for each in rpc.ihave],
        iwant=[rpc_pb2.ControlIWant(messageIDs=rpc.iwant)] if rpc.iwant else [],
        graft=[rpc_pb2.ControlGraft(topicID=topic) for topic in rpc.graft],
        prune=[
            rpc_pb2.ControlPrune(
                topicID=each.topic,
                backoff=each.backoff_s,
                peers=[rpc_pb2.PeerInfo(peerID=peer) for peer in each.peers],
            )
            for each in rpc.prune
        ],
    )
