"""The node's local HTTP face: status for people and scripts, submission of transactions, metrics.

It listens on loopback, answers only requests addressed to loopback names, and takes submissions only as
``application/msgpack`` and partitions only as ``application/json``, so that a web page in a browser on the
same machine cannot make any.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from string import hexdigits
from typing import TYPE_CHECKING, Any, Protocol

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from hypercorn.utils import repr_socket_addr
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chain.errors import OperatorError, Reason, Refused
from chain.genesis import Genesis
from chain.keys import KEY_BYTES, key_from_did
from chain.messages import RawItems
from p2p.local.callers import Callers, room_for_callers
from p2p.local.config import split_http

if TYPE_CHECKING:
    from trio_typing import TaskStatus

MAX_SUBMISSION = 512
# 512 transactions of the usual kinds, or 40 motions that carry a policy each.
MAX_BODY_BYTES = 1_000_000
MAX_PARTITION_BODY_BYTES = 64_000
# A megabyte takes 0.01 s on loopback, where this listens.
BODY_TIMEOUT_S = 10.0
# A trial runs in the node's own turn: a person's transaction, and what it builds on.
MAX_TRIAL = 16
_ID_DIGITS = 64


class Face(Protocol):
    """What the HTTP face shows and takes."""

    registry: CollectorRegistry
    genesis: Genesis

    def describe(self) -> dict[str, Any]:
        """The answer to ``GET /status``."""

    def describe_peers(self) -> dict[str, Any]:
        """The answer to ``GET /peers``."""

    def describe_account(self, key: bytes) -> dict[str, Any]:
        """The answer to ``GET /account/{key}``; the key is well formed and may be nobody's."""

    def describe_policy(self) -> dict[str, Any]:
        """The answer to ``GET /policy``."""

    def describe_records(self, key: bytes) -> dict[str, Any]:
        """The answer to ``GET /records/{key}``; the key is well formed and may be nobody's."""

    def describe_motions(self) -> dict[str, Any]:
        """The answer to ``GET /motions``."""

    def recent_heads(self, after: int) -> list[dict[str, Any]]:
        """The last head moves with a sequence number above ``after``."""

    async def submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """Offer encoded transactions; one outcome each, None where it waits in the mempool now.

        That is an acknowledgement until the node stops cleanly and beyond; a crash loses what no block and no other
        node holds.
        """

    async def find_transaction(self, transaction_id: bytes) -> dict[str, Any]:
        """The answer to ``GET /transactions/{id}``."""

    async def prove(self, key: bytes) -> bytes:
        """The answer to ``GET /proof/{key}``.  Raises :class:`Refused` where it cannot be made now."""

    async def try_out(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """What the next block would make of encoded transactions, one after another; nothing is kept."""

    def partition(self, peer_ids: set[str] | None) -> None:
        """Cut these peers off, or heal with None.  Raises :class:`OperatorError` where that is not allowed."""


def build_app(face: Face) -> Starlette:
    """The routes of the HTTP face."""

    async def status(_request: Request) -> Response:
        return JSONResponse(face.describe())

    async def peers(_request: Request) -> Response:
        return JSONResponse(face.describe_peers())

    async def account(request: Request) -> Response:
        return _about_key(request, face.describe_account)

    async def records(request: Request) -> Response:
        return _about_key(request, face.describe_records)

    async def proof(request: Request) -> Response:
        return await _proof(request, face)

    async def motions(_request: Request) -> Response:
        return JSONResponse(face.describe_motions())

    async def heads(request: Request) -> Response:
        after = request.query_params.get("after", "0")
        if not after.isdecimal() or len(after) > 18:
            return _error(400, "after must be a number")
        return JSONResponse({"heads": face.recent_heads(int(after))})

    async def genesis(_request: Request) -> Response:
        return Response(face.genesis.to_json(), media_type="application/json")

    async def policy(_request: Request) -> Response:
        return JSONResponse(face.describe_policy())

    async def transactions(request: Request) -> Response:
        return await _outcomes(request, MAX_SUBMISSION, face.submit)

    async def trial(request: Request) -> Response:
        return await _outcomes(request, MAX_TRIAL, face.try_out)

    async def transaction(request: Request) -> Response:
        digits = request.path_params["id"]
        if len(digits) != _ID_DIGITS or not set(digits) <= set(hexdigits):
            return _error(400, f"a transaction's id has {_ID_DIGITS} hexadecimal digits")
        return JSONResponse(await face.find_transaction(bytes.fromhex(digits)))

    async def partition(request: Request) -> Response:
        return await _partition(request, face)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(face.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/status", status),
            Route("/peers", peers),
            Route("/account/{key}", account),
            Route("/heads", heads),
            Route("/genesis", genesis),
            Route("/policy", policy),
            Route("/records/{key}", records),
            Route("/proof/{key}", proof),
            Route("/motions", motions),
            Route("/metrics", metrics),
            Route("/transactions", transactions, methods=["POST"]),
            Route("/transactions/{id}", transaction),
            Route("/trial", trial, methods=["POST"]),
            Route("/partition", partition, methods=["POST", "DELETE"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])],
    )


