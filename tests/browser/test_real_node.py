"""The explorer as a real node serves it, with its policy of content and its events."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio

from chain.base.keys import did_from_key
from chain.content.actions import Enrol
from p2p.client import announced
from p2p.local.config import HomeConfig
from p2p.local.home import create_home
from scripts.explorer_parts.browser import browsing, chromium
from tests.support.running import running
from tests.support.world import Actor, genesis_of, secret

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed: apt-get install chromium")


async def test_the_page_of_a_node_checks_its_chain_and_a_member_and_follows_it(tmp_path: Path) -> None:
    genesis, home = genesis_of(1, genesis_time_ms=time.time_ns() // 1_000_000, slot_ms=1_000), tmp_path / "node"
    create_home(home, genesis, secret(1).seed, HomeConfig(listen=["/ip4/127.0.0.1/tcp/0"], http="127.0.0.1:0"))
    member = Actor(genesis, 60)
    with running(home) as node:
        async with browsing() as browser:
            page = await browser.page()
            await page.open(announced(home).http + "/#/")
            await page.until("document.querySelectorAll('.number strong')[2]?.textContent === '0'")
            submitted = await trio.to_thread.run_sync(node.submit, [member.sign(Enrol())])
            assert submitted == [None]
            await page.until("document.querySelectorAll('.number strong')[2].textContent === '1'")
            await page.until("!!document.querySelector('.trust.checked')")
            await page.run("void (location.hash = '#/members')")
            await page.until(f"!!document.querySelector('main a[title=\"{did_from_key(member.key)}\"]')")
            await page.run(f"void (location.hash = '#/who/{did_from_key(member.key)}')")
            await page.until("!!document.querySelector('.stamp.checked')")
            assert page.errors == []
