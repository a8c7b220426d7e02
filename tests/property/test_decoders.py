"""Every decoder that faces the network returns what it read, the same bytes again, or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain.blocks import Block, decode_block, encode_block
from chain.codec import encode
from chain.errors import Reason
from chain.headers import VerifiedHeader, decode_header
from chain.messages import Announcement, GetBlocks, GetTransactions, RawItems, Status
from chain.policy import decode_policy, shipped_policy
from chain.proposals import Accredit, Amend, Proposal, ReplaceValidator, decode_proposal, encode_proposal
from chain.transactions import Accuse, Enrol, File, Propose, Rate, VerifiedTransaction, decode_transaction
from tests.support.forge import Forge
from tests.support.refusals import refusal
from tests.support.world import Actor, genesis_of

GENESIS = genesis_of(4)
ANN = Actor(GENESIS, 50)
BODY = [ANN.sign(Enrol()), ANN.sign(Rate(bytes(32), 1, -10))]
BLOCK = Forge(GENESIS).block(None, BODY)
KEY = bytes(32)
PROPOSALS: list[Proposal] = [Accredit(KEY, 3, (1, 2), 0, 9), Amend(1, 9, b"a policy"), ReplaceValidator(KEY, ANN.key)]
OTHERS = [
    ANN.sign(File(KEY, 1, -5, 1, KEY, b"", -7, 1)),
    ANN.sign(Propose(PROPOSALS[0])),
    ANN.sign(Accuse(BLOCK.header.raw, BLOCK.header.raw)),
]


def again_block(decoded: Any) -> bytes:
    header, transactions = decoded
    body = tuple(VerifiedTransaction(item) for item in transactions)
    return encode_block(Block(VerifiedHeader(header), body))


def same(decoded: Any) -> bytes:
    encoded: bytes = decoded.encode()
    return encoded


# decoder, how its result is encoded again, valid bytes to mutate
DECODERS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes], list[bytes]]] = {
    "transaction": (decode_transaction, lambda decoded: decoded.raw, [item.raw for item in (*BODY, *OTHERS)]),
    "header": (decode_header, lambda decoded: decoded.raw, [BLOCK.header.raw]),
    "block": (decode_block, again_block, [encode_block(BLOCK), encode((BLOCK.header.raw, ()))]),
    "announcement": (
        Announcement.decode,
        same,
        [Announcement(BLOCK.header.raw, (BODY[0].id, BODY[1].id)).encode(), Announcement(b"", ()).encode()],
    ),
    "status": (Status.decode, same, [Status(BLOCK.id, 300, 2**40, 0).encode()]),
    "get blocks": (GetBlocks.decode, same, [GetBlocks(BLOCK.id, 2**40, 256).encode()]),
    "get transactions": (GetTransactions.decode, same, [GetTransactions((BODY[0].id, BODY[1].id)).encode()]),
    "items": (partial(RawItems.decode, max_items=20), same, [RawItems((b"", BODY[0].raw, b"x")).encode()]),
    "policy": (decode_policy, same, [shipped_policy(name).encode() for name in ("marketplace", "municipal")]),
    "proposal": (decode_proposal, encode_proposal, [encode_proposal(proposal) for proposal in PROPOSALS]),
}
pytestmark = pytest.mark.parametrize("name", DECODERS)


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Valid bytes with a few bytes changed, cut, doubled or put in."""
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 40)))
        match draw(st.sampled_from(["flip", "cut", "double", "insert", "truncate", "marker"])):
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
            case "cut":
                data = data[:at] + data[end:]
            case "double":
                data = data[:end] + data[at:]
            case "insert":
                data = data[:at] + draw(st.binary(max_size=20)) + data[at:]
            case "truncate":
                data = data[:at]
            case _:
                marker = draw(st.sampled_from([b"\xc0", b"\xc3", b"\xa0", b"\x80", b"\x90", b"\xc7\x00\x05", b"\xdd"]))
                data = data[:at] + marker + data[at + 1 :]
    return data


def check(name: str, data: bytes) -> None:
    decode, again, _ = DECODERS[name]
    decoded: list[Any] = []
    reason = refusal(lambda: decoded.append(decode(data)))
    assert reason in (None, Reason.MALFORMED, Reason.TOO_LARGE)
    assert [again(item) for item in decoded] == ([data] if reason is None else [])


def test_the_originals_are_valid(name: str) -> None:
    decode, again, originals = DECODERS[name]
    assert [again(decode(data)) for data in originals] == originals


@settings(max_examples=50)
@given(data=st.binary(max_size=400))
def test_any_bytes(name: str, data: bytes) -> None:
    check(name, data)


@settings(max_examples=80)
@given(data=st.data())
def test_mutated_messages(name: str, data: st.DataObject) -> None:
    check(name, data.draw(mutated(DECODERS[name][2])))


leaf = st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=40) | st.none() | st.booleans() | st.floats()
shapes = st.recursive(leaf, lambda inner: st.lists(inner, max_size=10).map(tuple), max_leaves=10)


@settings(max_examples=30)
@given(value=shapes, tail=st.sampled_from([b"", bytes(64)]))
def test_well_formed_nonsense(name: str, value: Any, tail: bytes) -> None:
    check(name, encode(value) + tail)
