"""The test vectors of ``scripts/docs/wire.md``, computed.

``python -m tests.support.wire_vectors`` writes them.  Byte strings are hexadecimal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_uvarint

from chain.base.codec import decode, encode
from chain.base.keys import did_from_key
from chain.consensus.electorate import NOTHING_DECIDED, Decision, Electorate, Joint, ValidatorSet, validator_set
from chain.consensus.headers import Header
from chain.consensus.restart import Restart
from chain.consensus.votes import Votes
from chain.content.actions import Enrol, Rate
from chain.content.blocks import Block, encode_block, heading_of
from chain.content.genesis import Genesis
from chain.content.transactions import VerifiedTransaction
from chain.documents.proof import Counted, Voting, follow
from chain.documents.prover import prove
from chain.protocol.credentials import sign_credential
from chain.protocol.messages import Announcement, GetBlocks, GetHeadings, GetTransactions, RawItems, Status
from chain.register.entries import Entry
from chain.register.state import decode_entry
from chain.tree.stateproof import Proof
from chain.tree.statetree import StateTree
from p2p import handshake
from p2p.frames import proposal
from p2p.meshsub.parts import IHave, Message, Prune, Rpc, Subscription
from p2p.meshsub.signing import _payload as signed_part
from p2p.meshsub.signing import signed
from p2p.meshsub.wire import encode as encode_rpc
from p2p.network import TransportConfig
from p2p.refusals import FAREWELL, Refusal, Why
from p2p.requests import ReplyStatus
from tests.support.forge import Forge
from tests.support.registered import changing_city
from tests.support.world import Actor, genesis_of, secret

FOLDER = Path(__file__).parents[1] / "vectors" / "wire"
PEER_SEED = b"\x2a" * 32
GENESIS = genesis_of(4)
PREFIX = TransportConfig(seed=b"", genesis_id=GENESIS.id).prefix
MEMBER, OTHER = Actor(GENESIS, 100), Actor(GENESIS, 101)

Document = dict[str, Any]


def encoding() -> Document:
    numbers = [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**64 - 1, -1, -32, -33, -128, -129, -(2**63)]
    good = [((), "the empty array"), ((b"", b"\x00" * 3), "byte strings"), ((tuple(range(16)),), "an array of 16")]
    return {
        "numbers": [{"value": str(number), "bytes": encode((number,)).hex()} for number in numbers],
        "arrays": [{"what": what, "bytes": encode(value).hex()} for value, what in good],
        "long": {"what": "one byte string of 256 bytes of 0x07", "bytes": encode((b"\x07" * 256,)).hex()},
        "refused": [
            {"what": "one byte more", "bytes": "9000"},
            {"what": "one byte less", "bytes": "91"},
            {"what": "not an array", "bytes": "01"},
            {"what": "1 in two bytes", "bytes": "91cc01"},
            {"what": "a byte string with a longer length", "bytes": "91c5000107"},
            {"what": "an array with a longer length", "bytes": "dc000101"},
            {"what": "text", "bytes": "91a161"},
            {"what": "nil", "bytes": "91c0"},
            {"what": "true", "bytes": "91c3"},
            {"what": "a map", "bytes": "9180"},
            {"what": "a fraction", "bytes": "91cb3ff0000000000000"},
        ],
    }


def network() -> Document:
    numbers = ("genesis_time_ms", "slot_ms", "batch", "heartbeat_slots", "max_expiry_blocks")
    return {
        "name": GENESIS.name,
        "numbers": {name: getattr(GENESIS, name) for name in numbers},
        "validators": [{"key": key.hex(), "weight": weight} for key, weight in GENESIS.validators],
        "dids": [did_from_key(key) for key, _ in GENESIS.validators],
        "policy": GENESIS.policy.encode().hex(),
        "policy_digest": GENESIS.policy.digest().hex(),
        "chain_id": GENESIS.id.hex(),
        "prefix": PREFIX,
        "topics": [PREFIX + "blocks", PREFIX + "transactions"],
    }


def frames() -> Document:
    sizes = [0, 1, 127, 128, 300, 16_384, 1_200_000]
    name = PREFIX + "blocks"
    question = GetBlocks(b"\x01" * 32, 1, 256).encode()
    return {
        "lengths": [{"length": size, "bytes": encode_uvarint(size).hex()} for size in sizes],
        "request": {
            "protocol": name,
            "request": question.hex(),
            "written": (proposal(name) + framed(question)).hex(),
        },
        "replies": [
            {"status": status.name.lower(), "body": body.hex(), "written": framed(bytes([status.value]) + body).hex()}
            for status, body in zip(ReplyStatus, (b"\x90", b"too many requests", b"malformed", b""), strict=True)
        ],
    }


def hello() -> Document:
    peer, head = str(_peer_id()), _blocks()[-1]
    credential = sign_credential(secret(1), GENESIS.id, peer)
    observer = Status(GENESIS.id, 0, 0, 0)
    validator = Status(head.id, 6, 4, 3, 1_700_000_000_000, credential)
    addresses = [f"/ip4/203.0.113.7/tcp/4001/p2p/{peer}", f"/ip6/2001:db8::7/tcp/4001/p2p/{peer}"]
    return {
        "peer": {"seed": PEER_SEED.hex(), "peer_id": peer, "peer_id_bytes": _peer_id().to_bytes().hex()},
        "credential": {
            "key": credential.key.hex(),
            "message": (b"goodfaith/peer/1" + GENESIS.id + peer.encode()).hex(),
            "signature": credential.signature.hex(),
        },
        "observer": {
            "status": observer.encode().hex(),
            "hello": handshake.encode_hello([], observer.encode()).hex(),
        },
        "validator": {
            "addresses": addresses,
            "fields": {
                "head": head.id.hex(), "height": 6, "mhp": 4, "restart": validator.restart, "finalized": 3,
                "time_ms": validator.time_ms, "oldest_body": validator.oldest_body,
                "key": credential.key.hex(), "signature": credential.signature.hex(),
            },
            "status": validator.encode().hex(),
            "hello": handshake.encode_hello(addresses, validator.encode()).hex(),
        },
        "peers": {"addresses": addresses, "reply": handshake.encode_peers(addresses).hex()},
    }  # fmt: skip


def requests() -> Document:
    blocks = _blocks()
    tip, pair = blocks[-1].id, blocks[1:3]
    headings, whole = GetHeadings(tip, 2, 2), GetBlocks(tip, 2, 2, 500_000)
    ids = GetTransactions(tuple(item.id for item in _transactions()))
    return {
        "headings": {
            "tip": tip.hex(), "from_height": 2, "count": 2, "bytes": headings.max_bytes,
            "request": headings.encode().hex(),
            "reply": RawItems(tuple(heading_of(encode_block(block)) for block in pair)).encode().hex(),
        },
        "blocks": {
            "tip": tip.hex(), "from_height": 2, "count": 2, "bytes": whole.max_bytes,
            "request": whole.encode().hex(),
            "reply": RawItems(tuple(map(encode_block, pair))).encode().hex(),
        },
        "transactions": {
            "ids": [item.hex() for item in ids.transaction_ids],
            "request": ids.encode().hex(),
            "reply": RawItems(tuple(item.raw for item in _transactions())).encode().hex(),
        },
        "proof": {"key": MEMBER.key.hex(), "height": 3, "reply": prove(GENESIS, _block_3(), MEMBER.key).hex()},
    }  # fmt: skip


def gossip() -> Document:
    key = Ed25519PrivateKey.from_private_bytes(PEER_SEED)
    public = key.public_key().public_bytes_raw()
    block = _blocks()[0]
    announcement = Announcement(block.header.raw, block.ballot.raw, tuple(item.id for item in block.transactions))
    messages = {
        "blocks": announcement.encode(),
        "transactions": RawItems(tuple(item.raw for item in _transactions())).encode(),
    }
    made = {name: signed(key.sign, public, 7, PREFIX + name, data) for name, data in messages.items()}
    topic, ids = PREFIX + "blocks", tuple(message.id for message in made.values())
    control = {
        "subscribe": Rpc(subscriptions=(Subscription(topic),)),
        "graft": Rpc(graft=(topic,)),
        "prune": Rpc(prune=(Prune(topic, 60),)),
        "ihave": Rpc(ihave=(IHave(topic, ids),)),
        "iwant": Rpc(iwant=ids),
    }
    return {
        "messages": [_gossiped(message) for message in made.values()],
        "control": [{"what": name, "rpc": encode_rpc(rpc).hex()} for name, rpc in control.items()],
    }


def relay() -> Document:
    items = _forge().attestations(_blocks()[0])
    return {
        "attestations": [
            {
                "id": each.id.hex(), "speaker": each.speaker.hex(), "tip": each.tip.hex(), "height": each.height,
                "mhg": each.mhg, "mhp": each.mhp, "raw": each.raw.hex(),
            }
            for each in items
        ],
        "frame": RawItems(tuple(each.raw for each in items)).encode().hex(),
    }  # fmt: skip


def refusals() -> Document:
    made = [
        Refusal(Why.NETWORK, 0, f"this node speaks {PREFIX}"),
        Refusal(Why.BANNED, 300, "you sent gossip too fast"),
        Refusal(Why.FULL),
    ]
    return {
        "protocol": FAREWELL,
        "codes": {each.name.lower(): each.value for each in Why},
        "refusals": [
            {
                "why": each.why.name.lower(), "seconds": each.seconds, "text": each.text,
                "refusal": each.encode().hex(), "written": each.on_the_wire.hex(),
            }
            for each in made
        ],
    }  # fmt: skip


def chain() -> Document:
    return {
        "genesis_state_root": _forge().root.state_root.hex(),
        "transactions": [
            {"actor": item.actor.hex(), "nonce": item.nonce, "id": item.id.hex(), "raw": item.raw.hex()}
            for item in _transactions()
        ],
        "blocks": [
            {
                "height": block.header.height, "slot": block.header.slot, "id": block.id.hex(),
                "proposer": block.header.proposer.hex(), "votes_root": block.header.votes_root.hex(),
                "transaction_root": block.header.transaction_root.hex(), "state_root": block.header.state_root.hex(),
                "mhp": block.header.mhp, "final_after_it": _forge().votes(block).finalized,
                "raw": encode_block(block).hex(),
            }
            for block in _blocks()
        ],
    }  # fmt: skip


def state() -> Document:
    entries = {b"key %d" % number: b"value %d" % number for number in range(40)}
    tree = StateTree.build(entries.items())
    asked = (b"key 0", b"key 39", b"absent")
    few = StateTree.build([(b"one", b"1")])
    return {
        "empty_root": StateTree().root.hex(),
        "entries": [{"key": key.hex(), "value": value.hex()} for key, value in entries.items()],
        "root": tree.root.hex(),
        "paths": [_path(tree, key, entries.get(key)) for key in asked] + [_path(few, b"one", b"1")],
    }


def changes() -> Document:
    """Two chains on which who votes changes: a validator is jailed and another taken in; signing states are lost."""
    city, lost = changing_city(20), _lost_states()
    sources = [_Final(city.genesis, city.blocks, height, city.state) for height in (_final_of(city.blocks), 12)]
    made = [(source, prove(city.genesis, source, city.bob.key)) for source in sources]
    return {
        "chains": [_counted(city.genesis, city.blocks), _counted(GENESIS, lost)],
        "proofs": [
            {
                "chain": 0, "key": city.bob.key.hex(), "height": source.header.height,
                "runs": len(decode(file, max_bytes=len(file), max_items=10_000)[4]), "is_member": False,
                "file": file.hex(),
            }
            for source, file in made
        ],
    }  # fmt: skip


_SUBJECTS = (encoding, network, frames, hello, requests, gossip, relay, refusals, chain, state, changes)
FILES: dict[str, Callable[[], str]] = {
    "genesis": GENESIS.to_json,
    **{subject.__name__: partial(lambda made: json.dumps(made(), indent=1) + "\n", subject) for subject in _SUBJECTS},
}
"""What each file holds, by its name without ``.json``."""


def framed(payload: bytes) -> bytes:
    return encode_uvarint(len(payload)) + payload


class _Final:
    """The state after a block, which those after it make final.  See :class:`chain.documents.prover.ProofSource`."""

    def __init__(
        self, genesis: Genesis, blocks: Sequence[Block], height: int, state: Callable[[Block], dict[bytes, bytes]]
    ) -> None:
        self._genesis = genesis
        self._blocks = blocks
        self._block = blocks[height - 1]
        self._state = state(self._block)
        self._tree = StateTree.build(self._state.items())

    @property
    def header(self) -> Header:
        return self._block.header

    def entry(self, key: bytes) -> Entry | None:
        value = self._state.get(key)
        return None if value is None else decode_entry(key, value)

    def path(self, key: bytes) -> Proof:
        return self._tree.prove(key)

    def decisions(self) -> Sequence[int]:
        known = self._blocks[: self.header.height]
        return [block.header.height for block in known if block.ballot.changes_voters]

    def votings(self, first: int) -> Iterator[Voting]:
        return iter([(block.header, block.ballot) for block in self._blocks[first - 1 :]])


def _from_the_genesis(genesis: Genesis, blocks: Sequence[Block]) -> Iterator[Counted]:
    first = Electorate(1, validator_set(genesis.validators, genesis.batch))
    return follow(genesis, first, [(block.header, block.ballot) for block in blocks])


def _final_of(blocks: Sequence[Block]) -> int:
    *_, last = _from_the_genesis(changing_city(0).genesis, blocks)
    return last.votes.finalized


def _counted(genesis: Genesis, blocks: Sequence[Block]) -> Document:
    return {
        "genesis": json.loads(genesis.to_json()),
        "chain_id": genesis.id.hex(),
        "headings": [
            {
                "height": block.header.height,
                "heading": heading_of(encode_block(block)).hex(),
                "after_it": _after_it(counted.votes),
            }
            for block, counted in zip(blocks, _from_the_genesis(genesis, blocks), strict=True)
        ],
    }


def _after_it(votes: Votes) -> Document:
    electorate, phase = votes.electorate, votes.electorate.phase
    kind = "joint" if isinstance(phase, Joint) else "gate"
    return {
        "mhp": votes.mhp,
        "final": votes.finalized,
        "start": electorate.start,
        "voting": _weights(electorate.current),
        "phase": None if phase is None else [kind, phase.since, _weights(phase.following)],
        "barred": [key.hex() for key in electorate.barred],
        "tags": sorted([tag.key.hex(), tag.tag.hex(), tag.height] for tag in electorate.tags),
    }


def _weights(decides: ValidatorSet) -> list[Any]:
    return [[key.hex(), weight] for key, weight in decides.weights]


def _lost_states() -> list[Block]:
    """A validator draws a new tag and speaks again once that is final; then people let the chain go on from its tip."""
    forge = Forge(GENESIS)
    blocks = [forge.block()]
    while len(blocks) < 12:
        decision = Decision(tags=((secret(4).public, bytes(range(16))),)) if len(blocks) == 3 else NOTHING_DECIDED
        is_silent = 3 < len(blocks) < 9
        said = forge.attestations(blocks[-1], by=range(3 if is_silent else 4))
        slot = blocks[-1].header.slot + 1
        slot += is_silent and forge.signer(slot, blocks[-1]).public == secret(4).public
        blocks.append(forge.block(blocks[-1], slot=slot, carrying=said, decision=decision))
    restart = Restart(blocks[-1].id, len(blocks), bytes(range(16, 32)))
    for number in (1, 2, 3):
        restart = restart.signed(secret(number), GENESIS.id)
    blocks.append(forge.block(blocks[-1], restart=restart))
    for _ in range(4):
        blocks.append(forge.block(blocks[-1], carrying=forge.attestations(blocks[-1])))
    return blocks


@cache
def _peer_id() -> ID:
    return ID.from_pubkey(create_new_key_pair(PEER_SEED).public_key)


@cache
def _forge() -> Forge:
    return Forge(GENESIS)


@cache
def _transactions() -> tuple[VerifiedTransaction, ...]:
    return (MEMBER.sign(Enrol()), OTHER.sign(Enrol()), MEMBER.sign(Rate(OTHER.key, 1, 5)))


@cache
def _blocks() -> tuple[Block, ...]:
    """Six blocks that all validators attest; the first holds the transactions."""
    first = _forge().block(None, _transactions())
    blocks = [first]
    for _ in range(5):
        blocks.append(_forge().block(blocks[-1], carrying=_forge().attestations(blocks[-1])))
    return tuple(blocks)


def _block_3() -> _Final:
    return _Final(GENESIS, _blocks(), 3, _forge().state)


def _gossiped(message: Message) -> Document:
    return {
        "topic": message.topic,
        "data": message.data.hex(),
        "from": message.author.hex(),
        "seqno": message.seqno.hex(),
        "signed": signed_part(message).hex(),
        "signature": message.signature.hex(),
        "key": message.key.hex(),
        "id": message.id.hex(),
        "rpc": encode_rpc(Rpc(messages=(message,))).hex(),
    }


def _path(tree: StateTree, key: bytes, value: bytes | None) -> Document:
    return {
        "root": tree.root.hex(),
        "key": key.hex(),
        "value": None if value is None else value.hex(),
        "path": tree.prove(key).encode().hex(),
    }


def main() -> None:
    """Write all of them."""
    for name, text in FILES.items():
        (FOLDER / f"{name}.json").write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
