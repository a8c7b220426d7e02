"""The switches of a running testnet over HTTP, for its page: stop and start a node, cut it off and heal it.

No node has them: ``testnet.py`` serves them beside its nodes, on loopback, for as long as it runs.  Whoever uses them
shows a token in a header, so that no page of another site can make a browser send it, and pages from elsewhere than
loopback are turned away.  The printed address holds the token and leads to the page of a node that is up; there it is
in the part of the address that a browser keeps to itself, so no node sees it.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from hmac import compare_digest
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import trio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from chain.base.errors import OperatorError
from chain.documents.people import Document
from p2p.local.door import Door
from p2p.local.http import serve_app
from p2p.local.problems import Problem, problem_response
from scripts.testnet_parts.acts import read_act

if TYPE_CHECKING:
    from trio_typing import TaskStatus

    from scripts.testnet_parts.nodes import NodeProcess
    from scripts.testnet_parts.run import Testnet

TOKEN_BYTES = 18
_PAGES = ("http://127.0.0.1:*",)
"""The nodes serve the page, each from a port of its own."""


async def serve_switches(
    testnet: Testnet, lab: str | None = None, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled; the page is told where the ``lab`` is.

    Reports the address that leads to the page, short enough for a line of a terminal.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(partial(serve_app, build_switches(testnet, token, lab), "127.0.0.1:0"))
        task_status.started(f"{url}/{token}")


def build_switches(testnet: Testnet, token: str, lab: str | None = None) -> Starlette:
    """What is asked and done; each request shows the ``token``.  Under ``/token`` is the way to the page."""

    async def page(request: Request) -> Response:
        if not compare_digest(request.path_params["token"].encode(), token.encode()):
            raise Problem(404, "testnet.py printed another address")
        here = f"http://127.0.0.1:{request.url.port}"
        return RedirectResponse(
            f"{page_of(testnet.nodes)}#testnet={here}/{token}", headers={"cache-control": "no-store"}
        )

    async def nodes(request: Request) -> Response:
        _admit(request, token)
        return JSONResponse({"nodes": [_node_document(testnet, node) for node in testnet.nodes], "lab": lab})

    async def act(request: Request) -> Response:
        _admit(request, token)
        what = read_act("{kind} {node}".format_map(request.path_params), testnet.home.shape.names)
        return JSONResponse({"done": await testnet.do(what)})

    return Starlette(
        routes=[Route("/nodes", nodes), Route("/nodes/{node}/{kind}", act, methods=["POST"]), Route("/{token}", page)],
        exception_handlers={Problem: _problem, OperatorError: _refused},
        middleware=[Middleware(Door, origins=_PAGES)],
    )


def page_of(nodes: Sequence[NodeProcess]) -> str:
    """The page of the first node that is up; it asks the others, and compares what they call final."""
    live = [node.url for node in nodes if node.is_live]
    if not live:
        raise Problem(503, "no node is up")
    first, *others = live
    return f"{first}/" + (f"?{urlencode([('node', url) for url in others], safe=':/')}" if others else "")


def _admit(request: Request, token: str) -> None:
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not compare_digest(given.encode(), token.encode()):
        raise Problem(401, "only the page at the address that testnet.py printed has these switches")


def _node_document(testnet: Testnet, node: NodeProcess) -> Document:
    """A node as the page shows it; ``url`` is None while it is down."""
    last: Document = {**node.last} if node.last else {}
    return {
        "name": node.name,
        "did": last.get("did"),
        "url": node.url if node.is_live else None,
        "validator": node.is_validator,
        "live": node.is_live,
        "cut": node.name in testnet.cut,
        "ended": node.ended,
        "pid": node.pid,
        "height": last.get("height"),
        "finalized_height": last.get("finalized_height"),
    }


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _refused(_request: Request, error: Exception) -> Response:
    return problem_response(400, str(error))
