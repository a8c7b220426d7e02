"""A node's HTTP face, as a client asks it: every question with the shape of its answer, and who asks.

A :class:`Query` names a path and reads the answer; :class:`Client` asks one node and waits, :class:`AsyncClient`
asks any node from a task::

    with Client("http://127.0.0.1:4080") as node:
        height = node.ask(STATUS)["height"]
        node.ask(submit(raw))

Asking raises :class:`NodeAway`, and :class:`OperatorError` for an answer that this version cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

from chain.base.codec import encode
from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.content.genesis import Genesis, make_genesis
from chain.content.policy import Policy
from chain.content.policyfile import read_policy
from chain.documents import nodeshapes

# httpx takes longer to import than all that most commands do, so it is imported by what connects.
if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

# A node answers within milliseconds; one that checks signatures for others may take a moment.
ANSWER_TIMEOUT_S = 10.0
# It runs, but has too much to do to answer now.
_BUSY = frozenset({429, 500, 502, 503, 504})
_OK = 200
# What was asked for is not there, cannot be told from others, or is not for everybody.
_ASKED_WRONGLY = frozenset({400, 401, 403, 404})
_REASONS = {reason.code: reason for reason in Reason}


class NodeAway(OperatorError):
    """The node does not answer now; it may again."""


# --------------------------------------------------------------------------------------------- what nodes answer


NodeStatus: TypeAlias = nodeshapes.Status
PeerTable: TypeAlias = nodeshapes.Peers
Account: TypeAlias = nodeshapes.Account


class Found(NamedTuple):
    """Where a transaction is: ``waiting``, ``included``, ``final`` or ``unknown``; the block's height, if any."""

    state: str
    height: int | None


class HeadMove(NamedTuple):
    """A row of ``GET /heads``: at ``at_ms`` (Unix) this block of ``slot`` became the node's head."""

    seq: int
    id: str
    height: int
    slot: int
    transactions: int
    at_ms: int
    made_here: bool


# -------------------------------------------------------------------------------------------- what can be asked


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A request and how its answer is read.

    ``read`` gets the JSON object.  It raises :class:`KeyError`, :class:`TypeError` or :class:`ValueError` where
    that is not what this version expects, and :class:`Refused` where the node refuses what it was offered.
    """

    path: str
    read: Callable[[dict[str, Any]], T]
    body: bytes | None = None

    @property
    def method(self) -> str:
        """Whatever brings something is a ``POST``."""
        return "GET" if self.body is None else "POST"


def _shaped(shape: type[T]) -> Callable[[dict[str, Any]], T]:
    """What a node answers, as far as this version knows the shape."""
    names = shape.__annotations__
    return lambda document: cast(T, {name: document[name] for name in names})


def _found(document: dict[str, Any]) -> Found:
    return Found(document["state"], document["height"])


def _moves(document: dict[str, Any]) -> list[HeadMove]:
    return [HeadMove(*(row[name] for name in HeadMove._fields)) for row in document["heads"]]


def _with_rows(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda document: {**document, name: list(document[name])}


def _outcomes(document: dict[str, Any]) -> list[Refused | None]:
    rows = document["outcomes"]
    return [None if row is None else Refused(_REASONS[row["reason"]], row["detail"]) for row in rows]


def _one_outcome(document: dict[str, Any]) -> None:
    (refusal,) = _outcomes(document)
    if refusal is not None:
        raise refusal


def document(path: str) -> Query[dict[str, Any]]:
    """Whatever is at a path."""
    return Query(path, lambda found: found)


STATUS: Query[NodeStatus] = Query("/status", _shaped(NodeStatus))
GENESIS: Query[Genesis] = Query("/genesis", make_genesis)
"""The network's genesis, as the node has it."""
POLICY: Query[Policy] = Query("/policy", lambda document: read_policy(document["policy"]))
"""The policy in force."""
MOTIONS = Query("/motions", _with_rows("motions"))
"""A document whose ``motions`` are the newest first."""
PEERS: Query[PeerTable] = Query("/peers", _shaped(PeerTable))


def account(key: bytes) -> Query[Account]:
    """What the register knows of a key."""
    return Query(f"/account/{did_from_key(key)}", _shaped(nodeshapes.Account))


def records(key: bytes) -> Query[dict[str, Any]]:
    """A document whose ``records`` are those about a key's owner, newest first."""
    return Query(f"/records/{did_from_key(key)}", _with_rows("records"))


def heads(after: int = 0) -> Query[list[HeadMove]]:
    """The node's last head moves that have a greater ``seq``."""
    return Query(f"/heads?after={after}", _moves)


def transaction(transaction_id: bytes) -> Query[Found]:
    """Where a transaction is."""
    return Query(f"/transactions/{transaction_id.hex()}", _found)


def submit(raw: bytes) -> Query[None]:
    """Offer an encoded transaction; raises :class:`Refused`."""
    return Query("/transactions", _one_outcome, encode((raw,)))


def submit_all(raws: Iterable[bytes]) -> Query[list[Refused | None]]:
    """Offer encoded transactions; None for each that was taken."""
    return Query("/transactions", _outcomes, encode(tuple(raws)))


