"""A real Chromium without a window, led through its DevTools protocol.

Source: https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from chain.base.errors import OperatorError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A cold start on two loaded cores takes several seconds, and what a page is asked for takes some, too; a machine that
# does much else takes many times that.
START_TIMEOUT_S = ANSWER_TIMEOUT_S = 300.0
POLL_S = 0.05
MAX_MESSAGE_BYTES = 64 * 1_024 * 1_024
_OPTIONS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


class Failed(Exception):
    """What the page raised, or what the browser would not do."""


def chromium() -> str | None:
    """Where a browser is that speaks the protocol, if there is one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab.  ``errors`` are what its console was told of failures, and exceptions that nobody caught."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.errors: list[str] = []

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the tab something.  Raises :class:`Failed`."""
        return await self._browser.send(method, parameters, self._session)

    async def open(self, url: str) -> None:
        """Go there, and wait until it is loaded.  Raises :class:`OperatorError` where nothing answers."""
        try:
            why = (await self.send("Page.navigate", url=url)).get("errorText")
        except Failed as failure:
            why = str(failure)
        if why:
            raise OperatorError(f"{url} cannot be opened ({why}); name the page of a running node with --node")
        await self.until("document.readyState === 'complete'")

    async def run(self, script: str) -> Any:
        """The value of an expression of JavaScript, or of what it promises.  Raises :class:`Failed`."""
        answer = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failed(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    async def until(self, script: str, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        """The value of an expression once it is true.  Raises :class:`Failed` where it does not become so."""
        with trio.move_on_after(timeout_s):
            while True:
                if value := await self.run(script):
                    return value
                await trio.sleep(POLL_S)
        text = await self.run("document.body.innerText")
        raise Failed(f"never true: {script}; errors: {self.errors}; the page: {text[:2_000]}")

    async def look(self, width: int, height: int, *, is_dark: bool = False, is_phone: bool = False) -> None:
        """How large the window is, and whether it is night."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=is_phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])

    async def picture(self) -> bytes:
        """What is in the window, as PNG."""
        answer = await self.send("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])

    def hear(self, event: dict[str, Any]) -> None:
        """Keep what went wrong."""
        parameters = event["params"]
        if event["method"] == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            self.errors.append(" ".join(str(each.get("description", each.get("value"))) for each in parameters["args"]))
        elif event["method"] == "Log.entryAdded" and parameters["entry"]["source"] == "security":
            self.errors.append(parameters["entry"]["text"])


class Browser:
    """The running browser."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._arrived: defaultdict[int, trio.Event] = defaultdict(trio.Event)
        self._pages: dict[str, Page] = {}

    async def listen(self) -> None:
        """Take what the browser says, until cancelled."""
        while True:
            message = json.loads(await self._socket.get_message())
            if "id" in message:
                self._answers[message["id"]] = message
                self._arrived[message["id"]].set()
            elif message.get("sessionId") in self._pages:
                self._pages[message["sessionId"]].hear(message)

    async def send(self, method: str, parameters: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Ask, and wait for the answer.  Raises :class:`Failed`."""
        number = next(self._numbers)
        question = {"id": number, "method": method, "params": parameters}
        await self._socket.send_message(json.dumps(question if session is None else {**question, "sessionId": session}))
        with trio.move_on_after(ANSWER_TIMEOUT_S):
            await self._arrived[number].wait()
        self._arrived.pop(number, None)
        answer = self._answers.pop(number, None)
        if answer is None:
            raise Failed(f"{method} was not answered")
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        result: dict[str, Any] = answer["result"]
        return result

    async def page(self) -> Page:
        """A new tab."""
        target = await self.send("Target.createTarget", {"url": "about:blank"})
        attached = await self.send("Target.attachToTarget", {"targetId": target["targetId"], "flatten": True})
        page = Page(self, attached["sessionId"])
        self._pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log"):
            await page.send(f"{domain}.enable")
        return page


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A browser with a profile of its own, which is gone afterwards.  Raises :class:`OperatorError` without any."""
    program = chromium()
    if program is None:
        raise OperatorError("no Chromium is installed; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="goodfaith-browser-", ignore_cleanup_errors=True) as profile:
        command = [program, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
        if os.geteuid() == 0:  # its sandbox needs another user than root
            command.insert(1, "--no-sandbox")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = await _address(Path(profile), process)
            async with open_websocket_url(url, max_message_size=MAX_MESSAGE_BYTES) as socket:
                browser = Browser(socket)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(browser.listen)
                    yield browser
                    nursery.cancel_scope.cancel()
        finally:
            process.terminate()
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(process.wait)


async def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Where the browser listens: it writes that into its profile."""
    with trio.move_on_after(START_TIMEOUT_S):
        while process.poll() is None:
            path = profile / "DevToolsActivePort"
            if path.exists() and len(lines := path.read_text(encoding="ascii").split()) == 2:
                return f"ws://127.0.0.1:{lines[0]}{lines[1]}"
            await trio.sleep(POLL_S)
    raise OperatorError(f"{chromium()} does not start")
