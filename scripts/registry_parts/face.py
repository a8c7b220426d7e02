"""A node's HTTP face, as a client asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from chain.codec import encode
from chain.errors import OperatorError, Reason, Refused
from chain.genesis import Genesis, make_genesis
from chain.keys import did_from_key
from chain.policy import Policy, read_policy

# A node answers within milliseconds; one that checks signatures for others may take a moment.
ANSWER_TIMEOUT_S = 10.0
_REASONS = {reason.code: reason for reason in Reason}


class NodeAway(OperatorError):
    """The node does not answer now; it may again."""


@dataclass(frozen=True, slots=True)
class Account:
    """What ``GET /account/{key}`` says of a key; dids as texts."""

    nonce: int
    next_free: int
    identity: str | None
    successor: str | None
    member: bool
    authority: bool
    validator: bool
    slot: int
    height: int
    policy_version: int


@dataclass(frozen=True, slots=True)
class Found:
    """Where a transaction is: ``waiting``, ``included``, ``final`` or ``unknown``; the block's height, if any."""

    state: str
    height: int | None


class NodeFace:
    """Asks one node.  Everything raises :class:`NodeAway`, or :class:`OperatorError` for an answer it cannot read."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        try:
            # Without trust_env: a proxy has no business between a client and its node.
            self._client = httpx.Client(
                base_url=self.url, timeout=ANSWER_TIMEOUT_S, trust_env=False, transport=transport
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise OperatorError(f"--node {url!r} is no URL; write it like http://127.0.0.1:4080") from error

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def status(self) -> dict[str, Any]:
        """``GET /status``."""
        return self._get("/status")

    def genesis(self) -> Genesis:
        """The network's genesis, as this node has it."""
        return make_genesis(self._get("/genesis"))

    def policy(self) -> Policy:
        """The policy in force."""
        return read_policy(self._get("/policy").get("policy"))

    def account(self, key: bytes) -> Account:
        """What the register knows of a key."""
        document = self._get(f"/account/{did_from_key(key)}")
        try:
            return Account(**{name: document[name] for name in Account.__slots__})
        except KeyError as error:
            raise self._not_understood(f"an account without {error}") from error

    def records(self, key: bytes) -> list[dict[str, Any]]:
        """The records that there are about a key's owner, newest first."""
        return self._list(f"/records/{did_from_key(key)}", "records")

    def motions(self) -> list[dict[str, Any]]:
        """The newest motions first."""
        return self._list("/motions", "motions")

    def find(self, transaction_id: bytes) -> Found:
        """Where a transaction is."""
        document = self._get(f"/transactions/{transaction_id.hex()}")
        try:
            return Found(document["state"], document["height"])
        except KeyError as error:
            raise self._not_understood(f"a transaction without {error}") from error

    def submit(self, raw: bytes) -> None:
        """Offer an encoded transaction.  Raises :class:`Refused`."""
        self._offer("/transactions", raw)

    def try_out(self, raw: bytes) -> None:
        """Ask what the next block would make of an encoded transaction.  Raises :class:`Refused`."""
        self._offer("/trial", raw)

    def _offer(self, path: str, raw: bytes) -> None:
        headers = {"content-type": "application/msgpack"}
        document = self._ask("POST", path, content=encode((raw,)), headers=headers)
        try:
            (outcome,) = document["outcomes"]
            refusal = None if outcome is None else Refused(_REASONS[outcome["reason"]], outcome["detail"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._not_understood("no outcome that this version knows") from error
        if refusal is not None:
            raise refusal

    def _list(self, path: str, name: str) -> list[dict[str, Any]]:
        rows = self._get(path).get(name)
        if not isinstance(rows, list):
            raise self._not_understood(f"{path} without {name}")
        return rows

    def _get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            reply = self._client.request(method, path, **options)
        except httpx.UnsupportedProtocol as error:
            raise OperatorError(f"--node {self.url!r} is no URL; write it like http://127.0.0.1:4080") from error
        except httpx.HTTPError as error:
            raise NodeAway(
                f"no node answers at {self.url}; start it with `python node.py run`, or name another with --node"
            ) from error
        try:
            document = reply.json()
        except ValueError as error:
            raise self._not_understood(f"status {reply.status_code} to {method} {path}") from error
        if reply.status_code != httpx.codes.OK or not isinstance(document, dict):
            why = document.get("error", "") if isinstance(document, dict) else ""
            raise self._not_understood(f"status {reply.status_code} to {method} {path} {why}".rstrip())
        return document

    def _not_understood(self, what: str) -> OperatorError:
        return OperatorError(f"{self.url} answers {what}; name a node of this version with --node")


def url_of_home(home: Path) -> str:
    """Where the running node of a home is reached.  Raises :class:`OperatorError`."""
    try:
        return str(json.loads((home / "node.json").read_text(encoding="utf-8"))["http"])
    except FileNotFoundError as error:
        raise OperatorError(f"no node of {home} runs; start it with `python node.py run --home {home}`") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"{home / 'node.json'} cannot be read; start the node again, or use --node URL") from error
