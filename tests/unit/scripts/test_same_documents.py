"""A running node's HTTP face and ``inspect_chain.py`` say the same of the same state, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from chain.base.keys import did_from_key, key_from_did
from chain.content.actions import Rotate
from chain.content.blocks import decode_block
from chain.documents.institutions import authorities_document
from chain.documents.people import member_document, members
from p2p.local.endpoints import ENDPOINTS, Endpoint, Source
from p2p.local.face import LocalFace
from p2p.local.http import build_app
from scripts.chain_view import open_view
from scripts.inspect_parts.question import asked
from tests.support.asking import answer
from tests.support.described import misfits
from tests.support.registered import City, lively_city
from tests.support.resting import resting
from tests.support.world import secret


@dataclass(frozen=True)
class Both:
    """A home, and a node that started from it."""

    city: City
    home: Path
    face: LocalFace

    async def http(self, path: str) -> str:
        """What the node answers, as it came."""
        transport = httpx.ASGITransport(build_app(self.face))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", trust_env=False) as client:
            reply = await client.get(path)
        assert reply.status_code == httpx.codes.OK
        return json.dumps(reply.json())

    def command(self, *arguments: str) -> str:
        """What the command prints."""
        return json.dumps(answer(self.home, *arguments))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A lively city whose office moved to another key, as far as it is final."""
    city = lively_city()
    city.block(city.rotate(city.office, 91))
    for _ in range(12):
        city.block()
    home = city.write(tmp_path_factory.mktemp("both") / "home", only_final=True)
    with resting(home, city.genesis) as face:
        yield Both(city, home, face)


async def test_records_name_the_key_that_an_office_has_now(both: Both) -> None:
    for actor in both.city.members:
        did = both.city.did(actor)
        assert await both.http(f"/records?member={did}&limit=100") == both.command(
            "records", "--member", did, "--limit", "100"
        )
        newest = json.loads(await both.http(f"/records/{did}"))
        assert newest == {
            name: value for name, value in answer(both.home, "records", "--member", did).items() if name != "next"
        }
    told: dict[str, Any] = json.loads(await both.http(f"/records/{both.city.did(both.city.ann)}"))
    assert any(isinstance(tx.action, Rotate) for block in both.city.blocks for tx in block.transactions)
    assert {row["issuer"] for row in told["records"]} == {did_from_key(secret(91).public)}


async def test_motions_and_policy(both: Both) -> None:
    assert await both.http("/motions") == both.command("motions", "--limit", "100")
    assert await both.http("/policy") == both.command("policy")
    assert len(json.loads(await both.http("/motions"))["motions"]) == 4
    assert json.loads(await both.http("/policy"))["announced"]["version"] == 2


def test_members_and_authorities(both: Both) -> None:
    view = both.face._view()
    assert json.dumps(authorities_document(view)) == both.command("authorities")
    for identity, member in members(view):
        document = member_document(view, identity, member)
        told = answer(both.home, "member", document["member"])
        assert json.dumps({name: told[name] for name in told if name in document}) == json.dumps(document)


async def test_a_transaction_is_where_it_is_whoever_is_asked(both: Both) -> None:
    for block in both.city.blocks:
        for transaction in block.transactions:
            told = await both.http(f"/transactions/{transaction.id.hex()}")
            assert json.loads(told) == json.loads(both.command("tx", transaction.id.hex()))


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if each.source is not Source.NODE], ids=lambda each: each.path
)
async def test_every_question_has_one_answer_and_the_shape_that_is_described(both: Both, endpoint: Endpoint) -> None:
    ann, number = both.city.did(both.city.ann), both.city.blocks[0].header.height
    arguments = {each.keyword: each.default for each in endpoint.parameters} | {"which": str(number), "who": ann}
    arguments |= {"key": key_from_did(ann)} if endpoint.path == "/records/{key}" else {}
    known = {each.keyword: arguments[each.keyword] for each in endpoint.parameters}
    with open_view(both.home) as view:
        expected = asked(endpoint, view, **known)
    path = endpoint.url(**known | ({"key": ann} if "key" in known else {}))
    if isinstance(expected, bytes):
        assert decode_block(expected)[0].height == number
        return
    assert json.loads(await both.http(path)) == json.loads(json.dumps(expected))
    assert list(misfits(expected, endpoint.shape)) == []
