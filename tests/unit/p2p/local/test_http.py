"""The HTTP face before a fake node: every route, and what is refused at the door."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
import trio
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette

from chain.base.codec import encode
from chain.base.errors import OperatorError, Reason, Refused
from chain.base.keys import did_from_key
from chain.base.meanings import MEANINGS
from chain.content.genesis import make_genesis
from chain.disk.inspection import NotThere, Unclear
from chain.documents.chronicle import told_refusal
from p2p.local.broadcast import Broadcast
from p2p.local.config import HomeConfig
from p2p.local.endpoints import ENDPOINTS, MAX_SUBMISSION, MAX_TRIAL, Endpoint, Source
from p2p.local.http import MAX_BODY_BYTES, MAX_JSON_BYTES, MAX_PARTITION_BODY_BYTES, build_app, serve_http
from p2p.local.problems import Problem
from p2p.local.reading import Told
from tests.support.world import genesis_of, secret

KEY = secret(7).public
CONFIG = HomeConfig()
MSGPACK = {"content-type": "application/msgpack"}
JSON = {"content-type": "application/json"}


class FakeFace:
    """A node that answers as the test wants and remembers what it was told."""

    def __init__(self, config: HomeConfig = CONFIG) -> None:
        self.registry = CollectorRegistry()
        Counter("goodfaith_things", "Things", registry=self.registry).inc(3)
        self.genesis = genesis_of(1)
        self.config = config
        self.events = Broadcast()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.tried: list[tuple[bytes, ...]] = []
        self.submitted: list[tuple[bytes, ...]] = []
        self.cuts: list[set[str] | None] = []
        self.may_be_cut = True
        self.fails_with: Exception | None = None

    async def answer(self, endpoint: Endpoint, arguments: Mapping[str, Any], known: str | None) -> Told:
        self.asked.append((endpoint.path, dict(arguments)))
        if self.fails_with is not None:
            raise self.fails_with
        if endpoint.shape == "application/octet-stream":
            return Told(None, await self.prove(arguments.get("key", b"")))
        tag = "e1" if endpoint.source is not Source.NODE else None
        return Told(tag, None if tag and known == tag else json.dumps({"height": 7}).encode())

    async def prove(self, key: bytes) -> bytes:
        return b"proof of " + key

    def hello(self) -> dict[str, Any]:
        return {"network": "testnet"}

    async def try_out(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        self.tried.append(raws)
        return [Refused(Reason.NOT_ISSUER, "only the record's issuer may do that") for _ in raws]

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


def told_problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    """What a reply says went wrong."""
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/problem+json")
    problem: dict[str, Any] = reply.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == status
    return problem


def path_of(endpoint: Endpoint) -> str:
    """A path that asks an endpoint."""
    values = {"key": KEY.hex(), "id": "ab" * 32, "which": "7"}
    return re.sub(r"{(\w+)}", lambda found: values[found[1]], endpoint.path)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.path)
async def test_every_question_is_answered(app: Starlette, face: FakeFace, endpoint: Endpoint) -> None:
    reply = await ask(app, "GET", path_of(endpoint))
    is_bytes = isinstance(endpoint.shape, str)
    assert reply.status_code == (503 if endpoint.path == "/health" else 200)  # 7 is not well
    assert reply.headers["content-type"] == ("application/octet-stream" if is_bytes else "application/json")
    ((path, arguments),) = face.asked
    assert path == endpoint.path
    assert arguments.keys() == {each.keyword for each in endpoint.parameters}
    for parameter in endpoint.parameters:
        if f"{{{parameter.name}}}" not in endpoint.path:
            assert arguments[parameter.keyword] == parameter.default


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.path)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE"])
async def test_no_question_is_asked_otherwise(app: Starlette, face: FakeFace, endpoint: Endpoint, method: str) -> None:
    if (method, endpoint.path) != ("POST", "/transactions"):
        told_problem(await ask(app, method, path_of(endpoint)), 405)
    assert face.asked == []


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda each: each.path)
async def test_what_an_endpoint_does_not_take_is_refused(app: Starlette, face: FakeFace, endpoint: Endpoint) -> None:
    path = path_of(endpoint)
    for query in ("?strange=1", "?limit=1&limit=2", "?limit=x", "?limit=0", "?limit=" + "9" * 9, "?" + "a" * 5_000):
        told_problem(await ask(app, "GET", path + query), 400)
    assert face.asked == []


async def test_an_answer_of_the_same_block_is_not_sent_again(app: Starlette) -> None:
    first = await ask(app, "GET", "/head")
    assert first.headers["etag"] == 'W/"e1"'
    again = await ask(app, "GET", "/head", headers={"if-none-match": 'W/"e1"'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", 'W/"e1"')
    assert (await ask(app, "GET", "/head", headers={"if-none-match": 'W/"e0"'})).status_code == 200
    assert "etag" not in (await ask(app, "GET", "/status")).headers


async def test_it_tells_metrics(app: Starlette) -> None:
    metrics = await ask(app, "GET", "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    assert "goodfaith_things_total 3.0" in metrics.text


async def test_a_proof_is_bytes_and_may_be_too_early(app: Starlette, face: FakeFace) -> None:
    told = await ask(app, "GET", f"/proof/{did_from_key(KEY)}")
    assert (told.headers["content-type"], told.content) == ("application/octet-stream", b"proof of " + KEY)
    face.fails_with = Refused(Reason.CROSSES_FINALITY, "the newest headers prove nothing final yet")
    reply = await ask(app, "GET", f"/proof/{KEY.hex()}")
    problem = told_problem(reply, 503)
    assert (problem["reason"], problem["type"]) == ("crosses_finality", "urn:goodfaith:reason:crosses_finality")
    assert problem["rule"] == MEANINGS[Reason.CROSSES_FINALITY].rule
    assert int(reply.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (NotThere("no block of height 9 is stored"), 404),
        (Unclear("several blocks begin with 00"), 400),
        (Problem(503, "too many ask at once", retry_s=1), 503),
        (OperatorError("the disk is gone"), 500),
    ],
)
async def test_what_fails_is_said(app: Starlette, face: FakeFace, failure: Exception, status: int) -> None:
    face.fails_with = failure
    problem = told_problem(await ask(app, "GET", "/head"), status)
    assert problem["detail"] in str(failure)


@pytest.mark.parametrize("written", [did_from_key(KEY), KEY.hex(), KEY.hex().upper()])
async def test_it_tells_about_the_account_of_a_key(app: Starlette, face: FakeFace, written: str) -> None:
    assert (await ask(app, "GET", f"/account/{written}")).status_code == 200
    assert face.asked == [("/account/{key}", {"key": KEY})]


async def test_a_key_that_is_spelled_well_and_is_none_is_nobodys() -> None:
    spelled = "did:key:z6Mk" + "1" * 44
    for path in (f"/account/{spelled}", f"/members/{spelled}", f"/records?member={spelled}", f"/members/{'0' * 64}"):
        problem = told_problem(await ask(build_app(FakeFace()), "GET", path), 404)
        assert problem["detail"].startswith("nobody has this key")


@pytest.mark.parametrize(
    "written", ["x", "00", KEY.hex()[1:], KEY.hex() + "00", "_" * 64, "+1" * 32, " " * 64, "did:key:z6Mk", "did:web:a"]
)
async def test_what_is_no_key_is_refused(app: Starlette, written: str) -> None:
    problem = told_problem(await ask(app, "GET", f"/account/{written}"), 400)
    assert problem["detail"].startswith("a key is a did:key or 64 hexadecimal digits: ")


async def test_it_tells_the_genesis(app: Starlette, face: FakeFace) -> None:
    genesis = await ask(app, "GET", "/genesis")
    assert (genesis.headers["content-type"], genesis.text) == ("application/json", face.genesis.to_json())
    assert make_genesis(json.loads(genesis.text)).id == face.genesis.id


@pytest.mark.parametrize("digits", ["ab" * 31, "ab" * 33, "+a" * 32, "zz" * 32, " " * 64])
async def test_what_is_no_id_is_refused(app: Starlette, digits: str) -> None:
    problem = told_problem(await ask(app, "GET", f"/transactions/{digits}"), 400)
    assert problem["detail"] == "a transaction's id has 64 hexadecimal digits"


async def test_each_tried_transaction_gets_its_outcome_and_is_not_submitted(app: Starlette, face: FakeFace) -> None:
    reply = await ask(app, "POST", "/trial", headers=MSGPACK, content=encode((b"good", b"bad")))
    refusal = told_refusal(Refused(Reason.NOT_ISSUER, "only the record's issuer may do that"), face.genesis)
    assert (reply.status_code, reply.json()) == (200, {"outcomes": [refusal, refusal]})
    assert (face.tried, face.submitted) == ([(b"good", b"bad")], [])


async def test_a_trial_of_too_many_or_by_a_web_page_is_refused(app: Starlette, face: FakeFace) -> None:
    most = await ask(app, "POST", "/trial", headers=MSGPACK, content=encode((b"x",) * MAX_TRIAL))
    many = await ask(app, "POST", "/trial", headers=MSGPACK, content=encode((b"x",) * (MAX_TRIAL + 1)))
    page = await ask(app, "POST", "/trial", headers={"content-type": "text/plain"}, content=encode((b"x",)))
    assert [reply.status_code for reply in (most, many, page)] == [200, 400, 415]
    assert len(face.tried) == 1


@pytest.mark.parametrize("after", ["", "-1", "x", "1.5", "٣", "9" * 4_000])
async def test_a_number_that_is_none_is_refused(app: Starlette, after: str) -> None:
    problem = told_problem(await ask(app, "GET", "/heads", params={"after": after}), 400)
    assert problem["detail"].startswith("after must be a number from 0 to ")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/status/", 404),
        ("GET", "/explorer/../http.py", 404),
        ("GET", "/explorer/%2e%2e/http.py", 404),
        ("GET", "/explorer/", 404),
        ("POST", "/", 405),
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
    reply = await ask(app, method, path)
    told_problem(reply, status)
    assert ("allow" in reply.headers) == (status == 405)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1", "localhost:4080", "LOCALHOST", "[::1]:4080", "[::1]"])
async def test_loopback_names_are_answered(app: Starlette, host: str) -> None:
    assert (await ask(app, "GET", "/status", host=host)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:4080", "", "[::2]:1"]
)
async def test_other_names_are_not(app: Starlette, face: FakeFace, host: str) -> None:
    headers = {**MSGPACK, "host": host}
    told_problem(await ask(app, "POST", "/transactions", headers=headers, content=encode((b"good",))), 421)
    told_problem(await ask(app, "GET", "/status", headers=headers), 421)
    assert (face.submitted, face.asked) == ([], [])


async def test_each_submitted_transaction_gets_its_outcome(app: Starlette, face: FakeFace) -> None:
    reply = await ask(app, "POST", "/transactions", headers=MSGPACK, content=encode((b"good", b"early")))
    refusal = told_refusal(Refused(Reason.NONCE_GAP, "nonce 2 where 0 is next"), face.genesis)
    assert (reply.status_code, reply.json()) == (200, {"outcomes": [None, refusal]})
    assert face.submitted == [(b"good", b"early")]
    reply = await ask(app, "POST", "/transactions", headers=MSGPACK, content=encode(()))
    assert reply.json() == {"outcomes": []}


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded", "application/msgpack-or-so"],
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
    problem = told_problem(await ask(app, "POST", "/transactions", headers=MSGPACK, content=body), 400)
    assert problem["reason"] == reason
    assert problem["needed"] == MEANINGS[Reason.MALFORMED].needed
    assert face.submitted == []


async def test_json_is_taken_as_well(app: Starlette, face: FakeFace) -> None:
    document = {"transactions": [b"good".hex(), b"early".hex().upper()]}
    reply = await ask(app, "POST", "/transactions", json=document)
    assert [row and row["reason"] for row in reply.json()["outcomes"]] == [None, "nonce_gap"]
    assert face.submitted == [(b"good", b"early")]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"transactions": [1]}', b'{"transactions": ["0"]}', b'{"transaction": []}', b"\xff"]
)
async def test_json_that_cannot_be_read_is_refused(app: Starlette, face: FakeFace, body: bytes) -> None:
    told_problem(await ask(app, "POST", "/transactions", headers=JSON, content=body), 400)
    assert face.submitted == []


@pytest.mark.parametrize(
    ("path", "content_type", "limit"),
    [
        ("/transactions", b"application/msgpack", MAX_BODY_BYTES),
        ("/transactions", b"application/json", MAX_JSON_BYTES),
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
    assert replies[0]["status"] == 413
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
        assert told_problem(reply, 403)["detail"] == "set allow_partitions = true in config.toml first"


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
    assert told_problem(reply, 400)["detail"] == 'send {"peer_ids": [...]}'
    assert face.cuts == []


async def test_a_web_page_cannot_cut_a_node_off(app: Starlette, face: FakeFace) -> None:
    for content_type in ("text/plain", ""):
        headers = {"content-type": content_type}
        reply = await ask(app, "POST", "/partition", headers=headers, content=b'{"peer_ids": ["a"]}')
        assert reply.status_code == 415
    assert face.cuts == []


async def test_a_port_that_is_taken_is_told_with_the_reason(face: FakeFace) -> None:
    (taken, *_) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = taken.socket.getsockname()
    with pytest.raises(OperatorError, match=r"cannot be listened on \(Address already in use\)"):
        await serve_http(face, f"{host}:{port}")
    await taken.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
async def test_it_serves_on_the_port_that_it_tells(face: FakeFace, address: str) -> None:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_http, face, address)
        assert url.startswith("http://" + address.removesuffix(":0"))
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(url + "/status")).json() == {"height": 7}
        nursery.cancel_scope.cancel()