def try_out(raw: bytes) -> Query[None]:
    """What the next block would make of an encoded transaction; raises :class:`Refused`."""
    return Query("/trial", _one_outcome, encode((raw,)))


def try_all(raws: Iterable[bytes]) -> Query[list[Refused | None]]:
    """The same of several, each on top of those before it; None for each that the block would take."""
    return Query("/trial", _outcomes, encode(tuple(raws)))


# ------------------------------------------------------------------------------------------------------ who asks


class Client:
    """Asks one node, and waits for its answers.  ``transport`` takes the place of the network."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        import httpx

        self.url = url.rstrip("/")
        with _failures(self.url):
            self._client = httpx.Client(base_url=self.url, transport=transport, **_settings(self.url, ANSWER_TIMEOUT_S))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, question: Query[T]) -> T:
        """Ask one question."""
        with _failures(self.url):
            reply = self._client.request(question.method, question.path, **_content(question))
        return _read(self.url, question, reply)

    def take(self, path: str) -> bytes:
        """What is at a path that answers with bytes."""
        with _failures(self.url):
            reply = self._client.get(path)
        return reply.content if reply.status_code == _OK else _read(self.url, Query(path, lambda _: b""), reply)


class AsyncClient:
    """Asks any node from a task, an answer within ``timeout_s``; an async context manager.

    ``transport`` takes the place of the network.
    """

    def __init__(self, timeout_s: float = ANSWER_TIMEOUT_S, transport: httpx.AsyncBaseTransport | None = None) -> None:
        import httpx

        self._client = httpx.AsyncClient(transport=transport, **_settings("", timeout_s))

    async def __aenter__(self) -> AsyncClient:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def ask(self, url: str, question: Query[T]) -> T:
        """Ask the node at ``url`` one question."""
        with _failures(url):
            reply = await self._client.request(question.method, url + question.path, **_content(question))
        return _read(url, question, reply)

    async def cut_off(self, url: str, peer_ids: Collection[str]) -> None:
        """Keep the node at ``url`` from these peers, or from none any more; only nodes of a testnet allow that."""
        with _failures(url):
            if peer_ids:
                reply = await self._client.post(f"{url}/partition", json={"peer_ids": list(peer_ids)})
            else:
                reply = await self._client.delete(f"{url}/partition")
        _read(url, Query("/partition", lambda found: found), reply)


def _settings(url: str, timeout_s: float) -> dict[str, Any]:
    # Without trust_env: a proxy has no business between a client and its node.  On a machine of one's own nothing is
    # encrypted, and reading the certificates of the system would cost more than all questions.
    return {"timeout": timeout_s, "trust_env": False, "verify": url.startswith("https:")}


def _content(question: Query[Any]) -> dict[str, Any]:
    if question.body is None:
        return {}
    return {"content": question.body, "headers": {"content-type": "application/msgpack"}}


@contextmanager
def _failures(url: str) -> Iterator[None]:
    """The library's failures become ours."""
    import httpx

    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError) as error:
        raise OperatorError(f"{url!r} is not the URL of a node; write it like http://127.0.0.1:4080") from error
    except httpx.HTTPError as error:
        raise NodeAway(
            f"no node answers at {url}; start it with `python node.py run`, or name another with --node"
        ) from error


def _read(url: str, question: Query[T], reply: httpx.Response) -> T:
    if reply.status_code in _BUSY:
        raise NodeAway(f"the node at {url} is too busy to answer (status {reply.status_code}); try again")
    try:
        document = reply.json()
    except ValueError as error:
        raise _not_understood(url, question, f"status {reply.status_code}") from error
    if reply.status_code in _ASKED_WRONGLY and isinstance(document, dict) and "detail" in document:
        raise OperatorError(str(document["detail"]))
    if reply.status_code != _OK or not isinstance(document, dict):
        why = document.get("detail", "") if isinstance(document, dict) else ""
        raise _not_understood(url, question, f"status {reply.status_code} {why}".rstrip())
    try:
        return question.read(document)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(url, question, f"without what was expected ({error!r})") from error


def _not_understood(url: str, question: Query[Any], what: str) -> OperatorError:
    path = question.path.partition("?")[0]
    return OperatorError(f"{url} answers {question.method} {path} with {what}; name a node of this version")


# ------------------------------------------------------------------------------------------- the node of a home


NODE_JSON = "node.json"


class Announced(NamedTuple):
    """What a running node writes into its home's ``node.json``: who it is, and where it is reached."""

    pid: int
    http: str
    peer_id: str
    addresses: list[str]
    did: str


def announced(home: Path) -> Announced:
    """Where the running node of a home is reached.  Raises :class:`NodeAway` and :class:`OperatorError`."""
    try:
        facts = json.loads((home / NODE_JSON).read_text(encoding="utf-8"))
        return Announced(*(facts[name] for name in Announced._fields))
    except FileNotFoundError as error:
        if not home.is_dir():
            raise OperatorError(f"{home} does not exist; name a node's home with --home") from error
        start = f"start it with `python node.py run --home {quote(str(home))}`"
        raise NodeAway(f"no node of {home} runs; {start}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"{home / NODE_JSON} cannot be read; start the node again") from error
