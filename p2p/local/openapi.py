"""The HTTP API described in OpenAPI 3.1, from the table of its endpoints and the shapes of their answers."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

from chain.documents import chainshapes, nodeshapes
from chain.documents.people import Document
from p2p.local.endpoints import ENDPOINTS, MAX_SUBMISSION, MAX_TRIAL, Endpoint
from p2p.local.parameters import Parameter

_PLAIN: dict[Any, Document] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    float: {"type": "number"},
    NoneType: {"type": "null"},
    Any: {},
}
_NAMES = {
    "type": "object",
    "description": "What this machine calls the owners of keys in the answer, by did.",
    "additionalProperties": {"type": "string"},
}
# What each error means; its body is a Problem.
ERRORS = {
    400: "what was asked or sent cannot be read",
    401: "from another machine this needs the token",
    403: "not for pages of other sites, or not allowed by the configuration",
    404: "what was asked for is not there",
    405: "not with this method",
    408: "the body did not come in time",
    413: "the body is too large",
    415: "the body is of another type",
    421: "the host is not this node's",
    429: "too much was asked; see Retry-After",
    503: "not now; see Retry-After",
}
_OF_READING = (400, 401, 403, 404, 405, 421, 429, 503)
_OF_WRITING = (400, 401, 403, 405, 408, 413, 415, 421, 429, 503)


def describe_api(version: str) -> Document:
    """The document at ``/openapi.json``."""
    schemas = Schemas()
    paths: Document = {each.path: {"get": _reading(each, schemas)} for each in ENDPOINTS}
    for path in ("/transactions", "/trial"):
        paths.setdefault(path, {})["post"] = _writing(path, schemas)
    cut = _operation("Cut peers off, for tests of partitions.", schemas, nodeshapes.Nothing, _OF_WRITING)
    cut["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": schemas.of(nodeshapes.Partition)}},
    }
    heal = _operation("Let all peers in again.", schemas, nodeshapes.Nothing, _OF_WRITING)
    paths["/partition"] = {"post": cut, "delete": heal}
    for path, what, media in (
        ("/genesis", "The file genesis.json.", "application/json"),
        ("/metrics", "Metrics for Prometheus.", "text/plain"),
        ("/openapi.json", "This document.", "application/json"),
        ("/events", "What happens, as server-sent events.", "text/event-stream"),
        ("/", "The explorer.", "text/html"),
    ):
        paths[path] = {"get": _operation(what, schemas, media, _OF_READING)}
    schemas.of(nodeshapes.Problem)
    return {
        "openapi": "3.1.0",
        "info": {"title": "A Goodfaith node", "version": version, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": schemas.found,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _reading(endpoint: Endpoint, schemas: Schemas) -> Document:
    operation = _operation(endpoint.what, schemas, endpoint.shape, _OF_READING, is_named=True)
    if endpoint.path == "/health":
        operation["responses"]["503"]["content"]["application/json"] = {"schema": schemas.of(nodeshapes.Health)}
    operation["parameters"] = [_parameter(endpoint, each) for each in endpoint.parameters]
    if endpoint.is_costly:
        operation["security"] = [{}, {"token": []}]
    return operation


def _writing(path: str, schemas: Schemas) -> Document:
    most, what = {
        "/transactions": (MAX_SUBMISSION, "Offer transactions."),
        "/trial": (MAX_TRIAL, "What the next block would make of transactions."),
    }[path]
    operation = _operation(what, schemas, nodeshapes.Outcomes, _OF_WRITING)
    operation["security"] = [{}, {"token": []}]
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {"schema": _submission(most)},
            "application/msgpack": {"schema": {"description": "An array of encoded transactions."}},
        },
    }
    return operation


def _submission(most: int) -> Document:
    """What is sent as JSON, with its limits."""
    raw = {"type": "string", "pattern": "^([0-9a-fA-F]{2})*$"}
    transactions = {"type": "array", "items": raw, "maxItems": most}
    return {
        "type": "object",
        "properties": {"transactions": transactions},
        "required": ["transactions"],
        "additionalProperties": False,
    }


def _operation(
    what: str, schemas: Schemas, shape: type | str, errors: tuple[int, ...], *, is_named: bool = False
) -> Document:
    if isinstance(shape, str):
        content: Document = {shape: {"schema": {}}}
    else:
        content = {"application/json": {"schema": schemas.of(shape, is_named=is_named)}}
    problem = {"application/problem+json": {"schema": schemas.of(nodeshapes.Problem)}}
    responses: Document = {"200": {"description": "The answer.", "content": content}}
    responses |= {str(code): {"description": ERRORS[code], "content": dict(problem)} for code in errors}
    return {"summary": what, "responses": responses}


def _parameter(endpoint: Endpoint, parameter: Parameter) -> Document:
    is_in_path = f"{{{parameter.name}}}" in endpoint.path
    schema = dict(parameter.schema)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "path" if is_in_path else "query",
        "required": is_in_path,
        "description": parameter.what,
        "schema": schema,
    }


class Schemas:
    """JSON Schemas (2020-12) of shapes, by their names."""

    def __init__(self) -> None:
        self.found: dict[str, Document] = {}

    def of(self, kind: Any, *, is_named: bool = False) -> Document:
        """The schema of a type.  An object that ``is_named`` may say what the keys in it are called."""
        if is_typeddict(kind):
            if kind.__name__ not in self.found:
                self.found[kind.__name__] = {}  # shapes may hold each other
                self.found[kind.__name__] = self._of_shape(kind)
            if is_named:
                self.found[kind.__name__]["properties"].setdefault("names", _NAMES)
            return {"$ref": f"#/components/schemas/{kind.__name__}"}
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, UnionType):
            return {"anyOf": [self.of(each) for each in arguments]}
        return dict(_PLAIN[kind])

    def _of_shape(self, shape: Any) -> Document:
        hints = get_type_hints(shape, include_extras=True)
        fields = {name: get_args(hint)[0] if get_origin(hint) is NotRequired else hint for name, hint in hints.items()}
        schema: Document = {
            "type": "object",
            "description": " ".join((inspect.getdoc(shape) or "").split()),
            "properties": {name: self.of(kind) for name, kind in fields.items()},
            "required": [name for name in fields if get_origin(hints[name]) is not NotRequired],
        }
        if shape not in chainshapes.OPEN:
            schema["additionalProperties"] = False
        return schema
