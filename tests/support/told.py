"""What a node tells the explorer of a city, as the answers of its HTTP API; and how it could lie in them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

from chain.base.codec import decode, encode
from chain.base.keys import did_from_key
from chain.content.actions import Enrol
from chain.content.blocks import Block, encode_block
from chain.content.genesis import load_genesis
from chain.disk.database import DATABASE
from chain.disk.reader import Reader
from chain.documents import institutions, people
from chain.documents.proof import MAX_FILE_BYTES, MAX_ITEMS
from chain.documents.words import time_of
from chain.register.entries import Member
from chain.register.statekeys import member_key
from chain.register.view import StateView
from tests.support.proving import proof_of
from tests.support.registered import City, lively_city
from tests.support.world import Actor, secret

Answers: TypeAlias = dict[str, Any]
"""By path; bytes as ``{"bytes": hex}``; of the list under ``/headers`` whoever serves it cuts out what is asked for."""
_SIGNATURE_BYTES = 64
_STATE_ROOT = 10


def told(city: City, folder: Path, *subjects: Actor) -> Answers:
    """What an honest node answers about a city and some of its members."""
    home = city.write(folder)
    final = city.votes(city.blocks[-1]).finalized
    answers: Answers = {
        "/genesis": json.loads(city.genesis.to_json()),
        "/status": _status(city, final),
        "/head": {"network": city.genesis.name, "genesis": city.genesis.id.hex()},
        "/headers": [heading_of(block) for block in city.blocks],
    }
    answers |= _chain(city, final)
    for key in (secret(1).public, *(actor.key for actor in subjects)):
        answers[f"/proof/{key.hex()}"] = {"bytes": proof_of(home, key).hex()}
    reader = Reader(home / DATABASE, load_genesis(home / "genesis.json"))
    try:
        with reader.consistent():
            view = reader.view()
            answers["/policy"] = institutions.policy_document(view)
            answers["/authorities"] = institutions.authorities_document(view)
            answers["/motions"] = institutions.motions_document(view)
            for actor in subjects:
                answers |= _member(view, actor)
            members = [people.member_document(view, identity, member) for identity, member in people.members(view)]
            answers["/top"] = {**people.as_of(view), "members": members}
    finally:
        reader.close()
    return answers


def _status(city: City, final: int) -> Answers:
    blocks = city.blocks
    return {
        "network": city.genesis.name,
        "chain_id": city.genesis.id.hex(),
        "version": "1.0",
        "protocol": 4,
        "did": city.did(city.validators[0]),
        "peer_id": "12D3KooWone",
        "validator": True,
        "silent": False,
        "stalled": None,
        "slot": blocks[-1].header.slot,
        "slot_ms": city.genesis.slot_ms,
        "genesis_time_ms": city.genesis.genesis_time_ms,
        "mempool": 0,
        "peers": 0,
        "syncing": False,
        "reorgs": 0,
        "faults": 0,
        "transactions": sum(len(block.transactions) for block in blocks),
        "height": blocks[-1].header.height,
        "head_id": blocks[-1].id.hex(),
        "finalized_height": final,
        "finalized_id": blocks[final - 1].id.hex(),
    }


def _chain(city: City, final: int) -> Answers:
    """What the page shows of the blocks, the validators and the network."""
    rows = [_block(city, block, final) for block in city.blocks]
    validators = [
        {
            "validator": city.did(actor),
            "weight": 1,
            "status": "active",
            "blocks": 12,
            "share_permille": 240,
            "votes": 12,
        }
        for actor in city.validators
    ]
    about = {"as_of_height": rows[-1]["height"], "final": False, "finalized_height": final}
    top = [{**row, "status": "main", "leader": row["proposer"]} for row in rows[final - 1 :]]
    return {
        **{f"/blocks/{row['height']}": {**about, **row, "transactions": [], "ballot": {}} for row in rows},
        **{f"/blocks/{row['id']}": {**about, **row, "transactions": [], "ballot": {}} for row in rows},
        "/blocks": {**about, "blocks": rows},
        "/tree": {**about, "finalized_id": rows[final - 1]["id"], "head_id": rows[-1]["id"], "blocks": top},
        "/validators": {**about, "validators": validators},
        "/peers": {"peers": [], "banned": {}},
        "/mempool": {**about, "waiting": 0, "ready": 0, "bytes": 0, "max_bytes": 1, "transactions": []},
    }


def _block(city: City, block: Block, final: int) -> Answers:
    header = block.header
    numbers = ("height", "slot", "mhg", "mhp")
    roots = ("parent", "votes_root", "transaction_root", "state_root")
    return {
        "id": block.id.hex(),
        **{name: getattr(header, name) for name in numbers},
        **{name: getattr(header, name).hex() for name in roots},
        "time": time_of(city.genesis, header.slot),
        "proposer": did_from_key(header.proposer),
        "transaction_count": len(block.transactions),
        "main": True,
        "final": header.height <= final,
    }


def heading_of(block: Block) -> Answers:
    """A header and its ballot, as ``/headers`` lists them."""
    header, ballot, _ = decode(encode_block(block), max_bytes=1_000_000, max_items=100_000)
    return {"height": block.header.height, "id": block.id.hex(), "header": header.hex(), "ballot": ballot.hex()}


def _member(view: StateView, actor: Actor) -> Answers:
    identity = view.identity(actor.key)
    member = view.get(member_key(identity))
    assert isinstance(member, Member)
    document = {**people.as_of(view), **people.member_document(view, identity, member)}
    lines = people.explanation(view, identity, member)
    about = people.records_document(view, actor.key)["records"]
    path = f"/members/{did_from_key(actor.key)}"
    return {
        path: {**document, "records_about": about, "received": []},
        f"{path}/explanation": {
            **document,
            "lines": lines,
            "ratings_left_out": 0,
            "sum": sum(line["points"] for line in lines),
        },
    }


# ------------------------------------------------------------------------------------------------------- lies


class Teller:
    """A lively city, what an honest node tells of it and of ``ann``, and the lies that another could tell."""

    def __init__(self, folder: Path) -> None:
        self.city = lively_city()
        self.honest = told(self.city, folder, self.city.ann, self.city.bob, self.city.eve)
        self.member = self.city.did(self.city.ann)
        self._path = f"/members/{self.member}"
        self._proof = f"/proof/{self.city.ann.key.hex()}"

    def lies(self) -> dict[str, tuple[Answers, str]]:
        """By name: what a lying node answers, and with which word what is found wrong begins."""
        return {
            "wrong root": (self._headers(self._other_root), "headers"),
            "wrong signature": (self._headers(self._other_signature), "headers"),
            "forged finality": (self._forged_finality(), "finality"),
            "wrong leader": (self._headers(self._other_leader), "headers"),
            "altered member": (self._proven(self._other_entry), "member"),
            "wrong path": (self._proven(self._other_path), "member"),
            "proof of another key": (self._of_bob(), "member"),
            "missing votes": (self._proven(self._fewer_headers), "member"),
            "changed genesis": (self._told("/genesis", name="village"), "genesis"),
            "altered score": (self._told(f"{self._path}/explanation", score=1_111), "member"),
            "hidden line": (self._without_a_line(), "member"),
        }

    def other_node(self, folder: Path) -> Answers:
        """What a node answers that calls another chain final."""
        other = City()
        other.block(other.ann.sign(Enrol()))
        for _ in range(self.city.height - 1):
            other.block()
        return told(other, folder, other.ann)

    def _told(self, path: str, **fields: Any) -> Answers:
        answers = copy.deepcopy(self.honest)
        answers[path] |= fields
        return answers

    def _forged_finality(self) -> Answers:
        head = self.city.blocks[-1]
        return self._told("/status", finalized_height=head.header.height, finalized_id=head.id.hex())

    def _without_a_line(self) -> Answers:
        answers = copy.deepcopy(self.honest)
        del answers[f"{self._path}/explanation"]["lines"][1]
        return answers

    def _headers(self, change: Callable[[Block], Answers]) -> Answers:
        """Another header at the head, in the place of the last one."""
        return {**self.honest, "/headers": [*self.honest["/headers"][:-1], change(self.city.blocks[-1])]}

    @staticmethod
    def _other_root(block: Block) -> Answers:
        raw = block.header.raw
        fields = list(decode(raw[:-_SIGNATURE_BYTES], max_bytes=1_000, max_items=100))
        fields[_STATE_ROOT] = bytes(32)
        return _as_header(block, encode(fields) + raw[-_SIGNATURE_BYTES:])

    @staticmethod
    def _other_signature(block: Block) -> Answers:
        raw = bytearray(block.header.raw)
        raw[-_SIGNATURE_BYTES] ^= 1
        return _as_header(block, bytes(raw))

    def _other_leader(self, block: Block) -> Answers:
        """Signed well, and not by whose slot it is."""
        leader = self.city.validators.index(next(a for a in self.city.validators if a.key == block.header.proposer))
        usurper = self.city.validators[(leader + 1) % len(self.city.validators)].secret
        return heading_of(self.city.stray(self.city.blocks[-2], signer=usurper, slot=block.header.slot))

    def _proven(self, change: Callable[[list[Any]], None]) -> Answers:
        fields = _mutable(
            decode(bytes.fromhex(self.honest[self._proof]["bytes"]), max_bytes=MAX_FILE_BYTES, max_items=MAX_ITEMS)
        )
        change(fields)
        return {**self.honest, self._proof: {"bytes": encode(fields).hex()}}

    def _other_entry(self, fields: list[Any]) -> None:
        entry = next(entry for entry in fields[5] if entry[0][:1] == b"m")
        member = list(decode(entry[2], max_bytes=10_000, max_items=1_000))
        member[4] += 100
        entry[2] = encode(member)

    @staticmethod
    def _other_path(fields: list[Any]) -> None:
        entry = next(entry for entry in fields[5] if entry[0][:1] == b"m")
        count, bucket, siblings = _mutable(decode(entry[3], max_bytes=100_000, max_items=1_000))
        if siblings:
            siblings[0] = bytes(32)
        else:
            bucket = bucket[:-1] + bytes([bucket[-1] ^ 1])
        entry[3] = encode([count, bucket, siblings])

    @staticmethod
    def _fewer_headers(fields: list[Any]) -> None:
        run = fields[4][-1]
        run[0], run[1] = run[0][:-1], run[1][:-1]

    def _of_bob(self) -> Answers:
        return {**self.honest, self._proof: self.honest[f"/proof/{self.city.bob.key.hex()}"]}


def _as_header(block: Block, raw: bytes) -> Answers:
    return {**heading_of(block), "id": sha256(raw).hexdigest(), "header": raw.hex()}


def _mutable(value: Any) -> Any:
    return [_mutable(item) for item in value] if isinstance(value, tuple) else value