async def serve_http(face: Face, address: str, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled.  Reports the URL once it listens.  Raises :class:`OperatorError` for a taken port."""
    host, port = split_http(address)
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.h11_max_incomplete_size = 16_384
    callers = Callers(room_for_callers())
    app = ASGIWrapper(callers.watching(build_app(face)))  # type: ignore[arg-type]
    speak = partial(TCPServer, app, config, WorkerContext(None), ConnectionState({}))
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise OperatorError(f"{address} cannot be listened on; change http in config.toml or use port 0") from error
    socket = listeners[0].socket
    task_status.started(f"http://{repr_socket_addr(socket.family, socket.getsockname())}")
    await trio.serve_listeners(partial(callers.attend, speak), listeners)


def describe_refusal(refusal: Refused) -> dict[str, str]:
    """A refusal as programs see it."""
    reason = refusal.reason
    return {"reason": reason.code, "detail": refusal.detail, "disposition": reason.disposition.value}


def read_public_key(text: str) -> bytes:
    """A public key as a ``did:key`` or in hexadecimal.  Raises :class:`Refused`."""
    if text.startswith("did:"):
        return key_from_did(text)
    if len(text) != 2 * KEY_BYTES or not set(text) <= set(hexdigits):
        raise Refused(Reason.MALFORMED, "this is neither")
    return bytes.fromhex(text)


def _about_key(request: Request, describe: Callable[[bytes], dict[str, Any]]) -> Response:
    """Answer about the key in the path."""
    key = _key(request)
    return key if isinstance(key, Response) else JSONResponse(describe(key))


async def _proof(request: Request, face: Face) -> Response:
    """A proof about the key in the path, as the file that ``inspect_chain.py verify-proof`` takes."""
    key = _key(request)
    if isinstance(key, Response):
        return key
    try:
        return Response(await face.prove(key), media_type="application/octet-stream")
    except Refused as refusal:
        return _error(503, f"there is no proof now, try again later: {refusal}")


def _key(request: Request) -> bytes | Response:
    """The key in the path, or what is wrong with it."""
    try:
        return read_public_key(request.path_params["key"])
    except Refused as refusal:
        return _error(400, f"a key is a did:key or {2 * KEY_BYTES} hexadecimal digits: {refusal.detail}")


_Judge = Callable[[tuple[bytes, ...]], Awaitable[list[Refused | None]]]


async def _outcomes(request: Request, max_items: int, judge: _Judge) -> Response:
    """Read encoded transactions and answer with one outcome each."""
    if request.headers.get("content-type") != "application/msgpack":
        return _error(415, "send application/msgpack: an array of encoded transactions")
    try:
        items = RawItems.decode(await _body(request, MAX_BODY_BYTES), max_items=max_items, max_bytes=MAX_BODY_BYTES)
    except Refused as refusal:
        return _error(400, str(refusal))
    outcomes = await judge(items.items)
    return JSONResponse({"outcomes": [None if item is None else describe_refusal(item) for item in outcomes]})


async def _partition(request: Request, face: Face) -> Response:
    """Cut peers off, or heal."""
    try:
        if request.method == "DELETE":
            face.partition(None)
        else:
            if request.headers.get("content-type") != "application/json":
                return _error(415, 'send application/json: {"peer_ids": [...]}')
            face.partition(_peer_ids(await _body(request, MAX_PARTITION_BODY_BYTES)))
    except OperatorError as error:
        return _error(403, str(error))
    except (Refused, ValueError):
        return _error(400, 'send {"peer_ids": [...]}')
    return JSONResponse({})


async def _body(request: Request, limit: int) -> bytes:
    """Read the body, giving up as soon as it is too large, or too slow."""
    body = bytearray()
    with trio.move_on_after(BODY_TIMEOUT_S):
        async with aclosing(request.stream()) as stream:
            async for chunk in stream:
                body += chunk
                if len(body) > limit:
                    raise Refused(Reason.TOO_LARGE, f"more than {limit} bytes")
        return bytes(body)
    raise HTTPException(408, f"the body did not come within {BODY_TIMEOUT_S:.0f} s")


def _peer_ids(body: bytes) -> set[str]:
    """Read ``{"peer_ids": ["…"]}``.  Raises ``ValueError``."""
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    peer_ids = document.get("peer_ids") if isinstance(document, dict) else None
    if not isinstance(peer_ids, list) or not all(isinstance(item, str) for item in peer_ids):
        raise ValueError("no list of peer ids")
    return set(peer_ids)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)
