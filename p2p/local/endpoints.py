"""What the HTTP API answers: every path with its parameters, the shape of its answer and who gives it, in one table.

The routes (:mod:`p2p.local.http`), their description (:mod:`p2p.local.openapi`) and ``inspect_chain.py`` follow from
it: what it asks a home at rest is what a node asks of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote, urlencode

from chain.disk import answers, enquiries
from chain.documents import chainshapes, nodeshapes, registershapes
from chain.documents.institutions import arbiters_document, authorities_document, motions_document, policy_document
from chain.documents.people import MAX_SHOWN, records_document
from chain.register.entries import STATUS_NAMES
from p2p.local.parameters import (
    ID_DIGITS,
    KEY_PATTERN,
    MAX_NUMBER,
    Parameter,
    choice,
    flag,
    limit,
    number,
    read_did,
    read_id,
    read_key,
    text,
)

MAX_SUBMISSION = 512
"""Transactions that are offered at once."""

MAX_TRIAL = 16
"""A trial runs in the node's own turn: a person's transaction, and what it builds on."""

_BYTES = "application/octet-stream"


class Source(Enum):
    """Who answers: the database through a view of it, the state at the head, or the running node itself."""

    DISK = "disk"
    STATE = "state"
    NODE = "node"


@dataclass(frozen=True)
class Endpoint:
    """A path that is asked with ``GET``.

    ``ask`` gets a :class:`~chain.disk.inspection.View`, a :class:`~chain.register.view.StateView` or the face, as
    ``source`` says, and the parameters.  What ``is_costly`` is limited, and from other machines needs the token.
    """

    path: str
    what: str
    shape: type | str
    source: Source
    ask: Callable[..., Any]
    parameters: tuple[Parameter, ...] = ()
    is_costly: bool = False

    def url(self, **arguments: Any) -> str:
        """The path and query for these arguments; those that are None are left out."""
        path, query = self.path, {}
        for each in self.parameters:
            value = arguments.get(each.keyword)
            if f"{{{each.name}}}" in path:
                path = path.replace(f"{{{each.name}}}", quote(str(value), safe=":"))
            elif value is not None and value is not False:
                query[each.name] = "true" if value is True else str(value)
        return f"{path}?{urlencode(query)}" if query else path


# ------------------------------------------------------------------------------------------------ what is asked for

_KEY_SCHEMA = {"type": "string", "pattern": KEY_PATTERN}
_KEY = Parameter("key", "A did:key, or the key in hexadecimal.", read_key, _KEY_SCHEMA)
_WHO = Parameter("key", _KEY.what, read_did, _KEY_SCHEMA, None, "who")
_MEMBER = Parameter("member", "About this member.", read_did, _KEY_SCHEMA)
_ISSUER = Parameter("issuer", "Filed by this authority.", read_did, _KEY_SCHEMA)
_AFTER_MEMBER = Parameter("after", "The `next` of an answer.", read_did, _KEY_SCHEMA)
_AFTER = text("after", "The `next` of an answer.", "^[0-9a-f]{64}-[0-9]{1,9}$")
_FROM = number("from", "The first height; the newest blocks where there is none.", 0, MAX_NUMBER, None, "from_height")
_WHICH = text("which", "A height, or an id or the beginning of it.", "^([0-9]{1,11}|[0-9a-fA-F]{4,64})$")
_GIVEN = flag("given", "Also the ratings that the member gave.")
_RECORD = number("record", "Only this record.", 0, 2**32 - 1)
_TRANSACTION = Parameter(
    "id", "A transaction's id.", read_id, {"type": "string", "pattern": f"^[0-9a-fA-F]{{{ID_DIGITS}}}$"}
)
_DISK, _STATE, _NODE = Source.DISK, Source.STATE, Source.NODE


def _of_state(ask: Callable[..., Any]) -> Callable[..., Any]:
    """A question about a state, asked of that on disk."""
    return lambda view, **arguments: ask(view.state, **arguments)


def _of_node(name: str) -> Callable[..., Any]:
    """A method of the face."""
    return lambda face, **arguments: getattr(face, name)(**arguments)


# ------------------------------------------------------------------------------------------------------ the table

HEAD = Endpoint("/head", "The newest block, and how far the chain is final.", chainshapes.Head, _DISK, answers.head)
BLOCKS = Endpoint(
    "/blocks",
    "Blocks of the main chain, oldest first.",
    chainshapes.Blocks,
    _DISK,
    answers.blocks,
    (_FROM, limit(500, 20)),
)
BLOCK = Endpoint(
    "/blocks/{which}", "A block with what it carries.", chainshapes.OneBlock, _DISK, answers.block, (_WHICH,)
)
FORKS = Endpoint(
    "/forks", "Stored branches beside the main chain.", chainshapes.Forks, _DISK, answers.forks, (limit(100, 20),)
)
FINALITY = Endpoint(
    "/finality",
    "How the newest blocks become final, vote by vote.",
    chainshapes.Finality,
    _NODE,
    _of_node("describe_finality"),
    (limit(768, 32),),
)
VALIDATORS = Endpoint("/validators", "Who makes blocks.", chainshapes.Validators, _DISK, answers.validators)
TOP = Endpoint(
    "/top", "The members with the highest scores.", registershapes.Top, _DISK, enquiries.top, (limit(500, 20),)
)
MEMBERS = Endpoint(
    "/members",
    "All members by their first keys.",
    registershapes.Members,
    _DISK,
    enquiries.all_members,
    (_AFTER_MEMBER, limit(500, 100)),
)
MEMBER = Endpoint(
    "/members/{key}",
    "A member: score, rank, records and ratings.",
    registershapes.OneMember,
    _DISK,
    enquiries.member,
    (_WHO, _GIVEN, limit(2_000, 500)),
)
EXPLANATION = Endpoint(
    "/members/{key}/explanation",
    "Every point of a member's score, and where it comes from; ratings beyond the limit have one line for all of them.",
    registershapes.Explanation,
    _DISK,
    enquiries.explained,
    (_WHO, _GIVEN, limit(2_000, 500)),
)
HISTORY = Endpoint(
    "/members/{key}/history",
    "What happened to a member; the chain is executed again, once for all who ask.",
    registershapes.History,
    _DISK,
    enquiries.history,
    (_WHO, _RECORD),
    is_costly=True,
)
LISTS = Endpoint(
    "/lists",
    "Who stands in which tier, the highest first.",
    registershapes.Lists,
    _DISK,
    enquiries.lists,
    (text("tier", "Only this tier."), limit(500, 100), number("offset", "How many to skip.", 0, MAX_NUMBER, 0)),
    is_costly=True,
)
TIERS = Endpoint(
    "/tiers", "How many members stand in which tier.", registershapes.Tiers, _DISK, enquiries.tiers, is_costly=True
)
RECORDS = Endpoint(
    "/records",
    "Records that stand or are suspended.",
    registershapes.Records,
    _DISK,
    enquiries.records,
    (
        _MEMBER,
        _ISSUER,
        text("category", "In this category, by its code or name."),
        choice("status", "With this status.", STATUS_NAMES),
        _AFTER,
        limit(500, 50),
    ),
    is_costly=True,
)
OBJECTIONS = Endpoint(
    "/objections",
    "Open objections, and who has to act until when.",
    registershapes.Objections,
    _DISK,
    enquiries.objections,
    (limit(500, 100),),
    is_costly=True,
)
AUTHORITIES = Endpoint(
    "/authorities",
    "Accredited institutions, and how their records held.",
    registershapes.Authorities,
    _DISK,
    _of_state(authorities_document),
)
ARBITERS = Endpoint(
    "/arbiters",
    "Who may be drawn to rule, and how they ruled.",
    registershapes.Arbiters,
    _DISK,
    _of_state(arbiters_document),
)
MOTIONS = Endpoint(
    "/motions",
    "Motions, the newest first.",
    registershapes.Motions,
    _STATE,
    motions_document,
    (limit(MAX_SHOWN, MAX_SHOWN), flag("open", "Only those that can still be approved.", "only_open")),
)
TRANSACTION = Endpoint(
    "/transactions/{id}",
    "Where a transaction is; in a block, with its audit path.",
    chainshapes.OneTransaction,
    _NODE,
    _of_node("find_transaction"),
    (_TRANSACTION._replace(argument="transaction_id"),),
)
POLICY = Endpoint(
    "/policy", "The policy in force, and the announced one.", registershapes.Policy, _STATE, policy_document
)

ENDPOINTS = (
    Endpoint("/status", "Where the node stands.", nodeshapes.Status, _NODE, _of_node("describe")),
    Endpoint(
        "/health",
        "Whether the node does what it is for: 200 where it does, 503 where not.",
        nodeshapes.Health,
        _NODE,
        _of_node("describe_health"),
    ),
    HEAD,
    BLOCKS,
    BLOCK,
    Endpoint("/blocks/{which}/raw", "A block as it travels.", _BYTES, _DISK, answers.raw_block, (_WHICH,)),
    Endpoint(
        "/headers",
        "Headers and ballots as they were signed, oldest first: all that it takes to count votes.",
        chainshapes.RawHeaders,
        _DISK,
        answers.headers,
        (_FROM, limit(200, 50)),
    ),
    Endpoint(
        "/heads",
        "The last head moves, oldest first.",
        nodeshapes.Heads,
        _NODE,
        _of_node("recent_heads"),
        (number("after", "Only those with a greater `seq`.", 0, MAX_NUMBER, 0),),
    ),
    Endpoint(
        "/tree",
        "Every known block from the final one up.",
        chainshapes.Tree,
        _NODE,
        _of_node("describe_tree"),
        (limit(2_000, 500),),
    ),
    FORKS,
    FINALITY,
    Endpoint(
        "/attestations",
        "What was heard and no block carries yet, as it was signed.",
        chainshapes.Attestations,
        _NODE,
        _of_node("describe_attestations"),
        (limit(1_000, 200),),
    ),
    VALIDATORS,
    TRANSACTION,
    Endpoint(
        "/mempool",
        "What waits for a block.",
        nodeshapes.Mempool,
        _NODE,
        _of_node("describe_mempool"),
        (limit(500, 50),),
    ),
    Endpoint("/peers", "Who is connected, and who is kept out.", nodeshapes.Peers, _NODE, _of_node("describe_peers")),
    Endpoint("/evidence", "Who contradicted itself.", nodeshapes.Evidence, _NODE, _of_node("describe_evidence")),
    Endpoint(
        "/account/{key}",
        "What a signer has to know of a key.",
        nodeshapes.Account,
        _NODE,
        _of_node("describe_account"),
        (_KEY,),
    ),
    TOP,
    MEMBERS,
    MEMBER,
    EXPLANATION,
    HISTORY,
    Endpoint(
        "/members/{key}/proof",
        "A file that shows offline where a member stands.",
        _BYTES,
        _NODE,
        _of_node("prove"),
        (_KEY,),
        is_costly=True,
    ),
    Endpoint("/proof/{key}", "The same.", _BYTES, _NODE, _of_node("prove"), (_KEY,), is_costly=True),
    LISTS,
    TIERS,
    RECORDS,
    Endpoint(
        "/records/{key}",
        "The newest records about a member, as of the head.",
        registershapes.Records,
        _STATE,
        records_document,
        (_KEY,),
    ),
    OBJECTIONS,
    AUTHORITIES,
    ARBITERS,
    MOTIONS,
    POLICY,
    Endpoint(
        "/names", "What this machine calls the owners of keys.", nodeshapes.Names, _NODE, _of_node("describe_names")
    ),
)
