"""How the explorer does in a real browser on a long chain: the first paint, the longest task, what checking takes."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import trio

from p2p.client import AsyncClient
from scripts.bench_parts.longchain import write_long_chain
from scripts.console import progress, remark
from scripts.explorer_parts.browser import Page, browsing
from scripts.testnet_parts.nodes import POLL_S, NodeProcess, running

SIZE = 1_200, 860
ROUNDS = 5
WATCHED_S = 15.0
READY_S = 90.0
# Heights of the list of blocks that are looked at, as shares of all of it.
LOOKED_AT = (0.0, 0.2, 0.5, 0.8, 1.0)
_VIEWS = ("", "blocks", "members", "offices", "motions", "network", "trust")
_CHECKED = "!!document.querySelector('.trust.checked, .trust.wrong') && !!document.querySelector('.view h1')"
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
# Before anything of the page runs: every task that holds it up for more than 50 ms, and where the page was.
_NOTING = """
window.tasks = []
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) window.tasks.push([duration, location.hash])
}).observe({ type: 'longtask', buffered: true })
"""
# All that the page checks by itself of a head, its finality and a member, from nothing but the id of the chain.
_CHECKING = """
(async (chain, did) => {
  const names = ['check/follower.js', 'check/findings.js', 'check/inspection.js', 'node.js']
  const parts = await Promise.all(names.map((name) => import(`/explorer/${name}`)))
  const [{ Follower }, { Findings }, inspection, { Node }] = parts
  const began = performance.now()
  const [findings, follower, node] = [new Findings(), new Follower(new Node(''), chain), new Node('')]
  await inspection.begin(follower, findings)
  const { finalized_height: height, finalized_id: id } = await node.json('/status')
  await inspection.claim(follower, findings, height, id)
  const told = await node.json(`/members/${did}/explanation`)
  await inspection.member(follower, findings, did, told)
  const states = [...findings.found.values()].map(({ state }) => state)
  return [performance.now() - began, follower.checked, states.every((state) => state === 'checked')]
})(%s, %s)
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """Milliseconds: until something was painted, the longest task and where, and what checking took.

    ``signatures`` were checked meanwhile; ``tasks`` held the page up for more than 50 ms.
    """

    painted_ms: float
    longest_ms: float
    where: str
    tasks: int
    checking_ms: float
    signatures: int


def measure_page(blocks: int) -> Seen:
    """Make a chain of so many blocks, let a node go on with it, and look at its page.

    Raises :class:`~chain.base.errors.OperatorError` without a browser.
    """
    with tempfile.TemporaryDirectory() as folder:
        with progress("blocks", blocks) as advance:
            homes = write_long_chain(Path(folder), blocks, advance)
        return trio.run(_measure, homes)


async def _measure(homes: Sequence[Path]) -> Seen:
    nodes = [NodeProcess(index, home, is_validator=True) for index, home in enumerate(homes)]
    node, height = nodes[0], 0
    async with AsyncClient() as client, running(nodes, client, READY_S), browsing() as browser:
        with trio.fail_after(READY_S):
            while not height < node.told["finalized_height"]:
                height = height or node.told["finalized_height"]
                await trio.sleep(POLL_S)
                await node.refresh(client, time.monotonic())
        remark(f"page: looking at {node.told['height']:,} blocks …")
        page = await browser.page()
        await page.look(*SIZE)
        await page.send("Page.addScriptToEvaluateOnNewDocument", source=_NOTING)
        await page.open(f"{node.url}/#/")
        painted_ms = await page.until(_PAINTED)
        await page.until(_CHECKED)
        member = (await page.run("fetch('/top?limit=1').then((answer) => answer.json())"))["members"][0]["member"]
        await _look_around(page, member)
        longest = await page.run("window.tasks")
        rounds = [await _check(page, node.told["chain_id"], member) for _ in range(ROUNDS)]
    duration, where = max(longest, default=(0.0, ""))
    return Seen(painted_ms, duration, where, len(longest), median(took for took, _ in rounds), rounds[-1][1])


async def _look_around(page: Page, member: str) -> None:
    """Every view, the list of blocks from end to end, a member; then the chain as it grows."""
    for place in (*_VIEWS, f"who/{member}"):
        await _go(page, place)
        for share in LOOKED_AT if place == "blocks" else ():
            await page.run(f"void (document.querySelector('.long').scrollTop = {share} * 10 ** 7)")
            await page.until(
                "[...document.querySelectorAll('.rows .line')].every((row) => row.children[5].textContent)"
            )
    await page.until("!!document.querySelector('.stamp.checked')")
    await _go(page, "")
    until = time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        await trio.sleep(1)


async def _go(page: Page, place: str) -> None:
    await page.run("document.querySelector('#main').replaceChildren()")
    await page.run(f"void (location.hash = '#/-'), void (location.hash = {json.dumps('#/' + place)})")
    await page.until(_CHECKED)


async def _check(page: Page, chain_id: str, member: str) -> tuple[float, int]:
    """How long checking took from the beginning, and how many signatures that were."""
    took, signatures, is_checked = await page.run(_CHECKING % (json.dumps(chain_id), json.dumps(member)))
    if not is_checked:
        raise AssertionError("an honest node is not believed")
    return took, signatures
