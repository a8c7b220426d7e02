"""The node's HTTP API: the routes, what is read of a request, and what is said where something is wrong.

It listens on loopback, lets in who may ask (:mod:`p2p.local.door`), and takes what changes something only as
``application/msgpack`` or ``application/json``, so that a web page of another site cannot make any browser send it.
"""

from __future__ import annotations

from p2p.local.commandline import launched, version

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import partial
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
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from chain.base.codec import encode
from chain.base.errors import InvariantBroken, OperatorError, Reason, Refused
from chain.content.genesis import Genesis
from chain.disk.inspection import NotThere, Unclear
from chain.disk.stored import BodyGone
from chain.documents.chronicle import told_refusal
from chain.documents.people import Document
from chain.protocol.messages import RawItems
from p2p.local.broadcast import Broadcast
from p2p.local.callers import Callers, room_for_callers
from p2p.local.config import HomeConfig, split_http
from p2p.local.door import Door, Porter, is_elsewhere
from p2p.local.endpoints import ENDPOINTS, MAX_SUBMISSION, MAX_TRIAL, Endpoint
from p2p.local.openapi import describe_api
from p2p.local.pages import INDEX, Pages
from p2p.local.problems import Problem, problem_response, refused
from p2p.local.reading import Told
from p2p.local.stream import MAX_STREAMS, MAX_STREAMS_ELSEWHERE, EventStream

if TYPE_CHECKING:
    from trio_typing import TaskStatus

# 512 transactions of the usual kinds, or 40 motions that carry a policy each.
MAX_BODY_BYTES = 1_000_000
# The same in hexadecimal.
MAX_JSON_BYTES = 2 * MAX_BODY_BYTES + 100_000
MAX_PARTITION_BODY_BYTES = 64_000
# A megabyte takes 0.01 s on loopback, where this listens.
BODY_TIMEOUT_S = 10.0
# What takes longer is told to be asked of the home, where nobody waits for it.
ANSWER_TIMEOUT_S = 30.0
MAX_QUERY_CHARACTERS = 4_096

_MSGPACK, _JSON = "application/msgpack", "application/json"


class Face(Protocol):
    """What the HTTP API shows and takes."""

    registry: CollectorRegistry
    genesis: Genesis
    config: HomeConfig
    events: Broadcast

    async def answer(self, endpoint: Endpoint, arguments: Mapping[str, Any], known: str | None) -> Told:
        """The answer to a question of the table; without a body where its tag is ``known``.

        Raises :class:`NotThere`, :class:`Unclear`, :class:`Problem`; :class:`Refused` where it cannot be made now.
        """

    async def submit(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """Offer encoded transactions; one outcome each, None where it waits in the mempool now.

        That is an acknowledgement until the node stops cleanly and beyond; a crash loses what no block and no other
        node holds.
        """

    async def try_out(self, raws: tuple[bytes, ...]) -> list[Refused | None]:
        """What the next block would make of encoded transactions, one after another; nothing is kept."""

    def partition(self, peer_ids: set[str] | None) -> None:
        """Cut these peers off, or heal with None.  Raises :class:`OperatorError` where that is not allowed."""

    def hello(self) -> Document:
        """What a stream of events begins with."""


def build_app(face: Face) -> Starlette:
    """The routes of the HTTP API."""
    config, porter = face.config, Porter(face.config.http_token)
    pages, description = Pages(origins=tuple(config.http_origins)), json.dumps(describe_api(version()))

    async def transactions(request: Request) -> Response:
        porter.admit(request)
        return await _outcomes(request, face, MAX_SUBMISSION, face.submit)

    async def trial(request: Request) -> Response:
        porter.admit(request)
        return await _outcomes(request, face, MAX_TRIAL, face.try_out)

    async def partition(request: Request) -> Response:
        porter.admit(request)
        return await _partition(request, face)

    async def genesis(_request: Request) -> Response:
        return Response(face.genesis.to_json(), media_type=_JSON)

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(face.registry), media_type=CONTENT_TYPE_LATEST)

    async def openapi(_request: Request) -> Response:
        return Response(description, media_type=_JSON)

    async def index(request: Request) -> Response:
        return pages.answer(request, INDEX)

    async def page(request: Request) -> Response:
        return pages.answer(request, request.path_params["name"])

    async def events(request: Request) -> Response:
        return _events(request, face)

    routes: list[BaseRoute] = [
        Route("/", index),
        Route("/explorer/{name:path}", page),
        Route("/openapi.json", openapi),
        Route("/genesis", genesis),
        Route("/metrics", metrics),
        Route("/events", events),
        Route("/transactions", transactions, methods=["POST"]),
        Route("/trial", trial, methods=["POST"]),
        Route("/partition", partition, methods=["POST", "DELETE"]),
        *(Route(each.path, partial(_ask, face, porter, each)) for each in ENDPOINTS),
    ]
    app = Starlette(
        routes=routes,
        exception_handlers={
            HTTPException: _http_problem,
            Problem: _problem,
            NotThere: _not_there,
            BodyGone: _not_there,
            Unclear: _unclear,
            OperatorError: _unwell,
            Exception: _our_fault,
        },
        middleware=[
            Middleware(Door, hosts=tuple(config.http_hosts), origins=tuple(config.http_origins)),
        ],
    )
    app.router.redirect_slashes = False
    return app


