"""The switches that the page of a testnet has: with the token, from a page of its nodes, and by nobody else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from scripts.testnet_parts.acts import Act
from scripts.testnet_parts.showing import has_windows
from scripts.testnet_parts.switches import build_switches
from tests.support.switched import TOKEN, FakeTestnet

URL = "http://127.0.0.1:4999"
LAB = "http://127.0.0.1:4998/"
SHOWN = {"authorization": f"Bearer {TOKEN}"}


async def ask(testnet: Any, method: str, path: str, **headers: str) -> httpx.Response:
    app = build_switches(testnet, TOKEN, LAB)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=URL) as client:
        return await client.request(method, path, headers=headers)


async def test_the_nodes_are_told_and_turned() -> None:
    testnet = FakeTestnet()
    told = (await ask(testnet, "GET", "/nodes", **SHOWN)).json()
    assert told["lab"] == LAB
    first, second = told["nodes"]
    assert (first["name"], first["live"], first["cut"], first["url"]) == ("node0", True, True, "http://127.0.0.1:1")
    assert (second["live"], second["cut"], second["url"], second["ended"]) == (False, False, None, "ended (code 0)")
    done = await ask(testnet, "POST", "/nodes/node0/stop", origin="http://127.0.0.1:4080", **SHOWN)
    assert (done.status_code, done.json(), testnet.acts) == (200, {"done": "node0 stops"}, [Act("stop", "node0")])
    assert done.headers["access-control-allow-origin"] == "http://127.0.0.1:4080"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer wrong"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer \N{SNOWMAN}".encode()}, 401),
        ({**SHOWN, "origin": "https://evil.example"}, 403),
        ({**SHOWN, "origin": "null"}, 403),
        ({**SHOWN, "sec-fetch-site": "cross-site"}, 403),
        ({**SHOWN, "host": "rebound.example"}, 421),
    ],
)
async def test_nobody_else_turns_one(headers: dict[str, Any], status: int) -> None:
    testnet = FakeTestnet()
    for method, path in (("GET", "/nodes"), ("POST", "/nodes/node0/stop")):
        answer = await ask(testnet, method, path, **headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert testnet.acts == []


@pytest.mark.parametrize("path", ["/nodes/node9/stop", "/nodes/node0/burn", "/nodes/node1/cut"])
async def test_what_cannot_be_done_is_said(path: str) -> None:
    answer = await ask(FakeTestnet(), "POST", path, **SHOWN)
    assert (answer.status_code, bool(answer.json()["detail"])) == (400, True)


async def test_a_link_alone_turns_none() -> None:
    assert (await ask(FakeTestnet(), "GET", "/nodes/node0/stop", **SHOWN)).status_code == 405


async def test_the_printed_address_leads_to_the_page_of_a_node_that_is_up() -> None:
    testnet = FakeTestnet()
    answer = await ask(testnet, "GET", f"/{TOKEN}")
    assert (answer.status_code, answer.headers["cache-control"]) == (307, "no-store")
    assert answer.headers["location"] == f"http://127.0.0.1:1/#testnet={URL}/{TOKEN}"
    testnet.nodes[1].is_live, testnet.nodes[1].url = True, "http://127.0.0.1:2"
    there = (await ask(testnet, "GET", f"/{TOKEN}")).headers["location"]
    assert there == f"http://127.0.0.1:1/?node=http://127.0.0.1:2#testnet={URL}/{TOKEN}"
    testnet.nodes[0].is_live = False
    assert (await ask(testnet, "GET", f"/{TOKEN}")).headers["location"].startswith("http://127.0.0.1:2/#")
    testnet.nodes[1].is_live = False
    assert (await ask(testnet, "GET", f"/{TOKEN}")).status_code == 503


@pytest.mark.parametrize("token", ["wrong", "\N{SNOWMAN}", TOKEN[:-1]])
async def test_another_address_leads_nowhere(token: str) -> None:
    assert (await ask(FakeTestnet(), "GET", f"/{token}")).status_code == 404


@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "BROWSER"])
def test_a_browser_opens_only_where_there_are_windows(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    for each in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(each, raising=False)
    assert not has_windows()
    monkeypatch.setenv(name, ":0")
    assert has_windows()
