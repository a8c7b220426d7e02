"""Whatever is asked of the HTTP API as it describes itself, or near that, has an answer as it describes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from p2p.local.http import build_app
from p2p.local.openapi import describe_api
from tests.support.described import misfits_of
from tests.support.registered import lively_city
from tests.support.resting import resting
from tests.unit.p2p.local.test_http import FakeFace

API = describe_api("0")
OPERATIONS = [
    (path, method)
    for path, item in API["paths"].items()
    for method in item
    if path not in ("/events", "/partition", "/") and (method != "get" or "{name}" not in path)
]
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starlette]:
    city = lively_city()
    home = city.write(tmp_path_factory.mktemp("api") / "home", only_final=True)
    with resting(home, city.genesis) as face:
        yield build_app(face)


def values(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    """Texts that a parameter may be, and some that it may not be."""
    wrong = st.text(max_size=80)
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | wrong
    if schema.get("type") == "integer":
        return st.integers(schema["minimum"], schema["maximum"]).map(str) | st.integers().map(str) | wrong
    if schema.get("type") == "boolean":
        return st.sampled_from(["true", "false"]) | wrong
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True) | wrong
    return st.integers(0, 30).map(str) | st.text("0123456789abcdef", min_size=1, max_size=64) | wrong


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    path, method = draw(st.sampled_from(OPERATIONS))
    operation, query = API["paths"][path][method], {}
    url = path
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", quote(draw(values(parameter["schema"])), safe="") or "0")
        elif draw(st.booleans()):
            query[parameter["name"]] = draw(values(parameter["schema"]))
    options: dict[str, Any] = {}
    if "requestBody" in operation:
        kind = draw(st.sampled_from([*operation["requestBody"]["content"], "text/plain"]))
        texts = st.lists(st.text("0123456789abcdef", max_size=40) | st.text(max_size=10), max_size=3)
        document = draw(st.fixed_dictionaries({"transactions": texts}) | st.dictionaries(st.text(), st.none()))
        body = draw(st.binary(max_size=60) | st.just(json.dumps(document).encode()))
        options = {"headers": {"content-type": kind}, "content": body}
    return method.upper(), f"{url}?{urlencode(query)}" if query else url, options | {"operation": operation}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(question=questions())
def test_every_answer_is_as_it_is_described(app: Starlette, question: tuple[str, str, dict[str, Any]]) -> None:
    method, url, options = question
    operation = options.pop("operation")

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", trust_env=False) as asking:
            return await asking.request(method, url, **options)

    reply = trio.run(ask)
    described = operation["responses"]
    assert str(reply.status_code) in described, (url, reply.text)
    kind = reply.headers["content-type"].partition(";")[0]
    assert kind in {each.partition(";")[0] for each in described[str(reply.status_code)]["content"]}
    if kind in ("application/json", PROBLEM):
        schema = described[str(reply.status_code)]["content"][kind]["schema"]
        assert list(misfits_of(reply.json(), schema, API["components"]["schemas"])) == []


def test_the_description_names_every_path_that_is_routed() -> None:
    routed = {getattr(route, "path", "") for route in build_app(FakeFace()).routes} - {"/explorer/{name:path}"}
    assert routed == set(API["paths"])
