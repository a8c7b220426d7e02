"""The explorer in a real browser without a window, beside a stand-in for a node that says what a test wants."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio

from p2p.local.http import serve_app
from scripts.explorer_parts.browser import Page, browsing, chromium
from scripts.testnet_parts.acts import Act
from scripts.testnet_parts.switches import build_switches
from tests.support.stand import Stand
from tests.support.switched import TOKEN, FakeTestnet
from tests.support.told import Answers, Teller

if TYPE_CHECKING:
    from scripts.testnet_parts.run import Testnet

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed: apt-get install chromium")

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PHONE = (360, 740)
DESK = (1_280, 900)
READY = "!!document.querySelector('.trust.checked, .trust.wrong') && !!document.querySelector('.view h1')"
HOSTILE = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>javascript:window.pwned=1'
LONG = 100_000
LAB = "http://127.0.0.1:9/"
FOUND = """axe.run().then(({violations}) => violations.map(({id, nodes}) =>
    `${id}: ${nodes.slice(0, 3).map(({html}) => html).join(" ")}`))"""
_A_DAY = """
(async () => {
  const { Live } = await import('/explorer/live.js')
  const live = Object.assign(new Live([]), { soon () {}, status: { height: 0, genesis_time_ms: 0, slot_ms: 1_000 } })
  const id = (height) => height.toString(16).padStart(64, '0')
  for (let height = 1; height <= 86_400; height++) {
    const block = { id: id(height), height, slot: height, parent: id(height - 1), proposer: `v${height % 4}` }
    live.onHead({ ...block, transactions: 1, delay_ms: 1 })
    live.onFinal({ id: id(height), height, slot: height, at_ms: 0 })
    if (height % 60 === 0) live.add(height, `${height}`, 'reorg')
    if (height % 100 === 0) live.trim()
  }
  const samples = Object.values(live.samples).map(({ length }) => length)
  const kept = { blocks: live.blocks.size, samples, news: live.news.length }
  for (let at = 0; at < 20_000; at++) {
    live.beside({ blocks: [{ id: `x${at}`, height: 10 ** 9 + at, proposer: `w${at}` }] })
    live.people.learn({ [`n${at}`]: 'somebody' })
  }
  live.trim()
  return { ...kept, 'made up': live.blocks.size, people: [live.people.validators.length, live.people.names.size] }
})()
"""
# Rows of a list, however long the chain is: those in view, and some beside them.
MAX_ROWS = 60


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Teller:
    return Teller(tmp_path_factory.mktemp("city"))


@asynccontextmanager
async def page_of(answers: Answers) -> AsyncIterator[tuple[Stand, Page]]:
    with Stand(answers).serving() as stand:
        async with browsing() as browser:
            page = await browser.page()
            await page.look(*DESK)
            yield stand, page


async def show(page: Page, stand: Stand, place: str, title: str | None = None) -> None:
    """Open a place of the page, as a link to it does."""
    if not (await page.run("location.href")).startswith(stand.url):
        await page.open(f"{stand.url}/#/{place}")
    else:
        await page.run("document.querySelector('#main').replaceChildren()")
        await page.run(f"void (location.hash = {json.dumps('#/-')}), void (location.hash = {json.dumps('#/' + place)})")
    await page.until(
        READY if title is None else f"document.querySelector('.view h1')?.textContent === {json.dumps(title)}"
    )


def places(teller: Teller) -> dict[str, str]:
    """Every view, and its heading."""
    return {
        "": "Chain",
        "blocks": "Blocks",
        "block/7": "Block 7",
        "members": "Members",
        f"who/{teller.member}": "Member",
        f"who/{teller.city.did(teller.city.office)}": "Office",
        "offices": "Offices and arbiters",
        "motions": "Rules",
        "network": "Network",
        "trust": "What was checked",
        "search/nobody": "Search",
    }


async def test_every_view_is_shown_on_a_phone_and_at_a_desk(teller: Teller) -> None:
    async with page_of(teller.honest) as (stand, page):
        for width, height in (PHONE, DESK):
            await page.look(width, height, is_phone=width < height)
            for place, title in places(teller).items():
                await show(page, stand, place, title)
                beyond = await page.run("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                assert beyond <= 0, f"{place} is wider than {width} pixels"
        assert page.errors == []


async def test_a_policy_that_suspends_no_office_says_so(teller: Teller) -> None:
    node = copy.deepcopy(teller.honest)
    node["/authorities"]["limit_permille"] = 1_000
    async with page_of(node) as (stand, page):
        await show(page, stand, "offices", "Offices and arbiters")
        assert "no office is suspended" in await page.run("document.querySelector('main').textContent")


async def test_the_truth_is_checked_and_a_member_with_it(teller: Teller) -> None:
    async with page_of(teller.honest) as (stand, page):
        await show(page, stand, f"who/{teller.member}", "Member")
        await page.until("!!document.querySelector('.stamp.checked')")
        await page.until("document.querySelector('#trust').textContent.includes('Checked to 50')")
        await page.until("document.querySelector('#alarm').hidden")


async def test_the_page_says_so_where_a_node_lies(teller: Teller, tmp_path: Path) -> None:
    lies = {name: answers for name, (answers, _) in teller.lies().items()}
    async with page_of(teller.honest) as (stand, page):
        for name, answers in lies.items():
            stand.answers = answers
            # what this chain's id is is known before
            await page.open(
                f"{stand.url}/?chain={teller.city.genesis.id.hex()}&lie={name.replace(' ', '-')}#/who/{teller.member}"
            )
            await alarmed(page, "cannot be right")
        stand.answers = teller.honest
        with Stand(teller.other_node(tmp_path)).serving() as other:
            _allow(stand, other)
            await page.open(f"{stand.url}/?node={other.url}#/trust")
            await alarmed(page, "other nodes")


async def alarmed(page: Page, words: str) -> None:
    """Wait until the page shouts this; that a node does not answer it may say before, on a busy machine."""
    alarm = "document.querySelector('#alarm')"
    await page.until(f"!{alarm}.hidden && {alarm}.textContent.includes({json.dumps(words)})")


def _allow(stand: Stand, other: Stand) -> None:
    stand.asks.append(other.url)
    other.readers.append(stand.url)


async def test_no_field_of_an_answer_becomes_a_script(teller: Teller) -> None:
    """Every text that a node can say, in every answer, tries to be one."""
    member = teller.member
    hostile = {
        path: _poisoned(answer) for path, answer in teller.honest.items() if path not in ("/genesis", "/headers")
    }
    hostile |= {path: teller.honest[path] for path in ("/genesis", "/headers")}
    hostile["/status"] |= {"names": {member: HOSTILE, teller.city.did(teller.city.office): HOSTILE}}
    event = dict.fromkeys(("what", "category", "by", "time", "tier", "transaction"), HOSTILE) | {
        "height": 1,
        "score": 1,
    }
    hostile[f"/members/{member}/history"] = {"events": [event, event]}
    async with page_of(hostile) as (stand, page):
        await page.open(f"{stand.url}/#/")
        await page.until("!!document.querySelector('.trust')")
        for place in [*places(teller), f"search/{HOSTILE}", HOSTILE]:
            await page.run(f"void (location.hash = {json.dumps('#/' + place)})")
            await page.until("!!document.querySelector('.view h1')")
            stand.tell("evidence", {"validator": HOSTILE, "height": HOSTILE})
            stand.tell("reorg", {"depth": HOSTILE, "height": HOSTILE, "at_ms": 0})
        assert await page.run("window.pwned") is None
        assert await page.run("document.querySelectorAll('main img, main script, main iframe, [onerror]').length") == 0
        links = await page.run(
            "[...document.querySelectorAll('a')].every((each) => each.getAttribute('href').startsWith('#'))"
        )
        assert links
        assert not [error for error in page.errors if "Content Security" in error]


def _poisoned(value: Any) -> Any:
    match value:
        case dict():
            return {key: _poisoned(item) for key, item in value.items()}
        case list():
            return [_poisoned(item) for item in value]
        case str() if not value.startswith("did:key:"):
            return HOSTILE
    return value


async def test_of_a_long_chain_only_what_is_in_view_is_drawn(teller: Teller) -> None:
    answers = copy.deepcopy(teller.honest)
    (row,) = answers["/blocks"]["blocks"][-1:]
    answers["/status"]["height"] = LONG

    def blocks(query: dict[str, list[str]]) -> Answers:
        first = int(query.get("from", [str(LONG - 47)])[0])
        rows = [{**row, "height": first + at} for at in range(int(query["limit"][0]))]
        return {"blocks": [each for each in rows if each["height"] <= LONG]}

    def is_drawn(height: str) -> str:
        rows = "[...document.querySelectorAll('.rows .line')]"
        return f"{rows}.some((row) => row.firstChild.textContent === '{height}' && row.children[5].textContent)"

    answers["/blocks"] = blocks
    async with page_of(answers) as (stand, page):
        await show(page, stand, "blocks", "Blocks")
        for share, height in ((0, f"{LONG:,}"), (1, "1")):
            await page.run(f"void (document.querySelector('.long').scrollTop = {share} * 10 ** 9)")
            await page.until(is_drawn(height))
            assert await page.run("document.querySelectorAll('.rows .line').length") <= MAX_ROWS
        await show(page, stand, "", "Chain")
        assert await page.run("document.querySelectorAll('.tree .block').length") <= MAX_ROWS


async def test_the_page_follows_what_happens(teller: Teller) -> None:
    async with page_of(teller.honest) as (stand, page):
        await show(page, stand, "", "Chain")
        while not stand.listeners:
            await page.run("null")
        stand.tell("reorg", {"depth": 2, "height": 49, "id": "00", "slot": 49, "at_ms": 1_700_000_000_000})
        await page.until("document.querySelector('.news')?.textContent.includes('2 blocks were left')")
        stand.tell("mempool", {"waiting": 7, "ready": 7, "early": 0, "bytes": 700})
        await page.until("document.querySelector('.numbers').textContent.includes('7 waiting')")
        assert page.errors == []


async def test_of_a_day_the_page_keeps_no_more_than_it_shows(teller: Teller) -> None:
    """A block a second, a reorg a minute, and a node that makes up heights, validators and names."""
    async with page_of(teller.honest) as (stand, page):
        await show(page, stand, "", "Chain")
        kept = await page.run(_A_DAY)
        assert kept == {
            "blocks": 401,
            "samples": [120, 120, 120],
            "news": 40,
            "made up": 2_000,
            "people": [10_000, 10_000],
        }


async def test_the_page_of_a_testnet_turns_its_nodes_and_no_other_page_does(teller: Teller) -> None:
    testnet = FakeTestnet()
    buttons = "[...document.querySelectorAll('main button')].map((each) => each.getAttribute('aria-label'))"
    async with page_of(teller.honest) as (stand, page), trio.open_nursery() as nursery:
        url = await nursery.start(serve_app, build_switches(cast("Testnet", testnet), TOKEN, LAB), "127.0.0.1:0")
        stand.asks.append(url)
        await page.open(f"{stand.url}/#/")
        await page.until(READY)
        assert await page.run(buttons) == []
        await page.open(f"{stand.url}/#testnet={url}/{TOKEN}")
        await page.until(f"{buttons}.length > 0")
        assert TOKEN not in await page.run("location.href")
        assert await page.run(buttons) == ["Heal node0", "Stop node0", "Start node1"]
        away = (
            "[...document.querySelectorAll('a')].map((each) => each.getAttribute('href')).filter((to) => to[0] !== '#')"
        )
        assert await page.run(away) == [LAB]
        await page.run("document.querySelector('[aria-label=\"Stop node0\"]').click()")
        await page.until("document.querySelector('main').textContent.includes('node0 stops.')")
        assert testnet.acts == [Act("stop", "node0")]
        assert page.errors == []
        if AXE.exists():
            await page.run(AXE.read_text(encoding="utf-8") + "; undefined")
            assert await page.run(FOUND) == []
        nursery.cancel_scope.cancel()


async def test_a_branch_that_only_another_node_has_is_shown_beside(teller: Teller) -> None:
    """Two nodes that do not hear of each other: what each builds on is seen while it lasts."""
    other = copy.deepcopy(teller.honest)
    *_, last = other["/tree"]["blocks"]
    other["/tree"]["blocks"].append({**last, "id": "ab" * 32, "slot": last["slot"] + 1, "leader": last["proposer"]})
    async with page_of(teller.honest) as (stand, page):
        with Stand(other).serving() as beside:
            _allow(stand, beside)
            await page.open(f"{stand.url}/?node={beside.url}#/")
            label = await page.until("document.querySelector('.tree .block.lost')?.getAttribute('aria-label')")
            assert "another branch" in label
            assert await page.run("document.querySelectorAll('.tree .block.lost').length") == 1
            assert page.errors == []


async def test_it_goes_by_keyboard(teller: Teller) -> None:
    async with page_of(teller.honest) as (stand, page):
        await show(page, stand, "", "Chain")
        await _press(page, "/")
        assert await page.run("document.activeElement.id") == "sought"
        await page.send("Input.insertText", text="12")
        await _press(page, "Enter", "\r")
        await page.until("document.querySelector('.view h1')?.textContent === 'Block 12'")
        assert await page.run("document.activeElement.closest('#main, #search') !== null")


async def _press(page: Page, key: str, text: str | None = None) -> None:
    code = 13 if key == "Enter" else 0
    for kind in ("keyDown", "keyUp"):
        more = {"text": text or key} if kind == "keyDown" else {}
        await page.send("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more)


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci in tests/browser brings it")
@pytest.mark.parametrize("is_dark", [False, True])
async def test_axe_finds_nothing(teller: Teller, is_dark: bool) -> None:
    async with page_of(teller.honest) as (stand, page):
        await page.look(*DESK, is_dark=is_dark)
        await show(page, stand, "", "Chain")
        await page.run(AXE.read_text(encoding="utf-8") + "; undefined")
        found = {}
        for place, title in places(teller).items():
            await show(page, stand, place, title)
            found[place] = await page.run(FOUND)
        assert {place: these for place, these in found.items() if these} == {}
