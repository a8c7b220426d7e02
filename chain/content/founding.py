"""What organisations sign before there is a genesis: a plan, and each one's consent to be a validator under it.

A plan is a genesis without validators.  Each organisation signs its digest, with what it adds itself::

    digest    = H("goodfaith/plan/1" || [1, name, [numbers], digest of the policy])
    signature = Ed25519(key, "goodfaith/founding/1" || digest || [organisation, weight, address])

The validators follow from the entries, in the order of their keys: whoever puts them together makes the same genesis.
Its id commits to the keys, and each key to its name and address, which are no part of the id: an address may change.
Source: protocol 1.7.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import combinations
from typing import Any, Final, NamedTuple, TypeGuard

from chain.base.codec import encode
from chain.base.errors import OperatorError
from chain.base.keys import SIGNATURE_BYTES, SecretKey, did_from_key, key_from_did, verify
from chain.content.policy import Policy
from chain.content.policyfile import read_policy
from chain.content.proposals import MAX_WEIGHT
from chain.content.tables import Table

PLAN_FORMAT: Final = "goodfaith plan"
ENTRY_FORMAT: Final = "goodfaith entry"
VERSION: Final = 1
MAX_FOUNDERS: Final = 101
MAX_NAME_CHARACTERS: Final = 64
USUAL_HEARTBEAT_SLOTS: Final = 60
USUAL_EXPIRY_BLOCKS: Final = 100_000

# name -> (lowest, highest) allowed value of each number of a plan.
RANGES: Final = {
    "genesis_time_ms": (0, 2**53),
    "slot_ms": (50, 3_600_000),
    "heartbeat_slots": (1, 1_000_000),
    "max_expiry_blocks": (1, 100_000_000),
    "tolerates": (0, MAX_FOUNDERS // 3),
    "max_weight": (1, MAX_WEIGHT),
}
_ENTRY_FIELDS: Final = ("organisation", "did", "weight", "address", "signature")
# Of what kind an address is, the network knows; here it is told apart from others.
_ADDRESS: Final = re.compile("(?P<where>/[!-~]{1,180})/p2p/(?P<peer>[1-9A-HJ-NP-Za-km-z]{1,64})")
_SIGNATURE: Final = re.compile(f"[0-9a-f]{{{2 * SIGNATURE_BYTES}}}")


@dataclass(frozen=True)
class Plan:
    """What is agreed before anybody signs.

    So many organisations as ``tolerates`` may fail at once without stopping the network; an entry may claim a weight
    from 1 to ``max_weight``.  The rest is as in a :class:`~chain.content.genesis.Genesis`.
    """

    name: str
    genesis_time_ms: int
    slot_ms: int
    heartbeat_slots: int
    max_expiry_blocks: int
    tolerates: int
    max_weight: int
    policy: Policy

    @cached_property
    def digest(self) -> bytes:
        """32 bytes: what every organisation signs."""
        numbers = tuple(getattr(self, name) for name in RANGES)
        return sha256(
            b"goodfaith/plan/1" + encode((VERSION, self.name.encode(), numbers, self.policy.digest()))
        ).digest()

    def to_document(self) -> dict[str, Any]:
        """The plan for JSON; :func:`read_plan` reads it back."""
        numbers = {name: getattr(self, name) for name in RANGES}
        return {
            "format": PLAN_FORMAT,
            "version": VERSION,
            "name": self.name,
            **numbers,
            "policy": self.policy.to_document(),
        }


class Entry(NamedTuple):
    """An organisation, whose validator has this key and weight and is found at ``address``, and its consent.

    The address is a multiaddr that ends in ``/p2p/<peer id>``.
    """

    organisation: str
    key: bytes
    weight: int
    address: str
    signature: bytes

    def to_document(self) -> dict[str, Any]:
        """The entry for JSON; :func:`read_entry` reads it back."""
        return {
            "organisation": self.organisation,
            "did": did_from_key(self.key),
            "weight": self.weight,
            "address": self.address,
            "signature": self.signature.hex(),
        }


@dataclass(frozen=True)
class Founding:
    """How a genesis came about: what of the plan is not in it, and the entries in the order of their keys."""

    tolerates: int
    max_weight: int
    entries: tuple[Entry, ...]

    def to_document(self) -> dict[str, Any]:
        """The founding for JSON; :func:`read_founding` reads it back."""
        entries = [entry.to_document() for entry in self.entries]
        return {"tolerates": self.tolerates, "max_weight": self.max_weight, "entries": entries}


# ---------------------------------------------------------------------------------------------------- signing


def sign_entry(plan: Plan, secret: SecretKey, organisation: str, address: str, weight: int = 1) -> Entry:
    """Consent to be a validator under ``plan``."""
    unsigned = Entry(organisation, secret.public, weight, address, b"")
    return unsigned._replace(signature=secret.sign(_message(plan, unsigned)))


def _message(plan: Plan, entry: Entry) -> bytes:
    added = (entry.organisation.encode(), entry.weight, entry.address.encode())
    return b"goodfaith/founding/1" + plan.digest + encode(added)


# ------------------------------------------------------------------------------------------- putting together


def founders(plan: Plan, entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries in the order of their keys, each once.

    Raises :class:`OperatorError` where one is wrong, or two do not go together.  Whether they are enough is another
    question, see :func:`lacking`.
    """
    ordered = tuple(sorted(set(entries), key=lambda entry: (entry.key, entry)))
    if fault := next(_faults(plan, ordered), ""):
        raise OperatorError(fault)
    return ordered


