"""Errors that a caller may see: a status, a code, and a sentence that says what to change.

An :class:`Error` carries facts (keyword arguments) and renders its sentence from them. Which JSON (or HTML) the
sentence is wrapped in is the dialect of each service: :mod:`kilonova.kernel.web.faults`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class Error(Exception):
    """Base of all errors that may reach a caller. ``status`` is the HTTP status, ``code`` the name on the wire.

    ``Error(**facts)`` renders ``text`` with the facts; ``Error("sentence")`` takes the sentence as it is.
    ``headers`` are added to the response; ``extra`` may be used by a dialect (for example an error code).
    """

    status: ClassVar[int] = 500
    text: ClassVar[str] = "The service met an unexpected condition and did not carry out the request."
    code: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, /, *, headers: Mapping[str, str] | None = None, **facts: Any):
        self.facts = facts
        self.headers: dict[str, str] = dict(headers or {})
        self.message = message if message is not None else self.text.format(**facts)
        super().__init__(self.message)

    @property
    def type_name(self) -> str:
        """The name that dialects with a ``type`` member put on the wire."""
        return self.code or type(self).__name__


class BadRequest(Error):
    status = 400
    text = "The request cannot be understood."


class Unauthorized(Error):
    status = 401
    text = "The request needs a valid token in the X-Auth-Token header."


class Forbidden(Error):
    status = 403
    text = "You are not allowed to do this."


class PolicyForbids(Forbidden):
    text = "Policy doesn't allow {rule} to be performed."


class NotFound(Error):
    status = 404
    text = "The resource could not be found."


class MethodNotAllowed(Error):
    status = 405
    text = "This resource has no method {method}; it has {allowed}."


class NotAcceptable(Error):
    status = 406
    text = "None of the requested representations or versions is available."


class Conflict(Error):
    status = 409
    text = "The request conflicts with the current state of the resource."


class Gone(Error):
    status = 410
    text = "This resource is no longer available."


class PreconditionFailed(Error):
    status = 412
    text = "A precondition of the request does not hold."


class TooLarge(Error):
    status = 413
    text = "The request is larger than the {limit} bytes that are accepted here."


class UnsupportedMediaType(Error):
    status = 415
    text = "The content type {content_type} is not supported here; send {supported}."


class TooManyRequests(Error):
    status = 429
    text = "Too many requests; wait before trying again."


class NotImplementedHere(Error):
    status = 501
    text = "This is not implemented here."


class ServiceUnavailable(Error):
    status = 503
    text = "The service cannot answer now; try again later."


class RemoteCallInTransaction(RuntimeError):
    """A defect: a remote call was attempted while a database transaction was open (architecture, invariant 7)."""
