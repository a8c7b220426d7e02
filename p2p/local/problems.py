"""What went wrong, as HTTP says it to programs and people alike (RFC 9457, problem details)."""

from __future__ import annotations

import json
from http import HTTPStatus

from starlette.responses import Response

from chain.base.errors import Refused
from chain.content.genesis import Genesis
from chain.documents.chronicle import told_refusal
from chain.documents.people import Document

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An answer that is an error; ``retry_s`` says when to ask again."""

    def __init__(self, status: int, detail: str, *, about: Document | None = None, retry_s: int | None = None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.about = about or {}
        self.retry_s = retry_s

    def response(self) -> Response:
        """The answer."""
        headers = {} if self.retry_s is None else {"retry-after": str(self.retry_s)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        return problem_response(self.status, self.detail, self.about, headers)


def refused(status: int, refusal: Refused, genesis: Genesis, *, retry_s: int | None = None) -> Problem:
    """A refusal by a rule of the chain: with its reason, what that means, and what would be needed."""
    return Problem(status, str(refusal), about=told_refusal(refusal, genesis), retry_s=retry_s)


def problem_response(
    status: int, detail: str, about: Document | None = None, headers: dict[str, str] | None = None
) -> Response:
    """An error as ``application/problem+json``."""
    phrase = HTTPStatus(status).phrase
    about = dict(about or {})
    kind = f"urn:goodfaith:reason:{about['reason']}" if "reason" in about else "about:blank"
    document = {"type": kind, "title": about.get("rule", phrase), "status": status, **about, "detail": detail}
    return Response(json.dumps(document), status, headers, MEDIA_TYPE)