def lacking(plan: Plan, entries: Sequence[Entry]) -> str:
    """Why a network of these entries would not tolerate what the plan wants, and what to do; "" where it would.

    Those that fail must weigh less than a third together.
    """
    weights = sorted((entry.weight for entry in entries), reverse=True)
    failing, total, needed = sum(weights[: plan.tolerates]), sum(weights), 3 * plan.tolerates + 1
    if len(weights) < needed:
        return (
            f"the plan wants to go on while {plan.tolerates} of its founders fail, which takes {needed} entries, and "
            f"there are {len(weights)}; collect more, or agree on a plan that tolerates less"
        )
    if 3 * failing >= total:
        return (
            f"the plan wants to go on while {plan.tolerates} of its founders fail, and the heaviest weigh {failing} of "
            f"{total}, a third or more; collect more entries, or have the heaviest join with less weight"
        )
    return ""


def _faults(plan: Plan, entries: Sequence[Entry]) -> Iterator[str]:
    if len(entries) > MAX_FOUNDERS:
        yield f"there are {len(entries)} entries, and a network is founded by at most {MAX_FOUNDERS}; leave some out"
    for entry in entries:
        if not 1 <= entry.weight <= plan.max_weight:
            yield (
                f"{entry.organisation} claims the weight {entry.weight}, and the plan allows 1 to {plan.max_weight}; "
                "have it join again with another weight"
            )
        if not verify(entry.key, _message(plan, entry), entry.signature):
            yield (
                f"the entry of {entry.organisation} does not bear the signature of its key under this plan; have it "
                "join again, and send its entry as it is"
            )
    for one, two in combinations(entries, 2):
        yield from _clashes(one, two)


def _clashes(one: Entry, two: Entry) -> Iterator[str]:
    names = f"{one.organisation} and {two.organisation}"
    if one.key == two.key:
        yield (
            f"{names} have the same key, {did_from_key(one.key)}; leave one entry out, or have one of them join again "
            "from a home with a key of its own"
        )
    if one.organisation.casefold() == two.organisation.casefold():
        yield f"two organisations are called {one.organisation}; have one of them join again under another name"
    for part, what in (("where", "one address"), ("peer", "one machine")):
        if _part(one, part) == _part(two, part):
            yield f"{names} name {what}, {_part(one, part)}; have one of them join again with its own"


def _part(entry: Entry, name: str) -> str:
    found = _ADDRESS.fullmatch(entry.address)
    return "" if found is None else found[name] if name == "peer" else found[name].lower()


# ------------------------------------------------------------------------------------------------------ reading


def is_name(value: Any) -> TypeGuard[str]:
    """Whether a network may be called so."""
    return type(value) is str and 1 <= len(value) <= MAX_NAME_CHARACTERS and value.isprintable()


def read_plan(document: Any) -> Plan:
    """Read a parsed plan.  Raises :class:`~chain.content.tables.Mistake`, or :class:`OperatorError` for its policy."""
    table = Table(document, ("format", "version", "name", *RANGES, "policy"))
    name = document.get("name")
    if not is_name(name):
        raise table.mistake("name", f"must be a text of 1 to {MAX_NAME_CHARACTERS} characters")
    numbers = {field: table.integer(field, low, high) for field, (low, high) in RANGES.items()}
    return Plan(name=name, policy=read_policy(document.get("policy")), **numbers)


def read_entry(document: Any) -> Entry:
    """Read a parsed entry; :func:`founders` checks its signature.

    Raises :class:`~chain.content.tables.Mistake` or :class:`~chain.base.errors.Refused`.
    """
    table = Table(document, ("format", "version", "plan", *_ENTRY_FIELDS))
    address, signature = document.get("address"), document.get("signature")
    if type(address) is not str or not _ADDRESS.fullmatch(address):
        raise table.mistake("address", "must be like /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…")
    if type(signature) is not str or not _SIGNATURE.fullmatch(signature):
        raise table.mistake("signature", f"must be {2 * SIGNATURE_BYTES} hex digits")
    return Entry(
        table.text("organisation"),
        key_from_did(str(document.get("did"))),
        table.integer("weight", 1, MAX_WEIGHT),
        address,
        bytes.fromhex(signature),
    )


def read_founding(document: Any) -> Founding:
    """Read a parsed founding; :func:`founders` checks its signatures.

    Raises :class:`~chain.content.tables.Mistake` or :class:`~chain.base.errors.Refused`.
    """
    table = Table(document, ("tolerates", "max_weight", "entries"))
    table.rows("entries", _ENTRY_FIELDS, MAX_FOUNDERS)
    return Founding(
        table.integer("tolerates", *RANGES["tolerates"]),
        table.integer("max_weight", *RANGES["max_weight"]),
        tuple(read_entry(row) for row in document.get("entries", ())),
    )
