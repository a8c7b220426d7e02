"""What a client asks a node, how it reads the answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import httpx
import pytest
from starlette.applications import Starlette

from chain.base.codec import encode
from chain.base.errors import OperatorError, Reason, Refused
from chain.documents.chronicle import describe_refusal
from p2p import client
from p2p.client import Account, Announced, AsyncClient, Client, HeadMove, NodeAway, NodeStatus, Query, announced
from p2p.local.config import HomeConfig
from tests.support.world import secret

T = TypeVar("T")
URL = "http://127.0.0.1:4080"
KEY = secret(1).public
STATUS_OF_A_NODE: NodeStatus = {
    "head_slot": 9,
    "slot_ms": 1_000,
    "genesis_time_ms": 0,
    "now_ms": 9_000,
    "version": "0.1.0", "protocol": "2",
    "network": "town", "chain_id": "c0", "did": "did:key:z6Mk", "peer_id": "12D3", "validator": True, "silent": False,
    "silent_why": None, "signs_again": None,
    "height": 7, "head_id": "ab", "state_root": "cd", "finalized_height": 2, "finalized_id": "ef", "stalled": None,
    "slot": 9, "mempool": 0, "peers": 3, "syncing": False, "reorgs": 0, "faults": 0, "transactions": 5,
    "final_transactions": 1,
    "transactions_from": 1,
    "signatures_checked": 6, "cpu_s": 0.5, "rss_bytes": 1,
    "mode": "full", "oldest_body": 1, "damaged_blocks": 0,
}  # fmt: skip


def answering(document: object, code: int = 200) -> Client:
    """A client of a node that gives every question this answer."""
    return Client(URL, httpx.MockTransport(lambda _request: httpx.Response(code, json=document)))


def failing(error: Exception) -> Client:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise error

    return Client(URL, httpx.MockTransport(fail))


# ----------------------------------------------------------------------------------------- questions and answers


def test_every_path_that_is_asked_is_one_that_a_node_answers() -> None:
    from p2p.local.http import build_app  # noqa: PLC0415

    app: Starlette = build_app(cast(Any, SimpleNamespace(config=HomeConfig())))
    asked: list[Query[Any]] = [
        client.STATUS, client.GENESIS, client.POLICY, client.MOTIONS, client.PEERS,
        client.account(KEY), client.records(KEY), client.heads(3), client.transaction(bytes(32)),
        client.submit(b"raw"), client.submit_all([b"raw"]), client.try_out(b"raw"),
    ]  # fmt: skip
    for question in asked:
        scope = {"type": "http", "method": question.method, "path": question.path.partition("?")[0]}
        assert any(route.matches(scope)[0].name == "FULL" for route in app.routes), question


def test_what_a_node_says_of_itself_is_read_whole() -> None:
    assert answering({**STATUS_OF_A_NODE, "new": 1}).ask(client.STATUS) == STATUS_OF_A_NODE
    with pytest.raises(OperatorError, match=r"GET /status .*'height'.*a node of this version"):
        answering({name: value for name, value in STATUS_OF_A_NODE.items() if name != "height"}).ask(client.STATUS)


def test_an_account_is_read() -> None:
    account = dict.fromkeys(Account.__annotations__, 1)
    found = answering({**account, "new": 2}).ask(client.account(KEY))
    assert {**found} == account


def test_head_moves_are_read() -> None:
    row = {"seq": 7, "id": "ab", "height": 3, "slot": 9, "transactions": 5, "at_ms": 11, "made_here": True}
    assert answering({"heads": [row]}).ask(client.heads(6)) == [HeadMove(7, "ab", 3, 9, 5, 11, made_here=True)]


def test_what_is_offered_is_taken_or_refused_with_the_reason() -> None:
    refusal = describe_refusal(Refused(Reason.NONCE_GAP, "2 is next"))
    taken, refused = answering({"outcomes": [None, refusal]}).ask(client.submit_all([b"a", b"b"]))
    assert taken is None
    assert refused is not None
    assert (refused.reason, refused.detail) == (Reason.NONCE_GAP, "2 is next")
    answering({"outcomes": [None]}).ask(client.submit(b"a"))
    with pytest.raises(Refused, match="2 is next"):
        answering({"outcomes": [refusal]}).ask(client.try_out(b"a"))
    assert client.submit_all(iter([b"a", b"b"])).body == encode((b"a", b"b"))


@pytest.mark.parametrize(
    "document",
    [[], "text", {}, {"outcomes": None}, {"outcomes": []}, {"outcomes": [{"reason": "too_new", "detail": ""}]}],
    ids=str,
)
def test_an_answer_of_another_shape_is_the_operators_matter(document: object) -> None:
    with pytest.raises(OperatorError, match="name a node of this version") as error:
        answering(document).ask(client.submit(b"raw"))
    assert not isinstance(error.value, NodeAway)


def test_what_a_node_refuses_as_a_whole_is_said_with_its_words() -> None:
    with pytest.raises(OperatorError, match="status 413 that is too much"):
        answering({"detail": "that is too much"}, 413).ask(client.submit(b"raw"))


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_busy_node_may_answer_later(code: int) -> None:
    with pytest.raises(NodeAway, match="too busy"):
        answering({}, code).ask(client.STATUS)


@pytest.mark.parametrize("error", [httpx.ConnectError("refused"), httpx.ReadTimeout("late"), httpx.ReadError("cut")])
def test_a_node_that_does_not_answer_is_away(error: Exception) -> None:
    with pytest.raises(NodeAway, match=URL):
        failing(error).ask(client.STATUS)


@pytest.mark.parametrize("url", ["", "4080", "ftp://x", "http://[", "http://127.0.0.1:port", "http://a b"])
def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(OperatorError), Client(url) as node:
        node.ask(client.STATUS)


async def test_a_task_asks_any_node() -> None:
    async with AsyncClient(timeout_s=5) as asking:
        with pytest.raises(NodeAway):
            await asking.ask("http://127.0.0.1:1", client.STATUS)


def test_whoever_only_reads_shapes_does_not_pay_for_connections() -> None:
    code = "import sys, p2p.client; print(sorted({'httpx', 'trio', 'libp2p', 'anyio'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


# ------------------------------------------------------------------------------------------------ a home's node


def test_a_home_says_where_its_node_is_reached(tmp_path: Path) -> None:
    facts = Announced(7, URL, "12D3", ["/ip4/127.0.0.1/tcp/4001"], "did:key:z6Mk")
    with pytest.raises(NodeAway, match="no node of"):
        announced(tmp_path)
    with pytest.raises(OperatorError, match="does not exist; name"):
        announced(tmp_path / "gone")
    (tmp_path / "node.json").write_text(json.dumps(facts._asdict()), encoding="utf-8")
    assert announced(tmp_path) == facts
    for damaged in ("", "{}", "[]", "7"):
        (tmp_path / "node.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(OperatorError, match="start the node again"):
            announced(tmp_path)
