"""A picture in motion: a node of a testnet is cut off, makes a branch of its own, and comes back."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import trio

from chain.base.errors import OperatorError
from scripts.explorer_parts.browser import Page, browsing
from scripts.explorer_parts.pictures import CHECKED

SIZE = 960, 600
FRAME_S = 1.5
"""Between two frames as they are taken; they are shown faster."""
SHOWN_MS = 180
LAST_MS = 2_500
COLOURS = 64
#: What is done before which frame.
ACTS = {4: "cut", 24: "heal"}
FRAMES = 40
_PRINTED = re.compile(r"/[\w-]{16,64}$")
"""What the address ends with that leads to the switches: their token."""
_SWITCHES = "document.querySelectorAll('button[data-key]').length > 3"


async def take_film(url: str, folder: Path) -> Path:
    """Write it.  Raises :class:`OperatorError` without a browser, or where the page is not that of a testnet."""
    if not _PRINTED.search(url):
        raise OperatorError("a film needs the whole address that `testnet.py --explorer` prints, up to its end")
    async with browsing() as browser:
        page = await browser.page()
        await page.look(*SIZE)
        await page.open(url)
        await page.until(f"{CHECKED} && {_SWITCHES}")
        frames = [await _frame(page, number) for number in range(FRAMES)]
    path = folder / "explorer.gif"
    path.write_bytes(_animated(frames))
    return path


async def _frame(page: Page, number: int) -> bytes:
    """What is seen, after what is done first."""
    if number in ACTS:
        await page.run(f"void document.querySelector('button[data-key^={ACTS[number]}]').click()")
    await trio.sleep(FRAME_S)
    return await page.picture()


def _animated(pictures: list[bytes]) -> bytes:
    """Pictures (PNG) as one GIF, in the colours of the fullest of them."""
    from PIL import Image

    whole = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    palette = max(whole, key=lambda image: len(image.getcolors(2**24) or ())).quantize(COLOURS)
    frames = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in whole]
    times = [SHOWN_MS] * (len(frames) - 1) + [LAST_MS]
    out = BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    return out.getvalue()
