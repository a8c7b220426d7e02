"""The HTTP face before a fake node: every route, and what is refused at the door."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import trio
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette

from chain.codec import encode
from chain.errors import OperatorError, Reason, Refused
from chain.genesis import make_genesis
from chain.keys import did_from_key
from p2p.local.http import (
    MAX_BODY_BYTES,
    MAX_PARTITION_BODY_BYTES,
    MAX_SUBMISSION,
    MAX_TRIAL,
    build_app,
    describe_refusal,
    serve_http,
)
from tests.support.world import genesis_of, secret

KEY = secret(7).public
MSGPACK = {"content-type": "application/msgpack"}
JSON = {"content-type": "application/json"}


class FakeFace:
    """A node that answers as the test wants and remembers what it was told."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        Counter("goodfaith_things", "Things", registry=self.registry).inc(3)
        self.genesis = genesis_of(1)
        self.tried: list[tuple[bytes, ...]] = []
        self.submitted: list[tuple[bytes, ...]] = []
        self.cuts: list[set[str] | None] = []
        self.may_be_cut = True
        self.is_too_early = False

    def describe(self) -> dict[str, Any]:
        return {"height": 7}

    def describe_peers(self) -> dict[str, Any]:
        return {"peers": [{"peer_id": "12D3"}], "banned": {}}

    def describe_account(self, key: bytes) -> dict[str, Any]:
        return {"key": key.hex()}

    def describe_records(self, key: bytes) -> dict[str, Any]:
        return {"records of": key.hex()}

    async def prove(self, key: bytes) -> bytes:
        if self.is_too_early:
            raise Refused(Reason.CROSSES_FINALITY, "the newest headers prove nothing final yet")
        return b"proof of " + key

    def describe_motions(self) -> dict[str, Any]:
        return {"motions": []}

    def describe_policy(self) -> dict[str, Any]:
        return {"version": 3}

    async def find_transaction(self, transaction_id: bytes) -> dict[str, Any]:
        return {"id": transaction_id.hex()}

    async def try_out(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        self.tried.append(raws)
        return [Refused(Reason.NOT_ISSUER, "only the record's issuer may do that") for _ in raws]

    def recent_heads(self, after: int) -> list[dict[str, Any]]:
        return [{"seq": seq} for seq in range(1, 4) if seq > after]

    async def submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        self.submitted.append(raws)
        return [None if raw == b"good" else Refused(Reason.NONCE_GAP, "nonce 2 where 0 is next") for raw in raws]

    def partition(self, peer_ids: set[str] | None) -> None:
        if not self.may_be_cut:
            raise OperatorError("set allow_partitions = true in config.toml first")
        self.cuts.append(peer_ids)


@pytest.fixture
def face() -> FakeFace:
    return FakeFace()


@pytest.fixture
def app(face: FakeFace) -> Starlette:
    return build_app(face)


async def ask(app: Starlette, method: str, path: str, host: str = "127.0.0.1:4080", **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", trust_env=False) as client:
        return await client.request(method, path, **options)


async def test_it_tells_status_peers_and_metrics(app: Starlette) -> None:
    assert (await ask(app, "GET", "/status")).json() == {"height": 7}
    assert (await ask(app, "GET", "/peers")).json() == {"peers": [{"peer_id": "12D3"}], "banned": {}}
    metrics = await ask(app, "GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert "goodfaith_things_total 3.0" in metrics.text


async def test_a_proof_is_bytes_and_may_be_too_early(app: Starlette, face: FakeFace) -> None:
    told = await ask(app, "GET", f"/proof/{did_from_key(KEY)}")
    assert (told.headers["content-type"], told.content) == ("application/octet-stream", b"proof of " + KEY)
    assert (await ask(app, "GET", "/proof/ann")).status_code == 400
    face.is_too_early = True
    told = await ask(app, "GET", f"/proof/{KEY.hex()}")
    assert (told.status_code, "try again later" in told.json()["error"]) == (503, True)


@pytest.mark.parametrize("written", [did_from_key(KEY), KEY.hex(), KEY.hex().upper()])
async def test_it_tells_about_the_account_of_a_key(app: Starlette, written: str) -> None:
    assert (await ask(app, "GET", f"/account/{written}")).json() == {"key": KEY.hex()}


@pytest.mark.parametrize(
    "written", ["x", "00", KEY.hex()[1:], KEY.hex() + "00", "_" * 64, "+1" * 32, " " * 64, "did:key:z6Mk", "did:web:a"]
)
async def test_what_is_no_key_is_refused(app: Starlette, written: str) -> None:
    reply = await ask(app, "GET", f"/account/{written}")
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("a key is a did:key or 64 hexadecimal digits: ")


async def test_it_tells_the_genesis_and_the_policy(app: Starlette, face: FakeFace) -> None:
    genesis = await ask(app, "GET", "/genesis")
    assert (genesis.headers["content-type"], genesis.text) == ("application/json", face.genesis.to_json())
    assert make_genesis(json.loads(genesis.text)).id == face.genesis.id
    assert (await ask(app, "GET", "/policy")).json() == {"version": 3}


async def test_it_tells_records_and_motions(app: Starlette) -> None:
    assert (await ask(app, "GET", f"/records/{did_from_key(KEY)}")).json() == {"records of": KEY.hex()}
    assert (await ask(app, "GET", "/motions")).json() == {"motions": []}
    assert (await ask(app, "GET", "/records/x")).status_code == 400


@pytest.mark.parametrize("digits", ["ab" * 32, "AB" * 32])
async def test_it_finds_a_transaction(app: Starlette, digits: str) -> None:
    assert (await ask(app, "GET", f"/transactions/{digits}")).json() == {"id": "ab" * 32}


@pytest.mark.parametrize("digits", ["ab" * 31, "ab" * 33, "+a" * 32, "zz" * 32, " " * 64])
async def test_what_is_no_id_is_refused(app: Starlette, digits: str) -> None:
    reply = await ask(app, "GET", f"/transactions/{digits}")
    assert (reply.status_code, reply.json()) == (400, {"error": "a transaction's id has 64 hexadecimal digits"})


async def test_each_tried_transaction_gets_its_outcome_and_is_not_submitted(app: Starlette, face: FakeFace) -> None:
    reply = await ask(app, "POST", "/trial", headers=MSGPACK, content=encode((b"good", b"bad")))
    refusal = {"reason": "not_issuer", "detail": "only the record's issuer may do that", "disposition": "ignore"}
    assert (reply.status_code, reply.json()) == (200, {"outcomes": [refusal, refusal]})
    assert (face.tried, face.submitted) == ([(b"good", b"bad")], [])


async def test_a_trial_of_too_many_or_by_a_web_page_is_refused(app: Starlette, face: FakeFace) -> None:
    most = await ask(app, "POST", "/trial", headers=MSGPACK, content=encode((b"x",) * MAX_TRIAL))
    many = await ask(app, "POST", "/trial", headers=MSGPACK, content=encode((b"x",) * (MAX_TRIAL + 1)))
    page = await ask(app, "POST", "/trial", headers={"content-type": "text/plain"}, content=encode((b"x",)))
    assert [reply.status_code for reply in (most, many, page)] == [200, 400, 415]
    assert len(face.tried) == 1


@pytest.mark.parametrize(("query", "seqs"), [("", [1, 2, 3]), ("?after=2", [3]), ("?after=" + "9" * 18, [])])
async def test_it_tells_head_moves_after_a_number(app: Starlette, query: str, seqs: list[int]) -> None:
    assert (await ask(app, "GET", "/heads" + query)).json() == {"heads": [{"seq": seq} for seq in seqs]}


@pytest.mark.parametrize("after", ["", "-1", "x", "1.5", "9" * 5_000])
async def test_a_number_that_is_none_is_refused(app: Starlette, after: str) -> None:
    reply = await ask(app, "GET", "/heads", params={"after": after})
    assert (reply.status_code, reply.json()) == (400, {"error": "after must be a number"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("POST", "/status", 405),
        ("GET", "/account", 404),
        ("POST", "/account/00", 405),
        ("GET", "/transactions", 405),
        ("POST", "/transactions/" + "00" * 32, 405),
        ("GET", "/trial", 405),
        ("POST", "/genesis", 405),
        ("POST", "/policy", 405),
        ("PUT", "/transactions", 405),
        ("GET", "/partition", 405),
        ("DELETE", "/heads", 405),
    ],
)
async def test_nothing_else_is_answered(app: Starlette, method: str, path: str, status: int) -> None:
    assert (await ask(app, method, path)).status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:4080", "LOCALHOST", "[::1]:4080", "[::1]"])
async def test_loopback_names_are_answered(app: Starlette, host: str) -> None:
    assert (await ask(app, "GET", "/status", host=host)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:4080", "", "[::2]:1"]
)
async def test_other_names_are_not(app: Starlette, face: FakeFace, host: str) -> None:
    headers = {**MSGPACK, "host": host}
    reply = await ask(app, "POST", "/transactions", headers=headers, content=encode((b"good",)))
    assert reply.status_code == 400
    assert face.submitted == []


async def test_each_submitted_transaction_gets_its_outcome(app: Starlette, face: FakeFace) -> None:
    reply = await ask(app, "POST", "/transactions", headers=MSGPACK, content=encode((b"good", b"early")))
    refusal = {"reason": "nonce_gap", "detail": "nonce 2 where 0 is next", "disposition": "later"}
    assert (reply.status_code, reply.json()) == (200, {"outcomes": [None, refusal]})
    assert face.submitted == [(b"good", b"early")]
    reply = await ask(app, "POST", "/transactions", headers=MSGPACK, content=encode(()))
    assert reply.json() == {"outcomes": []}


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/json", "application/x-www-form-urlencoded", "application/msgpack-or-so"],
)
async def test_a_web_page_cannot_submit(app: Starlette, face: FakeFace, content_type: str) -> None:
    headers = {"content-type": content_type}
    reply = await ask(app, "POST", "/transactions", headers=headers, content=encode((b"good",)))
    assert reply.status_code == 415
    assert face.submitted == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed"),
        (b"\xc1", "malformed"),
        (encode((1,)), "malformed"),
        (encode(((b"good",),)), "malformed"),
        (encode((b"good",)) + b"\x00", "malformed"),
        (encode((b"",) * (MAX_SUBMISSION + 1)), "malformed"),
    ],
    ids=["empty", "garbage", "numbers", "nested", "more behind", "too many"],
)
async def test_a_submission_that_cannot_be_read_is_refused(
    app: Starlette, face: FakeFace, body: bytes, reason: str
) -> None:
    reply = await ask(app, "POST", "/transactions", headers=MSGPACK, content=body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith(reason)
    assert face.submitted == []


@pytest.mark.parametrize(
    ("path", "content_type", "limit"),
    [
        ("/transactions", b"application/msgpack", MAX_BODY_BYTES),
        ("/trial", b"application/msgpack", MAX_BODY_BYTES),
        ("/partition", b"application/json", MAX_PARTITION_BODY_BYTES),
    ],
)
async def test_a_body_without_end_is_given_up(
    app: Starlette, face: FakeFace, path: str, content_type: bytes, limit: int
) -> None:
    sent_bytes = 0

    async def receive() -> dict[str, Any]:
        nonlocal sent_bytes
        sent_bytes += 1_000
        return {"type": "http.request", "body": b" " * 1_000, "more_body": True}

    replies: list[Any] = []

    async def send(message: Any) -> None:
        replies.append(message)

    headers = [(b"host", b"localhost"), (b"content-type", content_type)]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert replies[0]["status"] == 400
    assert sent_bytes <= limit + 1_000
    assert (face.submitted, face.cuts) == ([], [])


async def test_the_largest_submission_is_read(app: Starlette, face: FakeFace) -> None:
    raws = (bytes(1_024),) * MAX_SUBMISSION
    reply = await ask(app, "POST", "/transactions", headers=MSGPACK, content=encode(raws))
    assert reply.status_code == 200
    assert face.submitted == [raws]


async def test_a_node_is_cut_off_and_healed(app: Starlette, face: FakeFace) -> None:
    assert (await ask(app, "POST", "/partition", json={"peer_ids": ["a", "b", "a"]})).status_code == 200
    assert (await ask(app, "DELETE", "/partition")).status_code == 200
    assert face.cuts == [{"a", "b"}, None]


async def test_a_node_that_must_not_be_cut_says_how_to_allow_it(app: Starlette, face: FakeFace) -> None:
    face.may_be_cut = False
    for reply in (
        await ask(app, "POST", "/partition", json={"peer_ids": []}),
        await ask(app, "DELETE", "/partition"),
    ):
        assert reply.status_code == 403
        assert reply.json() == {"error": "set allow_partitions = true in config.toml first"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"junk",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"peer_ids": null}',
        b'{"peer_ids": "ab"}',
        b'{"peer_ids": {"a": 1}}',
        b'{"peer_ids": [1]}',
        b"[" * 50_000,
    ],
)
async def test_a_partition_that_cannot_be_read_is_refused(app: Starlette, face: FakeFace, body: bytes) -> None:
    reply = await ask(app, "POST", "/partition", headers=JSON, content=body)
    assert (reply.status_code, reply.json()) == (400, {"error": 'send {"peer_ids": [...]}'})
    assert face.cuts == []


async def test_a_web_page_cannot_cut_a_node_off(app: Starlette, face: FakeFace) -> None:
    for content_type in ("text/plain", ""):
        headers = {"content-type": content_type}
        reply = await ask(app, "POST", "/partition", headers=headers, content=b'{"peer_ids": ["a"]}')
        assert reply.status_code == 415
    assert face.cuts == []


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_is_told_by_its_code(reason: Reason) -> None:
    assert describe_refusal(Refused(reason, "why")) == {
        "reason": reason.code,
        "detail": "why",
        "disposition": reason.disposition.value,
    }


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
async def test_it_serves_on_the_port_that_it_tells(face: FakeFace, address: str) -> None:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_http, face, address)
        assert url.startswith("http://" + address.removesuffix(":0"))
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url + "/status")).json() == {"height": 7}
        nursery.cancel_scope.cancel()
