"""The lab in a real browser: Python runs there, and lives the same history as here, to the byte."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from scripts.explorer_parts.browser import Page, browsing, chromium
from scripts.lab_parts.server import PYODIDE, serving
from tests.browser.test_explorer import AXE, DESK, FOUND, PHONE
from tests.support.running import DEADLINE_S, ROOT

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="no Chromium is installed: apt-get install chromium"),
    pytest.mark.skipif(not PYODIDE.exists(), reason="Pyodide is not installed: npm ci --prefix scripts/lab_parts/page"),
]

SLOTS = 20
LOADED = "document.querySelector('#state').textContent !== 'Python is loading…'"
_HERE = f"""
import sys
sys.path.insert(0, "")
from scripts.lab_parts.standin import take_the_place
take_the_place()
from scripts.lab_parts.experiment import Experiment
experiment = Experiment(3, 4, "equivocates", 2)
print([experiment.step() for _ in range({SLOTS})][-1]["digest"])
"""


@asynccontextmanager
async def lab_page() -> AsyncIterator[Page]:
    with serving() as (url, server):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            async with browsing() as browser:
                page = await browser.page()
                await page.look(*DESK)
                await page.open(url)
                await page.until(LOADED, DEADLINE_S)
                assert await page.run("document.querySelector('#alarm').textContent") == ""
                yield page
        finally:
            server.shutdown()


async def begin(page: Page, slots: int, **chosen: Any) -> dict[str, Any]:
    """Run an experiment for some slots, and say where it stands."""
    for name, value in {"pace": 2, **chosen}.items():
        await page.run(f"void (document.querySelector('#{name}').value = {json.dumps(str(value))})")
    await page.run("document.querySelector('form').requestSubmit()")
    await page.until(f"window.lab.now()?.slot >= {slots}", DEADLINE_S)
    await page.run("document.querySelector('#pause').click()")
    await page.until("document.querySelector('#pause').textContent === 'Go on'", DEADLINE_S)
    found: dict[str, Any] = json.loads(await page.run("JSON.stringify(window.lab.now())"))
    return found


async def test_finality_holds_or_falls_and_the_page_says_who_did_it() -> None:
    async with lab_page() as page:
        told = await begin(page, 15, attack="equivocates", villains=1)
        assert told["forked"] == 0
        assert await page.run("document.querySelector('#state').textContent") == "Finality holds"
        assert "is named" in await page.run("document.querySelector('.news').textContent")
        told = await begin(page, 15, attack="equivocates", villains=2)
        assert (told["forked"] > 0, len(told["named"])) == (True, 2)
        assert await page.run("document.querySelector('#state').textContent") == "Finality fell"
        alarm = await page.run("document.querySelector('#alarm').textContent")
        assert all(name in alarm for name in told["named"])
        assert await page.run("document.querySelectorAll('.tree .block').length") > 5
        assert page.errors == []


async def test_a_cut_is_made_and_healed_by_hand() -> None:
    async with lab_page() as page:
        await begin(page, 8, villains=0)
        await page.run("document.querySelector('#halve').click()")
        await page.until("window.lab.now().nodes.some(({ apart }) => apart)", DEADLINE_S)
        assert "The network is cut" in await page.run("document.querySelector('.news').textContent")
        await page.run("document.querySelector('#heal').click()")
        await page.until("!window.lab.now().nodes.some(({ apart }) => apart)", DEADLINE_S)
        assert "The cut is healed" in await page.run("document.querySelector('.news').textContent")
        assert page.errors == []


async def test_the_browser_lives_the_same_history_as_this_interpreter() -> None:
    command = [sys.executable, "-c", _HERE]
    here = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    async with lab_page() as page:
        await page.run(
            "window.question = (asked) => new Promise((resolve) => {"
            "const worker = window.worker ??= new Worker('/lab/worker.js', { type: 'module' });"
            "worker.onmessage = ({ data }) => resolve(JSON.parse(data.text));"
            "worker.postMessage({ number: 1, text: JSON.stringify(asked) }) })"
        )
        begun = {"do": "begin", "seed": 3, "validators": 4, "villains": 2, "attack": "equivocates"}
        await page.run(f"void window.question({json.dumps(begun)}).then(() => {{ window.begun = true }})")
        await page.until("window.begun", DEADLINE_S)
        for _ in range(SLOTS):
            told = await page.run("window.question({ do: 'step' })")
        assert told["digest"] == here


@pytest.mark.skipif(not AXE.exists(), reason="axe is not installed: npm ci in tests/browser")
async def test_nobody_is_kept_out() -> None:
    async with lab_page() as page:
        await begin(page, 6, villains=1)
        await page.run(AXE.read_text("utf-8"))
        for width, height in (PHONE, DESK):
            await page.look(width, height, is_phone=width < height)
            assert await page.run(FOUND) == []
            assert await page.run("document.documentElement.scrollWidth <= innerWidth")