async def serve_http(face: Face, address: str, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve the API until cancelled, as :func:`serve_app` does."""
    await serve_app(build_app(face), address, task_status)


async def serve_app(app: Starlette, address: str, task_status: TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
    """Serve until cancelled.  Reports the URL once it listens.  Raises :class:`OperatorError` for a taken port."""
    host, port = split_http(address)
    config = Config()
    config.accesslog = None
    config.errorlog = None
    config.h11_max_incomplete_size = 16_384
    callers = Callers(room_for_callers())
    served = ASGIWrapper(callers.watching(app))  # type: ignore[arg-type]
    speak = partial(_Server, served, config, WorkerContext(None), ConnectionState({}))
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise OperatorError(
            f"{address} cannot be listened on ({error.strerror}); change http in this home's config.toml, or use port 0"
        ) from error
    socket = listeners[0].socket
    async with trio.open_nursery() as nursery:
        nursery.start_soon(callers.send_away_at_end)
        task_status.started(f"http://{repr_socket_addr(socket.family, socket.getsockname())}")
        await trio.serve_listeners(partial(callers.attend, speak), listeners)


class _Server(TCPServer):
    """A connection that stays with HTTP/1.1: in HTTP/2 a caller says itself how much of an answer it takes, and where
    it takes none and leaves, the library waits for it for good.
    """

    async def _read_data(self) -> None:
        self.protocol.protocol._check_protocol = _stay  # type: ignore[union-attr,method-assign]
        await super()._read_data()


async def _stay(_request: object) -> None:
    """Whatever a request says of other protocols."""


# ------------------------------------------------------------------------------------------------ questions


async def _ask(face: Face, porter: Porter, endpoint: Endpoint, request: Request) -> Response:
    """Answer a question of the table."""
    if endpoint.is_costly:
        porter.meter(request)
    arguments = read_arguments(endpoint, request)
    known = _known_tag(request)
    with trio.move_on_after(ANSWER_TIMEOUT_S):
        try:
            told = await face.answer(endpoint, arguments, known)
        except Refused as refusal:
            raise refused(503, refusal, face.genesis, retry_s=5) from refusal
        return _told(endpoint, told)
    raise Problem(503, "it takes longer; ask again later", retry_s=10)


def read_arguments(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """The parameters of a request, read.  Raises :class:`Unclear` for what is none of them, or comes twice."""
    if len(request.url.query) > MAX_QUERY_CHARACTERS:
        raise Unclear(f"a query has at most {MAX_QUERY_CHARACTERS} characters")
    given = [*request.path_params.items(), *request.query_params.multi_items()]
    texts = dict(given)
    known = {each.name for each in endpoint.parameters}
    if len(texts) < len(given) or not texts.keys() <= known:
        names = ", ".join(sorted(known)) or "none"
        raise Unclear(f"{endpoint.path} takes these parameters, each once: {names}")
    return {each.keyword: each.of(texts.get(each.name)) for each in endpoint.parameters}


def _told(endpoint: Endpoint, told: Told) -> Response:
    headers = {"cache-control": "no-cache"}
    if told.tag is not None:
        headers["etag"] = f'W/"{told.tag}"'
    if told.body is None:
        return Response(status_code=304, headers=headers)
    media_type = endpoint.shape if isinstance(endpoint.shape, str) else _JSON
    is_ill = endpoint.path == "/health" and b'"status": "ok"' not in told.body
    return Response(told.body, 503 if is_ill else 200, headers, media_type)


def _known_tag(request: Request) -> str | None:
    """The tag of the answer that a client has."""
    text = request.headers.get("if-none-match", "")
    return text.removeprefix("W/").strip('"') or None


def _events(request: Request, face: Face) -> Response:
    room = MAX_STREAMS_ELSEWHERE if is_elsewhere(request.scope, request.headers) else MAX_STREAMS
    if face.events.listeners >= room:
        raise Problem(503, f"{room} listen already; ask again later", retry_s=30)
    after = request.headers.get("last-event-id") or request.query_params.get("after")
    if after is not None and not (after.isascii() and after.isdecimal() and len(after) <= 16):
        raise Unclear("after must be the number of an event")
    return _Streaming(EventStream(face.events, face.hello(), None if after is None else int(after)))


class _Streaming(Response):
    """An answer that writes itself."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)


# ------------------------------------------------------------------------------------------------ what is sent

_Judge = Callable[[tuple[bytes, ...]], Awaitable[list[Refused | None]]]


async def _outcomes(request: Request, face: Face, max_items: int, judge: _Judge) -> Response:
    """Read encoded transactions and answer with one outcome each."""
    kind = _kind(request)
    if kind not in (_MSGPACK, _JSON):
        raise Problem(415, f'send {_MSGPACK}, an array of raw transactions, or {_JSON}, {{"transactions": ["hex"]}}')
    body = await _body(request, MAX_JSON_BYTES if kind == _JSON else MAX_BODY_BYTES)
    try:
        encoded = encode(_read_list(body, "transactions", bytes.fromhex)) if kind == _JSON else body
        items = RawItems.decode(encoded, max_items=max_items, max_bytes=MAX_BODY_BYTES)
    except Refused as refusal:
        raise refused(400, refusal, face.genesis) from refusal
    outcomes = await judge(items.items)
    told = [None if item is None else told_refusal(item, face.genesis) for item in outcomes]
    return JSONResponse({"outcomes": told})


async def _partition(request: Request, face: Face) -> Response:
    """Cut peers off, or heal."""
    peer_ids = None
    if request.method != "DELETE":
        if _kind(request) != _JSON:
            raise Problem(415, f'send {_JSON}: {{"peer_ids": [...]}}')
        try:
            peer_ids = set(_read_list(await _body(request, MAX_PARTITION_BODY_BYTES), "peer_ids", str))
        except Refused as refusal:
            raise Problem(400, 'send {"peer_ids": [...]}') from refusal
    try:
        face.partition(peer_ids)
    except OperatorError as error:
        raise Problem(403, str(error)) from error
    return JSONResponse({})


def _kind(request: Request) -> str:
    """The type of a body, without its parameters: those of JSON have no meaning."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def _body(request: Request, limit: int) -> bytes:
    """Read the body, giving up as soon as it is too large, or too slow."""
    body = bytearray()
    with trio.move_on_after(BODY_TIMEOUT_S):
        async with aclosing(request.stream()) as stream:
            async for chunk in stream:
                body += chunk
                if len(body) > limit:
                    raise Problem(413, f"a body has at most {limit} bytes here")
        return bytes(body)
    raise Problem(408, f"the body did not come within {BODY_TIMEOUT_S:.0f} s")


def _read_list(body: bytes, name: str, read: Callable[[str], Any]) -> tuple[Any, ...]:
    """Read ``{name: ["…"]}``.  Raises :class:`Refused` ``MALFORMED``."""
    try:
        document = json.loads(body)
        (only,) = document.items()
        found, texts = only
        if found != name or not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError(name)
        return tuple(map(read, texts))
    except (ValueError, AttributeError, RecursionError) as error:
        raise Refused(Reason.MALFORMED, f'send {{"{name}": [...]}}, an array of texts') from error


# ------------------------------------------------------------------------------------------------ what is wrong


async def _http_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = {404: "there is nothing here; /openapi.json lists what is", 405: "this path takes other methods"}
    headers = dict(error.headers or {})
    return problem_response(error.status_code, detail.get(error.status_code, error.detail), None, headers)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _not_there(_request: Request, error: Exception) -> Response:
    return problem_response(404, str(error))


async def _unclear(_request: Request, error: Exception) -> Response:
    return problem_response(400, str(error))


async def _unwell(_request: Request, error: Exception) -> Response:
    return problem_response(500, launched(str(error)))


async def _our_fault(_request: Request, error: Exception) -> Response:
    what = "the database is damaged" if isinstance(error, InvariantBroken) else "this is a fault of the node's"
    return problem_response(500, f"{what}; its log says more")
