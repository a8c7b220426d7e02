"""Who may ask the HTTP API: no page of another site, and from another machine not everything."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from starlette.types import Message
from trio.testing import MockClock

from chain.base.codec import encode
from p2p.local.config import HomeConfig
from p2p.local.door import COSTLY_AT_ONCE, FROM_ELSEWHERE_AT_ONCE, host_of
from p2p.local.endpoints import ENDPOINTS
from p2p.local.http import build_app
from p2p.local.stream import MAX_STREAMS_ELSEWHERE
from tests.unit.p2p.local.test_http import FakeFace, path_of

HERE = "http://127.0.0.1:4080"
FRIEND, STRANGER, NAME, TOKEN = "http://127.0.0.1:4081", "https://evil.example", "node.example", "a token of letters"
TOKEN = TOKEN.replace(" ", "-")
OPEN = HomeConfig(http_hosts=[NAME], http_origins=[FRIEND], http_token=TOKEN)
ELSEWHERE = ("192.0.2.7", 5)
MSGPACK = {"content-type": "application/msgpack"}
GOOD = encode((b"good",))
WAYS_IN = [("POST", "/transactions"), ("POST", "/trial"), ("POST", "/partition"), ("DELETE", "/partition")]
COSTLY = [path_of(each) for each in ENDPOINTS if each.is_costly]


async def ask(
    face: FakeFace,
    method: str,
    path: str,
    *,
    base: str = HERE,
    client: tuple[str, int] = ("127.0.0.1", 5),
    **options: Any,
) -> httpx.Response:
    transport = httpx.ASGITransport(build_app(face), client=client)
    async with httpx.AsyncClient(transport=transport, base_url=base, trust_env=False) as asking:
        return await asking.request(method, path, **options)


def untouched(face: FakeFace) -> bool:
    """Whether nothing came through."""
    return (face.asked, face.submitted, face.tried, face.cuts) == ([], [], [], [])


@pytest.mark.parametrize(
    "origin", [STRANGER, "null", "http://localhost:4080", "https://127.0.0.1:4080", "http://127.0.0.1"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/status"), ("GET", "/genesis"), ("GET", "/events"), *WAYS_IN])
async def test_a_page_of_another_site_neither_reads_nor_writes(origin: str, method: str, path: str) -> None:
    face = FakeFace(OPEN)
    reply = await ask(face, method, path, headers={"origin": origin, **MSGPACK}, content=GOOD)
    assert (reply.status_code, reply.headers["content-type"]) == (403, "application/problem+json")
    assert "access-control-allow-origin" not in reply.headers
    assert untouched(face)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["no-cors", "cors", "navigate"])
async def test_what_a_page_of_another_site_loads_without_saying_so_is_refused(site: str, mode: str) -> None:
    face = FakeFace()
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": "iframe"}
    assert (await ask(face, "GET", "/status", headers=headers)).status_code == 403
    form = {**headers, **MSGPACK, "sec-fetch-dest": "document"}
    assert (await ask(face, "POST", "/transactions", headers=form, content=GOOD)).status_code == 403
    assert untouched(face)


async def test_who_follows_a_link_sees_the_page() -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert (await ask(FakeFace(), "GET", "/status", headers=headers)).status_code == 200


async def test_the_own_page_reads_and_writes() -> None:
    face = FakeFace()
    headers = {"origin": HERE, "sec-fetch-site": "same-origin", **MSGPACK}
    assert (await ask(face, "GET", "/status", headers=headers)).status_code == 200
    assert (await ask(face, "POST", "/transactions", headers=headers, content=GOOD)).status_code == 200


async def test_a_page_that_is_named_reads_and_asks_before_it_writes() -> None:
    face = FakeFace(OPEN)
    headers = {"origin": FRIEND, "sec-fetch-site": "same-site"}
    reply = await ask(face, "GET", "/head", headers=headers)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, FRIEND)
    assert reply.headers["vary"] == "origin"
    before = {**headers, "access-control-request-method": "POST"}
    reply = await ask(face, "OPTIONS", "/transactions", headers=before)
    assert (reply.status_code, "POST" in reply.headers["access-control-allow-methods"]) == (204, True)
    assert (await ask(FakeFace(), "OPTIONS", "/transactions", headers=before)).status_code == 403


async def test_any_port_of_a_host_can_be_named() -> None:
    face = FakeFace(HomeConfig(http_origins=["http://127.0.0.1:*"]))
    for origin, status in ((FRIEND, 200), ("http://127.0.0.1", 403), ("http://127.0.0.1:x", 403), (STRANGER, 403)):
        assert (await ask(face, "GET", "/head", headers={"origin": origin})).status_code == status


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2:4080", "localhost:4080", "[::1]:4080"])
async def test_any_address_of_this_machine_is_answered(host: str) -> None:
    assert (await ask(FakeFace(), "GET", "/status", base=f"http://{host}")).status_code == 200


@pytest.mark.parametrize("host", [STRANGER.removeprefix("https://"), f"{NAME}.evil.example", "127.0.0.1.nip.example"])
@pytest.mark.parametrize("path", ["/", "/status", "/openapi.json", "/explorer/app.js", "/nothing"])
async def test_a_name_that_others_let_point_here_is_not_answered(host: str, path: str) -> None:
    face = FakeFace(OPEN)
    reply = await ask(face, "GET", path, base=f"http://{host}:4080")
    assert (reply.status_code, reply.headers["content-type"]) == (421, "application/problem+json")
    assert untouched(face)


async def test_a_name_of_the_configuration_is_answered() -> None:
    assert (await ask(FakeFace(OPEN), "GET", "/status", base=f"http://{NAME}")).status_code == 200
    assert (await ask(FakeFace(), "GET", "/status", base=f"http://{NAME}")).status_code == 421


@pytest.mark.parametrize(("method", "path"), [*WAYS_IN, *(("GET", path) for path in COSTLY)])
async def test_from_elsewhere_what_writes_or_costs_needs_the_token(method: str, path: str) -> None:
    for config, given in ((OPEN, ""), (OPEN, "Bearer no"), (OPEN, f"Basic {TOKEN}"), (HomeConfig(), "Bearer ")):
        face = FakeFace(config)
        headers = {"authorization": given, **MSGPACK}
        reply = await ask(face, method, path, client=ELSEWHERE, headers=headers, content=GOOD)
        assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert untouched(face)
    headers = {"authorization": f"Bearer {TOKEN}", **MSGPACK}
    reply = await ask(FakeFace(OPEN), method, path, client=ELSEWHERE, headers=headers, content=GOOD)
    assert reply.status_code in (200, 415)  # a partition is sent as JSON


async def test_a_proxy_on_this_machine_speaks_for_others() -> None:
    for name in ("forwarded", "x-forwarded-for"):
        reply = await ask(FakeFace(OPEN), "POST", "/trial", headers={name: "192.0.2.7", **MSGPACK}, content=GOOD)
        assert reply.status_code == 401


async def test_other_machines_do_not_take_every_place_to_listen() -> None:
    app = build_app(face := FakeFace(OPEN))
    face.events.listeners = MAX_STREAMS_ELSEWHERE
    begun: list[tuple[str, int]] = []
    for client in (("127.0.0.1", 5), ELSEWHERE):
        scope = {"type": "http", "method": "GET", "path": "/events", "query_string": b"", "client": client}
        with trio.CancelScope() as asking:

            async def send(message: Message, asking: trio.CancelScope = asking, who: str = client[0]) -> None:
                begun.append((who, message["status"]))
                asking.cancel()
                await trio.lowlevel.checkpoint()

            await app({**scope, "headers": [(b"host", b"127.0.0.1")]}, trio.sleep_forever, send)
    assert begun == [("127.0.0.1", 200), (ELSEWHERE[0], 503)]


async def test_the_addresses_that_one_party_has_by_the_billion_count_as_one(mock_clock: MockClock) -> None:
    app, statuses = build_app(FakeFace(OPEN)), set[int]()
    for number in range(FROM_ELSEWHERE_AT_ONCE + 1):
        transport = httpx.ASGITransport(app, client=(f"2001:db8::{number:x}", 5))
        async with httpx.AsyncClient(transport=transport, base_url=HERE, trust_env=False) as asking:
            statuses.add((await asking.get("/status")).status_code)
    assert statuses == {200, 429}


async def test_from_elsewhere_anybody_reads_but_not_without_end(mock_clock: MockClock) -> None:
    transport = httpx.ASGITransport(build_app(FakeFace(OPEN)), client=ELSEWHERE)
    async with httpx.AsyncClient(transport=transport, base_url=HERE, trust_env=False) as asking:
        replies = [await asking.get("/genesis") for _ in range(2 * FROM_ELSEWHERE_AT_ONCE)]
    assert {reply.status_code for reply in replies} == {200, 429}
    assert replies[-1].headers["retry-after"] == "1"


async def test_what_is_costly_is_not_answered_again_and_again(mock_clock: MockClock) -> None:
    transport = httpx.ASGITransport(build_app(FakeFace()))
    async with httpx.AsyncClient(transport=transport, base_url=HERE, trust_env=False) as asking:
        replies = [await asking.get("/tiers") for _ in range(4 * COSTLY_AT_ONCE)]
        assert {reply.status_code for reply in replies} == {200, 429}
        assert (await asking.get("/head")).status_code == 200


async def test_every_answer_says_that_it_is_for_this_site_alone() -> None:
    for path in ("/status", "/nothing", "/openapi.json"):
        headers = (await ask(FakeFace(), "GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize(
    ("authority", "host"),
    [("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("A:1", "a"), ("a", "a"), ("a:b", "a:b"), ("", "")],
)
def test_the_host_of_an_authority(authority: str, host: str) -> None:
    assert host_of(authority) == host
