"""Which pictures of the explorer there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from scripts.explorer_parts.browser import Page, browsing

CHECKED = "!!document.querySelector('.trust.checked, .trust.wrong') && !!document.querySelector('.view h1')"
# Votes that come, and a member's history, which the node executes the chain for.
_FINISHED = "!document.querySelector('#main').textContent.includes('Asking')"
_SHOWS = {
    "": "document.querySelectorAll('.chart .curve').length === 3 && document.querySelectorAll('.votes').length > 12",
    "who": "document.querySelector('.stamp.checked') !== null",
    "trust": "document.querySelector('.findings') !== null",
}
# Before the members are there, the links are those of the view before.
_FIRST_MEMBER = (
    "document.querySelector('.view h1')?.textContent === 'Members' && "
    "document.querySelector('main tbody a[href^=\"#/who/\"]')?.getAttribute('href')"
)
# A network to which nothing is sent makes a block in twenty slots, and charts want some.
QUIET_S = 300.0


class Picture(NamedTuple):
    """A place of the page in a window of this size."""

    name: str
    place: str
    width: int
    height: int
    is_dark: bool = False


PICTURES = (
    Picture("explorer-chain", "", 1_200, 860),
    Picture("explorer-member", "who", 1_200, 1_000, is_dark=True),
    Picture("explorer-phone", "", 390, 844),
    Picture("explorer-checked", "trust", 1_200, 760),
)


async def take_pictures(url: str, member: str | None, folder: Path) -> list[Path]:
    """Write all of them.  Raises :class:`~chain.base.errors.OperatorError` without a browser."""
    paths = []
    async with browsing() as browser:
        page = await browser.page()
        for picture in PICTURES:
            await page.look(
                picture.width, picture.height, is_dark=picture.is_dark, is_phone=picture.width < picture.height / 2
            )
            await page.open("about:blank")
            await page.open(url if "#" in url else f"{url.rstrip('/')}#/" if "?" in url else f"{url.rstrip('/')}/#/")
            await page.until(CHECKED)
            await _go(page, picture.place, member)
            paths.append(folder / f"{picture.name}.png")
            paths[-1].write_bytes(await page.picture())
    return paths


async def _go(page: Page, place: str, member: str | None) -> None:
    if place == "who":
        await page.run("void (location.hash = '#/members')")
        first = await page.until(_FIRST_MEMBER)
        place = f"who/{member}" if member else first.removeprefix("#/")
    await page.run(f"void (location.hash = {json.dumps('#/' + place)})")
    await page.until("document.querySelector('#main .card') !== null")
    await page.until(_SHOWS[place.partition("/")[0]], QUIET_S)
    await page.until(_FINISHED)
